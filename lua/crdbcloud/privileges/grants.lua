--- Single grants: one privilege on one thing, the form in which wanted and actual access are compared. Pure.
--
-- { on, database, schema, name, creator, privilege } with on = "database", "schema", "table", "sequence", "type",
-- "function", "procedure" (name with arguments: "f(int8)"), "future_table", "future_sequence", "future_type",
-- "future_schema", "future_function" (creator: a role, or "*" for all), "role" (name; privilege "MEMBER"), "system",
-- "external_connection" (name). More fields where they say something: grantable = true (WITH GRANT OPTION, ADMIN OPTION),
-- via = {"staff", "public"} (it comes through roles, or everybody has it), grantee (to whom a maker gives it), grantor
-- (who gave it, where that is not the owner), option = true (not the privilege is meant, only the right to pass it on).

local access = require "crdbcloud.privileges.access"

local M = {}

local FIELDS = { "on", "database", "schema", "name", "creator", "privilege", "grantee" }

--- A text that is equal for equal grants and sorts them.
---@param grant table
---@return string
function M.key(grant)
  local parts = {}
  for i, field in ipairs(FIELDS) do parts[i] = grant[field] or "" end
  if grant.option then parts[#parts + 1] = "option" end
  if grant.via then parts[#parts + 1] = table.concat(grant.via, "\2") end
  return table.concat(parts, "\1")
end

--- A grant with some fields changed.
---@param grant table
---@param changes table
---@return table
function M.copy(grant, changes)
  local copy = {}
  for field, value in pairs(grant) do copy[field] = value end
  for field, value in pairs(changes) do copy[field] = value end
  return copy
end

--- The right to pass a grant on, without the grant itself.
---@param grant table
---@return table
function M.option_of(grant)
  return M.copy(grant, { option = true })
end

local function in_words(grant)
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
  if grant.on == "system" then return "system privilege " .. grant.privilege end
  return ("%s on %s %s"):format(grant.privilege, (grant.on:gsub("_", " ")), where)
end

--- For people: "SELECT on table shop.public.orders WITH GRANT OPTION", "USAGE on schema shop.public, through staff, ops".
---@param grant table
---@return string
function M.describe(grant)
  local option = grant.on == "role" and "ADMIN OPTION" or "GRANT OPTION"
  local text = in_words(grant)
  if grant.option then return ("%s for %s"):format(option, text) end
  if grant.grantable then text = ("%s WITH %s"):format(text, option) end
  if grant.grantee then text = ("%s, for %s"):format(text, grant.grantee) end
  if grant.via then text = ("%s, through %s"):format(text, table.concat(grant.via, ", ")) end
  return text
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
---@field schemas table<string, string> schema -> owner
---@field tables table<string, table<string, string>> schema -> table -> owner
---@field sequences table<string, table<string, string>> schema -> sequence -> owner
---@field views table<string, table<string, string>> schema -> those of the tables that are views -> "VIEW" or "MATERIALIZED VIEW"
---@field types table<string, table<string, string>> schema -> type -> owner
---@field functions table<string, table<string, string>> schema -> "f(int8)" -> owner
---@field procedures table<string, table<string, string>> schema -> "p()" -> owner
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
