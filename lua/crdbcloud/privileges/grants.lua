--- Single grants: one privilege on one thing, the form in which wanted and actual access are compared. Pure.
--
-- { on, database, schema, name, creator, privilege } with on = "database", "schema", "table", "sequence",
-- "future_table", "future_sequence" (creator: a role, or "*" for all), "role" (name; privilege "MEMBER"), or whatever
-- else the server reports ("type", "function", ...).

local access = require "crdbcloud.privileges.access"

local M = {}

local FIELDS = { "on", "database", "schema", "name", "creator", "privilege" }

--- A text that is equal for equal grants and sorts them.
---@param grant table
---@return string
function M.key(grant)
  local parts = {}
  for i, field in ipairs(FIELDS) do parts[i] = grant[field] or "" end
  return table.concat(parts, "\1")
end

--- For people: "SELECT on table shop.public.orders".
---@param grant table
---@return string
function M.describe(grant)
  local place = {}
  for _, field in ipairs { "database", "schema", "name" } do
    if grant[field] then place[#place + 1] = grant[field] end
  end
  local where = table.concat(place, ".")
  if grant.on == "role" then return "membership in role " .. grant.name end
  local future = grant.on:match "^future_(.*)$"
  if future then
    local creator = grant.creator == "*" and "anybody" or grant.creator
    return ("%s on %ss to come in %s made by %s"):format(grant.privilege, future, where, creator)
  end
  return ("%s on %s %s"):format(grant.privilege, grant.on, where)
end

--- Sorted descriptions, at most limit of them and a count of the rest.
---@param list table[]
---@param limit integer
---@return string
function M.summary(list, limit)
  local words = {}
  for i = 1, math.min(#list, limit) do words[i] = M.describe(list[i]) end
  if #list > limit then words[#words + 1] = ("and %d more"):format(#list - limit) end
  return table.concat(words, "; ")
end

--- Sorts and drops doubles.
---@param list table[]
---@return table[]
function M.sorted(list)
  local seen, out = {}, {}
  for _, grant in ipairs(list) do
    local key = M.key(grant)
    if not seen[key] then
      seen[key] = true
      out[#out + 1] = grant
    end
  end
  table.sort(out, function(a, b) return M.key(a) < M.key(b) end)
  return out
end

---@class crdbcloud.privileges.objects what is in one database
---@field tables table<string, table<string, string>> schema -> table -> owner
---@field sequences table<string, table<string, string>> schema -> sequence -> owner
---@field owned table<string, table<string, string[][]>> schema -> table -> {{schema, sequence}, ...} that its columns own
---@field owner string? of the database

-- Names in a schema, sorted.
local function members(set)
  local list = {}
  for name in pairs(set or {}) do list[#list + 1] = name end
  table.sort(list)
  return list
end
M.members = members

--- Who makes the tables of a schema, as far as can be seen: their owners, else the database's.
---@param objects crdbcloud.privileges.objects|nil
---@param schema string
---@return string[]
function M.owners(objects, schema)
  local found, any = {}, false
  for _, owner in pairs(objects and objects.tables[schema] or {}) do
    found[owner], any = true, true
  end
  if not any and objects and objects.owner then found[objects.owner] = true end
  return members(found)
end

--- The roles whose future tables an entry means: "*" for all of them, where the server can say that.
---@param entry table normalized
---@param dialect crdbcloud.dialect
---@param objects crdbcloud.privileges.objects|nil
---@return string[] empty: whoever runs the statement
function M.creators(entry, dialect, objects)
  if entry.creators then return entry.creators end
  if dialect == "cockroachdb" then return { "*" } end
  return M.owners(objects, entry.schema)
end

--- The sequences that an entry means now: {{schema, name}, ...}.
---@param entry table normalized
---@param objects crdbcloud.privileges.objects|nil
---@return string[][]
function M.sequences(entry, objects)
  if not entry.sequences or not objects then return {} end
  local list, seen = {}, {}
  if entry.tables == "*" then
    for _, name in ipairs(members(objects.sequences[entry.schema])) do list[#list + 1] = { entry.schema, name } end
    return list
  end
  for _, name in ipairs(entry.tables) do
    for _, sequence in ipairs((objects.owned[entry.schema] or {})[name] or {}) do
      local key = sequence[1] .. "\1" .. sequence[2]
      if not seen[key] then
        seen[key] = true
        list[#list + 1] = sequence
      end
    end
  end
  return list
end

--- All single grants that access means on a server with these objects.
---@param list table[] normalized access
---@param given {dialect: crdbcloud.dialect, roles: string[]?, objects: table<string, crdbcloud.privileges.objects>}
---@return table[]|nil
---@return crdbcloud.error|nil
function M.expand(list, given)
  local out = {}
  local function add(grant) out[#out + 1] = grant end
  for _, role in ipairs(given.roles or {}) do add { on = "role", name = role, privilege = "MEMBER" } end
  for _, entry in ipairs(list) do
    local privileges, err = access.privileges(entry, given.dialect)
    if not privileges then return nil, err end
    local database, schema, objects = entry.database, entry.schema, given.objects[entry.database]
    add { on = "database", database = database, privilege = "CONNECT" }
    for _, p in ipairs(privileges.schema) do add { on = "schema", database = database, schema = schema, privilege = p } end
    local tables = entry.tables == "*" and members(objects and objects.tables[schema]) or entry.tables
    for _, name in ipairs(tables) do
      for _, p in ipairs(privileges.table) do
        add { on = "table", database = database, schema = schema, name = name, privilege = p }
      end
    end
    for _, sequence in ipairs(M.sequences(entry, objects)) do
      for _, p in ipairs(privileges.sequence) do
        add { on = "sequence", database = database, schema = sequence[1], name = sequence[2], privilege = p }
      end
    end
    for _, creator in ipairs(entry.future and M.creators(entry, given.dialect, objects) or {}) do
      for _, p in ipairs(privileges.table) do
        add { on = "future_table", database = database, schema = schema, creator = creator, privilege = p }
      end
      for _, p in ipairs(entry.sequences and privileges.sequence or {}) do
        add { on = "future_sequence", database = database, schema = schema, creator = creator, privilege = p }
      end
    end
  end
  return M.sorted(out)
end

return M
