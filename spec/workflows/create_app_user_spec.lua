-- Tests lua/crdbcloud/change/create.lua.

local core = require "crdbcloud.core"
local privileges = require "crdbcloud.privileges"
local record = require "crdbcloud.record"
local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

local POST, PUT = "create_sql_user", "update_sql_user_password"
local ACCESS = { database = "shop", tables = { "orders", "customers" }, privileges = { "SELECT", "INSERT", "UPDATE" } }

local sc, name

-- A name of its own for each case, so that cases do not meet in one cluster.
local function fresh()
  return "spec_" .. core.random_hex(6)
end

local function wanted(fields)
  local o = { name = name, owner = "team@example.com", access = ACCESS }
  for k, v in pairs(fields or {}) do o[k] = v end
  return o
end

local function inspect(user)
  return assert(privileges.inspect(assert(sc.cluster:open_sql "spec"), user))
end

-- The throwaway was sent by the POST, the password in the store only by PUTs after the demotion.
local function assert_limited_and_settled(user)
  local rec = sc:assert_settled(user)
  assert.is_nil(rec.bootstrap)
  assert.is_false(inspect(user).admin)
  local hash = sc.sandbox:hash(rec.current.password)
  for _, request in ipairs(sc:requests(POST, user)) do assert.are_not.equal(hash, request.password_hash) end
  return rec
end

describe("create_app_user", function()
  before_each(function()
    sc = scene.open { max_attempts = 3, timeout = 2 }
    name = fresh()
  end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  it("notes what else is asked for later, and gives the credential to a sink that is new", function()
    for _, pair in ipairs { false, true } do
      name = fresh()
      assert(sc.cluster:create_app_user(wanted { pair = pair }))
      sc.sandbox:clear()
      local file = ("%s/later-%s.json"):format(sc.dir, name)
      local labels = { tier = "two", a = "1", b = "2", c = "3", d = "4", e = "5" }
      local more = wanted { pair = pair, owner = "other@example.com", description = "new", labels = labels, sinks = { "json:" .. file } }
      more.dry_run = true
      local planned = assert(sc.cluster:create_app_user(more)).rows[1]
      assert.are.same({ "change", "owner, description, labels, sinks" }, { planned.result, planned.note })
      more.dry_run = nil
      local row = assert(sc.cluster:create_app_user(more)).rows[1]
      assert.are.equal("owner, description, labels, sinks changed, access as before", row.note)
      assert.are.same({ "json:" .. file }, row.sinks)
      local rec = sc:record(name)
      assert.are.same({ "other@example.com", "new", "two" }, { rec.owner, rec.description, rec.labels.tier })
      assert.truthy(temp.read(file):find('"epoch":' .. record.public_epoch(rec), 1, true))
      assert.are.equal("accepted", sc:login(name, require("cjson").decode(temp.read(file)).password))
      assert.are.equal("unchanged", assert(sc.cluster:create_app_user(more)).rows[1].note)
      assert.are.equal(0, #sc:requests(PUT))
      assert.is_false(record.is_open(rec))
      assert(sc.cluster:remove_app_user(name))
    end
  end)

  it("is refused creators that are not there, before anything is made", function()
    local report, err = sc.cluster:create_app_user(wanted { access = { database = "shop", preset = "readonly", creators = { "nope" } } })
    assert.is_nil(report)
    assert.are.same({ "not_found", "not_sent", 'creators: role "nope" does not exist' }, { err.kind, err.outcome, err.message })
    assert.are.equal(0, #sc:requests(POST))
    assert.is_nil((sc:record(name)))
  end)

  it("is refused a sink that another user writes, before anything is made", function()
    local file = sc.dir .. "/shared.env"
    local sink = { { "dotenv", path = file, key = "{USER}_PASSWORD" } }
    local one, other = name .. "-1", name .. ".1"
    assert(sc.cluster:create_app_user(wanted { name = one, sinks = sink }))
    local report, err = sc.cluster:create_app_user(wanted { name = other, sinks = sink })
    assert.is_nil(report)
    assert.are.same({ "invalid_argument", "not_sent" }, { err.kind, err.outcome })
    assert.truthy(err.message:find("would be written for", 1, true), err.message)
    assert.are.equal(0, #sc:requests(POST, other))
    assert.is_nil((sc:record(other)))
    -- What an earlier version let through is left out, and does not keep the others from their rotation.
    assert(sc.cluster:create_app_user(wanted { name = other }))
    local store = assert(sc.cluster:open_store "spec")
    local rec, version = store:get(record.key(sc.id, other))
    rec.sinks = sc:record(one).sinks
    assert(store:put(record.key(sc.id, other), rec, version))
    assert(sc.cluster:create_app_user(wanted()))
    report, err = sc.cluster:rotate_passwords { users = "managed", max_failures = false }
    assert.is_nil(report)
    local results = {}
    for _, row in ipairs(err.report.rows) do results[row.user] = row.result end
    assert.are.same({ [name] = "done", [one] = "failed", [other] = "failed" }, results)
    report = assert(sc.cluster:rotate_passwords { emergency = { one, other }, cancel_sessions = false })
    assert.truthy(table.concat(report.warnings, "\n"):find("would be written for", 1, true))
    for _, user in ipairs { name, one, other } do assert(sc.cluster:remove_app_user(user)) end
  end)

  it("makes a user that is no admin, can do what was granted and nothing else", function()
    local report = assert(sc.cluster:create_app_user(wanted()))
    assert.are.equal("done", report.rows[1].result)
    local rec = assert_limited_and_settled(name)
    local sql = assert(require("crdbcloud.sql").connect {
      host = sc.sandbox.pg.host, port = sc.sandbox.pg.port, dbname = "shop", user = name,
      password = rec.current.password, sslmode = "verify-full", sslrootcert = sc.sandbox.ca_file,
    })
    assert.is_table(sql:query "SELECT * FROM orders LIMIT 1")
    for _, statement in ipairs {
      "SELECT * FROM payments", "DELETE FROM orders", "GRANT admin TO CURRENT_USER", "CREATE ROLE another_one",
    } do
      local rows, err = sql:query(statement)
      assert.is_nil(rows, statement)
      assert.are.equal("42501", err.sqlstate, statement)
    end
    sql:close()
  end)

  it("never sends the throwaway as a final password, nor keeps it", function()
    assert(sc.cluster:create_app_user(wanted()))
    local post, put = sc:requests(POST, name), sc:requests(PUT, name)
    assert.are.equal(1, #post)
    assert.are.equal(1, #put)
    assert.are_not.equal(post[1].password_hash, put[1].password_hash)
  end)

  it("changes nothing when called again with the same", function()
    assert(sc.cluster:create_app_user(wanted()))
    local epoch = sc:record(name).epoch
    sc.sandbox:clear()
    local report = assert(sc.cluster:create_app_user(wanted {
      access = { database = "shop", tables = { "customers", "orders" }, privileges = { "update", "SELECT", "INSERT" } },
    }))
    assert.are.equal("unchanged", report.rows[1].note)
    assert.are.equal(epoch, sc:record(name).epoch)
    assert.are.equal(0, #sc:requests(POST) + #sc:requests(PUT))
  end)

  it("says that another access is a matter of set_access", function()
    assert(sc.cluster:create_app_user(wanted()))
    local report, err = sc.cluster:create_app_user(wanted { access = { database = "shop", tables = { "orders" }, preset = "readonly" } })
    assert.is_nil(report)
    assert.are.equal("already_exists", err.kind)
    assert.truthy(err.hint:find("set_access", 1, true))
  end)

  it("takes a password of the caller's, and sends it only after the demotion", function()
    assert(sc.cluster:create_app_user(wanted { password = "my-own-Passphrase-1" }))
    assert.is_true(assert_limited_and_settled(name).current.password:equals "my-own-Passphrase-1")
  end)

  it("publishes to its sinks and remembers them for the rotations to come", function()
    local out = temp.dir()
    assert(sc.cluster:create_app_user(wanted { sinks = { "json:" .. out .. "/{user}.json" } }))
    local first = temp.read(out .. "/" .. name .. ".json")
    assert(sc.cluster:rotate_password(name))
    assert.are_not.equal(first, temp.read(out .. "/" .. name .. ".json"))
    assert.are.equal(2, sc:record(name).published["json:" .. out .. "/" .. name .. ".json"])
  end)

  it("plans without sending anything", function()
    local report = assert(sc.cluster:create_app_user(wanted { dry_run = true }))
    assert.are.equal("create", report.rows[1].result)
    local text = table.concat(report.rows[1].statements, "\n")
    assert.truthy(text:find('GRANT SELECT', 1, true) or text:find("GRANT INSERT", 1, true))
    assert.is_nil(text:find("SELECT ON DATABASE", 1, true))
    assert.are.equal(0, #sc:requests(POST))
    assert.is_nil((sc:record(name)))
  end)

  it("grants roles, and refuses one that leads to admin before anything is sent", function()
    sc.sandbox:psql("CREATE ROLE " .. name .. "_good; CREATE ROLE " .. name .. "_bad; GRANT admin TO " .. name .. "_bad;")
    assert(sc.cluster:create_app_user(wanted { roles = { name .. "_good" } }))
    assert.are.same({ name .. "_good" }, inspect(name).roles)
    local other = fresh()
    local report, err = sc.cluster:create_app_user(wanted { name = other, roles = { name .. "_bad" } })
    assert.is_nil(report)
    assert.are.equal("invalid_argument", err.kind)
    assert.are.equal(0, #sc:requests(POST, other))
    assert.is_nil((sc:record(other)))
  end)

  it("says which database, schema or table is not there before anything is sent", function()
    for problem, access in pairs {
      ['database "nope" does not exist'] = { database = "nope", preset = "readonly" },
      ['schema "shop"."nope" does not exist'] = { database = "shop", schema = "nope", preset = "readonly" },
      ['table "shop"."public"."order" (did you mean orders?) does not exist'] = {
        database = "shop", tables = { "order", "customers" }, privileges = { "SELECT" },
      },
    } do
      for _, dry_run in ipairs { false, true } do
        local report, err = sc.cluster:create_app_user(wanted { access = access, dry_run = dry_run or nil })
        assert.is_nil(report)
        assert.are.same({ "not_found", "not_sent", 1 }, { err.kind, err.outcome, err.exit })
        assert.matches(problem, err.message, 1, true)
      end
    end
    assert.is_nil(sc:record(name))
    assert.are.equal(0, #sc:requests(POST))
  end)

  it("never touches a user that is somebody else's", function()
    sc.sandbox:psql(("CREATE ROLE %s LOGIN PASSWORD 'somebody-elses-1'"):format(name))
    local report, err = sc.cluster:create_app_user(wanted())
    assert.is_nil(report)
    assert.are.equal("already_exists", err.kind)
    assert.are.equal("not_sent", err.outcome)
    assert.are.equal("accepted", sc:login(name, "somebody-elses-1"))
    assert.are.equal(0, #sc:requests(POST) + #sc:requests(PUT))
  end)

  it("takes a user over with adopt: demoted, new password, its sessions ended", function()
    sc.sandbox:psql(("CREATE ROLE %s LOGIN PASSWORD 'somebody-elses-1'; GRANT admin TO %s WITH ADMIN OPTION"):format(name, name))
    local before = assert(require("crdbcloud.sql").connect {
      host = sc.sandbox.pg.host, port = sc.sandbox.pg.port, dbname = "shop", user = name,
      password = core.secret "somebody-elses-1", sslmode = "verify-full", sslrootcert = sc.sandbox.ca_file,
    })
    local row = assert(sc.cluster:create_app_user(wanted { adopt = true, sinks = { "json:" .. sc.dir .. "/app.json" } })).rows[1]
    assert.are.same({ "adopted", "accepted", 1, "number" }, { row.note, row.verified, row.sessions_cancelled, type(row.window) })
    assert_limited_and_settled(name)
    assert.are.equal("wrong_password", sc:login(name, "somebody-elses-1"))
    assert.is_nil((before:query "SELECT 1"))
    before:close()
  end)

  it("takes over a user whose password the store knows", function()
    sc.sandbox:psql(("CREATE ROLE %s LOGIN PASSWORD 'somebody-elses-1'"):format(name))
    assert(sc.cluster:rotate_password(name))
    local _, err = sc.cluster:create_app_user(wanted())
    assert.are.equal("already_exists", err.kind)
    assert(sc.cluster:create_app_user(wanted { adopt = true }))
    assert.are.equal(2, assert_limited_and_settled(name).epoch)
  end)

  it("never demotes the account of the SQL connection", function()
    local report, err = sc.cluster:create_app_user(wanted { name = "sandbox_admin", adopt = true })
    assert.is_nil(report)
    assert.are.equal("invalid_argument", err.kind)
    assert.is_true(inspect("sandbox_admin").admin)
  end)

  it("needs an SQL connection, and says so before anything is sent", function()
    local cluster = sc:handle { cluster = { sql = false } }
    local report, err = cluster:create_app_user(wanted())
    assert.is_nil(report)
    assert.truthy(err.hint:find("CRDBCLOUD_SQL", 1, true))
    assert.are.equal("not_sent", err.outcome)
    assert.are.equal(0, #sc:requests(POST))
  end)

  it("sends nothing when the SQL side is down", function()
    local spec = sc:sql_spec()
    spec.port = 1
    local report, err = sc:handle { cluster = { sql = spec } }:create_app_user(wanted())
    assert.is_nil(report)
    assert.are.equal("not_sent", err.outcome)
    assert.are.equal(0, #sc:requests(POST))
    assert.is_nil((sc:record(name)))
  end)

  for _, case in ipairs {
    { "no name", { name = false }, "create_app_user: name is missing" },
    { "no access", { access = false }, "create_app_user: access is missing" },
    { "a misspelt option", { acess = {} }, 'create_app_user: unknown option "acess"; did you mean "access"?' },
    { "labels that are no strings", { labels = { a = 1 } }, "create_app_user: labels must map names to strings" },
    { "a role that is no name", { roles = { 7 } }, "create_app_user: roles[1] must be a name, got 7" },
    { "via sql", { via = "sql" }, 'create_app_user: via must be "api" in this version' },
    { "verify = 1", { verify = 1 }, 'create_app_user: verify must be "auto", "require" or false, got 1' },
  } do
    it("raises for " .. case[1], function()
      local o = wanted(case[2])
      for k, v in pairs(o) do
        if v == false then o[k] = nil end
      end
      local ok, err = pcall(sc.cluster.create_app_user, sc.cluster, o)
      assert.is_false(ok)
      assert.truthy(tostring(err):find(case[3], 1, true), tostring(err))
      assert.are.equal(0, #sc.sandbox:log())
    end)
  end

  for _, case in ipairs {
    { "a protected name", { name = "root" }, "protected", "reserved" },
    { "a name with a space", { name = "my user" }, "space" },
    { "a short password", { password = "short" }, "12" },
    { "the name as password", { password = "the_same_name_1", name = "the_same_name_1" }, "name" },
  } do
    it("refuses " .. case[1] .. " before anything is sent", function()
      local report, err = sc.cluster:create_app_user(wanted(case[2]))
      assert.is_nil(report)
      assert.are.equal("invalid_argument", err.kind)
      local text = tostring(err)
      assert.truthy(text:find(case[3], 1, true) or text:find(case[4] or case[3], 1, true), text)
      assert.are.equal(0, #sc.sandbox:log())
    end)
  end
end)
