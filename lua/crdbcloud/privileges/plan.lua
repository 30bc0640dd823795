--- Wanted access -> SQL statements, and single grants -> the statements that take them away. Pure.
--
-- Never emitted: GRANT SELECT (or any other table privilege) ON DATABASE, which both servers refuse (0LP01). Names are
-- quoted always. On CockroachDB one session serves all databases, with USE in front of default privileges, which know
-- the current database only; on PostgreSQL each statement says in which database it must run.

local errors = require "crdbcloud.errors"
local quote = require "crdbcloud.sql.quote"
local dialects = require "crdbcloud.sql.dialect"
local access = require "crdbcloud.privileges.access"
local grants = require "crdbcloud.privileges.grants"
local printing = require "crdbcloud.base.printing"

local M = {}

-- A list of statements is a plain list to whoever prints or encodes it; what goes with it stands behind a metatable.
---@class crdbcloud.privileges.statements: {[integer]: string}
---@field databases table<integer, string> statement -> database it must run in; none: anywhere
---@field uses table<integer, string> statement -> database that it makes the current one (CockroachDB)

local Plan = {}
Plan.__index = Plan

--- An empty list of statements to add to: builder:add(text, database), builder:add_in(database, text); builder.list.
---@param dialect crdbcloud.dialect.traits
function M.new(dialect)
  local list = setmetatable({}, {
    __name = "crdbcloud.statements", __index = { databases = {}, uses = {} }, __tostring = printing.joined,
  })
  return setmetatable({ list = list, dialect = dialect, seen = {} }, Plan)
end

-- Adds a statement once; database: where it must run on a server that cannot cross databases.
function Plan:add(text, database)
  local key = text .. "\1" .. (database or "")
  if self.seen[key] then return end
  self.seen[key] = true
  self.list[#self.list + 1] = text
  if not self.dialect.cross_database then self.list.databases[#self.list] = database end
end

-- For statements that act on the current database.
function Plan:add_in(database, text)
  if self.dialect.cross_database then
    if self.current ~= database then
      self.current = database
      self.list[#self.list + 1] = "USE " .. quote.identifier(database)
      self.list.uses[#self.list] = database
    end
    self.list[#self.list + 1] = text
  else
    self:add(text, database)
  end
end

-- A name of something in a database, as far as the dialect can say it.
function Plan:name(database, ...)
  if self.dialect.cross_database then return quote.qualified(database, ...) end
  return quote.qualified(...)
end

local function too_long(dialect, entry)
  if not dialect.name_limit then return nil end
  local list = { entry.database, entry.schema }
  if entry.tables ~= "*" then
    for _, name in ipairs(entry.tables) do list[#list + 1] = name end
  end
  for _, name in ipairs(list) do
    if #name > dialect.name_limit then return name end
  end
  return nil
end

local function defaults(plan, given)
  local whose = given.creator == "*" and "FOR ALL ROLES "
    or given.creator and ("FOR ROLE %s "):format(quote.identifier(given.creator)) or ""
  local where = given.schema and ("IN SCHEMA %s "):format(quote.identifier(given.schema)) or ""
  plan:add_in(given.database, ("ALTER DEFAULT PRIVILEGES %s%s%s %s%s ON %s %s %s"):format(whose, where, given.verb,
    given.option or "", given.privileges, given.objects, given.verb == "GRANT" and "TO" or "FROM", given.user))
end

local function add_entry(plan, entry, given, user)
  local privileges, err = access.privileges(entry, plan.dialect.name)
  if not privileges then return nil, err end
  local database, schema = entry.database, entry.schema
  local on_tables, on_sequences = table.concat(privileges.table, ", "), table.concat(privileges.sequence, ", ")
  plan:add(("GRANT CONNECT ON DATABASE %s TO %s"):format(quote.identifier(database), user))
  plan:add(("GRANT %s ON SCHEMA %s TO %s"):format(
    table.concat(privileges.schema, ", "), plan:name(database, schema), user), database)
  local objects = given.objects and given.objects[database]
  if entry.tables == "*" then
    plan:add(("GRANT %s ON ALL TABLES IN SCHEMA %s TO %s"):format(on_tables, plan:name(database, schema), user), database)
    if entry.sequences then
      plan:add(("GRANT %s ON ALL SEQUENCES IN SCHEMA %s TO %s"):format(
        on_sequences, plan:name(database, schema), user), database)
    end
  else
    local tables = {}
    for i, name in ipairs(entry.tables) do tables[i] = plan:name(database, schema, name) end
    plan:add(("GRANT %s ON TABLE %s TO %s"):format(on_tables, table.concat(tables, ", "), user), database)
    for _, sequence in ipairs(grants.sequences(entry, objects)) do
      plan:add(("GRANT %s ON SEQUENCE %s TO %s"):format(
        on_sequences, plan:name(database, sequence[1], sequence[2]), user), database)
    end
  end
  if entry.future then
    local creators = grants.creators(entry, plan.dialect.name, objects)
    if #creators == 0 then creators = { false } end
    for _, creator in ipairs(creators) do
      local of = {
        database = database, schema = schema, creator = creator or nil, verb = "GRANT", user = user,
        privileges = on_tables, objects = "TABLES",
      }
      defaults(plan, of)
      of.privileges, of.objects = on_sequences, "SEQUENCES"
      if entry.sequences then defaults(plan, of) end
    end
  end
  return true
end

local function refused(message)
  return nil, errors.new { kind = "invalid_argument", operation = "privileges.plan", outcome = "not_sent", message = message }
end

--- The statements that give a user its access. Running them again changes nothing.
---@param wanted table|nil access, as written or normalized
---@param given {user: string, dialect: crdbcloud.dialect, roles: string[]?, revoke_admin: boolean?,
---  objects: table<string, crdbcloud.privileges.objects>?} user and roles folded; objects: what the server has, for
---  sequences of listed tables and, on PostgreSQL, the makers of future tables
---@return crdbcloud.privileges.statements|nil
---@return crdbcloud.error|nil
function M.plan(wanted, given)
  local dialect = dialects.traits[given.dialect]
  if not dialect then
    return refused("dialect must be cockroachdb or postgresql, got " .. errors.shown(given.dialect))
  end
  local list, err = access.normalize(wanted)
  if not list then return nil, err end
  local user = quote.identifier(given.user)
  local plan = M.new(dialect)
  if given.revoke_admin then plan:add(("REVOKE %s FROM %s"):format(quote.identifier "admin", user)) end
  for _, role in ipairs(given.roles or {}) do plan:add(("GRANT %s TO %s"):format(quote.identifier(role), user)) end
  for _, entry in ipairs(list) do
    local long = too_long(dialect, entry)
    if long then
      return refused(("%s is %d bytes long; %s would cut it off at %d"):format(errors.shown(long), #long, dialect.name,
        dialect.name_limit))
    end
    local ok
    ok, err = add_entry(plan, entry, given, user)
    if not ok then return nil, err end
  end
  return plan.list
end

-- Grants on the same thing become one statement: key of a thing without its privilege.
local function grouped(list)
  local groups, by_key = {}, {}
  for _, grant in ipairs(grants.sorted(list)) do
    local thing = {}
    for field, value in pairs(grant) do thing[field] = value end
    thing.privilege = nil
    local key = grants.key(thing)
    if not by_key[key] then
      by_key[key] = { thing = thing, privileges = {}, grants = {} }
      groups[#groups + 1] = by_key[key]
    end
    local group = by_key[key]
    group.privileges[#group.privileges + 1] = grant.privilege
    group.grants[#group.grants + 1] = grant
  end
  return groups
end

local ON = {
  database = "DATABASE", schema = "SCHEMA", table = "TABLE", sequence = "SEQUENCE", type = "TYPE", ["function"] = "FUNCTION",
  procedure = "PROCEDURE", external_connection = "EXTERNAL CONNECTION",
}
-- ON ROUTINES is known only to newer servers, ON FUNCTIONS to all; PostgreSQL means procedures by it, too.
local FUTURE = {
  future_table = "TABLES", future_sequence = "SEQUENCES", future_type = "TYPES", future_schema = "SCHEMAS",
  future_function = "FUNCTIONS",
}

-- The name of a thing in a statement about it. CockroachDB finds a routine in the current database only.
local function name_of(plan, thing)
  if thing.on == "database" then return quote.identifier(thing.database) end
  if thing.on == "external_connection" then return quote.identifier(thing.name) end
  if thing.on == "function" or thing.on == "procedure" then
    local name, arguments = thing.name:match "^([^(]*)(%(.*%))$"
    if not name then return nil end
    return quote.qualified(thing.schema, name) .. arguments
  end
  if thing.name then return plan:name(thing.database, thing.schema, thing.name) end
  return plan:name(thing.database, thing.schema)
end

local function revoke_group(plan, group, user)
  local thing, words = group.thing, table.concat(group.privileges, ", ")
  local option = thing.option and "GRANT OPTION FOR " or ""
  if thing.on == "role" then
    plan:add(("REVOKE %s%s FROM %s"):format(thing.option and "ADMIN OPTION FOR " or "", quote.identifier(thing.name), user))
  elseif thing.on == "system" then
    plan:add(("REVOKE %sSYSTEM %s FROM %s"):format(option, words, user))
  elseif FUTURE[thing.on] then
    defaults(plan, {
      database = thing.database, schema = thing.schema, creator = thing.creator, verb = "REVOKE", user = user,
      privileges = words, objects = FUTURE[thing.on], option = option,
    })
  else
    local name = ON[thing.on] and name_of(plan, thing)
    if not name then return false end
    local text = ("REVOKE %s%s ON %s %s FROM %s"):format(option, words, ON[thing.on], name, user)
    if thing.on == "function" or thing.on == "procedure" then
      plan:add_in(thing.database, text)
    else
      plan:add(text, thing.on ~= "external_connection" and thing.on ~= "database" and thing.database or nil)
    end
  end
  return true
end

--- The statement that gives a thing to another owner.
---@param thing table {on, database, schema, name} that somebody owns
---@param dialect crdbcloud.dialect
---@param owner string|nil a role; nil: NEW_OWNER, for a person to fill in
---@param word string|nil what the server calls the thing, where its kind does not say it: "VIEW"
---@return string
function M.hand_over(thing, dialect, owner, word)
  local plan = M.new(dialects.traits[dialect])
  return ("ALTER %s %s OWNER TO %s"):format(word or ON[thing.on], name_of(plan, thing), owner and quote.identifier(owner) or "NEW_OWNER")
end

--- The statements that take single grants away.
---@param extra table[] each from given.user, or from its own grantee (default privileges that a maker gives)
---@param given {user: string, dialect: crdbcloud.dialect, plan: table?} plan: of M.new, to add them to
---@return crdbcloud.privileges.statements
---@return table[] left grants of kinds that no statement is known for
function M.revoke(extra, given)
  local plan = given.plan or M.new(dialects.traits[given.dialect])
  local left = {}
  for _, group in ipairs(grouped(extra)) do
    local grantee = group.thing.grantee or given.user
    local user = grantee == "public" and "PUBLIC" or quote.identifier(grantee)
    if not revoke_group(plan, group, user) then
      for _, grant in ipairs(group.grants) do left[#left + 1] = grant end
    end
  end
  return plan.list, left
end

return M
