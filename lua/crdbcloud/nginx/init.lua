--- crdbcloud in nginx and OpenResty: the interface of crdbcloud, each call run whole in nginx's thread pool, so that no
--- worker ever waits.
--
--   # nginx.conf, main context:  thread_pool crdbcloud threads=16;   env COCKROACH_API_KEY;
--   # http context:              lua_worker_thread_vm_pool_size 16;  as many as max_calls
--   local crdbcloud = require "crdbcloud.nginx"
--   local cloud = crdbcloud.new { api_key_file = "/etc/crdbcloud/key" }    -- also before the fork
--   for user in cloud:sql_users(cluster_id) do ngx.say(user.name) end      -- rewrite, access, content, timers
--
-- Nothing happens by `require`: each part is loaded when its field is first used.

-- field -> module, and what of the module the field is (nil: the module itself)
local PARTS = {
  new = { "nginx.cloud", "new" },
  secret = { "nginx.secrets" },
  password = { "passwords" },
  names = { "names" },
  errors = { "errors" },
  privileges = { "privileges" },
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

local load_part = getmetatable(require "crdbcloud").__index

---@type crdbcloud.nginx
local M = setmetatable({}, {
  __name = "crdbcloud.nginx",
  parts = PARTS,
  __index = function(self, field)
    local part = load_part(self, field)
    -- Access is given and looked at by a cluster's workflows; here is what needs no connection.
    if field == "privileges" then
      part = { plan = part.plan, diff = part.diff, describe = part.describe }
      rawset(self, field, part)
    end
    return part
  end,
})

return M
