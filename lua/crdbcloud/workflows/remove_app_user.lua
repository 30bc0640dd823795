--- `remove_app_user`: deletes a user that owns nothing any more, and then its record, once the API has confirmed it.

local context = require "crdbcloud.run.context"
local errors = require "crdbcloud.errors"
local names = require "crdbcloud.names"
local report = require "crdbcloud.run.report"
local pair = require "crdbcloud.change.pair"
local pair_access = require "crdbcloud.change.pair.access"
local privileges = require "crdbcloud.privileges"
local quote = require "crdbcloud.sql.quote"
local record = require "crdbcloud.record"
local rules = require "crdbcloud.run.rules"

local M = {}

local OPTIONS = { user = "text", reassign_to = "text", reason = "line", on_progress = "function", dry_run = "boolean" }

-- The error of a user that is changed already but not deleted.
local function half_removed(err)
  errors.partly(err)
  err.hint = err.hint or "call remove_app_user again; it goes on where it stopped"
  return nil, err
end

-- Databases in which the user owns something.
local function owned_databases(owns)
  local list, seen = {}, {}
  for _, thing in ipairs(owns) do
    if not seen[thing.database] then
      seen[thing.database] = true
      list[#list + 1] = thing.database
    end
  end
  return list
end

local function reassign(sql, user, to, owns)
  for _, database in ipairs(owned_databases(owns)) do
    local there, err = sql:database(database)
    if not there then return nil, err end
    local dialect = sql:dialect()
    if dialect == "cockroachdb" then
      local ok
      ok, err = sql:use(database)
      if not ok then return nil, err end
    end
    local ok
    ok, err = there:query(("REASSIGN OWNED BY %s TO %s"):format(quote.identifier(user), quote.identifier(to)))
    if dialect == "cockroachdb" then sql:use_home() end
    if not ok then return nil, err end
  end
  return true
end

-- Inspects a user or role; refuses one that owns objects where nobody is named to get them.
local function look(sql, user, wanted)
  local found, err = privileges.inspect(sql, user, { databases = "all" })
  if not found then return nil, err end
  if found.owns and #found.owns > 0 and not wanted.reassign_to then
    local first = found.owns[1]
    return nil, errors.new {
      kind = "conflict", outcome = "not_sent", operation = "remove_app_user",
      message = ("%s owns %d objects, the first is %s %s"):format(user, #found.owns, first.on,
        table.concat({ first.database, first.schema, first.name }, ".")),
      hint = "say who gets them: reassign_to = ROLE",
    }
  end
  return found
end

-- Takes away by SQL what the user has: login, sessions, grants, ownership. Returns "there", or "gone" if no such user exists.
local function strip(ctx, entry, wanted)
  local sql, err = ctx:sql()
  if not sql then return nil, err end
  local found
  found, err = look(sql, entry.user, wanted)
  if not found then return nil, err end
  if not found.exists or wanted.dry_run then return found.exists and "there" or "gone" end
  local ok
  ok, err = privileges.set_login(sql, entry.user, false)
  if not ok then return nil, err end
  ok, err = privileges.cancel_sessions(sql, entry.user)
  if not ok then return half_removed(err) end
  if found.owns and #found.owns > 0 then
    ok, err = reassign(sql, entry.user, wanted.reassign_to, found.owns)
    if not ok then return half_removed(err) end
  end
  ok, err = privileges.apply(sql, {}, { user = entry.user, roles = {}, exact = true })
  if not ok then return half_removed(err) end
  ctx:progress { step = "strip", user = entry.user, text = "login, sessions and access taken away" }
  return "there"
end

local function remove_one(ctx, entry, wanted, last)
  local state, err = strip(ctx, entry, wanted)
  if not state then return nil, err end
  local absent = state == "gone" and (entry.rec and "the cluster has no such user; its record is what is left" or "there is no such user")
  if wanted.dry_run then return { result = "remove", note = absent or "owns nothing that is in the way" } end
  local ok, value
  value, err = ctx.cloud:delete_sql_user(ctx.id, entry.user)
  if not value then
    -- The user may be gone already, which is as good; but a 404 may mean the cluster.
    if err.kind ~= "not_found" or ctx:user_exists(entry.user) ~= false then return half_removed(err) end
  end
  if last then
    ok, err = last()
    if not ok then return half_removed(err) end
  end
  if entry.rec then
    ok, err = entry:forget()
    if not ok then return half_removed(err) end
  end
  return { note = absent or "removed" }
end

local function remove_role(sql, pair_of, wanted)
  local found, err = look(sql, pair_of.role, wanted)
  if not found then return nil, err end
  if #found.owns > 0 then
    local ok
    ok, err = reassign(sql, pair_of.role, wanted.reassign_to, found.owns)
    if not ok then return nil, err end
  end
  return pair_access.drop_role(sql, pair_of)
end

local function unsettled(user)
  return errors.new {
    kind = "pending", outcome = "not_sent", exit = 3, message = user .. ": its creation is not settled",
    hint = "`crdbcloud rotate resume` settles it first",
  }
end

-- Removes the partner of a pair first and the role last, so that the record stays until everything else is gone.
local function remove_held(ctx, entry, wanted)
  local rec = entry.rec
  if rec and rec.pair_of then return nil, pair.is_partner(rec, "remove_app_user") end
  if not rec or not rec.pair then return remove_one(ctx, entry, wanted) end
  local sql, err = ctx:sql()
  if not sql then return nil, err end
  for _, name in ipairs { rec.user, rec.pair.partner, rec.pair.role } do
    local found
    found, err = look(sql, name, wanted)
    if not found then return nil, err end
  end
  local users
  users, err = pair.users(ctx, entry)
  if not users then return nil, err end
  if users[2] then
    local gone
    gone, err = ctx:with(users[2], function(held)
      if held.rec and held.rec.state == "posting" then return nil, unsettled(held.user) end
      return remove_one(ctx, held, wanted)
    end)
    if not gone then return nil, err end
  end
  local function last() return remove_role(sql, rec.pair, wanted) end
  return remove_one(ctx, entry, wanted, last)
end

--- Removes a user: no login, sessions ended, objects handed over, grants revoked,
--- deleted by the API, then forgotten by the store.
---@param cluster table
---@param opts table|string user (required), reassign_to (role that gets what the user owns), dry_run, reason, on_progress
---@return table|nil report
---@return crdbcloud.error|nil
function M.remove_app_user(cluster, opts)
  local err
  opts, err = rules.one_user(OPTIONS, opts, "remove_app_user")
  if not opts then return nil, err end
  local user = opts.user
  if opts.reassign_to then
    opts.reassign_to = names.fold(opts.reassign_to)
    if opts.reassign_to == user then errors.raise("remove_app_user: reassign_to is the user itself") end
  end
  if names.is_protected(user) or user == cluster:sql_account() then
    return nil, errors.new {
      kind = "invalid_argument", outcome = "not_sent", operation = "remove_app_user",
      message = user .. (names.is_protected(user) and " is protected" or " is the account of the SQL connection itself"),
    }
  end
  local ctx
  ctx, err = context.new(cluster, "remove_app_user", opts)
  if not ctx then return nil, err end
  local rec, problem = ctx.store:get(record.key(ctx.id, user))
  if not rec and errors.is(problem) then return nil, problem end
  if rec and record.is_creating(rec) and rec.state == "posting" then
    return nil, unsettled(user)
  end
  return report.finish(ctx, { (ctx:user_row(user, remove_held, opts)) })
end

return M
