-- Tests lua/crdbcloud/privileges/removal.lua and lua/crdbcloud/privileges/removal_postgresql.lua on the real PostgreSQL:
-- each thing that blocks DROP ROLE, in two databases, is seen, is taken out of the way or refused before any statement,
-- and what it does not touch stays.

local privileges = require "crdbcloud.privileges"
local sqls = require "crdbcloud.sql"
local postgres = require "spec.support.servers.postgres".shared()

describe("crdbcloud.privileges.plan_removal on PostgreSQL", function()
  local sql

  setup(function()
    postgres:psql "CREATE ROLE heir; CREATE ROLE middle; CREATE ROLE other LOGIN; CREATE DATABASE one; CREATE DATABASE two"
    for _, database in ipairs { "one", "two" } do
      postgres:psql("CREATE TABLE t (id int, secret int); CREATE EXTENSION IF NOT EXISTS postgres_fdw", database)
    end
    sql = assert(sqls.connect(postgres:params { dbname = "one" }))
  end)

  teardown(function()
    sql:close()
    postgres:psql "DROP DATABASE one"
    postgres:psql "DROP DATABASE two"
    postgres:psql "DROP ROLE heir, middle, other"
  end)

  before_each(function() postgres:psql "CREATE ROLE app LOGIN" end)

  local function exists() return postgres:psql "SELECT count(*) FROM pg_roles WHERE rolname = 'app'" == "1" end

  -- What is left when a spec failed.
  after_each(function()
    if not exists() then return end
    for _, database in ipairs { "one", "two", "postgres" } do postgres:psql("REASSIGN OWNED BY app TO heir; DROP OWNED BY app", database) end
    postgres:psql "DROP ROLE app"
  end)

  local function statements(given) return assert(privileges.plan_removal(sql, "app", given)).statements end

  local function assert_goes(given)
    assert(#statements(given) > 0)
    assert(privileges.clear_for_drop(sql, "app", given))
    assert.same({}, { (table.unpack or unpack)(statements(given)) })
    postgres:psql "DROP ROLE app"
    assert.is_false(exists())
  end

  it("has nothing to do for a user without anything, and tells one that is not there", function()
    assert.same({ exists = true, statements = {}, owns = {} }, privileges.plan_removal(sql, "app"))
    assert.same({ exists = false, statements = {}, owns = {} }, privileges.plan_removal(sql, "nobody_here"))
  end)

  for name, text in pairs {
    type = "CREATE TYPE mood AS ENUM ('good'); ALTER TYPE mood OWNER TO app",
    domain = "CREATE DOMAIN small AS int CHECK (VALUE < 10); ALTER DOMAIN small OWNER TO app",
    routine = "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION f() OWNER TO app",
    table = "CREATE TABLE own (); ALTER TABLE own OWNER TO app",
    ["large object"] = "SELECT lo_create(4711); ALTER LARGE OBJECT 4711 OWNER TO app",
    ["foreign server"] = "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw; ALTER SERVER far OWNER TO app",
  } do
    it("hands a " .. name .. " over, in this and another database, and without an heir refuses before anything is changed", function()
      for _, database in ipairs { "one", "two" } do
        postgres:psql(text, database)
        local plan, err = privileges.plan_removal(sql, "app")
        assert.is_nil(plan)
        assert.same({ "conflict", "not_sent", "say who gets them: reassign_to = ROLE" }, { err.kind, err.outcome, err.hint })
        assert.truthy(err.message:find("app owns 1 object, the first is .* in database " .. database), err.message)
        assert_goes { reassign_to = "heir" }
        postgres:psql("DROP OWNED BY heir; CREATE ROLE app LOGIN", database)
      end
    end)
  end

  for name, text in pairs {
    ["grant on a type"] = "CREATE TYPE colour AS ENUM ('red'); GRANT USAGE ON TYPE colour TO app",
    ["grant on a routine"] = "CREATE FUNCTION g(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'; GRANT EXECUTE ON FUNCTION g(int) TO app",
    ["grant on a column"] = "GRANT SELECT (secret) ON t TO app",
    ["grant on a schema and a database"] = "CREATE SCHEMA s; GRANT USAGE ON SCHEMA s TO app; GRANT CREATE ON DATABASE two TO app",
    ["grant on a large object"] = "SELECT lo_create(4712); GRANT SELECT ON LARGE OBJECT 4712 TO app",
    ["grant on a foreign server"] = "CREATE SERVER near FOREIGN DATA WRAPPER postgres_fdw; GRANT USAGE ON FOREIGN SERVER near TO app",
    ["grant on a language"] = "REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC; GRANT USAGE ON LANGUAGE plpgsql TO app",
    ["user mapping"] = "CREATE SERVER away FOREIGN DATA WRAPPER postgres_fdw; CREATE USER MAPPING FOR app SERVER away",
    parameter = "GRANT SET ON PARAMETER log_statement TO app",
    ["default privilege as grantee"] = "ALTER DEFAULT PRIVILEGES FOR ROLE heir GRANT SELECT ON TABLES TO app",
    ["default privilege as grantee in a schema"] = "ALTER DEFAULT PRIVILEGES FOR ROLE heir IN SCHEMA public GRANT SELECT ON TABLES TO app",
    ["default privilege as creator"] = "ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT SELECT ON TABLES TO other",
    ["default privilege as creator in a schema"] = "ALTER DEFAULT PRIVILEGES FOR ROLE app IN SCHEMA public GRANT SELECT ON TABLES TO other",
    ["default taken from everybody"] = "ALTER DEFAULT PRIVILEGES FOR ROLE app REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
    ["default taken from the maker"] = "ALTER DEFAULT PRIVILEGES FOR ROLE app REVOKE INSERT ON TABLES FROM app",
  } do
    it("takes away a " .. name .. " in another database", function()
      postgres:psql(text, "two")
      assert_goes()
      postgres:psql("DROP OWNED BY heir; DROP SCHEMA IF EXISTS s", "two")
    end)
  end

  it("takes a row policy away, and leaves one for others to them", function()
    postgres:psql("CREATE POLICY alone ON t TO app USING (true); CREATE POLICY shared ON t TO app, other USING (true)", "two")
    assert.same({ "ALTER POLICY \"shared\" ON t TO other", "DROP POLICY IF EXISTS \"alone\" ON t" }, (function()
      local list = { (table.unpack or unpack)(statements()) }
      table.sort(list)
      return list
    end)())
    assert_goes()
    assert.equal("shared|{other}", postgres:psql("SELECT policyname, roles FROM pg_policies", "two"))
    postgres:psql("DROP POLICY shared ON t", "two")
  end)

  it("takes a grant of another grantor away, and what the user has passed on stays with those who have it", function()
    postgres:psql([[
      GRANT SELECT ON t TO middle WITH GRANT OPTION; SET ROLE middle; GRANT SELECT ON t TO app WITH GRANT OPTION; RESET ROLE;
      SET ROLE app; GRANT SELECT ON t TO other; RESET ROLE]], "two")
    assert_goes()
    assert.equal("t|t", postgres:psql("SELECT has_table_privilege('other', 't', 'SELECT'), has_table_privilege('middle', 't', 'SELECT')", "two"))
    postgres:psql("REVOKE ALL ON t FROM middle, other CASCADE", "two")
  end)

  it("refuses what the SQL user may not do before anything is changed, and names the statement", function()
    postgres:psql("GRANT SELECT ON t TO app", "one")
    postgres:psql "ALTER ROLE other PASSWORD 'a-long-password-of-the-other'"
    local password = require("crdbcloud.core").secret "a-long-password-of-the-other"
    local weak = assert(sqls.connect(postgres:params { user = "other", password = password, dbname = "one" }))
    local plan, err = privileges.plan_removal(weak, "app")
    weak:close()
    assert.is_nil(plan)
    assert.same({ "conflict", "not_sent" }, { err.kind, err.outcome })
    assert.equal('app cannot be dropped because of table t, which only "root" may change, which is not for us to change', err.message)
    assert.equal('run: REVOKE ALL ON TABLE public.t FROM "app" CASCADE', err.hint)
    assert_goes()
  end)

  it("refuses an heir that is not there", function()
    local plan, err = privileges.plan_removal(sql, "app", { reassign_to = "nobody_here" })
    assert.is_nil(plan)
    assert.truthy(err.message:find('the role "nobody_here", which would get what app owns, does not exist', 1, true), err.message)
  end)
end)
