--- Virtual time and processes. A process is a coroutine that runs until it
-- touches the world (`pause`); at each such point it may be killed or frozen.
-- Whatever comes next is decided by the times of the queue, so one seed always
-- gives the same interleaving.

local M = {}

local MOST_EVENTS = 50000

local Scheduler = {}
Scheduler.__index = Scheduler

---@param random table of spec.sim.random
function M.new(random)
  return setmetatable({ random = random, now = 0, queue = {}, serial = 0, events = 0 }, Scheduler)
end

--- Calls fn after so many seconds.
function Scheduler:after(seconds, fn)
  self.serial = self.serial + 1
  self.queue[#self.queue + 1] = { time = self.now + seconds, serial = self.serial, fn = fn }
end

--- Starts a process.
---@param process { name: string, crash: number, freeze: number, longest: number, stop: number|nil } crash and freeze: the
---  chance at each pause; longest: of a freeze, in seconds; stop: the next pause is a freeze of so many seconds
---@param body fun()
---@param ended fun(crashed: boolean)
function Scheduler:start(process, body, ended)
  process.thread = coroutine.create(body)
  process.ended = ended
  self:resume(process)
end

function Scheduler:resume(process)
  self.running = process
  local ok, seconds = coroutine.resume(process.thread)
  self.running = nil
  if not ok then error(("%s: %s"):format(process.name, debug.traceback(process.thread, tostring(seconds))), 0) end
  if coroutine.status(process.thread) == "dead" then
    process.dead = true
    return process.ended(false)
  end
  self.on_pause(process)
  if self.random:chance(process.crash) then
    process.dead = true
    return self:after(seconds * self.random:number(), function() process.ended(true) end)
  end
  if process.stop or self.random:chance(process.freeze) then
    local frozen = process.stop or self.random:between(1, process.longest)
    process.stop = nil
    self.on_freeze(process, frozen)
    seconds = seconds + frozen
  end
  self:after(seconds, function() self:resume(process) end)
end

--- Lets time pass for the running process.
function Scheduler.pause(_, seconds)
  coroutine.yield(seconds)
end

--- Runs until nothing is left to do.
function Scheduler:run()
  local queue = self.queue
  while #queue > 0 do
    local best = 1
    for i = 2, #queue do
      local a, b = queue[i], queue[best]
      if a.time < b.time or a.time == b.time and a.serial < b.serial then best = i end
    end
    local event = table.remove(queue, best)
    self.now = event.time
    self.events = self.events + 1
    if self.events > MOST_EVENTS then error("the run does not end", 0) end
    event.fn()
  end
end

return M
