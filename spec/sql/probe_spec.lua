local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local probe = require "crdbcloud.sql.probe"
local wire_server = require "spec.support.servers.wire_server"
local temp = require "spec.support.temp"
local postgres = require "spec.support.servers.postgres".shared()

local PASSWORD = "a-long-password-of-the-probe"

local function target(changes)
  local fields = {
    host = "127.0.0.1", port = postgres.port, dbname = "postgres", user = "probed", password = core.secret(PASSWORD),
    sslrootcert = postgres.ca_file, timeout = "10s",
  }
  for name, value in pairs(changes or {}) do
    if value == false then fields[name] = nil else fields[name] = value end
  end
  return fields
end

local function alter(text)
  postgres:psql("DROP ROLE IF EXISTS probed; CREATE ROLE probed LOGIN PASSWORD '" .. PASSWORD .. "'; " .. (text or ""))
end

local function login(changes)
  local verdict, err = probe.login(target(changes))
  if verdict == "accepted" then
    assert.is_nil(err)
  else
    assert.is_true(errors.is(err))
    assert.is_nil(tostring(err):find(PASSWORD, 1, true))
  end
  return verdict, err
end

local function raised(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  return message
end

-- The verdict about a server that answers each login with these words.
local function verdict_of(action, state, text)
  local server = wire_server.start(action, state, text)
  local verdict, err = login { host = server.host, port = server.port, sslmode = "disable", insecure = action == "ask" }
  server:stop()
  return verdict, err
end

describe("crdbcloud.sql.probe", function()
  before_each(function() alter() end)
  teardown(temp.clean)

  it("accepts the right password, as a secret or a string", function()
    assert.equal("accepted", login())
    assert.equal("accepted", login { password = PASSWORD })
  end)

  it("calls a wrong password wrong, and that of an unknown user too, which the server does not tell apart", function()
    local verdict, err = login { password = core.secret "another-password" }
    assert.equal("wrong_password", verdict)
    assert.equal("28P01", err.sqlstate)
    assert.equal("wrong_password", login { user = "nobody_of_that_name" })
  end)

  it("says that the role may not log in", function()
    alter "ALTER ROLE probed NOLOGIN"
    local verdict, err = login()
    assert.equal("no_login", verdict)
    assert.equal("28000", err.sqlstate)
  end)

  it("says that there are too many connections", function()
    alter "ALTER ROLE probed CONNECTION LIMIT 0"
    local verdict, err = login()
    assert.equal("too_many_connections", verdict)
    assert.equal("53300", err.sqlstate)
  end)

  it("hears from PostgreSQL the same about an expired password as about a wrong one", function()
    alter "ALTER ROLE probed VALID UNTIL '2001-01-01'"
    assert.equal("wrong_password", login())
  end)

  it("is told by CockroachDB that the password has expired", function()
    assert.equal("expired", verdict_of("ask", "28000", "password is expired"))
    assert.equal("expired", verdict_of("ask", "28P01", "password is expired"))
  end)

  it("understands CockroachDB's words for a role that may not log in", function()
    assert.equal("no_login", verdict_of("error", "28000", "probed does not have login privilege"))
    assert.equal("no_login", verdict_of("error", "28000", "user probed does not have SQL login privilege"))
  end)

  it("does not count a login that was not asked for a password, whatever the password", function()
    postgres:psql "DROP ROLE IF EXISTS trusted; CREATE ROLE trusted LOGIN PASSWORD 'x'"
    local verdict, err = login { user = "trusted", password = core.secret "surely wrong" }
    assert.equal("not_asked", verdict)
    assert.truthy(err.message:find("without asking for a password", 1, true))
  end)

  it("counts a password that was asked for in the clear over TLS only with insecure = true", function()
    postgres:psql("DROP ROLE IF EXISTS clear; CREATE ROLE clear LOGIN PASSWORD '" .. PASSWORD .. "'")
    assert.equal("accepted", login { user = "clear", insecure = true })
    assert.equal("wrong_password", login { user = "clear", password = core.secret "other", insecure = true })
    local verdict, err = login { user = "clear" }
    assert.same({ "other", "protocol" }, { verdict, err.kind })
    assert.equal("other", login { user = "clear", password = core.secret "other" })
  end)

  it("calls a server that is down, hangs up or is silent the network's matter", function()
    assert.equal("network", login { port = 1 })
    local server = wire_server.start "close"
    assert.equal("network", login { host = server.host, port = server.port, sslmode = "disable" })
    server:stop()
    server = wire_server.start "silent"
    local verdict, err = login { host = server.host, port = server.port, sslmode = "disable", timeout = "200ms" }
    server:stop()
    assert.same({ "network", "timeout" }, { verdict, err.kind })
  end)

  it("calls a server that is starting or stopping the network's matter", function()
    for _, state in ipairs { "57P01", "57P02", "57P03" } do
      assert.equal("network", verdict_of("error", state, "the database system is starting up"))
    end
  end)

  it("calls a proxy's refusal the network's matter, and a paused cluster paused", function()
    assert.equal("network", verdict_of("error", "08004", "codeProxyRefusedConnection: connection attempt throttled"))
    assert.equal("network", verdict_of("error", "08C00", "codeBackendDialFailed: unable to reach backend SQL server"))
    assert.equal("paused", verdict_of("error", "08004", "codeProxyRefusedConnection: cluster is paused"))
  end)

  it("tells a certificate that it cannot trust", function()
    assert.equal("tls", login { sslrootcert = postgres.other_ca_file })
    assert.equal("tls", login { sslrootcert = "/nowhere/ca.crt" })
    -- A server without TLS where it is required.
    assert.equal("tls", (function()
      local server = wire_server.start("error", "28P01", "not reached")
      local verdict = login { host = server.host, port = server.port }
      server:stop()
      return verdict
    end)())
  end)

  it("calls everything else other: only a wrong password speaks against the password", function()
    assert.equal("other", login { dbname = "nowhere" })
    postgres:psql "CREATE DATABASE probe_closed; REVOKE CONNECT ON DATABASE probe_closed FROM public"
    local verdict, err = login { dbname = "probe_closed" }
    assert.same({ "other", "42501" }, { verdict, err.sqlstate })
    postgres:psql "DROP DATABASE probe_closed"
    assert.equal("other", verdict_of("error", "28000", "no pg_hba.conf entry for host"))
    assert.equal("other", verdict_of("error", "28000", 'certificate authentication failed for user "probed"'))
    assert.equal("other", verdict_of("error", "XX000", "internal error"))
  end)

  it("takes an older CockroachDB's 28000 for a wrong password by its words", function()
    assert.equal("wrong_password", verdict_of("ask", "28000", "password authentication failed for user probed"))
  end)

  it("is not misled by a user who is called like a verdict", function()
    for _, name in ipairs { "expired", "paused", "does not have login privilege" } do
      assert.equal("wrong_password", login { user = name })
    end
  end)

  it("is not let in by what the surroundings offer", function()
    local home = temp.dir()
    temp.write(home .. "/.pgpass", ("*:*:*:*:%s\n"):format(PASSWORD))
    temp.run("chmod 600 " .. home .. "/.pgpass")
    local code = ([[
      print((require "crdbcloud.sql.probe".login { host = "127.0.0.1", port = %d, dbname = "postgres", user = "probed",
        password = core.secret "wrong", sslrootcert = "%s" }))]]):format(postgres.port, postgres.ca_file)
    local output = temp.run(("HOME=%s PGPASSWORD=%s PGUSER=trusted "):format(home, PASSWORD) .. temp.lua(code))
    assert.equal("wrong_password", (output:gsub("%s+$", "")))
  end)


  it("does not send a password into the open", function()
    local verdict, err = login { host = "db.example.com", sslmode = "require", sslrootcert = false }
    assert.equal("other", verdict)
    assert.truthy(err.message:find("does not prove who the server is", 1, true))
  end)

  it("raises for misuse, before anything is sent", function()
    assert.truthy(raised(probe.login):find("probe.login: expected a table of fields, got nothing", 1, true))
    assert.truthy(raised(probe.login, { host = "h", user = "u" }):find("probe.login: password is missing", 1, true))
    assert.truthy(raised(probe.login, target { hots = "x" }):find('did you mean "host"?', 1, true))
    assert.truthy(raised(probe.login, target { passfile = "/x" }):find('unknown option "passfile"', 1, true))
    assert.truthy(raised(probe.login, target { sslcert = "/x" }):find('unknown option "sslcert"', 1, true))
    assert.truthy(raised(probe.login, target { timeout = 0 }):find("must be a time limit above 0", 1, true))
    local message = raised(probe.login, target { password = 12345678 })
    assert.truthy(message:find("password must be", 1, true))
  end)
end)
