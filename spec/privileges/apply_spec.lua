local core = require "crdbcloud.core"
local privileges = require "crdbcloud.privileges"
local run = require "crdbcloud.privileges.run"
local sqls = require "crdbcloud.sql"
local postgres = require "spec.support.servers.postgres".shared()

local PASSWORD = "a-long-password-of-the-app"
local READ_ORDERS = { database = "shop", tables = { "orders" }, privileges = { "SELECT" } }

local function raised(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  return message
end

describe("crdbcloud.privileges", function()
  local sql

  setup(function()
    postgres:psql "DROP DATABASE IF EXISTS shop"
    postgres:psql "DROP DATABASE IF EXISTS second"
    postgres:psql "CREATE ROLE admin; CREATE ROLE migrator LOGIN"
    postgres:psql "CREATE DATABASE shop OWNER migrator"
    postgres:psql "CREATE DATABASE second"
    postgres:psql([[
      CREATE TABLE orders (id serial PRIMARY KEY, amount int); CREATE TABLE customers (id int); CREATE TABLE "Mixed ""Case" (id int);
      CREATE VIEW totals AS SELECT sum(amount) FROM orders; CREATE SEQUENCE loose; CREATE SCHEMA other; CREATE TABLE other.notes (id int);
      ALTER TABLE orders OWNER TO migrator; GRANT CREATE, USAGE ON SCHEMA public TO migrator]], "shop")
    sql = assert(sqls.connect(postgres:params()))
  end)

  teardown(function()
    sql:close()
    postgres:psql "DROP DATABASE shop"
    postgres:psql "DROP DATABASE second"
    postgres:psql "DROP ROLE admin; DROP ROLE migrator"
  end)

  before_each(function()
    for _, text in ipairs { "CREATE ROLE app LOGIN PASSWORD '" .. PASSWORD .. "'", "CREATE ROLE staff", "CREATE ROLE boss IN ROLE admin" } do
      assert(sql:query(text))
    end
  end)

  after_each(function()
    for _, database in ipairs { "shop", "second", "postgres" } do
      assert(assert(sql:database(database)):query "DROP OWNED BY app, staff, boss")
    end
    assert(sql:query "DROP ROLE app, staff, boss")
  end)

  local function as_app(text, database)
    local conn = assert(sqls.connect(postgres:params { user = "app", password = core.secret(PASSWORD), dbname = database or "shop" }))
    local rows, err = conn:query(text)
    conn:close()
    return rows, err and err.sqlstate
  end

  local function can(text, database)
    local rows, state = as_app(text, database)
    assert.truthy(rows, text .. ": " .. tostring(state))
  end

  local function cannot(text, database)
    local rows, state = as_app(text, database)
    assert.is_nil(rows, text)
    assert.equal("42501", state)
  end

  local function apply(access, given)
    given = given or {}
    given.user = given.user or "app"
    return privileges.apply(sql, access, given)
  end

  local function words(list)
    local out = {}
    for i, grant in ipairs(list) do out[i] = privileges.describe(grant) end
    return out
  end

  local function granted(databases)
    return words(assert(privileges.inspect(sql, "app", { databases = databases or "all" })).grants)
  end

  describe("apply", function()
    it("gives what was asked for and nothing else", function()
      cannot "SELECT * FROM orders"
      assert(apply(READ_ORDERS))
      can "SELECT * FROM orders"
      for _, text in ipairs { "INSERT INTO orders (amount) VALUES (1)", "DELETE FROM orders", "UPDATE orders SET amount = 1",
        "SELECT * FROM customers", "SELECT nextval('orders_id_seq')", "CREATE TABLE mine ()", "DROP TABLE orders", "SELECT * FROM other.notes",
      } do
        cannot(text)
      end
      assert.same({ "CONNECT on database shop", "USAGE on schema shop.public", "SELECT on table shop.public.orders" }, granted())
    end)

    it("gives a writer the sequences it needs, those that its tables own", function()
      assert(apply { database = "shop", tables = { "orders" }, privileges = { "INSERT" }, sequences = true })
      can "INSERT INTO orders (amount) VALUES (1)"
      cannot "SELECT nextval('loose')"
    end)

    it("gives all tables, views too, and those to come, whoever owns tables there now", function()
      assert(apply { database = "shop", preset = "readwrite" })
      can "INSERT INTO orders (amount) VALUES (1)"
      can "SELECT * FROM totals"
      can 'DELETE FROM "Mixed ""Case"'
      can "SELECT nextval('loose')"
      postgres:psql('CREATE TABLE later_root (id serial); SET ROLE migrator; CREATE TABLE later_migrator (id serial)', "shop")
      can "INSERT INTO later_root DEFAULT VALUES"
      can "INSERT INTO later_migrator DEFAULT VALUES"
      cannot "TRUNCATE orders"
      cannot "SELECT * FROM other.notes"
      postgres:psql("DROP TABLE later_root; DROP TABLE later_migrator", "shop")
    end)

    it("means only the named creators' future tables", function()
      assert(apply { database = "shop", preset = "readonly", creators = { "migrator" } })
      postgres:psql('CREATE TABLE later_root (); SET ROLE migrator; CREATE TABLE later_migrator ()', "shop")
      can "SELECT * FROM later_migrator"
      cannot "SELECT * FROM later_root"
      postgres:psql("DROP TABLE later_root; DROP TABLE later_migrator", "shop")
    end)

    it("reads only with readonly, sequences too", function()
      assert(apply { database = "shop", preset = "readonly" })
      can "SELECT * FROM customers"
      can "SELECT last_value FROM loose"
      cannot "SELECT nextval('loose')"
      cannot "INSERT INTO customers VALUES (1)"
    end)

    it("lets ddl make tables", function()
      assert(apply { database = "shop", preset = "ddl" })
      can "CREATE TABLE app_made (id int)"
      can "TRUNCATE customers"
      cannot "DROP TABLE orders"
      -- What the user owns it has everything on, so nothing is missing when it is applied again.
      assert(apply { database = "shop", preset = "ddl" })
      assert.same({ { on = "table", database = "shop", schema = "public", name = "app_made" } },
        assert(privileges.inspect(sql, "app", { databases = { "shop" } })).owns)
    end)

    it("serves several databases and schemas at once", function()
      postgres:psql("CREATE TABLE things (id int)", "second")
      assert(apply { { database = "shop", schema = "other", tables = { "notes" }, privileges = { "SELECT" } }, { database = "second", preset = "readonly" } })
      can "SELECT * FROM other.notes"
      can("SELECT * FROM things", "second")
      cannot "SELECT * FROM orders"
      postgres:psql("DROP TABLE things", "second")
    end)

    it("takes names as they are, quotes and capitals and all", function()
      assert(apply { database = "shop", tables = { 'Mixed "Case' }, privileges = { "SELECT" } })
      can 'SELECT * FROM "Mixed ""Case"'
    end)

    it("gives roles", function()
      postgres:psql("GRANT SELECT ON customers TO staff; GRANT USAGE ON SCHEMA public TO staff", "shop")
      assert(apply({}, { roles = { "Staff" } }))
      can "SELECT * FROM customers"
      assert.same({ "membership in role staff" }, granted())
    end)

    it("sends no GRANT when nothing is missing", function()
      assert(apply { database = "shop", preset = "readwrite" })
      local before = postgres:psql("SELECT max(xmin::text::int) FROM pg_class WHERE relacl IS NOT NULL", "shop")
      assert(apply { database = "shop", preset = "readwrite" })
      assert.equal(before, postgres:psql("SELECT max(xmin::text::int) FROM pg_class WHERE relacl IS NOT NULL", "shop"))
    end)

    it("adds to what is there, and takes the rest away only when exact", function()
      assert(apply { database = "shop", preset = "readwrite" })
      assert(apply({ database = "second", preset = "readonly" }, { roles = { "staff" } }))
      assert(apply(READ_ORDERS))
      can "DELETE FROM customers"
      assert(apply(READ_ORDERS, { exact = true }))
      assert.same({ "CONNECT on database shop", "USAGE on schema shop.public", "SELECT on table shop.public.orders" }, granted())
      cannot "DELETE FROM customers"
      assert(apply({}, { exact = true }))
      assert.same({}, granted())
    end)

    it("names everything that does not exist, and changes nothing", function()
      for _, case in ipairs {
        { { database = "shop", tables = { "ordrs", "nothing_like_it" }, privileges = { "SELECT" } },
          'table "shop"."public"."nothing_like_it", table "shop"."public"."ordrs" (did you mean orders?) do not exist' },
        { { database = "shop", schema = "nowhere", preset = "readonly" }, 'schema "shop"."nowhere" does not exist' },
        { { database = "nowhere", preset = "readonly" }, 'database "nowhere" does not exist' },
        { { READ_ORDERS, { database = "shop", tables = { "x_y_z" }, privileges = { "SELECT" } } }, 'table "shop"."public"."x_y_z" does not exist' },
      } do
        local ok, err = apply(case[1])
        assert.is_nil(ok)
        assert.same({ "not_found", "not_sent", case[2] }, { err.kind, err.outcome, err.message })
      end
      local ok, err = apply(READ_ORDERS, { user = "nobody_here" })
      assert.is_nil(ok)
      assert.equal('user "nobody_here" does not exist', err.message)
      assert.same({}, granted())
    end)

    it("errs with what is missing when the server did not give it", function()
      -- A user without the right to grant: PostgreSQL warns only, and does nothing.
      postgres:psql("CREATE ROLE half LOGIN PASSWORD '" .. PASSWORD .. "'; GRANT SELECT ON orders TO half; GRANT USAGE ON SCHEMA public TO half", "shop")
      local half = assert(sqls.connect(postgres:params { user = "half", password = core.secret(PASSWORD), dbname = "shop" }))
      local ok, err = privileges.apply(half, READ_ORDERS, { user = "app" })
      half:close()
      postgres:psql("DROP OWNED BY half; DROP ROLE half", "shop")
      assert.is_nil(ok)
      assert.same({ "sql", "applied" }, { err.kind, err.outcome })
      assert.truthy(err.message:find("the server still lacks CONNECT on database shop; ", 1, true), err.message)
      assert.truthy(err.message:find("SELECT on table shop.public.orders", 1, true))
    end)

    it("names the statement that the server refused", function()
      postgres:psql "CREATE ROLE weak LOGIN PASSWORD 'a-long-password-of-the-app'"
      local weak = assert(sqls.connect(postgres:params { user = "weak", password = core.secret(PASSWORD), dbname = "shop" }))
      local ok, err = privileges.apply(weak, READ_ORDERS, { user = "app", roles = { "staff" } })
      weak:close()
      postgres:psql "DROP ROLE weak"
      assert.is_nil(ok)
      assert.same({ "42501", "rejected" }, { err.sqlstate, err.outcome })
      assert.truthy(err.message:find('(statement: GRANT "staff" TO "app")', 1, true), err.message)
    end)

    it("says that a part is done when a later statement fails", function()
      for order, expected in pairs { { "rejected", 1 }, { "applied", 3 } } do
        local statements = { "GRANT staff TO app", uses = {}, databases = {} }
        table.insert(statements, order, "GRANT nobody_here TO app")
        local err = select(2, run.all(sql, run.deadline(30), statements))
        assert.same(expected, { err.outcome, err.exit })
      end
    end)

    it("refuses roles that lead to what an application user must not have", function()
      postgres:psql [[
        CREATE ROLE maker CREATEROLE; CREATE ROLE outer_role IN ROLE boss; CREATE ROLE giver; GRANT staff TO giver WITH ADMIN OPTION;
        CREATE ROLE god SUPERUSER]]
      for role, words_of in pairs {
        boss = "leads to admin", outer_role = "leads to admin", god = "leads to admin", maker = "leads to CREATEROLE",
        giver = "leads to ADMIN OPTION", admin = "belongs to the cluster itself", pg_read_all_data = "belongs to the cluster itself",
        nowhere = "does not exist",
      } do
        local ok, err = apply(READ_ORDERS, { roles = { "staff", role } })
        assert.is_nil(ok)
        assert.equal("not_sent", err.outcome)
        assert.truthy(err.message:find(words_of, 1, true), err.message)
        assert.equal(err.message, privileges.refused(sql, READ_ORDERS, { role }).message)
      end
      assert.same({}, granted())
      assert.is_nil(privileges.refused(sql, READ_ORDERS, { "staff" }))
      assert.is_nil(privileges.refused(sql, nil, nil))
      assert.equal("invalid_argument", privileges.refused(sql, { database = "system", preset = "readonly" }).kind)
      assert.equal("invalid_argument", privileges.refused(sql, { database = "d", privileges = { "BACKUP" } }).kind)
      postgres:psql "DROP ROLE outer_role; DROP ROLE maker; DROP ROLE giver; DROP ROLE god"
    end)

    it("keeps to its time limit", function()
      local ok, err = apply(READ_ORDERS, { timeout = "1ms" })
      assert.is_nil(ok)
      assert.equal("timeout", err.kind)
    end)
  end)

  describe("inspect", function()
    it("looks at roles only, unless databases are named", function()
      postgres:psql "GRANT boss TO app; GRANT staff TO app WITH ADMIN OPTION"
      local found = assert(privileges.inspect(sql, "App"))
      assert.same({ true, true, true, false, { "boss" }, true, false, false, false, { "boss", "staff" } },
        { found.exists, found.login, found.admin, found.admin_direct, found.admin_via, found.admin_option, found.createrole,
          found.createlogin, found.superuser, found.roles })
      assert.same({ "membership in role boss", "membership in role staff WITH ADMIN OPTION" }, words(found.grants))
    end)

    it("knows a user that is not there, and one that may not log in", function()
      local found = assert(privileges.inspect(sql, "nobody_here", { databases = "all" }))
      assert.same({ false, false, false, {} }, { found.exists, found.login, found.admin, found.grants })
      assert.same({ true, false }, { privileges.inspect(sql, "staff").exists, privileges.inspect(sql, "staff").login })
      assert.is_true(privileges.inspect(sql, "root").admin)
    end)

    it("can be compared with wanted access", function()
      assert(apply(READ_ORDERS))
      local found = assert(privileges.inspect(sql, "app", { databases = { "shop" } }))
      assert.same({ missing = {}, extra = {} }, privileges.diff(READ_ORDERS, found))
      local difference = privileges.diff({ database = "shop", tables = { "customers" }, privileges = { "SELECT" } }, found)
      assert.same({ "SELECT on table shop.public.customers" }, words(difference.missing))
      assert.same({ "SELECT on table shop.public.orders" }, words(difference.extra))
    end)

    it("says in which schemas everybody may create", function()
      assert.same({}, privileges.inspect(sql, "app", { databases = { "shop" } }).public_create)
      postgres:psql("GRANT CREATE ON SCHEMA other TO public", "shop")
      assert.same({ "shop.other" }, privileges.inspect(sql, "app", { databases = { "shop" } }).public_create)
      postgres:psql("REVOKE CREATE ON SCHEMA other FROM public", "shop")
    end)

    it("prints and encodes without the server's whole catalogue", function()
      local found = assert(privileges.inspect(sql, "app", { databases = { "shop" } }))
      assert.truthy(found.objects.shop and found.graph.traits.app)
      assert.is_nil(require("cjson").encode(found):find("customers", 1, true))
    end)

    it("says when a database is not there", function()
      local found, err = privileges.inspect(sql, "app", { databases = { "nowhere" } })
      assert.is_nil(found)
      assert.equal('database "nowhere" does not exist', err.message)
    end)
  end)

  describe("demote", function()
    it("finds and revokes admin, direct and hidden in roles, and leaves harmless roles", function()
      postgres:psql "CREATE ROLE outer_role IN ROLE boss; GRANT admin TO app WITH ADMIN OPTION; GRANT outer_role TO app; GRANT staff TO app"
      assert.is_true(privileges.inspect(sql, "app").admin)
      assert.same({ revoked = { "admin", "outer_role" } }, privileges.demote(sql, "app"))
      local found = privileges.inspect(sql, "app")
      assert.same({ false, { "staff" } }, { found.admin, found.roles })
      assert.same({ revoked = {} }, privileges.demote(sql, "app"))
      postgres:psql "DROP ROLE outer_role"
    end)

    it("takes the rights to make users and to hand out roles", function()
      postgres:psql "ALTER ROLE app CREATEROLE SUPERUSER; GRANT staff TO app WITH ADMIN OPTION"
      assert.same({ revoked = { "ADMIN OPTION FOR staff", "SUPERUSER", "CREATEROLE" } }, privileges.demote(sql, "app"))
      local found = privileges.inspect(sql, "app")
      assert.same({ false, false, false, false, { "staff" } },
        { found.admin, found.superuser, found.createrole, found.admin_option, found.roles })
    end)

    it("tells what the SQL user lacks when it may not revoke", function()
      postgres:psql("CREATE ROLE weak LOGIN PASSWORD '" .. PASSWORD .. "'; GRANT admin TO app")
      local weak = assert(sqls.connect(postgres:params { user = "weak", password = core.secret(PASSWORD) }))
      local done, err = privileges.demote(weak, "app")
      weak:close()
      postgres:psql "DROP ROLE weak"
      assert.is_nil(done)
      assert.equal("42501", err.sqlstate)
      assert.truthy(err.hint:find('GRANT admin TO "weak" WITH ADMIN OPTION', 1, true))
    end)

    it("touches neither its own user nor one of the cluster, nor one that is not there", function()
      local done, err = privileges.demote(sql, "root")
      assert.is_nil(done)
      assert.truthy(err.message:find("is not demoted", 1, true))
      done, err = privileges.demote(sql, "admin")
      assert.is_nil(done)
      assert.truthy(err.message:find("a user of the cluster itself", 1, true))
      done, err = privileges.demote(sql, "nobody_here")
      assert.is_nil(done)
      assert.equal("not_found", err.kind)
    end)
  end)

  describe("cancel_sessions", function()
    it("ends all sessions of a user and no others", function()
      local first = assert(sqls.connect(postgres:params { user = "app", password = core.secret(PASSWORD) }))
      local second = assert(sqls.connect(postgres:params { user = "app", password = core.secret(PASSWORD) }))
      assert.equal(2, privileges.cancel_sessions(sql, "app"))
      assert.equal("0", postgres:psql "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'")
      assert.equal(0, privileges.cancel_sessions(sql, "app"))
      first:close()
      second:close()
    end)

    it("leaves the session that asks", function()
      local other = assert(sqls.connect(postgres:params()))
      assert.is_true(privileges.cancel_sessions(sql, "root") >= 1)
      assert.equal("1", assert(sql:query "SELECT 1 AS one")[1].one)
      other:close()
    end)
  end)

  it("refuses bad arguments before anything is sent", function()
    for _, name in ipairs { "apply", "inspect", "demote", "refused", "cancel_sessions" } do
      local message = raised(privileges[name], "postgresql://x", "app", {})
      assert.truthy(message:find(("privileges.%s: sql must be a connection of crdbcloud.sql, got"):format(name), 1, true), message)
    end
    assert.truthy(raised(privileges.apply, sql, {}, {}):find("privileges.apply: user must be a name, got nothing", 1, true))
    assert.truthy(raised(privileges.apply, sql, {}, { user = "a", exat = true }):find('did you mean "exact"?', 1, true))
    assert.truthy(raised(privileges.apply, sql, {}, { user = "a", roles = "x" }):find('roles must be a list of names, got "x"', 1, true))
    assert.truthy(raised(privileges.inspect, sql):find("privileges.inspect: user must be a name, got nothing", 1, true))
    assert.truthy(raised(privileges.inspect, sql, "a", { databases = "shop" }):find('databases must be a list of names or "all", got "shop"', 1, true))
    assert.truthy(raised(privileges.demote, sql, 5):find("privileges.demote: user must be a name, got 5", 1, true))
    assert.truthy(raised(privileges.cancel_sessions, sql, ""):find('user must be a name, got ""', 1, true))
    local ok, err = privileges.apply(sql, { database = "d" }, { user = "app" })
    assert.is_nil(ok)
    assert.equal("invalid_argument", err.kind)
  end)
end)
