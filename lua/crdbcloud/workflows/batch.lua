--- The order of work of a run over many users: who is next, when to stop, who is
--- met again later. It does no work itself; one thread or many take users from it.

local errors = require "crdbcloud.errors"
local outcome = require "crdbcloud.workflows.outcome"
local window = require "crdbcloud.workflows.window"

local M = {}

local MAX_FAILURES = 3 -- in a row, before a run stops

local Batch = {}
Batch.__index = Batch

--- A batch over the rows of a plan.
---@param ctx table
---@param plan table[] rows of crdbcloud.workflows.selection
---@param opts { max_failures: integer|false|nil, window: table|nil }
function M.new(ctx, plan, opts)
  local self = setmetatable({
    ctx = ctx, plan = plan, rows = {}, queue = {}, deferred = {}, failures = 0, done = 0, in_hand = 0,
    limit = opts.max_failures == nil and MAX_FAILURES or opts.max_failures, window = opts.window, started = ctx:monotonic(),
  }, Batch)
  for i, planned in ipairs(plan) do
    if planned.action == "skip" then
      self.rows[i] = {
        user = planned.user, result = "skipped", note = planned.reason, epoch = planned.epoch, sinks = planned.sinks,
      }
    elseif planned.action == "blocked" then
      self.rows[i] = outcome.row(planned.user, nil, planned.err or errors.new {
        kind = "not_found", outcome = "not_sent", message = planned.user .. ": " .. planned.reason,
      }, { epoch = planned.epoch, sinks = planned.sinks })
    else
      self.queue[#self.queue + 1] = { index = i, user = planned.user, epoch = planned.epoch, last = planned.last }
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
  if self.window and not window.is_open_at(self.window, ctx.clock.time()) then
    return "skipped", "outside the window " .. self.window.text
  end
end

local function give_up(self, job, result, why)
  local planned = self.plan[job.index]
  self.rows[job.index] = { user = job.user, result = result, note = why, epoch = planned.epoch, sinks = planned.sinks }
end

--- The next user to work on, or nil: when `waiting`, others are still in hand and
--- there may be more after them; else nothing is left.
---@return { index: integer, user: string, epoch: integer|nil, wait: number|nil }|nil job wait: seconds to sleep before it
---@return boolean|nil waiting
function Batch:next()
  local job = self.queue[1]
  -- What the run itself logs in with comes when everything else is done.
  if job and job.last and self.in_hand > 0 then return nil, true end
  if job then
    table.remove(self.queue, 1)
  elseif self.in_hand > 0 then
    return nil, true
  else
    job = table.remove(self.deferred, 1)
    if not job then return nil end
    job.again = true
  end
  local result, why = stopped(self)
  if result then
    give_up(self, job, result, why)
    return self:next()
  end
  self.in_hand = self.in_hand + 1
  return job
end

--- Takes what became of a user.
---@param job table
---@param row table of crdbcloud.workflows.outcome
---@param err { kind: string, reason: string|nil, retry_after: number|nil }|nil
function Batch:finish(job, row, err)
  self.in_hand = self.in_hand - 1
  -- Held by another run, or not settled yet: met again when the others are done.
  if err and not job.again and (err.kind == "busy" or err.reason == "settling") then
    job.wait = err.retry_after
    self.deferred[#self.deferred + 1] = job
    return
  end
  self.done = self.done + 1
  self.rows[job.index] = row
  self.failures = (row.result == "done" or row.result == "skipped") and 0 or self.failures + 1
  local ctx = self.ctx
  local elapsed = ctx:monotonic() - self.started
  ctx:progress {
    step = "user", user = row.user, result = row.result, text = outcome.text(row), kind = row.kind,
    index = self.done, total = self.total, seconds_left = elapsed / self.done * (self.total - self.done),
  }
end

--- Works on all users, one after the other.
---@param work fun(job: table): table, crdbcloud.error|nil
function Batch:run(work)
  while true do
    local job = self:next()
    if not job then return self.rows end
    if job.wait then self.ctx:sleep(job.wait) end
    self.ctx.index = self.done + 1
    self:finish(job, work(job))
  end
end

return M
