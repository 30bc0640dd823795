--- The order of work of a run over many users: who is next, when to stop, who is tried again later, in which hours.
--- It does no work itself; one thread or several ask it for the next user.

local errors = require "crdbcloud.errors"
local report = require "crdbcloud.run.report"

local M = {}

local MAX_FAILURES = 3 -- in a row, before a run stops
local LONGEST_WAIT = 300 -- seconds that a run waits for a limit to pass; a service may ask for a day

-- Minutes since midnight, or nil.
local function minutes(hour, minute)
  hour, minute = tonumber(hour), tonumber(minute)
  if hour > 23 or minute > 59 then return nil end
  return hour * 60 + minute
end

--- Reads the hours in which a user may be started, "22:00-04:00" in local time; raises for anything else.
---@param value any
---@param name string
---@return { from: integer, to: integer, text: string } minutes since midnight
function M.window(value, name)
  local h1, m1, h2, m2 = (type(value) == "string" and value or ""):match("^(%d%d):(%d%d)%-(%d%d):(%d%d)$")
  local from, to = h1 and minutes(h1, m1), h2 and minutes(h2, m2)
  if not from or not to or from == to then
    errors.raise('%s must be hours of the day such as "22:00-04:00", got %s', name, errors.shown(value))
  end
  return { from = from, to = to, text = value }
end

--- Whether a window is open at a time of day.
---@param window { from: integer, to: integer }
---@param hour integer
---@param minute integer
---@return boolean
function M.is_open(window, hour, minute)
  local now = hour * 60 + minute
  if window.from < window.to then return now >= window.from and now < window.to end
  return now >= window.from or now < window.to
end

local Batch = {}
Batch.__index = Batch

--- A batch over the rows of a plan.
---@param ctx table
---@param plan table[] rows of crdbcloud.run.selection
---@param opts { max_failures: integer|false|nil, window: table|nil }
function M.new(ctx, plan, opts)
  local self = setmetatable({
    ctx = ctx, plan = plan, rows = {}, queue = {}, deferred = {}, failures = 0, done = 0,
    in_hand = 0, again_in_hand = 0,
    limit = opts.max_failures == nil and MAX_FAILURES or opts.max_failures, window = opts.window, started = ctx:monotonic(),
  }, Batch)
  for i, planned in ipairs(plan) do
    if planned.action == "skip" then
      self.rows[i] = {
        user = planned.user, result = "skipped", note = planned.reason, epoch = planned.epoch, sinks = planned.sinks,
      }
    elseif planned.action == "blocked" then
      self.rows[i] = report.row(planned.user, nil, planned.err or errors.new {
        kind = "not_found", outcome = "not_sent", message = planned.user .. ": " .. planned.reason,
      }, { epoch = planned.epoch, sinks = planned.sinks })
    else
      self.queue[#self.queue + 1] = { index = i, user = planned.user, epoch = planned.epoch, last = planned.last, finish_only = planned.finish_only }
    end
  end
  self.total = #self.queue
  ctx.total = self.total
  return self
end

-- Why no further user is started; nil to go on.
local function stopped(self)
  local ctx = self.ctx
  if ctx.interrupted() then return "untouched", "interrupted" end
  if ctx.stop then return "untouched", "stopped: " .. ctx.stop.message end
  if self.limit and self.failures >= self.limit then
    return "untouched", ("stopped after %d failures in a row"):format(self.failures)
  end
  local now = self.window and os.date("*t", math.floor(ctx.clock.time()))
  if now and not M.is_open(self.window, now.hour, now.min) then return "skipped", "outside the window " .. self.window.text end
end

local function give_up(self, job, result, why)
  local planned = self.plan[job.index]
  self.rows[job.index] = { user = job.user, result = result, note = why, epoch = planned.epoch, sinks = planned.sinks }
end

-- Removes and returns the next job that may run beside those in hand: first those not tried yet, then those put off. The
-- accounts that the run itself logs in with come after everything else.
local function pick(self)
  local job, again = self.queue[1], self.deferred[1]
  if job and not job.last then return table.remove(self.queue, 1) end
  if self.in_hand > self.again_in_hand then return nil end
  if again and not again.last then return table.remove(self.deferred, 1) end
  if self.in_hand > 0 then return nil end
  return table.remove(job and self.queue or self.deferred, 1)
end

--- The next user to work on, or nil: when `waiting`, others are still in hand and
--- there may be more after them; else nothing is left.
---@return { index: integer, user: string, epoch: integer|nil, wait: number|nil }|nil job wait: seconds to sleep before it
---@return boolean|nil waiting
function Batch:next()
  local job = pick(self)
  if not job then return nil, self.in_hand > 0 or nil end
  local result, why = stopped(self)
  if result then
    give_up(self, job, result, why)
    return self:next()
  end
  if job.not_before then
    job.wait, job.again = math.max(0, job.not_before - self.ctx:monotonic()), true
    if job.wait > 0 then
      self.ctx:progress {
        step = "wait", user = job.user, wait = job.wait, text = ("tried again in %d s: %s"):format(math.ceil(job.wait), job.why),
      }
    end
    self.again_in_hand = self.again_in_hand + 1
  end
  self.in_hand = self.in_hand + 1
  return job
end

--- The row of a user whose wait a signal has ended: nothing was begun.
---@param job table
---@return table row
function M.interrupted(job)
  return { user = job.user, result = "untouched", note = "interrupted", epoch = job.epoch, sinks = {} }
end

--- Notes the result of a job.
---@param job table
---@param row table of crdbcloud.run.report
---@param err { kind: string, reason: string|nil, retry_after: number|nil }|nil
function Batch:finish(job, row, err)
  self.in_hand = self.in_hand - 1
  if job.again then self.again_in_hand = self.again_in_hand - 1 end
  -- The user is held by another run, is not settled yet, or the rate limit is used up by other tools. That is no failure
  -- of the user: it is tried again when the others are done.
  local passes = err and (err.kind == "busy" or err.reason == "settling"
    or err.kind == "rate_limited" and (err.retry_after or 0) <= LONGEST_WAIT)
  if passes and not job.again then
    job.not_before, job.why = self.ctx:monotonic() + (err.retry_after or 0), err.message
    self.deferred[#self.deferred + 1] = job
    return
  end
  self.done = self.done + 1
  self.rows[job.index] = row
  self.failures = (row.result == "done" or row.result == "skipped") and 0 or self.failures + 1
  local ctx = self.ctx
  -- Each of those in hand counts as half done.
  local each = (ctx:monotonic() - self.started) / (self.done + self.in_hand / 2)
  ctx:progress {
    step = "user", user = row.user, result = row.result, text = report.text(row), kind = row.kind,
    index = self.done, total = self.total, seconds_left = each * (self.total - self.done - self.in_hand / 2),
  }
end

--- Works on all users, one after the other.
---@param work fun(job: table): table, crdbcloud.error|nil
function Batch:run(work)
  while true do
    local job = self:next()
    if not job then return self.rows end
    self.ctx.index = self.done + 1
    if job.wait and not self.ctx:sleep(job.wait) then
      self:finish(job, M.interrupted(job))
    else
      self:finish(job, work(job))
    end
  end
end

return M
