local native = require "spec.support.native"
local raw = require "spec.support.servers.raw_server"
local temp = require "spec.support.temp"

local SANITIZE = " -fsanitize=address,undefined -fno-sanitize-recover=undefined"
local PARTS = {
  "http/answer", "http/base_url", "base/buffer", "http/curl_global", "base/encode", "http/exchange",
  "base/json_scan", "http/message", "base/names", "http/outcome", "http/recent", "http/redact", "http/request",
  "http/response", "base/secret", "http/transfer", "base/clock", "base/interrupts", "base/random",
}

after_each(raw.stop_all)
teardown(temp.clean)

describe("an exchange, when memory runs out", function()
  local program

  setup(function()
    program = native.program("exchange_memory", PARTS,
      "-Wl,--wrap=malloc,--wrap=calloc $(pkg-config --cflags --libs libcurl libssl libcrypto libutf8proc)" .. SANITIZE)
  end)

  for kind, options in pairs { http = {}, https = { tls = true }, ["HTTP/2"] = { h2 = true } } do
    it(("never says not_sent of a request that was sent, and loses nothing: %s"):format(kind), function()
      local server = raw.start(options, options.h2 and "ok" or raw.answer(200, '{"name":"app"}'))
      local output, status = temp.run(("%s %s %s"):format(program, server.url, raw.tls().ca))
      assert.equal(0, status, output)
      local times = { applied = 0, unknown = 0, not_sent = 0, rejected = 0, failed = 0 }
      for outcome in output:gmatch "[^\n]+" do
        assert.is_number(times[outcome], outcome)
        times[outcome] = times[outcome] + 1
      end
      assert.is_true(times.failed >= 3 and times.not_sent >= 3, output)
      assert.equal(0, times.rejected)
      local sent = #server:seen "request"
      assert.is_true(sent >= times.applied and sent <= times.applied + times.unknown,
        ("%d sent, %d applied, %d unknown"):format(sent, times.applied, times.unknown))
    end)
  end
end)

describe("a client, when Lua's memory runs out", function()
  -- Lua 5.4 alone: LuaJIT has no allocator of the caller's.
  it("raises, loses nothing and leaves the state usable", function()
    local dir = temp.dir()
    local server = raw.start({}, raw.answer(200, '{"name":"app"}'))
    local host = native.program("lua_memory", nil, "-rdynamic $(pkg-config --cflags --libs lua5.4)" .. SANITIZE)
    temp.write(dir .. "/script.lua", ([[
      local core = require "crdbcloud.core"
      local client = core.client { base_url = %q, api_key = "key", user_agent = "spec/1" }
      local result = client:create_sql_user("c", "app", core.secret "correct-horse-battery")
      assert(result.outcome == "applied" and result.body == '{"name":"app"}')
      assert(client:list_sql_users("c", { limit = 5, page = "x" }).outcome == "applied")
      assert(client:request("PUT", "/x", { query = { a = 1 }, body = "{}" }).outcome == "applied")
      assert(tostring(client) ~= "" and not pcall(client.get_cluster, client, ".."))
      client:close()
    ]]):format(server.url))
    local cpath = package.cpath:match "[^;]*/build/[^;]*":gsub("/build/.*", "/build/5.4/?.so")
    local output = temp.run(("%s %s/script.lua %s %s"):format(host, dir, temp.quote(cpath), temp.quote(package.path)))
    assert.matches("^ok after %d%d+ failures\n$", output)
    for _, body in ipairs(server:seen "body") do
      assert.truthy(body == "" or body == "{}" or body == '{"name":"app","password":"correct-horse-battery"}', body)
    end
  end)
end)
