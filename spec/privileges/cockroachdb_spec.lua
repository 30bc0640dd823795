-- Tests lua/crdbcloud/privileges/catalog.lua, lua/crdbcloud/privileges/sessions.lua.
--
-- What privileges say to CockroachDB: the statements and the reading of the answers. See spec/support/servers/cockroach_model.lua.
local cockroach = require "spec.support.servers.cockroach_model"
local privileges = require "crdbcloud.privileges"
local sqls = require "crdbcloud.sql"

describe("crdbcloud.privileges on CockroachDB", function()
  local model, sql

  before_each(function()
    model = cockroach.new {
      defaultdb = { tables = { public = {} } },
      shop = {
        tables = { public = { "orders", "customers" }, other = { "notes" } }, sequences = { public = { "orders_id_seq", "loose" } },
        owned = { orders = 'public."orders_id_seq"' },
      },
      second = { tables = { public = { "things" } } },
    }
    model.roles.app, model.roles.staff, model.roles.boss = "{}", "{NOLOGIN}", "{NOLOGIN}"
    model:add_member("boss", "admin")
    sql = assert(sqls.open(model))
  end)

  local function granted(databases)
    local words = {}
    for i, grant in ipairs(assert(privileges.inspect(sql, "app", { databases = databases or "all" })).grants) do
      words[i] = privileges.describe(grant)
    end
    return words
  end

  it("is recognised, and reaches every database by one connection", function()
    assert.equal("cockroachdb", sql:dialect())
    assert.equal(sql, sql:database "second")
  end)

  it("gives listed tables with the sequences they own", function()
    local access = { database = "shop", tables = { "orders" }, privileges = { "SELECT", "INSERT" }, sequences = true }
    assert(privileges.apply(sql, access, { user = "app", roles = { "staff" } }))
    assert.same({
      'GRANT "staff" TO "app"',
      'GRANT CONNECT ON DATABASE "shop" TO "app"',
      'GRANT USAGE ON SCHEMA "shop"."public" TO "app"',
      'GRANT SELECT, INSERT ON TABLE "shop"."public"."orders" TO "app"',
      'GRANT USAGE, SELECT ON SEQUENCE "shop"."public"."orders_id_seq" TO "app"',
    }, model:changes())
    assert.equal("defaultdb", model.current)
    assert(privileges.apply(sql, access, { user = "app", roles = { "staff" } }))
    assert.same({}, model:changes())
  end)

  it("gives all tables and those to come of anybody, and goes back to its own database", function()
    assert(privileges.apply(sql, { database = "shop", preset = "readwrite" }, { user = "app" }))
    assert.equal("defaultdb", model.current)
    local words = table.concat(granted(), "\n")
    assert.truthy(words:find("DELETE on table shop.public.customers", 1, true))
    assert.truthy(words:find("SELECT on tables to come in shop.public made by anybody", 1, true))
    assert.truthy(words:find("USAGE on sequences to come in shop.public made by anybody", 1, true))
    assert.is_nil(words:find("notes", 1, true))
    model:changes()
    assert(privileges.apply(sql, { database = "shop", preset = "readwrite" }, { user = "app" }))
    assert.same({}, model:changes())
  end)

  it("does not wonder with exact about sequences that came with all tables", function()
    assert(privileges.apply(sql, { database = "shop", preset = "readwrite" }, { user = "app", exact = true }))
    model:changes()
    assert(privileges.apply(sql, { database = "shop", preset = "readwrite" }, { user = "app", exact = true }))
    assert.same({}, model:changes())
  end)

  it("takes everything else away with exact, in every database, ALL too", function()
    assert(privileges.apply(sql, { database = "second", preset = "readwrite" }, { user = "app", roles = { "staff" } }))
    model:grant("shop", "public", "orders", "table", "app", "ALL")
    assert(privileges.apply(sql, { database = "shop", tables = { "orders" }, privileges = { "SELECT" } }, { user = "app", exact = true }))
    assert.same({ "CONNECT on database shop", "USAGE on schema shop.public", "SELECT on table shop.public.orders" }, granted())
  end)

  it("reads only what was granted to the user itself", function()
    model:grant("shop", "public", "orders", "table", "public", "SELECT")
    model:grant("shop", "public", "orders", "table", "staff", "SELECT")
    assert.same({}, granted { "shop" })
    assert.same({}, privileges.inspect(sql, "nobody_here", { databases = { "shop" } }).grants)
  end)

  it("says in which schemas everybody may create", function()
    model:grant("shop", "public", nil, "schema", "public", "CREATE")
    model:grant("shop", "other", nil, "schema", "public", "USAGE")
    assert.same({ "shop.public" }, privileges.inspect(sql, "app", { databases = { "shop" } }).public_create)
  end)

  it("understands the columns of older servers, too", function()
    model.grants.x = { database_name = "shop", schema_name = "public", relation_name = "orders", grantee = "app", privilege_type = "SELECT" }
    model.grants.y = { database_name = "shop", schema_name = "public", relation_name = "loose", grantee = "app", privilege_type = "SELECT" }
    model.grants.z = { database_name = "shop", grantee = "app", privilege_type = "CONNECT" }
    assert.same({ "CONNECT on database shop", "SELECT on sequence shop.public.loose", "SELECT on table shop.public.orders" }, granted { "shop" })
  end)

  it("reads role options as an array and as older text", function()
    for text, expected in pairs {
      ["{}"] = { true, false, false }, ["{NOLOGIN}"] = { false, false, false }, ["{NOSQLLOGIN}"] = { false, false, false },
      ["{CREATELOGIN,CREATEROLE}"] = { true, true, true }, ["CREATEROLE, VALID UNTIL=2030-01-01"] = { true, true, false },
      [""] = { true, false, false },
    } do
      model.roles.app = text
      local found = assert(privileges.inspect(sql, "app"))
      assert.same(expected, { found.login, found.createrole, found.createlogin }, text)
    end
  end)

  it("counts system privileges, own and through roles", function()
    model:add_member("app", "staff")
    model.system.a = { grantee = "staff", privilege_type = "CREATEROLE" }
    assert.is_true(privileges.inspect(sql, "app").createrole)
    assert.equal('role "staff" leads to CREATEROLE, which an application user must not have', privileges.refused(sql, nil, { "staff" }).message)
    model.system.a = { grantee = "staff", privilege_type = "ALL" }
    assert.is_true(privileges.inspect(sql, "app").createlogin)
    model.system = nil -- a server without system privileges
    assert.is_false(privileges.inspect(sql, "app").createrole)
  end)

  it("demotes: admin, roles that lead there, role options and system privileges", function()
    model:add_member("app", "admin", true)
    model:add_member("app", "boss")
    model:add_member("app", "staff", true)
    model.roles.app = "{CREATELOGIN,CREATEROLE}"
    model.system.a = { grantee = "app", privilege_type = "CREATEROLE" }
    assert.is_true(privileges.inspect(sql, "app").admin)
    assert.same({ revoked = { "admin", "boss", "ADMIN OPTION FOR staff", "CREATEROLE", "CREATELOGIN" } }, privileges.demote(sql, "app"))
    assert.same({
      'REVOKE "admin" FROM "app"', 'REVOKE "boss" FROM "app"', 'REVOKE ADMIN OPTION FOR "staff" FROM "app"',
      'ALTER ROLE "app" WITH NOCREATEROLE NOCREATELOGIN', 'REVOKE SYSTEM CREATEROLE FROM "app"',
    }, model:changes())
    local found = privileges.inspect(sql, "app")
    assert.same({ false, false, false, { "staff" } }, { found.admin, found.createrole, found.createlogin, found.roles })
  end)

  it("takes all system privileges where they are one", function()
    model.system.a = { grantee = "app", privilege_type = "ALL" }
    assert.same({ revoked = { "CREATEROLE", "CREATELOGIN" } }, privileges.demote(sql, "app"))
    assert.same({ 'ALTER ROLE "app" WITH NOCREATEROLE NOCREATELOGIN', 'REVOKE SYSTEM ALL FROM "app"' }, model:changes())
  end)

  it("goes home also when home is no database", function()
    model.current = "nowhere"
    assert(privileges.apply(sql, { database = "shop", preset = "readonly" }, { user = "app" }))
    assert.equal("", model.current)
  end)

  it("errs when the user is still an admin afterwards", function()
    model:add_member("app", "admin")
    local query = model.query
    function model:query(text)
      if text:find "^REVOKE" then return true end
      return query(self, text)
    end
    local done, err = privileges.demote(sql, "app")
    assert.is_nil(done)
    assert.same({ '"app" is still an admin', "applied" }, { err.message, err.outcome })
  end)

  it("repeats a statement that could not be serialized, until its time limit", function()
    local query, refusals = model.query, 3
    function model:query(text)
      if text:find "^GRANT SELECT" and refusals > 0 then
        refusals = refusals - 1
        return nil, "ERROR: restart transaction: TransactionRetryWithProtoRefreshError"
      end
      return query(self, text)
    end
    assert(privileges.apply(sql, { database = "shop", tables = { "orders" }, privileges = { "SELECT" } }, { user = "app" }))
    assert.equal(0, refusals)
    refusals = 1000000
    local ok, err = privileges.apply(sql, { database = "shop", tables = { "customers" }, privileges = { "SELECT" } }, { user = "app", timeout = "300ms" })
    assert.is_nil(ok)
    assert.equal("40001", err.sqlstate)
    assert.is_true(err.attempts > 1)
  end)

  it("does not repeat a statement whose fate is open", function()
    local query, sent = model.query, 0
    function model:query(text)
      if text:find "^GRANT SELECT" then
        sent = sent + 1
        return nil, "ERROR: result is ambiguous: error=..."
      end
      return query(self, text)
    end
    local ok, err = privileges.apply(sql, { database = "shop", tables = { "orders" }, privileges = { "SELECT" } }, { user = "app" })
    assert.is_nil(ok)
    assert.same({ "40003", "unknown", 1 }, { err.sqlstate, err.outcome, sent })
  end)

  it("goes back to its own database when it fails", function()
    local query = model.query
    function model:query(text)
      if text:find "^ALTER DEFAULT" then return nil, "ERROR: permission denied" end
      return query(self, text)
    end
    local ok, err = privileges.apply(sql, { database = "shop", preset = "readonly" }, { user = "app" })
    assert.is_nil(ok)
    assert.equal("42501", err.sqlstate)
    assert.equal("defaultdb", model.current)
  end)

  it("cancels sessions until none is left, but its own", function()
    model.sessions = { a = { id = "1", user = "app" }, b = { id = "2", user = "app" }, c = { id = "3", user = "other" } }
    assert.equal(2, privileges.cancel_sessions(sql, "app"))
    assert.same({ "CANCEL SESSIONS IF EXISTS (SELECT session_id FROM [SHOW CLUSTER SESSIONS] WHERE user_name = 'app' AND session_id <> 'own')" },
      model:changes())
    assert.same({ c = { id = "3", user = "other" } }, model.sessions)
  end)

  it("says how many sessions are left when they do not end", function()
    model.sessions = { a = { id = "1", user = "app" } }
    local query = model.query
    function model:query(text)
      if text:find "^CANCEL" then return true end
      return query(self, text)
    end
    local count, err = privileges.cancel_sessions(sql, "app", { timeout = "150ms" })
    assert.is_nil(count)
    assert.same({ "timeout", '1 sessions of "app" are left after the time limit' }, { err.kind, err.message })
    assert.truthy(err.hint:find("CANCEL SESSIONS IF EXISTS", 1, true))
  end)
end)
