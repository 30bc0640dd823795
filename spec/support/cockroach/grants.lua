--- GRANT, REVOKE and ALTER DEFAULT PRIVILEGES of the model, by patterns of the statement.

local model = require "spec.support.cockroach.model"

local fail = model.fail

local function bare(quoted)
  return (quoted:gsub('^"', ""):gsub('"$', ""):gsub('""', '"'))
end

-- `"a"."b"."c"` -> a, b, c; the specs' names hold no dots.
local function names_of(text)
  local out = {}
  for part in text:gmatch "[^.]+" do out[#out + 1] = bare(part) end
  return (table.unpack or unpack)(out)
end

local KINDS = {
  DATABASE = "database", SCHEMA = "schema", TABLE = "table", SEQUENCE = "sequence", TYPE = "type", FUNCTION = "routine",
  PROCEDURE = "routine", ["EXTERNAL CONNECTION"] = "external_connection",
}

-- One item of `TABLE a, b`; a routine is of the current database and cannot be named in another one.
local function find_item(self, word, item)
  local kind = KINDS[word]
  local arguments
  if kind == "routine" then
    item, arguments = item:match "^(.-)(%b())$"
    if not item then return fail "at or near: syntax error" end
    local schema, name = names_of(item)
    if (word == "PROCEDURE") ~= (name:find "^proc" ~= nil) then return fail("%s is not a %s", name, word:lower()) end
    local thing = self:find(kind, self.current, schema, name .. arguments)
    if not thing then return fail("unknown function: %s%s()", name, arguments) end
    return thing
  end
  local thing
  if kind == "external_connection" then
    thing = self:find(kind, nil, nil, bare(item))
  else
    thing = self:find(kind, names_of(item))
    -- TABLE names a sequence as well.
    if not thing and kind == "table" then thing = self:find("sequence", names_of(item)) end
  end
  if not thing then return fail("relation %s does not exist", item) end
  return thing
end

--- The things that a statement names: `TABLE "d"."s"."t", …`, `ALL TABLES IN SCHEMA "d"."s"`.
---@return table[]|nil things
---@return string words of an error; or, for ALL, true: what does not fit a sequence is ignored
local function targets(self, on)
  local every, where = on:match "^ALL (%u+) IN SCHEMA (.*)$"
  if every then
    local database, schema = names_of(where)
    local list = {}
    for thing in self:each(function(t) return t.database == database and t.schema == schema end) do
      local is = { TABLES = thing.kind == "table" or thing.kind == "sequence", SEQUENCES = thing.kind == "sequence",
        FUNCTIONS = thing.kind == "routine" }
      if is[every] then list[#list + 1] = thing end
    end
    return list, true
  end
  local word, items = on:match '^(%u[%u ]*%u) (".*)$'
  if not KINDS[word or ""] then return fail "at or near: syntax error" end
  local list = {}
  for item in (items .. ", "):gmatch '("[^,]-), ' do
    local thing, words = find_item(self, word, item)
    if not thing then return nil, words end
    list[#list + 1] = thing
  end
  return list
end

local function change_grants(self, verb, privileges, on, user, option)
  local things, lenient = targets(self, on)
  if not things then return nil, lenient end
  if user ~= "public" and not self.roles[user] then return fail("role/user %q does not exist", user) end
  for _, thing in ipairs(things) do
    for p in privileges:gmatch "%u+" do
      if not model.is_valid(thing.kind, p) and not (thing.kind == "sequence" and (lenient == true or on:find "^TABLE")) then
        return fail("invalid privilege type %s for %s", p, thing.kind)
      end
    end
  end
  for _, thing in ipairs(things) do
    for p in privileges:gmatch "%u+" do
      if verb == "GRANT" and model.is_valid(thing.kind, p) then
        self:grant(thing, user, p, option)
      elseif verb == "REVOKE" and thing.owner == user then
        self.notices[#self.notices + 1] = ("%s is the owner of %s and still has all privileges implicitly"):format(user, thing.name or "it")
      elseif verb == "REVOKE" then
        thing.grants[user] = thing.grants[user] or {}
        model.take(thing.grants[user], thing.kind, p, option)
      end
    end
  end
  return true
end

-- The same statement with and without WITH GRANT OPTION, GRANT OPTION FOR.
local function split(text)
  local verb, rest = text:match "^(%u+) (.*)$"
  local grant_option = verb == "GRANT" and rest:match "^(.*) WITH GRANT OPTION$" or verb == "REVOKE" and rest:match "^GRANT OPTION FOR (.*)$"
  rest = grant_option or rest
  rest = rest:gsub(" PUBLIC$", ' "public"')
  local what, user = rest:match(verb == "GRANT" and '^(.*) TO (".-")$' or '^(.*) FROM (".-")$')
  return verb, what, user and bare(user), grant_option and true or false
end

local function change_system(self, privileges, user, verb, option)
  for p in privileges:gmatch "%u+" do
    if not model.is_valid("system", p) then return fail("invalid privilege type %s for system", p) end
  end
  self.system[user] = self.system[user] or {}
  for p in privileges:gmatch "%u+" do
    if verb == "GRANT" then model.put(self.system[user], p, option) else model.take(self.system[user], "system", p, option) end
  end
  return true
end

local FUTURE = { TABLES = "table", SEQUENCES = "sequence", TYPES = "type", SCHEMAS = "schema", FUNCTIONS = "routine", ROUTINES = "routine" }

local function may_alter_for(self, role)
  if role == "*" then
    if self:is_admin(self.user) then return true end
    return fail "only users with the admin role are allowed to ALTER DEFAULT PRIVILEGES FOR ALL ROLES"
  end
  if not self.roles[role] then return fail("role/user %q does not exist", role) end
  if role == self.user or self:reach(self.user)[role] then return true end
  -- Being an admin helps only from these versions on.
  if self:is_admin(self.user) and self:since "23.1.29 23.2.16 24.1.7 24.2.5 24.3" then return true end
  return fail("must be a member of %s", role)
end

local function alter_defaults(self, whose, schema, change)
  local verb, what, user, option = split(change)
  local privileges, word = (what or ""):match "^([%u, ]+) ON (%u+)$"
  local kind = FUTURE[word or ""]
  if not kind or word == "ROUTINES" and not self:since "25.3" then return fail "at or near: syntax error" end
  local role = whose == "FOR ALL ROLES" and "*" or bare(whose:match '^FOR ROLE (".*")$' or '""')
  local ok, words = may_alter_for(self, role)
  if not ok then return nil, words end
  for p in privileges:gmatch "%u+" do
    if not model.is_valid(kind, p) then return fail("invalid privilege type %s for %s", p, kind) end
  end
  local plural = word == "FUNCTIONS" and "routines" or word:lower()
  if role == user and not schema and verb == "REVOKE" then
    -- Taking what was implied leaves an entry of the role in the database, which nothing removes.
    local touched = self.touched[self.current] or {}
    touched[role] = touched[role] or {}
    touched[role][plural], self.touched[self.current] = true, touched
  end
  self:add_default({ database = self.current, schema = schema, creator = role, kind = plural, grantee = user }, function(held)
    for p in privileges:gmatch "%u+" do
      if verb == "GRANT" then model.put(held, p, option) else model.take(held, kind, p, option) end
    end
  end)
  return true
end

--- Notes default privileges: entry {database, schema, creator (or "*"), kind ("tables", …), grantee}; change(held).
function model.CLASS:add_default(entry, change)
  local key = table.concat({ entry.database, entry.schema or "", entry.creator, entry.kind, entry.grantee }, "\1")
  entry = self.defaults[key] or entry
  entry.held = entry.held or {}
  change(entry.held)
  self.defaults[key] = next(entry.held) and entry or nil
end

local function unquoted_schema(self, whose, schema, change)
  return alter_defaults(self, whose, bare(schema), change)
end

return {
  { '^ALTER DEFAULT PRIVILEGES (FOR .-) IN SCHEMA (".-") ([GR][RE][AV]%u+ .*)$', unquoted_schema },
  { "^ALTER DEFAULT PRIVILEGES (FOR .-) ([GR][RE][AV]%u+ .*)$", function(self, whose, change) return alter_defaults(self, whose, nil, change) end },
  { "^([GR][RE][AV]%u+ .*)$", function(self, text)
    local verb, what, user, option = split(text)
    if not user then return fail "at or near: syntax error" end
    local privileges = what:match "^SYSTEM ([%u, ]+)$"
    if privileges then return change_system(self, privileges, user, verb, option) end
    local on
    privileges, on = what:match '^([%u, ]+) ON (%u.*)$'
    if privileges then return change_grants(self, verb, privileges, on, user, option) end
    return self:change_member(verb, what, user)
  end },
}
