--- Statements about roles of the model: memberships, options, owners, DROP ROLE with all that it refuses.

local model = require "spec.support.cockroach.model"

local fail = model.fail

local function bare(quoted)
  return (quoted:gsub('^"', ""):gsub('"$', ""):gsub('""', '"'))
end

--- GRANT role TO user, REVOKE [ADMIN OPTION FOR] role FROM user; what: the words between.
function model.CLASS:change_member(verb, what, user)
  local only_option = what:match '^ADMIN OPTION FOR (".-")$'
  local role = bare(only_option or what:match '^(".-")$' or "")
  if not self.roles[role] or not self.roles[user] then return fail("role/user %q does not exist", role) end
  local key = user .. "\1" .. role
  if verb == "GRANT" then
    if self:reach(role)[user] or role == user then return fail("making %s a member of %s would create a cycle", user, role) end
    if not self.members[key] then self:add_member(user, role) end
  elseif only_option then
    if self.members[key] then self.members[key].option = false end
  else
    self.members[key] = nil
  end
  return true
end

-- What a thing is called in a refusal.
local function called(thing)
  local parts = {}
  for _, field in ipairs { "database", "schema", "name" } do
    if thing[field] then parts[#parts + 1] = thing[field] end
  end
  return table.concat(parts, ".")
end

--- Why DROP ROLE refuses, one line per cause; empty when it would not.
---@return string[]
function model.CLASS:blockers(role)
  local list = {}
  local function add(words, ...) list[#list + 1] = words:format(...) end
  for thing in self:each() do
    if thing.owner == role then add("owner of %s %s", thing.kind, called(thing)) end
    if next(thing.grants[role] or {}) then add("privileges for %s %s", thing.kind, called(thing)) end
  end
  for _, entry in pairs(self.defaults) do
    if entry.creator == role then add("owner of default privileges on new %s in database %s", entry.kind, entry.database) end
    if entry.grantee == role then add("privileges for default privileges on new %s in database %s", entry.kind, entry.database) end
  end
  for database, roles in pairs(self.touched) do
    for kind in pairs(roles[role] or {}) do add("owner of default privileges on new %s in database %s", kind, database) end
  end
  for privilege in pairs(self.system[role] or {}) do add("has global %s privilege", privilege) end
  if (self.jobs[role] or 0) > 0 then add("it owns %d scheduled jobs", self.jobs[role]) end
  for _, policy in ipairs(self.policies) do
    for _, name in ipairs(policy.roles) do
      if name == role then add("target of policy %s on table %s", policy.name, policy.table) end
    end
  end
  table.sort(list)
  return list
end

local function drop_role(self, name)
  if not self.roles[name] then return fail("role/user %q does not exist", name) end
  local causes = self:blockers(name)
  if #causes > 0 then
    return fail("role %s cannot be dropped because some objects depend on it: %s", name, table.concat(causes, "; "))
  end
  self.roles[name] = nil
  for key, edge in pairs(self.members) do
    if edge.member == name or edge.role == name then self.members[key] = nil end
  end
  return true
end

local function set_options(self, name, words)
  local role = self.roles[name]
  if not role then return fail("role/user %q does not exist", name) end
  for word in words:gmatch "%u+" do
    local positive = word:match "^NO(%u+)$"
    if word == "LOGIN" or word == "SQLLOGIN" then
      role.options["NO" .. word] = nil
    elseif positive == "LOGIN" or positive == "SQLLOGIN" then
      role.options[word] = true
    elseif model.is_valid("system", positive or word) then
      role.options[positive or word] = not positive or nil
    else
      return fail("at or near %q: syntax error", word)
    end
  end
  return true
end

-- Only the current database, and until these versions nothing of schema public.
local function reassign(self, from, to)
  if not self.roles[from] or not self.roles[to] then return fail("role/user %q does not exist", to) end
  local with_public = self:since "23.1.29 23.2.16 24.1.7 24.2.5 24.3"
  for thing in self:each(function(t) return t.owner == from and t.database == self.current end) do
    if with_public or thing.schema ~= "public" then thing.owner = to end
  end
  return true
end

local function drop_owned(self, name)
  if next(self.system[name] or {}) then return fail("unimplemented: cannot perform drop owned: %s has synthetic privileges", name) end
  for thing in self:each(function(t) return t.database == self.current end) do
    thing.grants[name] = nil
    -- Types stay.
    if thing.owner == name and thing.kind ~= "type" and thing.kind ~= "database" then self:remove(thing) end
  end
  return true
end

local OWNED = {
  DATABASE = "database", SCHEMA = "schema", TABLE = "table", SEQUENCE = "sequence", TYPE = "type", FUNCTION = "routine",
  PROCEDURE = "routine",
}

local function set_owner(self, word, name, owner)
  local parts = {}
  local path, arguments = name:match "^(.-)(%b())$"
  for part in (path or name):gmatch "[^.]+" do parts[#parts + 1] = bare(part) end
  if OWNED[word] == "routine" then table.insert(parts, 1, self.current) end
  if arguments then parts[#parts] = parts[#parts] .. arguments end
  local thing = OWNED[word] and self:find(OWNED[word], parts[1], parts[2], parts[3])
  if not thing then return fail("relation %s does not exist", name) end
  if not self.roles[owner] then return fail("role/user %q does not exist", owner) end
  local place = thing.name and self:find("schema", thing.database, thing.schema) or self:find("database", thing.database)
  if thing.kind ~= "database" and not self:may_create(owner, place) then
    return fail("user %s does not have CREATE privilege on %s %s", owner, place.kind, place.schema or place.database)
  end
  thing.owner = owner
  return true
end

--- Whether a role may make things in a schema or database, as has_schema_privilege says it.
function model.CLASS:may_create(role, place)
  if self:is_admin(role) then return true end
  local names = self:reach(role)
  names[role], names.public = true, true
  for name in pairs(names) do
    local held = place.grants[name] or {}
    if place.owner == name or held.CREATE ~= nil or held.ALL ~= nil then return true end
  end
  return false
end

--- Adds a row policy {database, schema = "public", table, name, roles}.
function model.CLASS:add_policy(policy)
  policy.schema = policy.schema or "public"
  self.policies[#self.policies + 1] = policy
end

local function find_policy(self, name, place)
  local parts = {}
  for part in place:gmatch "[^.]+" do parts[#parts + 1] = bare(part) end
  for i, policy in ipairs(self.policies) do
    if policy.name == bare(name) and policy.database == parts[1] and policy.schema == parts[2] and policy.table == parts[3] then return policy, i end
  end
  return nil
end

local function drop_policy(self, name, place)
  local _, at = find_policy(self, name, place)
  if not at then return fail("policy %s does not exist", name) end
  table.remove(self.policies, at)
  return true
end

local function alter_policy(self, name, place, list)
  local policy = find_policy(self, name, place)
  if not policy then return fail("policy %s does not exist", name) end
  policy.roles = {}
  for quoted in list:gmatch '"[^"]*"' do policy.roles[#policy.roles + 1] = bare(quoted) end
  return true
end

return {
  { '^DROP POLICY IF EXISTS (".-") ON (".*")$', drop_policy },
  { '^ALTER POLICY (".-") ON (".-") TO (".*")$', alter_policy },
  { '^CREATE ROLE "([^"]*)"$', function(self, name)
    if self.roles[name] then return fail("a role/user named %s already exists", name) end
    self:add_role(name, "NOLOGIN")
    return true
  end },
  { '^DROP ROLE "([^"]*)"$', drop_role },
  { '^ALTER ROLE "([^"]*)" WITH ([%u ]+)$', set_options },
  { '^REASSIGN OWNED BY "([^"]*)" TO "([^"]*)"$', reassign },
  { '^DROP OWNED BY "([^"]*)"$', drop_owned },
  { '^ALTER (%u+) (".*) OWNER TO "([^"]*)"$', set_owner },
}
