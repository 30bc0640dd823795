-- Tests csrc/sql/session.c, csrc/sql/params.c, csrc/lua/pq.c, csrc/lua/pq_connection.c.

local core = require "crdbcloud.core"
local pq = require "crdbcloud.pq"
local native = require "spec.support.native"
local temp = require "spec.support.temp"
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

    it("takes the password of a client key as a secret, and keeps it out of messages as well", function()
      with_server({ "ask", "28000", "we saw s3cret-and-long and k3y-pass-phrase" }, function(server)
        for _, key_password in ipairs { core.secret "k3y-pass-phrase", "k3y-pass-phrase" } do
          local _, err = pq.connect(plain(server, { password = core.secret "s3cret-and-long", sslpassword = key_password }))
          assert.equal("we saw <redacted> and <redacted>", err.message)
        end
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
      temp.write(home .. "/service", ("[elsewhere]\nhost=example.invalid\nhostaddr=192.0.2.1\nuser=x\nsslmode=disable\n"
        .. "options=-cnonsense=1\npassword=%s\nrequirepeer=nobody\n"):format(postgres.password_text))
      temp.write(home .. "/secret", postgres.password_text)
      temp.run("chmod 600 " .. home .. "/secret")
      local surroundings = ("HOME=%s PGPASSFILE=%s PGPASSWORD=%s PGHOST=example.invalid PGHOSTADDR=192.0.2.1 PGPORT=1 PGUSER=x "
        .. "PGDATABASE=nowhere PGSSLMODE=disable PGSSLCERT=%s PGSSLKEY=%s PGSSLROOTCERT=%s PGSSLCRL=%s PGREQUIREPEER=nobody "
        .. "PGCHANNELBINDING=require PGGSSENCMODE=require PGTARGETSESSIONATTRS=standby PGOPTIONS='-c nonsense=1' "
        .. "PGAPPNAME=x PGCLIENTENCODING=LATIN1 PGSSLMINPROTOCOLVERSION=nonsense PGKRBSRVNAME=x PGCONNECT_TIMEOUT=x "
        .. "PGSERVICE=elsewhere PGSERVICEFILE=" .. home .. "/service ")
        :format(home, home .. "/.pgpass", postgres.password_text, home .. "/.postgresql/postgresql.crt",
          home .. "/.postgresql/postgresql.crt", home .. "/.postgresql/root.crt", home .. "/.postgresql/root.crt")
      local output, status = temp.run(surroundings .. temp.lua(code))
      assert.equal(0, status, output)
      assert.equal("in\tserver 28P01\toption nil", (output:gsub("%s+$", "")))
      -- The name of a service is the one thing that cannot be blanked: if there is none of it, no login is tried.
      output = temp.run(surroundings .. "PGSERVICE=nowhere " .. temp.lua(code))
      assert.equal("option nil\toption nil\toption nil", (output:gsub("%s+$", "")))
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

    it("works in many threads at once, each with a Lua state of its own", function()
      local uv = require "luv"
      local function work(path, cpath, socket, port, passfile)
        package.path, package.cpath = path, cpath
        local conn = require "crdbcloud.pq".connect {
          host = socket, port = port, user = "root", dbname = "postgres", sslmode = "disable", passfile = passfile, ambient_password = true,
        }
        for i = 1, 20 do
          local rows = conn:query("SELECT $1::text AS n", { tostring(i) })
          if rows[1].n ~= tostring(i) then return end
        end
        conn:query "INSERT INTO threads_seen DEFAULT VALUES"
        conn:close()
      end
      postgres:psql "CREATE TABLE threads_seen (id serial)"
      local threads = {}
      for i = 1, 8 do
        threads[i] = uv.new_thread(work, package.path, package.cpath, postgres.socket, ("%d"):format(postgres.port), postgres.pgpass)
      end
      for _, thread in ipairs(threads) do thread:join() end
      assert.equal("8", postgres:psql "SELECT count(*) FROM threads_seen")
      postgres:psql "DROP TABLE threads_seen"
    end)

    it("raises in a forked child, and closing it there leaves the parent's alone", function()
      local forking = native.module("forking")
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

    it("loses nothing when the memory of Lua runs out", function()
      local dir = temp.dir()
      local host = native.program("lua_memory", nil,
        "-rdynamic $(pkg-config --cflags --libs lua5.4) -fsanitize=address,undefined -fno-sanitize-recover=undefined")
      temp.write(dir .. "/script.lua", ([[
        local core, pq = require "crdbcloud.core", require "crdbcloud.pq"
        local fields = assert(pq.parse "host=%s port=%d user=root dbname=postgres sslmode=disable passfile=%s")
        fields.ambient_password = true
        local conn = assert(pq.connect(fields))
        local rows = assert(conn:query("SELECT $1::text AS a, $2::text AS b", { core.secret "x", "y" }, { secret_columns = { "a" } }))
        assert(rows[1].a:equals "x" and rows[1].b == "y")
        assert(not conn:query("SELECT $1::int", { core.secret "x" }))
        conn:close()
        fields.passfile = "%s/none"
        local none, err = pq.connect(fields)
        assert(not none and err.reason == "option", err and err.message)
        assert(not pq.parse "nonsense")]]):format(postgres.socket, postgres.port, postgres.pgpass, dir))
      local cpath = package.cpath:match "[^;]*/build/[^;]*":gsub("/build/.*", "/build/5.4/?.so")
      local output = temp.run(("%s %s/script.lua %s %s"):format(host, dir, temp.quote(cpath), temp.quote(package.path)))
      assert.matches("^ok after %d%d+ failures\n$", output)
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
end)
