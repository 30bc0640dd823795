-- Tests lua/crdbcloud/threads/channel.lua, lua/crdbcloud/threads/worker.lua, lua/crdbcloud/base/json.lua.

local core = require "crdbcloud.core"
local crdbcloud = require "crdbcloud"
local record = require "crdbcloud.record"
local scene = require "spec.support.scene"
local sql_store = require "spec.support.stores.sql_store"
local store = require "crdbcloud.store"
local temp = require "spec.support.temp"
local uv = require "luv"

local PUT = "update_sql_user_password"
local USERS = { "app_user_001", "app_user_002", "app_user_003", "app_user_004", "app_user_005" }

-- A directory that Lua looks into first, also in threads, with one file in it.
local function poisoned(module, text)
  local dir, path = temp.dir(), package.path
  local folder = dir .. "/" .. module:match("^(.*)%."):gsub("%.", "/")
  temp.run("mkdir -p " .. folder)
  temp.write(dir .. "/" .. module:gsub("%.", "/") .. ".lua", text)
  package.path = dir .. "/?.lua;" .. path
  return function() package.path = path end
end

describe("a rotation in threads", function()
  local sc
  before_each(function() sc = scene.open() end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  local function results(report)
    local list = {}
    for i, row in ipairs(report.rows) do list[i] = row.result end
    return list
  end

  local function rotate(options, cluster)
    options.users, options.parallel = options.users or USERS, options.parallel or 4
    local report, err = (cluster or sc.cluster):rotate_passwords(options)
    return report or err.report, err
  end

  it("gives the report of one that works alone, and every stored password logs in", function()
    local report, err = rotate { reason = "in threads" }
    assert.is_nil(err)
    assert.same({ "done", "done", "done", "done", "done" }, results(report))
    for i, user in ipairs(USERS) do
      local row = report.rows[i]
      assert.same({ user, "accepted", 1, "idle" }, { row.user, row.verified, row.epoch, row.state })
      assert.equal("1", tostring(row.epoch)) -- not 1.0
      local rec = sc:assert_settled(user)
      assert.same({ report.run_id, "in threads", core.pid() }, { rec.run_id, rec.current.reason, tonumber(rec.by:match ":(%d+)$") })
    end
    assert.same({ 5, 5 }, { #sc:requests(PUT), (sc.hashes(sc:requests(PUT))) })
    -- Each thread has a connection of its own, and asks for nothing that is known already.
    local connections, count = {}, 0
    for _, entry in ipairs(sc:requests(PUT)) do
      if not connections[entry.connection] then count = count + 1 end
      connections[entry.connection] = true
    end
    assert.is_true(count <= 4)
    assert.equal(1, #sc:requests "get_connection_string")
  end)

  it("tells of everything in the caller's thread only, with counts", function()
    local events, done, heard = {}, {}, {}
    local handle = sc:handle { on_event = function(event) heard[#heard + 1] = event end }
    local report = assert(rotate({ on_progress = function(event) events[#events + 1] = event end }, handle))
    for _, event in ipairs(events) do
      assert.equal(report.run_id, event.run_id)
      assert.is_string(tostring(event))
      if event.step == "user" then
        done[#done + 1] = event.user
        assert.same({ #done, 5, "done" }, { event.index, event.total, event.result })
        assert.is_true(event.seconds_left >= 0)
      end
    end
    table.sort(done)
    assert.same(USERS, done)
    local sent = {}
    for _, event in ipairs(heard) do
      if event.operation == PUT and event.event == "answer" then sent[#sent + 1] = event.user end
    end
    table.sort(sent)
    assert.same(USERS, sent)
  end)

  it("reports an error in the caller's function once and goes on", function()
    local report = assert(rotate { on_progress = function() error "not my day" end })
    assert.equal("done", report.rows[5].result)
    local found = 0
    for _, text in ipairs(report.warnings) do found = found + (text:find("not my day", 1, true) and 1 or 0) end
    assert.equal(1, found)
  end)

  it("works in a callback of the caller's own loop, and runs none of the caller's other callbacks meanwhile", function()
    local order, timers = {}, { uv.new_timer(), uv.new_timer() }
    timers[1]:start(0, 0, function()
      timers[2]:start(0, 0, function() order[#order + 1] = "the other" end)
      order[#order + 1] = table.concat(results(rotate { users = { "app_user_001", "app_user_002" }, parallel = 2 }), " ")
    end)
    uv.run()
    for _, timer in ipairs(timers) do timer:close() end
    assert.same({ "done done", "the other" }, order)
  end)

  it("leaves a Lua state that can be closed", function()
    local out, code = temp.run(([[%s COCKROACH_SERVER=%s COCKROACH_API_KEY_FILE=%s CRDBCLOUD_CA_FILE=%s CRDBCLOUD_CLUSTER=%s CRDBCLOUD_STORE=%s %s]])
      :format("env", sc.sandbox.url, sc.sandbox.keys.admin, sc.sandbox.ca_file, sc.id, sc.store_url, temp.lua [[
        local crdbcloud = require "crdbcloud"
        local cluster = assert(assert(crdbcloud.new { rate = 0 }):cluster())
        local report, err = cluster:rotate_passwords { users = { "app_user_001", "app_user_002" }, parallel = 2, verify = false }
        print((report or err.report).rows[2].result)
        os.exit(0, true)]]))
    assert.same({ "done\n", 0 }, { out, code })
  end)

  it("sends no secret in a message", function()
    local said, write, read = {}, uv.fs_write, uv.fs_read
    finally(function() uv.fs_write, uv.fs_read = write, read end)
    uv.fs_write = function(fd, text, ...)
      said[#said + 1] = text
      return write(fd, text, ...)
    end
    uv.fs_read = function(...)
      local text, why = read(...)
      said[#said + 1] = text
      return text, why
    end
    local new_thread = uv.new_thread
    finally(function() uv.new_thread = new_thread end)
    uv.new_thread = function(body, ...)
      for i = 1, select("#", ...) do said[#said + 1] = tostring((select(i, ...))) end
      return new_thread(body, ...)
    end
    local spec = sc:sql_spec()
    local password = spec.password:reveal()
    local handle = sc:handle { proxy = nil, cluster = { sql = spec } }
    assert(rotate({ on_progress = function() end, cancel_sessions = true }, handle))
    local all = table.concat(said, "\n")
    assert.is_true(#said > 20 and all:find("app_user_003", 1, true) ~= nil)
    local secrets = { password, (temp.read(sc.sandbox.keys.admin):gsub("%s+$", "")) }
    for _, user in ipairs(USERS) do secrets[#secrets + 1] = sc:record(user).current.password:reveal() end
    for _, text in ipairs(secrets) do
      assert.is_true(#text > 8)
      assert.is_nil(all:find(text, 1, true))
    end
  end)

  it("meets a user that another run holds again when the others are done", function()
    local other = assert(store.open(sc.store_url))
    local lock = assert(other:lock(record.key(sc.id, "app_user_002"), "somebody else"))
    local order = {}
    local report = assert(rotate {
      on_progress = function(event)
        if event.step == "user" then
          order[#order + 1] = event.user
          if #order == 4 and lock then lock.close() end
        end
      end,
    })
    assert.equal("done", report.rows[2].result)
    assert.equal("app_user_002", order[5])
    sc:assert_settled "app_user_002"
  end)

  it("stops when the key is not allowed, and leaves the rest alone", function()
    local handle = sc:handle { api_key_file = sc.sandbox.keys.developer }
    local report, err = rotate({ parallel = 2 }, handle)
    assert.equal(4, err.exit)
    local untouched = 0
    for _, row in ipairs(report.rows) do
      if row.result == "untouched" then
        untouched = untouched + 1
        assert.matches("stopped: ", row.note)
      else
        assert.equal("permission_denied", row.kind)
      end
    end
    assert.is_true(untouched >= 3 and untouched == 5 - #sc:requests(PUT))
  end)

  it("keeps the difference between what was refused and what is unknown", function()
    sc.sandbox:fault { op = PUT, user = "app_user_001", what = "error_before", status = 400, code = 3 }
    sc.sandbox:fault { op = PUT, user = "app_user_002", what = "drop_before", count = "all" }
    local handle = sc:handle { timeout = 2, deadline = 2, max_attempts = 1, cluster = { sql = false } }
    local report, err = rotate({ verify = false }, handle)
    assert.equal(5, err.exit)
    assert.same({ "failed", "unknown", "done", "done", "done" }, results(report))
    assert.same({ "invalid_argument", "rejected" }, { report.rows[1].kind, report.rows[1].outcome })
    assert.matches("sent and not answered", report.rows[2].error, 1, true)
    assert.matches("rotate resume", report.rows[2].hint, 1, true)
    sc.sandbox:clear()
    assert(sc.cluster:resume())
    sc:assert_settled "app_user_002"
  end)

  it("keeps sealed records in a database, through a connection of each thread", function()
    local place = sql_store.new()
    finally(function() place:close() end)
    local handle = sc:handle { cluster = { store = place:url(), store_key_file = place.key_file } }
    local report = assert(rotate({}, handle))
    assert.same({ "done", "done", "done", "done", "done" }, results(report))
    for _, warning in ipairs(report.warnings) do assert.is_nil(warning:find("one by one", 1, true)) end
    for _, user in ipairs(USERS) do
      assert.equal("accepted", sc:login(user, assert(handle:credential(user)).password))
    end
    handle:close()
  end)

  it("ends sessions in threads, each with a SQL connection of its own", function()
    local report = assert(rotate { cancel_sessions = true })
    for _, row in ipairs(report.rows) do assert.equal(0, row.sessions_cancelled) end
  end)

  it("reads a key of a function again in the caller's thread", function()
    local calls = 0
    local function key()
      calls = calls + 1
      return core.secret_from_file(sc.sandbox.keys[calls == 1 and "admin" or "other"])
    end
    local cloud = assert(crdbcloud.new { base_url = sc.sandbox.url, ca_file = sc.sandbox.ca_file, api_key = key, rate = 0, timeout = 5 })
    finally(function() cloud:close() end)
    local cluster = assert(cloud:cluster(sc.id, { store = sc.store_url, sql = sc:sql_spec() }))
    sc.sandbox:fault { op = PUT, user = "app_user_003", what = "error_before", status = 401, code = 16 }
    local report = assert(rotate({}, cluster))
    assert.same({ "done", "done", "done", "done", "done" }, results(report))
    assert.equal(2, calls)
    local ids = {}
    for _, entry in ipairs(sc:requests(PUT)) do ids[entry.key_id] = (ids[entry.key_id] or 0) + 1 end
    local admin, other = temp.read(sc.sandbox.keys.admin):match "^CCDB1_%w+", temp.read(sc.sandbox.keys.other):match "^CCDB1_%w+"
    assert.is_true(ids[admin] >= 1 and ids[other] >= 1 and ids[admin] + ids[other] == 6)
    cluster:close()
  end)

  it("finishes those in hand after a signal, and begins no other", function()
    core.interrupts(true)
    finally(function() core.interrupts(false) end)
    local sent = false
    local report, err = rotate {
      parallel = 2,
      on_progress = function(event)
        if event.step == "user" and not sent then
          sent = true
          uv.kill(core.pid(), "sigint")
        end
      end,
    }
    assert.equal(130, err.exit)
    local done = 0
    for _, row in ipairs(report.rows) do
      if row.result == "done" then
        done = done + 1
        sc:assert_settled(row.user)
      else
        assert.same({ "untouched", "interrupted" }, { row.result, row.note })
        assert.is_nil((sc:record(row.user)))
      end
    end
    assert.is_true(done >= 1 and done <= 3)
  end)

  it("makes an error raised in a thread the outcome of its user", function()
    local restore = poisoned("crdbcloud.sql.probe", "error 'broken on purpose'")
    finally(restore)
    local report, err = rotate { max_failures = false }
    restore()
    assert.equal(6, err.exit) -- the change was answered
    for _, row in ipairs(report.rows) do
      assert.same({ "unpublished", "protocol", "applied" }, { row.result, row.kind, row.outcome })
      assert.matches("^" .. row.user .. ": internal error: [^\n]*probe[^\n]*$", row.error)
    end
    assert.matches("stack traceback", table.concat(report.warnings, "\n"))
    assert(sc.cluster:resume())
    for _, user in ipairs(USERS) do sc:assert_settled(user) end
    assert.equal(5, #sc:requests(PUT))
  end)

  it("goes on alone when no thread can start, and says why", function()
    for _, text in ipairs { "error 'no such luck'", "return { run = function() error('no such luck') end }" } do
      local restore = poisoned("crdbcloud.threads.worker", text)
      finally(restore)
      local report = assert(rotate {})
      restore()
      assert.same({ "done", "done", "done", "done", "done" }, results(report))
      local warnings = table.concat(report.warnings, "\n")
      assert.matches("a thread could not start: .*no such luck", warnings)
      assert.matches("the rest was done one by one", warnings, 1, true)
    end
  end)

  it("goes on alone without luv, and says so", function()
    local preload, loaded = package.preload.luv, package.loaded.luv
    finally(function() package.preload.luv, package.loaded.luv = preload, loaded end)
    package.loaded.luv, package.preload.luv = nil, function() error "module 'luv' not found" end
    local report = assert(rotate {})
    assert.same({ "done", "done", "done", "done", "done" }, results(report))
    assert.matches("parallel = 4: the Lua module luv is not installed .*; the users were done one by one", table.concat(report.warnings, "\n"))
  end)

  it("works alone with what belongs to one thread, and says so", function()
    local function warnings(cluster, options)
      local handle = sc:handle { cluster = cluster }
      local report = assert(rotate(options or {}, handle))
      assert.same({ "done", "done", "done", "done", "done" }, results(report))
      return table.concat(report.warnings, "\n")
    end
    assert.matches("a store in memory belongs to one thread; the users were done one by one", warnings { store = "memory:" }, 1, true)
    assert.matches("its store was given as an object", warnings { store = assert(store.open(sc.store_url)) }, 1, true)
    local sql = function() return sc:sql_spec() end
    assert.matches("its SQL connection was given as an object", warnings({ sql = sql }, { cancel_sessions = true }), 1, true)
    -- Without sessions to end, threads only need to know where to log in.
    assert.is_nil(warnings({ sql = sql }):find("one by one", 1, true))
  end)

  it("takes 1 to 64 threads", function()
    for _, n in ipairs { 0, 65, 1.5, "4" } do
      local ok, message = pcall(sc.cluster.rotate_passwords, sc.cluster, { users = USERS, parallel = n })
      assert.is_false(ok)
      assert.matches("parallel must be", message, 1, true)
      assert.matches("crew_spec", message, 1, true)
    end
    assert.same({ "done" }, results(assert(rotate { users = "app_user_001", parallel = 64 })))
    assert.same({ "done", "done" }, results(assert(rotate { users = { "app_user_001", "app_user_002" }, parallel = 1 })))
  end)
end)
