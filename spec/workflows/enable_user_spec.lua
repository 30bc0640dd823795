-- Tests lua/crdbcloud/workflows/history.lua.

local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

local USER = "app_user_004"
local sc

describe("disable_user and enable_user", function()
  before_each(function()
    sc = scene.open()
    assert(sc.cluster:rotate_password(USER))
  end)
  after_each(function()
    sc.sandbox:psql(("ALTER ROLE %s LOGIN"):format(USER))
    sc:close()
    temp.clean()
  end)

  it("take the login away with its sessions, and give it back", function()
    local password = sc:record(USER).current.password
    local open = assert(require("crdbcloud.sql").connect {
      host = sc.sandbox.pg.host, port = sc.sandbox.pg.port, dbname = "shop", user = USER, password = password,
      sslmode = "verify-full", sslrootcert = sc.sandbox.ca_file,
    })
    local report = assert(sc.cluster:disable_user(USER))
    assert.are.equal("may not log in", report.rows[1].note)
    assert.are.equal("no_login", sc:login(USER, password))
    assert.is_nil((open:query "SELECT 1"))
    open:close()
    assert.is_true(sc:record(USER).disabled)
    assert(sc.cluster:enable_user { user = USER })
    assert.are.equal("accepted", sc:login(USER, password))
    assert.is_nil(sc:record(USER).disabled)
  end)

  it("leave the account of the SQL connection and protected names alone", function()
    for _, user in ipairs { "sandbox_admin", "root" } do
      local report, err = sc.cluster:disable_user(user)
      assert.is_nil(report)
      assert.are.equal("invalid_argument", err.kind)
      assert.are.equal("not_sent", err.outcome)
    end
  end)

  it("say that one user of a pair is done when the other cannot be", function()
    local name = "spec_" .. require("crdbcloud.core").random_hex(6)
    local access = { database = "shop", tables = { "orders" }, preset = "readonly" }
    assert(sc.cluster:create_app_user { name = name, access = access, pair = true })
    assert(sc.cluster:rotate_password(name)) -- the partner is made for it
    -- As if somebody had dropped it in between.
    local partner = sc:record(name).pair.partner
    sc.sandbox:psql(("ALTER ROLE %s RENAME TO %s_away"):format(partner, partner))
    local report, err = sc.cluster:disable_user(name)
    sc.sandbox:psql(("ALTER ROLE %s_away RENAME TO %s"):format(partner, partner))
    assert.is_nil(report)
    assert.are.same({ "applied", 3, "incomplete" }, { err.outcome, err.exit, err.report.rows[1].result })
    assert.are.equal("no_login", sc:login(name, sc:record(name).current.password))
    assert(sc.cluster:disable_user(name))
    assert.is_true(sc:record(name).disabled)
    assert(sc.cluster:enable_user(name))
    assert(sc.cluster:remove_app_user(name))
  end)

  it("say what would be done, and do nothing", function()
    local password = sc:record(USER).current.password
    for method, result in pairs { disable_user = "disable", enable_user = "enable" } do
      local report = assert(sc.cluster[method](sc.cluster, { user = USER, dry_run = true }))
      assert.are.same({ true, result }, { report.dry_run, report.rows[1].result })
    end
    assert.are.equal("accepted", sc:login(USER, password))
    assert.is_nil(sc:record(USER).disabled)
  end)

  it("hand on what the server said", function()
    local report, err = sc.cluster:disable_user "nobody_here"
    assert.is_nil(report)
    assert.are.equal("42704", err.sqlstate)
    assert.are.equal("42704", err.report.rows[1].sqlstate)
  end)

  it("raise without a user", function()
    local ok, err = pcall(sc.cluster.disable_user, sc.cluster, {})
    assert.is_false(ok)
    assert.truthy(err:find("disable_user: user is missing", 1, true))
  end)
end)

describe("history", function()
  before_each(function() sc = scene.open() end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  it("says per run and user what was sent, answered, verified and published, by whom and why", function()
    local out = temp.dir()
    assert(sc.cluster:rotate_password { user = USER, reason = "first", sinks = "json:" .. out .. "/x.json" })
    local report = assert(sc.cluster:rotate_password { user = USER, reason = "ticket 42" })
    local history = assert(sc.cluster:history(USER))
    assert.are.equal(2, #history.rows)
    local last = history.rows[2]
    assert.are.equal("ticket 42", last.reason)
    assert.are.equal(report.run_id, last.run_id)
    assert.are.equal("1", tostring(last.sends))
    assert.are.equal("0", tostring(last.unanswered))
    assert.is_true(last.verified)
    assert.is_true(last.published_at >= last.answered_at and last.answered_at >= last.sent_at)
    assert.are.same({ "json:" .. out .. "/x.json" }, history.rows[1].sinks)
    assert.truthy(tostring(history):find("ticket 42", 1, true))
    assert.are.equal(2, #require("cjson").decode(history:json()).rows)
    assert.is_nil(tostring(history):find(sc:record(USER).current.password:reveal(), 1, true))
  end)

  it("shows what is still open as open", function()
    sc.sandbox:fault { op = "update_sql_user_password", user = USER, what = "drop_before", count = 9 }
    sc:handle({ max_attempts = 2 }):rotate_password(USER)
    local row = assert(sc.cluster:history { user = USER }).rows[1]
    assert.are.equal("intent", row.state)
    assert.are.equal("2", tostring(row.unanswered))
    assert.is_nil(row.published_at)
  end)

  it("can be asked for one run, or since a time", function()
    local one = assert(sc.cluster:rotate_password(USER))
    assert(sc.cluster:rotate_password "app_user_005")
    assert.are.equal(1, #assert(sc.cluster:history { run = one.run_id }).rows)
    assert.are.equal(2, #assert(sc.cluster:history { since = "2020-01-01" }).rows)
    assert.are.equal(0, #assert(sc.cluster:history { since = "2099-01-01" }).rows)
  end)

  it("adds the vendor's trace id where the audit log may be read", function()
    local cluster = sc:handle { api_key_file = sc.sandbox.keys.org_admin }
    assert(sc.cluster:rotate_password(USER))
    local row = assert(cluster:history { user = USER, audit_log = true }).rows[1]
    assert.truthy(row.trace_id:match "^%x+$")
  end)

  it("remembers twenty epochs", function()
    local rec, version
    assert(sc.cluster:rotate_password(USER))
    rec, version = sc:record(USER)
    for i = 1, 30 do rec.history[i] = { epoch = i, sent_at = i } end
    rec.epoch = 30
    rec.current.epoch = 30
    sc:put(rec, version)
    assert(sc.cluster:rotate_password(USER))
    assert.are.equal(20, #sc:record(USER).history)
  end)
end)

describe("ages from the audit log", function()
  it("count for users whose record does not know", function()
    sc = scene.open()
    local cluster = sc:handle { api_key_file = sc.sandbox.keys.org_admin }
    assert(sc.cluster.cloud:update_sql_user_password(sc.id, "app_user_002", "set-outside-of-us-1"))
    sc.sandbox:psql "DROP ROLE IF EXISTS spec_never_changed; CREATE ROLE spec_never_changed LOGIN"
    local plan = assert(cluster:plan_rotation { users = { "app_user_002", "spec_never_changed" }, max_age = "90d" })
    sc.sandbox:psql "DROP ROLE spec_never_changed"
    assert.are.equal("skip", plan.rows[1].result)
    assert.truthy(plan.rows[1].note:find("by the audit log", 1, true))
    assert.are.equal("audit log", plan.rows[1].age_from)
    assert.are.equal("rotate", plan.rows[2].result)
    assert.are.equal("age unknown, counts as due", plan.rows[2].note)
    sc:close()
    temp.clean()
  end)

  it("that may not be read are a warning, and the users are due", function()
    sc = scene.open()
    local cluster = sc:handle { api_key_file = sc.sandbox.keys.developer }
    local plan = assert(cluster:plan_rotation { users = { "app_user_003" }, max_age = "policy" })
    assert.truthy(table.concat(plan.warnings, "\n"):find("the audit log cannot be read", 1, true))
    assert.are.equal("rotate", plan.rows[1].result)
    sc:close()
    temp.clean()
  end)

  it("are read page by page and lose nothing at equal timestamps", function()
    local ages = require "crdbcloud.run.ages"
    local pages = {
      [false] = { entries = {
        { action = "AUDIT_LOG_ACTION_CHANGE_SQL_USER_PASSWORD", cluster_id = "c", created_at = "2026-01-03T00:00:00Z",
          payload = '{"sql_user_name":"B"}' },
        { action = "AUDIT_LOG_ACTION_CREATE_SQL_USER", cluster_id = "c", created_at = "2026-01-03T00:00:00.123Z",
          payload = '{"username":"a"}', trace_id = "t" },
      }, next_starting_from = "x" },
      x = { entries = {
        { action = "AUDIT_LOG_ACTION_CHANGE_SQL_USER_PASSWORD", cluster_id = "c", created_at = "2026-01-01T00:00:00Z",
          payload = '{"sql_user_name":"a"}' },
        { action = "AUDIT_LOG_ACTION_CHANGE_SQL_USER_PASSWORD", cluster_id = "c", created_at = "2026-01-02T00:00:00Z",
          payload = '{"sql_user_name":"d"}', error = "it failed" },
        { action = "AUDIT_LOG_ACTION_CHANGE_SQL_USER_PASSWORD", cluster_id = "other", created_at = "2026-01-02T00:00:00Z",
          payload = '{"sql_user_name":"e"}' },
      } },
    }
    local found = ages.from_audit_log({
      list_audit_logs = function(_, o) return pages[o.starting_from or false] end,
    }, "c")
    assert.are.equal(1767398400, found.users.a.at)
    assert.are.equal("t", found.users.a.trace_id)
    assert.are.equal(1767398400, found.users.b.at)
    assert.is_nil(found.users.d)
    assert.is_nil(found.users.e)
  end)
end)
