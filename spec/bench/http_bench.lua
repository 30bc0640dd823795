-- What one exchange of crdbcloud costs next to bare libcurl: instructions, counted by callgrind, and CPU time.
-- Run from the repository root by `make bench`. Only the ratio of instructions is steady from run to run; without
-- valgrind it is left out.
--   http_bench.lua                         measures and prints a table
--   http_bench.lua URL CA-FILE WAY COUNT   makes the calls; prints microseconds of CPU per call

local KEY = "CCDB1_0123456789abcdefghijkl_" .. ("k"):rep(40)

local CLUSTER = "00000000-0000-4000-8000-000000000001"

-- What is measured: calls of crdbcloud.core, and of crdbcloud with a password that its generator made.
local WAYS = {}

function WAYS.PUT(url, ca_file)
  local client = assert(require "crdbcloud.core".client { base_url = url, ca_file = ca_file, api_key = KEY })
  return function() return client:update_sql_user_password(CLUSTER, "app", "correct-horse-battery") end
end

function WAYS.GET(url, ca_file)
  local client = assert(require "crdbcloud.core".client { base_url = url, ca_file = ca_file, api_key = KEY })
  return function() return client:list_sql_users(CLUSTER, { limit = 500 }) end
end

function WAYS.CLOUD(url, ca_file)
  local crdbcloud = require "crdbcloud"
  local cloud = assert(crdbcloud.new { base_url = url, ca_file = ca_file, api_key = crdbcloud.secret(KEY), rate = 0 })
  local password = crdbcloud.password.generate()
  return function()
    assert(cloud:update_sql_user_password(CLUSTER, "app", password))
    return { outcome = "applied" }
  end
end

local function make_calls(url, ca_file, way, count)
  local one = WAYS[way](url, ca_file)
  local function call()
    local result = one()
    assert(result.outcome == "applied", result.message)
  end
  call()
  local start = os.clock()
  for _ = 1, count do call() end
  print(("%.1f"):format((os.clock() - start) / math.max(count, 1) * 1e6))
end

if arg[1] then return make_calls(arg[1], arg[2], arg[3], tonumber(arg[4])) end

local raw = require "spec.support.servers.raw_server"
local temp = require "spec.support.temp"

local COUNT, FEW, MANY = tonumber(os.getenv "BENCH_COUNT") or 2000, 50, 250
local USERS = "/api/v1/clusters/" .. CLUSTER .. "/sql-users"
local PATHS = { PUT = USERS .. "/app/password", GET = USERS .. "?pagination.limit=500" }
-- What is held against libcurl for each method: interpreter, way.
local RIVALS = {
  PUT = { { "lua5.4", "PUT" }, { "luajit", "PUT" }, { "lua5.4", "CLOUD" }, { "luajit", "CLOUD" } },
  GET = { { "lua5.4", "GET" }, { "luajit", "GET" } },
}

local function run(command)
  local output, status = temp.run(command)
  assert(status == 0, output)
  return output
end

local HAVE_VALGRIND = select(2, temp.run "command -v valgrind") == 0

-- Instructions per call: of MANY calls less those of FEW, so that the start is left out.
local function instructions(environment, command)
  if not HAVE_VALGRIND then return 0 / 0 end
  local function total(count)
    local output = run(("%s valgrind --tool=callgrind --callgrind-out-file=/dev/null %s %d"):format(environment, command, count))
    return tonumber(output:match "Collected : (%d+)")
  end
  return (total(MANY) - total(FEW)) / (MANY - FEW)
end

local floor

-- Prints a row; the first of a method is the floor of those that follow.
local function measure(title, environment, command)
  local steps = instructions(environment, command)
  local time = tonumber(run(("%s %s %d"):format(environment, command, COUNT)))
  floor = floor or { steps, time }
  print(("%-28s %12.1f k %6.2f %9.1f us %6.2f"):format(title, steps / 1000, steps / floor[1], time, time / floor[2]))
end

local dir = temp.dir()
local bare = dir .. "/http_bench"
run("${CC:-cc} -O2 -o " .. temp.quote(bare) .. " spec/bench/http_bench.c $(pkg-config --cflags --libs libcurl)")
print(("%-28s %14s %6s %12s %6s"):format("one exchange", "instructions", "times", "CPU", "times"))
for _, protocol in ipairs { "HTTP/1.1", "HTTP/2" } do
  local server = protocol == "HTTP/2" and raw.start({ h2 = true }, "ok")
    or raw.start({ tls = true }, raw.answer(200, '{"name":"app","users":[]}'))
  for _, method in ipairs { "PUT", "GET" } do
    floor = nil
    measure(("%s %s, libcurl in C"):format(protocol, method), "",
      ("%s %s %s %s"):format(bare, temp.quote(server.url .. PATHS[method]), server.ca_file, method))
    for _, rival in ipairs(RIVALS[method]) do
      local name, way = rival[1], rival[2]
      local cpath = ("%s/%s/?.so;;"):format(os.getenv "BUILD" or "build", name == "lua5.4" and "5.4" or "5.1")
      measure(("%s %s, %s"):format(protocol, way, name), "LUA_CPATH=" .. temp.quote(cpath),
        ("$(command -v %s) spec/bench/http_bench.lua %s %s %s"):format(name, server.url, server.ca_file, way))
    end
  end
  server:stop()
end
temp.clean()
