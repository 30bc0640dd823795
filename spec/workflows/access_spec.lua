-- Tests lua/crdbcloud/workflows/remove_app_user.lua.

local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local privileges = require "crdbcloud.privileges"
local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

local sc, name

local function create(fields)
  local o = { name = name, access = { database = "shop", tables = { "orders" }, preset = "readonly" } }
  for k, v in pairs(fields or {}) do o[k] = v end
  return assert(sc.cluster:create_app_user(o))
end

local function has(text)
  return tostring(assert(sc.cluster:access(name))):find(text, 1, true) ~= nil
end

describe("access and set_access", function()
  before_each(function()
    sc = scene.open()
    name = "spec_" .. core.random_hex(6)
  end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  it("show what a user has", function()
    create()
    local access = assert(sc.cluster:access(name))
    assert.is_false(access.admin)
    assert.is_true(has "SELECT on table shop.public.orders")
    assert.is_false(has "payments")
    assert.are.equal(name, require("cjson").decode(access:json()).user)
  end)

  it("add to it, and the record knows", function()
    create()
    assert(sc.cluster:set_access { user = name, access = { database = "shop", tables = { "payments" }, preset = "readonly" } })
    assert.is_true(has "SELECT on table shop.public.orders")
    assert.is_true(has "SELECT on table shop.public.payments")
    assert.are.equal(2, #sc:record(name).access)
  end)

  it("with exact make it just this", function()
    create()
    assert(sc.cluster:set_access {
      user = name, exact = true, access = { database = "shop", tables = { "customers" }, preset = "readwrite" },
    })
    assert.is_false(has "orders")
    assert.is_true(has "DELETE on table shop.public.customers")
    -- Asked for again with that access, nothing is to do.
    local report = assert(sc.cluster:create_app_user {
      name = name, access = { database = "shop", tables = { "customers" }, preset = "readwrite" },
    })
    assert.are.equal("unchanged", report.rows[1].note)
  end)

  it("say what would be sent, and send nothing", function()
    create()
    local before = tostring(assert(sc.cluster:access(name)))
    local wanted = { user = name, access = { database = "shop", tables = { "customers" }, privileges = { "SELECT" } }, exact = true, dry_run = true }
    local report = assert(sc.cluster:set_access(wanted))
    assert.is_true(report.dry_run)
    assert.are.equal("grant", report.rows[1].result)
    assert.truthy(table.concat(report.rows[1].statements, "\n"):find('GRANT SELECT ON TABLE', 1, true))
    assert.are.equal(before, tostring(assert(sc.cluster:access(name))))
  end)

  it("take admin away", function()
    sc.sandbox:psql(("CREATE ROLE %s LOGIN; GRANT admin TO %s"):format(name, name))
    assert.is_true(assert(sc.cluster:access(name)).admin)
    assert(sc.cluster:set_access { user = name, admin = false })
    assert.is_false(assert(sc.cluster:access(name)).admin)
  end)

  it("say what was changed before something failed, and nothing else", function()
    create()
    sc.sandbox:psql(("GRANT admin TO %s"):format(name))
    local apply = privileges.apply
    finally(function() privileges.apply = apply end)
    -- As when the table is dropped in between.
    privileges.apply = function() return nil, errors.new { kind = "not_found", outcome = "not_sent", message = "it is gone" } end
    local wanted = { user = name, access = { database = "shop", tables = { "customers" }, privileges = { "SELECT" } }, admin = false }
    for _, expected in ipairs { { "applied", 3, "incomplete" }, { "not_sent", 1, "failed" } } do
      local report, err = sc.cluster:set_access(wanted)
      assert.is_nil(report)
      assert.are.same(expected, { err.outcome, err.exit, err.report.rows[1].result })
      assert.is_false(assert(sc.cluster:access(name)).admin)
    end
  end)

  it("refuse what leads to admin before anything is sent", function()
    create()
    local report, err = sc.cluster:set_access { user = name, roles = { "admin" } }
    assert.is_nil(report)
    assert.are.equal("invalid_argument", err.kind)
    assert.is_false(assert(sc.cluster:access(name)).admin)
  end)

  for _, case in ipairs {
    { {}, "set_access: user is missing" },
    { { user = "a" }, "set_access: nothing to set: give access, roles, exact or admin = false" },
    { { user = "a", admin = true }, "set_access: admin can only be false" },
  } do
    it("raise: " .. case[2], function()
      local ok, err = pcall(sc.cluster.set_access, sc.cluster, case[1])
      assert.is_false(ok)
      assert.truthy(err:find(case[2], 1, true), err)
    end)
  end

  it("of a user that is not there are not_found", function()
    local access, err = sc.cluster:access(name)
    assert.is_nil(access)
    assert.are.equal("not_found", err.kind)
  end)
end)

describe("remove_app_user", function()
  before_each(function()
    sc = scene.open()
    name = "spec_" .. core.random_hex(6)
  end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  it("takes a user away with its grants, sessions and record", function()
    create()
    local rec = sc:record(name)
    local open = assert(require("crdbcloud.sql").connect {
      host = sc.sandbox.pg.host, port = sc.sandbox.pg.port, dbname = "shop", user = name, password = rec.current.password,
      sslmode = "verify-full", sslrootcert = sc.sandbox.ca_file,
    })
    assert(sc.cluster:remove_app_user(name))
    assert.is_nil((open:query "SELECT 1"))
    open:close()
    assert.is_nil((sc:record(name)))
    assert.are.equal("0", sc.sandbox:psql(("SELECT count(*) FROM pg_roles WHERE rolname = '%s'"):format(name)))
  end)

  it("refuses a user that owns something until it is said who gets it", function()
    create()
    sc.sandbox:psql(("CREATE TABLE %s_t (); ALTER TABLE %s_t OWNER TO %s"):format(name, name, name))
    local report, err = sc.cluster:remove_app_user(name)
    assert.is_nil(report)
    assert.are.equal("not_sent", err.outcome)
    assert.truthy(err.hint:find("reassign_to", 1, true))
    assert.truthy(sc:record(name))
    assert(sc.cluster:remove_app_user { user = name, reassign_to = "sandbox_admin" })
    assert.are.equal("sandbox_admin", sc.sandbox:psql(("SELECT tableowner FROM pg_tables WHERE tablename = '%s_t'"):format(name)))
    sc.sandbox:psql(("DROP TABLE %s_t"):format(name))
  end)

  it("keeps the record while the deletion is unanswered, and goes on when called again", function()
    create()
    sc:handle { max_attempts = 1 }
    sc.sandbox:fault { op = "delete_sql_user", user = name, what = "drop_after", count = 1 }
    local report, err = sc:handle({ max_attempts = 1 }):remove_app_user(name)
    assert.is_nil(report)
    assert.are.equal(5, err.exit)
    assert.truthy(sc:record(name))
    sc.sandbox:clear()
    assert(sc.cluster:remove_app_user(name))
    assert.is_nil((sc:record(name)))
  end)

  it("plans without changing anything", function()
    create()
    local report = assert(sc.cluster:remove_app_user { user = name, dry_run = true })
    assert.are.equal("remove", report.rows[1].result)
    sc:assert_settled(name)
  end)

  it("says that there is no such user, where a name is mistyped", function()
    for _, dry_run in ipairs { true, false } do
      local report = assert(sc.cluster:remove_app_user { user = name, dry_run = dry_run })
      assert.equal("there is no such user", report.rows[1].note)
    end
    create()
    sc.sandbox:psql(("REASSIGN OWNED BY %s TO sandbox_admin; DROP OWNED BY %s; DROP ROLE %s"):format(name, name, name))
    assert.equal("the cluster has no such user; its record is what is left", assert(sc.cluster:remove_app_user(name)).rows[1].note)
    assert.is_nil((sc:record(name)))
  end)

  it("leaves protected names and its own account alone", function()
    for _, user in ipairs { "root", "sandbox_admin" } do
      local report, err = sc.cluster:remove_app_user(user)
      assert.is_nil(report)
      assert.are.equal("invalid_argument", err.kind)
    end
  end)
end)
