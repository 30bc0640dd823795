local core = require "crdbcloud.core"
local record = require "crdbcloud.record"
local rollback = require "crdbcloud.workflows.rollback"
local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

local PUT = "update_sql_user_password"
local USER = "app_user_001"

local sc

describe("rollback_password", function()
  before_each(function()
    sc = scene.open()
    assert(sc.cluster:rotate_password(USER))
    assert(sc.cluster:rotate_password(USER))
    sc.sandbox:clear()
  end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  it("sends the previous password again as a new epoch", function()
    local before = sc:record(USER)
    local report = assert(sc.cluster:rollback_password(USER))
    assert.are.equal("the password of epoch 1 is live again", report.rows[1].note)
    local rec = sc:assert_settled(USER)
    assert.are.equal(3, rec.epoch)
    assert.is_true(rec.current.password:equals(before.previous.password))
    assert.is_true(rec.previous.password:equals(before.current.password))
    assert.are.equal(1, #sc:requests(PUT, USER))
  end)

  it("sets a new one, and says so, where the service refuses old passwords", function()
    sc.sandbox:fault { op = PUT, user = USER, what = "error_before", status = 400, code = 3, count = 1,
      message = "password was used before" }
    local report = assert(sc.cluster:rollback_password(USER))
    assert.are.equal("the service refuses old passwords; a new one was set instead", report.rows[1].note)
    local rec = sc:assert_settled(USER)
    assert.are.equal(4, rec.epoch)
  end)

  it("of a user without a record is refused before anything is sent", function()
    local report, err = sc.cluster:rollback_password "app_user_002"
    assert.is_nil(report)
    assert.are.equal("not_found", err.kind)
    assert.are.equal(0, #sc:requests(PUT))
  end)

  it("after a retired previous password is refused", function()
    assert(sc.cluster:rotate_password { user = USER, keep_previous = 1 })
    local rec, version = sc:record(USER)
    rec.previous = nil
    sc:put(rec, version)
    local report, err = sc.cluster:rollback_password(USER)
    assert.is_nil(report)
    assert.truthy(err.message:find("no previous password is kept", 1, true))
  end)

  it("after one that was kept for no time is refused, though no run has retired it yet", function()
    assert(sc.cluster:rotate_password { user = USER, keep_previous = 0 })
    core.sleep(1.1) -- times of records are whole seconds
    local report, err = sc.cluster:rollback_password(USER)
    assert.is_nil(report)
    assert.matches("no previous password is kept", err.message)
  end)

  it("says what would be live again, and sends nothing", function()
    local report = assert(sc.cluster:rollback_password { user = USER, dry_run = true })
    assert.are.same({ true, "roll back", "the password of epoch 1 would be live again" },
      { report.dry_run, report.rows[1].result, report.rows[1].note })
    assert.are.equal(0, #sc:requests(PUT, USER))
    assert.is_nil((sc.cluster:rollback_password { user = "app_user_002", dry_run = true }))
  end)

  it("raises without a user", function()
    local ok, err = pcall(sc.cluster.rollback_password, sc.cluster, {})
    assert.is_false(ok)
    assert.truthy(err:find("rollback_password: user is missing", 1, true))
  end)
end)

describe("after a login that was refused in spite of the answer", function()
  it("rollback makes a password live that logs in", function()
    local times = 99
    sc = scene.open {
      on_event = function(event)
        if event.operation == PUT and times > 0 then
          times = times - 1
          sc.sandbox:psql(("ALTER ROLE %s PASSWORD 'somebody-elses-password'"):format(USER))
        end
      end,
    }
    times = 0
    assert(sc.cluster:rotate_password(USER))
    times = 99
    assert.is_nil((sc.cluster:rotate_password(USER)))
    assert.is_true(sc:record(USER).flags.contested)
    times = 0
    assert(sc.cluster:rollback_password(USER))
    local rec = sc:assert_settled(USER)
    assert.are.equal(3, rec.epoch)
    sc:close()
    temp.clean()
  end)

  it("somebody who sets it again and again is not fought more than twice an hour", function()
    local spoil = false
    sc = scene.open {
      on_event = function(event)
        if event.operation == PUT and spoil then
          sc.sandbox:psql(("ALTER ROLE %s PASSWORD 'somebody-elses-password'"):format(USER))
        end
      end,
    }
    assert(sc.cluster:rotate_password(USER))
    spoil = true
    sc.cluster:rotate_password(USER)
    sc.cluster:resume()
    sc.sandbox:clear()
    local report, err = sc.cluster:resume()
    assert.is_nil(report)
    assert.are.equal(6, err.exit)
    assert.are.equal(0, #sc:requests(PUT, USER))
    sc:close()
    temp.clean()
  end)
end)

describe("whether a password may be rolled back", function()
  local NOW = 1000000
  local function rec(fields)
    local r = record.new {
      cluster_id = "c", user = "app", state = "idle", epoch = 2, current = { epoch = 2, password = core.secret "two" },
      previous = { epoch = 1, password = core.secret "one" },
    }
    for k, v in pairs(fields or {}) do r[k] = v end
    return r
  end
  for _, case in ipairs {
    { "idle with a previous one", rec(), true },
    { "no record", nil, false, "it has no record" },
    { "none kept", rec { previous = false }, false, "no previous password is kept" },
    { "being created", rec { creating = true }, false, "it is being created" },
    { "half done", rec { state = "intent" }, false, "a rotation is half done; `crdbcloud rotate resume` finishes it first" },
    { "answered, but no login", rec { state = "applied", flags = { verify_failed = true } }, true },
    { "unsettled", rec { sends = { { n = 1, op = PUT, epoch = 2, at = NOW, deadline = NOW + 30 } } }, false,
      "an earlier change was not answered and may still arrive; try again in 150 s" },
    { "settled since", rec { sends = { { n = 1, op = PUT, epoch = 2, at = NOW - 500, deadline = NOW - 470 } } }, true },
  } do
    it(case[1] .. (case[3] and ": yes" or ": no"), function()
      local ok, why = rollback.allowed(case[2], { time = NOW })
      assert.are.equal(case[3], ok)
      assert.are.equal(case[4], why)
    end)
  end
end)
