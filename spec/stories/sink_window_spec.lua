local core = require "crdbcloud.core"
local reports = require "crdbcloud.run.report"
local record = require "crdbcloud.record"
local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

local PUT = "update_sql_user_password"

-- The report of a run whose users had these windows.
local function report_of(windows)
  local rows = {}
  for i, window in ipairs(windows) do rows[i] = { user = "u" .. i, result = "done", sinks = {}, window = window or nil } end
  return reports.finish({
    operation = "rotate_passwords", run_id = "r", name = "c", id = "i", store = {}, warnings = {}, started = core.monotonic(),
    interrupted = function() end,
  }, rows)
end

describe("the time that sinks are behind a change", function()
  local hundred = {}
  for i = 1, 100 do hundred[i] = (101 - i) / 1000 end

  for _, case in ipairs {
    { "of one user", { 0.25 }, { users = 1, p50 = 0.25, p99 = 0.25, longest = 0.25 }, "p50 250 ms, p99 250 ms, at most 250 ms (1 user)" },
    { "of a few users", { 3, 1, 2 }, { users = 3, p50 = 2, p99 = 3, longest = 3 }, "p50 2.0 s, p99 3.0 s, at most 3.0 s (3 users)" },
    { "of many users", hundred, { users = 100, p50 = 0.05, p99 = 0.099, longest = 0.1 }, "p50 50 ms, p99 99 ms, at most 100 ms (100 users)" },
    { "counts only users that have a sink", { false, 0.5, false }, { users = 1, p50 = 0.5, p99 = 0.5, longest = 0.5 }, "(1 user)" },
  } do
    it(case[1] .. " is in the report and in its text", function()
      local report = report_of(case[2])
      assert.are.same(case[3], report.window)
      assert.matches("sinks were behind the change for " .. (case[4]:match "^p50" and case[4] or ""), tostring(report), 1, true)
      assert.matches(case[4], tostring(report), 1, true)
    end)
  end

  it("is not told where there is no sink", function()
    local report = report_of { false }
    assert.is_nil(report.window)
    assert.is_nil((tostring(report):find "behind"))
  end)
end)

describe("a rotation measures how long its sinks are behind", function()
  local sc, user, file
  before_each(function()
    sc = scene.open()
    user, file = "app_user_003", temp.dir() .. "/{user}.json"
  end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  it("from the send, not from the answer, to the last sink", function()
    sc.sandbox:fault { op = PUT, what = "delay", seconds = 0.4 }
    local report = assert(sc.cluster:rotate_password { user = user, sinks = "json:" .. file })
    local window = report.rows[1].window
    assert.is_true(window >= 0.4, tostring(window))
    assert.are.same({ users = 1, p50 = window, p99 = window, longest = window }, report.window)
  end)

  it("for each user of a run that has a sink", function()
    local report = assert(sc.cluster:rotate_passwords { users = { "app_user_001", "app_user_002" }, sinks = "json:" .. file })
    assert.are.equal(2, report.window.users)
    for _, row in ipairs(report.rows) do assert.is_true(row.window > 0 and row.window <= report.window.longest) end
    assert.is_nil(assert(sc.cluster:rotate_passwords { users = { "app_user_004" } }).window)
  end)

  it("over a crash, from the first send that may have been applied", function()
    sc.sandbox:fault { op = PUT, what = "drop_before", count = "all" }
    local cluster = sc:handle { timeout = 5, max_attempts = 1, cluster = { sinks = "json:" .. file, sql = false } }
    assert.is_nil((cluster:rotate_password(user)))
    sc.sandbox:clear()
    local sent = sc:record(user).sends[1].at
    local report = assert(cluster:resume())
    assert.is_true(report.rows[1].window > 0)
    assert.are.equal(sent, sc:record(user).current.sent_at)
  end)

  it("and says nothing of it when no sink was written", function()
    assert(sc.cluster:rotate_password { user = user, sinks = "json:" .. file })
    local store = assert(sc.cluster:open_store "spec")
    local rec, version = store:get(record.key(sc.id, user))
    rec.sessions_due, rec.sinks = true, { { kind = "json", path = file } }
    assert(store:put(record.key(sc.id, user), rec, version))
    local report = assert(sc.cluster:resume())
    assert.are.equal(user, report.rows[1].user)
    assert.is_nil(report.rows[1].window)
  end)
end)
