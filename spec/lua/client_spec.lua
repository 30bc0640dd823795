-- Tests csrc/http/base_url.c, csrc/http/curl_global.c, csrc/lua/client_new.c.

local core = require "crdbcloud.core"
local native = require "spec.support.native"
local raw = require "spec.support.servers.raw_server"
local temp = require "spec.support.temp"

local KEY = "CCDB1_0123456789abcdefghijkl_" .. ("k"):rep(40)
local PASSWORD = "correct-horse-battery"
local OK = raw.answer(200, '{"name":"app"}')

after_each(raw.stop_all)
teardown(temp.clean)

local function client_of(server, options)
  local o = { base_url = server.url, ca_file = server.ca_file, api_key = KEY, timeout = 60 }
  for name, value in pairs(options or {}) do o[name] = value end
  return assert(core.client(o))
end

-- The message of a call that must raise, without the position in front.
local function refusal(f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  return (tostring(message):gsub("^[^\n]-:%d+: ", ""))
end

describe("core.client", function()
  local function new(options)
    if options.api_key == nil then options.api_key = KEY end
    return core.client(options)
  end

  local REFUSED = {
    { "no table", function() return core.client() end, "client: expected a table of options, got nothing" },
    { "a text for a table", function() return core.client "https://x" end, "client: expected a table of options, got string" },
    { "two arguments", function() return core.client({}, 1) end, "too many arguments: expected at most 1, got 2" },
    { "an unknown option", { base_ulr = "https://x" }, "client: unknown option 'base_ulr'; expected one of: base_url, api_key, vanity_name, "
      .. "username, api_version, connect_timeout, timeout, ca_file, ca_path, proxy, user_agent, max_body" },
    { "no key", function() return core.client { base_url = "https://x" } end, "api_key: expected a string or a secret, got nil" },
    { "a key of another type", { api_key = 7 }, "api_key: expected a string or a secret, got number" },
    { "an empty key", { api_key = "" }, "api_key: expected a key, got an empty one" },
    { "a key with a line feed", { api_key = "abc\n" },
      "api_key: expected printable ASCII without spaces, got another character at byte 4 of 4" },
    { "a secret key with a space", { api_key = core.secret "ab cd" },
      "api_key: expected printable ASCII without spaces, got another character at byte 3 of 5" },
    { "plain http to another machine", { base_url = "http://example.com" },
      "base_url: plain http is allowed only to 127.0.0.0/8, [::1] and localhost; write https://" },
    { "plain http to a name that starts like this machine", { base_url = "http://127.0.0.1.example.com" },
      "base_url: plain http is allowed only to 127.0.0.0/8, [::1] and localhost; write https://" },
    { "plain http to a name that ends like this machine", { base_url = "http://x.localhost" },
      "base_url: plain http is allowed only to 127.0.0.0/8, [::1] and localhost; write https://" },
    { "plain http to any address", { base_url = "http://0.0.0.0:1" },
      "base_url: plain http is allowed only to 127.0.0.0/8, [::1] and localhost; write https://" },
    { "plain http to a mapped address", { base_url = "http://[::ffff:127.0.0.1]:1" },
      "base_url: plain http is allowed only to 127.0.0.0/8, [::1] and localhost; write https://" },
    { "another scheme", { base_url = "ftp://127.0.0.1" }, "base_url: expected https://HOST[:PORT], got another scheme" },
    { "no scheme", { base_url = "cockroachlabs.cloud" }, "base_url: expected https://HOST[:PORT]" },
    { "a space in the address", { base_url = "https://a b" }, "base_url: expected https://HOST[:PORT]" },
    { "a port that is none", { base_url = "https://a:99999" }, "base_url: expected https://HOST[:PORT]" },
    { "a password in the address", { base_url = "https://me:hunter2@host" },
      "base_url: expected https://HOST[:PORT], got one with a user name or password in it" },
    { "a query in the address", { base_url = "https://host/?a=b" },
      "base_url: expected https://HOST[:PORT], got one with a query or fragment" },
    { "a line feed in the address", { base_url = "https://host\n" },
      "base_url: expected one line of text, got a line feed at byte 13" },
    { "a number for the address", { base_url = 1 }, "base_url: expected a string, got number" },
    { "a line feed in a header", { vanity_name = "a\r\nX: y" },
      "vanity_name: expected one line of text, got a carriage return at byte 2" },
    { "NUL in a header", { username = "a\0b" }, "username: expected one line of text, got a NUL at byte 2" },
    { "an empty version", { api_version = "" }, "api_version: expected a text, got an empty one" },
    { "a limit as text", { timeout = "30s" }, "timeout: expected a number, got string" },
    { "a limit of nothing", { timeout = 0 }, "^timeout: expected a number from 0%.001%d* to 86400[.%d]*, got [-.%d]+$" },
    { "a limit that is no number", { connect_timeout = 0 / 0 }, "^connect_timeout: expected a number from " },
    { "a fraction of a byte", { max_body = 2000.5 }, "^max_body: expected a whole number from 1024[.0]* to 1073741824[.0]*, got 2000%.5$" },
    { "too small a body", { max_body = 10 }, "^max_body: expected a whole number from 1024" },
    { "a proxy without a scheme", { proxy = "proxy:3128" },
      "proxy: expected a URL that starts with http://, https://, socks5:// or socks5h://" },
    { "a proxy for this machine", { proxy = "http://proxy:3128", base_url = "http://127.0.0.1:1" },
      "proxy: plain http to this machine never goes through a proxy" },
  }
  for _, row in ipairs(REFUSED) do
    it("refuses " .. row[1], function()
      local message = refusal(type(row[2]) == "function" and row[2] or function() return new(row[2]) end)
      if row[3]:sub(1, 1) == "^" then assert.matches(row[3], message) else assert.equal(row[3], message) end
      assert.is_nil(message:find("hunter2", 1, true))
      assert.is_nil(message:find("cd", 1, true) and row[1]:find "secret key" or nil)
    end)
  end

  it("raises at the line of the caller", function()
    local _, message = pcall(function() core.client { api_key = "" } end)
    assert.matches("client_spec%.lua:%d+: api_key", message)
  end)

  it("says which file of authorities cannot be read", function()
    local client, message, code = new { ca_file = "/nowhere/ca.pem" }
    assert.is_nil(client)
    assert.equal("cannot read the certificate authorities of /nowhere/ca.pem: No such file or directory", message)
    assert.equal("ENOENT", code)
    assert.is_nil((new { ca_path = "/nowhere" }))
  end)

  it("takes plain http to this machine in each of its spellings", function()
    local server = raw.start({}, OK)
    for _, host in ipairs { "127.0.0.1", "localhost", "LocalHost", "127.1", "2130706433", "0x7f.1" } do
      local client = new { base_url = ("http://%s:%d"):format(host, server.port) }
      assert.equal("applied", client:get_cluster("c").outcome, host)
    end
    assert.truthy(new { base_url = "http://[::1]:1" })
    assert.truthy(new { base_url = "http://127.255.0.3" })
    assert.truthy(new { base_url = "https://host.example/prefix/" })
  end)
end)

describe("a client", function()
  local LIST = function(c, ...) return c:list_sql_users(...) end
  local PUT = function(c, ...) return c:update_sql_user_password(...) end
  local REQUEST = function(c, ...) return c:request(...) end
  local REFUSED = {
    { "no cluster", LIST, {}, "cluster_id: expected a string, got nothing" },
    { "a number as cluster", LIST, { 7 }, "cluster_id: expected a string, got number" },
    { "an empty cluster", LIST, { "" }, "cluster_id: expected a cluster id, got an empty one" },
    { "a directory as cluster", LIST, { ".." }, "cluster_id: expected a cluster id, got one that means a directory" },
    { "a control character in a cluster", LIST, { "a\nb" }, "cluster_id: expected a cluster id, got one with a control character in it" },
    { "bytes that are no text as cluster", LIST, { "a\255" }, "cluster_id: expected a cluster id, got one that is not UTF-8" },
    { "an unknown option", LIST, { "c", { limit = 1, pages = 2 } }, "list_sql_users: unknown option 'pages'; "
      .. "expected one of: page, limit, as_of_time, sort_order, timeout" },
    { "options that are no table", LIST, { "c", 5 }, "list_sql_users: expected a table, got number" },
    { "options without names", LIST, { "c", { 5 } }, "list_sql_users: expected named options only, got a key of type number" },
    { "too many arguments", LIST, { "c", {}, 1 }, "too many arguments: expected at most 3, got 4" },
    { "a limit of 3.7", LIST, { "c", { limit = 3.7 } }, "^limit: expected a whole number from 1[.0]* to 2147483647[.0]*, got 3%.7$" },
    { "a limit as text", LIST, { "c", { limit = "3" } }, "limit: expected a whole number, got string" },
    { "a page that is no text", LIST, { "c", { page = 3 } }, "page: expected a string, got number" },
    { "two lines as a page", LIST, { "c", { page = "a\nb" } }, "page: expected one line of text, got a line feed at byte 2" },
    { "a flag that is none", function(c) return c:list_clusters { show_inactive = "yes" } end, {},
      "show_inactive: expected true or false, got string" },
    { "no name", PUT, { "c" }, "name: expected a string, got nothing" },
    { "a directory as name", PUT, { "c", ".", PASSWORD }, "name: expected a user name, got one that means a directory" },
    { "an empty name", PUT, { "c", "", PASSWORD }, "name: expected a user name, got an empty one" },
    { "no password", PUT, { "c", "app" }, "password: expected a string or a secret, got nothing" },
    { "an empty password", PUT, { "c", "app", "" }, "password: expected a password, got an empty one" },
    { "an empty secret", PUT, { "c", "app", core.secret "" }, "password: expected a password, got an empty one" },
    { "a table as password", PUT, { "c", "app", {} }, "password: expected a string or a secret, got table" },
    { "a password that is no text", PUT, { "c", "app", "hunter2\255hunter2" }, "password: expected UTF-8" },
    { "a time limit as text", PUT, { "c", "app", PASSWORD, { timeout = "1s" } }, "timeout: expected a number, got string" },
    { "an unknown method", REQUEST, { "get", "/" }, "method: expected GET, POST, PUT, PATCH or DELETE, got 'get'" },
    { "a path without a slash", REQUEST, { "GET", "api" },
      "path: expected one such as /api/v1/clusters, got one that does not start with a slash" },
    { "a path with a query", REQUEST, { "GET", "/a?b=c" },
      "path: expected one such as /api/v1/clusters, got one with a query or fragment (give the query as a table)" },
    { "a path that climbs", REQUEST, { "GET", "/a/../b" }, "path: expected one such as /api/v1/clusters, got one with a '.' or '..' segment" },
    { "a path with a space", REQUEST, { "GET", "/a b" },
      "path: expected one such as /api/v1/clusters, got one with characters that need percent-encoding" },
    { "a body of a GET", REQUEST, { "GET", "/", { body = "{}" } }, "body: GET takes none" },
    { "a query that is no table", REQUEST, { "GET", "/", { query = "a=b" } }, "query: expected a table, got string" },
    { "a query without names", REQUEST, { "GET", "/", { query = { "a" } } }, "query: expected names as keys, got a number" },
    { "a query with a table", REQUEST, { "GET", "/", { query = { a = {} } } }, "query.a: expected a string, number or boolean, got table" },
    { "a query with an endless number", REQUEST, { "GET", "/", { query = { a = 1 / 0 } } },
      "query.a: expected a number below 1e15, or a string" },
  }
  for _, row in ipairs(REFUSED) do
    it("refuses " .. row[1] .. " and sends nothing", function()
      local server = raw.start({}, OK)
      local client = client_of(server)
      local message = refusal(row[2], client, (unpack or table.unpack)(row[3]))
      if row[4]:sub(1, 1) == "^" then assert.matches(row[4], message) else assert.equal(row[4], message) end
      assert.is_nil(message:find("hunter2", 1, true))
      assert.same({}, server:seen "connect")
      assert.equal("applied", PUT(client, "c", "app", PASSWORD).outcome) -- and is none the worse for it
    end)
  end

  it("refuses to be called without itself", function()
    local client = client_of { url = "http://127.0.0.1:1" }
    assert.equal("client: expected a client as in client:method(...), got string", refusal(client.list_sql_users, "c"))
    assert.equal("client: expected a client as in client:method(...), got secret" , (refusal(client.get_cluster, core.secret "x")
      :gsub("userdata", "secret"):gsub("crdbcloud%.secret", "secret")))
  end)

  it("prints as its address and the public part of its key", function()
    local client = assert(core.client { api_key = KEY })
    assert.equal("crdbcloud.client https://cockroachlabs.cloud CCDB1_0123456789abcdefghijkl", tostring(client))
    assert.equal("crdbcloud.client https://host:8443/x CCDB1_0123456789abcdefghijkl",
      tostring(core.client { api_key = core.secret(KEY), base_url = "https://host:8443/x/" }))
    for _, key in ipairs { "eyJhbGciOi.eyJz.c2ln", "CCDB1_nosecondpart", "CCDB1_" .. ("x"):rep(60) .. "_y" } do
      assert.equal("crdbcloud.client https://cockroachlabs.cloud (key without an id)", tostring(core.client { api_key = key }))
    end
    assert.equal("crdbcloud.client", getmetatable(client))
    client:close()
    assert.equal("crdbcloud.client (closed)", tostring(client))
  end)

  it("may be closed twice and says so when it is used again", function()
    local client = client_of(raw.start({}, OK))
    client:get_cluster "c"
    client:close()
    client:close()
    assert.equal("client is closed", refusal(client.get_cluster, client, "c"))
    assert.equal("client is closed", refusal(client.request, client, "GET", "/"))
  end)

  it("keeps its key when the secret it was made of is closed", function()
    local server = raw.start({}, OK)
    local key = core.secret(KEY)
    local client = client_of(server, { api_key = key })
    key:close()
    assert.equal("applied", client:get_cluster("c").outcome)
  end)

  it("lives on when the module is opened again", function()
    local client = client_of(raw.start({}, OK))
    package.loaded["crdbcloud.core"] = nil
    local again = require "crdbcloud.core"
    assert.equal("applied", client:get_cluster("c").outcome)
    assert.equal("applied", again.client { base_url = client_of(raw.start({}, OK)) and raw.start({}, OK).url, api_key = KEY }:get_cluster("c").outcome)
    package.loaded["crdbcloud.core"] = core
  end)

  it("works from a coroutine", function()
    local client = client_of(raw.start({}, OK))
    local call = coroutine.wrap(function()
      for _ = 1, 3 do coroutine.yield(client:get_cluster("c").outcome) end
    end)
    for _ = 1, 3 do assert.equal("applied", call()) end
  end)

  it("belongs to the process that made it", function()
    local forking = native.module("forking")
    local server = raw.start({ tls = true }, OK)
    local client = client_of(server)
    assert.equal("applied", client:get_cluster("c").outcome)
    local child = forking.fork()
    if child == 0 then
      local message = refusal(client.get_cluster, client, "c")
      local good = message == "client was made before a fork; make it again in this process"
      good = good and pcall(client.close, client) and tostring(client) == "crdbcloud.client (closed)"
      local own = core.client { base_url = server.url, ca_file = server.ca_file, api_key = KEY }
      forking.leave(good and own:get_cluster("c").outcome == "applied" and 0 or 1)
    end
    assert.equal(0, forking.wait(child))
    -- Closing it in the child has not said goodbye on the parent's connection.
    local result = client:get_cluster "c"
    assert.equal("applied", result.outcome)
    assert.is_false(result.new_connection)
  end)

  it("leaves nothing behind: 10,000 of them", function()
    collectgarbage() -- clients of other cases
    collectgarbage()
    local function descriptors() return #core.list_dir "/proc/self/fd" end
    local server = raw.start({}, OK)
    local before = descriptors()
    for i = 1, 10000 do
      local client = client_of(server)
      if i % 100 == 0 then assert.equal("applied", client:get_cluster("c").outcome) end
      if i % 2 == 0 then client:close() end
      if i % 500 == 0 then collectgarbage() end
    end
    collectgarbage()
    collectgarbage()
    assert.equal(before, descriptors())
  end)
end)

describe("many Lua states in many threads", function()
  it("each use a client of their own at the same time", function()
    local uv = require "luv"
    local server = raw.start({ tls = true }, OK)
    local threads, THREADS, CALLS = {}, 16, 20
    for i = 1, THREADS do
      threads[i] = uv.new_thread(function(path, cpath, url, ca_file, key, calls)
        package.path, package.cpath = path, cpath
        local native_core = require "crdbcloud.core"
        for _ = 1, calls / 2 do
          local client = native_core.client { base_url = url, ca_file = ca_file, api_key = key }
          client:get_cluster "c"
          client:update_sql_user_password("c", "app", "correct-horse-battery")
        end
      end, package.path, package.cpath, server.url, server.ca_file, KEY, CALLS)
    end
    for _, thread in ipairs(threads) do thread:join() end
    assert.equal(THREADS * CALLS, #server:seen "request")
  end)
end)

describe("the environment", function()
  -- Runs one call in a process of its own with these variables set; returns what the call printed.
  local function run(server, variables, code)
    local words = {}
    for name, value in pairs(variables) do words[#words + 1] = name .. "=" .. temp.quote(value) end
    local output, status = temp.run("env " .. table.concat(words, " ") .. " " .. temp.lua(([[
      local client = core.client { base_url = %q, ca_file = %s, api_key = %q, timeout = 60 }
      local result = client:get_cluster "c"
      print(result.outcome, result.message)
    ]]):format(server.url, server.ca_file and ("%q"):format(server.ca_file) or "nil", KEY) .. (code or "")))
    assert.equal(0, status, output)
    return output
  end

  it("gives no proxy", function()
    local proxy = raw.start({}, raw.answer(502, ""))
    local variables = {}
    for _, name in ipairs { "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" } do variables[name] = proxy.url end
    for _, tls in ipairs { true, false } do
      assert.equal("applied\tnil\n", run(raw.start({ tls = tls }, OK), variables))
    end
    assert.same({}, proxy:seen "connect")
  end)

  it("takes no proxy away", function()
    local server = raw.start({ tls = true }, OK)
    local proxy = raw.start({}, raw.answer(403, "", { last = true }))
    run(server, { no_proxy = "*", NO_PROXY = "*" }, ([[
      client = core.client { base_url = %q, api_key = "k", proxy = %q, timeout = 60 }
      assert(client:get_cluster("c").reason == "proxy")
    ]]):format(server.url, proxy.url))
    assert.equal(1, #proxy:seen "request")
  end)

  it("gives no password file", function()
    local home = temp.dir()
    temp.write(home .. "/.netrc", "machine 127.0.0.1 login other password other\n")
    local server = raw.start({}, OK)
    assert.equal("applied\tnil\n", run(server, { HOME = home }))
    assert.truthy(table.concat(server:seen "header", "\n"):find("Authorization: Bearer " .. KEY, 1, true))
  end)
end)
