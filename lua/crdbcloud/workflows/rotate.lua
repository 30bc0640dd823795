--- Rotation: new passwords for many users or one. Each password is durable before it is sent, and published once it is live.

local ages = require "crdbcloud.run.ages"
local batch = require "crdbcloud.run.batch"
local context = require "crdbcloud.run.context"
local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local hooks = require "crdbcloud.run.hooks"
local options = require "crdbcloud.base.options"
local report = require "crdbcloud.run.report"
local passwords = require "crdbcloud.passwords"
local plans = require "crdbcloud.run.plan"
local record = require "crdbcloud.record"
local resume = require "crdbcloud.workflows.resume"
local rotate_user = require "crdbcloud.change.rotate_user"
local rules = require "crdbcloud.run.rules"
local selection = require "crdbcloud.run.selection"
local spool = require "crdbcloud.run.spool"

local M = {}

M.MANY = rules.with_common {
  users = true, exclude = "table|text", max_age = rules.age, max_failures = rules.limit, skip_admins = "boolean",
  parallel = rules.threads, window = batch.window, emergency = true, before = hooks.rule, after = hooks.rule, plan = plans.rule,
}
local ONE = rules.with_common { user = "text", password = "text|secret" }

--- Checks the options of a rotation of many; raises on misuse.
---@param opts table
---@param what string
---@return table
function M.check_many(opts, what)
  opts = options.check(M.MANY, opts, what)
  local given = 0
  for _, name in ipairs { "users", "emergency", "plan" } do given = given + (opts[name] ~= nil and 1 or 0) end
  if given > 1 then errors.raise("%s: users, emergency and plan exclude one another", what) end
  if opts.emergency ~= nil then
    if opts.window then errors.raise("%s: an emergency has no window", what) end
    if opts.emergency ~= "all" and type(opts.emergency) ~= "table" and type(opts.emergency) ~= "string" then
      errors.raise('%s: emergency takes names or "all", got %s', what, errors.shown(opts.emergency))
    end
    opts.users = opts.emergency
    opts.cancel_sessions = true
  elseif opts.plan then
    opts.users = opts.plan.users
    if #opts.users == 0 then opts.users = function() return false end end
  end
  opts.users = selection.check_users(opts.users, what)
  return opts
end

-- Reads the audit log. Where it may not be read, that matters only to users of unknown age.
local function audit(ctx)
  local found, err = ages.from_audit_log(ctx.cloud, ctx.id)
  if found then return found end
  return { users = {}, problem = ("ages are from the records only: the audit log cannot be read (%s)"):format(err.message) }
end

local function plan_of(ctx, opts)
  local selected, unmanaged = selection.plan(ctx, opts, audit)
  if not selected then return nil, unmanaged end
  if opts.plan then
    local fitted, err = plans.fit(opts.plan, ctx.id, selected, function(user)
      local rec = ctx.store:get(record.key(ctx.id, user))
      return rec and rec.run_id
    end)
    if not fitted then return nil, err end
  end
  if unmanaged > 0 then
    ctx:warn(("%d of these users have no record yet: their present passwords are not in the store"):format(unmanaged))
    ctx:progress { step = "plan", text = ctx.warnings[#ctx.warnings] }
  end
  return selected, unmanaged
end

-- Sends again the passwords that an emergency sent before an unanswered change had settled.
local function resend(ctx, rows)
  for _, row in ipairs(rows) do
    if row.resend_at and not ctx.interrupted() then
      local wait = math.max(0, row.resend_at - ctx:monotonic())
      ctx:progress {
        step = "wait", user = row.user, wait = wait, text = ("waiting %d s to send the same password once more"):format(math.ceil(wait)),
      }
      ctx:sleep(wait)
      if not ctx.interrupted() then
        local again = ctx:user_row(row.user, rotate_user.resend)
        if again.result ~= "done" and again.result ~= "skipped" then
          for k, v in pairs(again) do row[k] = v end
        end
      end
    end
    row.resend_at = nil
  end
end

local function published(rows)
  local users = {}
  for _, row in ipairs(rows) do
    if row.result == "done" then users[#users + 1] = row.user end
  end
  return users
end

local function work(ctx, selected, opts)
  local jobs = batch.new(ctx, selected, opts)
  if opts.parallel and opts.parallel > 1 and jobs.total > 1 then
    return require("crdbcloud.threads.crew").run(ctx, jobs, opts)
  end
  return jobs:run(function(job) return rotate_user.row(ctx, job) end)
end

local function rotate(ctx, opts)
  spool.merge(ctx)
  -- What a crash left is finished first, and a user that may be an admin before all others.
  resume.first(ctx, opts.users)
  local selected, unmanaged = plan_of(ctx, opts)
  if not selected then return nil, unmanaged end
  local chosen = selection.work_of(selected)
  if opts.before and #chosen > 0 then
    local ok, err = hooks.run(ctx, "before", opts.before, chosen)
    if not ok then return nil, err end
  end
  local rows = work(ctx, selected, opts)
  if ctx.emergency then resend(ctx, rows) end
  local users, hook_err = published(rows), nil
  if opts.after and #users > 0 then hook_err = resume.run_hook(ctx, opts.after, users) end
  return report.finish(ctx, rows, { unmanaged = unmanaged, hooks = ctx.hooks }, false, hook_err)
end

local function run(cluster, opts, dry)
  opts.dry_run = dry
  local ctx, err = context.new(cluster, "rotate_passwords", opts)
  if not ctx then return nil, err end
  if opts.plan then ctx.run_id = opts.plan.run_id end
  if dry then
    local selected, unmanaged = plan_of(ctx, opts)
    if not selected then return nil, unmanaged end
    return report.finish(ctx, plans.rows(selected), { unmanaged = unmanaged, dry_run = true, made_at = ctx:now() }, true)
  end
  return ctx:with_run(function() return rotate(ctx, opts) end)
end

--- Rotates the passwords of many users.
---@param cluster table
---@param opts table users (required; or emergency, or plan), exclude, max_age, verify, keep_previous, cancel_sessions,
---  parallel, max_failures, window, skip_admins, emergency, sinks, before, after, plan, dry_run, reason, on_progress
---@return table|nil report
---@return crdbcloud.error|nil err err.report says what became of each user
function M.rotate_passwords(cluster, opts)
  opts = M.check_many(opts, "rotate_passwords")
  return run(cluster, opts, opts.dry_run)
end

--- What rotate_passwords with the same options would do; reads only.
---@return table|nil plan a report whose rows say rotate, finish, skip or blocked; rotate_passwords{ plan = ... } runs it
---@return crdbcloud.error|nil
function M.plan_rotation(cluster, opts)
  return run(cluster, M.check_many(opts, "plan_rotation"), true)
end

-- Checks the caller's password and returns it as a secret.
local function own_password(password, user)
  if not password then return nil end
  local ok, err = passwords.check(password, { user = user })
  if not ok then return nil, err end
  return type(password) == "string" and core.secret(password) or password
end

--- Rotates one user.
---@param cluster table
---@param opts table|string user (required), password, verify, keep_previous, cancel_sessions, sinks, dry_run, reason, on_progress
---@return table|nil report
---@return crdbcloud.error|nil
function M.rotate_password(cluster, opts)
  local err
  opts, err = rules.one_user(ONE, opts, "rotate_password")
  if not opts then return nil, err end
  local user = opts.user
  local password
  password, err = own_password(opts.password, user)
  if err then return nil, err end
  if opts.dry_run then
    opts.users, opts.user, opts.password = { user }, nil, nil
    return run(cluster, opts, true)
  end
  local ctx
  ctx, err = context.new(cluster, "rotate_password", opts)
  if not ctx then return nil, err end
  spool.merge(ctx)
  resume.first(ctx, { user })
  ctx.index, ctx.total = 1, 1
  local listed
  listed, err = ctx:user_exists(user)
  if listed == nil then return nil, err end
  if listed then return report.finish(ctx, { (ctx:user_row(user, rotate_user.rotate, { password = password })) }) end
  err = errors.new { kind = "not_found", outcome = "not_sent", message = user .. ": no such user on the cluster" }
  return report.finish(ctx, { report.row(user, nil, err, {}) })
end

return M
