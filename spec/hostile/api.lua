--- A scripted API: each operation has an answer, honest until a spec says otherwise, and a handle on a store of its own.
-- An attack is ten lines:
--
--   local scene = api.open()
--   scene:answer("list_sql_users", 200, '{"users":[{"name":"../../x"},{"name":"app"}]}')
--   local report, err = scene:cluster():rotate_passwords { users = "all" }
--   …
--   scene:close()
--
-- The server is spec/c/raw_server.c, which reads the file of an operation for each request. Its answers for SQL are those of
-- spec/c/wire_server.c; a spec that needs real SQL takes spec/support/scene.lua.

local cjson = require "cjson"
local crdbcloud = require "crdbcloud"
local raw_server = require "spec.support.servers.raw_server"
local temp = require "spec.support.temp"

local M = {}

M.CLUSTER = "35c4abb2-bb66-46d7-afed-25ebef5ed2aa"
M.KEY = "CCDB1_hostilespec_Abcdefghij0123456789Klmnopqrstuvwxyz"

-- operation -> the requests that are it, as raw_server matches them. The first that fits counts.
local REQUESTS = {
  { "update_sql_user_password", "PUT */sql-users/*/password*" }, { "delete_sql_user", "DELETE */sql-users/*" },
  { "create_sql_user", "POST */sql-users*" }, { "list_sql_users", "GET */sql-users*" },
  { "list_databases", "GET */databases*" }, { "get_connection_string", "GET */connection-string*" },
  { "list_audit_logs", "GET */auditlogevents*" }, { "get_cluster", "GET /api/v1/clusters/*-*-*-*-[0-9a-f]*" },
  { "list_clusters", "GET /api/v1/clusters*" },
}

--- What an honest service says. The name in the answer to a change is that of `user`.
function M.honest(user)
  return {
    update_sql_user_password = { name = user }, delete_sql_user = { name = user }, create_sql_user = { name = user },
    list_sql_users = { users = { { name = "root" }, { name = user } }, pagination = { next_page = "" } },
    list_databases = { databases = { { name = "defaultdb", table_count = 3 }, { name = "shop", table_count = 1 } } },
    get_connection_string = {
      connection_string = "postgresql://127.0.0.1:1/defaultdb?sslmode=verify-full",
      params = { Host = "127.0.0.1", Port = "1", Database = "defaultdb" },
    },
    list_audit_logs = { entries = { { action = "AUDIT_LOG_ACTION_CREATE_CLUSTER", created_at = "2026-01-01T00:00:00Z", cluster_id = M.CLUSTER } } },
    get_cluster = { id = M.CLUSTER, name = "prod-eu", plan = "BASIC", state = "CREATED", cloud_provider = "AWS" },
    list_clusters = { clusters = { { id = M.CLUSTER, name = "prod-eu", plan = "BASIC", state = "CREATED" } } },
  }
end

local Scene = {}
Scene.__index = Scene

--- Opens an API whose answers are honest, and an empty store.
---@param user? string the one user of the cluster
function M.open(user)
  local scene = setmetatable({ dir = temp.dir(), user = user or "app", handles = {} }, Scene)
  scene.store_url = "file:" .. scene.dir .. "/store"
  local actions = {}
  for i, request in ipairs(REQUESTS) do
    scene:answer(request[1], 200, cjson.encode(M.honest(scene.user)[request[1]]))
    actions[i] = ("on:%s|file:%s/%s"):format(request[2], scene.dir, request[1])
  end
  scene.server = raw_server.start({}, (table.unpack or unpack)(actions))
  return scene
end

--- Says what an operation answers from now on.
---@param operation string
---@param status integer
---@param body string
---@param headers? string lines that end with \r\n
function Scene:answer(operation, status, body, headers)
  temp.write(self.dir .. "/" .. operation, ("HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s")
    :format(status, #body, headers or "", body))
end

--- All operations answer honestly again.
function Scene:honest()
  for operation, answer in pairs(M.honest(self.user)) do self:answer(operation, 200, cjson.encode(answer)) end
end

--- An account at the server.
---@param options? table more of crdbcloud.new
function Scene:cloud(options)
  local new = { base_url = self.server.url, api_key = M.KEY, rate = 0, timeout = 5, deadline = 5, max_attempts = 1 }
  for name, value in pairs(options or {}) do new[name] = value end
  local cloud = assert(crdbcloud.new(new))
  self.handles[#self.handles + 1] = cloud
  return cloud
end

--- A handle of the cluster on the store.
---@param options? table more of cloud:cluster
---@param of_cloud? table more of crdbcloud.new
function Scene:cluster(options, of_cloud)
  local opts = { store = self.store_url, sql = false }
  for name, value in pairs(options or {}) do opts[name] = value end
  return assert(self:cloud(of_cloud):cluster(M.CLUSTER, opts))
end

--- How many requests of a method came.
function Scene:requests(method)
  local count = 0
  for _, line in ipairs(self.server:seen "request") do
    if line:sub(1, #method + 1) == method .. " " then count = count + 1 end
  end
  return count
end

function Scene:close()
  for _, cloud in ipairs(self.handles) do cloud:close() end
  self.server:stop()
end

return M
