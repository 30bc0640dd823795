-- Tests lua/crdbcloud/nginx/schedule_job.lua.
--
-- Rotations by the clock: when they begin, whom they rotate, what their status says.
local cjson = require "cjson"
local nginx = require "spec.support.servers.nginx"
local sandbox = require "spec.support.sandbox"
local schedules = require "spec.support.servers.schedule"
local temp = require "spec.support.temp"

local CALL, counted = schedules.CALL, schedules.counted

describe("a scheduled rotation in nginx", function()
  local s, f

  setup(function() s = sandbox.shared() end)

  before_each(function() f = schedules.open(s) end)

  after_each(function()
    s:clear()
    nginx.stop_all()
    temp.clean()
  end)

  it("begins soon after the start, in one worker, and tells how it went", function()
    f:manage()
    s:clear()
    local before = os.time()
    f:start("every = '1h', max_age = 0", { workers = 3 })
    local found = f:ended()
    assert.equal(5, #f:sent())
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
    local pids = table.concat(f.web:workers(), " ")
    assert.truthy(pids:find(("%d"):format(found.last.worker), 1, true), pids)
    for _, user in ipairs(schedules.USERS) do
      assert.equal("accepted", f.scene:login(user, f.scene:record(user).current.password))
    end
    assert.same({}, f.web:errors())
  end)

  it("runs again and again, and leaves alone who is not old enough", function()
    f:manage()
    s:clear()
    f:start "every = '1s', max_age = '1d', jitter = 0"
    local first = f:ended()
    local second = f:ended(first)
    f:ended(second)
    assert.same({ skipped = 5 }, counted(first.last))
    assert.same({}, f:sent())
    assert.same({}, f.web:errors())
  end)

  it("without a max_age rotates nobody twice in a period", function()
    f:manage()
    s:clear()
    f:start "every = '1h', jitter = 0"
    assert.same({ skipped = 5 }, counted(f:ended().last))
    assert.same({}, f:sent())
  end)

  it("rotates at once whoever is asked for, and tells how far it is", function()
    f:manage()
    f:start "every = '1h', jitter = 0"
    local first = f:ended()
    s:clear()
    s:set { latency = 200 }
    f.web:get "/now?users=app_user_002"
    local _, body = f.web:get "/now"
    assert.is_true(cjson.decode(body).asked_at >= first.last.started)
    local seen
    f.web:wait(function()
      local found = f:status()
      if found.progress and found.progress.index then seen = found end
      return seen ~= nil
    end, "progress")
    assert.is_true(seen.running)
    assert.is_true(seen.progress.total >= 1 and seen.progress.index >= 1)
    assert.matches("^app_user_00%d$", seen.progress.user)
    f.web:wait(function()
      local found = f:status()
      return not found.running and found.asked == 0
    end, "the end")
    s:set { latency = 0 }
    assert.is_true(#f:sent() >= 5)
    -- The clock is left alone.
    assert.equal(first.next_due, f:status().next_due)
    assert.equal("a spec", f.scene:record("app_user_005").history[2].reason)
    assert.same({}, f.web:errors())
  end)

  it("does not start while another process of this host runs one", function()
    f:manage()
    local core = require "crdbcloud.core"
    local store = assert(f.scene.cluster:open_store "spec")
    local lock = assert(store:lock(("%s/@schedule.%s"):format(s.cluster_id, (core.hostname():lower():gsub("[^%w.-]", "-"))), "spec"))
    s:clear()
    f:start "every = '1h', max_age = 0, jitter = 0"
    local found = f:ended()
    lock.close()
    assert.is_false(found.last.ok)
    assert.equal("busy", found.last.kind)
    assert.equal(0, found.failures)
    assert.is_true(found.next_due <= found.last.ended + 16)
    assert.same({}, f:sent())
  end)

  it("counts failures, names their kind and exit code, and tries again sooner than in a period", function()
    f:manage()
    s:fault { op = CALL, what = "error_before", status = 403, code = 7, count = "all" }
    f:start "every = '1h', max_age = 0, jitter = 0"
    local found = f:ended()
    assert.is_false(found.last.ok)
    assert.equal("permission_denied", found.last.kind)
    assert.equal(4, found.last.exit)
    assert.is_string(found.last.hint)
    assert.equal(1, found.failures)
    assert.is_nil(found.last_success)
    assert.equal("app_user_001", found.last.runs[2].failed[1].user)
    assert.is_true(found.next_due <= found.last.ended + 91)
    assert.equal(1, #f.web:errors())
    assert.matches("crdbcloud schedule: .*role", f.web:errors()[1])
  end)

  it("is not put off by what is asked for in vain, nor is that counted as its failure", function()
    f:manage()
    f:start "every = '1h', jitter = 0"
    local found = f:ended()
    local due = found.next_due
    for _ = 1, 3 do
      f.web:get "/now?users=nobody_here"
      found = f:ended(found)
      assert.equal("not_found", found.last.kind)
      assert.equal(0, found.failures)
      assert.equal(due, found.next_due)
      assert.equal(0, found.asked)
    end
    -- What may help is tried again, long before the period is over.
    local core = require "crdbcloud.core"
    local store = assert(f.scene.cluster:open_store "spec")
    local lock = assert(store:lock(("%s/@schedule.%s"):format(s.cluster_id, (core.hostname():lower():gsub("[^%w.-]", "-"))), "spec"))
    f.web:get "/now?users=app_user_001"
    f.web:wait(function()
      found = f:status()
      return found.last.kind == "busy"
    end, "a run that finds the lock held")
    assert.equal(1, found.asked)
    assert.is_true(found.next_due < due and found.next_due <= found.last.ended + 16)
    lock.close()
  end)

  it("is not known of a cluster that is not scheduled, nor without a choice among two", function()
    f:start("every = '1h', users = 'app_user_001'", {
      init_worker = ([[
        crdbcloud.schedule { cluster = cluster, dict = "crdbcloud", every = "1h" }
        crdbcloud.schedule { cluster = cloud:cluster("another", { store = "file:%s/another" }), dict = "crdbcloud", every = "1h" }]]):format(f.scene.dir),
    })
    local err = cjson.decode((select(2, f.web:get "/status")))
    assert.equal("invalid_argument", err.kind)
    assert.matches("another", err.message)
    assert.equal("not_found", cjson.decode((select(2, f.web:get "/status?cluster=third"))).kind)
    assert.is_number(cjson.decode((select(2, f.web:get "/status?cluster=another"))).failures)
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
      f:start("", {
        init_worker = table.concat(lines, "\n"), workers = 1,
        locations = {
          ["/results"] = "ngx.say(require('cjson').encode(results))",
          ["/late"] = "ngx.say(select(2, pcall(function() crdbcloud.schedule { cluster = cluster, dict = 'crdbcloud', every = '1h' } end)))",
        },
      })
      local results = cjson.decode((select(2, f.web:get "/results")))
      for i, case in ipairs(CASES) do
        assert.matches("init_worker.lua:" .. i + 2 .. ": ", results[i], nil, true)
        assert.truthy(results[i]:find(case[2], 1, true), case[2] .. "\n" .. results[i])
      end
      assert.matches("is called in init_worker_by_lua_block", (select(2, f.web:get "/late")))
    end)
  end)
end)
