--- What follows from the answer to a password change, and what a finished run
--- means as an exit code. Pure; the hard cases stand in spec/change/decide_spec.lua.

local M = {}

local STOPS_RUN = { unauthenticated = true, redirect = true }
local LATER = { locked = true, not_ready = true }

--- The next step after one send of the staged password.
---@param o { outcome: string, reason: string|nil, kind: string|nil, earlier: boolean, unknown: boolean }
---   earlier: a send of this stage before this one may have been applied
---   unknown: some send of this stage, before or now, has no answer
---@return string action
---   "applied"      it is live
---   "again"        send the same bytes again, now or after a wait
---   "restage"      this password can never be live: stage another
---   "probe"        only a login can tell
---   "gone"         user or cluster is missing; never created again by us
---   "stop_run"     the key or server is wrong for everybody
---   "stop_cluster" not allowed on this cluster
---   "fail"         refused for this user; the stage is kept
function M.after_send(o)
  if o.outcome == "applied" then return "applied" end
  if o.outcome == "unknown" then return "again" end
  if o.reason == "must_differ" then return o.earlier and "applied" or "probe" end
  if o.outcome == "not_sent" then
    -- A certificate that is wrong now is wrong for the next user too.
    return o.kind == "tls" and "stop_run" or "again"
  end
  if LATER[o.reason] then return "again" end
  if o.reason == "password_refused" and not o.unknown and not o.earlier then return "restage" end
  if STOPS_RUN[o.reason] or o.kind == "unauthenticated" then return "stop_run" end
  if o.kind == "permission_denied" then return "stop_cluster" end
  if o.kind == "not_found" then return "gone" end
  return "fail"
end

--- What a login with the staged password says after a definite 2xx.
---@param verdict string of crdbcloud.sql.probe
---@param policy "auto"|"require"|false
---@return string action "accepted", "unreachable" (promote on the answer), "wait", "wrong"
function M.after_login(verdict, policy)
  if verdict == "accepted" then return "accepted" end
  if verdict == "wrong_password" then return "wrong" end
  return policy == "require" and "wait" or "unreachable"
end

--- True when the same login may go better in a moment.
function M.login_may_recover(verdict)
  return verdict == "network" or verdict == "too_many_connections" or verdict == "wrong_password"
end

--- What two logins say of a stage that is older than a day: the record may come from a backup or another host.
---@param staged string verdict of the login with the staged password
---@param current string|nil verdict of the login with the current one; nil when there is none
---@return "live"|"fits"|"stale"|"unknown"
function M.old_stage(staged, current)
  if staged == "accepted" then return "live" end
  if current == "accepted" then return "fits" end
  if staged == "wrong_password" and current == "wrong_password" then return "stale" end
  if current == nil then return "fits" end -- nothing to compare with: the first password of a user
  return "unknown"
end

--- What the login with our throwaway password says of a user whose creation
--- was not answered (or answered with "already exists").
---@param verdict string
---@return "ours"|"theirs"|"unknown"
function M.whose(verdict)
  if verdict == "accepted" then return "ours" end
  if verdict == "wrong_password" then return "theirs" end
  return "unknown"
end

--- The exit code of a run from the results of its users, by the order of the
--- codes' table: interrupted, unknown, unpublished, partly (also when nothing was
--- done yet, but something is open or has to settle first), not allowed, busy, failed.
---@param rows { result: string, kind: string|nil, exit: integer|nil }[]
---@param signal integer|nil
---@return integer
function M.exit(rows, signal)
  local seen, done, failed, open, busy, denied = {}, 0, 0, 0, 0, 0
  for _, row in ipairs(rows) do
    seen[row.result] = true
    if row.result == "done" then
      done = done + 1
    elseif row.result ~= "skipped" then
      failed = failed + 1
      if row.exit == 3 then open = open + 1 end
      if row.kind == "busy" then busy = busy + 1 end
      if row.kind == "permission_denied" or row.kind == "unauthenticated" then denied = denied + 1 end
    end
  end
  if signal and failed > 0 then return 128 + signal end
  if seen.unknown then return 5 end
  if seen.unpublished then return 6 end
  if failed == 0 then return 0 end
  if done > 0 or open > 0 then return 3 end
  if denied > 0 then return 4 end
  if busy == failed then return 7 end
  return 1
end

return M
