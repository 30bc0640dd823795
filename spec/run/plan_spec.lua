local cjson = require "cjson"
local plans = require "crdbcloud.run.plan"
local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

local PUT = "update_sql_user_password"

describe("a saved plan", function()
  local sc
  before_each(function() sc = scene.open() end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  local function results(report)
    local by = {}
    for _, row in ipairs(report.rows) do by[row.user] = row.result end
    return by
  end

  it("rotates just the users that it names, also when it was read from JSON", function()
    local plan = assert(sc.cluster:plan_rotation { users = { "app_user_001", "app_user_002" } })
    assert.are.equal(0, #sc:requests(PUT))
    local report = assert(sc.cluster:rotate_passwords { plan = cjson.decode(plan:json()) })
    assert.are.same({ app_user_001 = "done", app_user_002 = "done" }, results(report))
    assert.are.equal(plan.run_id, report.run_id)
  end)

  it("is stale once one of its users was rotated by another run: exit 9, nothing sent", function()
    local plan = assert(sc.cluster:plan_rotation { users = { "app_user_001", "app_user_002" } })
    assert(sc.cluster:rotate_password "app_user_002")
    sc.sandbox:clear()
    local report, err = sc.cluster:rotate_passwords { plan = plan }
    assert.is_nil(report)
    assert.are.equal(9, err.exit)
    assert.truthy(err.message:find("app_user_002 is at epoch 1, planned at 0", 1, true))
    assert.are.equal(0, #sc:requests(PUT))
  end)

  it("skips what it has done already when it is run again", function()
    local plan = assert(sc.cluster:plan_rotation { users = { "app_user_001", "app_user_002" } })
    sc.sandbox:fault { op = PUT, user = "app_user_002", what = "error_before", status = 400, code = 3, message = "no", count = 9 }
    assert.is_nil((sc.cluster:rotate_passwords { plan = plan }))
    sc.sandbox:clear()
    local report = assert(sc.cluster:rotate_passwords { plan = plan })
    assert.are.same({ app_user_001 = "skipped", app_user_002 = "done" }, results(report))
    assert.are.equal(1, #sc:requests(PUT))
  end)

  it("skips a user that is gone since", function()
    sc.sandbox:psql "CREATE ROLE spec_plan_gone LOGIN"
    local plan = assert(sc.cluster:plan_rotation { users = { "app_user_001", "spec_plan_gone" } })
    sc.sandbox:psql "DROP ROLE spec_plan_gone"
    assert.are.same({ app_user_001 = "done", spec_plan_gone = "skipped" },
      results(assert(sc.cluster:rotate_passwords { plan = plan })))
  end)

  it("of another cluster is refused", function()
    local plan = assert(sc.cluster:plan_rotation { users = { "app_user_001" } })
    plan.cluster_id = "another"
    local _, err = sc.cluster:rotate_passwords { plan = plan }
    assert.are.equal(9, err.exit)
  end)

  it("does what the same call without it would do", function()
    local plan = assert(sc.cluster:plan_rotation { users = "all", exclude = { "legacy_report", "legacy_reprot" } })
    assert.matches("exclude: the cluster has no user legacy_reprot", table.concat(plan.warnings, "\n"))
    local planned = {}
    for _, row in ipairs(plan.rows) do
      planned[row.user] = ({ rotate = "done", skip = "skipped", finish = "done" })[row.result]
    end
    assert.are.same(planned, results(assert(sc.cluster:rotate_passwords { users = "all", exclude = { "legacy_report" } })))
  end)

  for _, case in ipairs {
    { 7, "rotate_passwords: plan must be what plan_rotation returned, got 7" },
    { {}, "rotate_passwords: plan must be what plan_rotation returned, got a table" },
    { { run_id = "x", rows = { {} } }, "rotate_passwords: plan: a row names no user" },
  } do
    it("that is none raises: " .. case[2], function()
      local ok, err = pcall(sc.cluster.rotate_passwords, sc.cluster, { plan = case[1] })
      assert.is_false(ok)
      assert.truthy(err:find(case[2], 1, true), err)
    end)
  end
end)

describe("fitting a plan", function()
  local plan = { run_id = "mine", cluster_id = "c", epochs = { a = 3 } }
  local function fit(row, run)
    local rows, err = plans.fit(plan, "c", { row }, function() return run end)
    return rows and rows[1].action, err and err.reason
  end

  it("goes on with a user at the planned epoch", function()
    assert.are.same({ "rotate" }, { fit({ user = "a", epoch = 3, action = "rotate" }) })
  end)
  it("skips a user that this plan has finished", function()
    assert.are.same({ "skip" }, { fit({ user = "a", epoch = 4, action = "rotate" }, "mine") })
  end)
  it("finishes a user that this plan has left half done", function()
    assert.are.same({ "resume" }, { fit({ user = "a", epoch = 4, action = "resume" }, "mine") })
  end)
  it("is stale when another run was here", function()
    assert.are.same({ nil, "stale" }, { fit({ user = "a", epoch = 4, action = "rotate" }, "other") })
  end)
end)
