--- Reads roles, memberships and system privileges from the server, in both dialects.
-- On CockroachDB the SHOW statements are the documented way and see what pg_catalog does not (role options, system
-- privileges); PostgreSQL has pg_catalog only.

local run = require "crdbcloud.privileges.run"

local M = {}

local EDGES = {
  cockroachdb = "SELECT role_name AS role, member, is_admin AS with_option FROM [SHOW GRANTS ON ROLE]",
  postgresql = [[
    SELECT r.rolname AS role, m.rolname AS member, a.admin_option AS with_option
      FROM pg_catalog.pg_auth_members a
      JOIN pg_catalog.pg_roles r ON r.oid = a.roleid JOIN pg_catalog.pg_roles m ON m.oid = a.member]],
}

local TRAITS = {
  cockroachdb = "SELECT username AS name, options::STRING AS options FROM [SHOW USERS]",
  postgresql = [[
    SELECT rolname AS name, rolcanlogin AS login, rolsuper AS superuser, rolcreaterole AS createrole,
           rolbypassrls AS bypassrls, rolreplication AS replication FROM pg_catalog.pg_roles]],
}

--- True for a boolean of the server.
---@param v string|nil
function M.is_true(v)
  return v == "t" or v == "true"
end
local is_true = M.is_true

-- Role options of CockroachDB: "{CREATEROLE,NOLOGIN}" of an array, "CREATEROLE, NOLOGIN" of older servers.
local function read_options(text)
  local has = {}
  for word in (text or ""):gmatch "%u+" do has[word] = true end
  return {
    login = not (has.NOLOGIN or has.NOSQLLOGIN), superuser = false, createrole = has.CREATEROLE == true,
    createlogin = has.CREATELOGIN == true, modifyclustersetting = has.MODIFYCLUSTERSETTING or nil,
    bypassrls = has.BYPASSRLS or nil, nosqllogin = has.NOSQLLOGIN or nil,
  }
end

local function read_traits(row)
  return {
    login = is_true(row.login), superuser = is_true(row.superuser), createrole = is_true(row.createrole), createlogin = false,
    bypassrls = is_true(row.bypassrls) or nil, replication = is_true(row.replication) or nil,
  }
end

-- grantee -> its own system privileges. The column of the privilege has had two names.
local function system_grants(sql, deadline)
  local rows, err = run.query(sql, deadline, "SELECT * FROM [SHOW SYSTEM GRANTS]")
  -- A server that does not know the statement has no such privileges.
  if not rows and err.sqlstate ~= "42601" then return nil, err end
  local system = {}
  for _, row in ipairs(rows or {}) do
    local list = system[row.grantee] or {}
    system[row.grantee] = list
    list[#list + 1] = { privilege = row.privilege_type or row.privilege, grantable = is_true(row.is_grantable) or nil }
  end
  return system
end

--- Roles and memberships of the whole server.
---@param sql crdbcloud.sql
---@param deadline number
---@param dialect crdbcloud.dialect
---@return crdbcloud.privileges.graph|nil
---@return crdbcloud.error|nil
function M.graph(sql, deadline, dialect)
  local graph = { members = {}, traits = {}, system = {} }
  local rows, err = run.query(sql, deadline, TRAITS[dialect])
  if not rows then return nil, err end
  for _, row in ipairs(rows) do
    graph.traits[row.name] = dialect == "cockroachdb" and read_options(row.options) or read_traits(row)
  end
  rows, err = run.query(sql, deadline, EDGES[dialect])
  if not rows then return nil, err end
  for _, row in ipairs(rows) do
    local list = graph.members[row.member] or {}
    graph.members[row.member] = list
    list[#list + 1] = { role = row.role, option = is_true(row.with_option) }
  end
  if dialect == "cockroachdb" then
    graph.system, err = system_grants(sql, deadline)
    if not graph.system then return nil, err end
  end
  return graph
end

--- Until when a user's password is good, by the server's clock.
---@param sql crdbcloud.sql
---@param deadline number
---@param user string folded
---@return {valid_until: string?, expired: boolean}|nil
---@return crdbcloud.error|nil
function M.validity(sql, deadline, user)
  local rows, err = run.query(sql, deadline, [[
    SELECT rolvaliduntil AS valid_until, coalesce(rolvaliduntil <= now(), false) AS expired FROM pg_catalog.pg_roles WHERE rolname = $1]],
    user)
  if not rows then return nil, err end
  local row = rows[1] or {}
  return { valid_until = row.valid_until, expired = is_true(row.expired) }
end

-- On CockroachDB pg_roles.oid is made from the name, so it tells nothing; system.users has a number of its own from 22.2 on.
local IDENTITIES = "SELECT rolname AS name, oid::text AS id, rolvaliduntil AS valid_until, "
  .. "coalesce(rolvaliduntil <= now(), false) AS expired FROM pg_catalog.pg_roles"
local NUMBERS = "SELECT username AS name, user_id::STRING AS id FROM system.users"

--- Of every role: the server's own number, and until when its password is good. A server that hides the numbers, or has
--- none, leaves them out.
---@param sql crdbcloud.sql
---@param deadline number
---@param dialect crdbcloud.dialect
---@return table<string, {id: string?, valid_until: string?, expired: boolean}>|nil
---@return crdbcloud.error|nil
function M.identities(sql, deadline, dialect)
  local rows, err = run.query(sql, deadline, IDENTITIES)
  if not rows then return nil, err end
  local out = {}
  for _, row in ipairs(rows) do
    out[row.name] = { id = dialect == "postgresql" and row.id or nil, valid_until = row.valid_until, expired = is_true(row.expired) }
  end
  if dialect == "postgresql" then return out end
  rows, err = run.query(sql, deadline, NUMBERS)
  if not rows and (err.kind == "network" or err.kind == "timeout") then return nil, err end
  for _, row in ipairs(rows or {}) do
    out[row.name] = out[row.name] or { expired = false }
    out[row.name].id = row.id
  end
  return out
end

return M
