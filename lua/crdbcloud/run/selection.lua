--- Which users a rotation touches, and why the others are left alone.

local durations = require "crdbcloud.base.durations"
local errors = require "crdbcloud.errors"
local names = require "crdbcloud.names"
local proof = require "crdbcloud.change.proof"
local pair_rules = require "crdbcloud.change.pair.rules"
local record = require "crdbcloud.record"
local sinks = require "crdbcloud.sinks"

local M = {}

--- How the names of users begin that `probe` makes and removes; nobody gets such a user.
M.THROWAWAY = "crdbcloud_probe_"

local OWN_CREATION = 3600 -- seconds within which an audit entry of a creation is our own

M.POLICY_AGE = 90 * 86400 -- seconds; a value of this project, not a law

--- Why a name is blocked that the cluster does not know.
M.ABSENT = "no such user on the cluster"

--- True for the name of such a user.
---@param folded string
---@return boolean
function M.is_throwaway(folded)
  return folded:sub(1, #M.THROWAWAY) == M.THROWAWAY
end

--- Checks `users` of a call; raises on misuse.
---@param users any
---@param what string
---@return string|string[]|function
function M.check_users(users, what)
  if users == nil then
    errors.raise('%s: users is missing: a name, a list of names, "managed", "all", or a function', what)
  end
  if type(users) == "function" or users == "managed" or users == "all" then return users end
  if type(users) == "string" then return { users } end
  if type(users) ~= "table" then
    errors.raise('%s: users must be a name, a list of names, "managed", "all", or a function, got %s',
      what, errors.shown(users))
  end
  local list = {}
  for i, name in ipairs(users) do
    if type(name) ~= "string" then
      errors.raise("%s: users[%d] must be a name, got %s", what, i, errors.shown(name))
    end
    list[i] = name
  end
  if #list == 0 or next(users, #list) ~= nil then
    errors.raise("%s: users is an empty list or has fields that are no names", what)
  end
  return list
end

local function folded_set(list, what)
  local set = {}
  if type(list) == "string" then list = { list } end
  for i, name in ipairs(list or {}) do
    if type(name) ~= "string" then
      errors.raise("%s: exclude[%d] must be a name, got %s", what, i, errors.shown(name))
    end
    set[names.fold(name)] = true
  end
  return set
end

--- Names given by the caller, folded and checked; nothing has been sent yet.
local function named(users)
  local list, seen = {}, {}
  for _, name in ipairs(users) do
    local folded, err = names.check(name)
    if not folded then return nil, err end
    if not seen[folded] then
      seen[folded] = true
      list[#list + 1] = folded
    end
  end
  return list
end

--- Pure: what to do with one user.
---@param o { user: string, rec: table|nil, named: boolean, excluded: boolean, own: boolean, listed: boolean,
---   managed_only: boolean, max_age: number|nil, audited_at: integer|nil, made_again_at: integer|nil,
---   restored_at: integer|nil, now: integer }
---@return string action "rotate", "resume", "skip" or "blocked"
---@return string reason
---@return crdbcloud.error|nil err of a user that is named and blocked, where there is more to say than the reason
function M.decide(o)
  if o.excluded then return "skip", "excluded" end
  if names.is_protected(o.user) then return "skip", "protected" end
  if not o.named and names.is_sso(o.user) then return "skip", "signs in by SSO" end
  if M.is_throwaway(o.user) then return "skip", "throwaway user of a probe" end
  if o.own and not o.named and not o.emergency then return "skip", "used by the SQL connection or the store itself" end
  local rec = o.rec
  if rec and rec.pair_of then
    return o.named and "blocked" or "skip", "partner of " .. rec.pair_of, pair_rules.is_partner(rec, "rotate_passwords")
  end
  if o.managed_only and (not rec or rec.state == "unmanaged") then return "skip", "has no record" end
  if rec and (rec.removing or rec.state == "unmanaged") then
    return "blocked", rec.removing and "is being removed; `resume` finishes it" or "a change of its access is half done; `resume` finishes it"
  end
  if rec and record.is_creating(rec) then return "blocked", "is being created; `resume` finishes it" end
  if not o.listed then return "blocked", M.ABSENT end
  if rec and rec.flags.gone then return "blocked", "was deleted and made again by somebody else" end
  local known = record.set_at(rec)
  if known and o.made_again_at and o.made_again_at > known then
    return "blocked", "was made again by somebody else since, says the audit log"
  end
  if rec and record.is_open(rec) then return "resume", "a rotation is half done" end
  local why = "asked for"
  if known and o.restored_at and o.restored_at > known then
    why = "the cluster was restored from a backup since"
  elseif o.max_age then
    local set_at = known
    local from = set_at and "" or ", by the audit log"
    set_at = set_at or o.audited_at
    local future = set_at and set_at > o.now + record.SKEW
    if future then set_at = nil end -- of a clock that was wrong: the age is not known
    if set_at and o.now - set_at < o.max_age then
      return "skip", ("changed %s ago%s"):format(durations.format(math.max(0, o.now - set_at)), from)
    end
    why = set_at and "due" .. from or future and "set in the future, by a clock that was wrong; counts as due" or "age unknown, counts as due"
  end
  local rests = rec and rec.pair and not o.emergency and pair_rules.spacing_left(rec.pair, o.now) or 0
  if rests > 0 then
    local early = pair_rules.too_early(rec, rests)
    return o.named and "blocked" or "skip", "its other user was active until lately; next turn in " .. durations.format(rests), early
  end
  return "rotate", why
end

local function listed_users(ctx)
  local order, set = {}, {}
  local read, err = ctx:any_user(function(user)
    if not set[user] then order[#order + 1] = user end
    set[user] = true
  end)
  if read == nil then return nil, err end
  return order, set
end

-- A name from outside that can be no user's: the work on it ends before it begins.
local function not_a_user(user)
  local folded, err = names.check(user)
  if folded == user then return nil end
  return errors.new {
    kind = "protocol", outcome = "not_sent", reason = "user_name",
    message = ("%s cannot be the name of a user: %s"):format(errors.shown(user), err and err.message or "it is not in lower case"),
  }
end

--- All records of a cluster.
---@param store table
---@param cluster_id string
---@return { user: string, rec: table|nil, err: crdbcloud.error|nil }[]|nil err of one that cannot be read
---@return crdbcloud.error|nil
function M.records(store, cluster_id)
  local keys, err = store:list(cluster_id .. "/")
  if not keys then return nil, err end
  local list = {}
  for _, key in ipairs(keys) do
    local user = key:sub(#cluster_id + 2)
    local err_of_name = not_a_user(user)
    local rec, version
    if not err_of_name then rec, version = store:get(key) end
    if rec or version or err_of_name then
      list[#list + 1] = { user = user, rec = rec, err = err_of_name or not rec and version or nil }
    end
  end
  return list
end

-- The users to look at, in order; each may be left out by M.decide.
local function candidates(ctx, users, listed)
  if type(users) == "table" then return named(users) end
  if users ~= "managed" then
    local list = {}
    for _, user in ipairs(listed) do
      if users == "all" or not not_a_user(user) and users({ name = user }) then list[#list + 1] = user end
    end
    return list
  end
  local keys, err = ctx.store:list(ctx.id .. "/")
  if not keys then return nil, err end
  local list = {}
  for i, key in ipairs(keys) do list[i] = key:sub(#ctx.id + 2) end
  return list
end

local function is_admin(ctx, user)
  local sql, err = ctx:sql()
  if not sql then return nil, err end
  local found
  found, err = require("crdbcloud.privileges").inspect(sql, user)
  if not found then return nil, err end
  return found.admin == true
end

-- The age at which a user is due: its own, the call's, or this project's.
local function due_age(opts, rec)
  if opts.max_age ~= "policy" then return opts.max_age end
  return rec and rec.max_age or M.POLICY_AGE
end

-- What the audit log adds to what the record says of a user.
local function ask_audit_log(ctx, o, audit)
  -- For named users whose age does not matter it is not worth a request.
  if not o.max_age and o.named then return end
  ctx.audited = ctx.audited or audit(ctx)
  local event, created_at = ctx.audited.users[o.user], nil
  o.restored_at = ctx.audited.restored_at
  if event then created_at = event.created_at end
  -- Our own creation is no news: its record was there before it.
  local ours = o.rec and o.rec.origin == "create_app_user" and o.rec.created_at
  if not (ours and created_at and math.abs(created_at - ours) < OWN_CREATION) then o.made_again_at = created_at end
  if o.max_age and not record.set_at(o.rec) then
    o.audited_at = event and event.at
    if ctx.audited.problem then ctx:warn(ctx.audited.problem) end
  end
end

-- The error of an application user whose password is not sent, as the server is now. All users of a plan are looked at at once.
local function refusal(ctx, rec, opts)
  if not proof.concerns(rec) or not ctx.cluster:has_sql() then return nil end
  ctx.looks_by_sql = true
  if opts.emergency then return nil end
  if ctx.finding_of == nil then
    local finding_of, err = proof.survey(ctx.cluster, ctx.operation)
    if not finding_of then ctx:warn("whether application users have become admins could not be looked at: " .. err.message) end
    ctx.finding_of = finding_of or false
  end
  if not ctx.finding_of then return nil end
  local ok, err = proof.act(ctx, rec, ctx.finding_of(rec), "send")
  return not ok and err or nil
end

local function blocked(user, err)
  return { user = user, action = "blocked", reason = err.message, err = err, sinks = {} }
end

local function plan_row(ctx, user, o, opts, audit)
  local bad = not names.is_protected(user) and not_a_user(user)
  if bad then return blocked(user, bad) end
  local rec, version = ctx.store:get(record.key(ctx.id, user))
  if not rec and version then
    return blocked(user, version)
  end
  o.user, o.rec, o.max_age = user, rec, due_age(opts, rec)
  local known = record.set_at(rec)
  ask_audit_log(ctx, o, audit)
  local action, reason, why = M.decide(o)
  if opts.skip_admins and action == "rotate" then
    local admin, err = is_admin(ctx, user)
    if admin == nil then return nil, err end
    if admin then action, reason = "skip", "is an admin" end
  end
  local refused = action == "rotate" and refusal(ctx, rec, opts)
  if refused then action, reason, why = "blocked", refused.message, refused end
  local row = {
    user = user, action = action, reason = reason, managed = rec ~= nil, epoch = rec and record.public_epoch(rec),
    set_at = known, sinks = ctx:sink_names(user, rec),
    finish_only = action == "resume" and not o.emergency and known ~= nil and o.max_age ~= nil and o.now - known < o.max_age or nil,
    err = action == "blocked" and why or nil, opened = ctx:sinks_of(user, rec), age_from = known and "record" or o.audited_at and "audit log" or nil,
  }
  return row
end

-- Two users that would write the same: of named ones neither is begun; of all others these two are left out, and an
-- emergency changes their passwords all the same.
local function part(ctx, rows, opened, opts)
  while true do
    local clash, one, other = sinks.clash(opened)
    if not clash then return nil end
    if opts.emergency then
      ctx:warn(clash.message)
      return nil
    end
    if type(opts.users) == "table" or one == other then return clash end
    for _, row in ipairs(rows) do
      if row.user == one or row.user == other then
        row.action, row.reason, row.err = "blocked", clash.message, clash
        opened[row.user] = nil
      end
    end
  end
end

--- Refuses sinks that another user of the store writes already.
---@param ctx table
---@param rec table the record that has the sinks
---@return true|nil
---@return crdbcloud.error|nil
function M.check_sinks(ctx, rec)
  local own = ctx:sinks_of(rec.user, rec)
  if #own == 0 then return true end
  local list, err = M.records(ctx.store, ctx.id)
  if not list then return nil, err end
  for _, item in ipairs(list) do
    local other = item.rec
    if other and other.user ~= rec.user then
      err = sinks.clash { [rec.user] = own, [other.user] = ctx:sinks_of(other.user, other) }
      if err then return nil, err end
    end
  end
  return true
end

--- The plan of a rotation: one row per user that was looked at, in the order of
--- work, our own accounts last. Reads only.
---@param ctx table
---@param opts table checked options
---@param audit fun(ctx: table): table what crdbcloud.run.ages reads; called at most once
---@return table[]|nil rows { user, action, reason, managed, epoch, set_at, sinks, last }
---@return integer|crdbcloud.error unmanaged count of users without a record
function M.plan(ctx, opts, audit)
  local excluded = folded_set(opts.exclude, ctx.operation)
  if type(opts.users) == "table" then
    local list, err = named(opts.users)
    if not list then return nil, err end
  end
  local listed, on_cluster = listed_users(ctx)
  if not listed then return nil, on_cluster end
  local users, err = candidates(ctx, opts.users, listed)
  if not users then return nil, err end
  local own = { [ctx.cluster:sql_account() or ""] = true, [ctx.store.account or ""] = true }
  local rows, last, opened, unmanaged = {}, {}, {}, 0
  for _, user in ipairs(users) do
    local ok, row, row_err = pcall(plan_row, ctx, user, {
      named = type(opts.users) == "table", excluded = excluded[user] == true, own = own[user] == true,
      listed = on_cluster[user] == true, managed_only = opts.users == "managed",
      emergency = opts.emergency ~= nil, now = ctx:now(),
    }, opts, audit)
    if not ok then row = blocked(user, errors.raised(user, row)) end
    if not row then return nil, row_err end
    if row.action == "rotate" or row.action == "resume" then
      opened[user] = row.opened
      if not row.managed then unmanaged = unmanaged + 1 end
    end
    row.opened, row.last = nil, own[user]
    local target = own[user] and last or rows
    target[#target + 1] = row
  end
  for _, row in ipairs(last) do rows[#rows + 1] = row end
  local clash = part(ctx, rows, opened, opts)
  if clash then return nil, clash end
  for user in pairs(excluded) do
    if not on_cluster[user] then ctx:warn(("exclude: the cluster has no user %s"):format(user)) end
  end
  return rows, unmanaged
end

--- The users that a plan's rows work on.
---@param rows table[]
---@return string[]
function M.work_of(rows)
  local list = {}
  for _, row in ipairs(rows) do
    if row.action == "rotate" or row.action == "resume" then list[#list + 1] = row.user end
  end
  return list
end

return M
