--- A quiet world for table-driven specs: what goes wrong is written in a script,
--- jobs are run one after the other or beside one another, in virtual time.

local rotators = require "spec.sim.rotators"
local record = require "crdbcloud.record"
local world = require "spec.sim.world"

local M = {}

local CALM = {
  scenario = "managed", shared = true, rotators = 0, lease = 60, timeout = 10, deadline = 60, max_attempts = 3, crash = 0,
  freeze = 0, longest_freeze = 0, freeze_kind = "stop", send_faults = 0, store_faults = 0, unreachable = 0,
  must_differ = false, refuse = 0, regrants = 0, sql_faults = 0, sink_faults = 0, verify = "auto", keep_previous = 86400,
  skew = 0, spread = 0, jobs = 1, emergency = false, outsider = false, outage = false,
}

M.USER = world.USER

local Scene = {}
Scene.__index = Scene

--- Opens a world.
---@param fields? table of the world's profile; `script`: how the first requests go
function M.open(fields)
  local profile = {}
  for k, v in pairs(CALM) do profile[k] = v end
  for k, v in pairs(fields or {}) do profile[k] = v end
  local self = setmetatable({ hosts = {} }, Scene)
  self.restore = rotators.install()
  self.world = world.new(1, { profile = profile, trace = true })
  self.world.regrants = profile.regrants
  self.world.script = profile.script
  rotators.use(self.world)
  rotators.prepare(self.world)
  return self
end

--- A process on a host of its own; the same name is the same host.
function Scene:host(name)
  if not self.hosts[name] then
    self.hosts[name] = { name = name, crash = 0, freeze = 0, longest = 0 }
    self.world:place(self.hosts[name], { boot = 0, mono = 0, skew = 0 })
  end
  return self.hosts[name]
end

--- Starts a job at a time from now; it ends by itself. The answer appears in the table.
---@return table job { report, err, rows, ended }
function Scene:begin(seconds, name, opts, host)
  local job = {}
  local process = self:host(host or "A")
  self.world.scheduler:after(seconds, function()
    self.world.scheduler:start(process, function()
      job.rows, job.err, job.report = rotators.job(self.world, process, name, opts)
      job.ended = self.world.scheduler.now
    end, function() end)
  end)
  return job
end

--- Runs whatever was begun to its end.
function Scene:run()
  self.world.scheduler:run()
  return self
end

--- Runs one job to its end, and everything that is under way.
---@return table|nil report
---@return crdbcloud.error|nil err
---@return table|nil row of the user
function Scene:job(name, opts, host)
  local job = self:begin(0, name, opts, host)
  self:run()
  return job.report, job.err, job.rows[1]
end

--- Lets time pass.
function Scene:wait(seconds)
  self.world.scheduler:after(seconds, function() end)
  return self:run()
end

--- Does something at a time from now.
function Scene:at(seconds, fn)
  self.world.scheduler:after(seconds, fn)
end

--- Stops a host for so many seconds when it has next written a record in a state.
function Scene:freeze(host, state, seconds)
  local process, written = self:host(host), self.world.check.written
  self.world.check.written = function(check, key, old, new, by, backing)
    written(check, key, old, new, by, backing)
    if by == process and new and new.state == state then
      process.stop, check.written = seconds, nil
    end
  end
end

--- A further user whose password the store knows.
function Scene:add(user)
  rotators.add(self.world, user)
end

function Scene:rec(user)
  return (self.world.store:peek(record.key(self.world.id, user or M.USER)))
end

--- The short name of the live password, and of one in the record.
function Scene:live(user)
  return self.world.service.users[user or M.USER].label
end

function Scene:label(holder)
  return holder and self.world:label(holder.password)
end

--- Short names of the passwords that were sent, in order.
function Scene:sent(user)
  local list = {}
  for _, request in ipairs(self.world.service.requests) do
    if request.user == (user or M.USER) then list[#list + 1] = request.label end
  end
  return list
end

--- How many different passwords were sent for a user.
function Scene:distinct(user)
  local seen, n = {}, 0
  for _, label in ipairs(self:sent(user)) do
    if not seen[label] then seen[label], n = true, n + 1 end
  end
  return n
end

--- What broke a rule, as text; "" when nothing did.
function Scene:problems()
  local list = {}
  for i, problem in ipairs(self.world.check.problems) do list[i] = problem.id .. ": " .. problem.text end
  return table.concat(list, "\n")
end

--- The record is idle and its password live; nothing broke a rule.
function Scene:assert_settled(user)
  local rec = self:rec(user)
  local problems = self:problems()
  assert(problems == "", problems .. "\n" .. self:trace())
  assert(rec and rec.state == "idle", "the record is " .. (rec and rec.state or "gone") .. "\n" .. self:trace())
  assert(self:label(rec.current) == self:live(user), "another password is live\n" .. self:trace())
  return rec
end

--- What happened, for a message.
function Scene:trace()
  return table.concat(self.world.lines, "\n")
end

function Scene:close()
  self.restore()
end

return M
