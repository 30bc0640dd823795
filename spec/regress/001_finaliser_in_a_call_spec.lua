--- Any Lua code may run while a C function makes a Lua value, as a finaliser; before, also as a metamethod of an
--- options table. What it closed was used afterwards, and the interpreter crashed.

local core = require "crdbcloud.core"
local raw = require "spec.support.servers.raw_server"
local temp = require "spec.support.temp"

local KEY = "CCDB1_0123456789abcdefghijkl_" .. ("k"):rep(40)

after_each(raw.stop_all)
teardown(temp.clean)

local unpack_of = table.unpack or rawget(_G, "unpack")
local newproxy = rawget(_G, "newproxy") -- LuaJIT's way; in Lua 5.4 tables have finalisers

-- Calls fn many times while the collector works at every chance and each of its rounds runs hook.
local function with_hook_everywhere(hook, fn)
  local on, within = true, false
  local leave
  local function finaliser()
    if not on then return end
    leave()
    if within then hook() end
  end
  function leave()
    if newproxy then getmetatable(newproxy(true)).__gc = finaliser else setmetatable({}, { __gc = finaliser }) end
  end
  local pause, multiplier = collectgarbage("setpause", 0), collectgarbage("setstepmul", 10000)
  leave()
  for _ = 1, 500 do
    fn(function(...)
      within = true
      local ok, result = pcall(...)
      within = false
      return ok, result
    end)
  end
  on = false
  collectgarbage("setpause", pause)
  collectgarbage("setstepmul", multiplier)
end

describe("a finaliser that runs in the middle of a call", function()
  it("may close the client: the call is answered, or says that the client is closed", function()
    local message = ("no "):rep(100) .. "."
    local server = raw.start({}, raw.answer(400, ('{"message":"%s"}'):format(message)))
    local client
    with_hook_everywhere(function() client:close() end, function(call)
      client = assert(core.client { base_url = server.url, api_key = KEY, timeout = 5 })
      local ok, result = call(client.request, client, "GET", "/" .. ("a"):rep(500), { query = { a = 1, b = "text" } })
      if ok then
        assert.equal(message, result.message)
        assert.equal("application/json", result.content_type)
      else
        assert.matches("client is closed", result, 1, true)
      end
      client:close()
    end)
  end)

  it("may make a call with the client: neither call sends what the other was to send", function()
    local server = raw.start({}, raw.answer(404, "{}"))
    local client = assert(core.client { base_url = server.url, api_key = KEY, timeout = 5 })
    with_hook_everywhere(function() client:list_clusters() end, function(call)
      local ok, result = call(client.delete_sql_user, client, "cluster", "app")
      if ok then
        assert.equal("not_found", result.kind)
      else
        assert.matches("client is busy", result, 1, true)
      end
    end)
    client:close()
  end)

  it("may close a secret that is being encoded: the call is done, or says that it is closed", function()
    local secret
    with_hook_everywhere(function() secret:close() end, function(call)
      secret = core.secret(("s"):rep(3000))
      local ok, result = call(secret.encode, secret, "hex")
      if ok then
        assert.is_true(result:equals(("73"):rep(3000)))
      else
        assert.matches("secret is closed", result, 1, true)
      end
    end)
  end)

  it("may close a secret that is being looked at", function()
    local pq = require "crdbcloud.pq"
    local url, document = "host=" .. ("h"):rep(3000), '{"a":{"b":"' .. ("x"):rep(3000) .. '"}}'
    local record = core.record_encode(("m"):rep(3000), {}):reveal()
    local mark = core.fingerprint(url)
    local looks = {
      { url, function(secret) return secret:reveal() end, function(found) return found == url end },
      { url, core.fingerprint, function(found) return found == mark end },
      { url, pq.parse, function(found) return found.host == ("h"):rep(3000) end },
      { document, function(secret) return core.json_member(secret, "a") end, function(found) return #found > 3000 end },
      { record, core.record_meta, function(found) return found == ("m"):rep(3000) end },
    }
    local secret, turn = nil, 0
    with_hook_everywhere(function() secret:close() end, function(call)
      local text, look, is_right = unpack_of(looks[turn % #looks + 1])
      turn = turn + 1
      secret = core.secret(text)
      local ok, found = call(look, secret)
      assert.is_true(ok and is_right(found) or not ok and found:find("secret is closed", 1, true) ~= nil, tostring(found))
    end)
  end)

  it("may close the secrets of a record that is being written or read", function()
    local secret, file
    local function close()
      secret:close()
      if file then file:close() end
    end
    local whole = core.record_encode("{}", { a = core.secret(("s"):rep(3000)), b = core.secret "t" }):reveal()
    with_hook_everywhere(close, function(call)
      secret, file = core.secret(("s"):rep(3000)), nil
      local ok, result = call(core.record_encode, "{}", { a = secret, b = core.secret "t" })
      assert.is_true(ok and result:equals(whole) or not ok and result:find("secret is closed", 1, true) ~= nil)
      file = core.secret(whole)
      local read, values = call(function(...) return select(2, core.record_decode(...)) end, file)
      assert.is_true(read and values.a:equals(("s"):rep(3000)) or
        not read and values:find("secret is closed", 1, true) ~= nil)
    end)
  end)
end)

describe("options with a metatable", function()
  it("are read without their metamethods", function()
    local client = assert(core.client { base_url = "http://127.0.0.1:1", api_key = KEY, timeout = 5 })
    local options = setmetatable({}, { __index = function() client:close() end })
    assert.equal("not_sent", client:list_clusters(options).outcome)
    assert.equal("not_sent", client:request("GET", "/api", options).outcome)
  end)
end)
