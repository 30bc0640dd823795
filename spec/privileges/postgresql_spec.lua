-- Tests lua/crdbcloud/privileges/read_grants.lua, lua/crdbcloud/privileges/read_objects.lua,
-- lua/crdbcloud/privileges/demote.lua and lua/crdbcloud/privileges/exact.lua on the real PostgreSQL:
-- what a user has beside tables, the way it comes, and what stands in the way of taking it.

local core = require "crdbcloud.core"
local privileges = require "crdbcloud.privileges"
local sqls = require "crdbcloud.sql"
local postgres = require "spec.support.servers.postgres".shared()

local PASSWORD = "a-long-password-of-the-app"
local READ_ORDERS = { database = "shop", tables = { "orders" }, privileges = { "SELECT" } }

describe("crdbcloud.privileges on PostgreSQL", function()
  local sql

  setup(function()
    postgres:psql "DROP DATABASE IF EXISTS shop"
    postgres:psql "CREATE ROLE admin; CREATE ROLE migrator"
    postgres:psql "CREATE DATABASE shop"
    postgres:psql("CREATE TABLE orders (id int); CREATE TABLE customers (id int)", "shop")
    sql = assert(sqls.connect(postgres:params()))
  end)

  teardown(function()
    sql:close()
    postgres:psql "DROP DATABASE shop"
    postgres:psql "DROP ROLE admin; DROP ROLE migrator"
  end)

  before_each(function() postgres:psql("CREATE ROLE app LOGIN PASSWORD '" .. PASSWORD .. "'; CREATE ROLE staff") end)

  after_each(function()
    postgres:psql("DROP OWNED BY app; DROP OWNED BY staff", "shop")
    postgres:psql "DROP OWNED BY app; DROP OWNED BY staff; DROP ROLE app, staff"
  end)

  local function apply(access, given)
    given = given or {}
    given.user = "app"
    return privileges.apply(sql, access, given)
  end

  local function words(list)
    local out = {}
    for i, grant in ipairs(list) do out[i] = privileges.describe(grant) end
    return out
  end

  local function granted()
    return words(assert(privileges.inspect(sql, "app", { databases = "all" })).grants)
  end

  -- Another session changes the rights of the same table and goes on when ours waits for it.
  local function meanwhile(text)
    local path = postgres.dir .. "/meanwhile.sql"
    local file = assert(io.open(path, "w"))
    file:write("BEGIN; GRANT SELECT ON orders TO staff;\n\\echo ready\n", [[
      DO $$ BEGIN
        FOR i IN 1..3000 LOOP
          PERFORM pg_stat_clear_snapshot();
          EXIT WHEN EXISTS (SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock');
          PERFORM pg_sleep(0.01);
        END LOOP;
      END $$;
    ]], text, "\nCOMMIT;\n")
    file:close()
    local pipe = assert(io.popen(("PGPASSFILE=%s psql -X -q -A -t -h %s -p %d -U root -d shop -f %s"):format(postgres.pgpass, postgres.socket,
      postgres.port, path)))
    assert.equal("ready", pipe:read "*l")
    return pipe
  end

  for name, text in pairs {
    ["met another change of the same table"] = "",
    ["lost its session"] = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock';",
    ["was cancelled"] = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock';",
  } do
    it("repeats a grant that " .. name, function()
      local pipe = meanwhile(text)
      assert(apply(READ_ORDERS))
      pipe:close()
      assert.equal("t|t", postgres:psql("SELECT has_table_privilege('app', 'orders', 'SELECT'), has_table_privilege('staff', 'orders', 'SELECT')", "shop"))
    end)
  end

  it("takes types, routines, columns and the right to pass on away with exact", function()
    postgres:psql([[
      CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'; GRANT EXECUTE ON FUNCTION f(int) TO app WITH GRANT OPTION;
      CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 1'; GRANT EXECUTE ON PROCEDURE p() TO app;
      CREATE TYPE mood AS ENUM ('good'); GRANT USAGE ON TYPE mood TO app; GRANT SELECT (id) ON customers TO app;
      GRANT SELECT ON orders TO app WITH GRANT OPTION; ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO app;
      ALTER DEFAULT PRIVILEGES GRANT USAGE ON TYPES TO app; ALTER DEFAULT PRIVILEGES GRANT CREATE ON SCHEMAS TO app]], "shop")
    assert.same({
      "EXECUTE on function shop.public.f(a integer) WITH GRANT OPTION", "EXECUTE on functions to come in shop made by root",
      "CREATE on schemas to come in shop made by root", "USAGE on types to come in shop made by root",
      "EXECUTE on procedure shop.public.p()", "SELECT (id) on table shop.public.customers",
      "SELECT on table shop.public.orders WITH GRANT OPTION", "USAGE on type shop.public.mood",
    }, granted())
    assert(apply(READ_ORDERS, { exact = true }))
    assert.same({ "CONNECT on database shop", "USAGE on schema shop.public", "SELECT on table shop.public.orders" }, granted())
    postgres:psql("DROP FUNCTION f; DROP PROCEDURE p; DROP TYPE mood", "shop")
  end)

  it("takes ADMIN OPTION of a wanted role away with exact", function()
    postgres:psql "GRANT staff TO app WITH ADMIN OPTION"
    assert(apply({}, { roles = { "staff" }, exact = true }))
    assert.same({ "membership in role staff" }, granted())
  end)

  it("refuses exact for an owner, before anything is changed, but not for what ddl lets it own", function()
    postgres:psql("GRANT USAGE, CREATE ON SCHEMA public TO app; GRANT SELECT ON customers TO app; CREATE TYPE mood AS ENUM ('good');" ..
      "ALTER TYPE mood OWNER TO app; CREATE TABLE mine (); ALTER TABLE mine OWNER TO app", "shop")
    local before = granted()
    local ok, err = apply(READ_ORDERS, { exact = true })
    assert.is_nil(ok)
    assert.same({ "conflict", "not_sent" }, { err.kind, err.outcome })
    assert.equal('"app" is the owner of table shop.public.mine and of 1 object more; '
      .. "an owner has every right on what it owns, and no REVOKE limits it", err.message)
    assert.equal('in shop: ALTER TABLE "public"."mine" OWNER TO NEW_OWNER; or leave exact out', err.hint)
    assert.same(before, granted())
    assert(apply({ database = "shop", preset = "ddl" }, { exact = true }))
  end)

  it("refuses exact where somebody else than the owner gave it, with the statement that takes it", function()
    postgres:psql("GRANT SELECT ON customers TO staff WITH GRANT OPTION; SET ROLE staff; GRANT SELECT ON customers TO app", "shop")
    local ok, err = apply(READ_ORDERS, { exact = true })
    assert.is_nil(ok)
    assert.same({ "conflict", "not_sent" }, { err.kind, err.outcome })
    assert.truthy(err.message:find('was given to "app" by "staff"', 1, true), err.message)
    postgres:psql(err.hint, "shop")
    assert(apply(READ_ORDERS, { exact = true }))
  end)

  it("says what comes through roles of roles and everybody, and which way", function()
    postgres:psql "CREATE ROLE ops; GRANT ops TO staff; GRANT staff TO app"
    postgres:psql("GRANT SELECT ON customers TO ops; GRANT UPDATE ON orders TO public; CREATE TYPE mood AS ENUM ('good')", "shop")
    assert.same({
      "CONNECT on database shop, through public", "TEMPORARY on database shop, through public",
      "USAGE on schema shop.public, through public", "SELECT on table shop.public.customers, through staff, ops",
      "UPDATE on table shop.public.orders, through public", "USAGE on type shop.public.mood, through public",
    }, words(assert(privileges.inspect(sql, "app", { databases = { "shop" } })).inherited))
    postgres:psql("REVOKE UPDATE ON orders FROM public; DROP TYPE mood; DROP OWNED BY ops; DROP ROLE ops", "shop")
  end)

  it("says what a user gives to others by default, and what it owns", function()
    postgres:psql("GRANT CREATE ON SCHEMA public TO app; SET ROLE app; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO migrator;" ..
      "CREATE DOMAIN short AS text; CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'", "shop")
    local found = assert(privileges.inspect(sql, "app", { databases = "all" }))
    assert.same({ "SELECT on tables to come in shop made by app, for migrator" }, words(found.gives))
    assert.same({
      { on = "function", database = "shop", schema = "public", name = "f(a integer)" },
      { on = "type", database = "shop", schema = "public", name = "short" },
    }, found.owns)
  end)

  it("takes what leads past every grant: BYPASSRLS, REPLICATION and the server's own roles that do", function()
    postgres:psql "ALTER ROLE app BYPASSRLS REPLICATION; GRANT pg_write_all_data TO staff; GRANT staff TO app"
    assert.same({ revoked = { "staff", "BYPASSRLS", "REPLICATION" } }, privileges.demote(sql, "app"))
    assert.is_true(privileges.inspect(sql, "app").limited)
    assert.truthy(privileges.refused(sql, nil, { "staff" }).message:find("leads to pg_write_all_data", 1, true))
    postgres:psql "REVOKE pg_write_all_data FROM staff"
  end)

  it("leaves sessions that have come since", function()
    local old = assert(sqls.connect(postgres:params { user = "app", password = core.secret(PASSWORD) }))
    local function pid(session) return session:query "SELECT pg_backend_pid() AS pid"[1].pid end
    local function age(session)
      return tonumber(postgres:psql("SELECT extract(epoch FROM clock_timestamp() - backend_start) FROM pg_stat_activity WHERE pid = " .. pid(session)))
    end
    -- The new session must be younger than this for as long as a loaded machine takes to ask.
    postgres:psql "SELECT pg_sleep(20)"
    local new = assert(sqls.connect(postgres:params { user = "app", password = core.secret(PASSWORD) }))
    local between = age(old)
    assert.equal(1, privileges.cancel_sessions(sql, "app", { older_than = between }))
    assert.equal(pid(new), postgres:psql "SELECT pid FROM pg_stat_activity WHERE usename = 'app'")
    assert.equal(0, privileges.cancel_sessions(sql, "app", { older_than = between }))
    old:close()
    new:close()
  end)
end)
