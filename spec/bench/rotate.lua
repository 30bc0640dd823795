-- Rotates many users in threads against a slow service with the API's real limit, and holds what was reached against
-- what the limit allows: `make bench-rotate`. Ends with 1 when that is less than 97 %, or anything was refused.
--   BENCH_USERS=1000  BENCH_THREADS=32  BENCH_LATENCY=1000 (ms)

local core = require "crdbcloud.core"
local crdbcloud = require "crdbcloud"
local sandbox = require "spec.support.sandbox"
local temp = require "spec.support.temp"

local LEAST = 0.97 -- of the allowed rate
local RATE = 10 -- requests per second, as the real API has it

local function number(name, default)
  return tonumber(os.getenv(name) or default)
end

local USERS, THREADS, LATENCY = number("BENCH_USERS", 1000), number("BENCH_THREADS", 32), number("BENCH_LATENCY", 1000)

local function rotate(s)
  local password = temp.read(s.pgpassfile):match ":sandbox_admin:([^\n]+)"
  local cloud = assert(crdbcloud.new {
    base_url = s.url, ca_file = s.ca_file, api_key_file = s.keys.admin, api_version = "2024-09-16",
  })
  local cluster = assert(cloud:cluster(s.cluster_id, {
    store = "file:" .. temp.dir() .. "/store",
    sql = {
      host = s.pg.host, port = s.pg.port, dbname = s.pg.dbname, user = s.pg.admin, password = core.secret(password),
      sslmode = "verify-full", sslrootcert = s.ca_file,
    },
  }))
  local began, next_word = core.monotonic(), 0
  local report, err = cluster:rotate_passwords {
    users = "all", parallel = THREADS, max_failures = false,
    on_progress = function(event)
      if event.step ~= "user" or core.monotonic() < next_word then return end
      next_word = core.monotonic() + 10
      io.stderr:write(("%d of %d, about %.0f s left\n"):format(event.index, event.total, event.seconds_left))
    end,
  }
  report = report or err.report or error(tostring(err))
  cluster:close()
  cloud:close()
  return report, core.monotonic() - began
end

local function count(report)
  local done, proved = 0, 0
  for _, row in ipairs(report.rows) do
    if row.result == "done" then done = done + 1 end
    if row.verified == "accepted" then proved = proved + 1 end
    if row.error then io.stderr:write(row.user, ": ", row.error, "\n") end
  end
  return done, proved
end

-- The most requests that began within one second.
local function densest(times)
  local most, from = 0, 1
  for i, time in ipairs(times) do
    while time - times[from] >= 1 do from = from + 1 end
    most = math.max(most, i - from + 1)
  end
  return most
end

-- Seconds from the first change to the last, how many there were, how many requests were refused, and the most in a
-- second.
local function look(log)
  local times, changes, refused = {}, {}, 0
  for i, entry in ipairs(log) do
    times[i] = entry.time
    if entry.op == "update_sql_user_password" then changes[#changes + 1] = entry.time end
    if entry.status == 429 then refused = refused + 1 end
  end
  return changes[#changes] - changes[1], #changes, refused, densest(times)
end

local s = sandbox.start { users = USERS, latency = LATENCY, rate = RATE }
local ok, problem = xpcall(function()
  local report, whole = rotate(s)
  for _, text in ipairs(report.warnings) do io.stderr:write(text, "\n") end
  local done, proved = count(report)
  local seconds, changes, refused, most = look(s:log())
  local ratio = (changes - 1) / RATE / seconds
  print(("%d users rotated, %d proved by login; %d threads, %d ms latency"):format(done, proved, THREADS, LATENCY))
  print(("%d changes: %.2f s from the first to the last, %.2f s are allowed: ratio %.4f"):format(
    changes, seconds, (changes - 1) / RATE, ratio))
  print(("%d refused with 429; at most %d requests in a second; %.1f s in all"):format(refused, most, whole))
  if refused > 0 or ratio < LEAST or done < USERS or proved < done then
    error("less than what the limit allows", 0)
  end
end, function(text) return tostring(text) end)
s:stop()
temp.clean()
if not ok then
  io.stderr:write(tostring(problem), "\n")
  os.exit(1)
end
