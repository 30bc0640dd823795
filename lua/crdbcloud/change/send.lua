--- STAGE, INTENT and SEND: a new password becomes durable, and the same bytes are sent until the answer is definite.

local decide = require "crdbcloud.change.decide"
local errors = require "crdbcloud.errors"
local passwords = require "crdbcloud.passwords"
local record = require "crdbcloud.record"

local M = {}

local PUT = "update_sql_user_password"
local MAX_STAGES = 3 -- new passwords after the service refused one
local OLD = 86400 -- seconds after which a stage is sent only if a login shows that it fits the cluster

-- Passwords that satisfy any rule of character classes, for the second try.
local STRICT = { "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789" }

--- Why no other password may be staged yet: an earlier send was not answered and may still arrive (I8). An emergency
--- does not wait. A creation that was not answered does not count: once the user exists it can only be refused.
---@param entry crdbcloud.entry
---@param rec? table in place of the entry's own: that of its partner
---@return crdbcloud.error|nil err reason "settling"
function M.settling(entry, rec)
  rec = rec or entry.rec
  local left = not entry.ctx.emergency and record.unsettled(rec, entry:instant(), PUT)
  if not left then return nil end
  local wait = math.ceil(left)
  return errors.new {
    kind = "pending", reason = "settling", outcome = "not_sent", retry_after = wait, exit = 3,
    message = ("%s: an earlier change was not answered; the next may start in %d s"):format(rec.user, wait),
    hint = "nothing is lost: run it again then",
  }
end

--- STAGE: makes a password durable that nobody has seen yet.
---@param ctx table
---@param entry table
---@param password? userdata instead of a new one
---@param policy? "given"|"rollback" where that password comes from
---@return true|nil
---@return crdbcloud.error|nil
function M.stage(ctx, entry, password, policy)
  local rec = entry.rec
  local early = M.settling(entry)
  if early then return nil, early end
  local epoch, now = rec.epoch + 1, entry:instant()
  local staged = {
    epoch = epoch,
    created_at = math.floor(now.stamp), boot = now.boot, boot_id = now.boot_id,
    reason = ctx.reason,
    policy = password and (policy or "given") or "generated",
    password = password or passwords.generate { classes = rec.strict and STRICT or nil },
  }
  ctx:progress { step = "stage", user = rec.user, text = "new password staged", epoch = epoch }
  return entry:save(record.move(rec, "staged", { epoch = epoch, staged = staged, asked = ctx:asked(rec) }))
end

-- The service refused this password: the next epoch gets one that satisfies stricter rules.
local function restage(ctx, entry, err)
  local rec, now = entry.rec, entry:instant()
  local refused = (rec.refused or 0) + 1
  if rec.staged.policy == "given" or refused > MAX_STAGES then
    local ok, store_err
    if rec.current or rec.creating then
      ok, store_err = entry:save(record.move(rec, rec.creating and "granted" or "idle", {
        staged = record.NONE, refused = record.NONE, asked = record.NONE,
      }))
    else
      ok, store_err = entry:forget() -- a user that had no record before
    end
    return nil, ok and err or store_err
  end
  ctx:progress { step = "refused", user = rec.user, text = "the service refused the password; staging a stricter one" }
  local epoch = rec.epoch + 1
  return entry:save(record.move(rec, "staged", {
    epoch = epoch,
    refused = refused,
    strict = true,
    staged = {
      epoch = epoch,
      created_at = math.floor(now.stamp), boot = now.boot, boot_id = now.boot_id,
      reason = ctx.reason,
      policy = "strict",
      password = passwords.generate { classes = STRICT },
    },
  }))
end

-- A 404 may mean the cluster or the user; a request for the cluster tells which.
local function mark_gone(ctx, entry, err)
  local cluster, cluster_err = ctx.cloud:get_cluster(ctx.id)
  if cluster then
    local rec = record.amend(entry.rec, { flags = { gone = true } })
    local ok, store_err = entry:save(rec)
    if not ok then return nil, store_err end
    return nil, errors.new {
      kind = "not_found", outcome = "rejected", operation = PUT, cause = err,
      message = ("the user %s is gone from the cluster"):format(entry.user),
      hint = "it was deleted elsewhere; its record is kept and it is never created again on its own",
    }
  end
  return nil, cluster_err.kind == "not_found" and cluster_err or err
end

-- The error of a send that did not end in "applied".
local function unfinished(entry, err)
  local rec = entry.rec
  if record.unknown_sends(rec, rec.staged.epoch, PUT) == 0 then return nil, err end
  return nil, errors.new {
    kind = "pending", outcome = "unknown", operation = PUT, cause = err,
    attempts = #rec.sends, reason = err and err.reason,
    message = ("the password change of %s was sent and not answered (%s)"):format(entry.user, err and err.message or "?"),
    hint = "the sent password is in the store; `crdbcloud rotate resume` sends the same one again and settles it",
    retryable = true,
  }
end

-- One recorded send. Returns the action that follows and the error, if any.
local function send_once(ctx, entry, deadline)
  local rec = entry.rec
  local earlier = record.may_be_live(rec)
  ctx:progress { step = "send", user = rec.user, text = "changing the password", epoch = rec.staged.epoch }
  local value, err, where = entry:send {
    op = PUT, state = "intent", epoch = rec.staged.epoch, password = rec.staged.password, deadline = deadline,
  }
  if where then return where, err end
  return decide.after_send {
    outcome = value and "applied" or err.outcome or "unknown",
    reason = err and err.reason,
    kind = err and err.kind,
    earlier = earlier,
    unknown = record.unknown_sends(entry.rec, rec.staged.epoch, PUT) > 0,
  }, err
end

local function applied(ctx, entry, how)
  entry.effect = "applied"
  local changes = {
    evidence = how, refused = record.NONE, answered_at = ctx.clock.time(),
    answered_last = record.unsettled(entry.rec, entry:instant(), PUT, entry.rec.staged.epoch) == nil or record.NONE,
  }
  if not entry:keep(record.move(entry.rec, "applied", changes)) then
    return nil, entry.lost
  end
  return true
end

-- Settles by a login what the API did not answer definitely.
local function settle_by_login(ctx, entry, err)
  local rec = entry.rec
  local same = err.reason == "must_differ"
  if same or record.unknown_sends(rec, rec.staged.epoch, PUT) > 0 then
    if ctx:probe(rec, rec.staged.password) == "accepted" then return applied(ctx, entry, "login") end
  end
  -- The service says that this password is the present one, though no send of ours was applied: a gateway may have sent
  -- this one twice.
  if same then
    rec = record.amend(rec, { sends = record.answer_send(rec, "unknown", err.reason) })
    entry.effect = "unknown"
  end
  local ok, store_err = entry:save(rec)
  if not ok then return nil, store_err end
  return unfinished(entry, err)
end

--- INTENT and SEND: sends the staged bytes until the answer is definite or the
--- time of the operation is over.
---@return true|nil
---@return crdbcloud.error|nil err outcome "unknown" when a send stayed unanswered
function M.send(ctx, entry)
  local deadline = ctx:monotonic() + ctx.cloud.config.deadline
  local attempt = 0
  while true do
    attempt = attempt + 1
    local action, err = send_once(ctx, entry, deadline)
    if action == "applied" then return applied(ctx, entry, "answer") end
    if action == "restage" then
      local ok, stage_err = restage(ctx, entry, err)
      if not ok then return nil, stage_err end
    elseif action == "gone" then
      return mark_gone(ctx, entry, err)
    elseif action == "store" then
      -- A store that fails stops the run; a record that another run has changed, or a lost lease, only this user.
      if err.kind == "store" then ctx.stop = err end
      if err.reason == "version" then return nil, err end
      return unfinished(entry, err)
    elseif action == "stop_run" or action == "stop_cluster" then
      ctx.stop = err
      return settle_by_login(ctx, entry, err)
    elseif action ~= "again" or not ctx:wait_again(entry.user, err, attempt, deadline) then
      return settle_by_login(ctx, entry, err)
    end
  end
end

--- Whether the stage of a held record may be sent.
---@param ctx table
---@param entry crdbcloud.entry
---@return true|nil
---@return crdbcloud.error|nil err nothing was sent
function M.check_stage(ctx, entry)
  local rec = entry.rec
  local staged = rec.staged
  local age = staged and record.stage_age(staged, entry:instant())
  if not age or age <= OLD then return true end
  local current = rec.current and rec.current.epoch ~= staged.epoch and ctx:probe(rec, rec.current.password) or nil
  local verdict = decide.old_stage(ctx:probe(rec, staged.password), current)
  if verdict == "live" or verdict == "fits" then return true end
  return nil, errors.new {
    kind = verdict == "stale" and "conflict" or "pending", reason = "stale_stage", outcome = "not_sent", exit = 3,
    operation = PUT,
    message = ("%s: a password was staged more than a day ago and %s"):format(entry.user, verdict == "stale"
      and "neither it nor the current one logs in: the record does not fit the cluster"
      or "no login is possible to see whether the record still fits the cluster"),
    hint = verdict == "stale" and "was the store restored or copied? remove the record and import or rotate the user anew"
      or "make a login possible, then `crdbcloud rotate resume`",
  }
end

--- Sends the current password once more, since an earlier request may have arrived after it. Leaves the record "applied".
function M.again(ctx, entry)
  local rec, now = entry.rec, entry:instant()
  local staged = {
    epoch = rec.current.epoch, password = rec.current.password, policy = "again",
    created_at = math.floor(now.stamp), boot = now.boot, boot_id = now.boot_id,
  }
  local ok, err = entry:save(record.move(rec, "staged", { staged = staged, resend_at = record.NONE }))
  if not ok then return nil, err end
  return M.send(ctx, entry)
end

return M
