--- Leases in an exec: store: a key beside the record, which has no clock but ours.
--
-- A lease says who holds it and for how many seconds. Its holder writes it anew
-- before that time is over. Whoever wants it looks until it has not been written
-- for a whole lease on his own clock: then its holder, who counts from before he
-- wrote it, has given it up. So no two clocks need to agree.

local cjson = require("cjson.safe").new()
local core = require "crdbcloud.core"
local store = require "crdbcloud.store"

local M = {}

--- Where they are; no record has such a key.
M.PREFIX = "leases/"

local LONGEST = 3600 -- seconds; no lease that is read counts for more
local FIRST_LOOK, LAST_LOOK = 0.1, 2 -- seconds between two looks

---@class crdbcloud.store.exec_leases
---@field call crdbcloud.store.exec_call
---@field seconds number a lease outlives its dead holder by so much
local Leases = {}
Leases.__index = Leases

function M.new(call, seconds)
  return setmetatable({ call = call, seconds = seconds, held = {}, seen = {} }, Leases)
end

local function encoded(lease)
  return core.secret(assert(cjson.encode(lease))):encode "base64"
end

-- What stands there; a lease that cannot be read is one all the same.
local function decoded(value, seconds)
  local bytes = value:decode "base64"
  local lease = bytes and cjson.decode(bytes:reveal())
  if type(lease) ~= "table" then lease = {} end
  local length = type(lease.seconds) == "number" and lease.seconds or seconds
  return { run = type(lease.run) == "string" and lease.run or "unknown", seconds = math.max(0, math.min(length, LONGEST)) }
end

-- Looks until the lease is free or given up. Returns the version to replace (nil: none is there).
local function wait_for_turn(self, key)
  local pause, first = FIRST_LOOK, nil
  while true do
    local value, version = self.call:get(M.PREFIX .. key)
    if not value then
      if version then return false, version end
      self.seen[key] = nil
      return true
    end
    local now, lease = core.boottime(), decoded(value, self.seconds)
    local seen = self.seen[key]
    if not seen or seen.version ~= version then
      seen = { version = version, at = now }
      self.seen[key] = seen
    end
    local left = seen.at + lease.seconds - now
    if left <= 0 then return true, version end
    -- Somebody has written it while we looked: he is alive.
    if first and first ~= version then return false, store.busy(key, lease.run, { retry_after = left }) end
    first = version
    if not core.sleep(math.min(pause, left)) then return false, store.busy(key, lease.run, { retry_after = left }) end
    pause = math.min(pause * 2, LAST_LOOK)
  end
end

--- Takes the lease of a key; waits for the end of one whose holder is silent.
---@param key string
---@param note string who takes it, for the error of others
---@return table|nil lock
---@return crdbcloud.error|nil err kind "busy" when another run holds it
function Leases:take(key, note)
  if self.held[key] then return nil, store.busy(key, self.held[key]) end
  local free, version = wait_for_turn(self, key)
  if not free then return nil, version end
  local lease = { run = note, holder = core.random_hex(16), n = 1, seconds = self.seconds }
  local ends = core.boottime() + lease.seconds
  local err
  version, err = self.call:put(M.PREFIX .. key, encoded(lease), version)
  if not version then return nil, err.reason == "version" and store.busy(key) or err end
  self.held[key] = note
  local lock, lost = {}, nil

  local function lose(why)
    self.held[key], lost = nil, store.lease_lost(key, why)
    return nil, lost
  end

  --- Makes sure that the lease outlives the next seconds.
  function lock.ensure(seconds)
    if not self.held[key] then return nil, lost or store.lease_lost(key) end
    local before = core.boottime()
    if ends - before >= seconds then return true end
    lease.n, lease.seconds = lease.n + 1, math.max(self.seconds, seconds + self.call.timeout)
    local new, why = self.call:put(M.PREFIX .. key, encoded(lease), version)
    if not new then
      if why.reason == "version" then return lose() end
      why.outcome = "not_sent"
      return nil, why
    end
    version, ends = new, before + lease.seconds
    if ends - core.boottime() < seconds then return nil, store.lease_lost(key, "renewing it took too long") end
    return true
  end

  -- Whoever cannot say that it is done leaves a lease that ends by itself.
  function lock.close()
    if not self.held[key] then return end
    self.held[key] = nil
    self.call:run { op = "remove", key = M.PREFIX .. key, version = version }
  end
  return lock
end

return M
