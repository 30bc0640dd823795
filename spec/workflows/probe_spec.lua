-- Tests lua/crdbcloud/workflows/probe.lua, lua/crdbcloud/workflows/probe_user.lua and `crdbcloud doctor --probe`.

local cjson = require "cjson"
local core = require "crdbcloud.core"
local record = require "crdbcloud.record"
local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

local sc

-- Throwaway users on the server, and keys in the store.
local function left()
  local users = sc.sandbox:psql "SELECT rolname FROM pg_roles WHERE rolname LIKE 'crdbcloud\\_probe\\_%'"
  return users, assert(assert(sc.cluster:open_store "spec"):list "")
end

local function unexpected(report)
  local list = {}
  for _, row in ipairs(report.rows) do
    if row.result == "unexpected" then list[#list + 1] = row.assumption end
  end
  return list
end

-- A throwaway user as a killed run leaves it: its record in this state.
local function leave(state, sends)
  local user = "crdbcloud_probe_" .. core.random_hex(6)
  sc:put(record.new {
    cluster_id = sc.id, user = user, state = state, origin = "probe", creating = true, sends = sends,
    bootstrap = { password = core.secret "a password of nobody" },
  })
  return user
end

local function on_server(user)
  assert(sc.cluster.cloud:create_sql_user(sc.id, user, core.secret "a password of nobody"))
end

describe("cluster:probe", function()
  before_each(function() sc = scene.open() end)
  after_each(function()
    sc.sandbox:set { must_differ = "accept", page_end = "no_next", rate = 0 }
    sc:close()
    temp.clean()
  end)

  it("finds the sandbox as expected, and leaves nothing behind", function()
    local steps = {}
    local report = assert(sc.cluster:probe { on_progress = function(event) steps[#steps + 1] = event.step end })
    assert.same({}, unexpected(report))
    assert.equal(0, report.unexpected)
    assert.equal("postgresql", report.dialect)
    assert.equal(#report.rows, #steps)
    local users, keys = left()
    assert.same({ "", {} }, { users, keys })
    local document = cjson.decode(report:json())
    assert.same({ 1, "probe", #report.rows, 0 }, { document.schema, document.operation, #document.rows, document.unexpected })
    assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$", document.made_at)
    assert.truthy(tostring(report):find("all as expected", 1, true))
  end)

  it("knows the refusal of a burst", function()
    sc.sandbox:set { rate = 5 }
    local report = assert(sc.cluster:probe())
    assert.same({}, unexpected(report))
    assert.equal("429 code 8, Retry-After", report.rows[1].seen)
  end)

  it("tells what is not as expected, and removes the user all the same", function()
    sc.sandbox:set { must_differ = "refuse", page_end = "null_pagination" }
    local report = assert(sc.cluster:probe())
    assert.equal("pagination null", report.rows[2].seen)
    assert.same({ "same_password" }, unexpected(report))
    assert.equal(1, report.unexpected)
    assert.truthy(tostring(report):find("same_password +unexpected"))
    local users, keys = left()
    assert.same({ "", {} }, { users, keys })
  end)

  it("says in a dry run what it would try, and sends nothing that writes", function()
    local report = assert(sc.cluster:probe { dry_run = true })
    assert.is_true(#report.rows > 20)
    assert.same({ "try", true }, { report.rows[1].result, report.dry_run })
    assert.same({}, sc:requests "create_sql_user")
  end)

  it("reports what was seen when no user can be made", function()
    sc.sandbox:fault { op = "create_sql_user", what = "error_before", status = 403, code = 7, message = "no" }
    local report, err = sc.cluster:probe()
    assert.is_nil(report)
    assert.same({ 4, "created" }, { err.exit, err.report.rows[#err.report.rows].assumption })
    local users, keys = left()
    assert.same({ "", {} }, { users, keys })
  end)

  it("keeps the record while an unanswered request may still make the user", function()
    sc.sandbox:fault { op = "create_sql_user", what = "drop_before", count = 1 }
    local report, err = sc.cluster:probe()
    assert.is_nil(report)
    assert.equal("unknown", err.outcome)
    local _, keys = left()
    assert.equal(1, #keys)
    -- Another probe works beside it; resume says why it stays.
    assert(sc.cluster:probe())
    local row = assert(sc.cluster:resume()).rows[1]
    assert.equal("skipped", row.result)
    assert.truthy(row.note:find("may still make it", 1, true))
    assert.equal(1, #select(2, left()))
    -- Once nothing can arrive any more, it goes.
    local user = keys[1]:match "[^/]+$"
    local rec, version = sc:record(user)
    for _, send in ipairs(rec.sends) do send.at, send.deadline, send.boot_id = send.at - 1000, send.deadline - 1000, nil end
    sc:put(rec, version)
    assert(sc.cluster:resume())
    assert.same({}, select(2, left()))
  end)

  it("removes what killed runs left, whatever they had come to; resume does too", function()
    for _, finish in ipairs { "probe", "resume" } do
      leave "planned"
      on_server(leave("posting", { { n = 1, op = "create_sql_user", epoch = 0, at = math.floor(core.time()) } }))
      on_server(leave "posted")
      leave "posted"
      assert(sc.cluster[finish](sc.cluster))
      local users, keys = left()
      assert.same({ "", {} }, { users, keys }, finish)
    end
  end)

  it("says that a user of its own could not be removed", function()
    sc.sandbox:fault { op = "delete_sql_user", what = "error_before", status = 403, code = 7, message = "no", count = 99 }
    local report, err = sc.cluster:probe()
    assert.is_nil(report)
    assert.equal(3, err.exit)
    assert.truthy(err.message:find("could not be removed", 1, true))
    assert.truthy(err.hint:find("rotate resume", 1, true))
    sc.sandbox:clear()
    assert(sc.cluster:resume())
    local users, keys = left()
    assert.same({ "", {} }, { users, keys })
  end)

  it("hands such a user to nobody", function()
    local user = leave "posted"
    on_server(user)
    local report, err = sc.cluster:create_app_user { name = user, access = { database = "shop", preset = "readonly" } }
    assert.is_nil(report)
    assert.same({ "invalid_argument", "not_sent" }, { err.kind, err.outcome })
    assert.is_nil((sc.cluster:credential(user)))
    for _, row in ipairs(assert(sc.cluster:plan_rotation { users = "all" }).rows) do
      if row.user == user then assert.equal("skip", row.result) end
    end
    assert(sc.cluster:resume())
  end)
end)

describe("crdbcloud doctor --probe", function()
  local case = require("spec.support.command").case()
  local env
  setup(case.setup)
  before_each(function() env = case.before() end)
  after_each(function()
    case.sandbox:set { must_differ = "accept" }
    case.after()
  end)

  it("asks first, and writes the report as JSON", function()
    local r = case.run("doctor", "--probe")
    assert.equal(2, r.code)
    case.shows("--yes", r.err)
    assert.equal(0, case.writes())
    local document = cjson.decode(case.ok("-o", "json", "doctor", "--probe", "--yes").out)
    assert.same({ 1, 0 }, { document.schema, document.unexpected })
    assert.is_string(env.CRDBCLOUD_STORE)
  end)

  it("exits 8 where something is not as expected", function()
    case.sandbox:set { must_differ = "refuse" }
    local r = case.run("doctor", "--probe", "--yes")
    assert.equal(8, r.code)
    case.shows("same_password", r.out)
    case.shows("1 unexpected", r.out)
  end)
end)
