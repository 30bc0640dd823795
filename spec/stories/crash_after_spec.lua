-- Crash points of what follows a change (sinks of one call, hooks, sessions), of a SQL store, and errors in what the
-- caller gave. Each kills a real process, looks, and recovers.

local cases = require "spec.support.crash.cases"
local checks = require "spec.support.crash.checks"
local core = require "crdbcloud.core"
local crash = require "spec.support.crash.sweep"
local scene = require "spec.support.scene"
local sql_store = require "spec.support.stores.sql_store"
local temp = require "spec.support.temp"

local PUT = checks.PUT
local USER = "app_user_001"
local RESUME = { calls = { { "resume" } } }

describe("a crash after a change", function()
  local sc, dir
  before_each(function()
    sc = scene.open()
    dir = temp.dir()
    assert(sc.cluster:rotate_password(USER))
    sc.sandbox:clear()
  end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  local function database() return "tcp:" .. sc.sandbox.pg.port end

  -- Kills the job there and finishes it by `resume`.
  local function killed(call, kill, look)
    local run = crash.run(sc, { calls = { call } }, kill)
    assert(run.killed, "it was not killed: " .. run.out)
    if look then look() end
    local again = crash.run(sc, RESUME)
    assert.are.equal(0, again.code, again.out)
    return again
  end

  it("C13: leaves sinks that only the call had named for resume to write", function()
    local path = dir .. "/credential.json"
    killed({ "rotate_password", { user = USER, sinks = { "json:" .. path } } }, { mark = "send", only = "renameat", path = ".rec", at = 3 }, function()
      assert.is_nil(temp.read(path))
    end)
    local rec, problems = sc:assert_settled(USER), {}
    checks.json_holds(problems, path, USER, rec.current)
    assert.are.same({}, problems)
    assert.is_nil(rec.asked)
    -- The next rotation has nothing to do with that call.
    assert(sc.cluster:rotate_password(USER))
    checks.json_holds(problems, path, USER, rec.current)
    assert.are.same({}, problems)
  end)

  it("C14: with the sinks done and the hook not run lets resume run it", function()
    local job = { "rotate_passwords", { users = { USER }, after = { "sh", "-c", "echo $CRDBCLOUD_USERS >> " .. dir .. "/log" } } }
    for i, kill in ipairs {
      { mark = "send", only = "connect", path = database(), at = 1, runs = 1 }, -- changed, not published
      { mark = "send", only = "renameat", path = ".rec", at = 4, how = "after", runs = 1 }, -- published, and it had not begun
      { mark = "after", only = "openat,flock", at = 1, runs = 2 }, -- it has run, which nobody knows
    } do
      local runs = kill.runs
      kill.runs = nil
      killed(job, kill)
      local lines = select(2, temp.read(dir .. "/log"):gsub("[^\n]+", {}))
      assert.are.equal(runs, lines)
      assert.is_nil(sc:assert_settled(USER).hook)
      assert.are.equal(i + 1, sc:record(USER).epoch)
      assert.are.equal(0, crash.run(sc, RESUME).code)
      assert.are.equal(lines, select(2, temp.read(dir .. "/log"):gsub("[^\n]+", {})))
      os.remove(dir .. "/log")
      local rec, version = sc:record(USER)
      rec.sends = {}
      sc:put(rec, version)
    end
  end)

  it("C15: before or amid the end of the old sessions lets resume end the rest", function()
    local job = { "rotate_password", { user = USER, cancel_sessions = true } }
    for _, kill in ipairs {
      { mark = "send", only = "connect", path = database(), at = 1 },
      { mark = "send", only = "fsync", path = "/store", at = 8, how = "after" }, -- idle, and none is ended yet
    } do
      local open = assert(require("crdbcloud.sql").connect {
        host = sc.sandbox.pg.host, port = sc.sandbox.pg.port, dbname = "shop", user = USER, password = sc:record(USER).current.password,
        sslmode = "verify-full", sslrootcert = sc.sandbox.ca_file,
      })
      killed(job, kill, function() assert.is_table(open:query "SELECT 1") end)
      assert.is_nil((open:query "SELECT 1"))
      open:close()
      local rec, version = sc:record(USER)
      assert.is_nil(rec.sessions_due)
      rec.sends = {}
      sc:put(rec, version)
    end
    sc:assert_settled(USER)
  end)
end)

describe("a crash with a SQL store", function()
  local sc, place, case
  before_each(function()
    sc = scene.open()
    place = sql_store.new()
    sc.cluster = sc:handle { cluster = { store = place:url(), plaintext = true } }
    case = cases.in_sql(sc, place)
  end)
  after_each(function()
    sc:close()
    place:close()
    temp.clean()
  end)

  -- The swap of the record is the first statement after the mark.
  local function at(mark, n, how, look)
    for _, recovery in ipairs { "resume", "again" } do
      case:prepare(1)
      local run = crash.run(sc, case:job(), { mark = mark, only = "send", path = "tcp:" .. sc.sandbox.pg.port, at = n, how = how })
      assert(run.killed, run.out)
      local problems = case:after_kill()
      assert.are.same({}, problems)
      look(sc:record(USER))
      local again = crash.run(sc, case:recovery(recovery))
      assert.are.same({}, case:at_end(again, recovery), again.out)
    end
  end

  it("C4: with the stage's swap sent and its answer lost, goes on with the stage that is there, or makes one", function()
    at("stage", 1, "after", function(rec)
      assert(rec.state == "staged" or rec.state == "idle", rec.state)
      assert.are.equal(0, #sc:requests(PUT))
    end)
    at("stage", 1, "before", function(rec)
      assert.are.equal("idle", rec.state)
      assert.are.equal(0, #sc:requests(PUT))
    end)
  end)

  it("C12: anywhere between the change and the promotion's lost answer ends promoted and published", function()
    local figures = crash.sweep(case, {
      mark = "send", only = "send", path = "tcp:" .. sc.sandbox.pg.port, how = "after", alternate = true, first = rawget(_G, "jit") and 2 or 1, step = 3,
    })
    assert(#figures.wrong == 0, figures.wrong[1])
    assert(figures.kills >= 5, figures.kills .. " kills")
  end)
end)

describe("an error raised in what the caller gave", function()
  local sc
  before_each(function() sc = scene.open() end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  it("C23: a store that raises is an error of the call, whatever has been sent", function()
    for n = 1, 5 do
      local inner, calls = assert(require("crdbcloud.store").open(sc.store_url)), 0
      local mine = setmetatable({}, { __index = inner })
      function mine.put(_, ...)
        calls = calls + 1
        if calls == n then error "the program's own mistake" end
        return inner:put(...)
      end
      sc.sandbox:clear()
      local report, err = sc:handle({ cluster = { store = mine } }):rotate_password(USER)
      assert.is_nil(report)
      assert.are.equal("store", err.kind)
      assert.matches("the store raised an error in put: .*the program's own mistake", err.message)
      local sent = #sc:requests(PUT)
      assert.are.equal(sent == 0 and "not_sent" or "applied", err.outcome)
      assert.are.equal(n <= 2 and 0 or 1, sent)
      assert(sc.cluster:resume())
      if sc:record(USER) then
        sc:assert_settled(USER)
        local rec, version = sc:record(USER)
        rec.sends = {}
        sc:put(rec, version)
      end
    end
    assert.is_table(core.stat(sc.dir .. "/store"))
  end)

  it("a store needs its four functions and no more; without them it is refused before anything is sent", function()
    local inner = assert(require("crdbcloud.store").open(sc.store_url))
    local mine = {}
    for _, name in ipairs { "get", "put", "list", "remove" } do mine[name] = function(_, ...) return inner[name](inner, ...) end end
    local cluster = sc:handle { cluster = { store = mine } }
    local report = assert(cluster:rotate_passwords { users = { USER } })
    assert.are.equal("done", report.rows[1].result)
    sc:assert_settled(USER)
    assert(cluster:rotate_password(USER))
    sc.sandbox:clear()
    for name, needed in pairs { put = "get, put, list, remove", list = "get, list" } do
      local whole = mine[name]
      mine[name] = nil
      local handle = sc:handle { cluster = { store = mine } }
      if name == "put" then assert.is_table(handle:credential(USER)) end
      local ok, message = pcall(function() return handle:rotate_password(USER) end)
      assert.is_false(ok)
      assert.truthy(message:find(("store: an object needs the functions %s; %s is missing"):format(needed, name), 1, true), message)
      mine[name] = whole
    end
    assert.are.equal(0, #sc:requests(PUT))
  end)
end)
