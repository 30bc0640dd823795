--- Stands in for a CockroachDB session where no CockroachDB can run: an object with `query`, as another library's
-- connection has it. It answers the SHOW statements and pg_catalog questions of crdbcloud.privileges in the columns that
-- CockroachDB documents, carries out GRANT, REVOKE, USE and ALTER DEFAULT PRIVILEGES on a small state, and refuses
-- everything else as a syntax error, so that a statement in PostgreSQL's dialect cannot pass.

local M = {}

local Model = {}
Model.__index = Model

local function fail(state_words)
  return nil, "ERROR: " .. state_words
end

local function bare(quoted)
  return (quoted:gsub('^"', ""):gsub('"$', ""):gsub('""', '"'))
end

-- `"a"."b"."c"` -> a, b, c; the specs' names hold no dots.
local function names_of(text)
  local out = {}
  for part in text:gmatch "[^.]+" do out[#out + 1] = bare(part) end
  return (table.unpack or unpack)(out)
end

local DATABASE = { CONNECT = true, CREATE = true, DROP = true, BACKUP = true }

--- databases: name -> {tables = {schema -> {names}}, sequences = {...}, owned = {table -> sequence}}
function M.new(databases)
  local self = setmetatable({
    databases = databases, current = "defaultdb", log = {}, grants = {}, defaults = {}, members = {}, system = {}, sessions = {},
    roles = { root = "{}", admin = "{NOLOGIN}" }, fail_next = {},
  }, Model)
  self:add_member("root", "admin", true)
  return self
end

function Model:add_member(member, role, option)
  self.members[member .. "\1" .. role] = { member = member, role_name = role, is_admin = option == true }
end

function Model:grant(database, schema, object, kind, grantee, privilege)
  self.grants[table.concat({ database, schema or "", object or "", kind, grantee, privilege }, "\1")] = {
    database_name = database, schema_name = schema, object_name = object, object_type = kind, grantee = grantee,
    privilege_type = privilege,
  }
end

function Model:revoke(database, schema, object, kind, grantee, privilege)
  self.grants[table.concat({ database, schema or "", object or "", kind, grantee, privilege }, "\1")] = nil
end

local function values(set, wanted)
  local rows, keys = {}, {}
  for key in pairs(set) do keys[#keys + 1] = key end
  table.sort(keys)
  for _, key in ipairs(keys) do
    if not wanted or wanted(set[key]) then rows[#rows + 1] = set[key] end
  end
  return rows
end

local function relations(database)
  local rows = {}
  for kind, set in pairs { r = database.tables, S = database.sequences or {} } do
    for schema, list in pairs(set) do
      for _, name in ipairs(list) do rows[#rows + 1] = { schema_name = schema, name = name, kind = kind, owner = "root" } end
    end
  end
  return rows
end

-- Answers of questions, by a piece of their text; the first that fits.
local ANSWERS = {
  { "version%(%)", function() return { { answer = "CockroachDB CCL v25.2.1 (x86_64-pc-linux-gnu, built 2025/06/01)" } } end },
  { "session_user", function() return { { answer = "root" } } end },
  { "current_database%(%) AS answer", function(self) return { { answer = self.current } } end },
  { "%[SHOW GRANTS ON ROLE%]", function(self)
    local rows = {}
    for i, row in ipairs(values(self.members)) do rows[i] = { role = row.role_name, member = row.member, with_option = row.is_admin } end
    return rows
  end },
  { "%[SHOW USERS%]", function(self)
    local rows = {}
    for name, text in pairs(self.roles) do rows[#rows + 1] = { name = name, options = text } end
    return rows
  end },
  { "%[SHOW SYSTEM GRANTS%]", function(self)
    if not self.system then return fail 'at or near "grants": syntax error' end
    local rows = {}
    for _, row in ipairs(values(self.system)) do rows[#rows + 1] = { name = row.grantee, privilege = row.privilege_type } end
    return rows
  end },
  { "^SELECT %* FROM %[SHOW GRANTS FOR (\"[^\"]*\")%]$", function(self, user)
    -- What comes through roles and public is shown too.
    if not self.roles[bare(user)] then return fail(("role/user %s does not exist"):format(user)) end
    return values(self.grants, function(row) return row.database_name == self.current end)
  end },
  { "%[SHOW DEFAULT PRIVILEGES FOR GRANTEE (\"[^\"]*\") IN SCHEMA (\"[^\"]*\")%]", function(self, user, schema)
    return values(self.defaults, function(row)
      return row.database == self.current and row.schema == bare(schema) and row.grantee == bare(user)
    end)
  end },
  { "%[SHOW DEFAULT PRIVILEGES FOR GRANTEE", function() return {} end },
  { "pg_get_serial_sequence", function(self, _)
    local rows = {}
    for name, sequence in pairs(self.databases[self.current].owned or {}) do rows[#rows + 1] = { name = name, sequence = sequence } end
    return rows
  end },
  { "FROM pg_catalog.pg_class", function(self) return relations(self.databases[self.current]) end },
  { "FROM pg_catalog.pg_namespace", function(self)
    local rows = {}
    for schema in pairs(self.databases[self.current].tables) do rows[#rows + 1] = { name = schema, owner = "root" } end
    return rows
  end },
  { "d.datdba", function() return { { owner = "root" } } end },
  { "SELECT datname FROM pg_catalog.pg_database WHERE datname = '([^']*)'", function(self, name)
    return self.databases[name] and { { datname = name } } or {}
  end },
  { "SELECT datname AS name", function(self)
    local rows = {}
    for name in pairs(self.databases) do rows[#rows + 1] = { name = name } end
    return rows
  end },
  { "^SHOW session_id$", function() return { { session_id = "own" } } end },
  { "^SELECT session_id AS id FROM %[SHOW CLUSTER SESSIONS%] WHERE user_name = '([^']*)' AND session_id <> 'own'", function(self, user)
    return values(self.sessions, function(row) return row.user == user end)
  end },
  { "^CANCEL SESSIONS IF EXISTS %(SELECT session_id FROM %[SHOW CLUSTER SESSIONS%] WHERE user_name = '([^']*)' AND session_id <> 'own'%)$",
    function(self, user)
      for key, row in pairs(self.sessions) do
        if row.user == user then self.sessions[key] = nil end
      end
      return true
    end },
}

-- Calls change(database, schema, object, kind) for what a GRANT names; nil and words when it is not valid.
local function targets(self, on, change)
  local function each(kind, list)
    for item in list:gmatch "[^,]+" do
      local database, schema, object = names_of((item:gsub("^%s+", "")))
      change(database, schema, object, kind)
    end
    return true
  end
  local every, where = on:match "^ALL (%u+) IN SCHEMA (.*)$"
  if every then
    local database, schema = names_of(where)
    for _, row in ipairs(relations(self.databases[database])) do
      -- "ALL TABLES" takes sequences along.
      if row.schema_name == schema and (row.kind == "S" or every == "TABLES") then
        change(database, schema, row.name, row.kind == "S" and "sequence" or "table")
      end
    end
    return true
  end
  local kind, list = on:match "^(%u+) (.*)$"
  if kind == "DATABASE" or kind == "SCHEMA" or kind == "TABLE" or kind == "SEQUENCE" then return each(kind:lower(), list) end
  return nil
end

local function change_privileges(self, verb, privileges, on, user)
  for p in privileges:gmatch "%u+" do
    if on:find "^DATABASE" and not DATABASE[p] and p ~= "ALL" then return fail(("invalid privilege type %s for database"):format(p)) end
    local method = verb == "GRANT" and self.grant or self.revoke
    if not targets(self, on, function(database, schema, object, kind)
      if p == "ALL" and verb == "REVOKE" then
        for key, row in pairs(self.grants) do
          if row.database_name == database and row.schema_name == schema and row.object_name == object and row.grantee == user then
            self.grants[key] = nil
          end
        end
      end
      method(self, database, schema, object, kind, user, p)
    end) then
      return fail "at or near: syntax error"
    end
  end
  return true
end

local function alter_default(self, text)
  local whose, schema, verb, privileges, kind, user = text:match
    '^ALTER DEFAULT PRIVILEGES FOR (.-) IN SCHEMA (".-") (%u+) ([%u, ]+) ON (%u+) %u+ (".-")$'
  if not whose then return fail "at or near: syntax error" end
  local role = whose:match '^ROLE (".*")$'
  for p in privileges:gmatch "%u+" do
    local row = {
      database = self.current, schema = bare(schema), role = role and bare(role) or nil, for_all_roles = role == nil,
      object_type = kind:lower(), grantee = bare(user), privilege_type = p,
    }
    self.defaults[table.concat({ self.current, schema, whose, kind, user, p }, "\1")] = verb == "GRANT" and row or nil
  end
  return true
end

local function change(self, text)
  local database = text:match '^USE (".*")$'
  if database then
    if not self.databases[bare(database)] then return fail(("database %s does not exist"):format(database)) end
    self.current = bare(database)
    return true
  end
  if text == "SET database = ''" then
    self.current = ""
    return true
  end
  if text:find "^ALTER DEFAULT" then return alter_default(self, text) end
  local user, options = text:match '^ALTER ROLE (".-") WITH ([%u ]+)$'
  if user then
    for option in options:gmatch "NO(%u+)" do self.roles[bare(user)] = self.roles[bare(user)]:gsub(option, "") end
    return true
  end
  local list
  list, user = text:match '^REVOKE SYSTEM ([%u, ]+) FROM (".-")$'
  if list then
    for key, row in pairs(self.system) do
      if row.grantee == bare(user) and list:find(row.privilege_type, 1, true) then self.system[key] = nil end
    end
    return true
  end
  local option, member
  option, user = text:match '^REVOKE ADMIN OPTION FOR (".-") FROM (".-")$'
  if option then
    self.members[bare(user) .. "\1" .. bare(option)].is_admin = false
    return true
  end
  local verb, role, _, to = text:match '^(%u+) (".-") (%u+) (".-")$'
  if verb then
    member = bare(to) .. "\1" .. bare(role)
    if verb == "REVOKE" then self.members[member] = nil else self:add_member(bare(to), bare(role)) end
    return true
  end
  local privileges, on
  verb, privileges, on, user = text:match '^(%u+) ([%u, ]+) ON (.+) %u+ (".-")$'
  if verb then return change_privileges(self, verb, privileges, on, bare(user)) end
  return fail(("at or near %q: syntax error"):format(text))
end

function Model:query(text)
  self.log[#self.log + 1] = text
  local words = table.remove(self.fail_next, 1)
  if words then return fail(words) end
  for _, pair in ipairs(ANSWERS) do
    local found = { text:find(pair[1]) }
    if found[1] then return pair[2](self, found[3], found[4]) end
  end
  return change(self, text)
end

--- The statements since the last call that change something.
function Model:changes()
  local list = {}
  for _, text in ipairs(self.log) do
    if text:find "^GRANT" or text:find "^REVOKE" or text:find "^ALTER" or text:find "^CANCEL" then list[#list + 1] = text end
  end
  self.log = {}
  return list
end

return M
