--- One thread of a parallel rotation: takes users from the main thread, one at a time, and says what became of each.
--- Whatever goes wrong here is a message; nothing is raised.

local carry = require "crdbcloud.threads.setup"
local channels = require "crdbcloud.threads.channel"
local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local batch = require "crdbcloud.run.batch"
local rotate_user = require "crdbcloud.change.rotate_user"

local M = {}

local function traced(problem)
  return errors.is(problem) and problem or debug.traceback(tostring(problem), 2)
end

-- Asks the main thread for the key, which it reads again.
local function key_source(channel)
  local renewed = 0
  return function()
    channel:send { what = "key", renewed = renewed }
    local answer = channel:receive()
    if answer and answer.what == "end" then
      channel.ended = true
      answer = channel:receive()
    end
    if not answer then return nil, "the run is over" end
    if not answer.ticket then return nil, answer.why end
    renewed = answer.renewed
    return core.take(answer.ticket)
  end
end

local function open(channel, setup)
  return carry.open(setup, {
    progress = function(event) channel:send { what = "progress", event = event } end,
    event = function(event) channel:send { what = "event", event = event } end,
    key = key_source(channel),
  })
end

-- The row and the error of one user, as data; a raised error is an error of this user.
local function work(ctx, job)
  -- The signal may have come while the job was on its way here.
  if job.wait and (ctx.interrupted() or not ctx:sleep(job.wait)) then return { row = batch.interrupted(job) } end
  local ok, row, err = xpcall(rotate_user.row, traced, ctx, job)
  if ok then return { row = row, error = carry.pack_error(err) } end
  return { raised = tostring(row) }
end

local function serve(channel, setup)
  local ctx = open(channel, setup)
  channel:send { what = "ready" }
  while not channel.ended do
    local job = channel:receive()
    if not job or job.what ~= "user" then break end
    local done = work(ctx, job)
    done.what, done.warnings, done.stop = "done", ctx.warnings, carry.pack_error(ctx.stop)
    ctx.warnings, ctx.stop = {}, nil
    channel:send(done)
  end
  ctx.cluster:close()
  if ctx.spooling then ctx.store:close() end
  ctx.cloud:close()
end

--- Runs until the main thread says that there is no more.
---@param fd integer this thread's end of the channel
---@param setup string what crdbcloud.threads.setup has packed, as a line of the channel
function M.run(fd, setup)
  local channel = channels.new(fd)
  local ok, problem = xpcall(function() serve(channel, channels.decode(setup)) end, traced)
  channel:send { what = "gone", why = not ok and tostring(problem) or nil }
end

return M
