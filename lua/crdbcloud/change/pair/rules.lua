--- The decisions of a pair: two users in one role, of which one is active. Pure.
--
-- The record of the pair's name holds
--   pair { partner, role, role_state, active, epoch, of_epoch, switched_at, spacing, switching }
--     partner, role   names of the other user and of the role that has the access
--     role_state      nil, "making" (written before CREATE ROLE), "made"
--     active          the user that consumers connect as
--     epoch           counts what was published; never goes back
--     of_epoch        the epoch of the active user's password when it was published
--     switched_at, spacing   the last switch, and how long after it the other user rests
--     switching       the turn that is under way; written before anything is sent
--       { phase = "rotating" | "publishing", to = user, epoch = of its password before the turn,
--         given = a password of the caller's, both = the other user has its turn next,
--         stay = no switch after it, cancel = old sessions are ended }
-- The partner's record has pair_of = the pair's name.

local durations = require "crdbcloud.base.durations"
local errors = require "crdbcloud.errors"
local record = require "crdbcloud.record"

local M = {}

local PARTNER, ROLE = "_b", "_role"
local LONGEST = 63 - #ROLE -- bytes of a name that leave room for the role's

--- What a new pair is, before anything is sent. It ends with a publication.
---@param user string folded
---@param epoch integer of the user's record so far
---@return table|nil pair
---@return crdbcloud.error|nil
function M.new(user, epoch)
  if #user > LONGEST then
    return nil, errors.new {
      kind = "invalid_argument", outcome = "not_sent", operation = "create_app_user",
      message = ("%s has %d bytes; the name of a pair has %d at most, so that its role %s fits"):format(user, #user, LONGEST,
        user .. ROLE),
    }
  end
  return {
    partner = user .. PARTNER, role = user .. ROLE, active = user, epoch = epoch + 1,
    switching = { phase = "publishing", to = user },
  }
end

--- The pair that a name would be the partner of, if there were one of that name.
---@param user string
---@return string|nil
function M.possible_owner(user)
  local owner = user:sub(-#PARTNER) == PARTNER and user:sub(1, -#PARTNER - 1) or ""
  return owner ~= "" and owner or nil
end

--- The member that is not `user`.
---@param rec table
---@param user string
---@return string
function M.other(rec, user)
  return user == rec.user and rec.pair.partner or rec.user
end

--- The record of a member.
---@param rec table
---@param partner table|nil the partner's record
---@param user string
---@return table|nil
function M.member(rec, partner, user)
  if user == rec.user then return rec end
  return partner
end

--- Seconds until the resting user may have its turn: programs that read the credential before the last switch still
--- connect as it.
---@param pair table
---@param now number
---@return integer 0 when it may start
function M.spacing_left(pair, now)
  if not pair.switched_at then return 0 end
  -- A switch in the future is that of a clock that was wrong: no wait is longer than the whole one.
  local whole = (pair.spacing or 0) + record.SETTLE
  return math.max(0, math.ceil(math.min(whole, pair.switched_at + whole - now)))
end

--- The error of a turn that comes too early.
---@param rec table
---@param left integer seconds
---@return crdbcloud.error
function M.too_early(rec, left)
  local resting = M.other(rec, rec.pair.active)
  return errors.new {
    kind = "pending", reason = "spacing", outcome = "not_sent", retry_after = left, exit = 3, operation = "rotate_password",
    message = ("%s: %s was active until the last switch and may still be in use; its turn may start in %s"):format(
      rec.user, resting, durations.format(left)),
    hint = "wait, give a shorter keep_previous next time, or rotate it as an emergency",
  }
end

--- The error of a partner that is named as a user of its own.
---@param rec table the partner's record
---@param operation string
---@return crdbcloud.error
function M.is_partner(rec, operation)
  return errors.new {
    kind = "conflict", reason = "partner", outcome = "not_sent", operation = operation,
    message = ("%s is the partner of %s"):format(rec.user, rec.pair_of), hint = "name the pair: " .. rec.pair_of,
  }
end

local function half_done(member)
  return record.is_creating(member) or member.state ~= "idle"
end

--- What comes next for a pair.
---@param rec table the record with the pair
---@param partner table|nil the partner's record
---@return string step
---   "rest"       nothing is open
---   "create"     the partner has its turn and was never made
---   "finish"     a member's creation or password change is half done
---   "rotate"     the member whose turn it is has not got its new password yet
---   "switch"     it has, and becomes the active one
---   "publish"    the sinks are to be written
---   "end"        the turn is over without a switch
---   "republish"  the active member's password was changed outside a turn
---@return string|nil member that the step works on
function M.next(rec, partner)
  local pair = rec.pair
  local turn = pair.switching
  if not turn then
    for _, member in ipairs { rec, partner } do
      if half_done(member) then return "finish", member.user end
    end
    local active = M.member(rec, partner, pair.active)
    if active and active.current.epoch ~= pair.of_epoch then return "republish", pair.active end
    return "rest"
  end
  if turn.phase == "publishing" then return "publish", turn.to end
  local member = M.member(rec, partner, turn.to)
  if not member then return "create", turn.to end
  if half_done(member) then return "finish", turn.to end
  if member.current.epoch <= turn.epoch then return "rotate", turn.to end
  return turn.stay and "end" or "switch", turn.to
end

--- Why a member must not become active, by the last login with its password.
---@param member table record
---@return string|nil verdict
function M.unusable(member)
  if member.disabled then return nil end -- nobody of the pair is meant to log in
  local verdict = member.current.verified
  return (verdict == "no_login" or verdict == "expired") and verdict or nil
end

--- The pair after a switch to the member whose turn it was.
---@param pair table
---@param now integer
---@param spacing number seconds that the other member keeps its password from now on
---@return table
function M.switched(pair, now, spacing)
  local out = record.copy(pair)
  out.active, out.epoch, out.switched_at, out.spacing = pair.switching.to, pair.epoch + 1, now, spacing
  out.switching = { phase = "publishing", to = pair.switching.to, both = pair.switching.both, cancel = pair.switching.cancel }
  return out
end

--- The pair once its sinks have the active member's credential.
---@param rec table
---@param partner table|nil
---@return table
function M.published(rec, partner)
  local out = record.copy(rec.pair)
  local turn = out.switching
  out.of_epoch = M.member(rec, partner, out.active).current.epoch
  out.switching = nil
  if turn and turn.both then
    local other = M.other(rec, out.active)
    local member = M.member(rec, partner, other)
    out.switching = {
      phase = "rotating", to = other, epoch = member and member.current and member.current.epoch or 0, stay = true,
      cancel = turn.cancel,
    }
  end
  return out
end

return M
