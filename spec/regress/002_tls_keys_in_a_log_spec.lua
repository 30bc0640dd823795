--- libcurl writes the keys of every TLS connection to the file that SSLKEYLOGFILE names; with them and the packets
--- the API key and all passwords can be read.

local raw = require "spec.support.servers.raw_server"
local temp = require "spec.support.temp"

after_each(raw.stop_all)
teardown(temp.clean)

local PROGRAM = [[
local client = assert(require("crdbcloud.core").client {
  base_url = os.getenv "URL", ca_file = os.getenv "CA", api_key = ("k"):rep(40), timeout = 5 })
local result = client:list_sql_users "cluster"
print(result.outcome)
]]

describe("SSLKEYLOGFILE in the environment", function()
  it("does not make a connection give its keys away", function()
    local server = raw.start({ tls = true }, raw.answer(200, '{"users":[]}'))
    local log, script = temp.dir() .. "/keys", temp.dir() .. "/program.lua"
    temp.write(script, PROGRAM)
    local interpreter = rawget(_G, "jit") and "luajit" or "lua5.4"
    local output = temp.run(("SSLKEYLOGFILE=%s URL=%s CA=%s %s %s"):format(temp.quote(log), temp.quote(server.url),
      temp.quote(server.ca_file), interpreter, temp.quote(script)))
    assert.equal("applied", (output:match "^(%a+)"))
    local file = io.open(log)
    assert.equal("", file and file:read "*a" or "")
    if file then file:close() end
  end)
end)
