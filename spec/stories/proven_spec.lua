-- Tests lua/crdbcloud/change/proof.lua where it is used, on a real PostgreSQL: what became of an application user since it was
-- made, and that its password is not handed out when that is more than a limited user.

local core = require "crdbcloud.core"
local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

local PUT = "update_sql_user_password"
local ACCESS = { database = "shop", tables = { "orders" }, privileges = { "SELECT" } }

local sc, name, file

local function psql(text) return sc.sandbox:psql((text:gsub("@", name))) end

-- What other tools do to a user, each with the reason that is found.
local DEEDS = {
  { "deleted and made again, as an admin", "made_anew", function()
    psql "DROP OWNED BY @"
    assert(sc.cluster.cloud:delete_sql_user(sc.id, name))
    assert(sc.cluster.cloud:create_sql_user(sc.id, name, "by-Another-tool-1"))
  end },
  { "deleted and made again, limited", "made_anew", function()
    psql "DROP OWNED BY @; DROP ROLE @; CREATE ROLE @ LOGIN PASSWORD 'by-Another-tool-1'"
  end },
  { "granted admin", "is_admin", function() psql "GRANT admin TO @" end, admin = true },
  { "granted admin through a role of a role", "is_admin", function()
    psql "CREATE ROLE @_b; CREATE ROLE @_a IN ROLE @_b; GRANT admin TO @_b; GRANT @_a TO @"
  end, admin = true },
  { "made a superuser", "is_admin", function() psql "ALTER ROLE @ SUPERUSER" end, admin = true },
  { "given CREATEROLE", "has_power", function() psql "ALTER ROLE @ CREATEROLE" end, admin = true },
  { "given a role that reads all data", "has_power", function() psql "GRANT pg_read_all_data TO @" end, admin = true },
  { "kept from its login", "no_login", function() psql "ALTER ROLE @ NOLOGIN" end },
  { "given a password that is over", "expired", function() psql "ALTER ROLE @ VALID UNTIL '2020-01-01'" end },
}

local function create(fields)
  local o = { name = name, access = ACCESS, sinks = { "json:" .. file } }
  for k, v in pairs(fields or {}) do o[k] = v end
  return sc.cluster:create_app_user(o)
end

describe("an application user that another tool has changed", function()
  before_each(function()
    sc = scene.open { timeout = 2, max_attempts = 2 }
    name = "spec_" .. core.random_hex(6)
    file = sc.dir .. "/app.json"
    assert(create())
  end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  for _, deed in ipairs(DEEDS) do
    local what, reason, act = deed[1], deed[2], deed[3]

    it(what .. ": no rotation sends or publishes a password of it, and the status tells", function()
      local published, epoch = temp.read(file), sc:record(name).epoch
      act()
      sc.sandbox:clear()
      for _, rotate in ipairs {
        function() return sc.cluster:rotate_passwords { users = "managed" } end,
        function() return sc.cluster:rotate_password(name) end,
      } do
        local report, err = rotate()
        assert.is_nil(report)
        local row = err.report.rows[1]
        assert.are.same({ 3, "refused", reason, "not_sent" }, { err.exit, row.result, row.reason, row.outcome })
        assert.matches(name, row.error, 1, true)
      end
      assert.are.equal("blocked", assert(sc.cluster:plan_rotation { users = "managed" }).rows[1].result)
      assert.are.equal(0, #sc:requests(PUT))
      assert.are.same({ published, epoch }, { temp.read(file), sc:record(name).epoch })
      local status = assert(sc.cluster:rotation_status())
      assert.is_string(status.rows[1].finding)
      assert.matches("security: " .. name, tostring(status), 1, true)
    end)

    it(what .. " while its password is changed: it is live, and published nowhere", function()
      local published = temp.read(file)
      local report, err = sc.cluster:rotate_password { user = name, on_progress = function(event)
        if event.step == "send" then act() end
      end }
      assert.is_nil(report)
      local row = err.report.rows[1]
      if reason == "made_anew" and row.kind == "sql" then return end -- the change met neither the old user nor the new one
      assert.are.same({ 6, "unpublished", reason, "applied" }, { err.exit, row.result, row.reason, row.outcome })
      assert.are.equal(published, temp.read(file))
      for _, candidate in ipairs(assert(sc.cluster:credential(name)).candidates) do
        assert.are_not.equal("accepted", sc:login(name, candidate.password))
      end
      local _, again = sc.cluster:resume()
      assert.are.same({ 6, reason }, { again.exit, again.report.rows[1].reason })
      assert.are.equal(published, temp.read(file))
    end)

    if deed.admin then
      it(what .. ": allow_admin lets it through and says so", function()
        act()
        local report = assert(sc.cluster:rotate_password { user = name, allow_admin = true })
        assert.matches("security: " .. name, table.concat(report.warnings, "\n"), 1, true)
        assert.are.equal(2, sc:record(name).epoch)
      end)

      it(what .. ": an emergency changes the password all the same, and an admin's is not published", function()
        local published = temp.read(file)
        act()
        local _, err = sc.cluster:rotate_passwords { emergency = { name } }
        assert.are.same({ 6, reason }, { err.exit, err.report.rows[1].reason })
        assert.are.equal("wrong_password", sc:login(name, require("cjson").decode(published).password))
        assert.are.equal(published, temp.read(file))
      end)
    end
  end

  it("gets its password published by resume once it is limited again", function()
    local _, err = sc.cluster:rotate_password { user = name, on_progress = function(event)
      if event.step == "send" then psql "GRANT admin TO @" end
    end }
    assert.are.equal(6, err.exit)
    assert(sc.cluster:set_access { user = name, admin = false })
    assert(sc.cluster:resume())
    assert.are.equal("accepted", sc:login(name, require("cjson").decode(temp.read(file)).password))
    sc:assert_settled(name)
  end)

  it("is not rotated while the SQL side is down, and without a SQL connection the report says that nobody looked", function()
    local spec = sc:sql_spec()
    spec.dbname = "nowhere"
    local _, err = sc:handle({ cluster = { sql = spec } }):rotate_password(name)
    assert.are.same({ "not_sent", "not_looked_at" }, { err.outcome, err.report.rows[1].reason })
    assert.are.equal(1, sc:record(name).epoch)
    local report = assert(sc:handle({ cluster = { sql = false } }):rotate_password(name))
    assert.matches("nobody looks whether", table.concat(report.warnings, "\n"), 1, true)
  end)

  it("that disable_user keeps from its login is rotated, since its record says so", function()
    assert(sc.cluster:disable_user(name))
    assert(sc.cluster:rotate_password(name))
    assert(sc.cluster:enable_user(name))
    sc:assert_settled(name)
  end)
end)
