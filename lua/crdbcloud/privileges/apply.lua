--- Gives a user what is wanted, then asks the server whether it has it; takes admin away from one.

local errors = require "crdbcloud.errors"
local options = require "crdbcloud.base.options"
local names = require "crdbcloud.names"
local quote = require "crdbcloud.sql.quote"
local access = require "crdbcloud.privileges.access"
local grants = require "crdbcloud.privileges.grants"
local plan = require "crdbcloud.privileges.plan"
local diff = require "crdbcloud.privileges.diff".diff
local roles = require "crdbcloud.privileges.roles"
local catalog = require "crdbcloud.privileges.catalog"
local inspection = require "crdbcloud.privileges.inspect"
local run = require "crdbcloud.privileges.run"

local M = {}

local ROUNDS = 3 -- revoking ALL takes wanted privileges along, which the next round gives again

local function failed(kind, operation, message, hint, outcome)
  return errors.new { kind = kind, operation = operation, message = message, hint = hint, outcome = outcome or "not_sent" }
end

-- Databases, and the tables whose own sequences matter, of a normalized access.
local function needs(list)
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

-- All that is missing is said at once, before anything is changed.
local function missing_objects(list, objects)
  local problems = {}
  for _, entry in ipairs(list) do
    local found = objects[entry.database]
    if not found.schemas[entry.schema] then
      problems[#problems + 1] = "schema " .. quote.qualified(entry.database, entry.schema)
    elseif entry.tables ~= "*" then
      local tables = found.tables[entry.schema] or {}
      for _, name in ipairs(entry.tables) do
        if not tables[name] then
          local near = options.nearest(name, tables)
          problems[#problems + 1] = "table " .. quote.qualified(entry.database, entry.schema, name)
            .. (near and (" (did you mean %s?)"):format(near) or "")
        end
      end
    end
  end
  if #problems == 0 then return nil end
  return failed("not_found", "privileges.apply", table.concat(problems, ", ") .. (#problems == 1 and " does not exist" or " do not exist"))
end

--- Refuses roles that lead to what an application user must not have.
---@param graph crdbcloud.privileges.graph
---@param list string[] folded
---@return crdbcloud.error|nil
function M.refused_roles(graph, list)
  for _, role in ipairs(list) do
    local shown = quote.identifier(role)
    if names.is_protected(role) then
      return failed("invalid_argument", "privileges", ("role %s belongs to the cluster itself and is not given to an application user"):format(shown))
    end
    if not graph.traits[role] then
      return failed("not_found", "privileges", ("role %s does not exist"):format(shown), "create it first: CREATE ROLE " .. shown)
    end
    local leads = roles.leads_to(graph, role)
    if leads then
      return failed("invalid_argument", "privileges",
        ("role %s leads to %s, which an application user must not have"):format(shown, leads),
        "see SHOW GRANTS ON ROLE, or give a role without it")
    end
  end
  return nil
end

-- On CockroachDB "ALL TABLES" takes sequences along: not what was asked for, but nothing to revoke either.
local function came_with_tables(grant, list)
  if grant.on ~= "sequence" then return false end
  for _, entry in ipairs(list) do
    if entry.tables == "*" and entry.database == grant.database and entry.schema == grant.schema then
      for _, name in ipairs(entry.privileges or { "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP" }) do
        if name == grant.privilege then return true end
      end
    end
  end
  return false
end

local function compare(sql, deadline, list, given)
  local databases, tables = needs(list)
  local found, err = inspection.inspect(sql, deadline, given.user, {
    databases = given.exact and "all" or databases, owned_by_tables = tables,
  })
  if not found then return nil, err end
  if not found.exists then
    return nil, failed("not_found", "privileges.apply", ("user %s does not exist"):format(quote.identifier(given.user)))
  end
  for _, database in ipairs(databases) do
    if not found.objects[database] then
      return nil, failed("not_found", "privileges.apply", ("database %s does not exist"):format(quote.identifier(database)))
    end
  end
  err = missing_objects(list, found.objects)
  if err then return nil, err end
  local wanted
  wanted, err = grants.expand(list, { dialect = found.dialect, roles = given.roles, objects = found.objects })
  if not wanted then return nil, err end
  local difference, extra = diff(wanted, found.grants, given.user, found.owns), {}
  for _, grant in ipairs(given.exact and difference.extra or {}) do
    if found.dialect ~= "cockroachdb" or not came_with_tables(grant, list) then extra[#extra + 1] = grant end
  end
  return { found = found, missing = difference.missing, extra = extra }
end

local function change(sql, deadline, list, given, state)
  if #state.missing > 0 then
    local statements, err = plan.plan(list, {
      user = given.user, dialect = state.found.dialect, roles = given.roles, objects = state.found.objects,
    })
    if not statements then return nil, err end
    local ok
    ok, err = run.all(sql, deadline, statements)
    if not ok then return nil, err end
  end
  if #state.extra > 0 then
    local statements, left = plan.revoke(state.extra, { user = given.user, dialect = state.found.dialect })
    local ok, err = run.all(sql, deadline, statements)
    if not ok then return nil, #state.missing > 0 and errors.partly(err) or err end
    if #left > 0 then
      return nil, failed("sql", "privileges.apply", "no statement is known that takes away: " .. grants.summary(left, 5),
        "revoke it by hand", "applied")
    end
  end
  return true
end

--- Gives the access, and with exact takes everything else away. Nothing is sent when nothing is missing.
---@param sql crdbcloud.sql
---@param deadline number
---@param list table[] normalized access
---@param given {user: string, roles: string[], exact: boolean?} folded
---@return true|nil
---@return crdbcloud.error|nil
function M.apply(sql, deadline, list, given)
  local state, err
  for round = 1, ROUNDS do
    state, err = compare(sql, deadline, list, given)
    if not state then return nil, round > 1 and errors.partly(err) or err end
    if round == 1 then
      err = M.refused_roles(state.found.graph, given.roles)
      if err then return nil, err end
    end
    if #state.missing == 0 and #state.extra == 0 then return true end
    if round == ROUNDS then break end
    local ok
    ok, err = change(sql, deadline, list, given, state)
    sql:use_home()
    if not ok then return nil, round > 1 and errors.partly(err) or err end
  end
  local words = {}
  if #state.missing > 0 then words[1] = "the server still lacks " .. grants.summary(state.missing, 5) end
  if #state.extra > 0 then words[#words + 1] = "the server still has " .. grants.summary(state.extra, 5) end
  return nil, failed("sql", "privileges.apply", table.concat(words, "; "),
    "the SQL user may lack the right to grant it: use a member of admin", "applied")
end

-- CREATEROLE and CREATELOGIN exist on CockroachDB as role options and as system privileges.
local function own_statements(user, own, system)
  local list, options_off = {}, {}
  for _, name in ipairs(own) do options_off[#options_off + 1] = "NO" .. name end
  if #own > 0 then list[1] = ("ALTER ROLE %s WITH %s"):format(user, table.concat(options_off, " ")) end
  if system then list[#list + 1] = ("REVOKE SYSTEM %s FROM %s"):format(table.concat(system, ", "), user) end
  return list
end

--- Takes admin from a user, memberships that lead to it too, and whatever else lets a user make users; then looks again.
---@param sql crdbcloud.sql
---@param deadline number
---@param user string folded
---@return {revoked: string[]}|nil
---@return crdbcloud.error|nil
function M.demote(sql, deadline, user)
  local dialect, err = sql:dialect()
  if not dialect then return nil, err end
  local own
  own, err = sql:user()
  if not own then return nil, err end
  if names.is_protected(user) or user == own then
    return nil, failed("invalid_argument", "privileges.demote",
      ("%s is %s and is not demoted"):format(quote.identifier(user), user == own and "the SQL connection's own user" or "a user of the cluster itself"))
  end
  local graph
  graph, err = catalog.graph(sql, deadline, dialect)
  if not graph then return nil, err end
  if not graph.traits[user] then
    return nil, failed("not_found", "privileges.demote", ("user %s does not exist"):format(quote.identifier(user)))
  end
  local quoted, revoked, statements = quote.identifier(user), {}, {}
  local wanted = roles.to_demote(graph, user)
  for _, role in ipairs(wanted.roles) do
    statements[#statements + 1] = ("REVOKE %s FROM %s"):format(quote.identifier(role), quoted)
    revoked[#revoked + 1] = role
  end
  for _, role in ipairs(wanted.options) do
    statements[#statements + 1] = ("REVOKE ADMIN OPTION FOR %s FROM %s"):format(quote.identifier(role), quoted)
    revoked[#revoked + 1] = "ADMIN OPTION FOR " .. role
  end
  for _, text in ipairs(own_statements(quoted, wanted.own, graph.traits[user].system)) do statements[#statements + 1] = text end
  for _, name in ipairs(wanted.own) do revoked[#revoked + 1] = name end
  for i, text in ipairs(statements) do
    local ok
    ok, err = run.query(sql, deadline, text)
    if not ok then
      err.message = ("%s (statement: %s)"):format(err.message, text)
      if err.sqlstate == "42501" then
        err.hint = ("the SQL user must hold admin WITH ADMIN OPTION: GRANT admin TO %s WITH ADMIN OPTION"):format(quote.identifier(own))
      end
      return nil, i > 1 and errors.partly(err) or err
    end
  end
  graph, err = catalog.graph(sql, deadline, dialect)
  if not graph then return nil, #statements > 0 and errors.partly(err) or err end
  local left = roles.describe(graph, user)
  if left.admin or left.createrole or left.createlogin then
    return nil, failed("sql", "privileges.demote", ("%s is still %s"):format(quoted,
      left.admin and "an admin" .. (#left.admin_via > 0 and " through " .. table.concat(left.admin_via, ", ") or "")
        or "able to make users"), nil, "applied")
  end
  return { revoked = revoked }
end

-- The databases, schemas and tables that the access names are there.
local function look_for(sql, deadline, dialect, list)
  local objects = {}
  for _, database in ipairs((needs(list))) do
    local found, err = inspection.within(sql, deadline, dialect, database, function(conn)
      return catalog.objects(conn, deadline, database)
    end)
    if not found then return err end
    objects[database] = found
  end
  return missing_objects(list, objects)
end

local function named_creators(list)
  local creators = {}
  for _, entry in ipairs(list) do
    for _, creator in ipairs(entry.creators or {}) do creators[#creators + 1] = creator end
  end
  return creators
end

--- nil when the access and the roles can be given: what they name is there, and neither leads to admin or the right to
--- make users.
---@param list table[] normalized access
---@param wanted_roles string[] folded
---@return crdbcloud.error|nil
function M.refused(sql, deadline, list, wanted_roles)
  local dialect, err = sql:dialect()
  if not dialect then return err end
  for _, entry in ipairs(list) do
    local _, unknown = access.privileges(entry, dialect)
    if unknown then return unknown end
  end
  local creators = named_creators(list)
  if #wanted_roles + #creators > 0 then
    local graph
    graph, err = catalog.graph(sql, deadline, dialect)
    if not graph then return err end
    err = M.refused_roles(graph, wanted_roles)
    if err then return err end
    for _, creator in ipairs(creators) do
      if not graph.traits[creator] then
        return failed("not_found", "privileges", ("creators: role %s does not exist"):format(quote.identifier(creator)))
      end
    end
  end
  return look_for(sql, deadline, dialect, list)
end

return M
