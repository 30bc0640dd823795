--- Wanted access as the user writes it: checked, with defaults filled in, in one order. Pure.
--
-- One entry: { database, schema = "public", tables = "*" or a list, privileges = {...} or preset, sequences, future,
-- creators }. What comes out is valid as input again and means the same, so that a recorded access and an asked one
-- can be compared.

local errors = require "crdbcloud.errors"
local options = require "crdbcloud.base.options"
local names = require "crdbcloud.names"

local M = {}

-- On tables, in the order in which statements name them. ALL is not among them: on CockroachDB it includes DROP,
-- BACKUP and ZONECONFIG.
M.TABLE_PRIVILEGES = {
  cockroachdb = { "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "CHANGEFEED", "TRIGGER", "ZONECONFIG", "BACKUP" },
  postgresql = { "SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER" },
}

local READWRITE = { "SELECT", "INSERT", "UPDATE", "DELETE" }

-- "ddl" depends on the dialect and stays a preset until statements are made.
M.PRESETS = { readonly = { "SELECT" }, readwrite = READWRITE, ddl = false }

local DDL = {
  cockroachdb = { "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP" },
  postgresql = { "SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER" },
}

-- Databases and schemas whose tables hold the passwords and rights of everybody.
local SYSTEM_DATABASES = { system = true, crdb_internal = true, template0 = true, template1 = true }
local SYSTEM_SCHEMAS = { information_schema = true, crdb_internal = true, pg_catalog = true, pg_extension = true, pg_toast = true }

local FIELDS = {
  database = true, schema = true, tables = true, privileges = true, preset = true, sequences = true, future = true,
  creators = true,
}

local function refused(at, message, hint)
  return nil, errors.new {
    kind = "invalid_argument", operation = "access", outcome = "not_sent", message = at .. message, hint = hint,
  }
end

-- Names are taken as they are in the catalogue: nothing folds a quoted name of a table.
local function check_name(at, field, value)
  if type(value) ~= "string" then return refused(at, ("%s must be a string, got %s"):format(field, errors.shown(value))) end
  if value == "" then return refused(at, field .. " is empty") end
  if value:find("%c") then return refused(at, field .. " must not hold control characters, got " .. errors.shown(value)) end
  return value
end

local function check_list(at, field, value, what)
  if type(value) ~= "table" then
    return refused(at, ("%s must be %s, got %s"):format(field, what, errors.shown(value)))
  end
  if #value == 0 then return refused(at, ("%s is an empty list; leave the entry out to give nothing"):format(field)) end
  local count = 0
  for _ in pairs(value) do count = count + 1 end
  if count ~= #value then return refused(at, ("%s must be a plain list"):format(field)) end
  local seen, list = {}, {}
  for i = 1, #value do
    local name, err = check_name(at, ("%s[%d]"):format(field, i), value[i])
    if not name then return nil, err end
    if not seen[name] then
      seen[name] = true
      list[#list + 1] = name
    end
  end
  table.sort(list)
  return list
end

local function all_privileges()
  local all = {}
  for _, list in pairs(M.TABLE_PRIVILEGES) do
    for _, name in ipairs(list) do all[name:lower()] = name end
  end
  return all
end

-- Lists only, sorted: two ways to write the same compare equal.
local function check_privileges(at, entry)
  if entry.preset ~= nil then
    if entry.privileges ~= nil then return refused(at, "give privileges or preset, not both") end
    local list = M.PRESETS[entry.preset]
    if list == nil then
      return refused(at, ("preset must be readonly, readwrite or ddl, got %s"):format(errors.shown(entry.preset)))
    end
    if list == false then return false end
    local copy = {}
    for i, name in ipairs(list) do copy[i] = name end
    table.sort(copy)
    return copy
  end
  if entry.privileges == nil then
    return refused(at, "privileges is missing", 'e.g. privileges = { "SELECT" }, or preset = "readonly"')
  end
  local list, err = check_list(at, "privileges", entry.privileges, "a list such as { \"SELECT\", \"INSERT\" }")
  if not list then return nil, err end
  local known, seen, out = all_privileges(), {}, {}
  for _, given in ipairs(list) do
    local lower = given:lower()
    if lower == "all" or lower == "all privileges" then
      return refused(at, "privileges: ALL is not taken, it includes DROP and BACKUP; name the ones that are needed",
        'preset = "readwrite" or "ddl" may be what is meant')
    end
    if lower == "connect" or lower == "usage" then
      return refused(at, ("privileges: %s is given with the database and schema by itself; name privileges on tables")
        :format(given:upper()))
    end
    local name = known[lower]
    if not name then
      local near = options.nearest(given, known)
      return refused(at, ("privileges: %s is no privilege on tables%s"):format(errors.shown(given),
        near and ("; did you mean %s?"):format(near:upper()) or ""))
    end
    if not seen[name] then
      seen[name] = true
      out[#out + 1] = name
    end
  end
  table.sort(out)
  return out
end

local function check_flag(at, field, value, default)
  if value == nil then return default end
  if type(value) ~= "boolean" then
    return refused(at, ("%s must be true or false, got %s"):format(field, errors.shown(value)))
  end
  return value
end

local function check_tables(at, entry)
  local tables = entry.tables
  if tables == nil or tables == "*" then return "*" end
  if type(tables) == "string" then
    return refused(at, ('tables must be "*" or a list, got %s; write tables = { %s }'):format(
      errors.shown(tables), errors.shown(tables)))
  end
  local list, err = check_list(at, "tables", tables, '"*" or a list of names')
  if not list then return nil, err end
  for _, name in ipairs(list) do
    if name == "*" then return refused(at, 'tables: write tables = "*" for all of them, not in a list') end
  end
  return list
end

local function check_creators(at, entry, future)
  if entry.creators == nil then return nil end
  if not future then return refused(at, "creators says whose future tables are meant, but future is not set") end
  local list, err = check_list(at, "creators", entry.creators, "a list of roles")
  if not list then return nil, err end
  for i, name in ipairs(list) do list[i] = names.fold(name) end
  table.sort(list)
  return list
end

local function normalize_entry(at, entry)
  for field in pairs(entry) do
    if not FIELDS[field] then
      local near = type(field) == "string" and options.nearest(field, FIELDS)
      return refused(at, ("unknown field %s; %s"):format(errors.shown(field),
        near and ('did you mean "%s"?'):format(near) or "valid: " .. options.names(FIELDS)))
    end
  end
  local out, err = {}
  if entry.database == nil then return refused(at, "database is missing") end
  out.database, err = check_name(at, "database", entry.database)
  if err then return nil, err end
  out.schema, err = check_name(at, "schema", entry.schema == nil and "public" or entry.schema)
  if err then return nil, err end
  if SYSTEM_DATABASES[out.database] or SYSTEM_SCHEMAS[out.schema] then
    local what = SYSTEM_DATABASES[out.database] and "database " .. out.database or "schema " .. out.schema
    return refused(at, what .. " belongs to the cluster itself; rights there lead to everybody's")
  end
  out.tables, err = check_tables(at, entry)
  if err then return nil, err end
  local every = out.tables == "*"
  local privileges
  privileges, err = check_privileges(at, entry)
  if err then return nil, err end
  if privileges then out.privileges = privileges else out.preset = "ddl" end
  out.sequences, err = check_flag(at, "sequences", entry.sequences, every)
  if err then return nil, err end
  out.future, err = check_flag(at, "future", entry.future, every)
  if err then return nil, err end
  if out.future and not every then
    return refused(at, 'future: tables to come can only be meant with tables = "*"')
  end
  out.creators, err = check_creators(at, entry, out.future)
  if err then return nil, err end
  return out
end

--- A text that is equal for equal entries and sorts them.
---@param entry table normalized
---@return string
function M.key(entry)
  local function words(v)
    return type(v) == "table" and table.concat(v, "\1") or tostring(v)
  end
  return table.concat({
    entry.database, entry.schema, words(entry.tables), words(entry.privileges or entry.preset),
    tostring(entry.sequences), tostring(entry.future), words(entry.creators or {}),
  }, "\2")
end

--- Checks access and gives it back complete and in one order.
---@param access table|nil one entry, or a list of them; nil and {} mean none
---@return table[]|nil list
---@return crdbcloud.error|nil err kind "invalid_argument"
function M.normalize(access)
  if access == nil then return {} end
  if type(access) ~= "table" then
    return refused("", "access must be a table such as { database = \"shop\", preset = \"readonly\" }, got " .. errors.shown(access))
  end
  local given, single = access, false
  if next(access) ~= nil and access[1] == nil then given, single = { access }, true end
  local list, seen = {}, {}
  for key in pairs(given) do
    if not options.is_integer(key) or key < 1 or key > #given then
      return refused("", "access must be one entry or a list of entries, not both: found " .. errors.shown(key) .. " beside a list")
    end
  end
  for i, entry in ipairs(given) do
    local at = single and "access: " or ("access[%d]: "):format(i)
    if type(entry) ~= "table" then return refused(at, "must be a table, got " .. errors.shown(entry)) end
    local out, err = normalize_entry(at, entry)
    if not out then return nil, err end
    local key = M.key(out)
    if not seen[key] then
      seen[key] = true
      list[#list + 1] = out
    end
  end
  table.sort(list, function(a, b) return M.key(a) < M.key(b) end)
  return list
end

-- Those of list that are in the dialect's order.
local function ordered(list, dialect)
  local wanted, out = {}, {}
  for _, name in ipairs(list) do wanted[name] = true end
  for _, name in ipairs(M.TABLE_PRIVILEGES[dialect]) do
    if wanted[name] then
      out[#out + 1] = name
      wanted[name] = nil
    end
  end
  return out, next(wanted)
end

--- The privileges that an entry means in a dialect.
---@param entry table normalized
---@param dialect crdbcloud.dialect
---@return {table: string[], schema: string[], sequence: string[]}|nil
---@return crdbcloud.error|nil
function M.privileges(entry, dialect)
  local tables, unknown = ordered(entry.privileges or DDL[dialect], dialect)
  if unknown then
    return refused("access: ", ("privileges: %s does not exist on %s; there are %s"):format(unknown, dialect,
      table.concat(M.TABLE_PRIVILEGES[dialect], ", ")))
  end
  local writes = false
  for _, name in ipairs(tables) do writes = writes or name == "INSERT" or name == "UPDATE" end
  return {
    table = tables,
    schema = entry.preset == "ddl" and { "CREATE", "USAGE" } or { "USAGE" },
    -- USAGE lets a user draw numbers, which is a write: readers get SELECT.
    sequence = writes and { "USAGE", "SELECT" } or { "SELECT" },
  }
end

--- The databases that access names, and the tables whose own sequences matter: database -> schema -> names.
---@param list table[] normalized
---@return string[] databases
---@return table<string, table<string, string[]>> tables
function M.places(list)
  local databases, seen, tables = {}, {}, {}
  for _, entry in ipairs(list) do
    if not seen[entry.database] then
      seen[entry.database] = true
      databases[#databases + 1] = entry.database
    end
    if entry.tables ~= "*" and entry.sequences then
      local schemas = tables[entry.database] or {}
      local all = schemas[entry.schema] or {}
      for _, name in ipairs(entry.tables) do all[#all + 1] = name end
      schemas[entry.schema], tables[entry.database] = all, schemas
    end
  end
  return databases, tables
end

return M
