--- One simulated world: clock, store, cluster, sinks, and how badly they behave,
-- all drawn from one seed. Every touch of it is a point at which the scheduler
-- may kill, freeze or overtake the process.

local check = require "spec.sim.check"
local errors = require "crdbcloud.errors"
local random = require "spec.sim.random"
local record = require "crdbcloud.record"
local scheduler = require "spec.sim.scheduler"
local service = require "spec.sim.service"
local store = require "spec.sim.store"

local M = {}

local World = {}
World.__index = World
M.World = World

M.ID = "b0f0c7a2-0000-4000-8000-00000000cafe"
M.USER = "app_1"

local EPOCH = 1700000000 -- wall clock at the start

local FATES = {
  { "lost", 3, "late", 3, "dropped", 2, "twice", 1, "lost and twice", 1, "refused", 2 },
  { "late", 1 },
  { "lost", 1 },
  { "lost", 1, "late", 1, "dropped", 1 },
  { "refused", 2, "lost", 1 },
}

--- Draws how this world behaves.
---@param r table random
---@return table
function M.profile(r)
  local p = {
    scenario = r:weighted { "managed", 6, "create", 3, "unmanaged", 1 },
    shared = r:chance(0.8),
    rotators = r:pick { 2, 2, 2, 3 },
    lease = r:pick { 30, 60, 120 },
    timeout = r:pick { 5, 10, 30 },
    deadline = r:pick { 15, 60, 120 },
    max_attempts = r:pick { 2, 4 },
    crash = r:pick { 0, 0.005, 0.01, 0.03 },
    freeze = r:pick { 0, 0.002, 0.01, 0.03 },
    longest_freeze = r:pick { 20, 200, 600 },
    freeze_kind = r:pick { "stop", "stop", "suspend", "vm" },
    send_faults = r:pick { 0, 0.2, 0.5, 0.8 },
    fates = r:pick(FATES),
    store_faults = r:pick { 0, 0, 0.01, 0.05 },
    unreachable = r:pick { 0, 0, 0.1, 0.5, 1 },
    must_differ = r:chance(0.5),
    refuse = r:pick { 0, 0, 0, 0.3 },
    regrants = r:pick { 0, 0, 1, 2 },
    sql_faults = r:pick { 0, 0, 0.05, 0.3 },
    sink_faults = r:pick { 0, 0, 0.2 },
    verify = r:pick { "auto", "auto", "require", false },
    keep_previous = r:pick { 0, 60, 86400 },
    skew = r:pick { 0, 2 },
    spread = r:pick { 2, 30, 200 }, -- seconds over which the rotators start
    jobs = r:pick { 2, 4, 6 },
    emergency = r:chance(0.15),
    jumps = 0,
    outsider = r:chance(0.1), -- somebody else changes the password, or makes a user of that name
  }
  if p.emergency and r:chance(0.5) then
    local from = r:between(0, 100)
    p.outage = { from, from + r:between(10, 300) }
  end
  return p
end

---@param seed integer
---@param options? { trace: boolean, profile: table|nil fields that replace drawn ones }
function M.new(seed, options)
  options = options or {}
  local r = random.new(seed)
  local self = setmetatable({
    seed = seed, id = M.ID, random = r, labels = {}, label_count = 0, refused = {}, sinks = {}, processes = {},
    lines = options.trace and {} or nil, machines = {},
  }, World)
  self.profile = M.profile(r)
  for k, v in pairs(options.profile or {}) do self.profile[k] = v end
  -- Where clocks stand still, no lease keeps a late REVOKE from hiding that the user was an admin.
  self.regrants = self.profile.freeze_kind ~= "vm" and self.profile.regrants or 0
  self.scheduler = scheduler.new(r)
  self.scheduler.on_freeze = function(process, seconds) self:freeze(process, seconds) end
  self.scheduler.on_pause = function(process)
    if self.profile.jumps > 0 and self:chance(self.profile.jumps) then self:jump(process) end
  end
  self.check = check.new(self)
  self.service = service.new(self)
  self.store = store.new(self, { shared = self.profile.shared, lease = self.profile.lease })
  return self
end

--- A line of the trace.
---@param process table|nil
function World:say(process, format, ...)
  if not self.lines then return end
  self.lines[#self.lines + 1] = ("%9.3f  %-9s %s"):format(self.scheduler.now, process and process.name or "", format:format(...))
end

--- A short name for a password, the same for the same bytes.
function World:label(password)
  local bytes = password:reveal()
  local label = self.labels[bytes]
  if not label then
    self.label_count = self.label_count + 1
    label = "p" .. self.label_count
    self.labels[bytes] = label
    self.refused[label] = self:chance(self.profile.refuse) or nil
  end
  return label
end

--- True with probability p while the world is ill.
function World:chance(p)
  return not self.healthy and self.random:chance(p)
end

--- Lets time pass for the running process.
---@param seconds? number drawn when not given
function World:pause(seconds)
  if not seconds then
    local r = self.random:number()
    seconds = r < 0.7 and r * 0.1 or r < 0.96 and r or self:chance(0.5) and r * 12 or r * 2
  end
  self.scheduler:pause(seconds)
end

function World:store_fails(kept, what)
  if self.store_script and self.store_script(what) then return true end
  return self:chance(self.profile.store_faults) or self:outage(kept)
end

--- What happens to a change of a store: nil (nothing), "down", "lost", "late", or, from a
--- script, "forgotten" (said to be kept, and is not).
function World:store_fault(kept, what, rec)
  local scripted = self.store_script and self.store_script(what, rec)
  if scripted then return scripted end
  if self:outage(kept) then return "down" end
  if self:chance(self.profile.store_faults) then return self.random:pick { "down", "lost", "late" } end
end

function World:outage(kept)
  local o = self.profile.outage
  return o and not kept.spool and not self.healthy and self.scheduler.now >= o[1] and self.scheduler.now < o[2]
end

--- Seconds of a process's clock that only goes forward, without a touch.
function World:boot_now(process)
  return self.scheduler.now + process.boot
end

--- Its wall clock, likewise.
function World:wall_now(process)
  return EPOCH + self.scheduler.now + process.skew + process.machine.jump
end

--- Puts a process on a machine: that of its name, as a process that takes another's place runs where that ran; all on one
--- where the store is a file.
---@param process table
---@param drawn { boot: number, mono: number, skew: number } clocks of the machine, if it is new
function World:place(process, drawn)
  local name = not self.profile.shared and "one" or process.name:sub(1, 1)
  if self.healthy then self:set_right() end
  -- A virtual machine that was stopped has another clock afterwards, for each of its processes here.
  if self.profile.freeze_kind == "vm" then name = process.name .. #self.processes end
  local machine = self.machines[name]
  if not machine then
    machine = { id = name, boot = drawn.boot, mono = drawn.mono, skew = drawn.skew, jump = 0 }
    self.machines[name] = machine
  end
  process.machine, process.boot, process.mono, process.skew = machine, machine.boot, machine.mono, machine.skew
end

local HOUR, YEAR = 3600, 400 * 86400

-- The wall clock of a machine is set, back or ahead, or to the right time again.
function World:jump(process)
  process.machine.jump = self.random:pick { -HOUR, HOUR, -YEAR, YEAR, 0 }
  self:say(process, "CLOCK of machine %s is %d s off", process.machine.id, process.machine.jump)
end

--- All clocks are right again.
function World:set_right()
  for _, machine in pairs(self.machines) do machine.jump = 0 end
end

--- When a send was really made, and until when it may be sent, as everybody should see it.
function World:deadline_of(send)
  local machine = self.machines[send.boot_id or ""]
  if not machine or self.profile.freeze_kind == "vm" then return send.deadline end
  return EPOCH + send.boot - machine.boot + send.deadline - send.at
end

function World:boottime(process)
  self:pause(0.0001)
  return self:boot_now(process)
end

-- A stopped process: its clocks go on. A suspended machine: CLOCK_MONOTONIC does
-- not. A virtual machine that its host has stopped: only the wall clock is right.
function World:freeze(process, seconds)
  self:say(process, "FROZEN for %.1f s (%s)", seconds, self.profile.freeze_kind)
  if self.profile.freeze_kind ~= "stop" then process.mono = process.mono - seconds end
  if self.profile.freeze_kind == "vm" then process.boot = process.boot - seconds end
end

--- The clock of a process, for ctx.clock.
function World:clock(process)
  return {
    time = function()
      self:pause(0.0001)
      return self:wall_now(process)
    end,
    boottime = function() return self:boottime(process) end,
    boot_id = function() return process.machine.id end,
    monotonic = function()
      self:pause(0.0001)
      return self.scheduler.now + process.mono
    end,
    sleep = function(seconds)
      self:pause(seconds)
      return true
    end,
  }
end

--- Wall-clock seconds as everybody should see them.
function World:wall()
  return EPOCH + self.scheduler.now
end

--- True while the record of a request's user says that it is being created.
function World:being_created(request)
  local rec = self:store_of(request.process):peek(record.key(self.id, request.user))
  return rec ~= nil and record.is_creating(rec)
end

--- A connection for the simulated privileges.
function World:sql(process)
  return { world = self, process = process, dialect = function() return "cockroachdb" end }
end

-- One call by SQL: carried out or not, and then perhaps not answered.
local function by_sql(sql, what, fn)
  local world = sql.world
  local function fails()
    world:say(sql.process, "SQL %s fails", what)
    return nil, errors.new { kind = "sql", message = what .. ": connection lost" }
  end
  -- No pause before it: no fence stops a statement of a process that was stopped in the middle.
  if world:chance(world.profile.sql_faults) then
    world:pause()
    return fails()
  end
  local value = fn(world.service)
  world:pause()
  if world:chance(world.profile.sql_faults) then return fails() end
  world:say(sql.process, "SQL %s: %s", what, type(value) == "table" and value.admin ~= nil and (value.admin and "admin" or "no admin") or "done")
  return value
end

--- Stand-ins for crdbcloud.privileges.
M.privileges = {
  demote = function(sql, name)
    return by_sql(sql, "demote", function(api)
      if api.users[name] then api.users[name].admin = false end
      return { revoked = {} }
    end)
  end,
  apply = function(sql, _, given)
    return by_sql(sql, "grant", function(api)
      if api.users[given.user] then api.users[given.user].granted = true end
      return true
    end)
  end,
  inspect = function(sql, name)
    return by_sql(sql, "inspect", function(api)
      local user = api.users[name]
      local admin = user ~= nil and user.admin
      return { exists = user ~= nil, admin = admin, limited = not admin, granted = user ~= nil and user.granted }
    end)
  end,
  why_no_login = function(sql) return by_sql(sql, "why no login", function() return false end) end,
  cancel_statement = function() return "CANCEL" end,
  cancel_sessions = function(sql) return by_sql(sql, "cancel sessions", function() return 0 end) end,
  refused = function() end,
}

--- Stands in for crdbcloud.privileges.standing.look: one look at all users, on a server that gives roles no number.
function M.look(sql)
  local users, err = by_sql(sql, "look", function(api)
    local found = {}
    for name, user in pairs(api.users) do found[name] = { admin = user.admin } end
    return { found = found }
  end)
  if not users then return nil, err end
  return function(name)
    local user = users.found[name]
    local admin = user ~= nil and user.admin == true
    return { user = name, exists = user ~= nil, admin = admin, admin_direct = admin, limited = not admin, powers = {}, admin_via = {} }
  end
end

--- The store that a process keeps on its own host while the shared one is down.
function World:spool_of(process)
  local host = process.name:sub(1, 1)
  self.spools = self.spools or {}
  if not self.spools[host] then
    self.spools[host] = store.new(self, { shared = false, lease = 0 })
    self.spools[host].spool, self.spools[host].name = true, " (spool " .. host .. ")"
  end
  return self.spools[host]
end

--- A store and the spools beside it.
function World:stores_beside(backing)
  local list = {}
  for _, spool in pairs(self.spools or {}) do list[#list + 1] = spool end
  if backing.spool then list[#list + 1] = self.store end
  return list
end

--- The store of a process, and all stores there are.
function World:store_of() return self.store end

function World:all_stores() return { self.store } end

--- The sinks of a user: one that knows the epoch it holds, and one that cannot.
function World:open_sinks(process, user)
  local list = {}
  for i, kind in ipairs { "epoch", "plain" } do
    local name = ("%s:%s"):format(kind, user)
    local held = self.sinks[name] or { kind = kind }
    self.sinks[name] = held
    list[i] = {
      name = name, target = name,
      check = function() return true end,
      publish = function(_, credential)
        -- No pause before the write: a plain file takes whatever a process that was stopped in
        -- the middle of it writes afterwards.
        if self:chance(self.profile.sink_faults) then
          self:pause()
          self:say(process, "sink %s fails", name)
          return nil, errors.new { kind = "sink", message = name .. ": no space left" }
        end
        if kind == "epoch" and held.epoch and held.epoch > credential.epoch then return true end
        held.epoch, held.label = credential.epoch, self:label(credential.password)
        self:say(process, "sink %s holds %s of epoch %d", name, held.label, held.epoch)
        self.check:published(user, held, credential, process)
        self:pause()
        return true
      end,
    }
  end
  return list
end

return M
