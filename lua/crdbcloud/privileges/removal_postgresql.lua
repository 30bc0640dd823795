--- What blocks DROP ROLE on PostgreSQL: what pg_shdepend has of the role, in every database. Ownership is handed over by
--- REASSIGN OWNED, all else is taken away by name; DROP OWNED is never used, as it would drop what the role came to own
--- in the meantime.

local grants = require "crdbcloud.privileges.grants"
local plan = require "crdbcloud.privileges.plan"
local quote = require "crdbcloud.sql.quote"
local dialects = require "crdbcloud.sql.dialect"
local run = require "crdbcloud.privileges.run"
local is_true = require "crdbcloud.privileges.read_roles".is_true

local M = {}

local PLACES = [[
  SELECT d.datname AS name, d.datallowconn AS open, d.datname = current_database() AS here
    FROM pg_catalog.pg_database d WHERE d.oid IN (
      SELECT s.dbid FROM pg_catalog.pg_shdepend s WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass
         AND s.refobjid = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1)) ORDER BY 1]]

-- Columns are of their table. $2: what belongs to no database as well.
local DEPENDENTS = [[
  SELECT d.deptype AS how, d.classid::regclass::text AS class, d.objid AS id, i.identity,
         pg_catalog.pg_describe_object(d.classid, d.objid, 0) AS words
    FROM (SELECT DISTINCT s.deptype, s.classid, s.objid FROM pg_catalog.pg_shdepend s
           WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass
             AND s.refobjid = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1)
             AND (s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) OR s.dbid = 0 AND $2)) d,
         LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, 0) i
   ORDER BY 1, 2, 4]]

-- Class -> the word in GRANT … ON, the column of its owner, and where its list of privileges is.
local GRANTED = {
  pg_class = { word = "TABLE", owner = "relowner", acl = "relacl" },
  pg_namespace = { word = "SCHEMA", owner = "nspowner", acl = "nspacl" },
  pg_proc = { word = "ROUTINE", owner = "proowner", acl = "proacl" },
  pg_type = { word = "TYPE", owner = "typowner", acl = "typacl" },
  pg_database = { word = "DATABASE", owner = "datdba", acl = "datacl" },
  pg_tablespace = { word = "TABLESPACE", owner = "spcowner", acl = "spcacl" },
  pg_foreign_data_wrapper = { word = "FOREIGN DATA WRAPPER", owner = "fdwowner", acl = "fdwacl" },
  pg_foreign_server = { word = "FOREIGN SERVER", owner = "srvowner", acl = "srvacl" },
  pg_language = { word = "LANGUAGE", owner = "lanowner", acl = "lanacl" },
  pg_largeobject = { word = "LARGE OBJECT", owner = "lomowner", acl = "lomacl", from = "pg_largeobject_metadata" },
  -- The server's first superuser counts as the owner.
  pg_parameter_acl = { word = "PARAMETER", owner = "10::oid", acl = "paracl" },
}

local ENTRIES = [[
  SELECT o.id, o.sequence, e.privilege_type || o.of AS privilege, e.is_grantable AS grantable, e.grantor = o.owner AS by_owner,
         g.rolname AS grantor, coalesce(t.rolname, 'public') AS grantee, w.rolname AS owner,
         pg_catalog.pg_has_role(o.owner, 'USAGE') AS mine, pg_catalog.pg_has_role(e.grantor, 'USAGE') AS grantors
    FROM (%s) o CROSS JOIN LATERAL aclexplode(o.acl) e
    JOIN pg_catalog.pg_roles g ON g.oid = e.grantor JOIN pg_catalog.pg_roles w ON w.oid = o.owner
    LEFT JOIN pg_catalog.pg_roles t ON t.oid = e.grantee
   WHERE (g.rolname = $1 OR t.rolname = $1) AND o.owner <> e.grantee ORDER BY 1, 3]]

local FUTURE = { r = "TABLES", S = "SEQUENCES", f = "FUNCTIONS", T = "TYPES", n = "SCHEMAS", L = "LARGE OBJECTS" }
-- What everybody has on these things where no default was changed.
local FOR_ALL = { f = "EXECUTE", T = "USAGE" }

local DEFAULTS = [[
  SELECT d.oid AS id, r.rolname AS maker, n.nspname AS schema_name, d.defaclobjtype AS kind,
         coalesce(t.rolname, 'public') AS grantee, pg_catalog.pg_has_role(r.oid, 'USAGE') AS mine
    FROM pg_catalog.pg_default_acl d JOIN pg_catalog.pg_roles r ON r.oid = d.defaclrole
    LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace
    LEFT JOIN LATERAL (SELECT DISTINCT grantee FROM aclexplode(d.defaclacl)) a ON true
    LEFT JOIN pg_catalog.pg_roles t ON t.oid = a.grantee
   WHERE d.oid IN (%s) AND (r.rolname = $1 OR t.rolname = $1) ORDER BY 1, 5]]

local POLICIES = [[
  SELECT p.polname AS name, p.polrelid::regclass::text AS place,
         (SELECT string_agg(quote_ident(r.rolname), ', ' ORDER BY 1) FROM pg_catalog.pg_roles r
           WHERE r.oid = ANY (p.polroles) AND r.rolname <> $1) AS others,
         pg_catalog.pg_has_role(c.relowner, 'USAGE') AS mine
    FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid WHERE p.oid IN (%s) ORDER BY 1]]

local MAPPINGS = [[
  SELECT s.srvname AS server FROM pg_catalog.pg_user_mapping m JOIN pg_catalog.pg_foreign_server s ON s.oid = m.umserver
   WHERE m.oid IN (%s) ORDER BY 1]]

local Look = {}
Look.__index = Look

function Look:add(text) self.builder:add(text, self.database) end

function Look:obstacle(what, text) table.insert(self.obstacles, { what = what, run = text }) end

-- Adds a statement that only somebody who is in `role` may run, or says that we may not.
function Look:add_as(mine, what, role, text)
  if is_true(mine) then return self:add(text) end
  self:obstacle(("%s, which only %s may change"):format(what, quote.identifier(role)), text)
end

function Look:query(text, ids)
  text = ids and text:format(table.concat(ids, ", ")) or text
  if not text:find("$1", 1, true) then return run.query(self.conn, self.deadline, text) end
  return run.query(self.conn, self.deadline, text, self.user)
end

local function to_public(name)
  return name == "public" and "PUBLIC" or quote.identifier(name)
end

-- A grant stands under the name of who made it, and only that role takes it away: in one statement, so that no session is
-- left in that role.
local function revoke_as(grantor, text)
  local body = ("BEGIN SET LOCAL ROLE %s; %s; END"):format(quote.identifier(grantor), text)
  local tag = "$as$"
  while body:find(tag, 1, true) do tag = tag:sub(1, -2) .. "s$" end
  return ("DO %s %s %s"):format(tag, body, tag)
end

-- "SELECT (a)" stays as it is: columns are named with the privilege.
local function revoke_grants(look, word, item, entries)
  local on = ("ON %s %s"):format(is_true(entries[1].sequence) and "SEQUENCE" or word, item.identity)
  local revoke = ("REVOKE ALL %s FROM %s CASCADE"):format(on, quote.identifier(look.user))
  local done = {}
  -- What it has passed on stays with those who have it, from the owner now.
  for _, entry in ipairs(entries) do
    if entry.grantor == look.user and entry.owner ~= look.user then
      look:add_as(entry.mine, item.words, entry.owner, ("GRANT %s %s TO %s%s"):format(entry.privilege, on, to_public(entry.grantee),
        is_true(entry.grantable) and " WITH GRANT OPTION" or ""))
    end
  end
  for _, entry in ipairs(entries) do
    local by_other = entry.grantee == look.user and not is_true(entry.by_owner)
    local key = by_other and entry.grantor or ""
    if entry.owner ~= look.user and (by_other or entry.grantee == look.user) and not done[key] then
      done[key] = true
      if by_other then
        look:add_as(entry.grantors, item.words, entry.grantor, revoke_as(entry.grantor, revoke))
      else
        look:add_as(entry.mine, item.words, entry.owner, revoke)
      end
    end
  end
end

local function granted(look, class, items)
  local how, ids, by_id = GRANTED[class], {}, {}
  for i, item in ipairs(items) do ids[i], by_id[item.id] = item.id, { item = item, entries = {} } end
  local list = table.concat(ids, ", ")
  local from = ("SELECT oid AS id, %s AS owner, %s AS acl, %s AS sequence, '' AS of FROM pg_catalog.%s WHERE oid IN (%s)"):format(how.owner,
    how.acl, class == "pg_class" and "relkind = 'S'" or "false", how.from or class, list)
  if class == "pg_class" then
    from = from .. (" UNION ALL SELECT c.oid, c.relowner, a.attacl, false, ' (' || quote_ident(a.attname) || ')' FROM pg_catalog.pg_attribute a "
      .. "JOIN pg_catalog.pg_class c ON c.oid = a.attrelid WHERE a.attacl IS NOT NULL AND c.oid IN (%s)"):format(list)
  end
  local rows, err = look:query(ENTRIES:format(from))
  if not rows then return nil, err end
  for _, row in ipairs(rows) do table.insert(by_id[row.id].entries, row) end
  for _, item in ipairs(items) do
    local entries = by_id[item.id].entries
    if #entries > 0 then revoke_grants(look, how.word, item, entries) end
  end
  return true
end

-- An entry of default privileges goes when it says again what holds without it.
local function defaults(look, ids)
  local rows, err = look:query(DEFAULTS, ids)
  if not rows then return nil, err end
  local reset = {}
  for _, row in ipairs(rows) do
    local own = row.maker == look.user
    local where = ("ALTER DEFAULT PRIVILEGES FOR ROLE %s %s"):format(quote.identifier(row.maker),
      row.schema_name and ("IN SCHEMA %s "):format(quote.identifier(row.schema_name)) or "")
    local kind, what = FUTURE[row.kind] or row.kind, "default privileges of what " .. row.maker .. " makes"
    if row.grantee == look.user and not own or own and (row.schema_name or row.grantee ~= look.user) then
      look:add_as(row.mine, what, row.maker, ("%sREVOKE ALL ON %s FROM %s"):format(where, kind, to_public(row.grantee)))
    end
    if own and not row.schema_name then reset[#reset + 1] = { row = row, where = where, kind = kind, what = what } end
  end
  local done = {}
  for _, entry in ipairs(reset) do
    local row = entry.row
    if not done[row.id] then
      done[row.id] = true
      look:add_as(row.mine, entry.what, row.maker, ("%sGRANT ALL ON %s TO %s"):format(entry.where, entry.kind, quote.identifier(look.user)))
      if FOR_ALL[row.kind] then
        look:add_as(row.mine, entry.what, row.maker, ("%sGRANT %s ON %s TO PUBLIC"):format(entry.where, FOR_ALL[row.kind], entry.kind))
      end
    end
  end
  return true
end

local function policies(look, ids)
  local rows, err = look:query(POLICIES, ids)
  if not rows then return nil, err end
  for _, row in ipairs(rows) do
    local place = ("%s ON %s"):format(quote.identifier(row.name), row.place)
    -- The one without any other role is dropped with its role.
    look:add_as(row.mine, "policy " .. place, "the owner", row.others and ("ALTER POLICY %s TO %s"):format(place, row.others)
      or "DROP POLICY IF EXISTS " .. place)
  end
  return true
end

local function mappings(look, ids)
  local rows, err = look:query(MAPPINGS, ids)
  if not rows then return nil, err end
  for _, row in ipairs(rows) do
    look:add(("DROP USER MAPPING IF EXISTS FOR %s SERVER %s"):format(quote.identifier(look.user), quote.identifier(row.server)))
  end
  return true
end

-- Sorts what depends on the role in one database by what has to be done about it.
local function sorted(look, rows)
  local groups = { granted = {}, defaults = {}, policies = {}, mappings = {} }
  for _, row in ipairs(rows) do
    if row.class == "pg_default_acl" then
      table.insert(groups.defaults, row.id)
    elseif row.class == "pg_policy" then
      table.insert(groups.policies, row.id)
    elseif row.class == "pg_user_mapping" then
      table.insert(groups.mappings, row.id)
    elseif row.how == "a" and GRANTED[row.class] then
      groups.granted[row.class] = groups.granted[row.class] or {}
      table.insert(groups.granted[row.class], row)
    elseif row.how == "o" and row.class ~= "pg_auth_members" then
      table.insert(look.owns, row.words .. (row.class ~= "pg_database" and " in database " .. look.database or ""))
      look.reassigns = true
    else
      look:obstacle(("%s (in database %s)"):format(row.words or row.class, look.database))
    end
  end
  return groups
end

local function look_into(look, shared)
  local rows, err = run.query(look.conn, look.deadline, DEPENDENTS, look.user, shared)
  if not rows then return nil, err end
  look.reassigns = false
  local groups = sorted(look, rows)
  if look.reassigns and look.to then
    look:add(("REASSIGN OWNED BY %s TO %s"):format(quote.identifier(look.user), quote.identifier(look.to)))
  end
  for _, class in ipairs(grants.members(groups.granted)) do
    local ok
    ok, err = granted(look, class, groups.granted[class])
    if not ok then return nil, err end
  end
  for _, step in ipairs { { defaults, groups.defaults }, { policies, groups.policies }, { mappings, groups.mappings } } do
    if #step[2] > 0 then
      local ok
      ok, err = step[1](look, step[2])
      if not ok then return nil, err end
    end
  end
  return true
end

--- Reads what blocks DROP ROLE and makes the statements that end it.
---@param sql crdbcloud.sql
---@param deadline number
---@param user string
---@param to string|nil role that gets what the user owns
---@return {statements: crdbcloud.privileges.statements, owns: string[], obstacles: crdbcloud.privileges.obstacle[]}|nil
---@return crdbcloud.error|nil
function M.look(sql, deadline, user, to)
  local places, err = run.query(sql, deadline, PLACES, user)
  if not places then return nil, err end
  local here
  here, err = sql:current_database()
  if not here then return nil, err end
  local look = setmetatable({
    builder = plan.new(dialects.traits.postgresql), owns = {}, obstacles = {}, user = user, to = to, deadline = deadline,
  }, Look)
  -- Ours first, with what belongs to no database.
  local list = { { name = here, open = "t" } }
  for _, place in ipairs(places) do
    if place.name ~= here then list[#list + 1] = place end
  end
  for i, place in ipairs(list) do
    if not is_true(place.open) then
      look:obstacle(("things in database %s, which takes no connections"):format(place.name),
        ("ALTER DATABASE %s ALLOW_CONNECTIONS true"):format(quote.identifier(place.name)))
    else
      look.database = place.name
      look.conn, err = sql:database(place.name)
      if not look.conn then return nil, err end
      local ok
      ok, err = look_into(look, i == 1)
      if not ok then return nil, err end
    end
  end
  return { statements = look.builder.list, owns = look.owns, obstacles = look.obstacles }
end

return M
