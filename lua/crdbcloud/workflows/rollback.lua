--- `rollback_password`: sends the previous password again, as a new epoch. The record never just swaps its labels, since
--- the password that was sent last is the live one.

local context = require "crdbcloud.run.context"
local errors = require "crdbcloud.errors"
local report = require "crdbcloud.run.report"
local pair = require "crdbcloud.change.pair"
local proof = require "crdbcloud.change.proof"
local record = require "crdbcloud.record"
local rules = require "crdbcloud.run.rules"
local send = require "crdbcloud.change.send"
local steps = require "crdbcloud.change.finish"

local M = {}

local OPTIONS = {
  user = "text", verify = rules.verify, keep_previous = "duration", sinks = rules.sinks, reason = "line",
  on_progress = "function", cancel_sessions = "boolean", allow_admin = "boolean", dry_run = "boolean",
}

-- The password that a rollback sends.
local function held_of(rec)
  return rec.state == "applied" and rec.current or rec.previous
end

--- Pure: may the previous password of a record be sent again now?
---@param rec table|nil
---@param now crdbcloud.instant
---@return boolean
---@return string|nil why not
function M.allowed(rec, now)
  if not rec then return false, "it has no record" end
  if record.is_creating(rec) then return false, "it is being created" end
  if rec.state ~= "idle" and not (rec.state == "applied" and rec.flags.verify_failed) then
    return false, "a rotation is half done; `crdbcloud rotate resume` finishes it first"
  end
  local held = held_of(rec)
  if not held or held == rec.previous and (held.keep_until or now.time) < now.time then return false, "no previous password is kept" end
  local left = record.unsettled(rec, now)
  if left then
    return false, ("an earlier change was not answered and may still arrive; try again in %d s"):format(math.ceil(left))
  end
  return true
end

-- Keeps a password that was answered but does not log in, as a candidate.
local function set_aside(rec)
  local list = record.copy(rec.candidates or {})
  list[#list + 1] = { epoch = rec.staged.epoch, password = rec.staged.password }
  return list
end

local function roll_back(ctx, entry)
  local rec = entry.rec
  if rec and rec.pair then return pair.roll_back(ctx, entry) end
  if rec and rec.pair_of then return nil, pair.is_partner(rec, "rollback_password") end
  local ok, why = M.allowed(rec, entry:instant())
  if not ok then
    return nil, errors.new {
      kind = rec and "conflict" or "not_found", outcome = "not_sent", operation = "rollback_password",
      message = ("%s: %s"):format(entry.user, why),
    }
  end
  local old = held_of(rec)
  if ctx.dry_run then
    return { result = "roll back", note = ("the password of epoch %d would be live again"):format(old.epoch) }
  end
  local err
  ok, err = proof.check(ctx, rec, "send")
  if not ok then return nil, err end
  if rec.state == "applied" then
    ok, err = entry:save(record.move(rec, "idle", { staged = record.NONE, candidates = set_aside(rec), flags = {} }))
    if not ok then return nil, err end
  end
  ok, err = ctx:check_sinks(entry.rec, old.password)
  if not ok then return nil, err end
  ok, err = send.stage(ctx, entry, old.password, "rollback")
  if not ok then return nil, err end
  local done
  done, err = steps.finish(ctx, entry)
  if not done then return nil, err end
  done.note = entry.rec.current.password:equals(old.password) and ("the password of epoch %d is live again"):format(old.epoch)
    or "the service refuses old passwords; a new one was set instead"
  return done
end

--- Makes the previous password live again, by sending it as a new epoch.
---@param cluster table
---@param opts table|string user (required), verify, keep_previous, sinks, cancel_sessions, dry_run, reason, on_progress
---@return table|nil report
---@return crdbcloud.error|nil
function M.rollback_password(cluster, opts)
  local err
  opts, err = rules.one_user(OPTIONS, opts, "rollback_password")
  if not opts then return nil, err end
  local ctx
  ctx, err = context.new(cluster, "rollback_password", opts)
  if not ctx then return nil, err end
  ctx.index, ctx.total = 1, 1
  return report.finish(ctx, { (ctx:user_row(opts.user, roll_back)) })
end

return M
