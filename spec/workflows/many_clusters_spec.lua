-- Tests lua/crdbcloud/run/events.lua too.
local core = require "crdbcloud.core"
local crdbcloud = require "crdbcloud"
local errors = require "crdbcloud.errors"
local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

-- Both sandbox-one and sandbox-two have a SQL side of their own.
describe("a run over several clusters", function()
  local sc, cloud, one, two
  before_each(function()
    sc = scene.open()
    cloud = sc.cluster.cloud
    one, two = sc.sandbox.clusters.one, sc.sandbox.clusters.two
    for _, name in ipairs { "svc_here", "svc_there" } do assert(cloud:create_sql_user(two, name, "first password of it")) end
    sc.sandbox:clear()
  end)
  after_each(function()
    sc.sandbox:clear()
    for _, name in ipairs { "svc_here", "svc_there" } do assert(cloud:delete_sql_user(two, name)) end
    sc:close()
    temp.clean()
  end)

  local function options(more)
    local opts = { store = sc.store_url, verify = false, clusters = { one, two } }
    for k, v in pairs(more) do opts[k] = v end
    return opts
  end

  -- "cluster user result" of each row.
  local function outcomes(report)
    local list = {}
    for i, row in ipairs(report.rows) do list[i] = ("%s %s %s"):format(row.cluster, row.user, row.result) end
    return list
  end

  local function key_file(path)
    return assert(crdbcloud.new { base_url = sc.sandbox.url, ca_file = sc.sandbox.ca_file, api_key_file = path, rate = 0, timeout = 5 })
  end

  it("gives one report whose rows name their clusters, under one run id", function()
    local events = {}
    local report = assert(cloud:rotate_passwords(options {
      clusters = { "sandbox-one", two }, users = { "app_user_001", "svc_here" }, on_progress = function(event) events[#events + 1] = event end,
    }))
    assert.same({
      "sandbox-one app_user_001 done", "sandbox-one svc_here skipped", "sandbox-two app_user_001 skipped", "sandbox-two svc_here done",
    }, outcomes(report))
    assert.equal("no such user on the cluster", report.rows[2].note)
    assert.same({ "sandbox-one", "sandbox-two" }, { report.clusters[1].name, report.clusters[2].name })
    assert.same({ one, two }, { report.clusters[1].id, report.clusters[2].id })
    local text = tostring(report)
    assert.matches("rotate_passwords on 2 clusters, run " .. report.run_id .. ": 2 done, 2 skipped", text, 1, true)
    assert.matches("CLUSTER      USER          RESULT", text, 1, true)
    assert.equal(report.run_id, require("cjson").decode(report:json()).run_id)
    local here = assert(cloud:cluster(one, { store = sc.store_url }))
    local there = assert(cloud:cluster(two, { store = sc.store_url, sql = false }))
    assert.equal(report.run_id, here:rotation_status().rows[1].run_id)
    assert.equal(report.run_id, there:rotation_status().rows[1].run_id)
    local seen = {}
    for _, event in ipairs(events) do
      assert.equal(report.run_id, event.run_id)
      seen[event.cluster] = tostring(event)
    end
    assert.matches("^sandbox%-one: ", seen["sandbox-one"])
    assert.matches("^sandbox%-two: ", seen["sandbox-two"])
    -- What was sent is what the store has, on both sides.
    local sent = sc:requests "update_sql_user_password"
    assert.equal(2, #sent)
    for i, credential in ipairs { assert(here:credential "app_user_001"), assert(there:credential "svc_here") } do
      assert.equal(sc.sandbox:hash(credential.password), sent[i].password_hash)
    end
    assert.equal("accepted", sc:login("app_user_001", here:credential("app_user_001").password))
  end)

  it("takes all clusters of the account, and goes on after one that fails", function()
    local report, err = cloud:rotate_passwords(options { clusters = "all", users = { "app_user_001", "svc_there" } })
    assert.is_nil(report)
    assert.equal(3, err.exit)
    local done, failed = {}, {}
    for _, row in ipairs(err.report.rows) do
      if row.result == "done" then done[#done + 1] = row.cluster .. " " .. row.user end
      if row.result == "failed" then failed[row.cluster .. " " .. row.user] = row end
    end
    table.sort(done)
    assert.same({ "sandbox-one app_user_001", "sandbox-two svc_there" }, done)
    assert.equal("*", failed["sandbox-new *"].user) -- being created: its users cannot be listed
    assert.equal("not_found", failed["sandbox-new *"].kind)
    assert.equal(5, #err.report.clusters) -- the deleted one is none
  end)

  it("goes on after a cluster that is not there or not allowed, and says which", function()
    local creator = key_file(sc.sandbox.keys.creator)
    local report, err = creator:rotate_passwords(options {
      clusters = { "no-such-cluster", two, one }, users = { "app_user_002", "svc_here" },
    })
    creator:close()
    assert.is_nil(report)
    assert.same({ "no-such-cluster * failed", "sandbox-two * failed", "sandbox-one app_user_002 done", "sandbox-one svc_here failed" },
      outcomes(err.report))
    assert.same({ "not_found", "permission_denied" }, { err.report.rows[1].kind, err.report.rows[2].kind })
    assert.equal(3, err.exit)
  end)

  it("stops at a key that is refused", function()
    local stranger = key_file(sc.sandbox.keys.invalid)
    local report, err = stranger:rotate_passwords(options { users = "all" })
    stranger:close()
    assert.is_nil(report)
    assert.same({ 4, "unauthenticated" }, { err.exit, err.kind })
    assert.same({ one .. " * failed", two .. " * untouched" }, outcomes(err.report))
    assert.equal(1, #sc.sandbox:log())
  end)

  it("stops at a key that is refused in the middle of a cluster", function()
    sc.sandbox:fault { op = "update_sql_user_password", what = "error_before", status = 401, code = 16, count = "all" }
    local report, err = cloud:rotate_passwords(options { users = { "app_user_001", "app_user_002", "svc_here" } })
    assert.is_nil(report)
    assert.equal(4, err.exit)
    assert.equal(two .. " * untouched", outcomes(err.report)[4])
    assert.matches("stopped: ", err.report.rows[4].note, 1, true)
  end)

  it("works on a cluster that was named twice once", function()
    local report = assert(cloud:rotate_passwords(options { clusters = { "sandbox-one", one, "sandbox-one" }, users = "app_user_003" }))
    assert.same({ "sandbox-one app_user_003 done" }, outcomes(report))
    assert.equal(1, #report.clusters)
  end)

  it("asks a function for the SQL connection of each", function()
    local asked = {}
    local report = assert(cloud:rotate_passwords(options {
      users = { "app_user_001", "svc_here" }, verify = "auto",
      sql = function(cluster)
        asked[#asked + 1] = cluster.name
        if cluster.id == one then return sc:sql_spec() end
      end,
    }))
    assert.same({ "sandbox-one", "sandbox-two" }, asked)
    assert.equal("accepted", report.rows[1].verified)
    assert.equal("accepted", report.rows[4].verified) -- at the address that the API names
    local err
    report, err = cloud:rotate_passwords(options {
      users = { "app_user_001", "svc_here" },
      sql = function(cluster)
        if cluster.id == one then return nil, errors.new { kind = "sql", message = "no way to it" } end
        error "broken"
      end,
    })
    assert.is_nil(report)
    assert.same({ "sandbox-one * failed", "sandbox-two * failed" }, outcomes(err.report))
    assert.equal("no way to it", err.report.rows[1].error)
    assert.matches("the function for sql gave no connection: .*broken", err.report.rows[2].error)
    assert.equal(2, #sc:requests "update_sql_user_password")
  end)

  it("does not take one cluster's SQL connection for that of another", function()
    local uv = require "luv"
    uv.os_setenv("CRDBCLOUD_SQL", sc.sandbox.sql_url)
    finally(function() uv.os_unsetenv "CRDBCLOUD_SQL" end)
    local report = assert(cloud:rotate_passwords(options { clusters = { two }, users = "svc_here", verify = "auto" }))
    assert.equal("accepted", report.rows[1].verified)
    assert.matches("CRDBCLOUD_SQL is one cluster's address and is not used", report.warnings[1], 1, true)
  end)

  it("can be planned, resumed and looked at like that of one", function()
    local plan = assert(cloud:plan_rotation(options { users = { "app_user_001", "svc_here" } }))
    assert.is_true(plan.dry_run)
    assert.same({ "sandbox-one app_user_001 rotate", "sandbox-one svc_here skip", "sandbox-two app_user_001 skip", "sandbox-two svc_here rotate" },
      outcomes(plan))
    assert.equal(0, #sc:requests "update_sql_user_password")

    sc.sandbox:fault { op = "update_sql_user_password", what = "drop_before", count = "all" }
    local hasty = assert(crdbcloud.new {
      base_url = sc.sandbox.url, ca_file = sc.sandbox.ca_file, api_key_file = sc.sandbox.keys.admin, rate = 0, timeout = 5,
      deadline = 5, max_attempts = 1,
    })
    local report, err = hasty:rotate_passwords(options { users = { "svc_here", "svc_there" }, clusters = { two } })
    hasty:close()
    assert.is_nil(report)
    assert.equal(5, err.exit)
    sc.sandbox:clear()
    local status = assert(cloud:rotation_status { clusters = { one, two }, store = sc.store_url })
    assert.same({ 2, 2, "sandbox-two" }, { status.open, #status.rows, status.rows[1].cluster })
    assert.matches("0 users on sandbox%-one, 0 open.*2 users on sandbox%-two, 2 open", tostring(status))
    assert.equal(2, require("cjson").decode(status:json()).open)
    report = assert(cloud:resume { clusters = { one, two }, store = sc.store_url, verify = false })
    assert.same({ "sandbox-two svc_here done", "sandbox-two svc_there done" }, outcomes(report))
    assert.equal(0, cloud:rotation_status({ clusters = { two }, store = sc.store_url }).open)
  end)

  it("leaves the rest alone after an interrupt", function()
    core.interrupts(true)
    finally(function() core.interrupts(false) end)
    local report, err = cloud:rotate_passwords(options {
      users = { "app_user_001", "svc_here" },
      on_progress = function(event)
        if event.step == "send" then require("luv").kill(core.pid(), "sigint") end
      end,
    })
    assert.is_nil(report)
    assert.equal(130, err.exit)
    assert.same({ "sandbox-one app_user_001 done", "sandbox-one svc_here failed", two .. " * untouched" }, outcomes(err.report))
  end)

  it("needs a store, and says what else it was not told", function()
    local report, err = cloud:rotate_passwords { clusters = { one }, users = "all" }
    assert.is_nil(report)
    assert.matches("no store was named", tostring(err), 1, true)
    local function message_of(opts)
      local ok, message = pcall(cloud.rotate_passwords, cloud, opts)
      assert.is_false(ok)
      return message
    end
    assert.matches("many_clusters_spec", message_of {})
    assert.matches('clusters is missing: names or ids, or "all"', message_of { users = "all" }, 1, true)
    assert.matches("clusters must be a list of names or ids", message_of { clusters = {}, users = "all" }, 1, true)
    assert.matches("clusters[2] must be the name or id of a cluster, got 3", message_of { clusters = { "a", 3 }, users = "all" }, 1, true)
    assert.matches("users is missing", message_of { clusters = "all" }, 1, true)
    assert.matches('unknown option "cluster"; did you mean "clusters"', message_of { cluster = "a", users = "all" }, 1, true)
    assert.matches('unknown option "plan"', message_of { clusters = "all", plan = {} }, 1, true)
    assert.matches("sql must be a function of the cluster, or false", message_of { clusters = "all", users = "all", sql = "postgresql://x" }, 1, true)
    assert.equal(0, #sc.sandbox:log())
  end)
end)
