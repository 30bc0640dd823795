--- Whether to send again: a pure decision. No clock, no network, no random numbers here.
--
-- What a call does to the world decides more than how it failed. The service
-- has no idempotency keys, so:
--   read    may be repeated whenever that could help;
--   put     may be repeated with the same bytes: the last state is the same;
--   delete  may be repeated: what is gone stays gone;
--   create  may be repeated only if the service surely did nothing: a second
--           POST could meet a user that somebody else made in the meantime.

local M = {}

---@alias crdbcloud.effect "read"|"put"|"delete"|"create"

---@class crdbcloud.retry.state
---@field effect crdbcloud.effect of the call
---@field outcome crdbcloud.outcome of the exchange that has ended
---@field reason string? token of the exchange
---@field kind crdbcloud.kind? of the exchange
---@field status integer? HTTP status, 0 for none
---@field attempt integer exchanges made so far, from 1
---@field max_attempts integer
---@field retry_after number? seconds, as the service asked
---@field remaining number seconds until the deadline
---@field jitter number? within [0, 1), default 0.5

---@class crdbcloud.retry.decision
---@field retry boolean
---@field wait number seconds before the next exchange
---@field why string for people and events

M.LONGEST_WAIT = 60 -- seconds; a longer Retry-After ends the call, the caller is told how long
local FIRST_WAIT, LONGEST_BACKOFF = 0.5, 8 -- seconds

-- An exchange that never reached the service, and may do so next time. Not here:
-- tls: a certificate does not get better by asking again.
local PASSING_NOT_SENT = {
  resolve = true, connect = true, proxy = true, refused_stream = true, timeout = true, reset = true,
  send_error = true, http2 = true, empty_reply = true,
}

-- The service said that it did nothing, and why that passes.
local PASSING_REJECTED = { locked = true, not_ready = true }

-- Answers that would be the same again.
local LASTING_UNKNOWN = { too_large = true, wrong_name = true }

--- Seconds before attempt + 1: doubling, half of it by chance, so that many clients spread out.
---@param attempt integer exchanges made so far
---@param jitter number within [0, 1)
function M.backoff(attempt, jitter)
  local base = math.min(LONGEST_BACKOFF, FIRST_WAIT * 2 ^ (attempt - 1))
  return base * (0.5 + 0.5 * jitter)
end

local function no(why)
  return { retry = false, wait = 0, why = why }
end

-- May this call be sent again at all? Returns why, or nil and why not.
local function permission(s)
  local effect, outcome, reason = s.effect, s.outcome, s.reason
  if outcome == "applied" then return nil, "done" end
  if outcome == "not_sent" then
    if reason == "rate_limited" then return "the rate limit refused it before it was carried out" end
    if PASSING_NOT_SENT[reason] or s.kind == "network" then return "it did not reach the service" end
    return nil, "the cause does not pass by itself"
  end
  if outcome == "rejected" then
    if PASSING_REJECTED[reason] then return "the service did nothing and is not ready yet" end
    return nil, "the service refused it"
  end
  if effect == "create" then return nil, "the answer was lost and a create is never sent twice: list first" end
  if LASTING_UNKNOWN[reason] or s.status == 501 then return nil, "the answer would be the same again" end
  local answered = s.status and s.status >= 200 and s.status < 300
  if answered and (reason == "html" or reason == "bad_content_type") then
    return nil, "what answers is not the API"
  end
  if effect == "read" then return "a read may be repeated" end
  if effect == "put" then return "the same bytes again end in the same state" end
  return "deleting again does no harm"
end

--- Decides whether the call is sent again, and after how long.
---@param s crdbcloud.retry.state
---@return crdbcloud.retry.decision
function M.decide(s)
  local why, why_not = permission(s)
  if not why then return no(why_not) end
  if s.attempt >= s.max_attempts then
    return no(("%d of %d attempts are used up"):format(s.attempt, s.max_attempts))
  end
  local wait = M.backoff(s.attempt, s.jitter or 0.5)
  if s.reason == "refused_stream" then wait = wait / 10 end
  if s.retry_after then
    if s.retry_after > M.LONGEST_WAIT then
      return no(("the service asks to wait %.0f s, longer than %d s"):format(s.retry_after, M.LONGEST_WAIT))
    end
    wait = math.max(s.retry_after, wait)
  end
  if wait >= s.remaining then
    return no(("the next attempt is due in %.1f s, past the deadline"):format(wait))
  end
  return { retry = true, wait = wait, why = why }
end

return M
