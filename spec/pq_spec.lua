local core = require "crdbcloud.core"
local pq = require "crdbcloud.pq"
local native = require "spec.support.native"
local temp = require "spec.support.temp"
local wire_server = require "spec.support.wire_server"
local postgres = require "spec.support.postgres".shared()

local function connect(changes)
  local conn, err = pq.connect(postgres:params(changes))
  return assert(conn, err and err.message)
end

local function raised(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  return (tostring(message):gsub("^[^:]+:%d+: ", ""))
end

-- Runs fn with a server that behaves badly, and stops it whatever comes of it.
local function with_server(action, fn)
  local server = wire_server.start((table.unpack or unpack)(action))
  local ok, err = pcall(fn, server)
  server:stop()
  if not ok then error(err, 0) end
end

local function plain(server, changes)
  local params = { host = server.host, port = server.port, user = "app", sslmode = "disable", password = "x", timeout = 5 }
  for name, value in pairs(changes or {}) do params[name] = value end
  return params
end

describe("crdbcloud.pq", function()
  after_each(function()
    collectgarbage()
    collectgarbage()
  end)
  teardown(temp.clean)

  describe("connect", function()
    it("logs in over verified TLS with a secret, and knows that the password was asked for", function()
      local conn = connect()
      assert.is_true(conn:used_password())
      assert.is_true(conn:is_open())
      local rows = assert(conn:query "SELECT ssl::text AS ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
      assert.equal("true", rows[1].ssl)
      conn:close()
    end)

    it("takes the password as a string too", function()
      connect { password = postgres.password_text }:close()
    end)

    it("knows that no password was asked for where the server trusts", function()
      postgres:psql "DROP ROLE IF EXISTS trusted; CREATE ROLE trusted LOGIN"
      local conn = connect { user = "trusted", password = "whatever" }
      assert.is_false(conn:used_password())
      conn:close()
    end)

    it("gives the SQLSTATE of a refused login", function()
      local conn, err = pq.connect(postgres:params { password = "not the password" })
      assert.is_nil(conn)
      assert.same({ "server", "28P01", 'password authentication failed for user "root"' }, { err.reason, err.sqlstate, err.message })
      conn, err = pq.connect(postgres:params { dbname = "nowhere" })
      assert.is_nil(conn)
      assert.same({ "server", "3D000", 'database "nowhere" does not exist' }, { err.reason, err.sqlstate, err.message })
    end)

    it("tells a certificate problem from an unreachable server", function()
      local _, err = pq.connect(postgres:params { sslrootcert = postgres.other_ca_file })
      assert.equal("tls", err.reason)
      assert.is_nil(err.sqlstate)
      _, err = pq.connect(postgres:params { host = "localhost", sslrootcert = "/nowhere/ca.crt" })
      assert.equal("tls", err.reason)
      _, err = pq.connect(postgres:params { port = "1" })
      assert.equal("network", err.reason)
      assert.truthy(err.message:find("Connection refused", 1, true))
      assert.is_nil(err.message:find "\n")
    end)

    it("checks that the certificate is for the host", function()
      local _, err = pq.connect(postgres:params { host = "localhost.localdomain", hostaddr = "127.0.0.1" })
      assert.equal("tls", err.reason)
      assert.truthy(err.message:find("does not match host name", 1, true))
    end)

    it("gives up on a silent server at the time limit", function()
      with_server({ "silent" }, function(server)
        local started = core.monotonic()
        local conn, err = pq.connect(plain(server, { timeout = 0.2 }))
        assert.is_nil(conn)
        assert.equal("timeout", err.reason)
        assert.is_true(core.monotonic() - started >= 0.2)
      end)
    end)

    it("calls a server that hangs up lost, not wrong", function()
      with_server({ "close" }, function(server)
        local conn, err = pq.connect(plain(server))
        assert.is_nil(conn)
        assert.equal("network", err.reason)
        assert.is_nil(err.sqlstate)
      end)
    end)

    it("is not misled by a user name that looks like an SQLSTATE", function()
      local _, err = pq.connect(postgres:params { user = "x:  28000: y" })
      assert.equal("28P01", err.sqlstate)
    end)

    it("keeps the password out of the message of a server that repeats it", function()
      with_server({ "ask", "28000", "we saw s3cret-and-long from you" }, function(server)
        local _, err = pq.connect(plain(server, { password = core.secret "s3cret-and-long" }))
        assert.equal("we saw <redacted> from you", err.message)
      end)
    end)

    it("does not use PG* variables, a password file or files of the home directory", function()
      local home = temp.dir()
      temp.run("mkdir " .. home .. "/.postgresql")
      temp.write(home .. "/.postgresql/root.crt", "nonsense")
      temp.write(home .. "/.postgresql/postgresql.crt", "nonsense")
      temp.write(home .. "/.pgpass", ("*:*:*:*:%s\n"):format(postgres.password_text))
      temp.run("chmod 600 " .. home .. "/.pgpass")
      local code = ([[
        local p = require "crdbcloud.pq"
        local function try(password)
          local conn, err = p.connect { host = "127.0.0.1", port = "%d", user = "root", dbname = "postgres",
            sslmode = "verify-full", sslrootcert = "%s", password = password }
          return conn and "in" or err.reason .. " " .. tostring(err.sqlstate)
        end
        print(try(core.secret_from_file "%s"), try "wrong", try(nil))]]):format(postgres.port, postgres.ca_file, home .. "/secret")
      temp.write(home .. "/secret", postgres.password_text)
      temp.run("chmod 600 " .. home .. "/secret")
      local surroundings = ("HOME=%s PGPASSFILE=%s PGPASSWORD=%s PGHOST=example.invalid PGHOSTADDR=192.0.2.1 PGPORT=1 PGUSER=x "
        .. "PGDATABASE=nowhere PGSSLMODE=disable PGSSLCERT=%s PGSSLKEY=%s PGSSLROOTCERT=%s PGSSLCRL=%s PGREQUIREPEER=nobody "
        .. "PGCHANNELBINDING=require PGGSSENCMODE=require PGTARGETSESSIONATTRS=standby PGOPTIONS='-c nonsense=1' "
        .. "PGAPPNAME=x PGCLIENTENCODING=LATIN1 PGSSLMINPROTOCOLVERSION=nonsense PGKRBSRVNAME=x PGCONNECT_TIMEOUT=x ")
        :format(home, home .. "/.pgpass", postgres.password_text, home .. "/.postgresql/postgresql.crt",
          home .. "/.postgresql/postgresql.crt", home .. "/.postgresql/root.crt", home .. "/.postgresql/root.crt")
      local output, status = temp.run(surroundings .. temp.lua(code))
      assert.equal(0, status, output)
      assert.equal("in\tserver 28P01\toption nil", (output:gsub("%s+$", "")))
    end)

    it("uses the password file when that is allowed", function()
      local home = temp.dir()
      temp.write(home .. "/pass", ("127.0.0.1:%d:*:root:%s\n"):format(postgres.port, postgres.password_text))
      temp.run("chmod 600 " .. home .. "/pass")
      local conn = connect { password = false, passfile = home .. "/pass", ambient_password = true }
      assert.is_true(conn:used_password())
      conn:close()
    end)

    it("refuses what is no parameter, with words", function()
      assert.equal("connect: expected a table of connection parameters, got string", raised(pq.connect, "postgresql://x"))
      assert.equal("connect: expected a table of connection parameters, got nothing", raised(pq.connect))
      assert.equal("host: expected a string, got number", raised(pq.connect, { host = 1 }))
      assert.equal("password: expected a string or a secret, got table", raised(pq.connect, { host = "h", password = {} }))
      assert.equal("host: expected one line of text, got a line feed at byte 2", raised(pq.connect, { host = "h\nx" }))
      assert.equal("password: holds a NUL byte, which SQL text cannot", raised(pq.connect, { host = "h", password = "a\0b" }))
      assert.equal("timeout: expected a number, got string", raised(pq.connect, { host = "h", timeout = "5" }))
      assert.equal("ambient_password: expected true or false, got number", raised(pq.connect, { host = "h", ambient_password = 1 }))
      assert.equal("connect: parameters have names, got a key of type number", raised(pq.connect, { "h" }))
      assert.equal("too many arguments: expected at most 1, got 2", raised(pq.connect, {}, {}))
      local closed = core.secret "x"
      closed:close()
      assert.equal("secret is closed", raised(pq.connect, { host = "h", password = closed }))
    end)

    it("names an option that libpq does not know", function()
      local conn, err = pq.connect(postgres:params { colour = "red" })
      assert.is_nil(conn)
      assert.equal("option", err.reason)
      assert.truthy(err.message:find('"colour"', 1, true))
    end)
  end)

  describe("query", function()
    local conn
    before_each(function() conn = connect() end)
    after_each(function() conn:close() end)

    it("gives rows as strings by column name, and nil for NULL", function()
      local rows = assert(conn:query "SELECT 1 AS one, NULL AS nothing, '' AS empty, 'ä' AS letter UNION ALL SELECT 2, 'x', 'y', 'z'")
      assert.equal(2, rows.n)
      assert.equal("SELECT 2", rows.tag)
      assert.same({ "one", "nothing", "empty", "letter" }, rows.columns)
      assert.same({ one = "1", empty = "", letter = "ä" }, rows[1])
      assert.same({ one = "2", nothing = "x", empty = "y", letter = "z" }, rows[2])
    end)

    it("gives no rows for a command, with its tag", function()
      local rows = assert(conn:query "CREATE TEMPORARY TABLE t (i int)")
      assert.same({ 0, "CREATE TABLE", 0 }, { rows.n, rows.tag, #rows })
      assert.equal("INSERT 0 3", assert(conn:query "INSERT INTO t VALUES (1), (2), (3)").tag)
    end)

    it("binds parameters, so that no value is ever read as SQL", function()
      local hostile = "'; DROP TABLE x; -- \\ $1 \" é"
      local rows = assert(conn:query("SELECT $1::text AS a, $2::text AS b, $3::text AS c", { hostile, nil, core.secret(hostile), n = 3 }))
      assert.same({ a = hostile, c = hostile }, rows[1])
    end)

    it("hands listed columns over as secrets", function()
      local rows = assert(conn:query("SELECT 'hush' AS word, 'loud' AS other UNION ALL SELECT NULL, 'x'", nil, { secret_columns = { "word" } }))
      assert.is_true(core.is_secret(rows[1].word))
      assert.is_true(rows[1].word:equals "hush")
      assert.equal("loud", rows[1].other)
      assert.is_nil(rows[2].word)
    end)

    it("says when a secret column is not in the answer", function()
      local rows, err = conn:query("SELECT 1 AS one", nil, { secret_columns = { "word" } })
      assert.is_nil(rows)
      assert.equal('secret_columns: the answer has no column "word"', err.message)
      assert.is_true(conn:is_open())
    end)

    it("carries ten thousand rows and a megabyte", function()
      local rows = assert(conn:query "SELECT i FROM generate_series(1, 10000) AS i")
      assert.equal("10000", rows[10000].i)
      local long = ("x"):rep(1048576)
      assert.equal(long, assert(conn:query("SELECT $1::text AS long", { long }))[1].long)
    end)

    it("gives the SQLSTATE of an error and goes on", function()
      local rows, err = conn:query "SELECT nonsense"
      assert.is_nil(rows)
      assert.same({ "server", "42703", 'column "nonsense" does not exist', true }, { err.reason, err.sqlstate, err.message, err.sent })
      assert.equal("1", assert(conn:query "SELECT 1 AS one")[1].one)
    end)

    it("takes exactly one command", function()
      local _, err = conn:query "SELECT 1; SELECT 2"
      assert.equal("42601", err.sqlstate)
    end)

    it("blots secrets out of messages that quote them", function()
      local _, err = conn:query("SELECT $1::int", { core.secret "hunter2-hunter2" })
      assert.equal("22P02", err.sqlstate)
      assert.equal('invalid input syntax for type integer: "<redacted>"', err.message)
    end)

    it("withholds the words about a statement that sets a password", function()
      local _, err = conn:query "ALTER ROLE root PASSWORD 'hunter2-hunter2' nonsense"
      assert.equal("42601", err.sqlstate)
      assert.is_nil(err.message:find "hunter2")
      assert.is_nil(err.detail)
      _, err = conn:query "ALTER ROLE nobody_here Password hunter2"
      assert.equal("42601", err.sqlstate)
      assert.is_nil(err.message:find "hunter2")
      _, err = conn:query "ALTER ROLE nobody_here PASSWORD 'hunter2-hunter2'"
      assert.same({ "42704", 'role "nobody_here" does not exist' }, { err.sqlstate, err.message })
    end)

    it("keeps rows out of errors, but lists what stands in the way of a DROP", function()
      assert(conn:query "CREATE TEMPORARY TABLE t (word text UNIQUE)")
      assert(conn:query "INSERT INTO t VALUES ('private')")
      local _, err = conn:query "INSERT INTO t VALUES ('private')"
      assert.equal("23505", err.sqlstate)
      assert.is_nil(err.detail)
      postgres:psql "DROP TABLE IF EXISTS owned; DROP ROLE IF EXISTS owner_of; CREATE ROLE owner_of; CREATE TABLE owned (); ALTER TABLE owned OWNER TO owner_of"
      _, err = conn:query "DROP ROLE owner_of"
      assert.equal("2BP01", err.sqlstate)
      assert.equal("owner of table owned", err.detail)
    end)

    it("stops waiting at the time limit, cancels at the server and breaks the connection", function()
      local pid = assert(conn:query "SELECT pg_backend_pid() AS pid")[1].pid
      local rows, err = conn:query("SELECT pg_sleep(60)", nil, { timeout = 0.2 })
      assert.is_nil(rows)
      assert.same({ "timeout", true }, { err.reason, err.sent })
      assert.is_false(conn:is_open())
      assert.equal("crdbcloud.connection (lost)", tostring(conn))
      rows, err = conn:query "SELECT 1"
      assert.is_nil(rows)
      assert.same({ "network", "the connection was lost; connect again" }, { err.reason, err.message })
      conn:close()
      local tries, left = 0
      repeat
        left, tries = postgres:psql("SELECT state FROM pg_stat_activity WHERE pid = " .. pid), tries + 1
      until left ~= "active" or tries > 200
      assert.not_equal("active", left)
    end)

    it("does not wait for the answer to its cancelling either", function()
      with_server({ "mute" }, function(server)
        local mute = assert(pq.connect(plain(server)))
        local started = core.monotonic()
        local _, err = mute:query("SELECT 1", nil, { timeout = 0.1 })
        assert.equal("timeout", err.reason)
        assert.is_true(core.monotonic() - started < 10)
        mute:close()
      end)
    end)

    it("says that a statement may have arrived when the server hangs up on it", function()
      with_server({ "drop" }, function(server)
        local dropped = assert(pq.connect(plain(server)))
        local _, err = dropped:query "SELECT 1"
        assert.same({ "network", true, false }, { err.reason, err.sent, dropped:is_open() })
        dropped:close()
      end)
    end)

    it("finds out before sending that the server ended the session, and no SIGPIPE ends us", function()
      local pid = assert(conn:query "SELECT pg_backend_pid() AS pid")[1].pid
      postgres:psql("SELECT pg_terminate_backend(" .. pid .. ", 5000)")
      local rows, err = conn:query("SELECT $1::text", { ("x"):rep(4000000) })
      assert.is_nil(rows)
      assert.is_false(err.sent)
      assert.is_false(conn:is_open())
    end)

    it("refuses COPY, which has no place here", function()
      local _, err = conn:query "COPY (SELECT 1) TO STDOUT"
      assert.equal("protocol", err.reason)
      assert.is_false(conn:is_open())
    end)

    it("prints no notices", function()
      local code = ([[
        local conn = assert(require "crdbcloud.pq".connect { host = "127.0.0.1", port = "%d", user = "root", dbname = "postgres",
          sslmode = "verify-full", sslrootcert = "%s", ambient_password = true, passfile = "%s" })
        assert(conn:query "DROP TABLE IF EXISTS not_there_at_all")
        conn:close()]]):format(postgres.port, postgres.ca_file, postgres.pgpass)
      assert.same({ "", 0 }, { temp.run(temp.lua(code)) })
    end)

    it("refuses bad arguments before anything is sent", function()
      assert.equal("statement: expected a string, got nothing", raised(conn.query, conn))
      assert.equal("statement: expected a string, got table", raised(conn.query, conn, {}))
      assert.equal("statement: holds a NUL byte, which SQL text cannot", raised(conn.query, conn, "SELECT 1\0"))
      assert.equal("parameters: expected a table, got string", raised(conn.query, conn, "SELECT 1", "x"))
      assert.equal("parameter $2: expected a string or a secret, got boolean", raised(conn.query, conn, "SELECT $1", { "x", true }))
      assert.equal("parameter $1: holds a NUL byte, which SQL text cannot", raised(conn.query, conn, "SELECT $1", { "\0" }))
      assert.truthy(raised(conn.query, conn, "SELECT 1", nil, { time_out = 1 }):find("timeout", 1, true))
      assert.equal("secret_columns: expected a list of column names, got string",
        raised(conn.query, conn, "SELECT 1", nil, { secret_columns = "x" }))
      assert.truthy(raised(conn.query, conn, "SELECT 1", { n = 1.5 }):find("parameters.n: expected a whole number", 1, true))
      assert.equal("1", assert(conn:query "SELECT 1 AS one")[1].one)
    end)
  end)

  describe("a connection", function()
    it("closes twice and raises after", function()
      local conn = connect()
      assert.equal("crdbcloud.connection (open)", tostring(conn))
      conn:close()
      conn:close()
      assert.equal("crdbcloud.connection (closed)", tostring(conn))
      assert.is_false(conn:is_open())
      assert.equal("connection is closed", raised(conn.query, conn, "SELECT 1"))
      assert.equal("connection is closed", raised(conn.used_password, conn))
    end)

    it("is closed by the collector", function()
      local pid = assert(connect():query "SELECT pg_backend_pid() AS pid")[1].pid
      collectgarbage()
      collectgarbage()
      local tries, left = 0
      repeat
        left, tries = postgres:psql("SELECT count(*) FROM pg_stat_activity WHERE pid = " .. pid), tries + 1
      until left == "0" or tries > 200
      assert.equal("0", left)
    end)

    it("raises in a forked child, and closing it there leaves the parent's alone", function()
      local forking = native.module(temp.dir(), "forking")
      for _, changes in ipairs { {}, { host = postgres.socket, sslmode = "disable" } } do
        local conn = connect(changes)
        local child = forking.fork()
        if child == 0 then
          local ok, message = pcall(conn.query, conn, "SELECT 1")
          local said = not ok and tostring(message):find("connection was made before a fork", 1, true)
          conn:close()
          forking.leave(said and 0 or 1)
        end
        assert.equal(0, forking.wait(child))
        assert.equal("1", assert(conn:query "SELECT 1 AS one")[1].one)
        conn:close()
      end
    end)

    it("cannot have its methods swapped through its metatable", function()
      local conn = connect()
      assert.equal("crdbcloud.connection", getmetatable(conn))
      conn:close()
    end)

    it("survives opening the module again", function()
      local conn = connect()
      package.loaded["crdbcloud.pq"] = nil
      local again = require "crdbcloud.pq"
      assert.equal("1", assert(conn:query "SELECT 1 AS one")[1].one)
      assert(again.connect(postgres:params())):close()
      conn:close()
    end)
  end)

  describe("parse", function()
    it("reads a URL, with the password as a secret", function()
      local fields = assert(pq.parse "postgresql://us%40er:p%2Fw%3F@db.example:26257/shop?sslmode=verify-full&application_name=x")
      assert.is_true(core.is_secret(fields.password))
      assert.is_true(fields.password:equals "p/w?")
      fields.password = nil
      assert.same({ user = "us@er", host = "db.example", port = "26257", dbname = "shop", sslmode = "verify-full", application_name = "x" }, fields)
    end)

    it("reads a connection string, and either from a secret", function()
      assert.same({ host = "h", user = "u" }, pq.parse "host=h user=u")
      assert.is_true(assert(pq.parse(core.secret "postgres://u:word@h")).password:equals "word")
    end)

    it("says what is wrong without quoting anything", function()
      for url, words in pairs {
        ["postgresql://u:hunter2@h/d?hunter2"] = "missing key/value separator",
        ["postgresql://u:hunt%er2@h/d"] = "invalid percent-encoded token",
        ["postgresql://u:hunter2@h/d?hunter2=1"] = "invalid URI query parameter",
        ["hunter2"] = "missing",
        ["postgresql://u@h/d\0"] = "it holds a NUL byte",
      } do
        local fields, problem = pq.parse(url)
        assert.is_nil(fields)
        assert.truthy(problem:find(words, 1, true), problem)
        assert.is_nil(problem:find "hunt")
      end
    end)

    it("refuses what is no text", function()
      assert.equal("url: expected a string or a secret, got table", raised(pq.parse, {}))
      assert.equal("url: expected a string or a secret, got nothing", raised(pq.parse))
    end)
  end)
end)
