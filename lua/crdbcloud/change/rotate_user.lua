--- The rotation of one held user: it finishes a half-done change, or stages and sends a new password.

local errors = require "crdbcloud.errors"
local pair = require "crdbcloud.change.pair"
local proof = require "crdbcloud.change.proof"
local record = require "crdbcloud.record"
local send = require "crdbcloud.change.send"
local steps = require "crdbcloud.change.finish"

local M = {}

-- A record for a user that has none: its present password stays unknown.
local function unmanaged(ctx, user)
  return record.new {
    cluster_id = ctx.id, cluster_name = ctx.name, user = user, state = "idle", origin = "rotation", created_at = ctx:now(),
    epoch = ctx.spooling and ctx:now() or 0,
  }
end

-- An emergency does not wait for the sinks or sessions of a change that is applied already: it makes the next change,
-- which writes the same sinks and ends the same sessions.
local function leave_behind(ctx, entry, staged, finish_only, err)
  if not ctx.emergency or staged or finish_only or err.outcome ~= "applied" then return nil, err end
  local state = entry.rec and entry.rec.state
  if state ~= "promoted" and state ~= "idle" then return nil, err end
  ctx:warn(("%s: the change before was left unfinished: %s"):format(entry.user, err.message))
  if state == "idle" then return true end
  return entry:save(record.move(entry.rec, "idle", {}))
end

--- Rotates the user of a held entry.
---@param ctx table
---@param entry crdbcloud.entry
---@param wanted { password: userdata|nil, epoch: integer|nil, finish_only: boolean|nil } epoch: as planned; another run may
---  have been here since; finish_only: what is half done is finished, and its password is young enough to stay
---@return crdbcloud.done|nil
---@return crdbcloud.error|nil
function M.rotate(ctx, entry, wanted)
  local rec = entry.rec or unmanaged(ctx, entry.user)
  entry.rec = rec
  if record.is_creating(rec) then
    return nil, errors.new {
      kind = "pending", outcome = "not_sent", message = entry.user .. ": it is being created",
      hint = "`crdbcloud rotate resume` finishes it", exit = 3,
    }
  end
  if rec.pair then return pair.rotate(ctx, entry, wanted) end
  if rec.pair_of then return nil, pair.is_partner(rec, "rotate_password") end
  if record.is_open(rec) then
    local staged = rec.staged ~= nil
    local done, err = steps.finish(ctx, entry, "finished a half-done rotation")
    if not done then
      local ok
      ok, err = leave_behind(ctx, entry, staged, wanted.finish_only, err)
      if not ok then return nil, err end
    end
    if (staged or wanted.finish_only) and not wanted.password then return done end
  elseif wanted.epoch ~= nil and wanted.epoch ~= rec.epoch then
    return { result = "skipped", note = "rotated by another run in the meantime" }
  end
  local ok, err = proof.check(ctx, entry.rec, "send")
  if not ok then return nil, err end
  ok, err = steps.retire(ctx, entry)
  if not ok then return nil, err end
  err = send.settling(entry)
  if err then return nil, err end
  ok, err = ctx:check_sinks(entry.rec, wanted.password)
  if not ok then return nil, err end
  err = ctx:stopped()
  if err then return nil, err end
  ok, err = send.stage(ctx, entry, wanted.password)
  if not ok then return nil, err end
  return steps.finish(ctx, entry)
end

--- The rotation of one job of a batch.
---@param ctx table
---@param job { user: string, epoch: integer|nil, finish_only: boolean|nil }
---@return table row
---@return crdbcloud.error|nil
function M.row(ctx, job)
  return ctx:user_row(job.user, M.rotate, { epoch = job.epoch, finish_only = job.finish_only })
end

--- Sends the current password once more where an emergency did not wait, once the time for that has come.
---@return crdbcloud.done|nil
---@return crdbcloud.error|nil
function M.resend(ctx, entry)
  local rec = entry.rec
  if rec and rec.pair then return pair.resend(ctx, entry) end
  if not rec or not rec.resend_at then return { result = "skipped", note = "sent again by another run" } end
  return steps.resend(ctx, entry, "sent again after the settle time")
end

return M
