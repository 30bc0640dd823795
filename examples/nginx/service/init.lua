-- The service: what it works on, from the environment that nginx.conf names, and what starts with each worker.

local M = {}

M.dict = "crdbcloud"
M.crdbcloud = require "crdbcloud.nginx"

local LISTED = 5 -- seconds that the API's list of users is good for

-- In these phases nginx shows text only.
local function must(value, err)
  if value == nil then error(tostring(err), 0) end
  return value
end

--- Makes the handles; in init_by_lua, before the workers begin. Server, key, cluster, store and SQL connection are those of
--- the environment (README), as in a script.
function M.init()
  M.cloud = must(M.crdbcloud.new { thread_pool = "crdbcloud" })
  M.cluster_name = os.getenv "CRDBCLOUD_CLUSTER"
  M.cluster = must(M.cloud:cluster(M.cluster_name))
  M.max_age = tonumber(os.getenv "EXAMPLE_MAX_AGE_DAYS" or "90") * 86400
end

--- Starts what runs by itself; in init_worker_by_lua of every worker.
function M.init_worker()
  require("service.auth").load(M.crdbcloud.secret, os.getenv "EXAMPLE_TOKEN_FILE")
  M.crdbcloud.schedule {
    cluster = M.cluster, dict = M.dict, every = os.getenv "EXAMPLE_EVERY" or "1h", users = "managed", max_age = M.max_age,
  }
  M.crdbcloud.keep_credentials { cluster = M.cluster, dict = M.dict, users = "managed", every = "10s" }
end

local name -- of the cluster, for people
local list, list_error, list_at, list_turn
local TURN = "example/list" -- in the dictionary: counts the changes after which no worker's list holds

--- The cluster's users by the API, or why they cannot be listed; asked for again after a few seconds. A page does not wait
--- long for it: what the store knows can be shown without.
---@return table[]|nil
---@return crdbcloud.error|nil
function M.listed()
  local turn = ngx.shared[M.dict]:get(TURN)
  if not list_at or turn ~= list_turn or ngx.now() - list_at > LISTED then
    list_at, list_turn = ngx.now(), turn
    list, list_error = M.cluster:all_sql_users { deadline = "3s" }
  end
  return list, list_error
end

--- The cluster's name once it is known, its id until then.
---@return string
function M.shown_name()
  if not name and list then
    local info = M.cluster:resolve()
    name = info and info.name
  end
  return name or M.cluster_name
end

--- The next list is asked for anew, in every worker.
function M.forget_list() ngx.shared[M.dict]:incr(TURN, 1, 0) end

return M
