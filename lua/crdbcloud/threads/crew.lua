--- A rotation in several threads. Each has a Lua state, connections and a store handle of its own
--- (crdbcloud.threads.worker); this one gives each idle thread one user at a time, takes the answers and alone
--- speaks to the caller. All share the process's budget of the API account.

local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local report = require "crdbcloud.run.report"
local rotate_user = require "crdbcloud.change.rotate_user"
local setups = require "crdbcloud.threads.setup"

local M = {}

-- A thread that says nothing for so long beside the deadline of an operation is given up: longer than any sink or
-- hook may take.
local SILENCE = 3600
local LAST_WORDS = 60 -- seconds to close connections

-- Threads that were given up. What luv holds of them must not be collected while they run.
local given_up = {}

-- Threads that have ended within a callback of a running loop, by the timer that lets go of them.
local lingering = {} -- luacheck: ignore 241

-- The module that a thread runs; it is never loaded in this Lua state.
local WORKER = "crdbcloud.threads.worker"

-- What a new Lua state runs first. It may use nothing of this one.
local function body(path, cpath, worker, fd, setup)
  package.path, package.cpath = path, cpath
  local ok, problem = pcall(function() require(worker).run(fd, setup) end)
  if ok then return end
  local text = tostring(problem):gsub("[%c\"\\\127-\255]", " ")
  pcall(function() require("luv").fs_write(fd, '{"what":"gone","why":"' .. text .. '"}\n') end)
end

-- luv, or why it cannot be used.
local function threads()
  local ok, uv = pcall(require, "luv")
  if not ok then return nil, "the Lua module luv is not installed (Debian: lua-luv)" end
  if not uv.socketpair then return nil, "the Lua module luv is too old (1.41 is needed)" end
  return uv
end

-- More threads than the budget lets send within the time that a request may wait for its turn would only make each
-- other late.
local function useful(ctx, total, wanted)
  local rate = ctx.cloud.config.rate
  local most = rate > 0 and math.max(1, math.floor(rate * 10)) or wanted
  return math.min(wanted, total, most)
end

local Crew = {}
Crew.__index = Crew

local function start_one(self, uv, channels)
  local setup, why = setups.pack(self.ctx)
  if not setup then return nil, why end
  local ours, theirs = channels.pair()
  if not ours then return nil, theirs end
  local ok, thread, problem = pcall(uv.new_thread, body, package.path, package.cpath, WORKER, theirs, channels.encode(setup))
  if not ok or not thread then
    uv.fs_close(ours)
    uv.fs_close(theirs)
    return nil, tostring(not ok and thread or problem)
  end
  return { thread = thread, channel = channels.new(ours), theirs = theirs, state = "starting", heard = core.monotonic() }
end

-- Starts so many threads, or fewer; what keeps the others back is a warning.
local function start(ctx, jobs, count, uv)
  local self = setmetatable({ ctx = ctx, jobs = jobs, workers = {}, silence = SILENCE + ctx.cloud.config.deadline }, Crew)
  local channels = require "crdbcloud.threads.channel"
  for i = 1, count do
    local worker, why = start_one(self, uv, channels)
    if not worker then
      ctx:warn(("only %d of %d threads were started: %s"):format(i - 1, count, why))
      break
    end
    self.workers[i] = worker
  end
  return self
end

-- The outcome of a user whose thread did not end its work: what was sent is not known here, but in the record.
local function lost(job, why)
  local err = errors.new {
    kind = "pending", reason = "internal", outcome = "unknown", operation = "rotate_passwords", retryable = true,
    message = ("%s: internal error in a thread: %s"):format(job.user, why),
    hint = "`crdbcloud rotate resume` finishes what it had begun",
  }
  return report.row(job.user, nil, err, { epoch = job.epoch }), err
end

local HEARD = {}

function HEARD.ready(_, worker)
  worker.state = "idle"
end

function HEARD.progress(self, _, message)
  self.ctx:progress(message.event)
end

function HEARD.event(self, _, message)
  self.ctx.cloud:event(message.event)
end

function HEARD.key(self, worker, message)
  local ticket, renewed = setups.renew(self.ctx.cloud._account, message.renewed)
  worker.channel:send {
    what = "key", ticket = ticket, renewed = ticket and renewed, why = not ticket and tostring(renewed) or nil,
  }
end

function HEARD.done(self, worker, message)
  local job, row, err = worker.job, message.row, message.error and errors.new(message.error)
  worker.job, worker.state = nil, "idle"
  for _, text in ipairs(message.warnings) do self.ctx:warn(text) end
  if message.stop then self.ctx.stop = errors.new(message.stop) end
  if message.raised then
    row, err = lost(job, message.raised:match "^[^\n]*")
    self.ctx:warn("internal error in a thread: " .. message.raised)
  end
  self.jobs:finish(job, row, err)
end

function HEARD.gone(self, worker, message)
  local job, state = worker.job, worker.state
  worker.job, worker.state = nil, "gone"
  if job then
    self.jobs:finish(job, lost(job, message.why or "it ended"))
  elseif state == "starting" then
    self.ctx:warn("a thread could not start: " .. tostring(message.why):match "^[^\n]*")
  end
end

-- Takes what the threads say; waits for the first of them. Those that are silent for too long are given up.
local function listen(self, limit)
  local fds, by_fd, patience = {}, {}, limit
  for _, worker in ipairs(self.workers) do
    if worker.state ~= "gone" and worker.state ~= "lost" then
      fds[#fds + 1] = worker.channel.fd
      by_fd[worker.channel.fd] = worker
      if worker.state ~= "idle" then patience = math.min(patience, worker.heard + limit - core.monotonic()) end
    end
  end
  local ready = core.readable(fds, math.max(0, patience))
  for _, fd in ipairs(ready) do
    local worker = by_fd[fd]
    worker.heard = core.monotonic()
    worker.channel:read()
    local message = worker.channel:next()
    while message do
      HEARD[message.what](self, worker, message)
      message = worker.channel:next()
    end
  end
  for _, worker in pairs(by_fd) do
    if worker.state ~= "idle" and worker.state ~= "gone" and core.monotonic() - worker.heard >= limit then
      HEARD.gone(self, worker, { why = "it did not answer any more" })
      worker.state = "lost"
    end
  end
end

-- Gives users to idle threads. True when there is nothing left to give, now or later.
local function hand_out(self)
  for _, worker in ipairs(self.workers) do
    if worker.state == "idle" then
      local job, waiting = self.jobs:next()
      if not job then return not waiting end
      worker.job, worker.state, worker.heard = job, "busy", core.monotonic() + (job.wait or 0)
      worker.channel:send { what = "user", user = job.user, epoch = job.epoch, wait = job.wait, finish_only = job.finish_only }
    end
  end
  return false
end

local function any(self, states)
  for _, worker in ipairs(self.workers) do
    if states[worker.state] then return true end
  end
  return false
end

local WORKING = { starting = true, busy = true }
local THERE = { starting = true, busy = true, idle = true }

-- True when all was done; false when no thread is left to do the rest.
local function work(self)
  while true do
    if hand_out(self) then return true end
    if not any(self, WORKING) then return false end
    listen(self, self.silence)
  end
end

-- Lets the threads end, those in hand after their user, and joins them.
local function finish(self)
  for _, worker in ipairs(self.workers) do
    if THERE[worker.state] then worker.channel:send { what = "end" } end
    if worker.state == "idle" then worker.state, worker.heard = "ending", core.monotonic() end
  end
  while any(self, WORKING) do listen(self, self.silence) end
  for _, worker in ipairs(self.workers) do
    if worker.state == "idle" then worker.state, worker.heard = "ending", core.monotonic() end
  end
  while any(self, { ending = true }) do listen(self, LAST_WORDS) end
  for _, worker in ipairs(self.workers) do
    if worker.state == "lost" then
      given_up[#given_up + 1] = worker
    else
      worker.thread:join()
      worker.channel:close()
      require("luv").fs_close(worker.theirs)
    end
  end
  -- Since luv 1.45 the loop keeps a handle of each thread until its next turn, and a Lua state that closes before
  -- crashes. A loop that is running, with us in one of its callbacks, has that turn before it and must not be entered.
  -- Nor may the threads be collected before it.
  local uv = require "luv"
  if not uv.loop_mode() then return uv.run "nowait" end
  local timer = uv.new_timer()
  lingering[timer] = self.workers
  timer:start(1000, 0, function()
    lingering[timer] = nil
    timer:close()
  end)
  timer:unref()
end

--- Works on the users of a batch in up to opts.parallel threads; without them one by one, and says why.
---@param ctx table
---@param jobs table of crdbcloud.run.batch
---@param opts { parallel: integer }
---@return table[] rows
function M.run(ctx, jobs, opts)
  local function one_by_one() return jobs:run(function(job) return rotate_user.row(ctx, job) end) end
  local uv, why = threads()
  why = why or setups.refuses(ctx)
  if why then
    ctx:warn(("parallel = %d: %s; the users were done one by one"):format(opts.parallel, why))
    return one_by_one()
  end
  local count = useful(ctx, jobs.total, opts.parallel)
  if count == 1 then return one_by_one() end
  local crew = start(ctx, jobs, count, uv)
  ctx.index = nil -- several users are in hand
  local ok, all = pcall(work, crew)
  -- Also when somebody has interrupted us by an error: nothing goes on behind the caller's back.
  local ended, problem = pcall(finish, crew)
  if not ok then error(all, 0) end
  if not ended then error(problem, 0) end
  if not all then
    ctx:warn "the rest was done one by one, as no thread was left"
    return one_by_one()
  end
  return jobs.rows
end

return M
