-- Tests lua/crdbcloud/workflows/access.lua, lua/crdbcloud/workflows/remove_app_user.lua, and what
-- lua/crdbcloud/workflows/resume.lua does of them.

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

  -- As when the connection is gone in the middle: some of it was done, and nobody knows how much.
  local function cut(outcome)
    local apply = privileges.apply
    privileges.apply = function(...)
      local ok = apply(...)
      privileges.apply = apply
      return nil, ok and errors.new { kind = "network", outcome = outcome, message = "the session was lost" }
    end
  end

  it("are finished by resume, with a record of the user and without one, and the status tells of it", function()
    for _, managed in ipairs { true, false } do
      local other = "spec_" .. core.random_hex(6)
      if managed then
        create { name = other }
      else
        sc.sandbox:psql("CREATE ROLE " .. other .. " LOGIN")
      end
      cut "unknown"
      local wanted = { user = other, exact = true, access = { database = "shop", tables = { "payments" }, preset = "readonly" } }
      local report, err = sc.cluster:set_access(wanted)
      assert.is_nil(report)
      assert.are.same({ 5, "unknown" }, { err.exit, err.outcome })
      assert.truthy(err.hint:find("rotate resume", 1, true), err.hint)
      assert.are.equal("payments", sc:record(other).access_due.access[1].tables[1])
      sc.sandbox:psql(("REVOKE ALL ON payments FROM %s"):format(other))
      local status = assert(sc.cluster:rotation_status())
      assert.are.equal(1, status.open)
      if not managed then
        local _, refused = sc.cluster:rotate_password(other)
        assert.are.same({ "pending", "`crdbcloud rotate resume` finishes it" }, { refused.kind, refused.hint })
      end
      assert.are.equal("the change of its access", assert(sc.cluster:resume { dry_run = true }).rows[1].note)
      assert.are.equal("has exactly this access", assert(sc.cluster:resume()).rows[1].note)
      assert.truthy(tostring(assert(sc.cluster:access(other))):find("SELECT on table shop.public.payments", 1, true))
      if managed then
        assert.is_nil(sc:assert_settled(other).access_due)
      else
        assert.is_nil((sc:record(other)))
      end
      assert.are.same({}, assert(sc.cluster:resume()).rows)
    end
  end)

  it("that are refused leave the record as it was, and nothing to resume", function()
    create()
    sc.sandbox:psql("GRANT SELECT ON payments TO shop_reader WITH GRANT OPTION")
    sc.sandbox:psql(("SET ROLE shop_reader; GRANT SELECT ON payments TO %s"):format(name))
    local report, err = sc.cluster:set_access { user = name, exact = true, access = { database = "shop", tables = { "orders" }, preset = "readonly" } }
    sc.sandbox:psql(("SET ROLE shop_reader; REVOKE SELECT ON payments FROM %s"):format(name))
    sc.sandbox:psql "REVOKE GRANT OPTION FOR SELECT ON payments FROM shop_reader"
    assert.is_nil(report)
    assert.are.equal("not_sent", err.outcome)
    assert.is_nil(sc:assert_settled(name).access_due)
    assert.are.same({}, assert(sc.cluster:resume()).rows)
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

  it("is finished by resume, which says so before", function()
    create { sinks = { "json:" .. sc.dir .. "/credential.json" } }
    sc.sandbox:fault { op = "delete_sql_user", user = name, what = "drop_before", count = 1 }
    local report, err = sc:handle({ max_attempts = 1 }):remove_app_user { user = name, clean_sinks = true }
    assert.is_nil(report)
    assert.truthy(err.hint:find("rotate resume", 1, true), err.hint)
    sc.sandbox:clear()
    assert.are.same({}, require("crdbcloud.record").candidates(sc:record(name)))
    local _, refused = sc.cluster:enable_user(name)
    assert.are.same({ "pending", "not_sent" }, { refused.kind, refused.outcome })
    assert.are.equal("its removal", assert(sc.cluster:resume { dry_run = true }).rows[1].note)
    assert.are.equal("removed", assert(sc.cluster:resume()).rows[1].note)
    assert.is_nil((sc:record(name)))
    assert.is_nil(core.stat(sc.dir .. "/credential.json"))
    assert.are.same({}, assert(sc.cluster:resume()).rows)
  end)

  it("tells where the dead password still is, and with clean_sinks removes it and nothing else", function()
    local dir = temp.dir()
    temp.write(dir .. "/env", "A=1\n")
    temp.write(dir .. "/pgpass", "h:1:*:somebody:x\n")
    temp.run(("chmod 600 %s/env %s/pgpass"):format(dir, dir))
    for _, clean in ipairs { false, true } do
      name = "spec_" .. core.random_hex(6)
      create { sinks = { "json:" .. dir .. "/j", "file:" .. dir .. "/f", "dotenv:" .. dir .. "/env", "pgpass:" .. dir .. "/pgpass",
        { "command", command = { "true" } } } }
      local row = assert(sc.cluster:remove_app_user { user = name, clean_sinks = clean }).rows[1]
      assert.are.equal(clean and 1 or 5, #row.sinks_left)
      assert.truthy(row.note:find("is still in ", 1, true), row.note)
      assert.are.equal(not clean, core.stat(dir .. "/j") ~= nil)
      assert.are.equal(not clean, core.stat(dir .. "/f") ~= nil)
      assert.are.equal(not clean, temp.read(dir .. "/env"):find(name:upper(), 1, true) ~= nil)
      assert.are.equal(not clean, temp.read(dir .. "/pgpass"):find(name, 1, true) ~= nil)
      if not clean then temp.run(("rm %s/j %s/f"):format(dir, dir)) end
    end
    assert.truthy(temp.read(dir .. "/env"):find("A=1\n", 1, true))
    assert.truthy(temp.read(dir .. "/pgpass"):find("h:1:*:somebody:x\n", 1, true))
  end)

  it("lists in a dry run what would be done, in every database, and then does just that", function()
    create()
    sc.sandbox:psql(("CREATE TYPE %s_t AS ENUM ('a'); ALTER TYPE %s_t OWNER TO %s"):format(name, name, name), "analytics")
    local report, err = sc.cluster:remove_app_user { user = name, dry_run = true }
    assert.is_nil(report)
    assert.truthy(err.message:find("owns 1 object, the first is type", 1, true), err.message)
    local plan = assert(sc.cluster:remove_app_user { user = name, dry_run = true, reassign_to = "sandbox_admin" })
    local text = tostring(plan)
    for _, part in ipairs {
      'ALTER ROLE "%s" WITH NOLOGIN', 'REASSIGN OWNED BY "%s" TO "sandbox_admin"', 'REVOKE ALL ON TABLE public.orders FROM "%s" CASCADE',
    } do
      assert.truthy(text:find(part:format(name), 1, true), text)
    end
    sc:assert_settled(name)
    assert(sc.cluster:remove_app_user { user = name, reassign_to = "sandbox_admin" })
    sc.sandbox:psql(("DROP TYPE %s_t"):format(name), "analytics")
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
