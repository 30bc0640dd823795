--- How what the API answered prints: lists as tables, a page as its list, a cluster as one line, the rest as fields.

local classes = require "crdbcloud.base.classes"
local printing = require "crdbcloud.base.printing"

local M = {}

local User = {
  __name = "crdbcloud.user",
  __tostring = function(user) return printing.cell(user.name) end,
}

local Cluster = {
  __name = "crdbcloud.cluster_info",
  __tostring = function(c)
    local parts = { printing.cell(c.name), printing.cell(c.id) }
    for _, field in ipairs { "plan", "cloud_provider", "state" } do parts[#parts + 1] = c[field] and printing.cell(c[field]) end
    return table.concat(parts, " ")
  end,
}

local Database = {
  __name = "crdbcloud.database",
  __tostring = function(d)
    return printing.cell(d.name) .. (d.table_count and (" (%s tables)"):format(printing.cell(d.table_count)) or "")
  end,
}

local KINDS = {
  users = { item = User, columns = { "name" } },
  clusters = { item = Cluster, columns = { "name", "id", "plan", "cloud_provider", "cockroach_version", "state" } },
  databases = { item = Database, columns = { "name", "table_count" } },
}

for field, kind in pairs(KINDS) do
  kind.list = {
    __name = "crdbcloud.list",
    __tostring = function(items) return ("%s\n(%d)"):format(printing.rows(kind.columns, items), #items) end,
  }
  classes.register("api.printed:" .. field, kind.list)
  classes.register("api.printed:" .. field .. "_item", kind.item)
  kind.page = classes.register("api.printed:" .. field .. "_page", {
    __name = "crdbcloud.page",
    __tostring = function(page)
      local more = page.next_page and "\n" .. printing.fit("next_page  " .. printing.cell(page.next_page), printing.terminal())
      return tostring(page[field]) .. (more or "")
    end,
  })
end

--- Makes an array of items print as a table; nothing else about it changes.
---@param items table[]
---@param field "users"|"clusters"|"databases"
---@return table[] items
function M.list(items, field)
  local kind = KINDS[field]
  for _, item in ipairs(items) do setmetatable(item, kind.item) end
  return setmetatable(items, kind.list)
end

--- Makes a page print as its list and the token of the next one.
---@param page table { FIELD = items, next_page }
---@param field "users"|"clusters"|"databases"
---@return table page
function M.page(page, field)
  M.list(page[field], field)
  return setmetatable(page, KINDS[field].page)
end

local AUDIT = { "created_at", "action", "cluster", "by" }

local Audit = classes.register("api.printed:audit_log", {
  __name = "crdbcloud.audit_log",
  __tostring = function(log)
    local rows = {}
    for i, entry in ipairs(log.entries or {}) do
      rows[i] = {
        created_at = entry.created_at, action = tostring(entry.action):gsub("^AUDIT_LOG_ACTION_", ""),
        cluster = entry.cluster_name or entry.cluster_id, by = entry.user_email or entry.service_account_name,
      }
    end
    return ("%s\n(%d)"):format(printing.rows(AUDIT, rows), #rows)
  end,
})

--- Makes the audit log print as a table.
---@param log table { entries }
---@return table log
function M.audit(log)
  return setmetatable(log, Audit)
end

--- Makes a description of a cluster print as one line.
function M.cluster(info)
  return setmetatable(info, Cluster)
end

--- Makes a decoded answer print as its fields.
M.document = printing.printed

return M
