-- CPU per call, in microseconds, of what arg[1] names, arg[2] times.

local crdbcloud = require "crdbcloud"
local core = require "crdbcloud.core"

local cluster = os.getenv "CRDBCLOUD_CLUSTER"

local function client()
  return core.client {
    base_url = os.getenv "COCKROACH_SERVER", ca_file = os.getenv "CRDBCLOUD_CA_FILE",
    api_key = assert(core.secret_from_file(os.getenv "COCKROACH_API_KEY_FILE")),
  }
end

local WAYS = {
  core = function()
    local c = client()
    return function() assert(c:list_sql_users(cluster, { limit = 500 }).outcome == "applied") end
  end,
  cloud = function()
    local cloud = assert(crdbcloud.new { rate = 0 })
    return function() assert(cloud:list_sql_users(cluster, { limit = 500 })) end
  end,
  iterator = function()
    local cloud = assert(crdbcloud.new { rate = 0 })
    return function()
      for _ in cloud:sql_users(cluster) do end -- luacheck: ignore 542
    end
  end,
}

local call, count = WAYS[arg[1]](), tonumber(arg[2])
call()
local start = os.clock()
for _ = 1, count do call() end
print(("%.1f"):format((os.clock() - start) / count * 1e6))
