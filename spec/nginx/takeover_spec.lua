-- Rotations by the clock whose worker, or the whole of nginx, is killed or reloaded in the middle.
local cjson = require "cjson"
local nginx = require "spec.support.servers.nginx"
local places = require "spec.support.stores.sql_store"
local sandbox = require "spec.support.sandbox"
local schedules = require "spec.support.servers.schedule"
local temp = require "spec.support.temp"

local CALL = schedules.CALL

describe("a scheduled rotation in nginx that is cut", function()
  local s, f

  setup(function() s = sandbox.shared() end)

  before_each(function() f = schedules.open(s) end)

  after_each(function()
    s:clear()
    nginx.stop_all()
    temp.clean()
  end)

  local function pids_of(list)
    local set = {}
    for _, pid in ipairs(list) do set[pid] = true end
    return set
  end

  -- A rotation of five users stands still in the fourth; returns what is known then.
  local function stand_still()
    f:manage()
    f:start("every = '1h', jitter = 0", { shutdown = "60s" })
    local first = f:ended()
    s:clear()
    s:set { latency = 400 }
    s:fault { op = CALL, what = "delay", seconds = 3600, nth = 4 }
    f.web:get "/now"
    f.web:wait(function() return #f:sent() == 4 end, "the fourth change")
    s:set { latency = 0 }
    local found = f:status()
    assert.is_true(found.running)
    return {
      pid = ("%d"):format(found.worker), first = first,
      third = f.scene:record("app_user_003").epoch, workers = pids_of(f.web:workers()),
    }
  end

  -- All passwords that the store has log in, and those that were done before the crash were not done again.
  local function is_whole(before)
    assert.equal(before.third, f.scene:record("app_user_003").epoch)
    for _, user in ipairs(schedules.USERS) do
      local rec = f.scene:record(user)
      assert.equal("idle", rec.state)
      assert.is_true(rec.epoch >= 2, user)
      assert.equal("accepted", f.scene:login(user, rec.current.password))
    end
  end

  for _, signal in ipairs { "KILL", "TERM" } do
    it(("goes on in another worker after SIG%s of the one that ran it"):format(signal), function()
      local before = stand_still()
      temp.run(("kill -%s %s"):format(signal, before.pid))
      -- The answer that the thread waits for would hold a worker that ends by itself.
      s:clear()
      local found = f:ended(before.first)
      assert.is_true(found.last.ok, cjson.encode(found.last))
      assert.not_equal(before.pid, ("%d"):format(found.last.worker))
      is_whole(before)
      for _, line in ipairs(f.web:errors()) do
        assert.truthy(line:find("was cut; this worker goes on", 1, true) or line:find("exited on signal 9", 1, true), line)
      end
    end)
  end

  it("goes on in another worker when the store is shared, once the lease of the dead one is over", function()
    local place = places.new()
    local handle = f.scene:handle { cluster = { store = place:url(), store_key_file = place.key_file } }
    assert(handle:rotate_passwords { users = { "app_user_001", "app_user_002" } })
    f:start("every = '1h', jitter = 0", {
      init = ([[
        crdbcloud = require "crdbcloud.nginx"
        cloud = crdbcloud.new { base_url = %q, ca_file = %q, api_key_file = %q, rate = 0, timeout = "20s" }
        cluster = cloud:cluster(%q, { store = %q, store_key_file = %q, sql = os.getenv "CRDBCLOUD_SQL" })]]):format(s.url, s.ca_file,
          s.keys.admin, s.cluster_id, place:bare_url(), place.key_file),
    })
    local first = f:ended()
    assert.is_true(first.last.ok, cjson.encode(first.last))
    assert.equal("0", place:psql "SELECT count(*) FROM crdbcloud_leases")
    s:clear()
    s:fault { op = CALL, what = "delay", seconds = 3600, nth = 2 }
    f.web:get "/now"
    f.web:wait(function() return #f:sent() == 2 end, "the second change")
    local pid = ("%d"):format(f:status().worker)
    temp.run("kill -KILL " .. pid)
    s:clear()
    assert.is_true(tonumber(place:psql "SELECT count(*) FROM crdbcloud_leases WHERE key LIKE '%@schedule.%' AND ends_at < now() + INTERVAL '61 s'") == 1)
    local found
    f.web:wait(function()
      found = f:status()
      return found.last.kind == "busy"
    end, "another worker's try")
    assert.equal(0, found.failures)
    -- What was asked for is not forgotten.
    assert.equal(1, found.asked)
    place:end_leases()
    f.web:wait(function()
      found = f:status()
      return found.last.ok and not found.running and found.asked == 0
    end, "the end of what was asked for")
    for _, user in ipairs { "app_user_001", "app_user_002" } do
      local rec = assert(assert(handle:open_store "spec"):get(s.cluster_id .. "/" .. user))
      assert.equal("idle", rec.state)
      assert.equal("accepted", f.scene:login(user, rec.current.password))
    end
    f.web:stop()
    handle:close()
    place:close()
  end)

  it("goes on with the next start of nginx when all of it was killed", function()
    local before = stand_still()
    local dead = { f.web.pid }
    for pid in pairs(before.workers) do dead[#dead + 1] = pid end
    temp.run("kill -KILL " .. table.concat(dead, " "))
    nginx.stop_all()
    s:clear()
    f:start "every = '1h', jitter = 0"
    local found = f:ended()
    assert.is_true(found.last.ok, cjson.encode(found.last))
    assert.equal(1, found.last.runs[1].counts.done)
    assert.equal("idle", f.scene:record("app_user_004").state)
    assert.equal("accepted", f.scene:login("app_user_004", f.scene:record("app_user_004").current.password))
    assert.equal(before.third, f.scene:record("app_user_003").epoch)
  end)

  it("is ended by its own worker across a reload, and no other begins", function()
    f:manage()
    f:start("every = '1h', jitter = 0", { shutdown = "60s" })
    local first = f:ended()
    s:clear()
    s:set { latency = 1000 }
    f.web:get "/now"
    f.web:wait(function() return #f:sent() >= 1 end, "the first change")
    local before = f:status()
    assert.is_true(before.running)
    local runner = ("%d"):format(before.worker)
    f.web:reload()
    local found = f:ended(first)
    s:set { latency = 0 }
    assert.equal(runner, ("%d"):format(found.last.worker))
    assert.is_true(found.last.ok)
    assert.same({ done = 5 }, schedules.counted(found.last))
    assert.equal(5, #f:sent())
    assert.same({}, f.web:errors())
  end)
end)
