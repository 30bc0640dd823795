--- A program that rotates passwords as one of several machines would: `lua spec/support/rotator.lua FILE`, where FILE
--- (JSON) says what. It prints one line for each user: name, what became of it, and why.
--
-- Fields: url, ca_file, api_key_file, cluster, store, store_key_file, sql_port, sql_password, rate,
-- timeout; users (each once) or forever = true with hot (how many of them half of the work falls on), seed.
-- clocks = { slack, settle, lease } shortens what else takes minutes.

local cjson = require "cjson"
local core = require "crdbcloud.core"
local crdbcloud = require "crdbcloud"

local M = {}

--- A cluster handle as a job describes it.
function M.open(job)
  local cloud = assert(crdbcloud.new {
    base_url = job.url, ca_file = job.ca_file, api_key_file = job.api_key_file, rate = job.rate or 0, timeout = job.timeout,
    deadline = job.deadline, max_attempts = 2,
  })
  local cluster = assert(cloud:cluster(job.cluster, {
    store = job.store, store_key_file = job.store_key_file, sql_ca_file = job.ca_file,
    sql = {
      host = "127.0.0.1", port = job.sql_port, dbname = "shop", user = "sandbox_admin", password = core.secret(job.sql_password),
      sslmode = "verify-full", sslrootcert = job.ca_file,
    },
  }))
  if job.clocks then
    require("crdbcloud.change.held").SLACK = job.clocks.slack
    require("crdbcloud.record").SETTLE = job.clocks.settle
    assert(cluster:open_store "rotator").lease = job.clocks.lease
  end
  return cluster
end

local function say(user, report, err)
  local row = (report or err.report or { rows = {} }).rows[1] or {}
  io.stdout:write(user, " ", row.result or err and err.kind or "done", " ", tostring(row.note or row.error or err or ""):gsub("\n.*", ""), "\n")
  io.stdout:flush()
end

function M.run(path)
  local file = assert(io.open(path))
  local job = cjson.decode(file:read "*a")
  file:close()
  local cluster = M.open(job)
  if not job.forever then
    for _, user in ipairs(job.users) do say(user, cluster:rotate_password { user = user }) end
    return cluster:close()
  end
  -- What an earlier run left is finished first, as a job of cron would.
  say("@resume", cluster:resume {})
  math.randomseed(job.seed)
  while true do
    local user = job.users[math.random(math.random(2) == 1 and job.hot or #job.users)]
    local report, err = cluster:rotate_password { user = user }
    say(user, report, err)
    if not report then core.sleep(0.02) end
  end
end

if arg and arg[0] and arg[0]:find "rotator%.lua$" then M.run(arg[1]) end

return M
