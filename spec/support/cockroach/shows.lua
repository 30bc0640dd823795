--- What the model answers to SHOW, by patterns of the statement; the first that fits.

local model = require "spec.support.cockroach.model"

local function bare(quoted)
  return (quoted:gsub('^"', ""):gsub('"$', ""):gsub('""', '"'))
end

local function sorted_keys(set)
  local keys = {}
  for key in pairs(set) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

local function no_such(name)
  return model.fail("role/user %s does not exist", name)
end

-- What SHOW says about one thing and one grantee: an owner has ALL, whatever was granted to it.
local function held(thing, grantee)
  if thing.owner == grantee or grantee == "admin" then return { ALL = true } end
  return thing.grants[grantee] or {}
end

local function grants_for(self, name)
  local user = bare(name)
  if not self.roles[user] then return no_such(name) end
  local grantees = self:reach(user)
  grantees[user] = true
  -- Everybody's rights are shown only from 24.2 on.
  if self:since "24.2" then grantees.public = true end
  local new_columns, rows = self:since "23.1.22 23.2.6 24.1", {}
  for thing in self:each(function(t) return t.database == self.current or t.database == nil end) do
    for _, grantee in ipairs(sorted_keys(grantees)) do
      local has = held(thing, grantee)
      for _, privilege in ipairs(sorted_keys(has)) do
        local row = {
          database_name = thing.database, schema_name = thing.schema, grantee = grantee, privilege_type = privilege,
          is_grantable = has[privilege],
        }
        if new_columns then
          row.object_name, row.object_type = thing.name, thing.kind
        else
          row.relation_name = thing.name
        end
        rows[#rows + 1] = row
      end
    end
  end
  return rows
end

local OBJECTS = { "tables", "sequences", "schemas", "types", "routines" }
local IMPLIED_FOR_PUBLIC = { types = "USAGE", routines = "EXECUTE" }

local function default_row(self, role, kind, grantee, privilege, grantable)
  local shown = kind == "routines" and not self:since "24.1" and "functions" or kind
  return {
    role = role ~= "*" and role or nil, for_all_roles = role == "*", object_type = shown, grantee = grantee,
    privilege_type = privilege, is_grantable = grantable,
  }
end

-- All rows of a place: what was granted, and, in the database as a whole, what nobody granted.
local function default_rows(self, schema, roles, wanted)
  local rows = {}
  local function add(...)
    local row = default_row(self, ...)
    if wanted(row) then rows[#rows + 1] = row end
  end
  for _, role in ipairs(schema and {} or roles) do
    local touched = (self.touched[self.current] or {})[role] or {}
    for _, kind in ipairs(OBJECTS) do
      if role ~= "*" and not touched[kind] then add(role, kind, role, "ALL", true) end
      if IMPLIED_FOR_PUBLIC[kind] then add(role, kind, "public", IMPLIED_FOR_PUBLIC[kind], false) end
    end
  end
  local named = {}
  for _, role in ipairs(roles) do named[role] = true end
  for _, key in ipairs(sorted_keys(self.defaults)) do
    local entry = self.defaults[key]
    if entry.database == self.current and entry.schema == schema and named[entry.creator] then
      for _, privilege in ipairs(sorted_keys(entry.held)) do
        add(entry.creator, entry.kind, entry.grantee, privilege, entry.held[privilege])
      end
    end
  end
  return rows
end

local function everybody(self)
  local list = sorted_keys(self.roles)
  list[#list + 1] = "*"
  return list
end

local function show_defaults(self, words)
  local who, schema = words:match '^(.-) IN SCHEMA (".*")$'
  who, schema = who or words, schema and bare(schema)
  if who == "FOR ALL ROLES" then return default_rows(self, schema, { "*" }, function() return true end) end
  local grantee = who:match '^FOR GRANTEE (".*")$'
  if grantee then
    if not self:since "22.2.15 23.1.11 23.2" then return model.fail 'at or near "grantee": syntax error' end
    if not self.roles[bare(grantee)] then return no_such(grantee) end
    return default_rows(self, schema, everybody(self), function(row) return row.grantee == bare(grantee) end)
  end
  local roles = {}
  for quoted in (who:match '^FOR ROLE (".*")$' or ""):gmatch '"[^"]*"' do
    if not self.roles[bare(quoted)] then return no_such(quoted) end
    roles[#roles + 1] = bare(quoted)
  end
  if #roles == 0 then return model.fail "at or near: syntax error" end
  return default_rows(self, schema, roles, function() return true end)
end

local function options_text(self, role)
  local list = {}
  for _, option in ipairs(sorted_keys(role.options)) do
    local value = role.options[option]
    list[#list + 1] = value == true and option or ("%s=%s"):format(option, value)
  end
  if not self:since "25.3" then return table.concat(list, ", ") end
  for i, text in ipairs(list) do
    if text:find "[ ,]" then list[i] = '"' .. text .. '"' end
  end
  return "{" .. table.concat(list, ",") .. "}"
end

local function sessions_of(self, user, cutoff)
  local rows = {}
  for _, id in ipairs(sorted_keys(self.sessions)) do
    local session = self.sessions[id]
    if session.user == user and (not cutoff or session.start < tonumber(cutoff)) then rows[#rows + 1] = { id = id } end
  end
  return rows
end

local function cancel(self, user, cutoff)
  for _, row in ipairs(sessions_of(self, user, cutoff)) do self.sessions[row.id] = nil end
  return true
end

local SESSIONS = "user_name = '([^']*)' AND session_id <> 'own'"
local BEFORE = " AND %(session_start IS NULL OR session_start < '([^']*)'%)"

return {
  { "%[SHOW GRANTS ON ROLE%]", function(self)
    local rows = {}
    for _, key in ipairs(sorted_keys(self.members)) do
      local edge = self.members[key]
      rows[#rows + 1] = { role = edge.role, member = edge.member, with_option = edge.option }
    end
    return rows
  end },
  { "options::STRING AS options FROM %[SHOW USERS%]", function(self)
    local rows = {}
    for _, name in ipairs(sorted_keys(self.roles)) do
      rows[#rows + 1] = { name = name, options = options_text(self, self.roles[name]) }
    end
    return rows
  end },
  { "^SELECT %* FROM %[SHOW SYSTEM GRANTS%]$", function(self)
    if not self:since "22.2" then return model.fail 'at or near "grants": syntax error' end
    local rows, column = {}, self:since "23.1" and "privilege_type" or "privilege"
    for _, grantee in ipairs(sorted_keys(self.system)) do
      for _, privilege in ipairs(sorted_keys(self.system[grantee])) do
        rows[#rows + 1] = { grantee = grantee, [column] = privilege, is_grantable = self.system[grantee][privilege] }
      end
    end
    return rows
  end },
  { '^SELECT %* FROM %[SHOW GRANTS FOR ("[^"]*")%]$', grants_for },
  { "^SELECT %* FROM %[SHOW DEFAULT PRIVILEGES (.*)%]$", show_defaults },
  { "^SHOW session_id$", function() return { { session_id = "own" } } end },
  { "^SELECT %(clock_timestamp%(%) %- INTERVAL '([%d.]+) seconds'%)::text AS cutoff$", function(self, ago)
    return { { cutoff = ("%.3f"):format(self.clock - tonumber(ago)) } }
  end },
  { "^SELECT session_id AS id FROM %[SHOW CLUSTER SESSIONS%] WHERE " .. SESSIONS .. BEFORE .. " AND status <> 'CLOSED'$", sessions_of },
  { "^SELECT session_id AS id FROM %[SHOW CLUSTER SESSIONS%] WHERE " .. SESSIONS .. " AND status <> 'CLOSED'$", sessions_of },
  { "^CANCEL SESSIONS IF EXISTS %(SELECT session_id FROM %[SHOW CLUSTER SESSIONS%] WHERE " .. SESSIONS .. BEFORE .. "%)$", cancel },
  { "^CANCEL SESSIONS IF EXISTS %(SELECT session_id FROM %[SHOW CLUSTER SESSIONS%] WHERE " .. SESSIONS .. "%)$", cancel },
}
