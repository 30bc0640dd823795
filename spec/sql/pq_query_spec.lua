-- Tests csrc/sql/error.c, csrc/lua/pq_rows.c.

local core = require "crdbcloud.core"
local pq = require "crdbcloud.pq"
local temp = require "spec.support.temp"
local wait = require "spec.support.wait"
local wire_server = require "spec.support.servers.wire_server"
local postgres = require "spec.support.servers.postgres".shared()

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

describe("crdbcloud.pq query", function()
  teardown(temp.clean)

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
    wait("the end of the statement", function() return postgres:psql("SELECT state FROM pg_stat_activity WHERE pid = " .. pid) ~= "active" end)
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
