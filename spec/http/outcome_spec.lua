-- Tests csrc/http/answer.c, csrc/http/message.c.

local core = require "crdbcloud.core"
local raw = require "spec.support.servers.raw_server"
local sandbox = require "spec.support.sandbox"
local temp = require "spec.support.temp"

local KEY = "CCDB1_0123456789abcdefghijkl_" .. ("k"):rep(40)
local PASSWORD = "correct-horse-battery"

local CALLS = {
  list = function(c) return c:list_sql_users "cluster" end,
  create = function(c) return c:create_sql_user("cluster", "app", PASSWORD) end,
  delete = function(c) return c:delete_sql_user("cluster", "app") end,
  update = function(c) return c:update_sql_user_password("cluster", "app", PASSWORD) end,
  patch = function(c) return c:request("PATCH", "/api/v1/x", { body = "{}" }) end,
}

local function client_of(server, options)
  local o = { base_url = server.url, ca_file = server.ca_file, api_key = KEY, timeout = 60 }
  for name, value in pairs(options or {}) do o[name] = value end
  return assert(core.client(o))
end

-- One exchange of `call` with a server that does `action`; `options` are those of the client.
local function exchange(call, action, options, server_options)
  local server = raw.start(server_options or {}, action)
  local client = client_of(server, options)
  local result = CALLS[call](client)
  client:close()
  server:stop()
  return result
end

local function status(code, message, grpc, options)
  return raw.answer(code, ('{"code":%d,"message":"%s","details":[]}'):format(grpc or 3, message), options)
end

local function check(row, result)
  local got = ("%s/%s/%s"):format(result.outcome, result.kind or "-", result.reason or "-")
  assert.equal(row.expected, got, result.message)
  assert.equal(result.outcome == "applied", result.message == nil)
end

local HTML = "<html><body>Bad Gateway</body></html>"

-- call, what the server does, outcome/kind/reason
local ANSWERS = {
  { "an answer that names the user", "update", raw.answer(200, '{"name":"app"}'), "applied/-/-" },
  { "an answer that names the user in other case", "update", raw.answer(200, '{"name":"APP"}'), "applied/-/-" },
  { "an answer that names the user with escapes", "update", raw.answer(200, '{"name":"\\u0061pp"}'), "applied/-/-" },
  { "201 with the user", "create", raw.answer(201, '{"name":"app"}'), "applied/-/-" },
  { "a deletion that names the user", "delete", raw.answer(200, '{"name":"app"}'), "applied/-/-" },
  { "a list", "list", raw.answer(200, '{"users":[]}'), "applied/-/-" },
  { "a list with a charset", "list", raw.answer(200, "{}", { type = "application/json; charset=utf-8" }), "applied/-/-" },
  { "204 for another write", "patch", raw.escape "send:HTTP/1.1 204 No Content\r\n\r\n", "applied/-/-" },
  { "another name", "update", raw.answer(200, '{"name":"other"}'), "unknown/protocol/wrong_name" },
  { "another name after a deletion", "delete", raw.answer(200, '{"name":"apps"}'), "unknown/protocol/wrong_name" },
  { "no name", "update", raw.answer(200, "{}"), "unknown/protocol/broken_body" },
  { "a name that is no text", "create", raw.answer(200, '{"name":7}'), "unknown/protocol/broken_body" },
  { "204 for a password", "update", raw.escape "send:HTTP/1.1 204 No Content\r\n\r\n", "unknown/protocol/broken_body" },
  { "JSON that is cut", "update", raw.answer(200, '{"name":"app"'), "unknown/protocol/broken_body" },
  { "bytes behind the JSON", "update", raw.answer(200, '{"name":"app"}}'), "unknown/protocol/broken_body" },
  { "a list that is cut", "list", raw.answer(200, '{"users":[{"name":"a"}'), "unknown/protocol/broken_body" },
  { "an HTML page with 200", "update", raw.answer(200, HTML, { type = "text/html" }), "unknown/protocol/html" },
  { "plain text with 200", "list", raw.answer(200, "{}", { type = "text/plain" }), "unknown/protocol/bad_content_type" },
  { "no content type", "list", raw.escape 'send:HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}', "unknown/protocol/bad_content_type" },

  { "a redirect", "update", raw.answer(302, "", { headers = "Location: https://127.0.0.1:1/\r\n" }), "rejected/protocol/redirect" },
  { "a permanent redirect of a list", "list", raw.answer(308, "", { headers = "Location: /x\r\n" }), "rejected/protocol/redirect" },

  { "429", "update", status(429, "rate limit exceeded", 8), "not_sent/rate_limited/rate_limited" },
  { "429 without JSON", "create", raw.answer(429, HTML, { type = "text/html" }), "not_sent/rate_limited/rate_limited" },
  { "gRPC code 8 with 400", "update", status(400, "quota", 8), "not_sent/rate_limited/rate_limited" },
  { "gRPC code 8 with 503", "update", status(503, "quota", 8), "not_sent/rate_limited/rate_limited" },
  { "the words of the limiter with 403", "update", status(403, "rate limit exceeded", 7), "not_sent/rate_limited/rate_limited" },
  { "the words of the limiter with 500", "update", status(500, "rate limit exceeded", 2), "unknown/rate_limited/rate_limited" },

  { "must differ", "update", status(400, "the new password must differ from the current password"), "rejected/invalid_argument/must_differ" },
  { "must differ, as a conflict", "update", status(409, "Password must be different", 9), "rejected/invalid_argument/must_differ" },
  { "must differ, of a create", "create", status(400, "must differ"), "rejected/invalid_argument/invalid_argument" },
  { "a refused password", "update", status(400, "invalid argument: password too short"), "rejected/invalid_argument/password_refused" },
  { "a refused password with 422", "create", status(422, "Password is too common"), "rejected/invalid_argument/password_refused" },
  { "a password refused in the details as text", "update",
    raw.answer(400, '{"code":3,"message":"invalid request","details":["password needs 12 characters"]}'),
    "rejected/invalid_argument/password_refused" },
  { "a password refused in a detail object", "update",
    raw.answer(400, '{"code":3,"message":"no","details":[{"@type":"x/BadRequest","fieldViolations":[{"field":"f","description":"bad password"}]}]}'),
    "rejected/invalid_argument/password_refused" },
  { "a password named by a deletion", "delete", status(400, "password"), "rejected/invalid_argument/invalid_argument" },
  { "400", "update", status(400, "invalid request"), "rejected/invalid_argument/invalid_argument" },
  { "400 without a body", "list", raw.answer(400, ""), "rejected/invalid_argument/invalid_argument" },
  { "418", "update", status(418, "teapot"), "rejected/invalid_argument/invalid_argument" },
  { "400 with gRPC code 9", "update", status(400, "cluster is paused", 9), "rejected/unavailable/not_ready" },
  { "401", "update", status(401, "unauthenticated", 16), "rejected/unauthenticated/unauthenticated" },
  { "403", "update", status(403, "permission denied", 7), "rejected/permission_denied/permission_denied" },
  { "404", "update", status(404, "user not found", 5), "rejected/not_found/not_found" },
  { "404 from a gateway", "update", raw.answer(404, HTML, { type = "text/html" }), "rejected/protocol/html" },
  { "409 with gRPC code 6", "create", status(409, "conflict", 6), "rejected/already_exists/already_exists" },
  { "409 that says it exists", "create", status(409, "user already exists", 2), "rejected/already_exists/already_exists" },
  { "409 with gRPC code 10", "update", status(409, "aborted", 10), "rejected/conflict/locked" },
  { "409 with a lock", "update", status(409, "cluster lock is held", 2), "rejected/conflict/locked" },

  { "409", "delete", status(409, "busy", 2), "rejected/conflict/conflict" },
  { "a user that owns objects", "delete", status(400, "cannot drop role app: grants still exist on shop", 9), "rejected/conflict/conflict" },

  { "408", "update", status(408, "slow"), "unknown/timeout/timeout" },
  { "425", "update", status(425, "early"), "unknown/unavailable/server" },
  { "500", "update", status(500, "internal", 13), "unknown/server/server" },
  { "500 to a list", "list", status(500, "internal", 13), "unknown/server/server" },
  { "501", "update", status(501, "unimplemented", 12), "unknown/server/server" },
  { "502 as HTML", "update", raw.answer(502, HTML, { type = "text/html" }), "unknown/unavailable/server" },
  { "503 with Retry-After", "update", status(503, "unavailable", 14, { headers = "Retry-After: 3\r\n" }), "unknown/unavailable/server" },
  { "504", "create", status(504, "deadline", 4), "unknown/timeout/server" },

  { "nothing before the end", "update", "close", "unknown/network/empty_reply" },
  { "a reset after the request", "update", "reset", "unknown/network/reset" },
  { "half a body", "update", raw.escape 'last:HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"name"', "unknown/network/partial_body" },
  { "half a refusal", "update", raw.escape 'last:HTTP/1.1 400 No\r\nContent-Length: 50\r\n\r\n{"message"', "unknown/network/partial_body" },
  { "a chunked body without its end", "update",
    raw.escape 'last:HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n{"name":"app"}\n\r\n', "unknown/network/partial_body" },
  { "no HTTP at all", "update", raw.escape "last:SSH-2.0-OpenSSH\r\n", "unknown/protocol/other" },
  { "headers without end", "update", "flood-headers", "unknown/protocol/too_large" },
  { "a body without end", "list", "flood-body", "unknown/protocol/too_large" },
}

after_each(raw.stop_all)
teardown(temp.clean)

describe("the outcome of an exchange", function()
  for _, row in ipairs(ANSWERS) do
    it(("of a %s that is answered with %s is %s"):format(row[2], row[1], row[4]), function()
      check({ expected = row[4] }, exchange(row[2], row[3]))
    end)
  end

  it("is unknown when the time is up after the request has left", function()
    check({ expected = "unknown/timeout/timeout" }, exchange("update", "hang", { timeout = 0.2 }))
  end)

  it("is not_sent when nobody listens", function()
    local server = raw.start({}, "close")
    server:stop()
    local result = CALLS.update(client_of(server))
    check({ expected = "not_sent/network/connect" }, result)
    assert.is_false(result.sent)
  end)

  it("is not_sent when the name has no address", function()
    local client = assert(core.client { base_url = "https://nowhere.invalid", api_key = KEY, timeout = 60 })
    local result = CALLS.update(client)
    check({ expected = "not_sent/network/resolve" }, result)
    assert.equal(6, result.curl)
  end)

  it("is not_sent when TLS fails", function()
    check({ expected = "not_sent/tls/tls" }, exchange("update", "close", { ca_file = raw.tls().other_ca }, { tls = true }))
  end)

  it("is not_sent when the server never answers the greeting of TLS", function()
    local plain = raw.start({}, "close")
    local client = assert(core.client { base_url = plain.url:gsub("^http", "https"), api_key = KEY, timeout = 0.3 })
    check({ expected = "not_sent/timeout/timeout" }, CALLS.update(client))
    plain:stop()
  end)

  it("is not_sent when a proxy cannot be reached or refuses", function()
    local server = raw.start({ tls = true }, raw.answer(200, '{"name":"app"}'))
    local proxy = raw.start({}, raw.answer(403, "", { last = true }))
    local client = client_of(server, { proxy = proxy.url })
    check({ expected = "not_sent/network/proxy" }, CALLS.update(client))
    assert.same({ "CONNECT 127.0.0.1:" .. server.port .. " 0" }, proxy:seen "request")
    for _, line in ipairs(proxy:seen "header") do assert.is_nil(line:find(KEY, 1, true)) end
    proxy:stop()
    check({ expected = "not_sent/network/connect" }, CALLS.update(client))
    assert.same({}, server:seen "request")
    server:stop()
  end)

  it("is not_sent when the server refuses the HTTP/2 stream of a write, or wants HTTP/1.1 instead", function()
    for _, action in ipairs { "refuse", "http11" } do
      for _, call in ipairs { "update", "create", "delete", "patch" } do
        local result = exchange(call, action, nil, { h2 = true })
        check({ expected = "not_sent/network/refused_stream" }, result)
        assert.equal("the server refused the request before processing it", result.message)
      end
    end
  end)

  it("is unknown when HTTP/2 ends in another way", function()
    for _, action in ipairs { "fail", "goaway-after", "close" } do
      local result = exchange("update", action, nil, { h2 = true })
      assert.same({ action, "unknown", "network" }, { action, result.outcome, result.kind })
    end
  end)

  it("is not_sent or unknown when the server ends HTTP/2 before the stream of a write, as libcurl tells one from the other", function()
    local result = exchange("update", "goaway", nil, { h2 = true })
    check({ expected = result.outcome == "not_sent" and "not_sent/network/refused_stream" or "unknown/network/http2" }, result)
  end)

  it("agrees with the sandbox, which has a database behind it", function()
    local s = sandbox.shared()
    s:reset()
    local key = core.secret_from_file(s.key_file)
    local client = assert(core.client { base_url = s.url, ca_file = s.ca_file, api_key = key })
    local function user(call, ...) return client[call .. "_sql_user"](client, s.cluster_id, ...) end
    check({ expected = "applied/-/-" }, user("create", "outcome_user", PASSWORD))
    check({ expected = "rejected/already_exists/already_exists" }, user("create", "outcome_user", PASSWORD))
    check({ expected = "rejected/invalid_argument/password_refused" }, user("create", "outcome_other", "short"))
    local function update(password) return client:update_sql_user_password(s.cluster_id, "outcome_user", password) end
    check({ expected = "applied/-/-" }, update("another-good-password"))
    s:set { must_differ = "refuse" }
    check({ expected = "rejected/invalid_argument/must_differ" }, update("another-good-password"))
    check({ expected = "applied/-/-" }, user("delete", "outcome_user"))
    check({ expected = "rejected/not_found/not_found" }, user("delete", "outcome_user"))
    s:reset()
  end)
end)

describe("the message of an exchange", function()
  local function message(...) return exchange("update", raw.answer(...)).message end

  it("is the service's, with the first detail", function()
    assert.equal("user not found", message(404, '{"code":5,"message":"user not found","details":[]}'))
    assert.equal("invalid request: too short", message(400, '{"message":"invalid request","details":["too short","x"]}'))
    assert.equal("too short", message(400, '{"details":["too short"]}'))
    assert.equal("no: why", message(400, '{"message":"no","details":[{"@type":"t","detail":"why"}]}'))
    assert.equal("too short", message(400, '{"message":"too short","details":["short"]}'))
  end)

  it("says in a few words when the answer is not the API's", function()
    assert.equal("502 Bad Gateway (an HTML page from a gateway, not the API)", message(502, HTML, { type = "text/html" }))
    assert.equal("503 Service Unavailable (the answer is not of type application/json: not the API)",
      message(503, "busy", { type = "text/plain" }))
    assert.equal("500 Internal Server Error", message(500, ""))
    assert.equal("500 Internal Server Error (the JSON in the answer is cut or broken)", message(500, "{"))
    assert.equal("599", message(599, ""))
    assert.equal("302 Found (a redirect; none is followed, check the server's address)", message(302, ""))
    assert.equal("200 OK (the answer names another user)", message(200, '{"name":"x"}'))
    assert.equal("200 OK (the answer names no user)", message(200, "{}"))
  end)

  it("is one line of printable text, cut at a character", function()
    assert.equal("a b c d", message(400, '{"message":"a\\nb\\u0000c\\u202ed"}'))
    assert.equal("a? b", message(400, '{"message":"a\255\\u009bb"}'))
    local long = message(400, '{"message":"' .. ("\195\169"):rep(400) .. '"}')
    assert.equal(("\195\169"):rep(248) .. "...", long)
  end)

  it("tells a limit of ours from a fault of the network", function()
    assert.equal("the headers of the answer are larger than 65536 bytes", exchange("list", "flood-headers").message)
    assert.equal("the answer is larger than 8388608 bytes (max_body)", exchange("list", "flood-body").message)
    assert.equal("the answer is larger than 2000 bytes (max_body)", exchange("list", "flood-body", { max_body = 2000 }).message)
    assert.equal("Empty reply from server", exchange("list", "close").message)
  end)
end)

describe("Retry-After", function()
  local function seconds(value)
    return exchange("list", status(429, "rate limit exceeded", 8, { headers = "Retry-After: " .. value .. "\r\n" })).retry_after
  end

  it("is taken in seconds, at most a day", function()
    assert.equal(7, seconds "7")
    assert.equal(0, seconds "0")
    assert.equal(86400, seconds "99999999999999999999999")
  end)

  it("is taken as a date", function()
    local wait = seconds(os.date("!%a, %d %b %Y %H:%M:%S GMT", os.time() + 100))
    assert.is_true(wait > 90 and wait <= 100, tostring(wait))
    assert.equal(0, seconds "Wed, 21 Oct 2015 07:28:00 GMT")
    assert.equal(86400, seconds "Fri, 31 Dec 2299 23:59:59 GMT")
  end)

  it("is nothing when it makes no sense or is missing", function()
    for _, value in ipairs { "soon", "-5", "1.5", "5 minutes", "" } do assert.is_nil(seconds(value), value) end
    assert.is_nil(exchange("list", status(429, "rate limit exceeded", 8)).retry_after)
  end)
end)
