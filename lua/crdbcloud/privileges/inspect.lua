--- What a user really has, by asking the server.

local errors = require "crdbcloud.errors"
local quote = require "crdbcloud.sql.quote"
local dialects = require "crdbcloud.sql.dialect"
local catalog = require "crdbcloud.privileges.catalog"
local roles = require "crdbcloud.privileges.roles"
local grants = require "crdbcloud.privileges.grants"
local printing = require "crdbcloud.base.printing"

local M = {}

local function missing(what, name)
  return nil, errors.new {
    kind = "not_found", operation = "privileges", outcome = "not_sent", message = ("%s %s does not exist"):format(what, quote.identifier(name)),
  }
end

--- Calls look(connection) with a connection whose current database is the one named.
---@return any|nil
---@return crdbcloud.error|nil
function M.within(sql, deadline, dialect, database, look)
  local exists, err = catalog.has_database(sql, deadline, database)
  if exists == nil then return nil, err end
  if not exists then return missing("database", database) end
  if not dialects.traits[dialect].cross_database then
    local sibling
    sibling, err = sql:database(database)
    if not sibling then return nil, err end
    return look(sibling)
  end
  local ok
  ok, err = sql:use(database)
  if not ok then return nil, err end
  local result
  result, err = look(sql)
  ok = sql:use_home()
  if not ok and result then return nil, err end
  return result, err
end

local function owned_by(user, database, objects)
  local list = {}
  local function add(on, owner, schema, name)
    if owner == user then list[#list + 1] = { on = on, database = database, schema = schema, name = name } end
  end
  add("database", objects.owner)
  for schema, owner in pairs(objects.schemas) do add("schema", owner, schema) end
  for kind, set in pairs { table = objects.tables, sequence = objects.sequences } do
    for schema, named in pairs(set) do
      for name, owner in pairs(named) do add(kind, owner, schema, name) end
    end
  end
  return list
end

--- Roles and options of a user, and, for the databases asked for, its direct grants and what it owns.
---@param sql crdbcloud.sql
---@param deadline number
---@param user string folded
---@param given {databases: string[]|"all"|nil, owned_by_tables: table<string, table<string, string[]>>?} none: roles only;
---  owned_by_tables: database -> schema -> tables whose own sequences are wanted
---@return table|nil {exists, login, admin, admin_direct, admin_via, admin_option, createrole, createlogin, superuser,
---  roles, grants, owns, public_create, user, dialect}, and, not shown, objects and graph
---@return crdbcloud.error|nil
function M.inspect(sql, deadline, user, given)
  local dialect, err = sql:dialect()
  if not dialect then return nil, err end
  local graph
  graph, err = catalog.graph(sql, deadline, dialect)
  if not graph then return nil, err end
  local out = roles.describe(graph, user)
  out.user, out.dialect, out.grants, out.owns, out.public_create = user, dialect, {}, {}, {}
  -- Behind a metatable: what printing and encoding should not show.
  setmetatable(out, { __name = "crdbcloud.inspection", __index = { graph = graph, objects = {} }, __tostring = printing.fields })
  local list = given.databases or {}
  if list == "all" then
    list, err = catalog.databases(sql, deadline)
    if not list then return nil, err end
  end
  for _, database in ipairs(list) do
    local done
    done, err = M.within(sql, deadline, dialect, database, function(conn)
      local objects, why = catalog.objects(conn, deadline, database)
      if not objects then return nil, why end
      for schema, tables in pairs((given.owned_by_tables or {})[database] or {}) do
        local ok
        ok, why = catalog.owned_sequences(conn, deadline, objects, schema, tables)
        if not ok then return nil, why end
      end
      out.objects[database] = objects
      for _, owned in ipairs(owned_by(user, database, objects)) do out.owns[#out.owns + 1] = owned end
      local found
      found, why = catalog.grants(conn, deadline, dialect, user, database, objects, out.exists)
      if not found then return nil, why end
      for _, grant in ipairs(found) do out.grants[#out.grants + 1] = grant end
      for _, schema in ipairs(objects.public_create) do out.public_create[#out.public_create + 1] = database .. "." .. schema end
      return true
    end)
    if not done then return nil, err end
  end
  for _, role in ipairs(out.roles) do out.grants[#out.grants + 1] = { on = "role", name = role, privilege = "MEMBER" } end
  out.grants = grants.sorted(out.grants)
  out.owns = grants.sorted(out.owns)
  return out
end

return M
