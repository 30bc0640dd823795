--- Stands in for a CockroachDB session where no CockroachDB can run: an object with `query`, as another library's
-- connection has it. It is as stubborn as the server's own tests say: implied default privileges, owners that nothing
-- limits, system privileges, DROP ROLE that looks at everything, columns by version. What it does not know is a syntax
-- error, so a statement in PostgreSQL's dialect cannot pass.
--
--   local model = cockroach.new({ shop = { tables = { public = { "orders" } } } }, { version = "23.1.0" })

local M = {}

local Model = {}
Model.__index = Model
M.CLASS = Model

--- Privileges that each kind of thing has, beside ALL.
M.VALID = {
  database = { "BACKUP", "CONNECT", "CREATE", "DROP", "RESTORE", "ZONECONFIG" },
  schema = { "CREATE", "USAGE" },
  table = { "BACKUP", "CHANGEFEED", "CREATE", "DELETE", "DROP", "INSERT", "SELECT", "TRIGGER", "UPDATE", "ZONECONFIG" },
  sequence = { "CREATE", "DROP", "SELECT", "UPDATE", "USAGE", "ZONECONFIG" },
  type = { "USAGE" },
  routine = { "EXECUTE" },
  external_connection = { "DROP", "USAGE" },
  system = {
    "BACKUP", "BYPASSRLS", "CANCELQUERY", "CONTROLJOB", "CREATEDB", "CREATELOGIN", "CREATEROLE", "EXTERNALCONNECTION",
    "MODIFYCLUSTERSETTING", "NOSQLLOGIN", "REPAIRCLUSTER", "RESTORE", "VIEWACTIVITY", "VIEWACTIVITYREDACTED",
    "VIEWSYSTEMTABLE",
  },
}

--- The words of an error, as another library's connection gives them.
function M.fail(words, ...)
  return nil, "ERROR: " .. words:format(...)
end

function M.is_valid(kind, privilege)
  for _, name in ipairs(M.VALID[kind]) do
    if name == privilege then return true end
  end
  return privilege == "ALL"
end

local function numbers(version)
  local out = {}
  for part in version:gmatch "%d+" do out[#out + 1] = tonumber(part) end
  return out
end

--- True from each of these versions on, each within its series, and in every later series: "23.1.22 23.2.6 24.1".
function Model:since(list)
  local own, same, later = self.numbers, nil, true
  for text in list:gmatch "%S+" do
    local first = numbers(text)
    if first[1] == own[1] and first[2] == own[2] then same = own[3] >= (first[3] or 0) end
    later = own[1] > first[1] or own[1] == first[1] and own[2] > first[2]
  end
  if same ~= nil then return same end
  return later
end

local function key_of(kind, database, schema, name)
  return table.concat({ kind, database or "", schema or "", name or "" }, "\1")
end

--- A database, schema, table, sequence, type, routine or external connection.
---@return table {kind, database, schema, name, owner, grants = {grantee -> {privilege -> grantable}}}
function Model:thing(kind, database, schema, name)
  local thing = self.things[key_of(kind, database, schema, name)]
  assert(thing, ("the model has no %s %s.%s.%s"):format(kind, tostring(database), tostring(schema), tostring(name)))
  return thing
end

function Model:find(kind, database, schema, name)
  return self.things[key_of(kind, database, schema, name)]
end

function Model:add(kind, database, schema, name, owner)
  local thing = { kind = kind, database = database, schema = schema, name = name, owner = owner or "root", grants = {} }
  self.things[key_of(kind, database, schema, name)] = thing
  return thing
end

function Model:remove(thing)
  self.things[key_of(thing.kind, thing.database, thing.schema, thing.name)] = nil
end

--- All things in one order; test: only those for which it is true.
function Model:each(test)
  local keys, list = {}, {}
  for key, thing in pairs(self.things) do
    if not test or test(thing) then keys[#keys + 1] = key end
  end
  table.sort(keys)
  for i, key in ipairs(keys) do list[i] = self.things[key] end
  local i = 0
  return function()
    i = i + 1
    return list[i]
  end
end

--- Notes a privilege; ALL takes the place of single ones.
function M.put(held, privilege, grantable)
  if privilege == "ALL" then
    local option = grantable or held.ALL == true
    for name in pairs(held) do held[name] = nil end
    held.ALL = option
  elseif held.ALL == nil then
    held[privilege] = grantable or held[privilege] == true
  elseif grantable then
    held.ALL = true -- a model has one grant option for ALL
  end
end

--- Takes a privilege, or with option_only the right to grant it on. One taken from ALL leaves all others.
function M.take(held, kind, privilege, option_only)
  if privilege == "ALL" then
    for name in pairs(held) do
      if option_only then held[name] = false else held[name] = nil end
    end
    return
  end
  if held.ALL ~= nil then
    local option = held.ALL
    held.ALL = nil
    for _, name in ipairs(M.VALID[kind]) do held[name] = option end
  end
  if held[privilege] == nil then return end
  if option_only then held[privilege] = false else held[privilege] = nil end
end

function Model:grant(thing, grantee, privilege, grantable)
  thing.grants[grantee] = thing.grants[grantee] or {}
  M.put(thing.grants[grantee], privilege, grantable)
end

function Model:grant_system(grantee, privilege, grantable)
  self.system[grantee] = self.system[grantee] or {}
  M.put(self.system[grantee], privilege, grantable)
end

function Model:add_role(name, ...)
  self.last_number = (self.last_number or 99) + 1
  local role = { options = {}, number = self.last_number }
  for _, option in ipairs { ... } do role.options[option] = true end
  self.roles[name] = role
  return role
end

function Model:add_member(member, role, option)
  self.members[member .. "\1" .. role] = { member = member, role = role, option = option == true }
end

--- Every role that name is a member of, directly or not.
function Model:reach(name)
  local reached, queue, at = {}, { name }, 1
  while queue[at] do
    for _, edge in pairs(self.members) do
      if edge.member == queue[at] and not reached[edge.role] then
        reached[edge.role] = true
        queue[#queue + 1] = edge.role
      end
    end
    at = at + 1
  end
  return reached
end

function Model:is_admin(name)
  return name == "root" or name == "admin" or self:reach(name).admin == true
end

local KINDS = { tables = "table", sequences = "sequence", types = "type", routines = "routine" }

-- What everybody has on a new thing.
local function for_public(self, thing)
  if thing.kind == "database" then
    self:grant(thing, "public", "CONNECT")
  elseif thing.kind == "schema" and thing.schema == "public" then
    self:grant(thing, "public", "CREATE")
    self:grant(thing, "public", "USAGE")
  elseif thing.kind == "type" then
    self:grant(thing, "public", "USAGE")
  elseif thing.kind == "routine" then
    self:grant(thing, "public", "EXECUTE")
  end
end

--- Adds a database: {tables = {schema -> {names}}, sequences, types, routines = {schema -> {"f(int8)"}},
--- owned = {table -> sequence}, owner}.
function Model:add_database(name, given)
  local owner = given.owner or "root"
  for_public(self, self:add("database", name, nil, nil, owner))
  local schemas = { public = true }
  for field, kind in pairs(KINDS) do
    for schema, list in pairs(given[field] or {}) do
      schemas[schema] = true
      for _, object in ipairs(list) do for_public(self, self:add(kind, name, schema, object)) end
    end
  end
  for schema in pairs(schemas) do
    -- The owner of a database owns its public schema only since these versions.
    local of_database = schema == "public" and self:since "23.2.7 24.1.2 24.2"
    for_public(self, self:add("schema", name, schema, nil, of_database and owner or schema == "public" and "admin" or "root"))
  end
  self.owned[name] = given.owned or {}
end

-- Patterns of statements and what answers them, in this order; loaded with the first model, as they need this file.
local ROOMS = { "spec.support.cockroach.shows", "spec.support.cockroach.catalog", "spec.support.cockroach.grants",
  "spec.support.cockroach.roles" }

--- databases: name -> what Model:add_database takes. given: version ("25.3.0"), user (of the session, "root").
function M.new(databases, given)
  given = given or {}
  for _, name in ipairs(ROOMS) do require(name) end
  local self = setmetatable({
    version = given.version or "25.3.0", user = given.user or "root", current = "defaultdb", clock = 1000000,
    things = {}, owned = {}, roles = {}, members = {}, system = {}, defaults = {}, touched = {}, sessions = {}, jobs = {},
    policies = {}, log = {}, notices = {},
  }, Model)
  self.numbers = numbers(self.version)
  self:add_role "root"
  self:add_role("admin", "NOLOGIN")
  self:add_member("root", "admin", true)
  for name, objects in pairs(databases) do self:add_database(name, objects) end
  self:add_database("system", {})
  self:add("table", "system", "public", "users", "node")
  return self
end

function Model:query(text)
  self.log[#self.log + 1] = text
  -- Off by default from 26.1; what stands in brackets is not hit by it.
  if self:since "26.1" and (text:find "FROM%s+crdb_internal%." or text:find "FROM%s+system%.") then
    return M.fail "Access to crdb_internal and system is restricted"
  end
  for _, name in ipairs(ROOMS) do
    for _, pair in ipairs(require(name)) do
      local found = { text:match(pair[1]) }
      if found[1] then return pair[2](self, (table.unpack or unpack)(found)) end
    end
  end
  return M.fail("at or near %q: syntax error", text)
end

--- The statements since the last call that change something.
function Model:changes()
  local list = {}
  for _, text in ipairs(self.log) do
    if text:find "^GRANT" or text:find "^REVOKE" or text:find "^ALTER" or text:find "^CANCEL" or text:find "^REASSIGN"
      or text:find "^DROP" or text:find "^CREATE" then
      list[#list + 1] = text
    end
  end
  self.log = {}
  return list
end

return M
