--- What the server's catalogue says: roles, memberships, objects, grants. Every question in both dialects.
-- On CockroachDB the SHOW statements are the documented way and see what pg_catalog does not (role options, grants to
-- CREATEROLE and CREATELOGIN); PostgreSQL has pg_catalog only.

local quote = require "crdbcloud.sql.quote"
local run = require "crdbcloud.privileges.run"

local M = {}

local OWN_SCHEMAS = "('pg_catalog', 'information_schema', 'crdb_internal', 'pg_extension', 'pg_toast')"

local GRAPH = {
  cockroachdb = {
    edges = "SELECT role_name AS role, member, is_admin AS with_option FROM [SHOW GRANTS ON ROLE]",
    traits = "SELECT username AS name, options::STRING AS options FROM [SHOW USERS]",
    system = "SELECT grantee AS name, privilege_type AS privilege FROM [SHOW SYSTEM GRANTS]",
  },
  postgresql = {
    edges = [[
      SELECT r.rolname AS role, m.rolname AS member, a.admin_option AS with_option
        FROM pg_catalog.pg_auth_members a
        JOIN pg_catalog.pg_roles r ON r.oid = a.roleid JOIN pg_catalog.pg_roles m ON m.oid = a.member]],
    traits = [[
      SELECT rolname AS name, rolcanlogin AS login, rolsuper AS superuser, rolcreaterole AS createrole
        FROM pg_catalog.pg_roles]],
  },
}

local function is_true(v)
  return v == "t" or v == "true"
end

-- Role options of CockroachDB: "{CREATEROLE,NOLOGIN}" of an array, "CREATEROLE, NOLOGIN" of older servers.
local function read_options(text)
  local has = {}
  for word in (text or ""):gmatch "%u+" do has[word] = true end
  return {
    login = not (has.NOLOGIN or has.NOSQLLOGIN), superuser = false, createrole = has.CREATEROLE == true,
    createlogin = has.CREATELOGIN == true,
  }
end

--- Roles and memberships of the whole server.
---@param sql crdbcloud.sql
---@param deadline number
---@param dialect crdbcloud.dialect
---@return crdbcloud.privileges.graph|nil
---@return crdbcloud.error|nil
function M.graph(sql, deadline, dialect)
  local queries, graph = GRAPH[dialect], { members = {}, traits = {} }
  local rows, err = run.query(sql, deadline, queries.traits)
  if not rows then return nil, err end
  for _, row in ipairs(rows) do
    graph.traits[row.name] = queries.system and read_options(row.options) or {
      login = is_true(row.login), superuser = is_true(row.superuser), createrole = is_true(row.createrole), createlogin = false,
    }
  end
  rows, err = run.query(sql, deadline, queries.edges)
  if not rows then return nil, err end
  for _, row in ipairs(rows) do
    local list = graph.members[row.member] or {}
    graph.members[row.member] = list
    list[#list + 1] = { role = row.role, option = is_true(row.with_option) }
  end
  if not queries.system then return graph end
  rows, err = run.query(sql, deadline, queries.system)
  -- A server that does not know the statement has no such privileges.
  if not rows and err.sqlstate ~= "42601" then return nil, err end
  for _, row in ipairs(rows or {}) do
    local traits, privilege = graph.traits[row.name], row.privilege
    if traits and (privilege == "ALL" or privilege == "CREATEROLE" or privilege == "CREATELOGIN") then
      traits.createrole = traits.createrole or privilege ~= "CREATELOGIN"
      traits.createlogin = traits.createlogin or privilege ~= "CREATEROLE"
      traits.system = traits.system or {}
      traits.system[#traits.system + 1] = privilege
    end
  end
  return graph
end

--- The names of all databases that hold people's data.
---@return string[]|nil
---@return crdbcloud.error|nil
function M.databases(sql, deadline)
  local rows, err = run.query(sql, deadline, [[
    SELECT datname AS name FROM pg_catalog.pg_database
     WHERE NOT datistemplate AND datallowconn AND datname NOT IN ('system', 'crdb_internal') ORDER BY 1]])
  if not rows then return nil, err end
  local list = {}
  for i, row in ipairs(rows) do list[i] = row.name end
  return list
end

--- True when the database exists.
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
---@return crdbcloud.privileges.objects|nil objects with schemas = {name = owner}, and public_create still empty
---@return crdbcloud.error|nil
function M.objects(sql, deadline, database)
  local out = { tables = {}, sequences = {}, owned = {}, schemas = {}, public_create = {} }
  local rows, err = run.query(sql, deadline, [[
    SELECT r.rolname AS owner FROM pg_catalog.pg_database d JOIN pg_catalog.pg_roles r ON r.oid = d.datdba
     WHERE d.datname = $1]], database)
  if not rows then return nil, err end
  out.owner = rows[1] and rows[1].owner
  rows, err = run.query(sql, deadline, [[
    SELECT n.nspname AS name, r.rolname AS owner FROM pg_catalog.pg_namespace n
      LEFT JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner
     WHERE left(n.nspname, 3) <> 'pg_' AND n.nspname NOT IN ]] .. OWN_SCHEMAS)
  if not rows then return nil, err end
  for _, row in ipairs(rows) do out.schemas[row.name] = row.owner or "" end
  rows, err = run.query(sql, deadline, [[
    SELECT n.nspname AS schema_name, c.relname AS name, c.relkind AS kind, r.rolname AS owner FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND left(n.nspname, 3) <> 'pg_' AND n.nspname NOT IN ]] .. OWN_SCHEMAS)
  if not rows then return nil, err end
  for _, row in ipairs(rows) do
    put(row.kind == "S" and out.sequences or out.tables, row.schema_name, row.name, row.owner)
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

local POSTGRESQL_GRANTS = [[
  WITH u AS (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1)
  SELECT 'database' AS kind, NULL AS schema_name, NULL AS name, NULL AS creator, a.privilege_type AS privilege
    FROM u, pg_catalog.pg_database d, aclexplode(d.datacl) a WHERE d.datname = current_database() AND a.grantee = u.oid
  UNION ALL
  SELECT 'schema', n.nspname, NULL, NULL, a.privilege_type
    FROM u, pg_catalog.pg_namespace n, aclexplode(n.nspacl) a WHERE a.grantee = u.oid AND n.nspowner <> u.oid
  UNION ALL
  SELECT CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, n.nspname, c.relname, NULL, a.privilege_type
    FROM u, pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a
   WHERE a.grantee = u.oid AND c.relowner <> u.oid
  UNION ALL
  SELECT 'type', n.nspname, t.typname, NULL, a.privilege_type
    FROM u, pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace, aclexplode(t.typacl) a
   WHERE a.grantee = u.oid AND t.typowner <> u.oid
  UNION ALL
  SELECT 'function', n.nspname, p.proname, NULL, a.privilege_type
    FROM u, pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace, aclexplode(p.proacl) a
   WHERE a.grantee = u.oid AND p.proowner <> u.oid
  UNION ALL
  SELECT CASE d.defaclobjtype WHEN 'r' THEN 'future_table' WHEN 'S' THEN 'future_sequence' WHEN 'T' THEN 'future_type'
           WHEN 'n' THEN 'future_schema' ELSE 'future_function' END, n.nspname, NULL, r.rolname, a.privilege_type
    FROM u, pg_catalog.pg_default_acl d LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace
    JOIN pg_catalog.pg_roles r ON r.oid = d.defaclrole, aclexplode(d.defaclacl) a
   WHERE a.grantee = u.oid AND d.defaclrole <> u.oid]]

local function postgresql_grants(sql, deadline, user, database, objects)
  local rows, err = run.query(sql, deadline, [[
    SELECT n.nspname AS name FROM pg_catalog.pg_namespace n, aclexplode(n.nspacl) a
     WHERE a.grantee = 0 AND a.privilege_type = 'CREATE' ORDER BY 1]])
  if not rows then return nil, err end
  for i, row in ipairs(rows) do objects.public_create[i] = row.name end
  rows, err = run.query(sql, deadline, POSTGRESQL_GRANTS, user)
  if not rows then return nil, err end
  local list = {}
  for i, row in ipairs(rows) do
    list[i] = {
      on = row.kind, database = database, schema = row.schema_name, name = row.name, creator = row.creator,
      privilege = row.privilege,
    }
  end
  return list
end

-- SHOW GRANTS FOR names what came through roles and public too; the grantee column tells them apart.
local function cockroachdb_grants(sql, deadline, user, database, objects)
  local name, list = quote.identifier(user), {}
  local rows, err = run.query(sql, deadline, ("SELECT * FROM [SHOW GRANTS FOR %s]"):format(name))
  if not rows then return nil, err end
  for _, row in ipairs(rows) do
    local object, privilege = row.object_name or row.relation_name, row.privilege_type
    local kind = row.object_type or (object and "table") or (row.schema_name and "schema") or "database"
    if kind == "table" and (objects.sequences[row.schema_name] or {})[object] then kind = "sequence" end
    if row.grantee == user then
      list[#list + 1] = { on = kind, database = database, schema = row.schema_name, name = object, privilege = privilege }
    elseif row.grantee == "public" and kind == "schema" and (privilege == "CREATE" or privilege == "ALL") then
      objects.public_create[#objects.public_create + 1] = row.schema_name
    end
  end
  local places = { false }
  for schema in pairs(objects.schemas) do places[#places + 1] = schema end
  for _, schema in ipairs(places) do
    rows, err = run.query(sql, deadline, ("SELECT * FROM [SHOW DEFAULT PRIVILEGES FOR GRANTEE %s%s]"):format(name,
      schema and " IN SCHEMA " .. quote.identifier(schema) or ""))
    if not rows then return nil, err end
    for _, row in ipairs(rows) do
      list[#list + 1] = {
        on = "future_" .. row.object_type:gsub("s$", ""), database = database, schema = schema or nil,
        creator = is_true(row.for_all_roles) and "*" or row.role, privilege = row.privilege_type,
      }
    end
  end
  return list
end

--- Direct grants of a user in the current database of the connection.
---@param objects crdbcloud.privileges.objects of that database; public_create is filled with the schemas in which
---  everybody may create things (on CockroachDB as far as the server shows what comes through public)
---@param exists boolean the user does; CockroachDB refuses to be asked about one that does not
---@return table[]|nil single grants
---@return crdbcloud.error|nil
function M.grants(sql, deadline, dialect, user, database, objects, exists)
  if dialect == "postgresql" then return postgresql_grants(sql, deadline, user, database, objects) end
  if not exists then return {} end
  return cockroachdb_grants(sql, deadline, user, database, objects)
end

return M
