--- Takes one password from its stage to its sinks: SEND, VERIFY, PROMOTE, PUBLISH, RETIRE. It starts at the state that
-- the record is in, so the first run and the recovery after a crash are the same code.

local decide = require "crdbcloud.change.decide"
local errors = require "crdbcloud.errors"
local privileges = require "crdbcloud.privileges"
local proof = require "crdbcloud.change.proof"
local record = require "crdbcloud.record"
local send = require "crdbcloud.change.send"

local M = {}

local LOGIN_TRIES = 4
local HISTORY = 20 -- epochs that a record remembers
local HOUR = 3600
local PUBLISHING = 15 -- seconds that writing one sink may take

-- A server with SCRAM tells an expired user in the words of a wrong password. The reason why no password of the user
-- logs in, or nil: the server gives none, or cannot be asked.
local function kept_out(ctx, user)
  local sql = ctx.cluster:has_sql() and ctx:sql()
  local found = sql and privileges.why_no_login(sql, user)
  if not found then return nil end
  ctx:warn(("%s; to change that: %s"):format(found.message, found.statement))
  return found.reason
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
  if verdict == "wrong_password" then verdict = kept_out(ctx, rec.user) or verdict end
  local action = decide.after_login(verdict, ctx.verify)
  if action == "accepted" then return "accepted" end
  if action == "unreachable" then
    ctx:progress { step = "verify", user = rec.user, text = "no login possible (" .. verdict .. "); the API's answer stands" }
    return verdict
  end
  local message = action == "wrong" and "%s: the change was answered, but a login with the new password is refused (%s)"
    or "%s: changed, but no login is possible (%s)"
  return nil, errors.new {
    kind = "sql", outcome = "applied", exit = 6, cause = probe_err, operation = "verify", reason = verdict,
    message = message:format(entry.user, (verdict:gsub("_", " "))),
    hint = "not published; old and new password are in the store; `crdbcloud rotate resume` tries again",
  }
end

-- The time from which the old password may no longer log in: that of the first send that may have been applied.
local function first_sent(rec)
  for _, send_of in ipairs(rec.sends) do
    if send_of.epoch == rec.staged.epoch and send_of.outcome ~= "rejected" and send_of.outcome ~= "not_sent" then
      return send_of.at
    end
  end
  return rec.answered_at
end

-- The passwords that are kept beside current and previous while a request may still arrive.
local function candidates_after(rec, now, met)
  if met and not record.unsettled(rec, now) then return record.NONE end
  local list = record.copy(rec.candidates or {})
  if rec.previous and rec.current.epoch ~= rec.staged.epoch then
    list[#list + 1] = { epoch = rec.previous.epoch, password = rec.previous.password }
  end
  return #list > 0 and list or record.NONE
end

--- PROMOTE: the staged password becomes the current one.
---@param verdict string of the login
---@return true|nil
---@return crdbcloud.error|nil another run has overtaken this one
function M.promote(ctx, entry, verdict)
  local rec = entry.rec
  local now = ctx:now()
  local staged, current = rec.staged, rec.current
  local previous = rec.previous or record.NONE
  if current and current.epoch ~= staged.epoch then
    previous = { epoch = current.epoch, password = current.password, keep_until = now + ctx.keep_previous }
  end
  -- An emergency does not wait for earlier requests. One of them may have arrived after our answer; unless a login shows
  -- otherwise, the password is sent once more later.
  local instant = entry:instant()
  local left = record.unsettled(rec, instant, "update_sql_user_password", staged.epoch)
  local met = rec.answered_last or verdict == "accepted" and not left
  local kept = entry:keep(record.move(rec, "promoted", {
    current = {
      epoch = staged.epoch, password = staged.password, set_at = now, staged_at = staged.created_at,
      verified = verdict == "accepted" and true or verdict, evidence = rec.evidence, reason = staged.reason,
      sent_at = first_sent(rec), answered_at = rec.answered_at,
    },
    previous = previous,
    staged = record.NONE, bootstrap = record.NONE, creating = record.NONE, evidence = record.NONE,
    answered_at = record.NONE, strict = record.NONE,
    candidates = candidates_after(rec, instant, met),
    resend_at = met and record.NONE or math.floor(now + (left or 0)), answered_last = record.NONE,
    flags = {},
  }))
  if kept then return true end
  return nil, entry.lost
end

-- What the record remembers of this epoch; newest last.
local function remembered(ctx, rec, published_at, names)
  local current, unanswered, sends = rec.current, 0, 0
  for _, one in ipairs(rec.sends) do
    if one.epoch == current.epoch then
      sends = sends + 1
      if one.outcome == nil or one.outcome == "unknown" then unanswered = unanswered + 1 end
    end
  end
  local list = record.copy(rec.history or {})
  local last = list[#list]
  if last and last.epoch == current.epoch then list[#list] = nil end
  list[#list + 1] = {
    epoch = current.epoch, run_id = ctx.run_id, operation = ctx.operation, by = ctx.by, reason = current.reason,
    staged_at = current.staged_at, sent_at = current.sent_at, answered_at = current.answered_at, evidence = current.evidence,
    sends = sends, unanswered = unanswered, verified = current.verified, published_at = published_at, sinks = names,
  }
  while #list > HISTORY do table.remove(list, 1) end
  return list
end

--- Writes the sinks that do not have an epoch yet, each with its mark.
---@param ctx table
---@param entry crdbcloud.entry
---@param of table record of the user whose password it is: the entry's own, or the active one's of a pair
---@param list table[] sinks
---@param epoch integer
---@param credential fun(): table of that epoch; asked for only when there is something to write
---@return { marks: table, names: string[], wrote: boolean }|nil
---@return crdbcloud.error|nil err outcome "applied"; the marks are kept
function M.write_sinks(ctx, entry, of, list, epoch, credential)
  local rec = entry.rec
  local marks, names, wrote, failed = record.copy(rec.published), {}, false, nil
  local made
  for i, sink in ipairs(list) do
    names[i] = sink.name
    if marks[sink.name] ~= epoch then
      -- Another run may have a newer password by now, and a plain sink cannot tell. While the lease lasts, a store that
      -- is down does not stop the publication, since the password is live.
      local held, lease_err = entry:holds(PUBLISHING)
      if not held and lease_err.kind ~= "busy" then held = entry:holds(0) end
      if not held then
        lease_err.outcome, lease_err.exit = "applied", 6
        return nil, lease_err
      end
      if not made then
        local limited, found = proof.check(ctx, of, "publish")
        if not limited then
          entry:keep(record.amend(rec, { flags = { unpublished = true } }))
          return nil, found
        end
        made = credential()
      end
      local ok, err = sink:publish(made)
      if ok then
        marks[sink.name], wrote = epoch, true
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
  return { marks = marks, names = names, wrote = wrote }
end

--- PUBLISH: writes the user's sinks. The two users of a pair have none of their own: the pair publishes the active one
--- when the turn is over.
---@return { window: number|nil }|nil window: seconds that plain sinks held a password that no longer logged in
---@return crdbcloud.error|nil err kind "sink", outcome "applied"
function M.publish(ctx, entry)
  local rec = entry.rec
  local alone = not rec.pair and not rec.pair_of
  local done, err = M.write_sinks(ctx, entry, rec, alone and ctx:sinks_of(rec.user, rec) or {}, rec.current.epoch, function()
    return ctx:credential(rec, rec.current)
  end)
  if not done then return nil, err end
  local at = ctx.clock.time()
  local changes = {
    published = done.marks, flags = {}, history = remembered(ctx, rec, at, done.names),
    hook = alone and ctx:hook_mark(rec) or nil, asked = record.NONE,
    sessions_due = ctx.cancel_sessions or rec.sessions_due or rec.asked and rec.asked.cancel_sessions or nil,
  }
  if not entry:keep(rec.state == "promoted" and record.move(rec, "idle", changes) or record.amend(rec, changes)) then
    return nil, entry.lost
  end
  return { window = done.wrote and rec.current.sent_at and math.max(0, at - rec.current.sent_at) or nil }
end

--- SESSIONS: ends the sessions of the old password, where that was asked for. The record stays open until none is left.
---@return { sessions_cancelled: integer|nil }|nil
---@return crdbcloud.error|nil err outcome "applied", exit 3, with the statement to run
function M.sessions(ctx, entry)
  local rec = entry.rec
  if not rec.sessions_due then return {} end
  local sql, err = ctx:sql()
  local cancelled
  -- What began after the answer logged in with the new password.
  local live_at = rec.current.answered_at or rec.current.set_at
  if sql then cancelled, err = privileges.cancel_sessions(sql, rec.user, { older_than = math.max(0, ctx.clock.time() - live_at) }) end
  if not cancelled then
    err.outcome, err.exit = "applied", 3
    err.hint = "its old sessions may go on; run: " .. privileges.cancel_statement(rec.user, sql and sql:dialect())
    return nil, err
  end
  ctx:progress { step = "sessions", user = rec.user, text = ("%d sessions cancelled"):format(cancelled) }
  local history = record.copy(rec.history)
  history[#history].sessions_cancelled = cancelled
  if not entry:keep(record.amend(rec, { sessions_due = record.NONE, history = history })) then return nil, entry.lost end
  return { sessions_cancelled = cancelled }
end

--- RETIRE: drops a previous password whose time is over, and candidates once no request can arrive any more.
function M.retire(ctx, entry)
  local rec, changes = entry.rec, {}
  local now = ctx:now()
  -- No password is dropped while a request may still arrive, or the current one is to be sent once more (I3).
  if rec.resend_at or record.unsettled(rec, entry:instant()) then return true end
  if rec.previous and rec.previous.keep_until <= now then changes.previous = record.NONE end
  if rec.candidates and rec.state == "idle" then changes.candidates = record.NONE end
  if next(changes) == nil then return true end
  return entry:save(record.amend(rec, changes))
end

-- The login was refused again after the same bytes were sent once more: somebody else sets this password. The run
-- reports that and does not send a third time.
local function contested(ctx, entry, err)
  local rec = entry.rec
  local now, recent = ctx:now(), {}
  for _, at in ipairs(rec.contested_at or {}) do
    if math.abs(now - at) < HOUR then recent[#recent + 1] = at end
  end
  recent[#recent + 1] = now
  local verdict = rec.current and rec.current.epoch ~= rec.staged.epoch and ctx:probe(rec, rec.current.password)
  local back = verdict == "accepted"
  entry:keep(record.amend(rec, { flags = { verify_failed = true, contested = not back or nil }, contested_at = recent }))
  err.message = err.message .. (back and "; the one before it logs in" or "; somebody else has set another")
  err.hint = back and err.hint
    or "find out who changes it (another tool, a person), then `crdbcloud rotate resume` or rotate_password"
  return nil, err
end

-- At most two such repeats an hour, where somebody else sets the password again and again.
local function may_send_again(ctx, rec)
  local n = 0
  for _, at in ipairs(rec.contested_at or {}) do
    if math.abs(ctx:now() - at) < HOUR then n = n + 1 end
  end
  return n < 2
end

-- A password that proved to be more than that of a limited user: it is kept, and readers of the store do not get it.
local function withhold(entry, err)
  local flags = record.copy(entry.rec.flags)
  flags.withheld = true
  entry:keep(record.amend(entry.rec, { flags = flags }))
  return nil, err
end

-- From "applied" to "promoted". When a login is refused after a definite answer, the same bytes are sent once more:
-- an earlier request may have arrived late.
---@return { verified: string, sessions_cancelled: integer|nil }|nil
---@return crdbcloud.error|nil
local function prove(ctx, entry, guard)
  local done = {}
  for round = 1, 2 do
    local verdict, err
    if guard then
      local looked
      looked, err = guard(ctx, entry)
      if not looked then return nil, err end
      done.sessions_cancelled = looked.sessions_cancelled or done.sessions_cancelled
    end
    verdict, err = M.verify(ctx, entry)
    -- A user that may not log in may look like one with a wrong password.
    if verdict or err.reason == "wrong_password" then
      local limited, found = proof.check(ctx, entry.rec, "publish")
      -- Programs that connect keep the live password while nobody could look: it is the one of the user that they had.
      if not limited and found.reason ~= "not_looked_at" then return withhold(entry, found) end
      if not limited then return nil, found end
    end
    if verdict then
      local ok, promote_err = M.promote(ctx, entry, verdict)
      if not ok then return nil, promote_err end
      done.verified = verdict
      return done
    end
    if err.reason ~= "wrong_password" then return nil, err end
    if round == 2 or not may_send_again(ctx, entry.rec) then return contested(ctx, entry, err) end
    local ok, send_err = send.send(ctx, entry)
    if not ok then return nil, send_err end
  end
end

--- When the current password is to be sent once more, by the clock of ctx:monotonic; nil when it is not.
---@param entry crdbcloud.entry
---@param rec table of it, or of its partner
---@return number|nil
function M.resend_due(entry, rec)
  local now = entry:instant()
  local left = record.resend_left(rec, now)
  return left and now.boot + math.ceil(left)
end

---@class crdbcloud.done what a report's row says of a change that went well
---@field verified string|nil verdict of the login, "accepted" where it was a proof
---@field window number|nil seconds that plain sinks held a password that no longer logged in
---@field sessions_cancelled integer|nil
---@field resend_at number|nil when the password is to be sent once more, by the clock that only goes forward
---@field note string|nil
---@field result string|nil default "done"

--- Goes from the record's state (staged or later) to idle.
---@param note? string for the report
---@param guard? fun(ctx: table, entry: table): { sessions_cancelled: integer|nil }|nil, crdbcloud.error|nil called
---  between SEND and VERIFY
---@return crdbcloud.done|nil
---@return crdbcloud.error|nil
function M.finish(ctx, entry, note, guard)
  local state = entry.rec.state
  local ok, done, published, ended, err
  if state == "staged" or state == "intent" then
    ok = true
    if state == "staged" then ok, err = proof.check(ctx, entry.rec, "send") end
    if ok then ok, err = send.check_stage(ctx, entry) end
    if ok then ok, err = send.send(ctx, entry) end
    if not ok then return nil, err end
    state = entry.rec.state
  end
  if state == "applied" or state == "verified" then
    done, err = prove(ctx, entry, guard)
    if not done then return nil, err end
  else
    local verified = entry.rec.current.verified
    done = { verified = verified == true and "accepted" or verified }
  end
  published, err = M.publish(ctx, entry)
  if not published then return nil, err end
  ended, err = M.sessions(ctx, entry)
  if not ended then return nil, err end
  if entry.lost then
    -- The password is live and published; only the record in the store is behind.
    ctx.stop = entry.lost
    return nil, errors.new {
      kind = "store", outcome = "applied", exit = 6, cause = entry.lost,
      message = ("%s: changed, but the store could not be written: %s"):format(entry.user, entry.lost.message),
      hint = "mend the store, then run `crdbcloud rotate resume`",
    }
  end
  done.window, done.resend_at, done.note = published.window, M.resend_due(entry, entry.rec), note
  done.sessions_cancelled = ended.sessions_cancelled or done.sessions_cancelled
  return done
end

--- Sends the current password once more, at the time by which every earlier request has arrived or never will.
---@return crdbcloud.done|nil
---@return crdbcloud.error|nil
function M.resend(ctx, entry, note)
  -- Another run may have staged the next password meanwhile; sending that one serves as well.
  if entry.rec.state ~= "idle" then return M.finish(ctx, entry, note) end
  local ok, err = send.again(ctx, entry)
  if not ok then return nil, err end
  return M.finish(ctx, entry, note)
end

return M
