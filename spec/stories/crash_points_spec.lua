-- Tests lua/crdbcloud/base/leftovers.lua.
--
-- The crash points of the protocol by name. Each kills a real process where the point says, looks at what is left
-- behind, and recovers: by `resume`, and by the same call again.

local cases = require "spec.support.crash.cases"
local checks = require "spec.support.crash.checks"
local crash = require "spec.support.crash.sweep"
local json_sink = require "crdbcloud.sinks.json"
local privileges = require "crdbcloud.privileges"
local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

local RECORD = ".rec.tmp." -- a record's temporary file
local POST, PUT = checks.POST, checks.PUT

local sc, case

local function api() return crash.api(sc) end
local function database() return "tcp:" .. sc.sandbox.pg.port end

-- What the store has right after the kill.
local function left() return assert(sc:record(case.user)) end

local function sent(op) return #sc:requests(op, case.user) end

local function applied(op)
  local request = sc:requests(op, case.user)[1]
  return request ~= nil and request.applied == true
end

-- Killed when the server has applied a change and holds its answer back.
local function unanswered(op)
  return function()
    sc.sandbox:fault { op = op, user = case.user, what = "delay", seconds = 8 }
    return crash.run_until(sc, case:job(), function() return applied(op) end)
  end
end

local function leftovers() return temp.run("find " .. sc.dir .. " -name '.*.tmp.*'") end

-- Kills, looks, recovers, looks again; once for each way of recovery.
local function check(kind, kill, look, finish)
  for _, recovery in ipairs { "resume", "again" } do
    case = case or cases[kind](sc)
    case:prepare(1)
    local run
    if type(kill) == "function" then
      run = kill()
    else
      local given = {}
      for name, value in pairs(kill) do given[name] = type(value) == "function" and value() or value end
      run = crash.run(sc, case:job(), given)
    end
    assert(run.killed, "it was not killed: " .. run.out)
    local problems = case:after_kill(run)
    assert(#problems == 0, table.concat(problems, "; ") .. "\n" .. run.out)
    look()
    local again = crash.run(sc, case:recovery(recovery))
    problems = case:at_end(again, recovery)
    assert(#problems == 0, recovery .. ": " .. table.concat(problems, "; ") .. "\n" .. again.out)
    if finish then finish(recovery, again) end
  end
end

-- After a kill in the middle of a send the same password is sent, however often.
local function same_bytes(at_least)
  return function(recovery)
    assert(sent(PUT) >= at_least, "sent only " .. sent(PUT) .. " times")
    assert.are.equal(1, (sc.hashes(sc:requests(PUT, case.user))), recovery)
  end
end

describe("a crash", function()
  before_each(function() sc = scene.open() end)
  after_each(function()
    if case then case:finish() end
    case = nil
    sc:close()
    temp.clean()
  end)

  it("C1: before STAGE leaves everything as if it had never started", function()
    check("rotation", { mark = "stage", only = "openat", path = RECORD, at = 1 }, function()
      assert.are.equal(case.before.epoch, left().epoch)
      assert.is_nil(left().staged)
      assert.are.equal(0, sent(PUT))
    end)
  end)

  it("C2: in the middle of the record's temporary file leaves the old record, and the torn file goes", function()
    check("rotation", { mark = "stage", only = "write", path = RECORD, at = 1, how = "half" }, function()
      assert.matches("app_user_001.rec.tmp", leftovers(), 1, true)
      assert.is_nil(left().staged)
      assert.are.equal(0, sent(PUT))
    end, function() assert.are.equal("", leftovers()) end)
  end)

  it("C3: before the rename leaves the old record, after it the new one, each of them whole", function()
    check("rotation", { mark = "stage", only = "renameat", path = ".rec", at = 1 }, function() assert.is_nil(left().staged) end)
    check("rotation", { mark = "stage", only = "renameat", path = ".rec", at = 1, how = "after" }, function()
      assert.are.equal(case.before.epoch + 1, left().staged.epoch)
    end)
  end)

  it("C4: with the stage written and its writer gone before it knew, the stage is adopted", function()
    local staged
    check("rotation", { mark = "stage", only = "fsync", at = 2, how = "after" }, function()
      staged = left().staged.password
      assert.are.equal(0, sent(PUT))
    end, function() assert.is_true(staged:equals(left().current.password)) end)
  end)

  it("C5: between STAGE and INTENT leaves a stage that nobody was sent", function()
    check("rotation", { mark = "send", only = "openat", path = RECORD, at = 1 }, function()
      assert.are.equal("staged", left().state)
      assert.are.equal(0, sent(PUT))
    end)
  end)

  it("C6: with INTENT durable and nothing sent, the same is sent", function()
    check("rotation", { mark = "send", only = "send", path = api, at = 1 }, function()
      assert.are.equal("intent", left().state)
      assert.are.equal(0, sent(PUT))
    end, same_bytes(1))
  end)

  it("C7: with half of the request out, the same is sent", function()
    check("rotation", { mark = "send", only = "send", path = api, at = 1, how = "half" }, function()
      assert.are.equal("intent", left().state)
    end, same_bytes(1))
  end)

  it("C8: with the request sent and no answer read, the same is sent again", function()
    check("rotation", unanswered(PUT), function()
      assert.are.equal("intent", left().state)
      assert.are.equal("wrong_password", sc:login(case.user, left().current.password))
      assert.are.equal("accepted", sc:login(case.user, left().staged.password))
    end, same_bytes(2))
  end)

  it("C9: with the answer read and not recorded, the same is sent again", function()
    check("rotation", { mark = "send", only = "openat", path = RECORD, at = 2 }, function()
      assert.is_true(applied(PUT))
      assert.are.equal("intent", left().state)
    end, same_bytes(2))
  end)

  it("C9: a service that refuses the same password once more is understood", function()
    sc.sandbox:set { must_differ = "refuse" }
    finally(function() sc.sandbox:set { must_differ = "accept" } end)
    check("rotation", { mark = "send", only = "openat", path = RECORD, at = 2 }, function() assert.is_true(applied(PUT)) end, same_bytes(2))
  end)

  it("C10: with the change recorded and not verified, it is proved and promoted without another request", function()
    check("rotation", { mark = "send", only = "connect", path = database, at = 1 }, function()
      assert.are.equal("applied", left().state)
      assert.are.equal(1, sent(PUT))
    end, function() assert.are.equal(1, sent(PUT)) end)
  end)

  it("C11: during the login that verifies, it is tried again", function()
    check("rotation", { mark = "send", only = "connect", path = database, at = 2, how = "after" }, function()
      assert.are.equal("applied", left().state)
    end, function() assert.are.equal(1, sent(PUT)) end)
  end)

  it("C12: with the promotion written and its writer gone before it knew, it goes on to the sinks", function()
    check("rotation", { mark = "send", only = "renameat", path = ".rec", at = 3, how = "after" }, function()
      assert.are.equal("promoted", left().state)
      assert.are.equal(case.before.epoch, json_sink.read(case.json).epoch)
    end)
  end)

  it("C13: with one sink written and not the other, the other is written", function()
    check("rotation", { mark = "publish", only = "openat", path = "/.pgpass.tmp.", at = 1 }, function()
      assert.are.equal("promoted", left().state)
      assert.are.equal(left().epoch, json_sink.read(case.json).epoch)
      assert.is_nil(temp.read(case.pgpass):find(left().current.password:reveal(), 1, true))
    end)
  end)

  it("C16: before RETIRE keeps the previous password, which a later run wipes", function()
    case = cases.rotation(sc)
    case:prepare(1)
    assert(sc.cluster:rotate_password { user = case.user, keep_previous = "1s" })
    local retire = { calls = { { "resume" } } }
    case:rewrite(function(rec) rec.previous.keep_until = rec.previous.keep_until - 10 end)
    assert.is_true(crash.run(sc, retire, { mark = "resume", only = "openat", path = RECORD, at = 1 }).killed)
    assert.is_table(left().previous)
    assert.are.equal(0, crash.run(sc, retire).code)
    assert.is_nil(left().previous)
  end)

  it("C17: between the rename and the sync of the directory has sent nothing yet", function()
    check("rotation", { mark = "send", only = "fsync", at = 2 }, function()
      assert.are.equal("intent", left().state)
      assert.are.equal(0, sent(PUT))
    end, same_bytes(1))
  end)
end)

describe("a crash of a creation", function()
  before_each(function() sc = scene.open() end)
  after_each(function()
    if case then case:finish() end
    case = nil
    sc:close()
    temp.clean()
  end)

  local function is_admin() return privileges.inspect(assert(sc.cluster:open_sql "spec"), case.user).admin end

  it("C18: after the POST and before REVOKE leaves an admin whose password nobody gets; recovery demotes it", function()
    check("creation", { mark = "create", only = "openat", path = RECORD, at = 2 }, function()
      assert.is_true(applied(POST))
      assert.is_true(is_admin())
      local credential, err = sc.cluster:credential(case.user)
      assert.is_nil(credential)
      assert.are.equal("pending", err.kind)
    end)
    check("creation", { mark = "create", only = "send", path = database, at = 1 }, function()
      assert.are.equal("posted", left().state)
      assert.is_true(is_admin())
    end)
  end)

  it("C18: is mended first thing by a run that was started for something else, which reports it", function()
    case = cases.creation(sc)
    case:prepare(1)
    assert.is_true(crash.run(sc, case:job(), { mark = "create", only = "send", path = database(), at = 1 }).killed)
    assert.is_true(is_admin())
    local other = crash.run(sc, { calls = { { "rotate_passwords", { users = { "app_user_003" } } } } })
    assert.are.equal(0, other.code)
    assert.matches("security: the creation of " .. case.user, other.out, 1, true)
    assert.are.same({}, case:at_end(other, "again"))
  end)

  it("C19: with the POST unanswered and made, a login tells that the user is ours", function()
    check("creation", unanswered(POST), function()
      assert.are.equal("posting", left().state)
    end, function() assert.are.equal(1, sent(POST)) end)
  end)

  it("C19: with the POST unanswered and not made, the same throwaway is sent again", function()
    check("creation", { mark = "create", only = "send", path = api, at = 1 }, function()
      assert.are.equal("posting", left().state)
      assert.are.equal(0, sent(POST))
    end, function() assert.are.equal(1, sent(POST)) end)
  end)

  it("C19: a user that somebody else made meanwhile is not touched", function()
    for _, recovery in ipairs { "resume", "again" } do
      case = cases.creation(sc)
      case:prepare(1)
      assert.is_true(crash.run(sc, case:job(), { mark = "create", only = "send", path = api(), at = 1 }).killed)
      sc.sandbox:psql(("CREATE ROLE %s LOGIN PASSWORD 'of-somebody-else-1'; GRANT admin TO %s;"):format(case.user, case.user))
      local again = crash.run(sc, case:recovery(recovery))
      assert.are.equal(1, again.code, again.out)
      assert.matches('"already_exists"', again.out, 1, true)
      assert.are.equal("accepted", sc:login(case.user, "of-somebody-else-1"))
      assert.is_true(is_admin())
      assert.are.equal(0, sent(PUT))
      assert.is_nil(temp.read(case.json))
      assert.is_nil((sc.cluster:credential(case.user)))
      case:finish()
    end
  end)

  it("C20: between demotion and the last grant leaves a limited user, and the grants are completed", function()
    for _, at in ipairs { 1, 2, 3 } do
      check("creation", { mark = "demote", only = "send", path = database, at = at }, function()
        assert.is_false(is_admin())
        assert.are.equal("demoted", left().state)
      end)
    end
  end)
end)

describe("a crash of other work", function()
  before_each(function() sc = scene.open() end)
  after_each(function()
    if case then case:finish() end
    case = nil
    sc:close()
    temp.clean()
  end)

  it("C21: a deletion that was sent and not answered is done when it is asked for again", function()
    case = cases.creation(sc)
    case:prepare(1)
    assert.are.equal(0, crash.run(sc, case:job()).code)
    local removal = { calls = { { "remove_app_user", { user = case.user } } } }
    sc.sandbox:fault { op = "delete_sql_user", user = case.user, what = "delay", seconds = 8 }
    assert.is_true(crash.run_until(sc, removal, function() return applied "delete_sql_user" end).killed)
    assert.is_table(left())
    local again = crash.run(sc, removal)
    assert.are.equal(0, again.code, again.out)
    assert.is_nil((sc:record(case.user)))
    case.log = sc.sandbox:log()
    assert.is_false(privileges.inspect(assert(sc.cluster:open_sql "spec"), case.user).exists)
  end)

  it("C22: in the middle of a batch is finished by resume, and the rest by the same run without a second change", function()
    local users = { "app_user_001", "app_user_002", "app_user_003", "app_user_004", "app_user_005" }
    local batch = { calls = { { "rotate_passwords", { users = users, max_age = "1h" } } } }
    sc.sandbox:fault { op = PUT, user = users[3], what = "delay", seconds = 8 }
    local run = crash.run_until(sc, batch, function()
      local request = sc:requests(PUT, users[3])[1]
      return request ~= nil and request.applied == true
    end)
    assert.is_true(run.killed)
    local before = assert(sc.cluster:rotation_status())
    assert.are.equal(1, before.open)
    assert.is_true(#before.rows > 1 and #before.rows < 5)
    assert.are.equal(0, crash.run(sc, { calls = { { "resume" } } }).code)
    local rest = crash.run(sc, batch)
    assert.are.equal(0, rest.code, rest.out)
    for _, user in ipairs(users) do
      local rec = sc:assert_settled(user)
      assert.are.equal(1, rec.epoch)
      assert.are.equal(1, (sc.hashes(sc:requests(PUT, user))))
    end
  end)

  it("C23: an error raised in the caller's on_progress changes nothing and is told once", function()
    local raised = 0
    local report = assert(sc.cluster:rotate_password {
      user = "app_user_001",
      on_progress = function()
        raised = raised + 1
        error "mine"
      end,
    })
    assert.is_true(raised > 1)
    local told = 0
    for _, text in ipairs(report.warnings) do told = told + (text:find("mine", 1, true) and 1 or 0) end
    assert.are.equal(1, told)
    sc:assert_settled "app_user_001"
  end)
end)
