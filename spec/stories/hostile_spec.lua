-- The hostile cases of the protocol that need a real server, store or process. The
-- others stand in hostile_sim_spec.lua; `make coverage-of-protocol` lists both.

local cjson = require "cjson"
local core = require "crdbcloud.core"
local record = require "crdbcloud.record"
local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

local PUT = "update_sql_user_password"
local USER = "app_user_001"
local sc

local function results(report)
  local by = {}
  for _, row in ipairs(report.rows) do by[row.user] = row.result end
  return by
end

-- A job in a process of its own, on the scene's store.
local function process(body, prefix)
  local spec = sc:sql_spec()
  local url = ("postgresql://%s@%s:%d/shop?sslmode=verify-full&sslrootcert=%s"):format(spec.user, spec.host, spec.port,
    spec.sslrootcert)
  return temp.run(("PGPASSFILE=%s %s "):format(sc.sandbox.pgpassfile, prefix or "") .. temp.lua(([[
    local crdbcloud = require "crdbcloud"
    crdbcloud.main(function()
      local cloud = assert(crdbcloud.new{ base_url = "%s", ca_file = "%s", api_key_file = "%s", rate = 0 })
      local cluster = assert(cloud:cluster("%s", { store = "%s", sql = "%s" }))
      %s
    end)]]):format(sc.sandbox.url, sc.sandbox.ca_file, sc.sandbox.keys.admin, sc.id, sc.store_url, url, body)))
end

describe("hostile cases:", function()
  before_each(function() sc = scene.open { timeout = 2, max_attempts = 3, deadline = 20 } end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  it("A1, A2, A3: a change whose answer is lost, before or after it was applied, is never called failed", function()
    for i, what in ipairs { "drop_before", "drop_after", "error_before", "error_after" } do
      local user = "app_user_00" .. i
      sc.sandbox:fault { op = PUT, user = user, what = what, status = 500, code = 13, count = 99 }
      local report, err = sc.cluster:rotate_password(user)
      if report then
        assert.are.equal("done", report.rows[1].result)
      else
        assert.are.equal("unknown", err.outcome, what)
        assert.are.equal(5, err.exit)
      end
      sc.sandbox:clear()
      assert(sc.cluster:resume())
      sc:assert_settled(user)
    end
  end)

  it("A4: 'must differ' that comes first, since a gateway sent the change twice, is settled by a login", function()
    sc.sandbox:fault { op = PUT, user = USER, what = "error_after", status = 400, code = 3, count = 1,
      message = "new password must differ from the current password" }
    assert(sc.cluster:rotate_password(USER))
    assert.are.equal("login", sc:assert_settled(USER).current.evidence)
    assert.are.equal(1, #sc:requests(PUT, USER))
  end)

  it("A5: a connection that dies under a change is not used to send it again in silence", function()
    assert(sc.cluster.cloud:list_sql_users(sc.id)) -- a connection to reuse
    sc.sandbox:fault { op = PUT, user = USER, what = "drop_after", count = 1 }
    local cloud = sc.cluster.cloud
    local value, err = cloud:once(PUT, { cluster_id = sc.id, name = USER, password = core.secret "a-Password-sent-once" }, {})
    assert.is_nil(value)
    assert.are.equal("unknown", err.outcome)
    assert.are.equal(1, #sc:requests(PUT, USER))
  end)

  it("A11, A29: a login that cannot be tried is no evidence: 'auto' goes by the answer, 'require' does not", function()
    local cluster = sc:handle()
    cluster.probe_target = function() return { host = "127.0.0.1", port = 1, database = "shop", sslmode = "verify-full" } end
    local report = assert(cluster:rotate_password(USER))
    assert.are.equal("network", report.rows[1].verified)
    assert.are.equal("network", sc:record(USER).current.verified)
    local none, err = cluster:rotate_password { user = USER, verify = "require" }
    assert.is_nil(none)
    assert.are.equal("applied", err.outcome)
    assert.are.equal(6, err.exit)
    assert.are.equal("applied", sc:record(USER).state)
    assert(sc.cluster:resume())
    sc:assert_settled(USER)
  end)

  it("A12: too many connections and no login are not a wrong password", function()
    assert(sc.cluster:rotate_password(USER))
    sc.sandbox:psql(("ALTER ROLE %s CONNECTION LIMIT 0"):format(USER))
    assert.are.equal("too_many_connections", assert(sc.cluster:rotate_password(USER)).rows[1].verified)
    sc.sandbox:psql(("ALTER ROLE %s CONNECTION LIMIT -1 NOLOGIN"):format(USER))
    assert.are.equal("no_login", assert(sc.cluster:rotate_password(USER)).rows[1].verified)
    sc.sandbox:psql(("ALTER ROLE %s LOGIN"):format(USER))
    sc:assert_settled(USER)
    assert.is_nil(sc:record(USER).flags.contested)
  end)

  it("A13, A28: a store that is down before the stage stops everything: nothing is sent", function()
    assert(sc.cluster:rotate_password(USER))
    sc.sandbox:clear()
    temp.run(("chmod 755 %s/store"):format(sc.dir))
    local cluster = sc:handle()
    local report, err = cluster:rotate_password(USER)
    temp.run(("chmod 700 %s/store"):format(sc.dir))
    assert.is_nil(report)
    assert.are.equal("store", err.kind)
    assert.are.equal("not_sent", err.outcome)
    assert.are.equal(0, #sc:requests(PUT))
  end)

  it("A14, A17: a store that fails after the change: published, exit 6, no further user, mended by resume", function()
    local out = temp.dir()
    local directory = ("%s/store/%s"):format(sc.dir, sc.id)
    local cluster = sc:handle {
      on_event = function(event)
        if event.operation == PUT then temp.run(("mv %s %s.away && touch %s"):format(directory, directory, directory)) end
      end,
    }
    local report, err = cluster:rotate_passwords { users = { USER, "app_user_002" }, sinks = "json:" .. out .. "/{user}.json" }
    temp.run(("rm -f %s && mv %s.away %s"):format(directory, directory, directory))
    assert.is_nil(report)
    assert.are.equal(6, err.exit)
    assert.are.same({ app_user_001 = "unpublished", app_user_002 = "untouched" }, results(err.report))
    -- In memory it went on as far as the sink, and the password there is live.
    local published = cjson.decode(temp.read(out .. "/" .. USER .. ".json")).password
    assert.are.equal("accepted", sc:login(USER, published))
    assert(sc.cluster:resume())
    assert.is_true(sc:assert_settled(USER).current.password:equals(published))
    assert.are.equal(1, (sc.hashes(sc:requests(PUT, USER))))
  end)

  it("A19: a store that is made on one host says what its loss would mean", function()
    local report = assert(sc.cluster:rotate_password(USER))
    local text = "when the host is lost, so are the passwords in it"
    assert.truthy(table.concat(report.warnings, "\n"):find(text, 1, true))
    assert.is_nil(table.concat(assert(sc.cluster:rotate_password(USER)).warnings or {}, "\n"):find(text, 1, true))
  end)

  it("A20: a second run on the same store and host is told whose turn it is", function()
    local store = assert(sc.cluster:open_store "spec")
    local lock = assert(store:lock(sc.id .. "/@run", "run-of-the-first"))
    local output, status = process "print(assert(cluster:rotate_passwords{ users = 'all' }))"
    lock.close()
    assert.are.equal(7, status, output)
    assert.truthy(output:find("run-of-the-first", 1, true))
    assert.are.equal(0, #sc:requests(PUT))
  end)

  it("A23, A24: somebody else who changes the password is told of, and not fought", function()
    assert(sc.cluster:rotate_password(USER))
    local times = 99
    local cluster = sc:handle {
      on_event = function(event)
        if event.operation == PUT and times > 0 then
          times = times - 1
          sc.sandbox:psql(("ALTER ROLE %s PASSWORD 'set-by-somebody-else'"):format(USER))
        end
      end,
    }
    sc.sandbox:clear()
    local report, err = cluster:rotate_password(USER)
    assert.is_nil(report)
    assert.truthy(err.message:find("somebody else has set another", 1, true))
    assert.is_true(sc:record(USER).flags.contested)
    assert.is_nil((cluster:resume()))
    local sent = #sc:requests(PUT, USER)
    assert.is_nil((cluster:resume()))
    assert.are.equal(sent, #sc:requests(PUT, USER))
    assert.are.equal("accepted", sc:login(USER, "set-by-somebody-else"))
  end)

  it("A27: a service that cannot be reached stops the run after a few users", function()
    local cluster = sc:handle { max_attempts = 1 }
    sc.sandbox:fault { op = PUT, what = "drop_before", count = 99 }
    local report, err = cluster:rotate_passwords { users = "all", max_failures = 2 }
    assert.is_nil(report)
    assert.are.equal(5, err.exit)
    local n = { unknown = 0, untouched = 0, skipped = 0 }
    for _, row in ipairs(err.report.rows) do n[row.result] = n[row.result] + 1 end
    assert.are.same({ unknown = 2, untouched = 4, skipped = 2 }, n)
  end)

  it("A30: a key that is revoked in mid-run stops it, with the exact list of what is done and what is not", function()
    sc.sandbox:fault { op = PUT, nth = 2, count = 99, what = "error_before", status = 401, code = 16 }
    local report, err = sc.cluster:rotate_passwords { users = { USER, "app_user_002", "app_user_003" } }
    assert.is_nil(report)
    assert.are.equal(3, err.exit)
    assert.are.same({ app_user_001 = "done", app_user_002 = "failed", app_user_003 = "untouched" }, results(err.report))
    assert.are.equal("unauthenticated", err.kind)
  end)

  it("A32: a user deleted in mid-run is marked gone and never made again", function()
    sc.sandbox:psql "CREATE ROLE spec_gone LOGIN"
    local dropped
    local report, err = sc.cluster:rotate_passwords {
      users = { "spec_gone", USER },
      on_progress = function(event)
        if event.step == "send" and event.user == "spec_gone" and not dropped then
          dropped = true
          sc.sandbox:psql "DROP ROLE spec_gone"
        end
      end,
    }
    assert.is_nil(report)
    assert.are.same({ spec_gone = "failed", app_user_001 = "done" }, results(err.report))
    assert.is_true(sc:record("spec_gone").flags.gone)
    assert.are.equal(0, #sc:requests "create_sql_user")
  end)

  it("A33: a user that was made again by somebody else is not taken for ours", function()
    sc.sandbox:psql "CREATE ROLE spec_again LOGIN"
    assert(sc.cluster:rotate_password "spec_again")
    local rec, version = sc:record "spec_again"
    rec.current.set_at = rec.current.set_at - 100
    sc:put(rec, version)
    assert(sc.cluster.cloud:delete_sql_user(sc.id, "spec_again"))
    assert(sc.cluster.cloud:create_sql_user(sc.id, "spec_again", "made-by-somebody-else-1"))
    sc.sandbox:clear()
    local cluster = sc:handle { api_key_file = sc.sandbox.keys.org_admin }
    local plan = assert(cluster:plan_rotation { users = "managed" })
    assert.are.equal("blocked", plan.rows[1].result)
    assert.are.equal("was made again by somebody else since, says the audit log", plan.rows[1].note)
    assert(sc.cluster.cloud:delete_sql_user(sc.id, "spec_again"))
  end)

  it("A34: a rate limit that others use up is no failure of the users", function()
    local cluster = sc:handle { max_attempts = 1 }
    sc.sandbox:fault { op = PUT, what = "rate_limited", form = "seconds", count = 4 }
    local report = assert(cluster:rotate_passwords { users = { USER, "app_user_002", "app_user_003", "app_user_004" }, max_failures = 2 })
    for _, row in ipairs(report.rows) do assert.are.equal("done", row.result) end
  end)

  it("A35: a Retry-After beyond reason is not waited for, and told", function()
    sc.sandbox:fault { op = PUT, user = USER, what = "rate_limited", form = "absurd", count = 99 }
    local report, err = sc.cluster:rotate_password(USER)
    assert.is_nil(report)
    assert.are.equal("rate_limited", err.kind)
    assert.are.equal("not_sent", err.outcome)
    assert.is_true(err.retry_after > 60)
  end)

  it("A36: lists end in five forms; users are met once", function()
    for _, form in ipairs { "absent", "null", "no_next", "null_next", "empty_next" } do
      local ok = pcall(sc.sandbox.set, sc.sandbox, { page_end = form, page_cap = 2 })
      if ok then
        local seen = {}
        for _, user in ipairs(assert(sc.cluster:all_sql_users())) do
          assert.is_nil(seen[user.name])
          seen[user.name] = true
        end
        assert.is_true(seen[USER])
      end
    end
  end)

  it("A38: a stage that came back from a backup is not sent to a cluster that it does not fit", function()
    assert(sc.cluster:rotate_password(USER))
    local rec, version = sc:record(USER)
    rec = record.move(rec, "staged", {
      epoch = 2, staged = { epoch = 2, password = core.secret "staged-two-days-ago", created_at = math.floor(core.time()) - 2 * 86400 },
    })
    rec.current.password = core.secret "not-the-live-one"
    version = sc:put(rec, version)
    sc.sandbox:clear()
    local report, err = sc.cluster:resume()
    assert.is_nil(report)
    assert.truthy(err.message:find("the record does not fit the cluster", 1, true))
    assert.are.equal(0, #sc:requests(PUT))
    -- With the current password live it does fit, and is finished.
    local live = "a-Password-that-is-live-1"
    sc.sandbox:psql(("ALTER ROLE %s PASSWORD '%s'"):format(USER, live))
    rec.current.password = core.secret(live)
    sc:put(rec, version)
    assert(sc.cluster:resume())
    assert.is_true(sc:assert_settled(USER).current.password:equals "staged-two-days-ago")
  end)

  it("A39: a store in memory is told of", function()
    local dir = "/dev/shm/crdbcloud-spec-" .. core.random_hex(6)
    local cluster = sc:handle { cluster = { store = "file:" .. dir } }
    local report = assert(cluster:rotate_password(USER))
    temp.run("rm -rf " .. dir)
    local tmpfs = temp.run "stat -f -c %T /dev/shm":find "tmpfs"
    assert.are.equal(tmpfs ~= nil, table.concat(report.warnings, "\n"):find("is in memory", 1, true) ~= nil)
  end)

  it("A41: a command that hangs is ended, and no good password is taken back", function()
    local hooks = require "crdbcloud.run.hooks"
    local limit = hooks.TIMEOUT
    hooks.TIMEOUT = 0.2
    local report, err = sc.cluster:rotate_passwords { users = { USER }, after = { "/bin/sleep", "60" } }
    hooks.TIMEOUT = limit
    assert.is_nil(report)
    assert.are.equal("hook", err.kind)
    sc:assert_settled(USER)
  end)

  it("A42: sessions that we may not end are told of with the statement to run", function()
    sc.sandbox:psql "DROP ROLE IF EXISTS spec_weak; CREATE ROLE spec_weak LOGIN PASSWORD 'weak-Password-1'"
    local spec = sc:sql_spec()
    spec.user, spec.password = "spec_weak", core.secret "weak-Password-1"
    local busy = assert(require("crdbcloud.sql").connect(sc:sql_spec()))
    assert(sc.cluster:rotate_password(USER))
    local open = assert(require("crdbcloud.sql").connect {
      host = spec.host, port = spec.port, dbname = "shop", user = USER, password = sc:record(USER).current.password,
      sslmode = "verify-full", sslrootcert = spec.sslrootcert,
    })
    local report, err = sc:handle({ cluster = { sql = spec } }):rotate_password { user = USER, cancel_sessions = true }
    open:close()
    busy:close()
    sc.sandbox:psql "DROP ROLE spec_weak"
    assert.is_nil(report)
    assert.are.equal(3, err.exit)
    assert.are.equal("applied", err.outcome)
    assert.truthy(err.hint:find("pg_terminate_backend", 1, true), err.hint)
  end)

  it("A43: the account that the run itself uses comes last", function()
    local report = assert(sc.cluster:plan_rotation { users = { "sandbox_admin", USER, "app_user_002" } })
    assert.are.equal("sandbox_admin", report.rows[3].user)
  end)

  it("A44: a password that the rules refuse is replaced a few times, not for ever", function()
    sc.sandbox:fault { op = PUT, user = USER, what = "error_before", status = 400, code = 3, count = 99,
      message = "password is too weak" }
    local report, err = sc.cluster:rotate_password(USER)
    assert.is_nil(report)
    assert.are.equal("rejected", err.outcome)
    assert.are.equal(4, #sc:requests(PUT, USER))
  end)

  it("A45: a password in an answer is shown to nobody", function()
    sc.sandbox:fault { op = PUT, user = USER, what = "echo_password", count = 99 }
    local _, err = sc.cluster:rotate_password { user = USER, password = "my-own-Passphrase-45" }
    assert.is_nil((tostring(err) .. err:json()):find("Passphrase-45", 1, true))
  end)
end)

describe("signals:", function()
  it("A40: SIGTERM finishes the user in hand, starts no other, and ends with 143", function()
    sc = scene.open()
    sc.sandbox:fault { op = PUT, what = "delay", seconds = 0.3, count = 99 }
    local output, status = process([[
      core.interrupts(true)
      local report, err = cluster:rotate_passwords{ users = { "app_user_001", "app_user_002", "app_user_003" },
        on_progress = function(event)
          if event.step == "send" then os.execute("kill -TERM " .. core.pid()) end
        end }
      print(err.exit)
      for _, row in ipairs(err.report.rows) do print(row.user, row.result) end
      assert(report, err)]])
    assert.are.equal(143, status, output)
    assert.truthy(output:find("app_user_001\tdone", 1, true))
    assert.truthy(output:find("app_user_002\tuntouched", 1, true))
    sc:assert_settled(USER)
    sc:close()
    temp.clean()
  end)
end)
