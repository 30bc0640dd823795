local core = require "crdbcloud.core"
local temp = require "spec.support.temp"
local uv = require "luv"

-- An account of its own for each case: budgets belong to the process.
local function account()
  return "spec-" .. core.random_hex(8)
end

local function message_of(f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  return message
end

-- Runs `tokens` times core.pace in each of `threads` threads, every thread with a Lua state of its own. Returns the
-- times at which they got their tokens, in order.
local function in_threads(dir, name, threads, tokens, rate)
  local running = {}
  for i = 1, threads do
    running[i] = uv.new_thread(function(cpath, to, account_name, count, per_second)
      package.cpath = cpath
      local own = require "crdbcloud.core"
      local times = {}
      for n = 1, count do
        assert(own.pace(account_name, per_second, 60))
        times[n] = ("%.9f\n"):format(own.monotonic())
      end
      local file = assert(io.open(to, "wb"))
      file:write(table.concat(times))
      file:close()
    end, package.cpath, ("%s/%d"):format(dir, i), name, tokens, rate)
  end
  local times = {}
  for i = 1, threads do
    running[i]:join()
    for line in assert(temp.read(("%s/%d"):format(dir, i))):gmatch "[^\n]+" do times[#times + 1] = tonumber(line) end
  end
  table.sort(times)
  return times
end

describe("the pace of an account", function()
  local dir
  before_each(function() dir = temp.dir() end)
  after_each(temp.clean)

  it("is even across threads and Lua states, with no burst", function()
    local rate, threads, tokens = 100, 4, 8
    local begin = core.monotonic()
    local times = in_threads(dir, account(), threads, tokens, rate)
    assert.equal(threads * tokens, #times)
    -- A token is never early, so of any k that were taken the last is at least k - 1 spaces after the begin.
    for k, time in ipairs(times) do assert.is_true(time >= begin + (k - 1) / rate - 1e-6) end
  end)

  it("is shared by this state and the threads", function()
    local name, begin = account(), core.monotonic()
    assert.equal(0, core.pace(name, 10, 0))
    local times = in_threads(dir, name, 2, 1, 10)
    assert.is_true(times[1] >= begin + 0.1 and times[2] >= begin + 0.2)
  end)

  it("gives the first token at once and tells how long it waited for others", function()
    local name = account()
    assert.equal(0, core.pace(name, 2, 0))
    local waited = core.pace(name, 2, 1)
    assert.is_true(waited > 0 and waited <= 0.5)
    assert.equal(0, core.pace(account(), 2, 0))
  end)

  it("saves nothing up while nobody asks", function()
    local name = account()
    assert.equal(0, core.pace(name, 20, 0))
    core.sleep(0.2) -- four tokens' time
    local begin = core.monotonic()
    assert.equal(0, core.pace(name, 20, 0))
    assert.is_number(core.pace(name, 20, 1))
    assert.is_number(core.pace(name, 20, 1))
    assert.is_true(core.monotonic() >= begin + 0.1)
  end)

  it("takes no token when the wait would be too long, and says how long it would be", function()
    local name = account()
    assert.equal(0, core.pace(name, 0.01, 0))
    for _ = 1, 3 do
      local waited, needed = core.pace(name, 0.01, 5)
      assert.is_nil(waited)
      assert.is_true(needed > 90 and needed <= 100)
    end
  end)

  it("is held after the server asked for it", function()
    local name = account()
    core.pace_hold(name, 100)
    local waited, needed = core.pace(name, 10, 5)
    assert.is_nil(waited)
    assert.is_true(needed > 90 and needed <= 100)
    core.pace_hold(name, 1) -- a shorter hold does not end a longer one
    assert.is_true(select(2, core.pace(name, 10, 5)) > 90)
    assert.equal(0, core.pace(account(), 10, 0))
  end)

  it("is held also for a thread that was waiting already", function()
    local name = account()
    assert.equal(0, core.pace(name, 1, 0))
    local begin = core.monotonic()
    local thread = uv.new_thread(function(cpath, to, account_name)
      package.cpath = cpath
      local own = require "crdbcloud.core"
      assert(own.pace(account_name, 1, 60))
      local file = assert(io.open(to, "wb"))
      file:write(("%.9f"):format(own.monotonic()))
      file:close()
    end, package.cpath, dir .. "/1", name)
    core.pace_hold(name, 1.2)
    thread:join()
    assert.is_true(tonumber(temp.read(dir .. "/1")) >= begin + 1.2)
  end)

  it("is none at rate 0", function()
    local name = account()
    core.pace_hold(name, 100)
    for _ = 1, 1000 do assert.equal(0, core.pace(name, 0, 0)) end
  end)

  it("is not shortened by an interrupt that is being counted", function()
    local name = account()
    core.interrupts(true)
    finally(function() core.interrupts(false) end)
    local begin = core.monotonic()
    assert.equal(0, core.pace(name, 4, 0))
    io.popen("kill -INT " .. core.pid()):close()
    assert.is_number(core.pace(name, 4, 10))
    assert.equal(2, (core.interrupted()))
    assert.is_true(core.monotonic() >= begin + 0.25)
  end)

  it("is not waited for through a hold when an interrupt was or is counted", function()
    local name = account()
    core.interrupts(true)
    finally(function() core.interrupts(false) end)
    core.pace_hold(name, 100)
    io.popen("(sleep 0.2; kill -INT " .. core.pid() .. ") >/dev/null 2>&1 &"):close()
    for _ = 1, 2 do
      local waited, left, why = core.pace(name, 10, 200)
      assert.is_nil(waited)
      assert.is_true(left > 90 and left <= 100)
      assert.equal("interrupted", why)
    end
    assert.equal(0, core.pace(account(), 10, 200))
    local short = account()
    core.pace_hold(short, 0.3)
    assert.is_true(core.pace(short, 10, 5) > 0.2)
  end)

  it("wakes the threads that wait through a hold", function()
    local name = account()
    core.interrupts(true)
    finally(function() core.interrupts(false) end)
    core.pace_hold(name, 100)
    local threads = {}
    for i = 1, 4 do
      threads[i] = uv.new_thread(function(cpath, to, account_name)
        package.cpath = cpath
        local file = assert(io.open(to, "wb"))
        file:write((select(3, require("crdbcloud.core").pace(account_name, 10, 200))))
        file:close()
      end, package.cpath, ("%s/%d"):format(dir, i), name)
    end
    io.popen("kill -INT " .. core.pid()):close()
    for i = 1, 4 do
      threads[i]:join()
      assert.equal("interrupted", temp.read(("%s/%d"):format(dir, i)))
    end
  end)

  it("is asked for in words that mean something", function()
    assert.matches("account: expected a string, got nil", message_of(core.pace, nil, 1, 1))
    assert.matches("account: expected a name, got an empty string", message_of(core.pace, "", 1, 1))
    assert.matches("account: expected a name, got a string with a NUL", message_of(core.pace, "a\0", 1, 1))
    assert.matches("rate: expected a number from 0", message_of(core.pace, "a", -1, 1))
    assert.matches("rate: expected 0 or at least", message_of(core.pace, "a", 1e-9, 1))
    assert.matches("rate: expected a number, got string", message_of(core.pace, "a", "10", 1))
    assert.matches("max_wait: expected a number, got nothing", message_of(core.pace, "a", 1))
    assert.matches("max_wait: expected a number from 0", message_of(core.pace, "a", 1, 0 / 0))
    assert.matches("seconds: expected a number from 0", message_of(core.pace_hold, "a", 1 / 0))
    assert.matches("too many arguments", message_of(core.pace, "a", 1, 1, 1))
  end)
end)
