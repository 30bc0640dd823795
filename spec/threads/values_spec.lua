local cjson = require "cjson"
local core = require "crdbcloud.core"
local credentials = require "crdbcloud.credential"
local errors = require "crdbcloud.errors"
local printed = require "crdbcloud.api.printed"
local printing = require "crdbcloud.base.printing"
local report = require "crdbcloud.run.report"
local values = require "crdbcloud.threads.values"

-- What nginx does with a message: a copy of plain tables without their metatables, and nothing else.
local function copied(value)
  if type(value) ~= "table" then
    assert.is_truthy(value == cjson.null or type(value) ~= "userdata" and type(value) ~= "function", type(value))
    return value
  end
  local out = {}
  for k, v in next, value do out[copied(k)] = copied(v) end
  return out
end

local function crossed(...)
  local wire = assert(values.pack(select("#", ...), { ... }, { strict = true }))
  local list, n = values.open(assert(values.take(copied(assert(values.lend(wire))))))
  return (table.unpack or unpack)(list, 1, n)
end

local function refused(value, strict)
  local wire, problem = values.pack(1, { value }, { strict = strict ~= false })
  assert.is_nil(wire)
  return problem
end

describe("a value on its way to another Lua state", function()
  it("arrives as it was, nils and bytes included", function()
    local all = ""
    for i = 0, 255 do all = all .. string.char(i) end
    assert.same({ n = 5, nil, false, 1.5, all, nil }, (function(...) return { n = select("#", ...), ... } end)(crossed(nil, false, 1.5, all, nil)))
    assert.equal(0, select("#", crossed()))
    local deep = { list = { 1, "two", { three = { 4 } } }, [true] = false, [1.5] = "x", [""] = {}, null = cjson.null }
    assert.same(deep, (crossed(deep)))
    assert.equal(2 ^ 53 - 1, (crossed(2 ^ 53 - 1)))
  end)

  it("keeps cycles, and one table in two places is one", function()
    local a = { name = "a" }
    a.self, a.list = a, { a, a }
    local b = crossed(a)
    assert.equal(b, b.self)
    assert.equal(b, b.list[1])
    assert.equal(b, b.list[2])
    local x, y = crossed(a, a)
    assert.equal(x, y)
  end)

  it("may be nested as deep as memory allows", function()
    local deep = { level = 0 }
    for i = 1, 20000 do deep = { level = i, below = deep } end
    local here = crossed(deep)
    for i = 20000, 0, -1 do
      assert.equal(i, here.level)
      here = here.below
    end
    assert.is_nil(here)
  end)

  it("is the same kind of object there", function()
    local err = crossed(errors.new { kind = "sink", outcome = "applied", message = "m", hint = "h", cause = errors.new { kind = "tls" } })
    assert.is_true(errors.is(err))
    assert.is_true(errors.is(err.cause))
    assert.equal("m (sink, applied); h", tostring(err))
    assert.equal(6, err.exit)
    local made = report.new { operation = "o", cluster = "c", run_id = "r", store = "s", rows = { { user = "u", result = "done" } } }
    assert.equal(tostring(made), tostring(crossed(made)))
    assert.same(cjson.decode(made:json()), cjson.decode(crossed(made):json()))
    local with = crossed(errors.new { kind = "pending", report = made })
    assert.equal(tostring(made), tostring(with.report))
    for field, columns in pairs { users = "name", clusters = "id", databases = "name" } do
      local page = printed.page({ [field] = { { [columns] = "x" } }, next_page = "t" }, field)
      assert.equal(tostring(page), tostring(crossed(page)))
      assert.equal(tostring(page[field]), tostring(crossed(page)[field]))
      assert.equal(tostring(page[field][1]), tostring(crossed(page)[field][1]))
    end
    for _, object in ipairs { printing.printed { a = 1 }, printing.lines { "a", "b" }, printed.cluster { name = "n" }, printed.audit {} } do
      assert.equal(getmetatable(object), getmetatable((crossed(object))))
    end
  end)

  it("has its secrets in tickets, one for each place, also within an object", function()
    local secret = core.secret "the-secret-itself"
    local credential = setmetatable({
      user = "u", password = secret, epoch = 1, host = "h", candidates = { { password = secret }, { password = core.secret "other-secret" } },
    }, credentials.CLASS)
    local wire = assert(values.lend(assert(values.pack(2, { credential, secret }, { strict = true }))))
    assert.equal(4, #wire.tickets)
    assert.is_nil(cjson.encode(copied { wire.tickets }):find("secret", 1, true))
    local list = values.open(assert(values.take(copied(wire))))
    assert.is_true(list[1].password:equals "the-secret-itself")
    assert.is_true(list[1].candidates[2].password:equals "other-secret")
    list[2]:close()
    assert.is_true(list[1].candidates[1].password:equals "the-secret-itself")
    assert.equal("postgresql://u:the-secret-itself@h:26257/defaultdb?sslmode=verify-full", list[1]:url():reveal())
  end)

  it("is not handed over a second time, nor in part", function()
    local wire = assert(values.lend(assert(values.pack(2, { core.secret "a", core.secret "b" }))))
    local again = copied(wire)
    assert(core.take(wire.tickets[2])) -- somebody took one, or a minute has passed
    local taken, why = values.take(wire)
    assert.is_nil(taken)
    assert.matches("wrong, was used, or is too old", why, 1, true)
    assert.is_nil((core.take(again.tickets[1])))
  end)

  it("is given back when nobody will fetch it", function()
    local wire = assert(values.lend(assert(values.pack(1, { core.secret "a" }))))
    local ticket = wire.tickets[1]
    values.withdraw(wire)
    assert.is_nil((core.take(ticket)))
  end)

  it("hides the text of fields that hold a password, wherever they are", function()
    local given = { users = { { password = "in the clear" } }, password = { "a table stays" } }
    local wire = assert(values.pack(1, { given }, { strict = true, hidden = { password = true } }))
    assert.equal(1, #wire.secrets)
    assert.is_nil(cjson.encode { wire.tables }:find("clear", 1, true))
    local list = values.open(wire)
    assert.is_true(list[1].users[1].password:equals "in the clear")
    assert.same({ "a table stays" }, list[1].password)
    assert.equal("in the clear", given.users[1].password) -- the caller's table is as it was
  end)

  it("is refused with its place when it cannot cross", function()
    local problem = refused { on_progress = print }
    assert.same({ "[1].on_progress", "a function" }, { problem.path, problem.what })
    assert.matches("belongs to one Lua state", problem.why)
    assert.equal("[1].a[2].b", refused({ a = { 1, { b = coroutine.create(print) } } }).path)
    assert.equal("a thread", refused({ coroutine.create(print) }).what)
    assert.equal("a userdata", refused({ io.stdout }).what)
    assert.equal("a key that is a table", refused({ [{}] = 1 }).what)
    assert.equal("[1]", refused(print).path)
    local own = setmetatable({}, { __name = "my.store" })
    assert.same({ "[1].store", "my.store: an object" }, { refused({ store = own }).path, refused({ store = own }).what })
    -- No metamethod of the caller's is run.
    assert.equal("an object", refused(setmetatable({}, { __pairs = error, __index = error, __metatable = "locked" })).what)
  end)

  it("leaves out of a result what nobody could use", function()
    local own = setmetatable({ kept = 1, dropped = print, file = io.stdout, [{}] = 1 }, { __name = "other" })
    local list = values.open(assert(values.pack(2, { own, print })))
    assert.same({ { kept = 1 } }, list)
    assert.is_nil(getmetatable(list[1]))
  end)

  it("says of a secret that is closed that it cannot be used", function()
    local closed, open = core.secret "x", core.secret "y"
    closed:close()
    local wire, why, code = values.lend(assert(values.pack(2, { open, closed })))
    assert.is_nil(wire)
    assert.equal("unusable", code)
    assert.matches("secret is closed", why)
  end)

  it("waits for room when too many secrets are on their way", function()
    local held = {}
    repeat
      local ticket = core.lend(core.secret "x")
      held[#held + 1] = ticket
    until not ticket
    local wire, _, code = values.lend(assert(values.pack(1, { core.secret "y" })))
    for _, ticket in ipairs(held) do core.take(ticket) end
    assert.is_nil(wire)
    assert.equal("full", code)
    assert(values.take(assert(values.lend(assert(values.pack(1, { core.secret "y" }))))))
  end)

  it("knows every class of the library that a call may give back", function()
    local known = { ["crdbcloud.error"] = true, ["crdbcloud.credential"] = true, ["crdbcloud.report"] = true }
    for _, name in ipairs {
      "status", "probe_report", "access", "history", "result", "lines", "cluster_info", "audit_log", "list", "page", "user", "database", "pairing",
    } do
      known["crdbcloud." .. name] = true
    end
    -- What never leaves its thread: a connection, and what only functions get.
    for _, name in ipairs { "credentials", "event", "inspection" } do known["crdbcloud." .. name] = true end
    local pipe = assert(io.popen("cd lua/crdbcloud && grep -rhoE '__name = \"[a-z_.]+\"' "
      .. "workflows api run privileges/inspect.lua base/printing.lua errors.lua credential.lua credentials.lua"))
    for line in pipe:lines() do
      local name = line:match '"(.-)"'
      assert.is_true(known[name], name)
    end
    pipe:close()
  end)
end)
