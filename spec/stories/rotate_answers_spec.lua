-- Tests lua/crdbcloud/change/send.lua.

local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

local PUT = "update_sql_user_password"
local USER = "app_user_001"

describe("an answer to the password change", function()
  local sc
  before_each(function()
    sc = scene.open { max_attempts = 3, timeout = 1, deadline = 20 }
    assert(sc.cluster:rotate_password(USER))
    sc.sandbox:clear()
  end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  -- what the sandbox does, once -> what must come of it
  for _, case in ipairs {
    { "500 after applying", { what = "error_after", status = 500, code = 13 } },
    { "500 without applying", { what = "error_before", status = 500, code = 13 } },
    { "503 without applying", { what = "error_before", status = 503, code = 14 } },
    { "a dropped connection after applying", { what = "drop_after" } },
    { "a dropped connection before applying", { what = "drop_before" } },
    { "half a body", { what = "half_body" } },
    { "an HTML page from a gateway", { what = "html_502" } },
    { "another user's name", { what = "wrong_name" } },
    { "silence, applied too late", { what = "late_apply", seconds = 1.5 } },
    { "429 with seconds", { what = "rate_limited", form = "seconds" } },
    { "429 with a date", { what = "rate_limited", form = "date" } },
    { "429 without Retry-After", { what = "rate_limited", form = "none" } },
    { "gRPC code 8 at another status", { what = "rate_limited", form = "code8" } },
  } do
    it("of " .. case[1] .. ": ends with the same bytes live and in the store", function()
      local fault = { op = PUT, user = USER, nth = 1, count = 1 }
      for k, v in pairs(case[2]) do fault[k] = v end
      sc.sandbox:fault(fault)
      local report, err = sc.cluster:rotate_password(USER)
      if not report then
        -- A refusal that says so keeps the stage; the next run goes on with it.
        assert.truthy(err.outcome == "rejected" or err.outcome == "unknown", tostring(err))
        sc.sandbox:clear()
        assert(sc.cluster:resume())
      end
      local rec = sc:assert_settled(USER)
      assert.are.equal(2, rec.epoch)
      local n, seen = sc.hashes(sc:requests(PUT))
      assert.are.equal(1, n)
      assert.is_true(seen[sc.sandbox:hash(rec.current.password)])
    end)
  end

  it("that echoes the password shows it to nobody", function()
    sc.sandbox:fault { op = PUT, user = USER, what = "echo_password", count = 50 }
    local seen = {}
    local _, err = sc.cluster:rotate_password {
      user = USER, password = "chosen-by-a-Person-1", on_progress = function(e) seen[#seen + 1] = tostring(e) end,
    }
    local said = table.concat(seen, "\n") .. tostring(err) .. err:json() .. tostring(err.report) .. err.report:json()
    assert.is_nil(said:find("chosen-by-a-Person-1", 1, true))
    assert.is_nil(said:find("Y2hvc2VuLWJ5LWEtUGVyc29uLT", 1, true)) -- base64
    assert.are.equal(1, #sc:requests(PUT))
  end)

  it("that never comes leaves 'unknown', and the next run settles it with the same bytes", function()
    sc.sandbox:fault { op = PUT, user = USER, what = "drop_before", count = 3 }
    local report, err = sc.cluster:rotate_password(USER)
    assert.is_nil(report)
    assert.are.equal(5, err.exit)
    assert.are.equal("pending", err.kind)
    local staged = sc:record(USER).staged.password
    assert(sc.cluster:resume())
    assert.is_true(sc:assert_settled(USER).current.password:equals(staged))
    assert.are.equal(1, (sc.hashes(sc:requests(PUT))))
  end)

  it("that never came keeps the next change waiting, and exit, outcome and hint say so", function()
    sc.sandbox:fault { op = PUT, user = USER, what = "drop_after", count = 1 }
    assert(sc.cluster:rotate_password(USER))
    sc.sandbox:clear()
    local report, err = sc.cluster:rotate_password(USER)
    assert.is_nil(report)
    assert.are.same({ "pending", "settling", "not_sent", 3 }, { err.kind, err.reason, err.outcome, err.exit })
    assert.is_true(err.retry_after > 0 and err.retryable)
    assert.truthy(tostring(err):find("the next may start in %d+ s .*run it again then"), tostring(err))
    assert.are.equal(3, err.report.exit)
    assert.are.equal(0, #sc:requests(PUT))
    sc:assert_settled(USER)
  end)

  it("lost after applying, three times, is found by a login", function()
    sc.sandbox:fault { op = PUT, user = USER, what = "drop_after", count = 3 }
    assert(sc.cluster:rotate_password(USER))
    local rec = sc:assert_settled(USER)
    assert.are.equal("login", rec.current.evidence)
  end)

  it("'must differ' on a repeated send counts as applied", function()
    sc.sandbox:fault { op = PUT, user = USER, nth = 1, what = "drop_after" }
    sc.sandbox:fault { op = PUT, user = USER, nth = 2, count = 5, what = "must_differ" }
    assert(sc.cluster:rotate_password(USER))
    sc:assert_settled(USER)
  end)

  it("'must differ' on the first send of a stage is settled by a login only", function()
    sc.sandbox:fault { op = PUT, user = USER, what = "must_differ", count = 1 }
    local report, err = sc.cluster:rotate_password(USER)
    assert.is_nil(report)
    assert.are.equal("wrong_password", sc:login(USER, sc:record(USER).staged.password))
    assert.truthy(err)
    sc.sandbox:clear()
    assert(sc.cluster:resume())
    sc:assert_settled(USER)
  end)

  it("401 stops the run and keeps the stage", function()
    sc.sandbox:fault { op = PUT, what = "error_before", status = 401, code = 16, count = 10 }
    local report, err = sc.cluster:rotate_passwords { users = { USER, "app_user_002", "app_user_003" } }
    assert.is_nil(report)
    assert.are.equal(4, err.exit)
    local results = {}
    for i, row in ipairs(err.report.rows) do results[i] = row.result end
    assert.are.same({ "failed", "untouched", "untouched" }, results)
    assert.is_nil((sc:record "app_user_002"))
  end)

  it("403 names the role", function()
    sc.sandbox:fault { op = PUT, what = "error_before", status = 403, code = 7, count = 10 }
    local _, err = sc.cluster:rotate_password(USER)
    assert.are.equal(4, err.exit)
    assert.truthy(tostring(err):find("Cluster Admin or Cluster Creator", 1, true), tostring(err))
  end)

  it("404 marks the user gone and never makes it again", function()
    sc.sandbox:fault { op = PUT, user = USER, what = "error_before", status = 404, code = 5, count = 10 }
    local _, err = sc.cluster:rotate_password(USER)
    assert.are.equal("not_found", err.kind)
    assert.is_true(sc:record(USER).flags.gone)
    assert.are.equal(0, #sc:requests "create_sql_user")
  end)

  it("that refuses the password itself leads to a new epoch, and to no endless loop", function()
    sc.sandbox:fault {
      op = PUT, user = USER, what = "error_before", status = 400, code = 3, count = 1,
      message = "password is too weak",
    }
    assert(sc.cluster:rotate_password(USER))
    assert.are.equal(3, sc:assert_settled(USER).epoch)
    sc.sandbox:fault {
      op = PUT, user = USER, what = "error_before", status = 400, code = 3, count = 50,
      message = "password is too weak",
    }
    local report, err = sc.cluster:rotate_password(USER)
    assert.is_nil(report)
    assert.are.equal("rejected", err.outcome)
    assert.is_true(#sc:requests(PUT, USER) < 10)
    sc:assert_settled(USER)
  end)

  it("that refuses the caller's own password leaves the old one current", function()
    sc.sandbox:fault {
      op = PUT, user = USER, what = "error_before", status = 400, code = 3, count = 50,
      message = "password is too weak",
    }
    local _, err = sc.cluster:rotate_password { user = USER, password = "chosen-by-a-Person-1" }
    assert.are.equal("rejected", err.outcome)
    local rec = sc:assert_settled(USER)
    assert.is_nil(rec.staged)
  end)

end)

describe("a login refused after a definite answer", function()
  local sc, times
  local function spoil(event)
    if event.operation == PUT and times > 0 then
      times = times - 1
      sc.sandbox:psql(("ALTER ROLE %s PASSWORD 'somebody-elses-password'"):format(USER))
    end
  end
  before_each(function() sc = scene.open { on_event = function(event) spoil(event) end } end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  it("is met once with the same bytes", function()
    times = 1
    assert(sc.cluster:rotate_password(USER))
    sc:assert_settled(USER)
    assert.are.equal(2, #sc:requests(PUT))
    assert.are.equal(1, (sc.hashes(sc:requests(PUT))))
  end)

  it("a second time is not fought: nothing is published, both passwords are kept", function()
    times = 99
    local out = temp.dir()
    local report, err = sc.cluster:rotate_password { user = USER, sinks = "json:" .. out .. "/x.json" }
    assert.is_nil(report)
    assert.are.equal(6, err.exit)
    assert.are.equal("applied", err.outcome)
    local rec = sc:record(USER)
    assert.are.equal("applied", rec.state)
    assert.is_true(rec.flags.verify_failed)
    assert.is_nil(temp.read(out .. "/x.json"))
    times = 0
    assert(sc.cluster:resume())
    sc:assert_settled(USER)
    assert.are.equal(1, (sc.hashes(sc:requests(PUT))))
  end)
end)
