--- crdbcloud in nginx and OpenResty: the interface of crdbcloud, each call run whole in nginx's thread pool, so that no
--- worker ever waits.
--
--   # nginx.conf, main context:  thread_pool crdbcloud threads=16;   env COCKROACH_API_KEY;
--   local crdbcloud = require "crdbcloud.nginx"
--   local cloud = crdbcloud.new { api_key_file = "/etc/crdbcloud/key" }    -- also before the fork
--   for user in cloud:sql_users(cluster_id) do ngx.say(user.name) end      -- rewrite, access, content, timers
--
-- Nothing happens by `require`: each part is loaded when its field is first used.

---@class crdbcloud.nginx
---@field new fun(options: table|nil): crdbcloud.nginx.cloud
---@field secret crdbcloud.secrets from_file and from_env in init and init_worker
---@field password table generate, check
---@field names table check, fold, note
---@field errors table
---@field privileges table plan, diff
---@field credential fun(dict: any, user: string, options: table|nil): crdbcloud.credential|nil, crdbcloud.error|nil
---@field connect_with fun(dict: any, user: string, connect: function, options: table|nil): any, any
---@field http_status fun(err: crdbcloud.error): integer
---@field schedule fun(options: table)
---@field schedule_status fun(dict: any, cluster: string|nil)
---@field schedule_now fun(dict: string, options: table|nil): table|nil, crdbcloud.error|nil
---@field keep_credentials fun(options: table)
---@field keep_status fun(dict: string, cluster: string|nil): table|nil, crdbcloud.error|nil
---@field version string

-- field -> module, and what of the module the field is (nil: the module itself)
local PARTS = {
  new = { "nginx.cloud", "new" },
  secret = { "nginx.secrets" },
  password = { "passwords" },
  names = { "names" },
  errors = { "errors" },
  privileges = { "nginx.privileges" },
  credential = { "nginx.credential", "credential" },
  connect_with = { "nginx.credential", "connect_with" },
  http_status = { "nginx.http_status", "of" },
  schedule = { "nginx.schedule", "schedule" },
  schedule_status = { "nginx.schedule", "schedule_status" },
  schedule_now = { "nginx.schedule", "schedule_now" },
  keep_credentials = { "nginx.refresh", "keep_credentials" },
  keep_status = { "nginx.refresh", "keep_status" },
  version = { "version" },
}

return setmetatable({}, {
  __name = "crdbcloud.nginx",
  __index = function(self, field)
    local part = PARTS[field]
    if not part then return nil end
    local value = require("crdbcloud." .. part[1])
    if part[2] then value = value[part[2]] end
    rawset(self, field, value)
    return value
  end,
})
