--- Reads what was granted in the current database of a connection: to a user, to the roles it is in, to everybody, and
--- what a user gives away by default privileges. Rows of both dialects become single grants (crdbcloud.privileges.grants).
--
-- Left out, because nobody granted it and nothing can take it: what an owner has on its own things, and what the maker of
-- future things and everybody have on them by default.

local quote = require "crdbcloud.sql.quote"
local run = require "crdbcloud.privileges.run"
local is_true = require "crdbcloud.privileges.read_roles".is_true
local read_objects = require "crdbcloud.privileges.read_objects"

local M = {}

---@class crdbcloud.privileges.found what was granted in one database
---@field grants table[] single grants of the user itself
---@field inherited table[] of its roles and of everybody, with via = {roles on the way} or {"public"}
---@field gives table[] default privileges that the user as a maker gives to others; grantee says to whom
---@field public_create string[] schemas in which everybody may make things
---@field shows_public boolean false: the server does not say what everybody has

-- Column privileges look like "SELECT (a)", as statements write them. Where no list was ever set, the server's default
-- counts, which everybody's rights on functions and types come from; functions of extensions are left out of that.
local POSTGRESQL_GRANTS = [[
  WITH u AS (SELECT oid, rolname FROM pg_catalog.pg_roles WHERE rolname IN (%s) UNION ALL SELECT 0::oid, 'public'),
  held AS (
    SELECT 'database' AS kind, NULL AS schema_name, NULL AS name, NULL AS creator, d.datdba AS owner, a.*
      FROM pg_catalog.pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a WHERE d.datname = current_database()
    UNION ALL
    SELECT 'schema', n.nspname, NULL, NULL, n.nspowner, a.*
      FROM pg_catalog.pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspacl IS NOT NULL
    UNION ALL
    SELECT CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, n.nspname, c.relname, NULL, c.relowner, a.*
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a
     WHERE c.relacl IS NOT NULL
    UNION ALL
    SELECT 'table', n.nspname, c.relname, NULL, c.relowner, a.grantor, a.grantee,
           a.privilege_type || ' (' || quote_ident(t.attname) || ')', a.is_grantable
      FROM pg_catalog.pg_attribute t JOIN pg_catalog.pg_class c ON c.oid = t.attrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, aclexplode(t.attacl) a
     WHERE t.attacl IS NOT NULL AND NOT t.attisdropped
    UNION ALL
    SELECT 'type', n.nspname, t.typname, NULL, t.typowner, a.*
      FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace,
           aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) a
     WHERE n.nspname NOT IN ]] .. read_objects.OWN_SCHEMAS .. " AND " .. read_objects.OWN_TYPES .. [[

    UNION ALL
    SELECT CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END, n.nspname,
           p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', NULL, p.proowner, a.*
      FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace,
           aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
     WHERE p.proacl IS NOT NULL OR n.nspname NOT IN ]] .. read_objects.OWN_SCHEMAS .. [[ AND NOT EXISTS (
             SELECT 1 FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')
    UNION ALL
    SELECT CASE d.defaclobjtype WHEN 'r' THEN 'future_table' WHEN 'S' THEN 'future_sequence' WHEN 'T' THEN 'future_type'
             WHEN 'n' THEN 'future_schema' ELSE 'future_function' END, n.nspname, NULL, r.rolname, d.defaclrole, a.*
      FROM pg_catalog.pg_default_acl d LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace
      JOIN pg_catalog.pg_roles r ON r.oid = d.defaclrole, aclexplode(d.defaclacl) a)
  SELECT h.kind, h.schema_name, h.name, h.creator, h.privilege_type AS privilege, h.is_grantable AS grantable,
         u.rolname AS grantee, CASE WHEN h.grantor <> h.owner THEN g.rolname END AS grantor
    FROM held h JOIN u ON u.oid = h.grantee LEFT JOIN pg_catalog.pg_roles g ON g.oid = h.grantor
   WHERE h.grantee <> h.owner
     AND (h.schema_name IS NULL OR h.grantee <> 0 OR left(h.schema_name, 3) <> 'pg_' AND h.schema_name NOT IN ]]
  .. read_objects.OWN_SCHEMAS .. ")"

local POSTGRESQL_GIVES = [[
  SELECT CASE d.defaclobjtype WHEN 'r' THEN 'future_table' WHEN 'S' THEN 'future_sequence' WHEN 'T' THEN 'future_type'
           WHEN 'n' THEN 'future_schema' ELSE 'future_function' END AS kind,
         n.nspname AS schema_name, coalesce(r.rolname, 'public') AS grantee, a.privilege_type AS privilege, a.is_grantable AS grantable
    FROM pg_catalog.pg_default_acl d LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace
    JOIN pg_catalog.pg_roles o ON o.oid = d.defaclrole, aclexplode(d.defaclacl) a LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
   WHERE o.rolname = $1 AND a.grantee <> d.defaclrole]]

local function new_found()
  return { grants = {}, inherited = {}, gives = {}, public_create = {}, shows_public = true }
end

-- Puts a grant where its grantee belongs; what an admin has as an admin is said by that word.
local function file(found, who, grantee, grant)
  if grantee == who.user then
    found.grants[#found.grants + 1] = grant
  elseif grantee == "public" or who.reached[grantee] and grantee ~= "admin" then
    grant.via = who.reached[grantee] or { "public" }
    found.inherited[#found.inherited + 1] = grant
    if grantee == "public" and grant.on == "schema" and (grant.privilege == "CREATE" or grant.privilege == "ALL") then
      found.public_create[#found.public_create + 1] = grant.schema
    end
  end
end

local function postgresql(sql, deadline, who, database)
  local names = { quote.literal(who.user) }
  for role in pairs(who.reached) do names[#names + 1] = quote.literal(role) end
  local rows, err = run.query(sql, deadline, POSTGRESQL_GRANTS:format(table.concat(names, ", ")))
  if not rows then return nil, err end
  local found = new_found()
  for _, row in ipairs(rows) do
    file(found, who, row.grantee, {
      on = row.kind, database = database, schema = row.schema_name, name = row.name, creator = row.creator,
      privilege = row.privilege, grantable = is_true(row.grantable) or nil, grantor = row.grantor,
    })
  end
  rows, err = run.query(sql, deadline, POSTGRESQL_GIVES, who.user)
  if not rows then return nil, err end
  for i, row in ipairs(rows) do
    found.gives[i] = {
      on = row.kind, database = database, schema = row.schema_name, creator = who.user, grantee = row.grantee,
      privilege = row.privilege, grantable = is_true(row.grantable) or nil,
    }
  end
  return found
end

local OWN_SCHEMAS = { pg_catalog = true, information_schema = true, crdb_internal = true, pg_extension = true }
local SETS = { table = "tables", sequence = "sequences", type = "types", ["function"] = "functions", procedure = "procedures" }

local function has(objects, kind, schema, name)
  return (objects[SETS[kind]][schema] or {})[name] ~= nil
end

-- The kind and owner of a routine. SHOW GRANTS writes types in its own words: where no signature is the same, only the
-- name before the arguments is.
local function routine(objects, schema, signature)
  local bare, near, near_owner = signature:match "^[^(]*", nil, nil
  for _, kind in ipairs { "procedure", "function" } do
    local named = objects[SETS[kind]][schema] or {}
    if named[signature] then return kind, named[signature] end
    for name, owner in pairs(named) do
      if name:match "^[^(]*" == bare then near, near_owner = kind, owner end
    end
  end
  return near or "function", near_owner
end

-- Older servers name the object in another column and do not say what it is.
local function kind_of(row, object, objects)
  if row.database_name == nil and object then return "external_connection" end
  if not object then return row.schema_name and "schema" or "database" end
  local told = row.object_type
  if told == "routine" or told == "function" or told == "procedure" or not told and object:find("(", 1, true) then
    return (routine(objects, row.schema_name, object))
  end
  if told and told ~= "table" then return told end
  for _, kind in ipairs { "table", "sequence", "type" } do
    if has(objects, kind, row.schema_name, object) then return kind end
  end
  return "table"
end

local function owner_of(kind, schema, object, objects)
  if kind == "database" then return objects.owner end
  if kind == "schema" then return objects.schemas[schema] end
  if kind == "function" or kind == "procedure" then return (select(2, routine(objects, schema, object))) end
  return SETS[kind] and (objects[SETS[kind]][schema] or {})[object]
end

--- The owner of an object is listed with ALL, though nobody granted it.
local function is_implied(row, kind, object, objects)
  return row.privilege_type == "ALL" and owner_of(kind, row.schema_name, object, objects) == row.grantee
end

local function direct(sql, deadline, who, database, objects, found)
  local rows, err = run.query(sql, deadline, ("SELECT * FROM [SHOW GRANTS FOR %s]"):format(quote.identifier(who.user)))
  if not rows then return nil, err end
  for _, row in ipairs(rows) do
    local object = row.object_name or row.relation_name
    local kind = kind_of(row, object, objects)
    -- Everybody reads the server's own schemas; what was granted there to the user itself counts.
    local of_server = row.grantee ~= who.user and OWN_SCHEMAS[row.schema_name or ""] or row.grantee == "public" and database == "system"
    if not of_server and not (row.grantee == who.user and is_implied(row, kind, object, objects)) then
      file(found, who, row.grantee, {
        on = kind, database = kind ~= "external_connection" and database or nil, schema = row.schema_name, name = object,
        privilege = row.privilege_type, grantable = is_true(row.is_grantable) or nil,
      })
    end
  end
  return true
end

local FUTURE = { tables = "table", sequences = "sequence", types = "type", schemas = "schema", routines = "function", functions = "function" }

-- A maker has ALL on what it makes, and everybody may use its types and run its routines: in a database as a whole, not
-- in a schema, these are listed though nobody granted them.
local function is_default(row, schema)
  if schema then return false end
  if row.role and row.role == row.grantee then return true end
  return row.grantee == "public" and (FUTURE[row.object_type] == "type" or FUTURE[row.object_type] == "function")
end

local function show_defaults(sql, deadline, whose, schema)
  return run.query(sql, deadline, ("SELECT * FROM [SHOW DEFAULT PRIVILEGES %s%s]"):format(whose,
    schema and " IN SCHEMA " .. quote.identifier(schema) or ""))
end

-- Default privileges of one place by their grantee. Servers before v23.1.11 cannot be asked that way: then by their makers.
local function defaults_for(sql, deadline, who, grantee, schema)
  local rows, err = show_defaults(sql, deadline, "FOR GRANTEE " .. quote.identifier(grantee), schema)
  if rows or err.sqlstate ~= "42601" then return rows, err end
  local makers = {}
  for role in pairs(who.graph.traits) do makers[#makers + 1] = role end
  table.sort(makers)
  local out = { n = 0 }
  for _, whose in ipairs { "FOR ROLE " .. quote.identifiers(makers), "FOR ALL ROLES" } do
    rows, err = show_defaults(sql, deadline, whose, schema)
    if not rows then return nil, err end
    for _, row in ipairs(rows) do
      if row.grantee == grantee then out[#out + 1] = row end
    end
  end
  return out
end

local function future(row, database, schema)
  return {
    on = "future_" .. (FUTURE[row.object_type] or row.object_type), database = database, schema = schema or nil,
    creator = is_true(row.for_all_roles) and "*" or row.role, privilege = row.privilege_type,
    grantable = is_true(row.is_grantable) or nil,
  }
end

local function defaults(sql, deadline, who, database, objects, found)
  local places, grantees = { false }, { who.user }
  for schema in pairs(objects.schemas) do places[#places + 1] = schema end
  for role in pairs(who.own_only and {} or who.reached) do
    if role ~= "admin" then grantees[#grantees + 1] = role end
  end
  for _, schema in ipairs(places) do
    for _, grantee in ipairs(grantees) do
      local rows, err = defaults_for(sql, deadline, who, grantee, schema)
      if not rows then return nil, err end
      for _, row in ipairs(rows) do
        if not is_default(row, schema) then file(found, who, grantee, future(row, database, schema)) end
      end
    end
    local rows, err = { n = 0 }, nil
    if not who.own_only then rows, err = show_defaults(sql, deadline, "FOR ROLE " .. quote.identifier(who.user), schema) end
    if not rows then return nil, err end
    for _, row in ipairs(rows) do
      if not is_default(row, schema) and row.grantee ~= who.user then
        local grant = future(row, database, schema)
        grant.grantee = row.grantee
        found.gives[#found.gives + 1] = grant
      end
    end
  end
  return true
end

--- What was granted in the current database of the connection.
---@param sql crdbcloud.sql
---@param deadline number
---@param dialect crdbcloud.dialect
---@param who {user: string, reached: table<string, string[]>, graph: crdbcloud.privileges.graph, shows_public: boolean?,
---  own_only: boolean?} own_only: what roles have and the user gives may be left out, for fewer questions
---@param database string
---@param objects crdbcloud.privileges.objects of that database
---@return crdbcloud.privileges.found|nil
---@return crdbcloud.error|nil
function M.look(sql, deadline, dialect, who, database, objects)
  if dialect == "postgresql" then return postgresql(sql, deadline, who, database) end
  local found = new_found()
  -- CockroachDB refuses to be asked about a user that does not exist.
  if not who.graph.traits[who.user] then return found end
  found.shows_public = who.shows_public ~= false
  local ok, err = direct(sql, deadline, who, database, objects, found)
  if ok then ok, err = defaults(sql, deadline, who, database, objects, found) end
  if not ok then return nil, err end
  return found
end

return M
