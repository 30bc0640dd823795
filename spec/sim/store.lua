--- A store for the simulation: compare-and-swap, leases by a clock of its own (or
--- locks that end with their process), and every way in which a store fails.

local cjson = require "cjson"
local errors = require "crdbcloud.errors"
local record = require "crdbcloud.record"
local store = require "crdbcloud.store"

local M = {}

local Backing = {}
Backing.__index = Backing
M.Backing = Backing

--- What all hosts see.
---@param world table
---@param options { shared: boolean, lease: number }
function M.new(world, options)
  return setmetatable({
    world = world, shared = options.shared, lease = options.lease, rows = {}, holders = {}, writes = 0,
  }, Backing)
end

-- What a real store would give back: made of text, and the passwords beside it. That
-- takes most of a run's time, so that only some worlds do it.
local function pack(world, rec)
  if world.seed % 4 > 0 then return { rec = record.copy(rec) } end
  local meta, secrets = record.split(rec)
  local kept, problem = record.join(cjson.decode(cjson.encode(meta)), secrets)
  if not kept then error("a record that cannot be read was written: " .. problem, 0) end
  return { rec = kept }
end

--- The record as it is now, to look at only; for checks, without a touch.
function Backing:peek(key)
  local row = self.rows[key]
  if row then return row.rec, row.version end
end

function Backing:commit(key, packed, version, process)
  local row = self.rows[key]
  if (row and row.version) ~= version then return nil, store.conflict(key) end
  local old = self:peek(key)
  packed.version = self:next_version(version)
  self.rows[key] = packed
  self.world.check:written(key, old, self:peek(key), process, self)
  return packed.version
end

--- Never the same twice, also after a removal.
function Backing:next_version()
  self.writes = self.writes + 1
  return self.writes
end

--- Puts a record there before anything runs.
function Backing:fill(key, rec)
  assert(self:commit(key, pack(self.world, rec), nil, { name = "setup" }))
end

function Backing:delete(key, version, process)
  local row = self.rows[key]
  if (row and row.version) ~= version then return nil, store.conflict(key) end
  local old = self:peek(key)
  self.rows[key] = nil
  self.world.check:written(key, old, nil, process, self)
  return true
end

--- Gives up what a killed process held, where the kernel does so.
function Backing:forget(process)
  if self.shared then return end
  for key, holder in pairs(self.holders) do
    if holder.process == process then self.holders[key] = nil end
  end
end

--- True when the process may send for the key until the time given.
function Backing:holds(key, process, until_time)
  local holder = self.holders[key]
  return holder ~= nil and holder.process == process and (not self.shared or holder.until_time >= until_time)
end

local Handle = {}
Handle.__index = Handle
M.Handle = Handle

--- The store object of one process.
function Backing:open(process)
  return setmetatable({
    backing = self, world = self.world, process = process, shared = self.shared or nil, url = "simulated:",
  }, Handle)
end

local function down(what)
  return store.failed("the store could not be reached (" .. what .. ")")
end

-- One request to the store: on its way, carried out, answered.
function Handle:ask(what, fn)
  local world = self.world
  world:pause()
  if world:store_fails(self.backing, what) then
    world:pause()
    world:say(self.process, "store %s fails", what)
    return nil, down(what)
  end
  local a, b = fn()
  world:pause()
  return a, b
end

function Handle:get(key)
  return self:ask("get", function()
    local rec, version = self.backing:peek(key)
    return rec and record.copy(rec), version
  end)
end

-- A change whose answer is lost: read again, as a store must; what is not there
-- may still arrive, then the compare-and-swap decides.
function Handle:change(what, key, fn, rec)
  local world = self.world
  local fault = world:store_fault(self.backing, what, rec)
  world:pause()
  if fault == "late" then
    world.scheduler:after(world.random:between(0.1, 40), function() fn() end)
  end
  if fault == "down" or fault == "late" then
    world:pause()
    world:say(self.process, "store %s fails%s", what, fault == "late" and ", but comes late" or "")
    return nil, down(what)
  end
  if fault == "forgotten" then
    world:pause()
    return self.backing:next_version()
  end
  local value, err = fn()
  world:pause()
  if fault == "lost" and value then
    local row = self.backing.rows[key]
    if world.random:chance(0.5) or (what == "put" and (not row or row.version ~= value)) then
      world:say(self.process, "store %s: answer lost", what)
      return nil, down(what .. ", answer lost")
    end
  end
  if err then world:say(self.process, "store %s: %s", what, err.reason) end
  return value, err
end

function Handle:put(key, rec, version)
  local packed = pack(self.world, rec)
  return self:change("put", key, function() return self.backing:commit(key, packed, version, self.process) end, rec)
end

function Handle:remove(key, version)
  return self:change("remove", key, function() return self.backing:delete(key, version, self.process) end)
end

function Handle:list(prefix)
  return self:ask("list", function()
    local keys = {}
    for key in pairs(self.backing.rows) do
      if key:sub(1, #prefix) == prefix then keys[#keys + 1] = key end
    end
    table.sort(keys)
    return keys
  end)
end

--- A lease, or in a store of one host a lock.
function Handle:lock(key, note)
  local backing, world, process = self.backing, self.world, self.process
  local mine
  local safe_until -- by the holder's own clock, from before the statement
  local function take(seconds)
    local before = world:boottime(process)
    local at
    local ok, err = self:ask("lock", function()
      at = world:wall()
      local holder = backing.holders[key]
      local free = not holder or holder == mine or backing.shared and holder.until_time <= world.scheduler.now
      if not free or (mine and holder ~= mine) then return false end
      mine = mine or { process = process, note = note }
      mine.until_time = world.scheduler.now + seconds
      backing.holders[key] = mine
      return true
    end)
    if ok then
      safe_until = before + seconds
      if backing.shared and not backing.clockless then mine.time = { at = at, before = before, after = world:boottime(process) } end
    end
    return ok, err
  end
  local ok, err = take(backing.lease)
  if err then return nil, err end
  if not ok then return nil, errors.new { kind = "busy", message = key .. " is held by another run" } end
  local lock = { time = mine.time }
  function lock.close()
    if backing.holders[key] ~= mine then return end
    world:pause()
    if backing.holders[key] == mine then backing.holders[key] = nil end
  end
  if backing.shared then
    function lock.ensure(a, b)
      local seconds = b or a
      for _ = 1, 3 do
        if world:boottime(process) + seconds <= safe_until then return true end
        local renewed, why = take(math.max(backing.lease, seconds + 10))
        if why then return nil, why end
        if not renewed then break end
      end
      return nil, errors.new { kind = "busy", reason = "lease", message = key .. ": the lease was lost" }
    end
  end
  return lock
end

function Handle.warnings() return {} end

function Handle.close() end

return M
