local core = require "crdbcloud.core"
local record = require "crdbcloud.record"
local scene = require "spec.support.scene"
local spool = require "crdbcloud.run.spool"
local temp = require "spec.support.temp"

local PUT = "update_sql_user_password"
local USER = "app_user_001"

local sc

-- A session that logged in with what the store holds.
local function session(user, password)
  return assert(require("crdbcloud.sql").connect {
    host = sc.sandbox.pg.host, port = sc.sandbox.pg.port, dbname = "shop", user = user, password = password,
    sslmode = "verify-full", sslrootcert = sc.sandbox.ca_file,
  })
end

describe("an emergency", function()
  before_each(function() sc = scene.open() end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  it("changes the password and ends the sessions that used the old one", function()
    assert(sc.cluster:rotate_password(USER))
    local open = session(USER, sc:record(USER).current.password)
    assert.is_table(open:query "SELECT 1")
    local report = assert(sc.cluster:rotate_passwords { emergency = { USER } })
    assert.are.equal("done", report.rows[1].result)
    assert.is_true(report.rows[1].sessions_cancelled >= 1)
    assert.is_nil((open:query "SELECT 1"))
    open:close()
    sc:assert_settled(USER)
  end)

  it("C15: whose sessions could not be ended (here without an SQL connection) ends in 3, and resume ends them", function()
    local cluster = sc:handle { cluster = { sql = false } }
    local report, err = cluster:rotate_passwords { emergency = USER }
    assert.is_nil(report)
    assert.are.equal(3, err.exit)
    assert.truthy(err.hint:find("CANCEL SESSIONS IF EXISTS", 1, true), err.hint)
    assert.truthy(err.hint:find("'" .. USER .. "'", 1, true))
    assert.are.equal("idle", sc:record(USER).state)
    -- The sessions stay on the record until somebody has ended them.
    assert.is_true(sc:record(USER).sessions_due)
    assert(sc.cluster:resume())
    assert.is_nil(sc:record(USER).sessions_due)
  end)

  it("for all takes SSO users and protected names out and its own account last", function()
    local report = assert(sc.cluster:rotate_passwords { emergency = "all", dry_run = true })
    local last = report.rows[#report.rows]
    assert.are.equal("sandbox_admin", last.user)
    assert.are.equal("rotate", last.result)
    for _, row in ipairs(report.rows) do
      if row.user == "sso_anna" then assert.are.equal("skip", row.result) end
    end
  end)

  it("does not wait for an unanswered change, and sends the same bytes once more after it has settled", function()
    assert(sc.cluster:rotate_password(USER))
    -- As a crash leaves it: an answer that never came, of a rotation that was finished since.
    local rec, version = sc:record(USER)
    local sent = core.time() - 127 -- settles about eight seconds from now
    rec.sends = { { n = 1, op = PUT, epoch = rec.epoch, at = sent, deadline = sent + 15 } }
    sc:put(rec, version)
    local settles = sent + 15 + record.SETTLE
    sc.sandbox:clear()
    assert(sc.cluster:rotate_passwords { emergency = { USER } })
    local puts = sc:requests(PUT, USER)
    assert.are.equal(2, #puts)
    assert.are.equal(puts[1].password_hash, puts[2].password_hash)
    assert.is_true(core.time() >= settles)
    local now = sc:assert_settled(USER)
    assert.is_nil(now.resend_at)
  end)

  it("that is cut before the second send is finished by resume", function()
    assert(sc.cluster:rotate_password(USER))
    local rec, version = sc:record(USER)
    rec.resend_at = core.time() - 1
    sc:put(rec, version)
    sc.sandbox:clear()
    assert(sc.cluster:resume())
    assert.are.equal(1, #sc:requests(PUT, USER))
    assert.are.equal(sc.sandbox:hash(rec.current.password), sc:requests(PUT, USER)[1].password_hash)
    assert.is_nil(sc:assert_settled(USER).resend_at)
  end)

  it("changes the password again while sessions of the change before cannot be ended", function()
    local nosql = sc:handle { cluster = { sql = false } }
    local seen = {}
    for epoch = 1, 3 do
      local report, err = nosql:rotate_passwords { emergency = { USER } }
      assert.is_nil(report)
      assert.are.same({ 3, "applied" }, { err.exit, err.outcome })
      local rec = sc:record(USER)
      assert.are.equal(epoch, rec.epoch)
      assert.is_true(rec.sessions_due)
      assert.are.equal("accepted", sc:login(USER, rec.current.password))
      seen[#seen + 1] = sc.sandbox:hash(rec.current.password)
    end
    assert.are_not.equal(seen[1], seen[2])
    assert.are_not.equal(seen[2], seen[3])
    assert(sc.cluster:resume())
    sc:assert_settled(USER)
  end)

  it("that leaves young passwords alone does not say done of one that a sink does not have", function()
    local sinks = { { "command", command = { "/bin/false" } } }
    assert.is_nil((sc.cluster:rotate_password { user = USER, sinks = sinks }))
    local report, err = sc.cluster:rotate_passwords { emergency = { USER }, max_age = "90d", sinks = sinks }
    assert.is_nil(report)
    assert.are.same({ 6, "applied" }, { err.exit, err.outcome })
  end)

  it("ends with an error when a half-done first rotation turns out to be refused and leaves no record", function()
    sc.sandbox:fault { op = PUT, user = USER, what = "drop_before", count = 1 }
    local hasty = sc:handle { max_attempts = 1, cluster = { sql = false } }
    assert.is_nil((hasty:rotate_password { user = USER, password = "Given-Password-4711" }))
    local rec, version = sc:record(USER)
    rec.sends = { { n = 1, op = PUT, epoch = rec.epoch, at = rec.sends[1].at, outcome = "not_sent" } }
    sc:put(rec, version)
    sc.sandbox:fault { op = PUT, user = USER, what = "error_before", status = 400, code = 3, message = "password was used before", count = "all" }
    for _, call in ipairs {
      function() return sc.cluster:rotate_password(USER) end, function() return sc.cluster:rotate_passwords { emergency = { USER } } end,
    } do
      local report, err = call()
      assert.is_nil(report)
      assert.is_table(err.report)
    end
  end)

  it("that is only planned writes nothing", function()
    local dir = sc.dir .. "/not-there"
    local cluster = sc:handle { cluster = { store = "file:" .. dir } }
    assert(cluster:plan_rotation { emergency = { USER } })
    assert(cluster:rotate_passwords { emergency = { USER }, dry_run = true })
    assert(cluster:disable_user { user = USER, dry_run = true })
    assert.is_nil((core.stat(dir)))
  end)

  it("changes it again while a sink of the change before is down, and resume publishes the newest", function()
    local sinks = { { "command", command = { "sh", "-c", "test -e " .. sc.dir .. "/up" } } }
    assert.is_nil((sc.cluster:rotate_password { user = USER, sinks = sinks }))
    for epoch = 2, 3 do
      local report, err = sc.cluster:rotate_passwords { emergency = { USER }, sinks = sinks }
      assert.is_nil(report)
      assert.are.same({ 6, "applied" }, { err.exit, err.outcome })
      local rec = sc:record(USER)
      assert.are.equal(epoch, rec.epoch)
      assert.are.equal("accepted", sc:login(USER, rec.current.password))
    end
    temp.run("touch " .. sc.dir .. "/up")
    assert(sc.cluster:resume())
    sc:assert_settled(USER)
  end)

  for _, case in ipairs {
    { { emergency = 7 }, 'rotate_passwords: emergency takes names or "all", got 7' },
    { { emergency = "all", users = "all" }, "rotate_passwords: users, emergency and plan exclude one another" },
    { { emergency = "all", window = "01:00-02:00" }, "rotate_passwords: an emergency has no window" },
    { {}, "rotate_passwords: users is missing" },
  } do
    it("raises: " .. case[2], function()
      local ok, err = pcall(sc.cluster.rotate_passwords, sc.cluster, case[1])
      assert.is_false(ok)
      assert.truthy(err:find(case[2], 1, true), err)
    end)
  end
end)

describe("an emergency while the store is down", function()
  before_each(function() sc = scene.open() end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  -- A process of its own, so that the state directory is its own.
  local function run(body, state)
    local spec = sc:sql_spec()
    temp.write(state .. "/sql", ("postgresql://%s@%s:%d/shop?sslmode=verify-full&sslrootcert=%s"):format(spec.user,
      spec.host, spec.port, spec.sslrootcert))
    return temp.run(("XDG_STATE_HOME=%s PGPASSFILE=%s "):format(state, sc.sandbox.pgpassfile) .. temp.lua(([[
      local crdbcloud = require "crdbcloud"
      local cloud = assert(crdbcloud.new{ base_url = "%s", ca_file = "%s", api_key_file = "%s", rate = 0 })
      local cluster = assert(cloud:cluster("%s", { store = "%s", sql = io.open("%s"):read("*a") }))
      crdbcloud.main(function() %s end)]]):format(sc.sandbox.url, sc.sandbox.ca_file, sc.sandbox.keys.admin, sc.id,
      sc.store_url, state .. "/sql", body)))
  end

  it("gives nobody the password of a user whose creation was cut, and resume finishes that", function()
    local state, name = temp.dir(), "spec_" .. core.random_hex(6)
    -- As a crash right after the POST leaves it: an admin, with a password that nobody gets.
    local bootstrap = require("crdbcloud.passwords").generate()
    assert(sc:handle().cloud:create_sql_user(sc.id, name, bootstrap))
    assert(assert(sc.cluster:open_store "spec"):put(record.key(sc.id, name), record.new {
      cluster_id = sc.id, cluster_name = "sandbox-one", user = name, state = "posted", creating = true, origin = "create_app_user",
      access = { { database = "shop", schema = "public", tables = { "orders" }, privileges = { "SELECT" } } }, roles = {},
      bootstrap = { password = bootstrap },
    }))
    assert.is_true(assert(sc.cluster:access(name)).admin)
    temp.run(("chmod 755 %s/store"):format(sc.dir))
    local output, status = run(("print(assert(cluster:rotate_passwords{ emergency = { '%s' } }))"):format(name), state)
    assert.are.equal(0, status, output)
    temp.run(("chmod 700 %s/store"):format(sc.dir))
    output, status = run("print(assert(cluster:resume()))", state)
    assert.are.equal(0, status, output)
    assert.truthy(output:find("security: " .. name .. " was being created", 1, true), output)
    local rec = sc:assert_settled(name)
    local puts = sc:requests(PUT, name)
    assert.are.equal(2, #puts)
    assert.are_not.equal(puts[1].password_hash, puts[2].password_hash)
    assert.are.equal(sc.sandbox:hash(rec.current.password), puts[2].password_hash)
    local access = assert(sc.cluster:access(name))
    assert.is_false(access.admin)
    assert.truthy(tostring(access):find("SELECT on table shop.public.orders", 1, true), tostring(access))
    assert(sc.cluster:remove_app_user(name))
  end)

  it("goes on with the spool when the store can be read and not written, and says why", function()
    assert(sc.cluster:rotate_password(USER))
    local state = temp.dir()
    -- In the place of a file that it must write.
    temp.run(("mkdir %s/store/%s/%%40emergency.lock"):format(sc.dir, sc.id))
    local output, status = run(("print(assert(cluster:rotate_passwords{ emergency = { '%s' } }))"):format(USER), state)
    assert.are.equal(0, status, output)
    assert.truthy(output:find("the store is down (locking ", 1, true), output)
    temp.run(("rmdir %s/store/%s/%%40emergency.lock"):format(sc.dir, sc.id))
    output, status = run("print(assert(cluster:resume()))", state)
    assert.are.equal(0, status, output)
    sc:assert_settled(USER)
  end)

  it("says that a spool that cannot be read is not merged", function()
    local state = temp.dir()
    temp.run(("mkdir -p %s/crdbcloud/spool; chmod 755 %s/crdbcloud/spool"):format(state, state))
    local output, status = run(("print(assert(cluster:rotate_password '%s'))"):format(USER), state)
    assert.are.equal(0, status, output)
    assert.truthy(output:find("may have kept in the spool is not in the store", 1, true), output)
  end)

  it("keeps the password in the spool before it is sent, and resume merges it", function()
    assert(sc.cluster:rotate_password(USER))
    local before = sc:record(USER)
    local state = temp.dir()
    temp.run(("chmod 755 %s/store"):format(sc.dir)) -- a store that is refused
    local output, status = run(("print(assert(cluster:rotate_passwords{ emergency = { '%s' } }))"):format(USER), state)
    assert.are.equal(0, status, output)
    assert.truthy(output:find("the store is down", 1, true))
    assert.truthy(temp.run("ls " .. state .. "/crdbcloud/spool/" .. sc.id):find(USER .. ".rec", 1, true))
    temp.run(("chmod 700 %s/store"):format(sc.dir))
    assert.are.equal("wrong_password", sc:login(USER, sc:record(USER).current.password))
    output, status = run("print(assert(cluster:resume()))", state)
    assert.are.equal(0, status, output)
    local rec = sc:assert_settled(USER)
    assert.is_true(rec.epoch > before.epoch)
    assert.is_true(rec.previous.password:equals(before.current.password))
    assert.is_nil(temp.run("ls " .. state .. "/crdbcloud/spool/" .. sc.id):find(USER .. ".rec", 1, true))
  end)
end)

describe("merging a spooled record", function()
  local function rec(fields)
    local r = record.new { cluster_id = "c", user = "app", state = "idle", epoch = 7 }
    for k, v in pairs(fields) do r[k] = v end
    return r
  end
  local function pw(text) return { epoch = 7, password = core.secret(text) } end

  it("counts the spooled password as the newest epoch and keeps the store's as previous", function()
    local out = spool.merged(rec { current = pw "main" }, rec { epoch = 1, current = pw "spooled" }, { time = 100 })
    assert.are.equal(8, out.epoch)
    assert.are.equal("idle", out.state)
    assert.is_true(out.current.password:equals "spooled")
    assert.are.equal(8, out.current.epoch)
    assert.is_true(out.previous.password:equals "main")
    assert.is_true(out.flags.unpublished)
  end)

  it("keeps a stage of the store's as a candidate", function()
    local out = spool.merged(rec { current = pw "main", state = "intent", staged = pw "staged" },
      rec { epoch = 1, current = pw "spooled" }, { time = 100 })
    assert.is_true(out.candidates[1].password:equals "staged")
    assert.is_nil(out.staged)
  end)

  it("goes on with a spooled stage that was not answered", function()
    local out = spool.merged(rec { current = pw "main" }, rec {
      epoch = 1, state = "intent", staged = pw "spooled",
      sends = { { n = 1, op = PUT, epoch = 1, at = 5, deadline = 10 } },
    }, { time = 100 })
    assert.are.equal("intent", out.state)
    assert.are.equal(8, out.staged.epoch)
    assert.are.equal(8, out.sends[1].epoch)
    assert.is_true(out.current.password:equals "main")
    assert.is_true(record.may_be_live(out))
  end)

  for _, state in ipairs { "posting", "posted", "demoted", "granted", "staged", "intent" } do
    it("lets a creation that was cut in " .. state .. " go on from where the user may be an admin", function()
      local main = rec {
        creating = true, state = state, bootstrap = pw "throwaway", staged = (state == "staged" or state == "intent") and pw "staged" or nil,
      }
      for _, spooled in ipairs {
        { current = pw "spooled" }, { state = "intent", staged = { epoch = 1000, password = core.secret "spooled" },
          sends = { { n = 1, op = PUT, epoch = 1000, at = 5, deadline = 10 } } },
      } do
        spooled.epoch = 1000
        local out = spool.merged(main, rec(spooled), { time = 100 })
        assert.are.equal("demoted", out.state)
        assert.is_true(out.demote)
        assert.is_nil(out.staged)
        assert.are.same({}, record.candidates(out))
        local kept = {}
        for _, candidate in ipairs(out.candidates) do
          assert.is_true(candidate.withheld)
          kept[candidate.password:reveal()] = candidate.epoch
        end
        assert.are.equal(1001, kept.spooled)
        assert.are.equal(main.staged and 7, kept.staged)
      end
    end)
  end

  it("leaves a creation as it is when the emergency sent nothing", function()
    local main = rec { creating = true, state = "posting", bootstrap = pw "throwaway", sends = { { n = 1, op = "create_sql_user", epoch = 0, at = 5 } } }
    for _, sends in ipairs { {}, { { n = 1, op = PUT, epoch = 7, at = 5, outcome = "rejected" } } } do
      assert.are.same(main, spool.merged(main, rec { state = #sends > 0 and "intent" or "staged", staged = pw "spooled", sends = sends }, { time = 100 }))
    end
  end)

  it("drops a creation that had sent nothing: the user is somebody's", function()
    local out = spool.merged(rec { creating = true, state = "planned", bootstrap = pw "throwaway" },
      rec { epoch = 1, current = pw "spooled" }, { time = 100 })
    assert.are.equal("idle", out.state)
    assert.is_nil(out.creating)
    assert.is_true(out.current.password:equals "spooled")
  end)

  it("takes the spooled record as it is where the store has none", function()
    local out = spool.merged(nil, rec { epoch = 1, current = pw "spooled" }, { time = 100 })
    assert.is_true(out.current.password:equals "spooled")
  end)
end)
