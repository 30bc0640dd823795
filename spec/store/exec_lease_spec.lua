local contract = require "spec.support.stores.contract"
local core = require "crdbcloud.core"
local managers = require "spec.support.servers.secret_managers"
local store = require "crdbcloud.store"
local temp = require "spec.support.temp"

local KEY = contract.KEY
local LUA = rawget(_G, "jit") and "luajit" or "lua5.4"

describe("the lease of an exec: store", function()
  local dir, one, two

  local function open(lease)
    return assert(store.open("exec:", {
      command = managers.command(LUA, "spec/support/stores/exec_backend.lua", dir), plaintext = true, lease = lease or 1, timeout = 20,
    }))
  end

  before_each(function()
    dir = temp.dir()
    one, two = open(), open()
  end)
  after_each(temp.clean)

  -- The call log from here on, as a function.
  local function count(pattern)
    return select(2, (temp.read(dir .. "/calls")):gsub(pattern, ""))
  end

  it("of a silent holder is taken after it was unchanged for its whole time", function()
    assert(one:lock(KEY, "run-one"))
    local before = core.boottime()
    local lock = assert(two:lock(KEY, "run-two"))
    assert.is_true(core.boottime() - before >= 1)
    assert.is_true(lock.ensure(0.1))
  end)

  it("is lost to its first holder when another has taken it, for good", function()
    local first = assert(one:lock(KEY, "run-one"))
    local second = assert(two:lock(KEY, "run-two"))
    for _ = 1, 2 do
      local ok, err = first.ensure(30)
      assert.is_nil(ok)
      assert.equal("busy", err.kind)
      assert.equal("lease", err.reason)
      assert.equal("not_sent", err.outcome)
    end
    first.close() -- takes nothing from the second
    assert.is_true(second.ensure(30))
  end)

  it("stays with a holder who renews it", function()
    local lock = assert(one:lock(KEY, "run-one"))
    -- A renewal comes between the first look of the other and the second.
    local get, looks = two.leases.call.get, 0
    two.leases.call.get = function(...)
      looks = looks + 1
      if looks == 2 then assert.is_true(lock.ensure(1.5)) end
      return get(...)
    end
    local taken, err = two:lock(KEY, "run-two")
    assert.is_nil(taken)
    assert.equal("busy", err.kind)
    assert.equal(7, err.exit)
    assert.truthy(err.message:find("run-one", 1, true))
    assert.is_number(err.retry_after)
    assert.equal(2, looks)
  end)

  it("is taken at once when it was given back", function()
    assert(open(600):lock(KEY, "run-one")).close()
    assert(two:lock(KEY, "run-two"))
    assert.equal(1, count "get leases/[^\n]*\n" - 1)
  end)

  it("that is given back while another waits is taken then", function()
    local long = open(600)
    local lock = assert(long:lock(KEY, "run-one"))
    local get, looks = two.leases.call.get, 0
    two.leases.call.get = function(...)
      looks = looks + 1
      if looks == 2 then lock.close() end
      return get(...)
    end
    assert(two:lock(KEY, "run-two"))
  end)

  it("is not written while it lasts long enough, and is lengthened for a longer work", function()
    local s = open(60)
    local lock = assert(s:lock(KEY, "run"))
    local before = count "put leases/[^\n]*\n"
    for _ = 1, 3 do assert.is_true(lock.ensure(45)) end
    assert.equal(before, count "put leases/[^\n]*\n")
    assert.is_true(lock.ensure(100))
    assert.equal(before + 1, count "put leases/[^\n]*\n")
    assert.is_true(lock.ensure(100))
    assert.equal(before + 1, count "put leases/[^\n]*\n")
  end)

  it("goes on after a renewal whose answer was lost", function()
    local lock = assert(one:lock(KEY, "run"))
    temp.write(dir .. "/fault", "put lost")
    assert.is_true(lock.ensure(30))
    lock.close()
    assert(two:lock(KEY, "run-two"))
  end)

  it("that cannot be renewed lets nothing be sent, and is tried again", function()
    local lock = assert(one:lock(KEY, "run"))
    temp.write(dir .. "/fault", "put word:unavailable")
    local ok, err = lock.ensure(30)
    assert.is_nil(ok)
    assert.equal("store", err.kind)
    assert.equal("not_sent", err.outcome)
    assert.is_true(lock.ensure(30))
  end)

  it("cannot be taken when the store fails, with the reason", function()
    temp.write(dir .. "/fault", "get word:denied")
    local lock, err = one:lock(KEY, "run")
    assert.is_nil(lock)
    assert.equal("denied", err.reason)
    temp.write(dir .. "/fault", "put word:full")
    lock, err = one:lock(KEY, "run")
    assert.is_nil(lock)
    assert.equal("full", err.reason)
    temp.write(dir .. "/fault", "put raced")
    lock, err = one:lock(KEY, "run")
    assert.is_nil(lock)
    assert.equal("busy", err.kind)
  end)

  it("of which nothing can be read counts as one of our length", function()
    temp.write(dir .. "/values", ('{"leases/%s":{"version":"v7","value":"bm9uc2Vuc2U="}}'):format(KEY))
    local before = core.boottime()
    assert(one:lock(KEY, "run"))
    assert.is_true(core.boottime() - before >= 1)
  end)

  it("is remembered from an earlier look, so that many users are waited for at once", function()
    local keys = { KEY, contract.CLUSTER .. "/second" }
    for _, key in ipairs(keys) do assert(one:lock(key, "run-one")) end
    local sleep, interrupted = core.sleep, true
    core.sleep = function(seconds) return not interrupted and sleep(seconds) end
    local _, err = two:lock(keys[2], "run-two") -- a first look, cut short by a signal
    core.sleep = sleep
    assert.equal("busy", err.kind)
    assert(two:lock(keys[1], "run-two"))
    local before = count "get leases/[^\n]*second\n"
    assert(two:lock(keys[2], "run-two"))
    assert.equal(before + 1, count "get leases/[^\n]*second\n")
  end)
end)
