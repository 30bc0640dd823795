--- When a scheduled rotation runs: decided from what the shared dictionary says. Pure.
--
-- Times are wall-clock seconds, the one clock that all workers and all starts of nginx share. It may be set back,
-- so no wait is ever longer than a whole period.

local M = {}

local START = 10 -- seconds within which the first run after a start of nginx begins
local BUSY = 10 -- seconds until the next look when another run holds the lock
local RETRY = 60 -- seconds until the first try after a failure; doubled with each one, up to the period

--- What a worker should do now.
---@param now number
---@param state { alive: boolean, running_since: number|nil, next_due: number|nil, asked: boolean|nil }
---  alive: somebody's heartbeat is fresh; running_since: a run began and has not ended; asked: somebody wants one now
---@param every number seconds
---@param jitter number seconds
---@return "wait"|"run"|"take_over" action take_over: the worker that ran it is gone
---@return number seconds to wait; 0 otherwise
function M.decide(now, state, every, jitter)
  if state.alive then return "wait", every end
  if state.running_since then return "take_over", 0 end
  if state.asked or not state.next_due then return "run", 0 end
  local left = state.next_due - now
  if left <= 0 then return "run", 0 end
  -- Further away than it was ever set: the clock was set back, or the period was shortened.
  if left > every + jitter then return "run", 0 end
  return "wait", left
end

--- When the first run after a start of nginx begins: soon, since it finishes what a crash left, and not on all hosts at once.
---@param random number from 0 to 1
---@return number
function M.first(now, jitter, random)
  return now + math.min(START, jitter) * random
end

--- Failures in a row, counting what has just ended. A lock that another run holds is no failure.
---@param failures integer before
---@param result { ok: boolean, kind: string|nil }
---@return integer
function M.failures(failures, result)
  if result.ok then return 0 end
  return result.kind == "busy" and failures or failures + 1
end

--- When the next run is due after one has ended.
---@param result { ok: boolean, kind: string|nil }
---@param failures integer in a row, this one included
---@return number
function M.next(now, result, failures, every, jitter, random)
  local pause = every
  if not result.ok then
    pause = result.kind == "busy" and BUSY or RETRY * 2 ^ math.min(failures - 1, 20)
    pause = math.min(every, pause)
    jitter = math.min(jitter, pause / 2)
  end
  return now + pause + jitter * random
end

local KEEP_ASKED = 3600 -- seconds; what a person asked for is not done a day later

--- What is still to be done of what was asked for, after a run.
---@param asked { at: number }[]
---@param result { ok: boolean, retryable: boolean|nil }
---@return table[]
function M.left(asked, result, now)
  local left = {}
  if result.ok or not result.retryable then return left end
  for _, ask in ipairs(asked) do
    if now - ask.at < KEEP_ASKED then left[#left + 1] = ask end
  end
  return left
end

return M
