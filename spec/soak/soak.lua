--- Two rotators on one SQL store and the sandbox, killed and frozen at random, beside a service that answers badly at
--- random. In the end each stored password must log in, and for one epoch one password may have been sent.

local cjson = require "cjson"
local core = require "crdbcloud.core"
local probe = require "crdbcloud.sql.probe"
local record = require "crdbcloud.record"
local rotator = require "spec.support.rotator"
local temp = require "spec.support.temp"
local uv = require "luv"

local M = {}

local PUT = "update_sql_user_password"
local LUAS = { { "lua5.4", "5.4" }, { "luajit", "5.1" } } -- one for each rotator

local FAULTS = {
  { what = "drop_after" }, { what = "drop_before" }, { what = "half_body" }, { what = "html_502" },
  { what = "error_after", status = 500 }, { what = "error_before", status = 503 }, { what = "rate_limited", form = "seconds" },
  { what = "late_apply", seconds = 2 }, { what = "delay", seconds = 1 },
}

local Soak = {}
Soak.__index = Soak

local function environment(abi)
  local env = {}
  for _, name in ipairs { "PATH", "HOME", "TMPDIR" } do
    if os.getenv(name) then env[#env + 1] = name .. "=" .. os.getenv(name) end
  end
  env[#env + 1] = "LUA_PATH=./lua/?.lua;./lua/?/init.lua;./?.lua;;"
  env[#env + 1] = ("LUA_CPATH=./build/%s/?.so;;"):format(abi)
  return env
end

-- Starts one of the two rotators; what it prints is appended to its file.
function Soak:start(slot)
  local lua, abi = LUAS[slot][1], LUAS[slot][2]
  self.count.started = self.count.started + 1
  self.job.seed = self.random(2 ^ 30)
  local file = ("%s/job-%d"):format(self.dir, slot)
  temp.write(file, cjson.encode(self.job))
  local out = assert(uv.fs_open(file .. ".out", "a", 384))
  local handle, pid
  -- Stopped or not, it goes when this process does.
  handle, pid = uv.spawn("setpriv", {
    args = { "--pdeathsig", "KILL", lua, "spec/support/rotator.lua", file }, stdio = { nil, out, out }, env = environment(abi),
  }, function(_, signal)
    handle:close()
    self.running[slot] = nil
    -- None ends by itself: it was killed, or something is wrong with it.
    if signal ~= 9 then self.count.died = self.count.died + 1 end
  end)
  assert(handle, pid)
  uv.fs_close(out)
  self.running[slot] = { handle = handle, pid = pid }
end

function Soak:signal(slot, name)
  local job = self.running[slot]
  if not job then return false end
  uv.process_kill(job.handle, name)
  return true
end

function Soak:until_gone(slot)
  while self.running[slot] do uv.run "once" end
end

-- Lets time pass, and notices rotators that end meanwhile.
local function pass(seconds)
  local timer = uv.new_timer()
  local over = false
  -- It repeats, because a loop that finds its only timer due goes on to wait for something else.
  timer:start(math.floor(seconds * 1000), 50, function() over = true end)
  while not over do uv.run "once" end
  timer:close()
end

-- Stops a rotator for some seconds.
function Soak:freeze(slot, seconds)
  local job = self.running[slot]
  if not job or job.frozen then return end
  self.count.frozen = self.count.frozen + 1
  job.frozen = true
  uv.process_kill(job.handle, "sigstop")
  local timer = uv.new_timer()
  timer:start(math.floor(seconds * 1000), 0, function()
    timer:close()
    job.frozen = false
    if self.running[slot] == job then uv.process_kill(job.handle, "sigcont") end
  end)
end

-- One thing that happens to a rotator or to the service.
function Soak:disturb()
  local slot, kind = self.random(2), self.random(10)
  -- A frozen one is killed now and then; mostly it shall wake up.
  if kind <= 4 and not (self.running[slot].frozen and self.random(5) > 1) then
    self.count.killed = self.count.killed + 1
    self:signal(slot, "sigkill")
    self:until_gone(slot)
    self:start(slot)
  elseif kind > 4 and kind <= 7 then
    -- Mostly shorter than a lease, now and then longer.
    self:freeze(slot, self.random(self.clocks.rarely) == 1 and self.clocks.freeze * (1 + self.random(100) / 200) or self.random(100) / 100)
  elseif kind > 7 then
    local fault = { op = PUT, count = self.random(3) }
    for name, value in pairs(FAULTS[self.random(#FAULTS)]) do fault[name] = value end
    self.count.faults = self.count.faults + 1
    self.sandbox:fault(fault)
  end
end

-- After the last kill: what is open is finished by a run like any other, once the leases of the dead have ended.
function Soak:recover(cluster)
  local give_up = core.monotonic() + self.clocks.freeze + 60
  local err
  repeat
    local report
    report, err = cluster:resume {}
    if report then return true end
    pass(0.5)
  until core.monotonic() > give_up
  return nil, tostring(err)
end

-- The passwords sent for each user, and those that were applied, in the order of their arrival.
local function sent(log)
  local users = {}
  for _, entry in ipairs(log) do
    if entry.op == PUT and entry.password_hash then
      local user = users[entry.user] or { order = {}, hashes = {}, distinct = 0 }
      users[entry.user] = user
      if not user.hashes[entry.password_hash] then
        user.hashes[entry.password_hash] = true
        user.distinct = user.distinct + 1
      end
      if entry.applied then user.order[#user.order + 1] = entry.password_hash end
    end
  end
  return users
end

-- No password of an earlier epoch came after one of a later epoch.
local function in_order(order)
  local seen, last = {}, nil
  for _, hash in ipairs(order) do
    if hash ~= last and seen[hash] then return false end
    seen[hash], last = true, hash
  end
  return true
end

function Soak:check(cluster)
  local kept = assert(cluster:open_store "soak")
  local found = { users = 0, epochs = 0, lost = 0, open = 0, two_passwords = 0, disorder = 0, sent = 0 }
  local users = sent(self.sandbox:log())
  for _, key in ipairs(assert(kept:list "")) do
    local rec, err = kept:get(key)
    assert(rec, tostring(err))
    local puts = users[rec.user] or { order = {}, distinct = 0 }
    found.users, found.epochs, found.sent = found.users + 1, found.epochs + rec.epoch, found.sent + #puts.order
    if record.is_open(rec) then found.open = found.open + 1 end
    if puts.distinct ~= rec.epoch then found.two_passwords = found.two_passwords + 1 end
    if not in_order(puts.order) then found.disorder = found.disorder + 1 end
    local verdict = rec.current and probe.login {
      host = "127.0.0.1", port = self.sandbox.pg.port, dbname = "shop", user = rec.user, password = rec.current.password,
      sslmode = "verify-full", sslrootcert = self.sandbox.ca_file, timeout = 10,
    }
    if verdict ~= "accepted" then
      found.lost = found.lost + 1
      self.say(("LOST %s: %s in state %s, epoch %d"):format(rec.user, tostring(verdict), rec.state, rec.epoch))
    end
  end
  return found
end

-- x' = 48271 x mod (2^31 - 1): the same on both interpreters. Gives a whole number from 1 to n.
local function generator(seed)
  local x = seed % 2147483646 + 1
  return function(n)
    x = x * 48271 % 2147483647
    return x % n + 1
  end
end

-- What a rotator is told; see spec/support/rotator.lua.
local function job_of(o)
  local names = {}
  for name in pairs(o.sandbox:passwords()) do names[#names + 1] = name end
  table.sort(names)
  return {
    url = o.sandbox.url, ca_file = o.sandbox.ca_file, api_key_file = o.sandbox.keys.admin, cluster = o.sandbox.cluster_id,
    store = o.place:url(), store_key_file = o.place.key_file, sql_port = o.sandbox.pg.port, sql_password = o.place.password,
    timeout = 1.5, deadline = 6, users = names, hot = math.max(3, math.floor(#names / 20)), forever = true,
    clocks = o.clocks.lease and o.clocks or nil,
  }
end

function Soak:story(seconds)
  return ("%4.0f s left, %d kills, %d freezes, %d faults"):format(math.max(0, seconds), self.count.killed, self.count.frozen, self.count.faults)
end

--- Runs it.
---@param o { sandbox: table, place: table, seconds: number, least: integer, users: integer, seed: integer, clocks: table,
---  say: function } least: disturbances, should a slow machine come to fewer in that time; clocks: freeze (seconds, longer
---  than a lease), rarely (one freeze of how many lasts that long), and shorter slack, settle, lease
---@return { count: table, found: table }
function M.run(o)
  local soak = setmetatable({
    sandbox = o.sandbox, dir = temp.dir(), running = {}, say = o.say, clocks = o.clocks, job = job_of(o),
    count = { started = 0, killed = 0, frozen = 0, faults = 0, died = 0 }, random = generator(o.seed),
  }, Soak)
  soak:start(1)
  soak:start(2)
  local ends, tell = core.monotonic() + o.seconds, core.monotonic() + 30
  local disturbed = 0
  while core.monotonic() < ends or disturbed < o.least do
    disturbed = disturbed + 1
    pass(0.1 + soak.random(100) / 100)
    soak:disturb()
    if core.monotonic() > tell then
      tell = tell + 30
      soak.say(soak:story(ends - core.monotonic()))
    end
  end
  for slot in pairs(LUAS) do
    soak:signal(slot, "sigkill")
    soak:until_gone(slot)
  end
  local cluster = rotator.open(soak.job)
  local ok, why = soak:recover(cluster)
  local found = soak:check(cluster)
  found.unfinished = not ok and why or nil
  found.outputs = { temp.read(soak.dir .. "/job-1.out"), temp.read(soak.dir .. "/job-2.out") }
  cluster:close()
  return { count = soak.count, found = found }
end

return M
