-- Tests csrc/http/request.c, csrc/http/response.c, csrc/lua/request.c, csrc/lua/result.c.

local cjson = require "cjson"
local core = require "crdbcloud.core"
local native = require "spec.support.native"
local raw = require "spec.support.servers.raw_server"
local temp = require "spec.support.temp"

local KEY = "CCDB1_0123456789abcdefghijkl_" .. ("k"):rep(40)
local PASSWORD = "correct-horse-battery"
local CLOSE_WAIT = "08" -- in /proc/net/tcp: the other side has closed
local OK = raw.answer(200, '{"name":"app"}')

after_each(raw.stop_all)
teardown(temp.clean)

local function client_of(server, options)
  local o = { base_url = server.url, ca_file = server.ca_file, api_key = KEY, timeout = 60 }
  for name, value in pairs(options or {}) do o[name] = value end
  return assert(core.client(o))
end

local function update(client) return client:update_sql_user_password("cluster", "app", PASSWORD) end

-- Requests that arrived whole and start with `method`.
local function count(server, method)
  local n = 0
  for _, line in ipairs(server:seen "request") do
    if line:find("^" .. method) then n = n + 1 end
  end
  return n
end

describe("a write on a kept connection that dies without an answer", function()
  local writes = {
    PUT = update,
    POST = function(c) return c:create_sql_user("cluster", "app", PASSWORD) end,
    DELETE = function(c) return c:delete_sql_user("cluster", "app") end,
    PATCH = function(c) return c:request("PATCH", "/api/v1/x", { body = '{"a":1}' }) end,
  }

  for method, write in pairs(writes) do
    for _, fault in ipairs { "close", "reset" } do
      for _, tls in ipairs { false, true } do
        it(("is not sent again: %s, %s, %s"):format(method, fault, tls and "https" or "http"), function()
          local server = raw.start({ tls = tls }, OK, fault, OK)
          local client = client_of(server)
          assert.equal("applied", client:list_sql_users("cluster").outcome)
          local result = write(client)
          assert.equal(1, count(server, method))
          assert.equal("unknown", result.outcome)
          assert.equal("empty_reply", result.reason)
          assert.equal("the server closed a kept connection without an answer", result.message)
          assert.equal("applied", write(client).outcome)
          assert.equal(2, count(server, method))
        end)
      end
    end
  end

  it("is not sent again when it has no body: POST", function()
    local server = raw.start({}, OK, "close", OK)
    local client = client_of(server)
    client:list_sql_users "cluster"
    assert.equal("empty_reply", client:request("POST", "/api/v1/x").reason)
    assert.equal(1, count(server, "POST"))
  end)

  it("is not sent again over HTTP/2", function()
    for _, fault in ipairs { "refuse", "close", "goaway", "fail" } do
      local server = raw.start({ h2 = true }, "ok", fault, "ok")
      local client = client_of(server)
      assert.equal("applied", client:list_sql_users("cluster").outcome)
      assert.equal("unknown", update(client).outcome)
      assert.equal(2, count(server, "stream"), fault)
      server:stop()
    end
  end)
end)

-- Inode and state of this process's connection to the server, from the kernel's table.
local function connection_to(server)
  local suffix = (":%04X"):format(server.port)
  for line in temp.read "/proc/self/net/tcp":gmatch "[^\n]+" do
    local words = {}
    for word in line:gmatch "%S+" do words[#words + 1] = word end
    if words[3]:sub(-5) == suffix and words[10] ~= "0" then return words[10], words[4] end
  end
end

describe("a kept connection", function()
  it("carries all calls of a client", function()
    for _, tls in ipairs { false, true } do
      local server = raw.start({ tls = tls }, OK)
      local client = client_of(server)
      for i = 1, 5 do
        local result = i % 2 == 0 and update(client) or client:delete_sql_user("cluster", "app")
        assert.equal("applied", result.outcome)
        assert.equal(i == 1, result.new_connection)
      end
      assert.equal(1, #server:seen "connect")
      server:stop()
    end
  end)

  it("lets a read be sent again, because a read changes nothing", function()
    local server = raw.start({}, OK, "close", OK)
    local client = client_of(server)
    client:list_sql_users "cluster"
    assert.equal("applied", client:list_sql_users("cluster").outcome)
    assert.equal(3, count(server, "GET"))
  end)

  it("that the server has closed in the meantime is replaced, and the write sent once", function()
    local server = raw.start({}, raw.answer(200, '{"name":"app"}', { last = true }), OK)
    local client = client_of(server)
    assert.equal("applied", update(client).outcome)
    local deadline, state = os.time() + 10
    repeat state = select(2, connection_to(server)) until state == CLOSE_WAIT or os.time() > deadline
    assert.equal(CLOSE_WAIT, state)
    local result = update(client)
    assert.equal("applied", result.outcome)
    assert.is_true(result.new_connection)
    assert.equal(2, count(server, "PUT"))
  end)

  it("is closed on exec", function()
    local server = raw.start({ tls = true }, OK)
    local client = client_of(server)
    assert.equal("applied", update(client).outcome)
    local inode = connection_to(server)
    assert.is_string(inode)
    assert.is_nil(temp.run("readlink /proc/self/fd/*"):find("socket:[" .. inode .. "]", 1, true))
  end)
end)

describe("a request", function()
  local function headers_of(call, options)
    local server = raw.start({}, OK)
    call(client_of(server, options))
    local found = {}
    for _, line in ipairs(server:seen "header") do
      local name, value = line:match "^([^:]+): ?(.*)$"
      found[name:lower()] = value
    end
    server:stop()
    return found
  end

  it("has the headers of the API and none besides", function()
    local found = headers_of(update)
    assert.same({
      ["host"] = found.host, ["user-agent"] = "crdbcloud/" .. core.version, ["accept"] = "application/json",
      ["authorization"] = "Bearer " .. KEY, ["cc-version"] = "2024-09-16", ["content-type"] = "application/json",
      ["content-length"] = tostring(#PASSWORD + #'{"password":""}\n'),
    }, found)
  end)

  it("has no content type and length without a body", function()
    for _, call in ipairs {
      function(c) c:list_sql_users "cluster" end, function(c) c:delete_sql_user("cluster", "app") end,
      function(c) update(c) c:list_sql_users "cluster" end,
    } do
      local server = raw.start({}, OK)
      call(client_of(server))
      local last, length = {}, nil
      for _, line in ipairs(server:seen "header") do
        if line:find "^Host:" then last = {} end
        last[#last + 1] = line
      end
      for _, line in ipairs(last) do length = length or line:match "^[Cc]ontent%-.*" end
      assert.is_nil(length)
      server:stop()
    end
  end)

  it("names organisation, user, version and program when told so", function()
    local found = headers_of(update, { vanity_name = "acme", username = "ops@example.com", api_version = "2022-03-31", user_agent = "tool/1" })
    assert.equal("acme", found["cc-vanity-name"])
    assert.equal("ops@example.com", found["cc-username"])
    assert.equal("2022-03-31", found["cc-version"])
    assert.equal("crdbcloud/" .. core.version .. " tool/1", found["user-agent"])
  end)

  it("never waits for 100-continue, whatever the size", function()
    local found = headers_of(function(c) c:request("POST", "/x", { body = '"' .. ("x"):rep(3000000) .. '"' }) end)
    assert.is_nil(found.expect)
    assert.equal("3000002", found["content-length"])
  end)

  it("has its path and query percent-encoded, dots kept in the names of the query", function()
    local server = raw.start({}, OK)
    local client = client_of(server)
    client:delete_sql_user("a b/c", "x%y.z-_~\195\164")
    client:list_sql_users("c", { page = "a+b/c=", limit = 500, as_of_time = "2026-01-02T03:04:05Z", sort_order = "DESC" })
    client:list_sql_users("c", { page = "" })
    client:list_clusters { show_inactive = true, sort_by = "NAME" }
    client:get_cluster "c"
    client:get_connection_string("c", { database = "my db", sql_user = "u&v", os = "LINUX" })
    client:list_databases("c", { limit = 1 })
    client:list_audit_logs { starting_from = "2026-01-01T00:00:00Z", sort_order = "ASC", limit = 7 }
    client:request("GET", "/a%20b", { query = { ["p.q"] = 1.5 } })
    assert.same({
      "DELETE /api/v1/clusters/a%20b%2Fc/sql-users/x%25y.z-_~%C3%A4 0",
      "GET /api/v1/clusters/c/sql-users?pagination.page=a%2Bb%2Fc%3D&pagination.limit=500"
        .. "&pagination.as_of_time=2026-01-02T03%3A04%3A05Z&pagination.sort_order=DESC 0",
      "GET /api/v1/clusters/c/sql-users?pagination.page= 0",
      "GET /api/v1/clusters?pagination.sort_by=NAME&show_inactive=true 0",
      "GET /api/v1/clusters/c 0",
      "GET /api/v1/clusters/c/connection-string?database=my%20db&sql_user=u%26v&os=LINUX 0",
      "GET /api/v1/clusters/c/databases?pagination.limit=1 0",
      "GET /api/v1/auditlogevents?starting_from=2026-01-01T00%3A00%3A00Z&sort_order=ASC&limit=7 0",
      "GET /a%20b?p.q=1.5 0",
    }, server:seen "request")
  end)

  it("keeps a path in front of the API's", function()
    local server = raw.start({}, OK)
    client_of(server, { base_url = server.url .. "/gateway/v2/" }):get_cluster "c"
    assert.same({ "GET /gateway/v2/api/v1/clusters/c 0" }, server:seen "request")
  end)

  it("carries name and password exactly, from a string or a secret", function()
    for _, password in ipairs { 'quote"back\\slash/', "tab\tnul\0bell\7end", "ünï\240\159\148\145cöde", ("x"):rep(20000) } do
      for _, given in ipairs { password, core.secret(password) } do
        local server = raw.start({}, OK)
        client_of(server):create_sql_user("c", "app", given)
        client_of(server):update_sql_user_password("c", "app", given)
        local bodies = server:seen "body"
        assert.same({ name = "app", password = password }, cjson.decode(bodies[1]))
        assert.same({ password = password }, cjson.decode(bodies[2] == "" and bodies[3] or bodies[2]))
        server:stop()
      end
    end
  end)
end)

describe("an answer", function()
  local function run(action, options)
    local server = raw.start({}, action)
    local result = update(client_of(server, options))
    server:stop()
    return result
  end

  it("may be chunked or come after interim answers", function()
    for _, text in ipairs {
      'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{"name"\r\n7\r\n:"app"}\r\n0\r\n\r\n',
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\n'
        .. 'Content-Type: application/json\r\nContent-Length: 14\r\n\r\n{"name":"app"}',
    } do
      assert.equal("applied", run(raw.escape("send:" .. text)).outcome)
    end
  end)

  it("may be exactly as large as the limit", function()
    local function sized(n) return raw.answer(200, '{"name":"app"}' .. (" "):rep(n - 14)) end
    local result = run(sized(2000), { max_body = 2000 })
    assert.equal("applied", result.outcome)
    assert.equal(2000, #result.body)
    assert.equal("too_large", run(sized(2001), { max_body = 2000 }).reason)
  end)

  it("that redirects is not followed, whatever it points to", function()
    local target = raw.start({}, OK)
    local server = raw.start({}, raw.answer(307, "", { headers = "Location: " .. target.url .. "/x\r\n" }))
    assert.equal("redirect", update(client_of(server)).reason)
    assert.equal(1, #server:seen "request")
    assert.same({}, target:seen "connect")
  end)

  it("is told with everything that was seen of it", function()
    local result = run(raw.answer(503, '{"code":14,"message":"down","details":[]}', { headers = "Retry-After: 2\r\n" }))
    assert.is_true(result.elapsed >= 0)
    result.elapsed = nil
    assert.same({
      outcome = "unknown", kind = "unavailable", reason = "server", status = 503, code = 14, message = "down",
      body = '{"code":14,"message":"down","details":[]}', content_type = "application/json", retry_after = 2,
      curl = 0, sent = true, http = "1.1", new_connection = true,
    }, result)
  end)
end)

describe("HTTP", function()
  it("is version 2 where the server offers it, 1.1 elsewhere", function()
    local h2 = raw.start({ h2 = true }, "ok")
    local client = client_of(h2)
    for i = 1, 3 do
      local result = update(client)
      assert.equal("applied", result.outcome)
      assert.equal("2", result.http)
      assert.equal(i == 1, result.new_connection)
    end
    assert.equal("1.1", update(client_of(raw.start({ tls = true }, OK))).http)
    assert.equal("1.1", update(client_of(raw.start({}, OK))).http)
  end)
end)

describe("TLS", function()
  it("trusts no other authority than the one given", function()
    local server = raw.start({ tls = true }, OK)
    local result = update(client_of(server, { ca_file = raw.tls().other_ca }))
    assert.equal("not_sent", result.outcome)
    assert.matches("certificate", result.message)
    assert.same({}, server:seen "request")
  end)

  it("trusts the system's authorities when none is given", function()
    local server = raw.start({ tls = true }, OK)
    local client = assert(core.client { base_url = server.url, api_key = KEY, timeout = 60 })
    assert.equal("tls", update(client).reason)
    assert.same({}, server:seen "request")
  end)

  it("takes a directory of authorities", function()
    local dir = temp.dir()
    temp.write(dir .. "/ca.pem", temp.read(raw.tls().ca))
    assert.equal(0, select(2, temp.run("openssl rehash " .. dir)))
    local server = raw.start({ tls = true }, OK)
    local client = assert(core.client { base_url = server.url, api_key = KEY, timeout = 60, ca_path = dir })
    assert.equal("applied", update(client).outcome)
  end)

  it("is not spoken with a server of another name", function()
    local server = raw.start({ tls = true, cert = raw.tls().wrong_cert }, OK)
    local result = update(client_of(server))
    assert.equal("not_sent", result.outcome)
    assert.equal("tls", result.reason)
    assert.matches("elsewhere.invalid", result.message .. "elsewhere.invalid")
    assert.same({}, server:seen "request")
  end)
end)

describe("time limits", function()
  it("bound the whole exchange, also when bytes keep coming", function()
    local server = raw.start({}, "flood-body")
    local result = update(client_of(server, { timeout = 0.3, max_body = 1024 * 1024 * 1024 }))
    assert.equal("timeout", result.reason)
    assert.equal("unknown", result.outcome)
  end)

  it("bound the connecting apart from the rest", function()
    local silent = raw.start({}, "hang") -- never answers the greeting of TLS
    local client = client_of(silent, { base_url = silent.url:gsub("^http", "https"), connect_timeout = 0.2, timeout = 60 })
    local result = update(client)
    assert.equal("timeout", result.reason)
    assert.equal("not_sent", result.outcome)
  end)

  it("may be set for one call and hold for that one alone", function()
    local server = raw.start({}, "hang", OK)
    local client = client_of(server, { timeout = 60 })
    assert.equal("timeout", client:update_sql_user_password("cluster", "app", PASSWORD, { timeout = 0.2 }).reason)
    assert.equal("applied", update(client).outcome)
  end)
end)

describe("signals", function()
  -- In a process of its own: whoever runs the specs may ignore SIGPIPE, and a write that breaks is ordered there.
  local function run(variables, server, code)
    return temp.run(("env --default-signal=PIPE %s "):format(variables) .. temp.lua(([[
      local function settings()
        return io.open("/proc/thread-self/status"):read("*a"):match "SigPnd.-SigCgt:%%s*%%x+"
      end
      local before = settings()
      local client = core.client { base_url = %q, ca_file = %q, api_key = "key", timeout = 10 }
      local function post()
        return client:request("POST", "/x", { body = '"' .. ("x"):rep(1000000) .. '"' })
      end
      %s
      client:close()
      assert(settings() == before, settings())
      print "alive"
    ]]):format(server.url, server.ca_file, code)))
  end

  it("neither kill the process when a write breaks nor change its settings", function()
    local shim = native.preload("broken_pipe")
    local server = raw.start({ tls = true }, OK)
    local output, status = run("BREAK_AFTER=20000 LD_PRELOAD=" .. shim, server, [[
      for _ = 1, 3 do
        local result = post()
        assert(result.message:find "Broken pipe", result.message)
        if _ == 1 then assert(result.outcome == "unknown" and result.reason == "send_error") end
      end
    ]])
    assert.equal("alive\n", output)
    assert.equal(0, status)
    assert.same({}, server:seen "request")
  end)

  it("do not matter when the server says goodbye and is gone in mid-write", function()
    local server = raw.start({ tls = true }, "die")
    local output, status = run("", server, "for _ = 1, 20 do assert(post().outcome == 'unknown') end")
    assert.equal("alive\n", output)
    assert.equal(0, status)
  end)
end)
