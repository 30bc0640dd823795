-- Rotations by the clock: real nginx, real threads, the sandbox's users. Workers are killed in the middle.
local cjson = require "cjson"
local nginx = require "spec.support.nginx"
local places = require "spec.support.sql_store"
local sandbox = require "spec.support.sandbox"
local scenes = require "spec.support.scene"
local temp = require "spec.support.temp"

local CALL = "update_sql_user_password"

describe("a scheduled rotation in nginx", function()
  local s, scene, web

  setup(function() s = sandbox.shared() end)

  before_each(function()
    s:reset()
    scene = scenes.open()
  end)

  after_each(function()
    s:clear()
    nginx.stop_all()
    temp.clean()
  end)

  local LOCATIONS = {
    ["/status"] = [[
      local status, err = crdbcloud.schedule_status("crdbcloud", ngx.var.arg_cluster)
      ngx.say(status and require("cjson").encode(status) or err:json())]],
    ["/now"] = [[
      local asked, err = crdbcloud.schedule_now("crdbcloud", { users = ngx.var.arg_users, reason = "a spec" })
      ngx.say(asked and require("cjson").encode(asked) or err:json())]],
  }

  -- options: text of the schedule's options
  local function start(options, given)
    local setting = {
      http = "lua_shared_dict crdbcloud 1m;", workers = 2, locations = LOCATIONS, env = {},
      init = ([[
        crdbcloud = require "crdbcloud.nginx"
        cloud = crdbcloud.new { base_url = %q, ca_file = %q, api_key_file = %q, rate = 0, timeout = "5s" }
        cluster = cloud:cluster(%q, { store = %q, sql = os.getenv "CRDBCLOUD_SQL" })]]):format(s.url, s.ca_file, s.keys.admin, s.cluster_id,
          scene.store_url),
      init_worker = "crdbcloud.schedule { cluster = cluster, dict = 'crdbcloud', " .. options .. " }",
    }
    for _, name in ipairs { "CRDBCLOUD_SQL", "PGPASSFILE" } do setting.env[name] = s.env[name] end
    for name, value in pairs(given or {}) do setting[name] = value end
    web = nginx.start(setting)
  end

  local function status()
    local code, body = web:get "/status"
    assert.equal(200, code)
    return cjson.decode(body)
  end

  local function run_of(found) return found.last and found.last.runs and found.last.runs[1].run_id end

  -- The status once a run has ended; after: the status at the end of the one before.
  local function ended(after)
    local found
    web:wait(function()
      found = status()
      return found.last ~= nil and not found.running and not found.cut and found.asked == 0 and (not after or run_of(found) ~= run_of(after))
    end, "the end of a run")
    return found
  end

  local USERS = { "app_user_001", "app_user_002", "app_user_003", "app_user_004", "app_user_005" }

  local function sent() return scene:requests(CALL) end

  -- Five users whose passwords are in the store.
  local function manage() assert(scene.cluster:rotate_passwords { users = USERS }) end

  local function counted(last)
    local sums = {}
    for _, run in ipairs(last.runs) do
      for result, n in pairs(run.counts) do sums[result] = (sums[result] or 0) + n end
    end
    return sums
  end

  it("begins soon after the start, in one worker, and tells how it went", function()
    manage()
    s:clear()
    local before = os.time()
    start("every = '1h', max_age = 0", { workers = 3 })
    local found = ended()
    assert.equal(5, #sent())
    assert.is_true(found.last.ok)
    assert.equal(0, found.last.exit)
    assert.same({ done = 5 }, counted(found.last))
    assert.equal("resume", found.last.runs[1].operation)
    assert.is_true(found.last.started >= before and found.last.ended >= found.last.started)
    assert.equal(0, found.failures)
    assert.equal(found.last.ended, found.last_success)
    assert.is_false(found.running)
    -- A period later, and jitter.
    assert.is_true(found.next_due >= found.last.ended + 3600 and found.next_due <= found.last.ended + 3600 + 361)
    local pids = table.concat(web:workers(), " ")
    assert.truthy(pids:find(("%d"):format(found.last.worker), 1, true), pids)
    for _, user in ipairs(USERS) do
      assert.equal("accepted", scene:login(user, scene:record(user).current.password))
    end
    assert.same({}, web:errors())
  end)

  it("runs again and again, and leaves alone who is not old enough", function()
    manage()
    s:clear()
    start "every = '1s', max_age = '1d', jitter = 0"
    local first = ended()
    local second = ended(first)
    ended(second)
    assert.same({ skipped = 5 }, counted(first.last))
    assert.same({}, sent())
    assert.same({}, web:errors())
  end)

  it("without a max_age rotates nobody twice in a period", function()
    manage()
    s:clear()
    start "every = '1h', jitter = 0"
    assert.same({ skipped = 5 }, counted(ended().last))
    assert.same({}, sent())
  end)

  it("rotates at once whoever is asked for, and tells how far it is", function()
    manage()
    start "every = '1h', jitter = 0"
    local first = ended()
    s:clear()
    s:set { latency = 200 }
    web:get "/now?users=app_user_002"
    local _, body = web:get "/now"
    assert.is_true(cjson.decode(body).asked_at >= first.last.started)
    local seen
    web:wait(function()
      local found = status()
      if found.progress and found.progress.index then seen = found end
      return seen ~= nil
    end, "progress")
    assert.is_true(seen.running)
    assert.is_true(seen.progress.total >= 1 and seen.progress.index >= 1)
    assert.matches("^app_user_00%d$", seen.progress.user)
    web:wait(function()
      local found = status()
      return not found.running and found.asked == 0
    end, "the end")
    s:set { latency = 0 }
    assert.is_true(#sent() >= 5)
    -- The clock is left alone.
    assert.equal(first.next_due, status().next_due)
    assert.equal("a spec", scene:record("app_user_005").history[2].reason)
    assert.same({}, web:errors())
  end)

  local function pids_of(list)
    local set = {}
    for _, pid in ipairs(list) do set[pid] = true end
    return set
  end

  -- A rotation of five users stands still in the fourth; returns what is known then.
  local function stand_still()
    manage()
    start("every = '1h', jitter = 0", { shutdown = "60s" })
    local first = ended()
    s:clear()
    s:set { latency = 400 }
    s:fault { op = CALL, what = "delay", seconds = 3600, nth = 4 }
    web:get "/now"
    web:wait(function() return #sent() == 4 end, "the fourth change")
    s:set { latency = 0 }
    local found = status()
    assert.is_true(found.running)
    return {
      pid = ("%d"):format(found.worker), first = first,
      third = scene:record("app_user_003").epoch, workers = pids_of(web:workers()),
    }
  end

  -- All passwords that the store has log in, and those that were done before the crash were not done again.
  local function is_whole(before)
    assert.equal(before.third, scene:record("app_user_003").epoch)
    for _, user in ipairs(USERS) do
      local rec = scene:record(user)
      assert.equal("idle", rec.state)
      assert.is_true(rec.epoch >= 2, user)
      assert.equal("accepted", scene:login(user, rec.current.password))
    end
  end

  for _, signal in ipairs { "KILL", "TERM" } do
    it(("goes on in another worker after SIG%s of the one that ran it"):format(signal), function()
      local before = stand_still()
      temp.run(("kill -%s %s"):format(signal, before.pid))
      -- The answer that the thread waits for would hold a worker that ends by itself.
      s:clear()
      local found = ended(before.first)
      assert.is_true(found.last.ok, cjson.encode(found.last))
      assert.not_equal(before.pid, ("%d"):format(found.last.worker))
      is_whole(before)
      for _, line in ipairs(web:errors()) do
        assert.truthy(line:find("was cut; this worker goes on", 1, true) or line:find("exited on signal 9", 1, true), line)
      end
    end)
  end

  it("goes on in another worker when the store is shared, once the lease of the dead one is over", function()
    local place = places.new()
    local handle = scene:handle { cluster = { store = place:url(), store_key_file = place.key_file } }
    assert(handle:rotate_passwords { users = { "app_user_001", "app_user_002" } })
    start("every = '1h', jitter = 0", {
      init = ([[
        crdbcloud = require "crdbcloud.nginx"
        cloud = crdbcloud.new { base_url = %q, ca_file = %q, api_key_file = %q, rate = 0, timeout = "5s" }
        cluster = cloud:cluster(%q, { store = %q, store_key_file = %q, sql = os.getenv "CRDBCLOUD_SQL" })]]):format(s.url, s.ca_file,
          s.keys.admin, s.cluster_id, place:bare_url(), place.key_file),
    })
    local first = ended()
    assert.is_true(first.last.ok, cjson.encode(first.last))
    assert.equal("0", place:psql "SELECT count(*) FROM crdbcloud_leases")
    s:clear()
    s:fault { op = CALL, what = "delay", seconds = 3600, nth = 2 }
    web:get "/now"
    web:wait(function() return #sent() == 2 end, "the second change")
    local pid = ("%d"):format(status().worker)
    temp.run("kill -KILL " .. pid)
    s:clear()
    assert.is_true(tonumber(place:psql "SELECT count(*) FROM crdbcloud_leases WHERE key LIKE '%@schedule.%' AND ends_at < now() + INTERVAL '61 s'") == 1)
    local found
    web:wait(function()
      found = status()
      return found.last.kind == "busy"
    end, "another worker's try")
    assert.equal(0, found.failures)
    -- What was asked for is not forgotten.
    assert.equal(1, found.asked)
    place:end_leases()
    web:wait(function()
      found = status()
      return found.last.ok and not found.running and found.asked == 0
    end, "the end of what was asked for")
    for _, user in ipairs { "app_user_001", "app_user_002" } do
      local rec = assert(assert(handle:open_store "spec"):get(s.cluster_id .. "/" .. user))
      assert.equal("idle", rec.state)
      assert.equal("accepted", scene:login(user, rec.current.password))
    end
    web:stop()
    handle:close()
    place:close()
  end)

  it("goes on with the next start of nginx when all of it was killed", function()
    local before = stand_still()
    local dead = { web.pid }
    for pid in pairs(before.workers) do dead[#dead + 1] = pid end
    temp.run("kill -KILL " .. table.concat(dead, " "))
    nginx.stop_all()
    s:clear()
    start "every = '1h', jitter = 0"
    local found = ended()
    assert.is_true(found.last.ok, cjson.encode(found.last))
    assert.equal(1, found.last.runs[1].counts.done)
    assert.equal("idle", scene:record("app_user_004").state)
    assert.equal("accepted", scene:login("app_user_004", scene:record("app_user_004").current.password))
    assert.equal(before.third, scene:record("app_user_003").epoch)
  end)

  it("is ended by its own worker across a reload, and no other begins", function()
    manage()
    start("every = '1h', jitter = 0", { shutdown = "60s" })
    local first = ended()
    s:clear()
    s:set { latency = 1000 }
    web:get "/now"
    web:wait(function() return #sent() >= 1 end, "the first change")
    local before = status()
    assert.is_true(before.running)
    local runner = ("%d"):format(before.worker)
    web:reload()
    local found = ended(first)
    s:set { latency = 0 }
    assert.equal(runner, ("%d"):format(found.last.worker))
    assert.is_true(found.last.ok)
    assert.same({ done = 5 }, counted(found.last))
    assert.equal(5, #sent())
    assert.same({}, web:errors())
  end)

  it("does not start while another process of this host runs one", function()
    manage()
    local core = require "crdbcloud.core"
    local store = assert(scene.cluster:open_store "spec")
    local lock = assert(store:lock(("%s/@schedule.%s"):format(s.cluster_id, (core.hostname():lower():gsub("[^%w.-]", "-"))), "spec"))
    s:clear()
    start "every = '1h', max_age = 0, jitter = 0"
    local found = ended()
    lock.close()
    assert.is_false(found.last.ok)
    assert.equal("busy", found.last.kind)
    assert.equal(0, found.failures)
    assert.is_true(found.next_due <= found.last.ended + 16)
    assert.same({}, sent())
  end)

  it("counts failures, names their kind and exit code, and tries again sooner than in a period", function()
    manage()
    s:fault { op = CALL, what = "error_before", status = 403, code = 7, count = "all" }
    start "every = '1h', max_age = 0, jitter = 0"
    local found = ended()
    assert.is_false(found.last.ok)
    assert.equal("permission_denied", found.last.kind)
    assert.equal(4, found.last.exit)
    assert.is_string(found.last.hint)
    assert.equal(1, found.failures)
    assert.is_nil(found.last_success)
    assert.equal("app_user_001", found.last.runs[2].failed[1].user)
    assert.is_true(found.next_due <= found.last.ended + 91)
    assert.equal(1, #web:errors())
    assert.matches("crdbcloud schedule: .*role", web:errors()[1])
  end)

  it("is not put off by what is asked for in vain, nor is that counted as its failure", function()
    manage()
    start "every = '1h', jitter = 0"
    local found = ended()
    local due = found.next_due
    for _ = 1, 3 do
      web:get "/now?users=nobody_here"
      found = ended(found)
      assert.equal("not_found", found.last.kind)
      assert.equal(0, found.failures)
      assert.equal(due, found.next_due)
      assert.equal(0, found.asked)
    end
    -- What may help is tried again, long before the period is over.
    local core = require "crdbcloud.core"
    local store = assert(scene.cluster:open_store "spec")
    local lock = assert(store:lock(("%s/@schedule.%s"):format(s.cluster_id, (core.hostname():lower():gsub("[^%w.-]", "-"))), "spec"))
    web:get "/now?users=app_user_001"
    web:wait(function()
      found = status()
      return found.last.kind == "busy"
    end, "a run that finds the lock held")
    assert.equal(1, found.asked)
    assert.is_true(found.next_due < due and found.next_due <= found.last.ended + 16)
    lock.close()
  end)

  it("is not known of a cluster that is not scheduled, nor without a choice among two", function()
    start("every = '1h', users = 'app_user_001'", {
      init_worker = ([[
        crdbcloud.schedule { cluster = cluster, dict = "crdbcloud", every = "1h" }
        crdbcloud.schedule { cluster = cloud:cluster("another", { store = "file:%s/another" }), dict = "crdbcloud", every = "1h" }]]):format(scene.dir),
    })
    local err = cjson.decode((select(2, web:get "/status")))
    assert.equal("invalid_argument", err.kind)
    assert.matches("another", err.message)
    assert.equal("not_found", cjson.decode((select(2, web:get "/status?cluster=third"))).kind)
    assert.is_number(cjson.decode((select(2, web:get "/status?cluster=another"))).failures)
  end)

  describe("that is set up wrongly raises at the caller's line", function()
    local CASES = {
      { "every = 1, cluster = cluster, dict = 'crdbcloud', evry = 2", 'unknown option "evry"; did you mean "every"?' },
      { "cluster = cluster, dict = 'crdbcloud'", "every is missing" },
      { "cluster = cluster, dict = 'crdbcloud', every = '5x'", "every must be a duration" },
      { "cluster = cluster, dict = 'crdbcloud', every = 0.5", "every must be a second or more" },
      { "cluster = cluster, every = '1h'", "dict is missing" },
      { "cluster = cluster, dict = 'other', every = '1h'", "lua_shared_dict other 1m;" },
      { "cluster = 'x', dict = 'crdbcloud', every = '1h'", "cluster must be a handle" },
      { "cluster = cluster, dict = 'crdbcloud', every = '1h', jitter = '200%%'", "jitter" },
      { "cluster = cluster, dict = 'crdbcloud', every = '1h', users = function() end", "users is a function" },
      { "cluster = cluster, dict = 'crdbcloud', every = '1h', users = {}", "empty list" },
      { "cluster = cluster, dict = 'crdbcloud', every = '1h', on_progress = print", "schedule_status" },
      { "cluster = cluster, dict = 'crdbcloud', every = '1h', emergency = 'all'", "an emergency is no matter of a schedule" },
      { "cluster = cluster, dict = 'crdbcloud', every = '1h', window = 'at night'", "window must be hours" },
      { "cluster = cluster, dict = 'crdbcloud', every = '1h', sinks = { 'jsn:x' }", 'did you mean "json"' },
      { "cluster = cluster, dict = 'crdbcloud', every = '1h', max_age = 'old'", "max_age must be a duration" },
    }

    it("for " .. #CASES .. " ways to be wrong", function()
      local lines = { "results = {}", "local function try(f) local ok, text = pcall(f) results[#results + 1] = ok and 'no error' or text end" }
      for _, case in ipairs(CASES) do
        lines[#lines + 1] = ("try(function() crdbcloud.schedule { %s } end)"):format((case[1]:gsub("%%%%", "%%")))
      end
      start("", {
        init_worker = table.concat(lines, "\n"), workers = 1,
        locations = {
          ["/results"] = "ngx.say(require('cjson').encode(results))",
          ["/late"] = "ngx.say(select(2, pcall(function() crdbcloud.schedule { cluster = cluster, dict = 'crdbcloud', every = '1h' } end)))",
        },
      })
      local results = cjson.decode((select(2, web:get "/results")))
      for i, case in ipairs(CASES) do
        assert.matches("init_worker.lua:" .. i + 2 .. ": ", results[i], nil, true)
        assert.truthy(results[i]:find(case[2], 1, true), case[2] .. "\n" .. results[i])
      end
      assert.matches("is called in init_worker_by_lua_block", (select(2, web:get "/late")))
    end)
  end)
end)
