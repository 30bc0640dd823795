--- One API call with its retries: pace, send, decide, wait, until the answer is definite or the deadline is near.

local answers = require "crdbcloud.api.answers"
local blocking = require "crdbcloud.base.blocking"
local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local durations = require "crdbcloud.base.durations"
local explain = require "crdbcloud.api.explain"
local operations = require "crdbcloud.api.operations"
local retry = require "crdbcloud.api.retry"

local M = {}

-- Seconds; less than this is not worth an exchange.
local LEAST = 0.01

local function event(account, call, fields)
  fields.operation, fields.cluster_id, fields.user = call.operation, call.cluster_id, call.name
  fields.method, fields.path = call.method, call.path
  account.emit(fields)
end

-- The key's file or function may have been updated since it was read. True when
-- there is another key now.
local function read_key_again(account, call)
  if not account.key.again then return false end
  local changed, err = account:read_key_again()
  if account.emit then
    event(account, call, {
      event = "key", message = changed and "read again after a 401: it has changed"
        or err and tostring(err) or "read again after a 401: it is the same",
    })
  end
  return changed == true
end

-- Reasons of `unsent` that only say that time ran out; what was answered before tells more.
local NO_TURN = { deadline = true, budget = true }

-- What stands for a result when nothing was sent.
local function unsent(kind, reason, retry_after)
  return { outcome = "not_sent", kind = kind, status = 0, reason = reason, retry_after = retry_after }
end

-- Deadlines count the time during which the machine is suspended: what is late then is not sent afterwards.
local function clock()
  return core.boottime()
end

-- One paced exchange that ends by the deadline (as of `clock`).
local function exchange(account, call, state)
  blocking.check()
  local left = state.deadline - clock()
  if left < LEAST then return unsent("timeout", "deadline") end
  local waited, needed, cut = core.pace(account.name, account.config.rate, left)
  if cut then return unsent("cancelled", cut, needed) end
  if not waited then return unsent("rate_limited", "budget", needed) end
  left = state.deadline - clock()
  -- Only the wall clock goes on while a virtual machine is stopped.
  local late = state.until_wall and core.time() > state.until_wall
  if left < LEAST or late then return unsent("timeout", "deadline") end
  state.attempt = state.attempt + 1
  state.timeout = math.min(state.limit, left)
  -- The C client raises for misuse that only it sees, without knowing whose line it is.
  local ok, result = pcall(call.send, call, account:open_client(), state.timeout)
  if not ok then errors.raise("cloud:%s: %s", call.operation, errors.bare(result)) end
  if result.reason == "rate_limited" then
    core.pace_hold(account.name, math.min(result.retry_after or 1, retry.LONGEST_WAIT))
  end
  if account.emit then
    event(account, call, {
      event = "answer", attempt = state.attempt, status = result.status, code = result.code, outcome = result.outcome,
      kind = result.kind, reason = result.reason, retry_after = result.retry_after, elapsed = result.elapsed,
      http = result.http, new_connection = result.new_connection,
    })
  end
  return result
end

-- The same, with one more try under another key after a 401. The refused
-- exchange did nothing, so sending again is safe for every operation.
local function exchange_with_key(account, call, state)
  local result = exchange(account, call, state)
  if result.status == 401 and not state.key_read then
    state.key_read = true
    if read_key_again(account, call) then
      state.before = result
      result = exchange(account, call, state)
    end
  end
  return result
end

-- What ended a call: the last answer where the next attempt found no turn, with the wait for that turn.
local function last_answer(result, state)
  if not (state.before and NO_TURN[result.reason]) then return result end
  local told = {}
  for name, value in pairs(state.before) do told[name] = value end
  told.retry_after = result.retry_after
  return told
end

local function failure(account, call, result, state, context)
  result = last_answer(result, state)
  call.server, call.key_from = account.config.base_url, account.key.from
  context.attempts, context.unknown_before = state.attempt, state.unknown
  context.timeout, context.deadline = durations.format(state.timeout), durations.format(state.seconds)
  return explain.error(call, result, context)
end

-- What an applied exchange gives back; an answer to a read that cannot be read is
-- an error, a change has happened all the same.
local function accept(call, result, state)
  local value, err = call:accept(result.body)
  if value then return value end
  if call.effect ~= "read" then return answers.printed { name = call.name } end
  err.attempts, err.status = state.attempt, result.status
  return nil, err
end

-- Whether a 404 means the cluster or the user: one look at the cluster.
local function missing(account, call, state)
  if not call.cluster_id or call.operation == "get_cluster" then return call.cluster_id and "cluster" or nil end
  local look = operations.make("get_cluster", { cluster_id = call.cluster_id }, {})
  local result = exchange(account, look, { attempt = 0, deadline = state.deadline, limit = state.limit })
  if result.outcome == "applied" then
    if call.name and call.effect ~= "create" then return "user" end
    local cluster = answers.decode(result.body, "get_cluster")
    return "cluster_state", cluster and type(cluster.state) == "string" and cluster.state or "?"
  elseif result.status == 404 then
    return "cluster"
  end
end

-- A refusal that, after an unanswered send of this same call, says that the send
-- was carried out: what we wanted gone is gone; the password is the one we sent.
-- A 404 may speak of the cluster, or of a path that a gateway does not know.
local function settles_unknown(account, call, result, state)
  if call.effect == "delete" then
    return result.reason == "not_found" and (not call.cluster_id or missing(account, call, state) == "user")
  end
  return call.operation == "update_sql_user_password" and result.reason == "must_differ"
end

-- Signals that core.interrupts has counted so far.
local function signals()
  local _, count = core.interrupted()
  return count or 0
end

-- Waits before the next exchange; false when a signal came since the call began.
local function wait_for(seconds, state)
  return signals() == state.signals and core.sleep(seconds)
end

local function new_state(account, limits)
  local limit = limits.timeout or account.config.timeout
  local seconds = limits.deadline or account.config.deadline
  return {
    attempt = 0, unknown = false, key_read = false, limit = limit, seconds = seconds, timeout = limit,
    deadline = clock() + seconds, signals = signals(),
  }
end

--- Runs a call to its end by the rules of crdbcloud.api.retry.
---@param account crdbcloud.account
---@param call crdbcloud.call
---@param limits {timeout: number?, deadline: number?, until_time: number?}|nil seconds; until_time is as of core.boottime and wins
---@return table|nil value
---@return crdbcloud.error|nil err
function M.run(account, call, limits)
  limits = limits or {}
  local state = new_state(account, limits)
  if limits.until_time then state.deadline = limits.until_time end
  while true do
    local result = exchange_with_key(account, call, state)
    if result.outcome == "applied" then return accept(call, result, state) end
    if state.unknown and settles_unknown(account, call, result, state) then return answers.printed { name = call.name } end
    local decision = retry.decide {
      effect = call.effect, outcome = result.outcome, reason = result.reason, kind = result.kind, status = result.status,
      attempt = math.max(1, state.attempt), max_attempts = account.config.max_attempts,
      retry_after = result.retry_after, remaining = state.deadline - clock(), jitter = core.random(),
    }
    if not decision.retry then
      local context = {}
      if result.status == 404 and not state.unknown then context.missing, context.state = missing(account, call, state) end
      return nil, failure(account, call, result, state, context)
    end
    if result.outcome == "unknown" and call.effect ~= "read" then state.unknown = true end
    state.before = result
    if account.emit then
      event(account, call, { event = "retry", attempt = state.attempt, wait = decision.wait, why = decision.why, kind = result.kind })
    end
    if not wait_for(decision.wait, state) then
      if state.unknown then return nil, failure(account, call, result, state, {}) end
      return nil, errors.new {
        kind = "cancelled", operation = call.operation, message = "interrupted", attempts = state.attempt,
        outcome = call.effect ~= "read" and result.outcome or nil,
      }
    end
  end
end

--- Exactly one exchange, but for a second one under another key after a 401.
---@param account crdbcloud.account
---@param call crdbcloud.call
---@param limits {timeout: number?, until_time: number?, until_wall: number?} until_wall: nothing is sent after this time, as
---  of core.time
---@return table|nil value
---@return crdbcloud.error|nil err
function M.once(account, call, limits)
  local state = new_state(account, limits)
  if limits.until_time then state.deadline = limits.until_time end
  state.until_wall = limits.until_wall
  local result = exchange_with_key(account, call, state)
  if result.outcome == "applied" then return accept(call, result, state) end
  return nil, failure(account, call, result, state, {})
end

return M
