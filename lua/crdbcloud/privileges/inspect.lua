--- What a user really has, by asking the server.

local errors = require "crdbcloud.errors"
local quote = require "crdbcloud.sql.quote"
local dialects = require "crdbcloud.sql.dialect"
local read_grants = require "crdbcloud.privileges.read_grants"
local read_objects = require "crdbcloud.privileges.read_objects"
local read_roles = require "crdbcloud.privileges.read_roles"
local roles = require "crdbcloud.privileges.roles"
local grants = require "crdbcloud.privileges.grants"
local versions = require "crdbcloud.privileges.versions"
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
  local exists, err = read_objects.has_database(sql, deadline, database)
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

local OWNED = {
  table = "tables", sequence = "sequences", type = "types", ["function"] = "functions", procedure = "procedures",
}

local function owned_by(user, database, objects)
  local list = {}
  local function add(on, owner, schema, name)
    if owner == user then list[#list + 1] = { on = on, database = database, schema = schema, name = name } end
  end
  add("database", objects.owner)
  for schema, owner in pairs(objects.schemas) do add("schema", owner, schema) end
  for kind, set in pairs(OWNED) do
    for schema, named in pairs(objects[set]) do
      for name, owner in pairs(named) do add(kind, owner, schema, name) end
    end
  end
  return list
end

-- Adds what one database holds of the user.
local function look_into(conn, deadline, database, given, who, out)
  local objects, err = read_objects.objects(conn, deadline, database)
  if not objects then return nil, err end
  for schema, tables in pairs((given.owned_by_tables or {})[database] or {}) do
    local ok
    ok, err = read_objects.owned_sequences(conn, deadline, objects, schema, tables)
    if not ok then return nil, err end
  end
  local found
  found, err = read_grants.look(conn, deadline, out.dialect, who, database, objects)
  if not found then return nil, err end
  out.objects[database] = objects
  local function append(list, more)
    for _, item in ipairs(more) do list[#list + 1] = item end
  end
  append(out.owns, owned_by(out.user, database, objects))
  append(out.grants, found.grants)
  append(out.gives, found.gives)
  if out.exists then append(out.inherited, found.inherited) end
  for _, schema in ipairs(found.public_create) do out.public_create[#out.public_create + 1] = database .. "." .. schema end
  return true
end

-- System privileges of the user itself and, with the way they come, of its roles and of everybody.
local function system_grants(out, graph, reached)
  local function add(list, name, via)
    for _, held in ipairs((graph.system or {})[name] or {}) do
      list[#list + 1] = { on = "system", privilege = held.privilege, grantable = held.grantable, via = via }
    end
  end
  add(out.grants, out.user)
  for role, way in pairs(reached) do
    if role ~= "admin" then add(out.inherited, role, way) end
  end
  add(out.inherited, "public", { "public" })
end

local function memberships(out, graph)
  for _, edge in ipairs(graph.members[out.user] or {}) do
    out.grants[#out.grants + 1] = { on = "role", name = edge.role, privilege = "MEMBER", grantable = edge.option or nil }
  end
end

--- Roles and options of a user, and, for the databases asked for, its grants and what it owns. All of it is plain data.
---@param sql crdbcloud.sql
---@param deadline number
---@param user string folded
---@param given {databases: string[]|"all"|nil, own_only: boolean?, owned_by_tables: table<string, table<string, string[]>>?}
---  no databases: roles and system privileges only; own_only: what it inherits and gives may be left out;
---  owned_by_tables: database -> schema -> tables whose own sequences are wanted
---@return table|nil {exists, login, admin, admin_direct, admin_via, admin_option, createrole, createlogin, powers,
---  superuser, roles, grants, inherited, gives, owns, public_create, unknown, user, dialect}, and, not shown, objects,
---  graph and version
---@return crdbcloud.error|nil
function M.inspect(sql, deadline, user, given)
  local dialect, err = sql:dialect()
  if not dialect then return nil, err end
  local version
  version, err = sql:version()
  if not version then return nil, err end
  local graph
  graph, err = read_roles.graph(sql, deadline, dialect)
  if not graph then return nil, err end
  local out, reached = roles.describe(graph, user), roles.reach(graph, user)
  out.user, out.dialect, out.grants, out.owns, out.public_create = user, dialect, {}, {}, {}
  out.inherited, out.gives, out.unknown = {}, {}, {}
  -- Behind a metatable: what printing and encoding should not show.
  setmetatable(out, {
    __name = "crdbcloud.inspection", __index = { graph = graph, objects = {}, version = version }, __tostring = printing.fields,
  })
  local list = given.databases or {}
  if list == "all" then
    list, err = read_objects.databases(sql, deadline, dialect)
    if not list then return nil, err end
  end
  local shows_public = dialect == "postgresql" or versions.since(version, versions.SHOWS_PUBLIC) ~= false
  if #list > 0 and not shows_public then out.unknown[1] = "what everybody has (public)" end
  local who = { user = user, reached = reached, graph = graph, shows_public = shows_public, own_only = given.own_only }
  for _, database in ipairs(list) do
    local done
    done, err = M.within(sql, deadline, dialect, database, function(conn)
      return look_into(conn, deadline, database, given, who, out)
    end)
    if not done then return nil, err end
  end
  if out.exists then
    system_grants(out, graph, reached)
    memberships(out, graph)
  end
  for _, field in ipairs { "grants", "inherited", "gives", "owns" } do out[field] = grants.sorted(out[field]) end
  return out
end

return M
