--- Rotation: new passwords for many users or one, by the protocol, each durable
--- before it is sent and published only when it is live.

local core = require "crdbcloud.core"
local context = require "crdbcloud.workflows.context"
local errors = require "crdbcloud.errors"
local names = require "crdbcloud.names"
local options = require "crdbcloud.options"
local outcome = require "crdbcloud.workflows.outcome"
local passwords = require "crdbcloud.passwords"
local record = require "crdbcloud.record"
local selection = require "crdbcloud.workflows.selection"
local rules = require "crdbcloud.workflows.rules"
local steps = require "crdbcloud.workflows.steps"

local M = {}

local MAX_FAILURES = 3 -- in a row, before a run stops

local COMMON = {
  verify = rules.verify, keep_previous = "duration", cancel_sessions = "boolean", sinks = rules.sinks,
  dry_run = "boolean", reason = "text", on_progress = "function",
}

local function with_common(own)
  for name, rule in pairs(COMMON) do own[name] = rule end
  return own
end

local MANY = with_common {
  users = true, exclude = "table|text", max_age = rules.age, max_failures = rules.limit, skip_admins = "boolean",
  parallel = "count", window = rules.later, emergency = rules.later, before = rules.later, after = rules.later,
  plan = rules.later,
}
local ONE = with_common { user = "text", password = "text|secret" }

local function settling(entry)
  local at = record.settled_at(entry.rec)
  local wait = at and math.ceil(at - entry.ctx.clock.time()) or 0
  if wait <= 0 then return nil end
  return errors.new {
    kind = "pending", reason = "settling", outcome = "not_sent", retry_after = wait, exit = 3,
    message = ("%s: an earlier change was not answered; the next may start in %d s"):format(entry.user, wait),
  }
end

-- A record for a user that has none: its present password stays unknown.
local function unmanaged(ctx, user)
  return record.new {
    cluster_id = ctx.id, cluster_name = ctx.name, user = user, state = "idle", origin = "rotation",
    created_at = ctx:now(),
  }
end

-- Rotates one held user. Returns the row's fields.
local function rotate_held(ctx, entry, wanted)
  local rec = entry.rec or unmanaged(ctx, entry.user)
  entry.rec = rec
  if record.is_creating(rec) then
    return nil, context.pending(entry.user, "it is being created", {
      outcome = "not_sent", hint = "`crdbcloud rotate resume` finishes it", exit = 3,
    })
  end
  if record.is_open(rec) then
    local staged = rec.staged ~= nil
    local verdict, err = steps.finish(ctx, entry)
    if not verdict then return nil, err end
    if staged and not wanted.password then return { verified = verdict, window = entry.window, note = "finished a half-done rotation" } end
  elseif wanted.epoch ~= nil and wanted.epoch ~= rec.epoch then
    return { result = "skipped", note = "rotated by another run in the meantime" }
  end
  local ok, err = steps.retire(ctx, entry)
  if not ok then return nil, err end
  err = settling(entry)
  if err then return nil, err end
  ok, err = ctx:check_sinks(rec, wanted.password)
  if not ok then return nil, err end
  ok, err = steps.stage(ctx, entry, wanted.password)
  if not ok then return nil, err end
  local verdict
  verdict, err = steps.finish(ctx, entry)
  if not verdict then return nil, err end
  return { verified = verdict, window = entry.window, sessions_cancelled = entry.cancelled }
end

local function untouched(row, why)
  return { user = row.user, result = "untouched", note = why, epoch = row.epoch, sinks = row.sinks }
end

-- The rows in the order of the plan. Busy and settling users are met again at the end.
local function work(ctx, plan, opts)
  local rows, deferred = {}, {}
  local limit = opts.max_failures == nil and MAX_FAILURES or opts.max_failures
  local failures, done = 0, 0
  local function visit(i, last)
    local planned = plan[i]
    ctx.index = done + 1
    local row, err = ctx:user_row(planned.user, rotate_held, { epoch = planned.epoch })
    if err and not last and (err.kind == "busy" or err.reason == "settling") then
      deferred[#deferred + 1] = { index = i, err = err }
      return
    end
    done = done + 1
    rows[i] = row
    failures = (row.result == "done" or row.result == "skipped") and 0 or failures + 1
    ctx:progress { step = "user", user = row.user, result = row.result, text = outcome.text(row), kind = row.kind }
  end
  local function stopped()
    if ctx.interrupted() then return "interrupted" end
    if ctx.stop then return "stopped: " .. ctx.stop.message end
    if limit and failures >= limit then return ("stopped after %d failures in a row"):format(failures) end
  end
  for i, planned in ipairs(plan) do
    if planned.action == "skip" then
      rows[i] = { user = planned.user, result = "skipped", note = planned.reason, epoch = planned.epoch, sinks = planned.sinks }
    elseif planned.action == "blocked" then
      rows[i] = outcome.row(planned.user, nil, planned.err or errors.new {
        kind = "not_found", outcome = "not_sent", message = planned.user .. ": " .. planned.reason,
      }, { epoch = planned.epoch, sinks = planned.sinks })
    else
      local why = stopped()
      if why then rows[i] = untouched(planned, why) else visit(i) end
    end
  end
  for _, later_one in ipairs(deferred) do
    local why = stopped()
    if why then
      rows[later_one.index] = untouched(plan[later_one.index], why)
    else
      if later_one.err.retry_after then ctx:sleep(later_one.err.retry_after) end
      visit(later_one.index, true)
    end
  end
  return rows
end

local function planned_rows(plan)
  local rows = {}
  for i, row in ipairs(plan) do
    rows[i] = {
      user = row.user, result = row.action == "resume" and "finish" or row.action, note = row.reason,
      epoch = row.epoch, sinks = row.sinks, managed = row.managed,
    }
  end
  return rows
end

local function plan_of(ctx, opts)
  local plan, unmanaged_count = selection.plan(ctx, opts)
  if not plan then return nil, unmanaged_count end
  ctx.total = 0
  for _, row in ipairs(plan) do
    if row.action == "rotate" or row.action == "resume" then ctx.total = ctx.total + 1 end
  end
  if unmanaged_count > 0 then
    ctx:warn(("%d of these users have no record yet: their present passwords are not in the store"):format(unmanaged_count))
    ctx:progress { step = "plan", text = ctx.warnings[#ctx.warnings] }
  end
  return plan, unmanaged_count
end

local function run(cluster, opts, dry)
  local ctx, err = context.new(cluster, "rotate_passwords", opts)
  if not ctx then return nil, err end
  if opts.parallel and opts.parallel > 1 then ctx:warn("this version rotates one user after the other") end
  if dry then
    local plan, count = plan_of(ctx, opts)
    if not plan then return nil, count end
    return outcome.finish(ctx, planned_rows(plan), { unmanaged = count, dry_run = true }, true)
  end
  return ctx:with_run(function()
    -- A created user that is still an admin comes before everything else.
    require("crdbcloud.workflows.resume").demote_first(ctx)
    local plan, count = plan_of(ctx, opts)
    if not plan then return nil, count end
    return outcome.finish(ctx, work(ctx, plan, opts), { unmanaged = count })
  end)
end

--- Rotates the passwords of many users, one after the other.
---@param cluster table
---@param opts table see design: users (required), exclude, max_age, verify, keep_previous, cancel_sessions,
---  max_failures, skip_admins, sinks, dry_run, reason, on_progress
---@return table|nil report
---@return crdbcloud.error|nil err err.report says what became of each user
function M.rotate_passwords(cluster, opts)
  opts = options.check(MANY, opts, "rotate_passwords", "caller")
  opts.users = selection.check_users(opts.users, "rotate_passwords")
  return run(cluster, opts, opts.dry_run)
end

--- What rotate_passwords with the same options would do; reads only.
---@return table|nil plan a report whose rows say rotate, finish, skip or blocked
---@return crdbcloud.error|nil
function M.plan_rotation(cluster, opts)
  opts = options.check(MANY, opts, "plan_rotation", "caller")
  opts.users = selection.check_users(opts.users, "plan_rotation")
  return run(cluster, opts, true)
end

--- Rotates one user.
---@param cluster table
---@param opts table|string user (required), password, verify, keep_previous, cancel_sessions, sinks, dry_run, reason, on_progress
---@return table|nil report
---@return crdbcloud.error|nil
function M.rotate_password(cluster, opts)
  if type(opts) == "string" then opts = { user = opts } end
  opts = options.check(ONE, opts, "rotate_password", "caller")
  if not opts.user then errors.raise("caller", "rotate_password: user is missing") end
  local user, err = names.check(opts.user)
  if not user then return nil, err end
  if opts.password then
    local ok
    ok, err = passwords.check(opts.password, { user = user })
    if not ok then return nil, err end
    if type(opts.password) == "string" then opts.password = core.secret(opts.password) end
  end
  if opts.dry_run then
    opts.users, opts.user, opts.password = { user }, nil, nil
    return run(cluster, opts, true)
  end
  local ctx
  ctx, err = context.new(cluster, "rotate_password", opts)
  if not ctx then return nil, err end
  ctx.index, ctx.total = 1, 1
  local listed
  listed, err = ctx:user_exists(user)
  if listed == nil then return nil, err end
  if listed then return outcome.finish(ctx, { (ctx:user_row(user, rotate_held, { password = opts.password })) }) end
  err = errors.new { kind = "not_found", outcome = "not_sent", message = user .. ": no such user on the cluster" }
  return outcome.finish(ctx, { outcome.row(user, nil, err, {}) })
end

return M
