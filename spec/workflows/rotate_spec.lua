-- Tests lua/crdbcloud/change/rotate_user.lua, lua/crdbcloud/change/finish.lua, lua/crdbcloud/change/held.lua,
-- lua/crdbcloud/run/context.lua.

local core = require "crdbcloud.core"
local record = require "crdbcloud.record"
local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

local PUT = "update_sql_user_password"
local USER = "app_user_001"

describe("rotate_password", function()
  local sc
  before_each(function() sc = scene.open() end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  it("sets a new password that logs in, keeps the old one, and counts the epoch", function()
    assert(sc.cluster:rotate_password(USER))
    local first = sc:assert_settled(USER)
    assert.are.equal(1, first.epoch)
    local report = assert(sc.cluster:rotate_password { user = USER, keep_previous = "1h" })
    local second = sc:assert_settled(USER)
    assert.are.equal(2, second.epoch)
    assert.is_true(second.previous.password:equals(first.current.password))
    assert.are.equal("wrong_password", sc:login(USER, first.current.password))
    assert.are.equal("done", report.rows[1].result)
    assert.are.equal("accepted", report.rows[1].verified)
    assert.are.equal("2", tostring(report.rows[1].epoch))
  end)

  it("takes a password of the caller's, as a string or a secret", function()
    for _, password in ipairs { "a-good-Passphrase-1", core.secret "a-good-Passphrase-2" } do
      assert(sc.cluster:rotate_password { user = USER, password = password })
      assert.is_true(sc:assert_settled(USER).current.password:equals(password))
    end
  end)

  it("folds the name", function()
    assert(sc.cluster:rotate_password "APP_User_001")
    sc:assert_settled(USER)
  end)

  it("sends nothing for a user that is not there", function()
    local report, err = sc.cluster:rotate_password "nobody_here"
    assert.is_nil(report)
    assert.are.equal("not_found", err.kind)
    assert.are.equal("not_sent", err.outcome)
    assert.are.equal(1, err.exit)
    assert.are.equal(0, #sc:requests(PUT))
    assert.is_nil((sc:record "nobody_here"))
  end)

  it("sends nothing without a store, and shows the line to type", function()
    local cluster = sc:handle { cluster = { store = false } }
    local report, err = cluster:rotate_password(USER)
    assert.is_nil(report)
    assert.truthy(err.hint:find("export CRDBCLOUD_STORE=file:/var/lib/crdbcloud", 1, true))
    assert.are.equal(0, #sc:requests(PUT))
  end)

  it("has the password durable, with its intent, before the request arrives", function()
    sc.sandbox:fault { op = PUT, what = "drop_before", count = 20 }
    local _, err = sc.cluster:rotate_password(USER)
    assert.are.equal("unknown", err.outcome)
    local rec = sc:record(USER)
    assert.are.equal("intent", rec.state)
    for _, request in ipairs(sc:requests(PUT)) do
      assert.are.equal(sc.sandbox:hash(rec.staged.password), request.password_hash)
    end
  end)

  it("publishes to its sinks and marks each with the epoch", function()
    local out = temp.dir()
    local sinks = { "pgpass:" .. out .. "/pgpass", { "json", path = out .. "/{user}.json" } }
    assert(sc.cluster:rotate_password { user = USER, sinks = sinks })
    local rec = sc:assert_settled(USER)
    assert.are.same({ ["pgpass:" .. out .. "/pgpass"] = 1, ["json:" .. out .. "/" .. USER .. ".json"] = 1 }, rec.published)
    local line = temp.read(out .. "/pgpass")
    assert.are.equal(("127.0.0.1:%d:*:%s:%s\n"):format(sc.sandbox.pg.port, USER, rec.current.password:reveal()), line)
    assert.are.equal(384, core.stat(out .. "/" .. USER .. ".json").mode % 512)
  end)

  it("asks the sinks before anything is staged", function()
    local report, err = sc.cluster:rotate_password { user = USER, sinks = "json:/no/such/directory/x.json" }
    assert.is_nil(report)
    assert.are.equal("sink", err.kind)
    assert.are.equal("not_sent", err.outcome)
    assert.are.equal(1, err.exit)
    assert.are.equal(0, #sc:requests(PUT))
    assert.is_nil((sc:record(USER)))
  end)

  it("ends in 6 when a sink fails after the change, and resume publishes it", function()
    local out = temp.dir()
    local file = out .. "/" .. USER .. ".json"
    local blocked
    local report, err = sc.cluster:rotate_password {
      user = USER, sinks = "json:" .. file,
      on_progress = function(event)
        if event.step == "send" and not blocked then
          blocked = true
          temp.write(file, "something that is not ours")
        end
      end,
    }
    assert.is_nil(report)
    assert.are.equal(6, err.exit)
    assert.are.equal("applied", err.outcome)
    assert.are.equal("unpublished", err.report.rows[1].result)
    assert.are.equal("something that is not ours", temp.read(file))
    os.remove(file)
    assert(sc.cluster:resume { sinks = "json:" .. file })
    assert.truthy(temp.read(file))
    sc:assert_settled(USER)
  end)

  it("refuses while another run holds the user", function()
    local store = assert(sc.cluster:open_store "spec")
    local lock = assert(store:lock(record.key(sc.id, USER), "the-other-run"))
    local report, err = sc:handle():rotate_password(USER)
    assert.is_nil(report)
    assert.are.equal(7, err.exit)
    assert.truthy(tostring(err):find("the-other-run", 1, true))
    assert.are.equal(0, #sc:requests(PUT))
    lock.close()
  end)

  it("sends nothing for a user whose lock file somebody has removed, and does so with the same password later", function()
    local lock_file = ("%s/store/%s/%s.lock"):format(sc.dir, sc.id, USER)
    local report, err = sc.cluster:rotate_password {
      user = USER, on_progress = function(event) if event.step == "send" then os.remove(lock_file) end end,
    }
    assert.is_nil(report)
    assert.are.same({ "busy", "not_sent", 7 }, { err.kind, err.outcome, err.exit })
    assert.truthy(tostring(err):find("its lock file was removed while this run held it", 1, true))
    assert.are.equal(0, #sc:requests(PUT))
    local staged = sc:record(USER).staged.password
    assert(sc.cluster:rotate_password(USER))
    assert.is_true(sc:assert_settled(USER).current.password:equals(staged))
  end)

  it("stops before the send when the record cannot be written", function()
    assert(sc.cluster:rotate_password(USER))
    sc.sandbox:clear()
    local path = sc.dir .. "/store/" .. sc.id .. "/" .. USER .. ".rec"
    local whole = temp.read(path)
    temp.write(path, whole:sub(1, -10))
    local report, err = sc.cluster:rotate_password(USER)
    assert.is_nil(report)
    assert.are.equal("store", err.kind)
    assert.are.equal("not_sent", err.outcome)
    assert.truthy(err.message:find(USER, 1, true))
    assert.are.equal(0, #sc:requests(PUT))
    assert.are.equal(whole:sub(1, -10), temp.read(path))
  end)
end)

describe("rotate_passwords", function()
  local sc
  before_each(function() sc = scene.open { max_attempts = 2, timeout = 2 } end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  local function results(report)
    local by = {}
    for _, row in ipairs(report.rows) do by[row.user] = row.result end
    return by
  end

  it("rotates all but the protected, the SSO users and the account of the SQL connection", function()
    local report = assert(sc.cluster:rotate_passwords { users = "all", exclude = "LEGACY_report" })
    local by = results(report)
    assert.are.equal("skipped", by.sandbox_admin)
    assert.are.equal("skipped", by.sso_anna)
    assert.are.equal("skipped", by.legacy_report)
    assert.are.equal("done", by.app_user_005)
    assert.are.equal(5, #sc:requests(PUT))
  end)

  it("counts users without a record first", function()
    local events = {}
    local report = assert(sc.cluster:rotate_passwords {
      users = { USER, "app_user_002" }, on_progress = function(e) events[#events + 1] = tostring(e) end,
    })
    assert.are.equal(2, report.unmanaged)
    assert.are.equal("2 of these users have no record yet: their present passwords are not in the store", events[1])
  end)

  it("with 'managed' takes only users that have a record", function()
    assert(sc.cluster:rotate_password(USER))
    local report = assert(sc.cluster:rotate_passwords { users = "managed" })
    assert.are.same({ [USER] = "done" }, results(report))
  end)

  it("with a function takes the users it says", function()
    local report = assert(sc.cluster:rotate_passwords {
      users = function(user) return user.name:match "00[12]$" ~= nil end,
    })
    assert.are.same({ app_user_001 = "done", app_user_002 = "done" }, results(report))
  end)

  it("finds a user that was made just now, however far this machine's clock lags", function()
    local user, time = "new_" .. core.random_hex(4), core.time
    assert(sc.cluster:create_sql_user(user, core.secret "a-good-Passphrase-1"))
    core.time = function() return time() - 3600 end
    local called, plan = pcall(sc.cluster.plan_rotation, sc.cluster, { users = { user } })
    core.time = time
    assert(sc.cluster:delete_sql_user(user))
    assert(called, plan)
    assert.are.same({ user, "rotate" }, { plan.rows[1].user, plan.rows[1].result })
  end)

  it("skips those younger than max_age, and counts an unknown age as due", function()
    assert(sc.cluster:rotate_password(USER))
    local report = assert(sc.cluster:rotate_passwords { users = { USER, "app_user_002" }, max_age = "90d" })
    assert.are.same({ app_user_001 = "skipped", app_user_002 = "done" }, results(report))
  end)

  it("rotates the account of the SQL connection last, and only when it is named", function()
    local plan = assert(sc.cluster:plan_rotation { users = { "sandbox_admin", USER } })
    assert.are.equal(USER, plan.rows[1].user)
    assert.are.equal("sandbox_admin", plan.rows[2].user)
    assert.are.equal("rotate", plan.rows[2].result)
  end)

  it("refuses two users that would write one file, before anything is staged", function()
    local out = temp.dir()
    local report, err = sc.cluster:rotate_passwords { users = { USER, "app_user_002" }, sinks = "json:" .. out .. "/x.json" }
    assert.is_nil(report)
    assert.are.equal("invalid_argument", err.kind)
    assert.truthy(tostring(err):find("put {user} into its path", 1, true))
    assert.are.equal(0, #sc:requests(PUT))
  end)

  it("stops after so many failures in a row", function()
    sc.sandbox:fault { op = PUT, what = "error_before", status = 400, code = 3, message = "no", count = 100 }
    local _, err = sc.cluster:rotate_passwords { users = "all", max_failures = 2 }
    local n = { failed = 0, untouched = 0, skipped = 0 }
    for _, row in ipairs(err.report.rows) do n[row.result] = n[row.result] + 1 end
    assert.are.same({ failed = 2, untouched = 4, skipped = 2 }, n)
    assert.are.equal(1, err.exit)
  end)

  it("goes on past one user that fails and ends in 3", function()
    sc.sandbox:fault { op = PUT, user = "app_user_002", what = "error_before", status = 400, code = 3, message = "no", count = 100 }
    local _, err = sc.cluster:rotate_passwords { users = { USER, "app_user_002", "app_user_003" } }
    assert.are.equal(3, err.exit)
    assert.are.same({ app_user_001 = "done", app_user_002 = "failed", app_user_003 = "done" }, results(err.report))
  end)

  it("sends nothing on a dry run, and plans what it would do", function()
    local report = assert(sc.cluster:rotate_passwords { users = "all", dry_run = true })
    assert.is_true(report.dry_run)
    assert.are.equal("rotate", results(report)[USER])
    assert.are.equal(0, #sc:requests(PUT))
    assert.is_nil((sc:record(USER)))
  end)

  it("reports an error of on_progress once and goes on", function()
    local calls = 0
    local report = assert(sc.cluster:rotate_passwords {
      users = { USER, "app_user_002" },
      on_progress = function()
        calls = calls + 1
        error("boom")
      end,
    })
    assert.is_true(calls > 2)
    local said = 0
    for _, text in ipairs(report.warnings) do said = said + (text:find("boom", 1, true) and 1 or 0) end
    assert.are.equal(1, said)
  end)

  it("is refused while another run of many users is going on, with its id", function()
    local store = assert(sc.cluster:open_store "spec")
    local lock = assert(store:lock(sc.id .. "/@run", "run-of-the-other"))
    local report, err = sc:handle():rotate_passwords { users = "all" }
    assert.is_nil(report)
    assert.are.equal(7, err.exit)
    assert.truthy(tostring(err):find("run-of-the-other", 1, true))
    lock.close()
  end)

  it("finishes a half-done rotation instead of beginning another", function()
    sc.sandbox:fault { op = PUT, user = USER, what = "drop_before", count = 2 }
    sc.cluster:rotate_password(USER)
    local staged = sc:record(USER).staged.password
    local report = assert(sc.cluster:rotate_passwords { users = { USER } })
    assert.are.equal("finished a half-done rotation", report.rows[1].note)
    assert.is_true(sc:assert_settled(USER).current.password:equals(staged))
  end)

  it("leaves a record of another cluster and a refused one alone", function()
    assert(sc.cluster:rotate_password(USER))
    local dir = sc.dir .. "/store/" .. sc.id
    temp.write(dir .. "/broken.rec", "torn")
    temp.run("chmod 600 " .. dir .. "/broken.rec")
    local report, err = sc.cluster:rotate_passwords { users = "managed" }
    assert.is_nil(report)
    assert.are.equal(3, err.exit)
    assert.are.same({ [USER] = "done", broken = "failed" }, results(err.report))
    assert.are.equal("torn", temp.read(dir .. "/broken.rec"))
  end)

  it("holds no secret in its report, as text or JSON", function()
    local report = assert(sc.cluster:rotate_passwords { users = { USER } })
    local password = sc:record(USER).current.password:reveal()
    assert.is_nil(tostring(report):find(password, 1, true))
    assert.is_nil(report:json():find(password, 1, true))
    assert.are.equal("done", require("cjson").decode(report:json()).rows[1].result)
  end)
end)
