local adapters = require "crdbcloud.sql.adapters"
local bind = require "crdbcloud.sql.bind"
local core = require "crdbcloud.core"
local privileges = require "crdbcloud.privileges"
local sqls = require "crdbcloud.sql"
local luasql = require "luasql.postgres"
local postgres = require "spec.support.servers.postgres".shared()

local function raised(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  return message
end

describe("an adapter", function()
  local environment, foreign, sql

  setup(function() environment = luasql.postgres() end)
  teardown(function() environment:close() end)
  before_each(function()
    foreign = assert(environment:connect(("host=127.0.0.1 port=%d user=root dbname=postgres sslmode=verify-full sslrootcert=%s password=%s")
      :format(postgres.port, postgres.ca_file, postgres.password_text)))
    sql = assert(sqls.open(foreign))
  end)
  after_each(function()
    sql:close()
    if tostring(foreign):find "closed" == nil then foreign:close() end
  end)

  describe("for LuaSQL", function()
    it("gives rows as our own connections do", function()
      local rows = assert(sql:query("SELECT $1::text AS a, NULL AS b, $2::int + 1 AS c, $3::bool AS d", "it's \\ $1", 41, true))
      assert.equal(1, rows.n)
      assert.same({ a = "it's \\ $1", c = "42", d = "t" }, rows[1])
    end)

    it("runs commands", function()
      assert.equal(0, assert(sql:query "CREATE TEMPORARY TABLE t (i int)").n)
      assert(sql:query("INSERT INTO t VALUES ($1), ($2)", 1, nil))
      assert.equal("2", assert(sql:query "SELECT count(*) AS count FROM t")[1].count)
    end)

    it("knows dialect, user and database", function()
      assert.same({ "postgresql", "root", "postgres" }, { sql:dialect(), sql:user(), sql:current_database() })
    end)

    it("reads the SQLSTATE from the words of the error, and keeps the statement out of it", function()
      for text, state in pairs {
        ["SELECT * FROM nowhere_to_be_found"] = "42P01", ["SELEC 1"] = "42601", ["DROP ROLE nobody_here"] = "42704",
        ["CREATE ROLE root"] = "42710", ["GRANT SELECT ON DATABASE postgres TO root"] = "0LP01",
        ["CREATE TABLE nowhere_to_be_found.t ()"] = "3F000",
      } do
        local rows, err = sql:query(text)
        assert.is_nil(rows)
        assert.same({ "sql", state }, { err.kind, err.sqlstate })
      end
      for _, text in ipairs { "ALTER ROLE root PASSWORD 'a' 'hunter2-hunter2'", "ALTER ROLE root Password hunter2" } do
        local _, err = sql:query(text)
        assert.equal("42601", err.sqlstate)
        assert.is_nil(tostring(err):find "hunter2")
      end
    end)

    it("refuses secrets, which it could only pass on as strings", function()
      assert.truthy(raised(sql.query, sql, "SELECT $1", core.secret "x"):find("parameter $1 is a secret", 1, true))
      assert.truthy(raised(sql.query, sql, "SELECT 1 AS x", sqls.options { secret_columns = { "x" } })
        :find("secret_columns needs a connection made by crdbcloud.sql.connect", 1, true))
    end)

    it("leaves the connection to its maker", function()
      sql:close()
      assert.truthy(raised(sql.query, sql, "SELECT 1"):find("SQL connection is closed", 1, true))
      assert(foreign:execute "SELECT 1"):close()
    end)

    it("says that it cannot reach another database", function()
      local none, err = sql:database "template1"
      assert.is_nil(none)
      assert.truthy(err.message:find('the connection is to database "postgres" and cannot reach "template1"', 1, true))
      assert.equal(sql, sql:database "postgres")
    end)

    it("calls a session that was ended lost", function()
      local pid = assert(sql:query "SELECT pg_backend_pid() AS pid")[1].pid
      postgres:psql("SELECT pg_terminate_backend(" .. pid .. ", 5000)")
      local _, err = sql:query "SELECT 1"
      assert.equal("network", err.kind)
    end)

    it("serves privileges", function()
      postgres:psql "DROP ROLE IF EXISTS adapted; CREATE ROLE adapted LOGIN; DROP TABLE IF EXISTS adapted_table; CREATE TABLE adapted_table (i int)"
      assert(privileges.apply(sql, { database = "postgres", tables = { "adapted_table" }, privileges = { "SELECT" } }, { user = "adapted" }))
      assert.equal("t", postgres:psql "SELECT has_table_privilege('adapted', 'adapted_table', 'SELECT')")
      postgres:psql "DROP OWNED BY adapted; DROP ROLE adapted; DROP TABLE adapted_table"
    end)
  end)

  it("takes anything that has query, numbers and booleans as text", function()
    local seen = {}
    local other = assert(sqls.open {
      query = function(_, text)
        seen[#seen + 1] = text
        if text == "broken" then return nil, 'ERROR: role "x" does not exist (12)' end
        if text == "GRANT" then return true end
        return { { number = 5, float = 1.5, yes = true, no = false, word = "w" } }
      end,
    })
    assert.same({ number = "5", float = "1.5", yes = "t", no = "f", word = "w" }, assert(other:query("SELECT $1", "x"))[1])
    assert.same({ "SELECT 'x'" }, seen)
    assert.equal(0, assert(other:query "GRANT").n)
    local _, err = other:query "broken"
    assert.same({ "42704", 'role "x" does not exist (12)' }, { err.sqlstate, err.message })
    assert.equal("crdbcloud.sql (open)", tostring(other))
  end)

  it("turns an error that the other library raises into one that is returned", function()
    local other = assert(sqls.open { query = function() error("socket closed", 0) end })
    local rows, err = other:query "GRANT x TO y"
    assert.is_nil(rows)
    assert.same({ "network", "unknown" }, { err.kind, err.outcome })
  end)

  it("finds none where there is none", function()
    for _, value in ipairs { "postgresql://u@h/d", {}, { host = "h" }, core.secret "x", 5, true } do
      assert.is_nil(adapters.find(value))
    end
  end)
end)

describe("crdbcloud.sql.bind", function()
  it("puts literals where parameters stand, and nowhere else", function()
    for _, case in ipairs {
      { "SELECT $1", "SELECT 'x'" },
      { "SELECT $1, $2, $1", "SELECT 'x', NULL, 'x'" },
      { "SELECT '$1', $1", "SELECT '$1', 'x'" },
      { "SELECT 'it''s $1', $1", "SELECT 'it''s $1', 'x'" },
      { [[SELECT E'\'$1', $1]], [[SELECT E'\'$1', 'x']] },
      { [[SELECT '\', $1]], [[SELECT '\', 'x']] },
      { 'SELECT "$1""$1", $1', [[SELECT "$1""$1", 'x']] },
      { "SELECT 1 -- $1\n, $1", "SELECT 1 -- $1\n, 'x'" },
      { "SELECT /* $1 /* $1 */ $1 */ $1", "SELECT /* $1 /* $1 */ $1 */ 'x'" },
      { "SELECT $$ $1 $$, $1", "SELECT $$ $1 $$, 'x'" },
      { "SELECT $tag$ $1 $$ $tag$, $1", "SELECT $tag$ $1 $$ $tag$, 'x'" },
      { "SELECT a$1, $1", "SELECT a$1, 'x'" },
      { "$1", "'x'" },
      { "SELECT 1", "SELECT 1" },
      { "", "" },
    } do
      assert.equal(case[2], bind.text(case[1], { "x", nil, n = 2 }))
    end
  end)

  it("quotes what it puts in", function()
    assert.equal("SELECT 'a''b', E'c\\\\d', '$1'", bind.text("SELECT $1, $2, $3", { "a'b", "c\\d", "$1", n = 3 }))
  end)

  it("says which parameter there is none for", function()
    for _, text in ipairs { "SELECT $2", "SELECT $0", "SELECT $99999999999999999999" } do
      local whole, problem = bind.text(text, { "x", n = 1 })
      assert.is_nil(whole)
      assert.equal("there is no parameter " .. text:match "%$%d+", problem)
    end
  end)

  it("agrees with the real server about where parameters stand", function()
    local sql = assert(sqls.connect(postgres:params()))
    for _, text in ipairs {
      "SELECT $1::text AS v, 'a $1' AS w", "SELECT /* ' $1 */ $1::text AS v -- '$1", "SELECT $x$ $1 $x$ || $1 AS v",
      "SELECT E'\\'$1' || $1 AS v", "SELECT '\\' || $1 AS v",
    } do
      local bound = assert(sql:query(text, "value"))
      local whole = assert(sql:query((assert(bind.text(text, { "value", n = 1 })))))
      assert.same(bound[1], whole[1])
    end
    sql:close()
  end)
end)
