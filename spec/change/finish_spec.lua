local core = require "crdbcloud.core"
local scene = require "spec.support.scene"
local sqls = require "crdbcloud.sql"
local temp = require "spec.support.temp"

local USER = "app_user_001"
local PUT = "update_sql_user_password"

describe("crdbcloud.change.finish", function()
  local sc

  before_each(function()
    sc = scene.open()
    assert(sc.cluster:rotate_password(USER))
  end)

  after_each(function()
    sc.sandbox:psql(("ALTER ROLE %s VALID UNTIL 'infinity'"):format(USER))
    sc:close()
    temp.clean()
  end)

  local function sends() return #sc:requests(PUT, USER) end

  it("tells a user whose time is over from one whose password somebody else sets", function()
    sc.sandbox:psql(("ALTER ROLE %s VALID UNTIL '2020-01-01'"):format(USER))
    local before, report = sends(), assert(sc.cluster:rotate_password(USER))
    assert.are.equal(before + 1, sends())
    assert.are.equal("expired", report.rows[1].verified)
    local text = tostring(report)
    assert.truthy(text:find("no password of it logs in since 2020-01-01", 1, true), text)
    assert.truthy(text:find([[ALTER ROLE "app_user_001" VALID UNTIL 'infinity']], 1, true), text)
    local rec = sc:record(USER)
    assert.is_nil(rec.contested_at)
    sc.sandbox:psql(("ALTER ROLE %s VALID UNTIL 'infinity'"):format(USER))
    sc:assert_settled(USER)
  end)

  it("does not publish for such a user where a login is required, and resume goes on once it may log in", function()
    sc.sandbox:psql(("ALTER ROLE %s VALID UNTIL '2020-01-01'"):format(USER))
    local before = sends()
    local report, err = sc.cluster:rotate_password { user = USER, verify = "require" }
    assert.is_nil(report)
    assert.are.same({ "applied", 6 }, { err.outcome, err.exit })
    assert.truthy(tostring(err):find("no login is possible (expired)", 1, true), tostring(err))
    assert.are.equal(before + 1, sends())
    sc.sandbox:psql(("ALTER ROLE %s VALID UNTIL 'infinity'"):format(USER))
    assert(sc.cluster:resume())
    sc:assert_settled(USER)
  end)

  local function connect()
    local spec = sc:sql_spec()
    spec.user, spec.password = USER, sc:record(USER).current.password
    return assert(sqls.connect(spec))
  end

  local function pids()
    return sc.sandbox:psql(("SELECT string_agg(pid::text, ',' ORDER BY backend_start) FROM pg_stat_activity WHERE usename = '%s'"):format(USER))
  end

  it("ends the sessions of the old password, and none that have logged in with the new one", function()
    local old, new = connect(), nil
    local report = assert(sc.cluster:rotate_password {
      user = USER, cancel_sessions = true, sinks = { "json:" .. temp.dir() .. "/" .. core.random_hex(4) .. ".json" },
      on_progress = function(event)
        if event.step == "publish" then new = new or connect() end
      end,
    })
    assert.are.equal(1, report.rows[1].sessions_cancelled)
    assert.are.equal(new:query("SELECT pg_backend_pid() AS pid")[1].pid, (pids():gsub("%s", "")))
    old:close()
    new:close()
  end)
end)
