--- The way of one password from its stage to its sinks, entered at whatever
-- state a record is in: STAGE, INTENT and SEND, VERIFY, PROMOTE, PUBLISH.
-- The first run and the recovery after a crash are this same code.

local decide = require "crdbcloud.workflows.decide"
local errors = require "crdbcloud.errors"
local passwords = require "crdbcloud.passwords"
local record = require "crdbcloud.record"

local M = {}

local PUT = "update_sql_user_password"
local MAX_STAGES = 3 -- new passwords after the service refused one
local LOGIN_TRIES = 4

-- Passwords that satisfy any rule of character classes, for the second try.
local STRICT = { "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789" }

--- STAGE: makes a password durable that nobody has seen yet.
---@param ctx table
---@param entry table
---@param password? userdata the caller's own
---@return true|nil
---@return crdbcloud.error|nil
function M.stage(ctx, entry, password)
  local rec = entry.rec
  local epoch = rec.epoch + 1
  local staged = {
    epoch = epoch,
    created_at = ctx:now(),
    reason = ctx.reason,
    policy = password and "given" or "generated",
    password = password or passwords.generate { classes = rec.strict and STRICT or nil },
  }
  ctx:progress { step = "stage", user = rec.user, text = "new password staged", epoch = epoch }
  local ok, err = entry:save(record.move(rec, "staged", { epoch = epoch, staged = staged }))
  if not ok then return nil, err end
  return entry:read_back()
end

-- Asks by login whether the staged password is live.
local function probe_staged(ctx, entry)
  local verdict = ctx:probe(entry.rec, entry.rec.staged.password)
  return verdict == "accepted", verdict
end

-- The service refused this very password: the next epoch gets a stricter one.
local function restage(ctx, entry, err)
  local rec = entry.rec
  local refused = (rec.refused or 0) + 1
  if rec.staged.policy == "given" or refused > MAX_STAGES then
    local ok, store_err
    if rec.current or rec.creating then
      ok, store_err = entry:save(record.move(rec, rec.creating and "granted" or "idle", {
        staged = record.NONE, refused = record.NONE,
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
      created_at = ctx:now(),
      reason = ctx.reason,
      policy = "strict",
      password = passwords.generate { classes = STRICT },
    },
  }))
end

-- 404 speaks of the cluster or of the user; only a look at the cluster tells.
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

local function applied(entry, how)
  if not entry:keep(record.move(entry.rec, "applied", { evidence = how, refused = record.NONE })) then
    return nil, entry.lost
  end
  return true
end

-- Ends a send that will get no definite answer from the API now.
local function settle_by_login(ctx, entry, err)
  local unknown = record.unknown_sends(entry.rec, entry.rec.staged.epoch, PUT) > 0
  if (unknown or err.reason == "must_differ") and probe_staged(ctx, entry) then
    return applied(entry, "login")
  end
  local ok, store_err = entry:save(entry.rec)
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
    if action == "applied" then return applied(entry, "answer") end
    if action == "restage" then
      local ok, stage_err = restage(ctx, entry, err)
      if not ok then return nil, stage_err end
    elseif action == "gone" then
      return mark_gone(ctx, entry, err)
    elseif action == "store" then
      -- A record that another run has changed, or a lost lease, is about this user only.
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

--- VERIFY: logs in with the staged password.
---@return string|nil verdict "accepted", or why no proof was to be had
---@return crdbcloud.error|nil err the change was answered but is not usable
function M.verify(ctx, entry)
  if ctx.verify == false then return "not tried" end
  local rec = entry.rec
  local verdict, probe_err
  for try = 1, LOGIN_TRIES do
    verdict, probe_err = ctx:probe(rec, rec.staged.password)
    if not decide.login_may_recover(verdict) or try == LOGIN_TRIES then break end
    -- A password takes a moment to reach every node of a cluster.
    ctx:sleep(0.1 * 4 ^ (try - 1))
  end
  local action = decide.after_login(verdict, ctx.verify)
  if action == "accepted" then return "accepted" end
  if action == "unreachable" then
    ctx:progress { step = "verify", user = rec.user, text = "no login possible (" .. verdict .. "); the API's answer stands" }
    return verdict
  end
  if action == "wrong" then
    entry:keep(record.amend(rec, { flags = { verify_failed = true } }))
  end
  local message = action == "wrong" and "%s: the change was answered, but a login with the new password is refused (%s)"
    or "%s: changed, but no login is possible (%s)"
  return nil, errors.new {
    kind = "sql", outcome = "applied", exit = 6, cause = probe_err, operation = "verify", reason = verdict,
    message = message:format(entry.user, (verdict:gsub("_", " "))),
    hint = "not published; old and new password are in the store; `crdbcloud rotate resume` tries again",
  }
end

--- PROMOTE: the staged password becomes the current one.
function M.promote(ctx, entry, verdict)
  local rec = entry.rec
  local now = ctx:now()
  local previous = record.NONE
  if rec.current then
    previous = { epoch = rec.current.epoch, password = rec.current.password, keep_until = now + ctx.keep_previous }
  end
  local settled = (record.settled_at(rec) or 0) <= now
  local kept = entry:keep(record.move(rec, "promoted", {
    current = {
      epoch = rec.staged.epoch, password = rec.staged.password, set_at = now,
      verified = verdict == "accepted" and true or verdict, evidence = rec.evidence,
    },
    previous = previous,
    staged = record.NONE,
    bootstrap = record.NONE,
    creating = record.NONE,
    evidence = record.NONE,
    strict = record.NONE,
    candidates = settled and record.NONE or rec.candidates,
    flags = {},
  }))
  if kept then return true end
  return nil, entry.lost
end

--- PUBLISH: writes the sinks that do not have this epoch yet, each with its mark.
---@return true|nil
---@return crdbcloud.error|nil err kind "sink", outcome "applied"
function M.publish(ctx, entry)
  local rec = entry.rec
  local marks, failed = record.copy(rec.published), nil
  local credential
  for _, sink in ipairs(ctx:sinks_of(rec.user, rec)) do
    if marks[sink.name] ~= rec.current.epoch then
      credential = credential or ctx:credential(rec, rec.current)
      local ok, err = sink:publish(credential)
      if ok then
        marks[sink.name] = rec.current.epoch
        ctx:progress { step = "publish", user = rec.user, text = "published to " .. sink.name }
      else
        failed = failed or err
      end
    end
  end
  if failed then
    entry:keep(record.amend(rec, { published = marks, flags = { unpublished = true } }))
    failed.outcome, failed.exit = "applied", 6
    return nil, failed
  end
  local changes = { published = marks, flags = {} }
  if not entry:keep(rec.state == "promoted" and record.move(rec, "idle", changes) or record.amend(rec, changes)) then
    return nil, entry.lost
  end
  return true
end

--- Wipes what is no longer needed: a previous password whose time is over, and
--- candidates once nothing sent can arrive any more.
function M.retire(ctx, entry)
  local rec, changes = entry.rec, {}
  local now = ctx:now()
  -- No password is dropped while something that was sent may still arrive (I3).
  if (record.settled_at(rec) or 0) > now then return true end
  if rec.previous and rec.previous.keep_until <= now then changes.previous = record.NONE end
  if rec.candidates and rec.state == "idle" then changes.candidates = record.NONE end
  if next(changes) == nil then return true end
  return entry:save(record.amend(rec, changes))
end

-- From "applied" to "promoted". A login refused after a definite answer is met
-- once with the same bytes again: an earlier request may have arrived late.
local function prove(ctx, entry, guard)
  for round = 1, 2 do
    if guard then
      local ok, err = guard(ctx, entry)
      if not ok then return nil, err end
    end
    local verdict, err = M.verify(ctx, entry)
    if verdict then
      local ok, promote_err = M.promote(ctx, entry, verdict)
      if not ok then return nil, promote_err end
      return verdict
    end
    if round == 2 or err.reason ~= "wrong_password" then return nil, err end
    local ok, send_err = M.send(ctx, entry)
    if not ok then return nil, send_err end
  end
end

--- Goes from the record's state (staged or later) to idle.
---@param guard? fun(ctx: table, entry: table): true|nil, crdbcloud.error|nil called between SEND and VERIFY
---@return string|nil verdict of the login, "accepted" where it was a proof
---@return crdbcloud.error|nil
function M.finish(ctx, entry, guard)
  local state = entry.rec.state
  if state == "staged" or state == "intent" then
    local ok, err = M.send(ctx, entry)
    if not ok then return nil, err end
    state = entry.rec.state
  end
  local verdict = entry.rec.current and (entry.rec.current.verified == true and "accepted" or entry.rec.current.verified)
  if state == "applied" or state == "verified" then
    local err
    verdict, err = prove(ctx, entry, guard)
    if not verdict then return nil, err end
  end
  local ok, err = M.publish(ctx, entry)
  if not ok then return nil, err end
  if entry.lost then
    -- The password is live and published; only the store does not know yet.
    ctx.stop = entry.lost
    return nil, errors.new {
      kind = "store", outcome = "applied", exit = 6, cause = entry.lost,
      message = ("%s: changed, but the store could not be written: %s"):format(entry.user, entry.lost.message),
      hint = "mend the store, then run `crdbcloud rotate resume`",
    }
  end
  return verdict
end

return M
