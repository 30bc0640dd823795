local cockroach = require "spec.support.cockroach.model"
local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local sqls = require "crdbcloud.sql"
local params = require "crdbcloud.sql.params"
local failure = require "crdbcloud.sql.failure"
local dialect = require "crdbcloud.sql.dialect"
local temp = require "spec.support.temp"
local wire_server = require "spec.support.servers.wire_server"
local postgres = require "spec.support.servers.postgres".shared()

local function raised(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_string(message)
  return message
end

local function refused(what, overrides)
  local sql, err = sqls.connect(what, overrides)
  assert.is_nil(sql)
  assert.is_true(errors.is(err))
  assert.equal("not_sent", err.outcome)
  return err
end

local function url(rest)
  return ("postgresql://root:%s@127.0.0.1:%d/%s"):format(postgres.password_text, postgres.port, rest or "postgres")
end

local function connect(changes)
  return assert(sqls.connect(postgres:params(changes)))
end

describe("crdbcloud.sql", function()
  teardown(temp.clean)

  describe("connect", function()
    it("takes a URL as a string, as a secret, and fields", function()
      for _, what in ipairs { url(), core.secret(url()) } do
        local sql = assert(sqls.connect(what, { ca_file = postgres.ca_file }))
        assert.equal("1", assert(sql:query "SELECT 1 AS one")[1].one)
        sql:close()
      end
      connect():close()
      connect { port = postgres.port }:close()
    end)

    it("verifies the server's certificate and name by default", function()
      local sql = assert(sqls.connect(url(), { ca_file = postgres.ca_file }))
      assert.equal("verify-full", sql:info().sslmode)
      assert.equal(postgres.ca_file, sql:info().sslrootcert)
      sql:close()
      assert.equal("tls", refused(url(), { ca_file = postgres.other_ca_file }).kind)
      assert.equal("tls", refused(url()).kind) -- the system's bundle does not know our authority
    end)

    it("takes the certificate authority from CRDBCLOUD_CA_FILE when none is given", function()
      local code = ([[
        local sql, err = require "crdbcloud.sql".connect(core.secret_from_file "%s")
        print(sql and sql:info().sslrootcert or err)]]):format("URL_FILE")
      local file = temp.dir() .. "/url"
      temp.write(file, url())
      temp.run("chmod 600 " .. file)
      local output = temp.run("CRDBCLOUD_CA_FILE=" .. postgres.ca_file .. " " .. temp.lua((code:gsub("URL_FILE", file))))
      assert.equal(postgres.ca_file, (output:gsub("%s+$", "")))
    end)

    it("never shows a password: not of a URL, not in tostring, not in info, not in an error", function()
      local sql = connect()
      assert.equal(("crdbcloud.sql root@127.0.0.1:%d/postgres (open)"):format(postgres.port), tostring(sql))
      for _, value in pairs(sql:info()) do assert.is_nil(tostring(value):find(postgres.password_text, 1, true)) end
      sql:close()
      local err = refused("postgresql://root:hunter2@127.0.0.1:1/postgres", { ca_file = postgres.ca_file })
      assert.is_nil(tostring(err):find "hunter2")
      err = refused "postgresql://root:hunt%er2@127.0.0.1/postgres"
      assert.equal("invalid_argument", err.kind)
      assert.is_nil((tostring(err) .. err:json()):find "hunt")
    end)

    it("uses the password file for a URL without a password", function()
      local code = ([[
        local sql, err = require "crdbcloud.sql".connect("postgresql://root@127.0.0.1:%d/postgres", { ca_file = "%s" })
        print(sql and sql:user() or err)]]):format(postgres.port, postgres.ca_file)
      assert.equal("root", (temp.run("PGPASSFILE=" .. postgres.pgpass .. " " .. temp.lua(code)):gsub("%s+$", "")))
      local output = temp.run("HOME=/nowhere PGPASSFILE=/nowhere/file " .. temp.lua(code))
      assert.truthy(output:find("no password supplied", 1, true))
    end)

    it("refuses an sslmode that proves nothing to a host that is not this machine", function()
      for _, mode in ipairs { "disable", "allow", "prefer", "require", "verify-ca" } do
        local err = refused("postgresql://u:p@db.example.com/d?sslmode=" .. mode)
        assert.equal("invalid_argument", err.kind)
        assert.equal(('sslmode "%s" does not prove who the server is; db.example.com is not this machine'):format(mode), err.message)
        assert.truthy(err.hint:find("insecure = true", 1, true))
      end
      -- The name says this machine, the address does not.
      assert.equal("invalid_argument", refused { host = "localhost", hostaddr = "192.0.2.1", user = "u", sslmode = "require" }.kind)
      assert.equal("invalid_argument", refused { host = "localhost,db.example.com", user = "u", sslmode = "require" }.kind)
    end)

    it("allows it to this machine, and anywhere with insecure = true", function()
      postgres:psql "DROP ROLE IF EXISTS unencrypted; CREATE ROLE unencrypted LOGIN PASSWORD 'four-words-in-the-open'"
      assert(sqls.connect(postgres:params {
        user = "unencrypted", password = "four-words-in-the-open", sslmode = "disable", sslrootcert = false })):close()
      local resolved = assert(params.resolve { host = "db.example.com", user = "u", sslmode = "require", insecure = true })
      assert.equal("require", resolved.sslmode)
    end)

    it("names what is missing or wrong", function()
      assert.equal("host is missing", refused("postgresql:///d").message)
      assert.equal("user is missing", refused("postgresql://h/d").message)
      assert.equal("host is missing", refused({ user = "u" }).message)
      assert.equal('port must be a number from 1 to 65535, got "0"', refused("postgresql://u@h:0/d").message)
      assert.equal("port must be a number from 1 to 65535, got 70000", refused({ host = "h", user = "u", port = 70000 }).message)
      assert.equal('port must be a number from 1 to 65535, got "1,"', refused({ host = "h", user = "u", port = "1," }).message)
      assert.truthy(refused({ host = "h", user = "u", sslmode = "full" }).message
        :find('sslmode must be one of disable, allow, prefer, require, verify-ca, verify-full, got "full"', 1, true))
      assert.equal('cannot read the root certificate "/nowhere/ca"', refused({ host = "h", user = "u", sslrootcert = "/nowhere/ca" }).message)
      assert.truthy(refused("postgresql://u@h/d?connect_timeout=x").message:find("connect_timeout of the URL must be seconds", 1, true))
      assert.truthy(refused("mysql://u@h/d").message:find("the URL of the SQL server is not valid", 1, true))
    end)

    it("raises for misuse, before anything is sent", function()
      assert.truthy(raised(sqls.connect):find("sql.connect: expected a URL (string or secret) or a table of fields, got nothing", 1, true))
      assert.truthy(raised(sqls.connect, 5):find("got 5", 1, true))
      assert.truthy(raised(sqls.connect, { hots = "h" }):find('unknown option "hots"; did you mean "host"?', 1, true))
      assert.truthy(raised(sqls.connect, { host = "" }):find("host must be a string that is not empty", 1, true))
      assert.truthy(raised(sqls.connect, "postgresql://u@h/d", { ssl_mode = "disable" }):find('did you mean "sslmode"?', 1, true))
      assert.truthy(raised(sqls.connect, { host = "h", user = "u", deadline = 5000 }):find('for milliseconds write "5000ms"', 1, true))
      local message = raised(sqls.connect, { host = "h", password = 5 })
      assert.truthy(message:find("password must be", 1, true))
    end)

    it("gives up on a silent server at connect_timeout, given or in the URL", function()
      local server = wire_server.start "silent"
      local started = core.monotonic()
      local err = refused({ host = server.host, port = server.port, user = "u", password = "p", sslmode = "disable", connect_timeout = "200ms" })
      assert.equal("timeout", err.kind)
      err = refused(("postgresql://u:p@127.0.0.1:%s/d?sslmode=disable&connect_timeout=1"):format(server.port))
      assert.equal("timeout", err.kind)
      assert.is_true(core.monotonic() - started >= 1.2)
      server:stop()
    end)

    it("says what kind of failure it was", function()
      local err = refused(postgres:params { password = "wrong" })
      assert.same({ "sql", "28P01", 1 }, { err.kind, err.sqlstate, err.exit })
      assert.truthy(err.hint)
      err = refused(postgres:params { port = 1 })
      assert.same({ "network", true }, { err.kind, err.retryable })
    end)
  end)

  describe("query", function()
    local sql
    before_each(function() sql = connect() end)
    after_each(function() sql:close() end)

    it("binds strings, secrets, numbers, booleans and nil in their places", function()
      local rows = assert(sql:query("SELECT $1::text AS a, $2::text AS b, $3::int AS c, $4::float8 AS d, $5::bool AS e, $6::text AS f, $7::text AS g",
        "x", core.secret "y", 3, 1.5, true, nil, "last"))
      assert.same({ a = "x", b = "y", c = "3", d = "1.5", e = "t", g = "last" }, rows[1])
    end)

    it("keeps a nil at the end as NULL", function()
      assert.equal("t", assert(sql:query("SELECT $1::text IS NULL AS none", nil))[1].none)
    end)

    it("takes options last, checked now or before, and no other table", function()
      for _, options in ipairs { sqls.options { secret_columns = { "word" } }, { secret_columns = { "word" }, timeout = "5s" } } do
        local rows = assert(sql:query("SELECT $1::text AS word", "hush", options))
        assert.is_true(rows[1].word:equals "hush")
      end
      assert.truthy(raised(sql.query, sql, "SELECT 1", { secret_column = {} }):find('did you mean "secret_columns"?', 1, true))
      for _, value in ipairs { {}, { "a" } } do
        assert.truthy(raised(sql.query, sql, "SELECT $1", value)
          :find("parameter $1 must be a string, secret, number, boolean or nil, got a table", 1, true))
      end
    end)

    it("raises for misuse, at the caller", function()
      assert.truthy(raised(sql.query, sql):find("sql:query: statement must be a string, got nothing", 1, true))
      assert.truthy(raised(sqls.options, { secret_column = {} }):find('did you mean "secret_columns"?', 1, true))
      assert.truthy(raised(sqls.options, { secret_columns = { 1 } }):find("secret_columns[1] must be a string", 1, true))
      assert.truthy(raised(sqls.options, { timeout = 0 }):find("must be a time limit above 0", 1, true))
      local message = raised(function() sql:query "SELECT 1" sql:query({}) end)
      assert.truthy(message:find("init_spec.lua", 1, true), message)
    end)

    it("tells what became of a statement that failed", function()
      local _, err = sql:query "CREATE TABLE pg_catalog.x ()"
      assert.same({ "sql", "42501", "rejected" }, { err.kind, err.sqlstate, err.outcome })
      _, err = sql:query("CREATE TABLE x AS SELECT pg_sleep(60)::text", sqls.options { timeout = "100ms" })
      assert.same({ "timeout", "unknown", 5 }, { err.kind, err.outcome, err.exit })
      _, err = sql:query("SELECT pg_sleep(60)", sqls.options { timeout = "100ms" })
      assert.same({ "timeout", nil }, { err.kind, err.outcome })
    end)

    it("has a deadline of its own when none is given", function()
      local slow = connect { deadline = "100ms" }
      local _, err = slow:query "SELECT pg_sleep(60)"
      assert.equal("timeout", err.kind)
      slow:close()
    end)

    it("connects again when the session ended while idle, for nothing was sent", function()
      local pid = assert(sql:query "SELECT pg_backend_pid() AS pid")[1].pid
      postgres:psql("SELECT pg_terminate_backend(" .. pid .. ", 5000)")
      local again = assert(sql:query "SELECT pg_backend_pid() AS pid")[1].pid
      assert.not_equal(pid, again)
    end)

    it("raises after close, and close may be repeated", function()
      sql:close()
      sql:close()
      assert.truthy(raised(sql.query, sql, "SELECT 1"):find("SQL connection is closed", 1, true))
      assert.truthy(raised(sql.dialect, sql):find("SQL connection is closed", 1, true))
      assert.truthy(raised(sql.user, sql):find("SQL connection is closed", 1, true))
      assert.truthy(raised(sql.database, sql, "x"):find("SQL connection is closed", 1, true))
      assert.is_false(sql:is_open())
      assert.truthy(tostring(sql):find("(closed)", 1, true))
    end)
  end)

  describe("a server", function()
    local sql
    before_each(function() sql = connect() end)
    after_each(function() sql:close() end)

    it("is asked for its dialect and user", function()
      assert.equal("postgresql", sql:dialect())
      assert.equal("root", sql:user())
      assert.equal("postgres", sql:current_database())
    end)

    it("tells its own id, the same by every way", function()
      local id = assert(sql:server_id())
      assert.equal(postgres:psql "SELECT system_identifier FROM pg_control_system()", id)
      assert.equal(id, assert(sql:database "template1"):server_id())
    end)

    it("of CockroachDB tells it too, from 26.1 on with a setting that is taken back", function()
      for _, version in ipairs { "22.2.0", "25.2.1", "26.1.0" } do
        local model = cockroach.new({}, { version = version })
        model.cluster_id = "3a25c4f0-5d0c-4a5c-9a43-0f6e3b2a1c77"
        assert.equal(model.cluster_id, assert(sqls.open(model)):server_id())
        assert.is_nil(model.unsafe)
      end
      local refusing = {
        query = function(_, text)
          if text:find "version" then return { { answer = "CockroachDB CCL v25.2.1" } } end
          return nil, "ERROR: permission denied"
        end,
      }
      local id, err = assert(sqls.open(refusing)):server_id()
      assert.is_nil(id)
      assert.same({ "sql", "42501" }, { err.kind, err.sqlstate })
    end)

    it("of PostgreSQL gets a login of its own for each database, kept and closed with the first", function()
      postgres:psql "DROP DATABASE IF EXISTS sql_second"
      postgres:psql "CREATE DATABASE sql_second"
      local second = assert(sql:database "sql_second")
      assert.equal("sql_second", second:current_database())
      assert.equal(second, sql:database "sql_second")
      assert.equal(sql, sql:database "postgres")
      sql:close()
      assert.is_false(second:is_open())
      postgres:psql "DROP DATABASE sql_second"
    end)

    it("says when a database cannot be reached", function()
      local none, err = sql:database "nowhere"
      assert.is_nil(none)
      assert.equal("3D000", err.sqlstate)
      assert.truthy(raised(sql.database, sql, ""):find("name must be a string that is not empty", 1, true))
      assert.truthy(raised(sql.database, sql, nil):find("got nothing", 1, true))
    end)
  end)

  describe("open", function()
    it("takes a URL, fields, a connection of its own, and a function that gives one", function()
      local fields = postgres:params()
      local sql = assert(sqls.open(fields))
      assert.equal(sql, sqls.open(sql))
      assert(sqls.open(url(), { ca_file = postgres.ca_file })):close()
      local asked = {}
      local made = assert(sqls.open(function(name)
        asked[#asked + 1] = name or "first"
        return postgres:params { dbname = name or "postgres" }
      end))
      assert.equal("template1", assert(made:database "template1"):current_database())
      assert.same({ "first", "template1" }, asked)
      made:close()
      sql:close()
    end)

    it("hands on the error of the function, or says that it gave nothing", function()
      local mine = errors.new { kind = "sql", message = "no" }
      local sql, err = sqls.open(function() return nil, mine end)
      assert.is_nil(sql)
      assert.equal(mine, err)
      sql, err = sqls.open(function() error(mine) end)
      assert.is_nil(sql)
      assert.equal(mine, err)
      sql, err = sqls.open(function() error "no tunnel" end)
      assert.is_nil(sql)
      assert.matches("the function for sql gave no connection: .*no tunnel", err.message)
      local first = assert(sqls.open(function(name)
        if name then error "no second tunnel" end
        return postgres:params { dbname = "postgres" }
      end))
      local there
      there, err = first:database "template1"
      assert.is_nil(there)
      assert.same({ "sql", "not_sent" }, { err.kind, err.outcome })
      assert.matches("no second tunnel", err.message)
      first:close()
      sql, err = sqls.open(function() return nil, "offline" end)
      assert.is_nil(sql)
      assert.equal("the function for sql gave no connection: offline", err.message)
    end)

    it("raises for what can be no connection", function()
      assert.truthy(raised(sqls.open, 5):find("expected a URL", 1, true))
      assert.truthy(raised(sqls.open, nil):find("expected a URL", 1, true))
    end)
  end)

  it("recognises the servers by what they say they are", function()
    assert.equal("cockroachdb", dialect.detect "CockroachDB CCL v25.2.1 (x86_64-pc-linux-gnu, built 2025/06/01 10:00:00, go1.23)")
    assert.equal("postgresql", dialect.detect "PostgreSQL 15.4 on x86_64-pc-linux-gnu")
    assert.is_nil(dialect.detect "MySQL 8")
    assert.is_nil(dialect.detect(nil))
    assert.is_true(dialect.is "cockroachdb")
    assert.is_false(dialect.is "mysql")
  end)

  it("knows this machine from others", function()
    for _, host in ipairs { "localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "/run/postgresql", "@abstract", "localhost,127.0.0.1" } do
      assert.is_true(params.is_local(host), host)
    end
    for _, host in ipairs { "db.example.com", "localhost.example.com", "127.0.0.1.example.com", "10.0.0.1", "128.0.0.1", "localhost,x", "" } do
      assert.is_false(params.is_local(host), host)
    end
    assert.is_true(params.is_local("db.example.com", "127.0.0.1"))
    assert.is_false(params.is_local("localhost", "10.0.0.1"))
  end)

  it("keeps writes whose fate is open apart from those the server refused", function()
    local write, read = "GRANT x TO y", "  select 1"
    for _, case in ipairs {
      { { reason = "server", sqlstate = "42501", sent = true }, write, "rejected" },
      { { reason = "server", sqlstate = "40001", sent = true }, write, "rejected" },
      { { reason = "server", sqlstate = "40003", sent = true }, write, "unknown" },
      { { reason = "server", sqlstate = "57P01", sent = true }, write, "unknown" },
      { { reason = "server", sqlstate = "08006", sent = true }, write, "unknown" },
      { { reason = "network", sent = true }, write, "unknown" },
      { { reason = "network", sent = false }, write, "not_sent" },
      { { reason = "timeout", sent = true }, write, "unknown" },
      { { reason = "timeout", sent = true }, read, nil },
      { { reason = "server", sqlstate = "42501", sent = true }, "SHOW GRANTS", nil },
    } do
      assert.equal(case[3], failure.outcome(case[1], case[2]))
    end
    assert.is_true(failure.error({ reason = "server", sqlstate = "40001", message = "x", sent = true }, write).retryable)
  end)
end)
