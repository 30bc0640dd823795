-- Tests lua/crdbcloud/workflows/import_credential.lua.

local core = require "crdbcloud.core"
local crdbcloud = require "crdbcloud"
local errors = require "crdbcloud.errors"
local record = require "crdbcloud.record"
local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

local CLUSTER = "1b6fee85-c1ae-42da-bb4f-e3f8a89fdd25"

local function example(fields)
  local rec = record.new {
    cluster_id = CLUSTER, cluster_name = "prod", user = "app", state = "idle", epoch = 2,
    current = { epoch = 2, password = core.secret "current-password", set_at = 1700000000 },
    previous = { epoch = 1, password = core.secret "previous-password", keep_until = 9e9 },
    access = { { database = "shop" } },
    address = { host = "db.example.com", port = 26257, database = "defaultdb", sslmode = "verify-full" },
  }
  for k, v in pairs(fields or {}) do rec[k] = v end
  return rec
end

describe("credentials from a store", function()
  local url, store
  before_each(function()
    url = "file:" .. temp.dir() .. "/store"
    store = assert(crdbcloud.store.open(url))
  end)
  after_each(temp.clean)

  local function open(fields)
    local o = { source = url, user = "app" }
    for k, v in pairs(fields or {}) do o[k] = v end
    return assert(crdbcloud.credentials(o))
  end

  it("hold user, address, epoch and a password that is a secret", function()
    store:put(record.key(CLUSTER, "app"), example())
    local c = assert(open():get())
    assert.are.equal("app", c.user)
    assert.are.equal("db.example.com", c.host)
    assert.are.equal("26257", tostring(c.port))
    assert.are.equal("shop", c.database)
    assert.are.equal("2", tostring(c.epoch))
    assert.are.equal(CLUSTER .. "/app/2", c.pool_name)
    assert.is_true(c.password:equals "current-password")
    assert.are.equal("crdbcloud.credential app@db.example.com:26257 epoch 2", tostring(c))
  end)

  it("make a URL as a secret, with everything escaped", function()
    store:put(record.key(CLUSTER, "app"), example { current = { epoch = 2, password = core.secret "p@ss:w/rd?" } })
    assert.are.equal("postgresql://app:p%40ss%3Aw%2Frd%3F@db.example.com:26257/shop?sslmode=verify-full",
      open():get():url():reveal())
  end)

  it("are found by the user's name in any case, in any cluster", function()
    store:put(record.key(CLUSTER, "app"), example())
    assert(open { user = "APP" }:get())
    assert(open { cluster = "prod" }:get())
    assert(open { cluster = CLUSTER }:get())
    local c, err = open { cluster = "dev" }:get()
    assert.is_nil(c)
    assert.are.equal("not_found", err.kind)
  end)

  it("of two clusters ask which", function()
    local other = CLUSTER:gsub("^1", "2")
    store:put(record.key(CLUSTER, "app"), example())
    store:put(record.key(other, "app"), example { cluster_id = other, cluster_name = "dev" })
    local c, err = open():get()
    assert.is_nil(c)
    assert.are.equal("conflict", err.kind)
    assert.are.equal("2", open({ cluster = other }):get().cluster_id:sub(1, 1))
  end)

  it("of a user that is being created are pending, not handed out", function()
    store:put(record.key(CLUSTER, "app"), record.new {
      cluster_id = CLUSTER, user = "app", state = "posted", creating = true,
      bootstrap = { password = core.secret "throwaway-password" },
    })
    local c, err = open():get()
    assert.is_nil(c)
    assert.are.equal("pending", err.kind)
  end)

  describe("connect_with", function()
    local WRONG = { message = "password authentication failed", sqlstate = "28P01" }

    local function attempt(accepted, fail)
      local tried = {}
      local conn, err = open():connect_with(function(c)
        tried[#tried + 1] = c.password:reveal()
        if tried[#tried] == accepted then return "connection" end
        return nil, fail or WRONG
      end, { deadline = "200ms" })
      return conn, tried, err
    end

    it("tries the current password first", function()
      store:put(record.key(CLUSTER, "app"), example())
      local conn, tried = attempt "current-password"
      assert.are.equal("connection", conn)
      assert.are.same({ "current-password" }, tried)
    end)

    it("moves to the staged one once it may have been sent, then to the previous", function()
      local rec = record.move(example(), "staged", { epoch = 3, staged = { epoch = 3, password = core.secret "staged-password" } })
      rec = record.move(rec, "intent", {
        sends = record.add_send(rec, { op = "update_sql_user_password", epoch = 3, at = 1, deadline = 2 }),
      })
      store:put(record.key(CLUSTER, "app"), rec)
      local conn, tried = attempt "previous-password"
      assert.are.equal("connection", conn)
      assert.are.same({ "current-password", "staged-password", "previous-password" }, tried)
    end)

    it("does not move on for anything but a wrong password", function()
      store:put(record.key(CLUSTER, "app"), example())
      local conn, tried, err = attempt("previous-password", { message = "too many", sqlstate = "53300" })
      assert.is_nil(conn)
      assert.are.same({ "current-password" }, tried)
      assert.are.equal("53300", err.sqlstate)
    end)

    it("knows a wrong password by its text where there is no SQLSTATE", function()
      store:put(record.key(CLUSTER, "app"), example())
      local conn = attempt("previous-password", 'FATAL: password authentication failed for user "app"')
      assert.are.equal("connection", conn)
    end)

    it("reads again until the deadline, and finds the password that a rotation stored meanwhile", function()
      local key = record.key(CLUSTER, "app")
      local version = store:put(key, example())
      local reads = 0
      local conn = open():connect_with(function(c)
        if c.password:equals "next-password" then return "connection" end
        reads = reads + 1
        if reads == 3 then
          store:put(key, example { epoch = 3, current = { epoch = 3, password = core.secret "next-password" } }, version)
        end
        return nil, WRONG
      end, { deadline = "10s" })
      assert.are.equal("connection", conn)
    end)

    it("gives the connection's own error at the deadline", function()
      store:put(record.key(CLUSTER, "app"), example())
      local conn, tried, err = attempt "none"
      assert.is_nil(conn)
      assert.is_true(#tried >= 4)
      assert.are.equal(WRONG, err)
    end)

    it("raises when it gets no function", function()
      local ok, err = pcall(function() open():connect_with("connect") end)
      assert.is_false(ok)
      assert.truthy(err:find('connect_with: expected a function that takes a credential, got "connect"', 1, true))
    end)
  end)

  for _, case in ipairs {
    { {}, "crdbcloud.credentials: source is missing: a store's URL or json:PATH" },
    { { source = "memory:" }, "crdbcloud.credentials: user is missing" },
    { { source = "memory:", user = 7 }, "crdbcloud.credentials: user must be a string that is not empty, got 7" },
    { { source = "memory:", user = "a", cluser = "b" },
      'crdbcloud.credentials: unknown option "cluser"; did you mean "cluster"?' },
  } do
    it("raise: " .. case[2], function()
      local ok, err = pcall(crdbcloud.credentials, case[1])
      assert.is_false(ok)
      assert.truthy(tostring(err):find(case[2], 1, true), tostring(err))
    end)
  end
end)

describe("credentials from a json sink", function()
  after_each(temp.clean)

  it("need no store and no network", function()
    local path = temp.dir() .. "/app.json"
    local sinks = require "crdbcloud.sinks"
    local rec = example()
    local credential = require("crdbcloud.credential").make(rec, rec.current, rec.address)
    assert(sinks.open(sinks.parse("json:" .. path, "sinks"), "app", "prod")[1]:publish(credential))
    local c = assert(assert(crdbcloud.credentials { source = "json:" .. path, user = "app" }):get())
    assert.is_true(c.password:equals "current-password")
    assert.are.equal("2", tostring(c.epoch))
    local none, err = assert(crdbcloud.credentials { source = "json:" .. path, user = "other" }):get()
    assert.is_nil(none)
    assert.are.equal("not_found", err.kind)
  end)

  it("that is missing or foreign give an error", function()
    local dir = temp.dir()
    local c, err = assert(crdbcloud.credentials { source = "json:" .. dir .. "/none", user = "app" }):get()
    assert.is_nil(c)
    assert.are.equal("not_found", err.kind)
    temp.write(dir .. "/x", "[]")
    temp.run("chmod 600 " .. dir .. "/x")
    c, err = assert(crdbcloud.credentials { source = "json:" .. dir .. "/x", user = "app" }):get()
    assert.is_nil(c)
    assert.are.equal("store", err.kind)
  end)
end)

describe("a cluster handle", function()
  local sc
  before_each(function() sc = scene.open() end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  it("reads a credential without a request", function()
    assert(sc.cluster:rotate_password "app_user_001")
    sc.sandbox:clear()
    local handle = sc:handle()
    assert(handle:credential "app_user_001")
    assert(handle:credential { user = "App_User_001" })
    assert.are.equal(0, #sc.sandbox:log())
  end)

  it("connects with what works", function()
    assert(sc.cluster:rotate_password "app_user_001")
    local verdict = sc.cluster:connect_with("app_user_001", function(c)
      return sc:login(c.user, c.password) == "accepted" and "in", { sqlstate = "28P01" }
    end)
    assert.are.equal("in", verdict)
  end)

  it("does not change or delete behind a record's back, and names the workflow", function()
    assert(sc.cluster:rotate_password "app_user_001")
    sc.sandbox:clear()
    for call, workflow in pairs { update_sql_user_password = "rotate_password", delete_sql_user = "remove_app_user" } do
      local ok, err = sc.cluster[call](sc.cluster, "APP_user_001", call:find "password" and "a-Password-of-mine-1" or nil)
      assert.is_nil(ok)
      assert.are.equal("conflict", err.kind)
      assert.are.equal("not_sent", err.outcome)
      assert.truthy(err.hint:find(workflow, 1, true))
    end
    assert.are.equal(0, #sc.sandbox:log())
  end)

  it("passes the calls on for users without a record", function()
    assert(sc.cluster:update_sql_user_password("app_user_002", "a-Password-of-mine-1"))
    assert.are.equal("accepted", sc:login("app_user_002", "a-Password-of-mine-1"))
    local names = {}
    for user in sc.cluster:sql_users() do names[user.name] = true end
    assert.is_true(names.app_user_002)
    assert.is_true(#assert(sc.cluster:all_databases()) >= 2)
    assert.are.equal(sc.id, sc.cluster:get_cluster().id)
  end)

  it("is found by its name", function()
    local by_name = assert(sc.cluster.cloud:cluster(sc.sandbox.cluster_name, { store = sc.store_url, sql = sc:sql_spec() }))
    assert(by_name:rotate_password "app_user_001")
    assert(sc.cluster:credential "app_user_001")
    by_name:close()
  end)

  it("shows no secret when it is printed", function()
    local text = tostring(sc.cluster)
    assert.truthy(text:find(sc.id, 1, true))
    assert.is_nil(text:find("sandbox_admin", 1, true))
  end)

  it("says that a workflow is called with a colon", function()
    local ok, err = pcall(sc.cluster.rotate_passwords, { users = "all" })
    assert.is_false(ok)
    assert.truthy(err:find("cluster:rotate_passwords: call it with a colon, on what cloud:cluster returned", 1, true))
  end)

  it("names itself or says how to", function()
    local cluster, err = sc.cluster.cloud:cluster()
    assert.is_nil(cluster)
    assert.truthy(err.hint:find("CRDBCLOUD_CLUSTER", 1, true))
    assert.is_true(errors.is(err))
  end)
end)

describe("import_credential", function()
  local sc
  before_each(function()
    sc = scene.open()
    sc.sandbox:psql "ALTER ROLE app_user_003 PASSWORD 'known-Password-1'"
  end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  it("takes a password that a login proves, and changes nothing on the cluster", function()
    local report = assert(sc.cluster:import_credential {
      user = "app_user_003", password = "known-Password-1", set_at = "2026-05-01",
    })
    assert.are.equal("imported", report.rows[1].note)
    local rec = sc:assert_settled "app_user_003"
    assert.are.equal(1777593600, rec.current.set_at)
    assert.are.equal(0, #sc:requests "update_sql_user_password")
  end)

  it("does not take one that no login proves", function()
    local report, err = sc.cluster:import_credential { user = "app_user_003", password = "wrong-Password-1" }
    assert.is_nil(report)
    assert.are.equal("rejected", err.outcome)
    assert.is_nil((sc:record "app_user_003"))
  end)

  it("refuses a moment to come, such as one in milliseconds", function()
    local report, err = sc.cluster:import_credential { user = "app_user_003", password = "known-Password-1", set_at = 1700000000000 }
    assert.is_nil(report)
    assert.are.same({ "invalid_argument", "not_sent" }, { err.kind, err.outcome })
    assert.matches("set_at lies in the future", err.message)
    assert.is_nil((sc:record "app_user_003"))
  end)

  it("does not replace a record", function()
    assert(sc.cluster:rotate_password "app_user_003")
    local report, err = sc.cluster:import_credential { user = "app_user_003", password = sc:record("app_user_003").current.password }
    assert.is_nil(report)
    assert.are.equal("conflict", err.kind)
  end)

  for _, case in ipairs {
    { {}, "import_credential: user is missing" },
    { { user = "a" }, "import_credential: password is missing" },
    { { user = "a", password = "b", set_at = "May 1" },
      'import_credential: set_at must be seconds since 1970 or a date such as "2026-05-01" (UTC), got "May 1"' },
  } do
    it("raises: " .. case[2], function()
      local ok, err = pcall(sc.cluster.import_credential, sc.cluster, case[1])
      assert.is_false(ok)
      assert.truthy(tostring(err):find(case[2], 1, true), tostring(err))
    end)
  end
end)
