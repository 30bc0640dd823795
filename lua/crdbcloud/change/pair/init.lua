--- Pairs: two users that rotate in turn, so that a published password logs in at every moment. Rotation, recovery,
-- creation and rollback of the two users as one.

local core = require "crdbcloud.core"
local creation = require "crdbcloud.change.create"
local errors = require "crdbcloud.errors"
local pair_access = require "crdbcloud.change.pair.access"
local proof = require "crdbcloud.change.proof"
local record = require "crdbcloud.record"
local rules = require "crdbcloud.change.pair.rules"
local send = require "crdbcloud.change.send"
local steps = require "crdbcloud.change.finish"
local turn = require "crdbcloud.change.pair.turn"

local M = {}

M.is_partner, M.sinks = rules.is_partner, turn.sinks

-- Errors after which an emergency does not change the active user's password in place.
local NO_REASON = { sink = true, sinks = true, busy = true, version = true, lease = true }

--- The users of an entry: both users of a pair, once the partner exists.
---@return string[]|nil
---@return crdbcloud.error|nil
function M.users(ctx, entry)
  if not entry.rec or not entry.rec.pair then return { entry.user } end
  local partner, err = turn.partner(ctx, entry.rec)
  if not partner and err then return nil, err end
  return { entry.user, partner and partner.user }
end

-- What a report's row says of a pair that went well.
---@param done crdbcloud.pair_done
---@return crdbcloud.done
local function fields_of(ctx, entry, done, note)
  local rec = entry.rec
  local partner = turn.partner(ctx, rec)
  local active = rules.member(rec, partner, rec.pair.active)
  local verified = active and active.current and active.current.verified
  local again = math.max(steps.resend_due(entry, rec) or 0, partner and steps.resend_due(entry, partner) or 0)
  return {
    verified = verified == true and "accepted" or verified, note = note or ("%s is active now"):format(rec.pair.active),
    active = rec.pair.active, sessions_cancelled = done.sessions_cancelled, resend_at = again > 0 and again or nil,
  }
end

-- Runs fn(held) for each of the two users whose record `wanted` picks.
---@param fn fun(held: crdbcloud.entry): crdbcloud.done|nil, crdbcloud.error|nil
---@return crdbcloud.pair_done|nil users that were picked, and the sum of what fn says
---@return crdbcloud.error|nil first
local function each(ctx, entry, wanted, fn)
  local partner, problem = turn.partner(ctx, entry.rec)
  if not partner and problem then return nil, problem end
  local done, first = {}, nil
  for _, rec in ipairs { entry.rec, partner } do
    if rec.state == "idle" and wanted(rec) then
      done[#done + 1] = rec.user
      local result, err = turn.with_member(ctx, entry, rec.user, function(held)
        if not held.rec or held.rec.state ~= "idle" or not wanted(held.rec) then return {} end
        return fn(held)
      end)
      if result then turn.add(done, result) else first = first or err end
    end
  end
  if first then return nil, first end
  return done
end

-- Ends the old sessions that could not be ended during the turn.
local function sessions(ctx, entry)
  return each(ctx, entry, function(rec) return rec.sessions_due end, function(held) return steps.sessions(ctx, held) end)
end

--- Finishes whatever is open of a pair.
---@return crdbcloud.pair_done|nil
---@return crdbcloud.error|nil
function M.finish(ctx, entry, password)
  local done, err = turn.advance(ctx, entry, password)
  if not done then return nil, err end
  if not done.sessions_left and not entry.rec.sessions_due then return done end
  local ended
  ended, err = sessions(ctx, entry)
  if not ended then return nil, err end
  turn.add(done, ended)
  return done
end

--- Finishes the creation of a held entry, and publishes it where it is a pair.
---@param password? userdata the caller's own
---@param note? string
---@return crdbcloud.done|nil
---@return crdbcloud.error|nil
function M.create(ctx, entry, password, note)
  local done, err = creation.finish(ctx, entry, password, note)
  if not done or not entry.rec.pair then return done, err end
  local published
  published, err = turn.publish(ctx, entry)
  return published and done, err
end

-- The error of a turn that cannot be taken, found before anything is written.
local function refusal(ctx, entry, password)
  local rec = entry.rec
  local to = rules.other(rec, rec.pair.active)
  local left = rules.spacing_left(rec.pair, ctx.clock.time())
  if left > 0 and not ctx.emergency then return rules.too_early(rec, left) end
  local partner, err = turn.partner(ctx, rec)
  if not partner and err then return err end
  local list
  list, err = turn.sinks(ctx, rec)
  if not list then return err end
  local sample = { epoch = rec.pair.epoch + 1, password = password or core.secret("sample") }
  for _, sink in ipairs(list) do
    local ok, sink_err = sink:check(ctx:credential(rec, sample, { user = to, epoch = sample.epoch }))
    if not ok then
      sink_err.outcome = "not_sent"
      return sink_err
    end
  end
  local member = rules.member(rec, partner, to)
  if member then
    local limited, found = proof.check(ctx, member, "send")
    if not limited then return found end
    local early = send.settling(entry, member)
    if early then return early end
    local _, drift_err = pair_access.check_drift(ctx, rec, to)
    return drift_err
  end
  if rec.disabled then
    return errors.new {
      kind = "conflict", outcome = "not_sent", operation = "rotate_password",
      message = rec.user .. " may not log in, and its partner is still to be made", hint = "cluster:enable_user first",
    }
  end
  local sql, sql_err = ctx:sql()
  local _, free_err = nil, nil
  if sql then _, free_err = pair_access.check_partner(ctx, rec.pair) end
  return sql_err or free_err
end

-- Saves whose turn it is.
local function begin(ctx, entry, to, fields)
  local rec = entry.rec
  local partner, err = turn.partner(ctx, rec)
  if not partner and err then return nil, err end
  local member = rules.member(rec, partner, to)
  local pair = record.copy(rec.pair)
  pair.switching = { phase = "rotating", to = to, epoch = member and member.current and member.current.epoch or 0 }
  for name, value in pairs(fields) do pair.switching[name] = value end
  ctx:progress { step = "turn", user = rec.user, text = ("%s has its turn, %s stays active"):format(to, rec.pair.active) }
  return entry:save(record.amend(rec, { pair = pair }))
end

-- Takes the next turn; `done` is what was done before it.
local function take_turn(ctx, entry, done, password)
  local err = refusal(ctx, entry, password)
  if err then
    if not err.outcome then err.outcome = "not_sent" end
    return nil, err
  end
  local ok
  ok, err = begin(ctx, entry, rules.other(entry.rec, entry.rec.pair.active), {
    given = password and true or nil, both = ctx.emergency or nil, cancel = ctx.cancel_sessions,
  })
  if not ok then return nil, err end
  local more
  more, err = M.finish(ctx, entry, password)
  if not more then return nil, err end
  turn.add(more, done)
  return more
end

-- In an emergency the active user's password is the one that leaked. Where its partner cannot take over, that password
-- is changed without a switch.
local function in_place(ctx, entry, first_err)
  local user, before = entry.rec.pair.active, entry.rec.pair.epoch
  ctx:warn(("%s: its partner could not take over (%s); the active user's password is changed in place"):format(entry.user,
    first_err.message))
  local ok, err = begin(ctx, entry, user, {})
  if ok then ok, err = M.finish(ctx, entry) end
  if not ok and (entry.rec.pair.epoch == before or entry.rec.pair.switching) then return nil, err end
  return nil, errors.new {
    kind = first_err.kind, reason = first_err.reason, outcome = "applied", exit = 3, cause = first_err, operation = "rotate_passwords",
    message = ("%s: %s has a new password, its partner has none (%s)"):format(entry.user, user, first_err.message),
    hint = "rotate it again once that is mended",
  }
end

local function emergency(ctx, entry)
  local before, open = entry.rec.pair.epoch, entry.rec.pair.switching
  local done, err = M.finish(ctx, entry)
  -- The turn of a cut emergency has given both users new passwords; any other turn is followed by an emergency's own.
  if done and not (open and (open.both or open.stay)) then done, err = take_turn(ctx, entry, done) end
  if done then return fields_of(ctx, entry, done, ("both users have new passwords, %s is active"):format(entry.rec.pair.active)) end
  local changed = entry.rec.pair.epoch > before
  -- A password that could not be published, or a user that another run holds, is not changed in place.
  if changed or ctx.stop or NO_REASON[err.kind] or NO_REASON[err.reason] then return nil, err end
  return in_place(ctx, entry, err)
end

--- Rotates a pair: the resting user gets a new password and becomes active. In an emergency both get one.
---@param ctx table
---@param entry crdbcloud.entry held, with the pair's record
---@param wanted { password: userdata|nil, epoch: integer|nil }
---@return crdbcloud.done|nil
---@return crdbcloud.error|nil
function M.rotate(ctx, entry, wanted)
  local rec = entry.rec
  if ctx.emergency then return emergency(ctx, entry) end
  local done, err = M.finish(ctx, entry)
  if not done then return nil, err end
  if #done > 0 and not wanted.password then return fields_of(ctx, entry, done, "finished a half-done rotation") end
  if wanted.epoch ~= nil and wanted.epoch ~= rec.pair.epoch then
    return { result = "skipped", note = "rotated by another run in the meantime" }
  end
  done, err = take_turn(ctx, entry, done, wanted.password)
  if not done then return nil, err end
  return fields_of(ctx, entry, done)
end

-- Sends a member's password once more where an emergency did not wait.
local function resend(ctx, entry)
  local now = entry:instant()
  return each(ctx, entry, function(rec) return record.resend_left(rec, now) == 0 end, function(held)
    return steps.resend(ctx, held)
  end)
end

--- As crdbcloud.change.rotate_user.resend.
function M.resend(ctx, entry)
  local sent, err = resend(ctx, entry)
  if not sent then return nil, err end
  if #sent == 0 then return { result = "skipped", note = "sent again by another run" } end
  return { note = "sent again after the settle time" }
end

--- Recovery of a pair that is no longer being created.
---@return crdbcloud.done|nil
---@return crdbcloud.error|nil
function M.resume(ctx, entry)
  local sent, err = resend(ctx, entry)
  if not sent then return nil, err end
  local waiting = entry.rec.resend_at
  local done
  done, err = M.finish(ctx, entry)
  if not done then return nil, err end
  local ok
  ok, err = steps.retire(ctx, entry)
  if not ok then return nil, err end
  if #done == 0 and #sent == 0 then
    return { result = "skipped", note = waiting and "to be sent once more later" or "nothing open" }
  end
  turn.add(done, sent)
  return fields_of(ctx, entry, done, ("rotation finished, %s is active"):format(entry.rec.pair.active))
end

--- Rollback of a pair: the other user becomes active again with the password that it still has. Nothing is sent.
---@return crdbcloud.done|nil
---@return crdbcloud.error|nil
function M.roll_back(ctx, entry)
  local rec = entry.rec
  local function refuse(kind, text)
    return nil, errors.new {
      kind = kind, outcome = "not_sent", operation = "rollback_password", message = rec.user .. ": " .. text,
    }
  end
  if record.is_creating(rec) or record.is_open(rec) then
    return refuse("conflict", "a rotation is half done; `crdbcloud rotate resume` finishes it first")
  end
  local partner, err = turn.partner(ctx, rec)
  if not partner and err then return nil, err end
  local to = rules.other(rec, rec.pair.active)
  local member = rules.member(rec, partner, to)
  if not member or record.is_creating(member) or member.state ~= "idle" then
    return refuse("conflict", to .. " has no password to go back to")
  end
  local verdict = ctx:probe(member, member.current.password)
  if verdict == "wrong_password" or verdict == "no_login" then
    return refuse("conflict", ("%s does not log in any more (%s)"):format(to, (verdict:gsub("_", " "))))
  end
  if ctx.dry_run then return { result = "roll back", note = to .. " would be active again" } end
  local pair = record.copy(rec.pair)
  pair.switching = { to = to }
  ctx:progress { step = "switch", user = rec.user, text = to .. " becomes the active user again" }
  local ok
  ok, err = entry:save(record.amend(rec, { pair = rules.switched(pair, ctx:now(), ctx.keep_previous) }))
  if not ok then return nil, err end
  local done
  done, err = M.finish(ctx, entry)
  if not done then return nil, err end
  return fields_of(ctx, entry, done, to .. " is active again")
end

return M
