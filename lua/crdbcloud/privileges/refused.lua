--- Why access or roles cannot be given to an application user, or must not; asked before anything is sent.

local errors = require "crdbcloud.errors"
local options = require "crdbcloud.base.options"
local names = require "crdbcloud.names"
local quote = require "crdbcloud.sql.quote"
local access = require "crdbcloud.privileges.access"
local exact = require "crdbcloud.privileges.exact"
local roles = require "crdbcloud.privileges.roles"
local inspection = require "crdbcloud.privileges.inspect"
local read_objects = require "crdbcloud.privileges.read_objects"
local read_roles = require "crdbcloud.privileges.read_roles"

local M = {}

local function failed(kind, operation, message, hint)
  return errors.new { kind = kind, operation = operation, message = message, hint = hint, outcome = "not_sent" }
end

--- What of an access is not there. All of it is said at once.
---@param list table[] normalized access
---@param objects table<string, crdbcloud.privileges.objects>
---@return crdbcloud.error|nil
function M.missing_objects(list, objects)
  local problems = {}
  for _, entry in ipairs(list) do
    local found = objects[entry.database]
    if not found.schemas[entry.schema] then
      problems[#problems + 1] = "schema " .. quote.qualified(entry.database, entry.schema)
    elseif entry.tables ~= "*" then
      local tables = found.tables[entry.schema] or {}
      for _, name in ipairs(entry.tables) do
        if not tables[name] then
          local near = options.nearest(name, tables)
          problems[#problems + 1] = "table " .. quote.qualified(entry.database, entry.schema, name)
            .. (near and (" (did you mean %s?)"):format(near) or "")
        end
      end
    end
  end
  if #problems == 0 then return nil end
  return failed("not_found", "privileges.apply", table.concat(problems, ", ") .. (#problems == 1 and " does not exist" or " do not exist"))
end

--- Refuses roles that lead to what an application user must not have.
---@param graph crdbcloud.privileges.graph
---@param list string[] folded
---@return crdbcloud.error|nil
function M.roles(graph, list)
  for _, role in ipairs(list) do
    local shown = quote.identifier(role)
    if names.is_protected(role) then
      return failed("invalid_argument", "privileges", ("role %s belongs to the cluster itself and is not given to an application user"):format(shown))
    end
    if not graph.traits[role] then
      return failed("not_found", "privileges", ("role %s does not exist"):format(shown), "create it first: CREATE ROLE " .. shown)
    end
    local leads = roles.leads_to(graph, role)
    if leads then
      return failed("invalid_argument", "privileges",
        ("role %s leads to %s, which an application user must not have"):format(shown, leads),
        "see SHOW GRANTS ON ROLE, or give a role without it")
    end
  end
  return nil
end

-- The databases, schemas and tables that the access names are there.
local function look_for(sql, deadline, dialect, list)
  local objects = {}
  for _, database in ipairs((access.places(list))) do
    local found, err = inspection.within(sql, deadline, dialect, database, function(conn)
      return read_objects.objects(conn, deadline, database)
    end)
    if not found then return err end
    objects[database] = found
  end
  return M.missing_objects(list, objects)
end

-- The default privileges that access changes, as far as their makers matter.
local function future_of(list, dialect)
  local changed = {}
  for _, entry in ipairs(list) do
    for _, creator in ipairs(entry.future and (entry.creators or dialect == "cockroachdb" and { "*" }) or {}) do
      changed[#changed + 1] = { on = "future_table", creator = creator }
    end
  end
  return changed
end

-- What roles and makers of future tables have to say against it.
local function look_at_roles(sql, deadline, dialect, wanted_roles, changed)
  local graph, err = read_roles.graph(sql, deadline, dialect)
  if not graph then return err end
  err = M.roles(graph, wanted_roles)
  if err then return err end
  for _, grant in ipairs(changed) do
    if grant.creator ~= "*" and not graph.traits[grant.creator] then
      return failed("not_found", "privileges", ("creators: role %s does not exist"):format(quote.identifier(grant.creator)))
    end
  end
  local own, version
  own, err = sql:user()
  if own then version, err = sql:version() end
  if not version then return err end
  return exact.maker_refused({ dialect = dialect, graph = graph, version = version }, changed, own)
end

--- nil when the access and the roles can be given: what they name is there, neither leads to admin or past every grant,
--- and the SQL user may change the default privileges that are meant.
---@param sql crdbcloud.sql
---@param deadline number
---@param list table[] normalized access
---@param wanted_roles string[] folded
---@return crdbcloud.error|nil
function M.refused(sql, deadline, list, wanted_roles)
  local dialect, err = sql:dialect()
  if not dialect then return err end
  for _, entry in ipairs(list) do
    local _, unknown = access.privileges(entry, dialect)
    if unknown then return unknown end
  end
  local changed = future_of(list, dialect)
  if #wanted_roles + #changed > 0 then
    err = look_at_roles(sql, deadline, dialect, wanted_roles, changed)
    if err then return err end
  end
  return look_for(sql, deadline, dialect, list)
end

return M
