local hooks = require "crdbcloud.run.hooks"
local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

local USER = "app_user_001"
local sc

describe("hooks of a rotation", function()
  local dir
  before_each(function()
    sc = scene.open()
    dir = temp.dir()
    temp.write(dir .. "/hook", ([[
#!/bin/sh
echo "$* run=$CRDBCLOUD_RUN_ID users=$CRDBCLOUD_USERS cluster=$CRDBCLOUD_CLUSTER" >> %s/log
exit $(cat %s/status 2>/dev/null || echo 0)
]]):format(dir, dir))
    temp.run("chmod 700 " .. dir .. "/hook")
  end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  local function lines()
    local n = 0
    for _ in (temp.read(dir .. "/log") or ""):gmatch "[^\n]+" do n = n + 1 end
    return n
  end

  it("run once per run, know the run and its users, and are in the report", function()
    local report = assert(sc.cluster:rotate_passwords {
      users = { USER, "app_user_002" }, before = { dir .. "/hook", "before" }, after = { dir .. "/hook", "after" },
    })
    assert.are.equal(("before run=%s users=app_user_001,app_user_002 cluster=sandbox-one\nafter run=%s "
      .. "users=app_user_001,app_user_002 cluster=sandbox-one\n"):format(report.run_id, report.run_id), temp.read(dir .. "/log"))
    assert.are.equal(0, report.hooks.after.status)
    assert.is_nil(sc:record(USER).hook)
  end)

  it("C14: that fail, or are cut off, afterwards never take a good password back; resume runs them again, once", function()
    temp.write(dir .. "/status", "3")
    local report, err = sc.cluster:rotate_passwords { users = { USER, "app_user_002" }, after = { dir .. "/hook" } }
    assert.is_nil(report)
    assert.are.equal("hook", err.kind)
    assert.are.equal(6, err.exit)
    assert.are.equal("applied", err.outcome)
    assert.are.equal("done", err.report.rows[1].result)
    sc:assert_settled(USER)
    os.remove(dir .. "/status")
    assert(sc.cluster:resume())
    assert.are.equal(2, lines())
    assert.is_nil(sc:record(USER).hook)
    assert(sc.cluster:resume())
    assert.are.equal(2, lines())
  end)

  it("that failed do not make a young password due", function()
    temp.write(dir .. "/status", "3")
    assert.is_nil((sc.cluster:rotate_passwords { users = { USER }, after = { dir .. "/hook" } }))
    os.remove(dir .. "/status")
    local epoch = sc:record(USER).epoch
    local plan = assert(sc.cluster:plan_rotation { users = { USER }, max_age = "90d" })
    assert.are.equal("finish", plan.rows[1].result)
    assert(sc.cluster:rotate_passwords { users = { USER }, max_age = "90d", after = { dir .. "/hook" } })
    assert.are.equal(epoch, sc:record(USER).epoch)
    assert.is_nil(sc:record(USER).hook)
    assert.are.equal(2, lines())
    assert(sc.cluster:rotate_passwords { users = { USER } })
    assert.are.equal(epoch + 1, sc:record(USER).epoch)
  end)

  it("before the run stop it: nothing is staged", function()
    temp.write(dir .. "/status", "1")
    local report, err = sc.cluster:rotate_passwords { users = { USER }, before = { dir .. "/hook" } }
    assert.is_nil(report)
    assert.are.equal("not_sent", err.outcome)
    assert.is_nil((sc:record(USER)))
    assert.are.equal(0, #sc:requests "update_sql_user_password")
  end)

  it("afterwards do not run when nothing was published", function()
    sc.sandbox:fault { op = "update_sql_user_password", what = "error_before", status = 400, code = 3, message = "no", count = 9 }
    sc.cluster:rotate_passwords { users = { USER }, after = { dir .. "/hook" } }
    assert.are.equal(0, lines())
  end)

  it("that hang are ended", function()
    local limit = hooks.TIMEOUT
    hooks.TIMEOUT = 0.3
    local report, err = sc.cluster:rotate_passwords { users = { USER }, after = { "/bin/sleep", "60" } }
    hooks.TIMEOUT = limit
    assert.is_nil(report)
    assert.truthy(err.message:find("did not end within", 1, true))
    sc:assert_settled(USER)
  end)

  for _, case in ipairs {
    { "systemctl reload app", 'after must be a list such as { "systemctl", "reload", "app" }, got "systemctl reload app"' },
    { {}, 'after must be a list such as' },
    { { "a", 7 }, "after must hold strings only, got 7" },
    { { "a", nil, "c" }, "after: expected strings, got nothing as number 2" },
  } do
    it("raise: " .. case[2], function()
      local ok, err = pcall(sc.cluster.rotate_passwords, sc.cluster, { users = "all", after = case[1] })
      assert.is_false(ok)
      assert.truthy(err:find(case[2], 1, true), err)
    end)
  end
end)
