--- Reads databases and what is in one of them, and who owns it, from pg_catalog, which both dialects have.

local quote = require "crdbcloud.sql.quote"
local run = require "crdbcloud.privileges.run"

local M = {}

--- Schemas of the server itself, as a list of SQL.
M.OWN_SCHEMAS = "('pg_catalog', 'information_schema', 'crdb_internal', 'pg_extension', 'pg_toast')"

local IN_PEOPLES_SCHEMAS = "left(n.nspname, 3) <> 'pg_' AND n.nspname NOT IN " .. M.OWN_SCHEMAS

--- Types that people make: no row type of a table, no array, nothing that comes with a range.
M.OWN_TYPES = [[
  t.typcategory <> 'A' AND t.typtype <> 'm' AND (t.typrelid = 0 OR EXISTS (
    SELECT 1 FROM pg_catalog.pg_class tc WHERE tc.oid = t.typrelid AND tc.relkind = 'c'))]]

local QUESTIONS = {
  schemas = "SELECT n.nspname AS name, r.rolname AS owner FROM pg_catalog.pg_namespace n LEFT JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner",
  relations = [[
    SELECT n.nspname AS schema_name, c.relname AS name, c.relkind AS kind, r.rolname AS owner FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_catalog.pg_roles r ON r.oid = c.relowner]],
  types = [[
    SELECT n.nspname AS schema_name, t.typname AS name, r.rolname AS owner FROM pg_catalog.pg_type t
      JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_catalog.pg_roles r ON r.oid = t.typowner]],
  routines = [[
    SELECT n.nspname AS schema_name, p.proname AS name, pg_catalog.pg_get_function_identity_arguments(p.oid) AS arguments,
           p.prokind AS kind, r.rolname AS owner FROM pg_catalog.pg_proc p
      JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace LEFT JOIN pg_catalog.pg_roles r ON r.oid = p.proowner]],
}
local VIEWS = { v = "VIEW", m = "MATERIALIZED VIEW" }
local ONLY = { relations = "c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')", types = M.OWN_TYPES }

local function ask(sql, deadline, question)
  return run.query(sql, deadline, ("%s WHERE %s%s"):format(QUESTIONS[question], IN_PEOPLES_SCHEMAS,
    ONLY[question] and " AND " .. ONLY[question] or ""))
end

--- The names of all databases, those of people first.
---@param sql crdbcloud.sql
---@param deadline number
---@param dialect crdbcloud.dialect
---@return string[]|nil list on CockroachDB with `system` last: rights on its tables are rights on everything
---@return crdbcloud.error|nil
function M.databases(sql, deadline, dialect)
  local rows, err = run.query(sql, deadline,
    "SELECT datname AS name FROM pg_catalog.pg_database WHERE NOT datistemplate AND datallowconn ORDER BY 1")
  if not rows then return nil, err end
  local list, system = {}, false
  for _, row in ipairs(rows) do
    local own = dialect == "cockroachdb" and (row.name == "system" or row.name == "crdb_internal")
    system = system or own and row.name == "system"
    if not own then list[#list + 1] = row.name end
  end
  if system then list[#list + 1] = "system" end
  return list
end

--- True when the database exists.
---@param sql crdbcloud.sql
---@param deadline number
---@param name string
---@return boolean|nil
---@return crdbcloud.error|nil
function M.has_database(sql, deadline, name)
  local rows, err = run.query(sql, deadline, "SELECT datname FROM pg_catalog.pg_database WHERE datname = $1", name)
  if not rows then return nil, err end
  return rows.n > 0
end

local function put(set, schema, name, value)
  set[schema] = set[schema] or {}
  set[schema][name] = value
end

--- What is in the current database of the connection.
---@param sql crdbcloud.sql
---@param deadline number
---@param database string its name
---@return crdbcloud.privileges.objects|nil
---@return crdbcloud.error|nil
function M.objects(sql, deadline, database)
  local out = { tables = {}, sequences = {}, types = {}, functions = {}, procedures = {}, owned = {}, schemas = {}, views = {} }
  local rows, err = run.query(sql, deadline, [[
    SELECT r.rolname AS owner FROM pg_catalog.pg_database d JOIN pg_catalog.pg_roles r ON r.oid = d.datdba
     WHERE d.datname = $1]], database)
  if not rows then return nil, err end
  out.owner = rows[1] and rows[1].owner
  rows, err = ask(sql, deadline, "schemas")
  if not rows then return nil, err end
  for _, row in ipairs(rows) do out.schemas[row.name] = row.owner or "" end
  rows, err = ask(sql, deadline, "relations")
  if not rows then return nil, err end
  for _, row in ipairs(rows) do
    put(row.kind == "S" and out.sequences or out.tables, row.schema_name, row.name, row.owner)
    if VIEWS[row.kind] then put(out.views, row.schema_name, row.name, VIEWS[row.kind]) end
  end
  rows, err = ask(sql, deadline, "types")
  if not rows then return nil, err end
  for _, row in ipairs(rows) do put(out.types, row.schema_name, row.name, row.owner) end
  rows, err = ask(sql, deadline, "routines")
  if not rows then return nil, err end
  for _, row in ipairs(rows) do
    put(row.kind == "p" and out.procedures or out.functions, row.schema_name, ("%s(%s)"):format(row.name, row.arguments or ""), row.owner)
  end
  return out
end

--- Adds the sequences that columns of these tables own to objects.owned[schema].
---@param objects crdbcloud.privileges.objects
---@param schema string
---@param tables string[]
---@return true|nil
---@return crdbcloud.error|nil
function M.owned_sequences(sql, deadline, objects, schema, tables)
  local literals = {}
  for i, name in ipairs(tables) do literals[i] = quote.literal(name) end
  local rows, err = run.query(sql, deadline, ([[
    SELECT c.relname AS name,
           pg_catalog.pg_get_serial_sequence(quote_ident(n.nspname) || '.' || quote_ident(c.relname), a.attname) AS sequence
      FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND n.nspname = $1 AND c.relname IN (%s)]])
    :format(table.concat(literals, ", ")), schema)
  if not rows then return nil, err end
  for _, row in ipairs(rows) do
    local parts = row.sequence and quote.split(row.sequence)
    if parts then
      local list = (objects.owned[schema] or {})[row.name] or {}
      list[#list + 1] = { parts[#parts - 1] or schema, parts[#parts] }
      put(objects.owned, schema, row.name, list)
    end
  end
  return true
end

return M
