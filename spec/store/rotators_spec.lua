-- Two real processes rotate on one SQL store, as two machines would.

local cjson = require "cjson"
local core = require "crdbcloud.core"
local scenes = require "spec.support.scene"
local sql_store = require "spec.support.stores.sql_store"
local temp = require "spec.support.temp"
local wait = require "spec.support.wait"

local PUT = "update_sql_user_password"
local USER = "app_user_002"

describe("two rotating processes on one SQL store", function()
  local place, scene, jobs
  before_each(function()
    scene = scenes.open() -- a scene may reset the databases, so the store's is made after it
    place = sql_store.new()
    scene.cluster = scene:handle { cluster = { store = place:url(), store_key_file = place.key_file } }
    jobs = {}
  end)
  after_each(function()
    for _, job in ipairs(jobs) do temp.run("kill -9 " .. job.pid .. " 2>/dev/null") end
    scene:close()
    place:close()
    temp.clean()
  end)

  -- A process of its own; finished() waits for its end and gives what it printed.
  local function rotator(fields)
    local job = {
      url = scene.sandbox.url, ca_file = scene.sandbox.ca_file, api_key_file = scene.sandbox.keys.admin, cluster = scene.id,
      store = place:url(), store_key_file = place.key_file, sql_port = scene.sandbox.pg.port, sql_password = place.password,
      timeout = 5, users = { USER },
    }
    for name, value in pairs(fields or {}) do job[name] = value end
    local file = ("%s/job-%s"):format(scene.dir, core.random_hex(4))
    temp.write(file, cjson.encode(job))
    local command = temp.lua(("require('spec.support.rotator').run(%q)"):format(file))
    local pid = temp.run(("(%s; echo end $?) >%s.out 2>&1 & echo $!"):format(command, file))
    local found = { shell = pid:match "%d+", out = file .. ".out" }
    -- The interpreter is the shell's child.
    found.pid = wait("the interpreter", function() return temp.run("pgrep -P " .. found.shell):match "%d+" end)
    jobs[#jobs + 1] = found
    function found.finished()
      local status = wait("the end of the rotator", function() return (temp.read(found.out) or ""):match "end (%d+)\n$" end)
      return temp.read(found.out), tonumber(status)
    end
    return found
  end

  local function until_state(state)
    wait(state, function() return place:psql(("SELECT state FROM crdbcloud_records WHERE key LIKE '%%/%s'"):format(USER)) == state end)
  end

  -- The change has reached the service, which is slow to answer.
  local function arrived()
    wait("a request", function() return #scene:requests(PUT, USER) > 0 end)
  end

  -- The first one stands still after INTENT; another takes its lease over and finishes; the first goes on.
  local function overtaken(first, sent)
    until_state "intent"
    temp.run("kill -STOP " .. first.pid)
    assert.equal(sent, #scene:requests(PUT, USER))
    place:end_leases()
    local report, err = scene.cluster:rotate_password { user = USER }
    assert(report, tostring(err))
    assert.equal("done", report.rows[1].result)
    assert.equal(1, scene:record(USER).epoch)
    temp.run("kill -CONT " .. first.pid)
    local out, status = first.finished()
    assert.equal(0, status, out)
    return out
  end

  it("A25: end with one password when the first is frozen before it sends", function()
    -- A slow pace: the listing takes the turn, so the change waits for seconds after INTENT.
    local first = rotator { rate = 0.2 }
    overtaken(first, 0)
    assert.equal(1, (scene.hashes(scene:requests(PUT, USER))))
    assert.equal(1, scene:assert_settled(USER).epoch)
  end)

  it("end with one password when the first is frozen while its request is under way", function()
    scene.sandbox:fault { op = PUT, user = USER, what = "delay", seconds = 6, count = 1 }
    local first = rotator()
    arrived()
    overtaken(first, 1)
    assert.equal(1, (scene.hashes(scene:requests(PUT, USER))))
    scene:assert_settled(USER)
  end)

  it("C24: end with one password when the first is killed, as by a worker's exit, and the lease ends", function()
    scene.sandbox:fault { op = PUT, user = USER, what = "delay", seconds = 6, count = 1 }
    local first = rotator()
    until_state "intent"
    temp.run("kill -9 " .. first.pid)
    local held, err = scene.cluster:rotate_password { user = USER }
    assert.is_nil(held)
    assert.equal(7, err.exit)
    place:end_leases()
    assert(scene.cluster:resume {})
    assert.equal(1, (scene.hashes(scene:requests(PUT, USER))))
    scene:assert_settled(USER)
  end)

  it("leave the account alone that the store itself uses, unless it is named, and then it comes last", function()
    place:psql "GRANT SELECT ON crdbcloud_store, crdbcloud_records TO app_user_001"
    -- Other specs have changed the password that it had at the start.
    scene.sandbox:psql "ALTER ROLE app_user_001 PASSWORD 'store-Account-4711'"
    finally(function() place:psql "DROP OWNED BY app_user_001" end)
    local cluster = scene:handle { cluster = {
      store = place:url { user = "app_user_001", password = "store-Account-4711" }, store_key_file = place.key_file,
    } }
    local plan = assert(cluster:plan_rotation { users = "all" })
    local seen
    for _, row in ipairs(plan.rows) do seen = seen or row.user == "app_user_001" and row end
    assert.equal("skip", seen.result)
    assert.equal("used by the SQL connection or the store itself", seen.note)
    plan = assert(cluster:plan_rotation { users = { "app_user_001", "app_user_002" } })
    assert.equal("app_user_001", plan.rows[#plan.rows].user)
    assert.equal("rotate", plan.rows[#plan.rows].result)
  end)

  it("A21: part the users between them when they start together", function()
    local users = {}
    for i = 1, 5 do users[i] = ("app_user_%03d"):format(i) end
    local backwards = {}
    for i = 1, 5 do backwards[i] = users[6 - i] end
    local a, b = rotator { users = users }, rotator { users = backwards }
    local out_a, status_a = a.finished()
    local out_b, status_b = b.finished()
    assert.equal(0, status_a, out_a)
    assert.equal(0, status_b, out_b)
    for _, user in ipairs(users) do
      local rec = scene:assert_settled(user)
      assert.equal(rec.epoch, (scene.hashes(scene:requests(PUT, user))))
    end
    assert.equal("0", place:psql "SELECT count(*) FROM crdbcloud_leases")
  end)
end)
