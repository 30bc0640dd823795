-- Tests lua/crdbcloud/privileges/sessions.lua.
--
-- What privileges say to CockroachDB: the statements and the reading of the answers. See spec/support/cockroach/model.lua.
local cockroach = require "spec.support.cockroach.model"
local privileges = require "crdbcloud.privileges"
local sqls = require "crdbcloud.sql"

describe("crdbcloud.privileges on CockroachDB", function()
  local model, sql

  before_each(function()
    model = cockroach.new {
      defaultdb = {},
      shop = {
        tables = { public = { "orders", "customers" }, other = { "notes" } }, sequences = { public = { "orders_id_seq", "loose" } },
        owned = { orders = 'public."orders_id_seq"' },
      },
      second = { tables = { public = { "things" } } },
    }
    model:add_role "app"
    model:add_role("staff", "NOLOGIN")
    model:add_role("boss", "NOLOGIN")
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
    model:grant(model:thing("table", "shop", "public", "orders"), "app", "ALL")
    assert(privileges.apply(sql, { database = "shop", tables = { "orders" }, privileges = { "SELECT" } }, { user = "app", exact = true }))
    assert.same({ "CONNECT on database shop", "USAGE on schema shop.public", "SELECT on table shop.public.orders" }, granted())
  end)

  it("says in which schemas everybody may create", function()
    model:grant(model:thing("schema", "shop", "other"), "public", "USAGE")
    assert.same({ "shop.public" }, privileges.inspect(sql, "app", { databases = { "shop" } }).public_create)
    model:grant(model:thing("schema", "shop", "other"), "public", "CREATE")
    assert.same({ "shop.other", "shop.public" }, privileges.inspect(sql, "app", { databases = { "shop" } }).public_create)
  end)

  it("demotes: admin, roles that lead there, role options and system privileges", function()
    model:add_member("app", "admin", true)
    model:add_member("app", "boss")
    model:add_member("app", "staff", true)
    model:add_role("app", "CREATELOGIN", "CREATEROLE")
    model:grant_system("app", "CREATEROLE")
    model:grant_system("app", "VIEWACTIVITY")
    assert.is_true(privileges.inspect(sql, "app").admin)
    assert.same({ revoked = { "admin", "boss", "ADMIN OPTION FOR staff", "CREATEROLE", "CREATELOGIN", "SYSTEM CREATEROLE" } },
      privileges.demote(sql, "app"))
    assert.same({
      'REVOKE "admin" FROM "app"', 'REVOKE "boss" FROM "app"', 'REVOKE ADMIN OPTION FOR "staff" FROM "app"',
      'ALTER ROLE "app" WITH NOCREATEROLE NOCREATELOGIN', 'REVOKE SYSTEM CREATEROLE FROM "app"',
    }, model:changes())
    local found = privileges.inspect(sql, "app")
    assert.same({ false, false, false, { "staff" } }, { found.admin, found.createrole, found.createlogin, found.roles })
  end)

  it("takes all system privileges where they are one", function()
    model:grant_system("app", "ALL")
    assert.same({ revoked = { "SYSTEM ALL" } }, privileges.demote(sql, "app"))
    assert.same({ 'REVOKE SYSTEM ALL FROM "app"' }, model:changes())
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

  it("repeats what was rolled back because of another change, and nothing else", function()
    local query = model.query
    for said, state in pairs {
      ["deadlock detected"] = "40P01", ["canceling statement due to lock timeout"] = "55P03", ["could not obtain lock on row"] = "55P03",
      ["canceling statement due to user request"] = "57014", ["query execution canceled due to statement timeout"] = "57014",
      ["tuple concurrently updated"] = "XX000", ["permission denied for table orders"] = "42501",
    } do
      local left = 2
      function model:query(text)
        if text:find "^GRANT SELECT" and left > 0 then
          left = left - 1
          return nil, "ERROR: " .. said
        end
        return query(self, text)
      end
      model:thing("table", "shop", "public", "orders").grants = {}
      local ok, err = privileges.apply(sql, { database = "shop", tables = { "orders" }, privileges = { "SELECT" } }, { user = "app" })
      if state == "42501" then
        assert.same({ state, 1 }, { err.sqlstate, left })
      else
        assert.is_true(ok, tostring(err))
        assert.equal(0, left, said)
      end
    end
  end)

  it("repeats a statement whose fate is open, as it has the same effect twice, and says at the end that it is not known", function()
    local query, sent = model.query, 0
    function model:query(text)
      if text:find "^GRANT SELECT" then
        sent = sent + 1
        return nil, "ERROR: result is ambiguous: error=..."
      end
      return query(self, text)
    end
    local ok, err = privileges.apply(sql, { database = "shop", tables = { "orders" }, privileges = { "SELECT" } }, { user = "app", timeout = "300ms" })
    assert.is_nil(ok)
    assert.same({ "40003", "unknown", true }, { err.sqlstate, err.outcome, sent > 1 })
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
    model.sessions = { a = { user = "app", start = 1 }, b = { user = "app", start = 2 }, c = { user = "other", start = 3 } }
    assert.equal(2, privileges.cancel_sessions(sql, "app"))
    assert.same({ "CANCEL SESSIONS IF EXISTS (SELECT session_id FROM [SHOW CLUSTER SESSIONS] WHERE user_name = 'app' AND session_id <> 'own')" },
      model:changes())
    assert.same({ c = { user = "other", start = 3 } }, model.sessions)
  end)

  it("leaves sessions that have come since, by the server's clock", function()
    local now = model.clock
    model.sessions = { old = { user = "app", start = now - 61 }, new = { user = "app", start = now - 59 } }
    assert.equal(1, privileges.cancel_sessions(sql, "app", { older_than = 60 }))
    assert.same({ new = { user = "app", start = now - 59 } }, model.sessions)
    assert.equal(0, privileges.cancel_sessions(sql, "app", { older_than = 60 }))
  end)

  it("says how many sessions are left when they do not end", function()
    model.sessions = { a = { user = "app", start = 1 } }
    local query = model.query
    function model:query(text)
      if text:find "^CANCEL" then return true end
      return query(self, text)
    end
    local count, err = privileges.cancel_sessions(sql, "app", { timeout = "3s" })
    assert.is_nil(count)
    assert.same({ "timeout", '1 sessions of "app" are left after the time limit' }, { err.kind, err.message })
    assert.truthy(err.hint:find("CANCEL SESSIONS IF EXISTS", 1, true))
  end)
end)
