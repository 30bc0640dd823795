--- What SQL users may do: `plan` says it in statements, `apply` does it and checks, `inspect` looks, `diff` compares,
-- `demote` takes admin away. Additive unless `exact = true`.

local errors = require "crdbcloud.errors"
local options = require "crdbcloud.base.options"
local names = require "crdbcloud.names"
local access = require "crdbcloud.privileges.access"
local printing = require "crdbcloud.base.printing"

local M = {}

local TIMEOUT = 60 -- seconds, for all statements of one call

--- Checks wanted access and gives it back complete and in one order; equal access gives equal lists.
---@param wanted table|nil one entry { database, schema, tables, privileges | preset, sequences, future, creators } or a list
---@return table[]|nil list
---@return crdbcloud.error|nil err kind "invalid_argument"
function M.normalize(wanted)
  return access.normalize(wanted)
end

local function check_sql(sql, what)
  if type(sql) ~= "table" or type(sql.query) ~= "function" or type(sql.dialect) ~= "function" then
    errors.raise("%s: sql must be a connection of crdbcloud.sql, got %s", what, errors.shown(sql))
  end
end

-- The server's own form of the name, also of one that could not be created now.
local function check_user(user, what)
  if type(user) ~= "string" or user == "" then
    errors.raise("%s: user must be a name, got %s", what, errors.shown(user))
  end
  return names.fold(user)
end

local function check_roles(list, what)
  if list == nil then return {} end
  if type(list) ~= "table" then
    errors.raise("%s: roles must be a list of names, got %s", what, errors.shown(list))
  end
  local out = {}
  for i, role in ipairs(list) do out[i] = check_user(role, ("%s: roles[%d]"):format(what, i)) end
  return out
end

local function deadline_of(opts)
  return require("crdbcloud.privileges.run").deadline(opts.timeout or TIMEOUT)
end

--- The statements that give a user its access, without asking a server. Of listed tables the sequences they own are not
--- known here, and on PostgreSQL neither are the makers of future tables unless `creators` names them; `apply` asks.
---@param wanted table|nil
---@param given {user: string, dialect: crdbcloud.dialect?, roles: string[]?, revoke_admin: boolean?} dialect: "cockroachdb"
---@return string[]|nil statements with databases = { [i] = the database that statement i must run in }
---@return crdbcloud.error|nil
function M.plan(wanted, given)
  local opts = options.check({ user = true, dialect = true, roles = true, revoke_admin = "boolean" }, given, "privileges.plan")
  return require("crdbcloud.privileges.plan").plan(wanted, {
    user = check_user(opts.user, "privileges.plan"), dialect = opts.dialect or "cockroachdb",
    roles = check_roles(opts.roles, "privileges.plan"), revoke_admin = opts.revoke_admin,
  })
end

--- Gives a user its access and then compares what the server says with what was wanted. Running it again changes
--- nothing. Roles that lead to admin, ADMIN OPTION, CREATEROLE or CREATELOGIN are refused.
---@param sql crdbcloud.sql
---@param wanted table|nil
---@param given {user: string, roles: string[]?, exact: boolean?, timeout: crdbcloud.duration?} exact: everything else the
---  user was given directly is taken away, in all databases
---@return true|nil
---@return crdbcloud.error|nil
function M.apply(sql, wanted, given)
  check_sql(sql, "privileges.apply")
  local opts = options.check({ user = true, roles = true, exact = "boolean", timeout = "limit" }, given, "privileges.apply")
  local user, roles = check_user(opts.user, "privileges.apply"), check_roles(opts.roles, "privileges.apply")
  local list, err = access.normalize(wanted)
  if not list then return nil, err end
  return require("crdbcloud.privileges.apply").apply(sql, deadline_of(opts), list,
    { user = user, roles = roles, exact = opts.exact })
end

--- What a user lacks of the access that it should have; reads only.
---@param sql crdbcloud.sql
---@param wanted table|nil
---@param given {user: string, roles: string[]?}
---@return table[]|nil grants single grants; print them with privileges.describe
---@return crdbcloud.error|nil
function M.lacks(sql, wanted, given)
  check_sql(sql, "privileges.lacks")
  local opts = options.check({ user = true, roles = true }, given, "privileges.lacks")
  local user, roles = check_user(opts.user, "privileges.lacks"), check_roles(opts.roles, "privileges.lacks")
  local list, err = access.normalize(wanted)
  if not list then return nil, err end
  return require("crdbcloud.privileges.apply").lacks(sql, deadline_of(opts), list, { user = user, roles = roles })
end

--- What a user really is and has.
---@param sql crdbcloud.sql
---@param user string
---@param given {databases: string[]|"all"|nil, timeout: crdbcloud.duration?}|nil databases: where to look for grants and
---  owned objects; without it only roles and options are looked at, which costs two or three queries
---@return table|nil {exists, login, admin, admin_direct, admin_via = {role, ...}, admin_option, createrole, createlogin,
---  superuser, powers, limited, roles = {...}, grants = {...}, inherited = {...}, gives = {...}, owns = {...},
---  public_create = {"shop.public", ...}, unknown = {...}}. grants: its own, system privileges and memberships too;
---  inherited: through roles and everybody, each with via; gives: default privileges it gives to others as a maker;
---  public_create: where everybody may create tables, this user too (REVOKE CREATE ON SCHEMA ... FROM public would change
---  that for all users); powers: {privilege, via} of what leads past grants; limited: no admin and no powers of its own;
---  unknown: what this server does not say
---@return crdbcloud.error|nil
function M.inspect(sql, user, given)
  check_sql(sql, "privileges.inspect")
  local opts = options.check({ databases = "table|string", timeout = "limit" }, given, "privileges.inspect")
  if type(opts.databases) == "string" and opts.databases ~= "all" then
    errors.raise('privileges.inspect: databases must be a list of names or "all", got %s', errors.shown(opts.databases))
  end
  return require("crdbcloud.privileges.inspect").inspect(sql, deadline_of(opts), check_user(user, "privileges.inspect"),
    { databases = opts.databases })
end

local Difference = {
  __name = "crdbcloud.difference",
  __tostring = function(d)
    local lines = {}
    for _, side in ipairs { "missing", "extra" } do
      for _, grant in ipairs(d[side]) do lines[#lines + 1] = side .. "  " .. printing.harmless(M.describe(grant)) end
    end
    return #lines > 0 and table.concat(lines, "\n") or "no difference"
  end,
}

--- Compares: wanted access (as written) or single grants, against an inspection of those databases or single grants.
---@param wanted table
---@param actual table
---@param given {roles: string[]?}|nil roles wanted too
---@return {missing: table[], extra: table[]}|nil single grants; print them with privileges.describe
---@return crdbcloud.error|nil
function M.diff(wanted, actual, given)
  for name, value in pairs { wanted = wanted or false, actual = actual or false } do
    if type(value) ~= "table" then
      errors.raise("privileges.diff: %s must be a table, got %s", name, errors.shown(value or nil))
    end
  end
  local opts = options.check({ roles = true }, given, "privileges.diff")
  local have = actual
  if actual.grants then
    have = actual.grants
    local single = type(wanted[1]) == "table" and wanted[1].on ~= nil
    if not single then
      if not (actual.dialect and actual.objects) then
        errors.raise("privileges.diff: actual must be what privileges.inspect gave, or its grants, got another table")
      end
      local list, err = access.normalize(wanted)
      if not list then return nil, err end
      wanted, err = require("crdbcloud.privileges.grants").expand(list, {
        dialect = actual.dialect, objects = actual.objects, roles = check_roles(opts.roles, "privileges.diff"),
      })
      if not wanted then return nil, err end
    end
  end
  local found, err = require("crdbcloud.privileges.diff").diff(wanted, have, actual.user, actual.owns)
  return found and setmetatable(found, Difference), err
end

--- A single grant in words: "SELECT on table shop.public.orders".
---@param grant table
---@return string
function M.describe(grant)
  if type(grant) ~= "table" or type(grant.on) ~= "string" then
    errors.raise("privileges.describe: grant must be one of what inspect and diff give, got %s", errors.shown(grant))
  end
  return require("crdbcloud.privileges.grants").describe(grant)
end

--- Takes admin from a user, each membership that leads to it, and the rights to make users; then looks whether it holds.
---@param sql crdbcloud.sql
---@param user string
---@param given {timeout: crdbcloud.duration?}|nil
---@return {revoked: string[]}|nil
---@return crdbcloud.error|nil
function M.demote(sql, user, given)
  check_sql(sql, "privileges.demote")
  local opts = options.check({ timeout = "limit" }, given, "privileges.demote")
  return require("crdbcloud.privileges.demote").demote(sql, deadline_of(opts), check_user(user, "privileges.demote"))
end

--- Why an application user cannot get this access or these roles, or must not; nil when there is no reason.
---@param sql crdbcloud.sql
---@param wanted table|nil
---@param roles string[]|nil
---@return crdbcloud.error|nil
function M.refused(sql, wanted, roles)
  check_sql(sql, "privileges.refused")
  local list, err = access.normalize(wanted)
  if not list then return err end
  return require("crdbcloud.privileges.refused").refused(sql, deadline_of {}, list, check_roles(roles, "privileges.refused"))
end

local REMOVAL = { reassign_to = "text", timeout = "limit" }

--- What has to be taken out of the way before DROP ROLE succeeds, in every database. Nothing is changed.
---@param sql crdbcloud.sql
---@param user string a role as well
---@param given {reassign_to: string?, timeout: crdbcloud.duration?}|nil reassign_to: gets what the user owns
---@return {exists: boolean, statements: string[], owns: string[]}|nil
---@return crdbcloud.error|nil err kind "conflict": something that no statement of ours ends; it names the object and what to run
function M.plan_removal(sql, user, given)
  check_sql(sql, "privileges.plan_removal")
  local opts = options.check(REMOVAL, given, "privileges.plan_removal")
  return require("crdbcloud.privileges.removal").plan(sql, deadline_of(opts), check_user(user, "privileges.plan_removal"), opts)
end

--- Takes all of it out of the way, and looks again. The role may be dropped then.
---@param sql crdbcloud.sql
---@param user string
---@param given {reassign_to: string?, timeout: crdbcloud.duration?}|nil
---@return true|nil
---@return crdbcloud.error|nil
function M.clear_for_drop(sql, user, given)
  check_sql(sql, "privileges.clear_for_drop")
  local opts = options.check(REMOVAL, given, "privileges.clear_for_drop")
  return require("crdbcloud.privileges.removal").clear(sql, deadline_of(opts), check_user(user, "privileges.clear_for_drop"), opts)
end

--- Ends all sessions of a user, until none is left.
---@param sql crdbcloud.sql
---@param user string
---@param given {older_than: crdbcloud.duration?, timeout: crdbcloud.duration?}|nil older_than: sessions that have begun
---  since then stay, such as those that logged in with a new password. timeout: default 30 s
---@return integer|nil count
---@return crdbcloud.error|nil
function M.cancel_sessions(sql, user, given)
  check_sql(sql, "privileges.cancel_sessions")
  local opts = options.check({ older_than = "duration", timeout = "limit" }, given, "privileges.cancel_sessions")
  opts.timeout = opts.timeout or 30
  return require("crdbcloud.privileges.sessions").cancel(sql, deadline_of(opts), check_user(user, "privileges.cancel_sessions"),
    opts.older_than)
end

--- The statement that ends a user's sessions, for a person to run where we may not.
---@param user string
---@param dialect crdbcloud.dialect? default "cockroachdb"
---@return string
function M.cancel_statement(user, dialect)
  return require("crdbcloud.privileges.sessions").statement(check_user(user, "privileges.cancel_statement"), dialect)
end

--- Lets a user log in, or takes that away. Sessions that are open go on.
---@param sql crdbcloud.sql
---@param user string
---@param allowed boolean
---@return true|nil
---@return crdbcloud.error|nil
function M.set_login(sql, user, allowed)
  check_sql(sql, "privileges.set_login")
  if type(allowed) ~= "boolean" then
    errors.raise("privileges.set_login: allowed must be true or false, got %s", errors.shown(allowed))
  end
  return require("crdbcloud.privileges.login").set(sql, deadline_of {}, check_user(user, "privileges.set_login"), allowed)
end

--- What keeps a user out whatever its password: NOLOGIN, NOSQLLOGIN in every form, or VALID UNTIL, which the server tells
--- in the words of a wrong password.
---@param sql crdbcloud.sql
---@param user string
---@return {reason: "no_login"|"expired", message: string, statement: string}|false|nil found false: nothing does
---@return crdbcloud.error|nil
function M.why_no_login(sql, user)
  check_sql(sql, "privileges.why_no_login")
  return require("crdbcloud.privileges.login").look(sql, deadline_of {}, check_user(user, "privileges.why_no_login"))
end

return M
