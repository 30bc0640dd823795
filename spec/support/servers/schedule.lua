--- A scheduled rotation in nginx, for specs: real workers, real threads, five of the sandbox's users in a store.

local cjson = require "cjson"
local nginx = require "spec.support.servers.nginx"
local scenes = require "spec.support.scene"

local M = {}

M.CALL = "update_sql_user_password"
M.USERS = { "app_user_001", "app_user_002", "app_user_003", "app_user_004", "app_user_005" }

local LOCATIONS = {
  ["/status"] = [[
    local status, err = crdbcloud.schedule_status("crdbcloud", ngx.var.arg_cluster)
    ngx.say(status and require("cjson").encode(status) or err:json())]],
  ["/now"] = [[
    local asked, err = crdbcloud.schedule_now("crdbcloud", { users = ngx.var.arg_users, reason = "a spec" })
    ngx.say(asked and require("cjson").encode(asked) or err:json())]],
}

local Fixture = {}
Fixture.__index = Fixture

---@param s table the sandbox
function M.open(s)
  s:reset()
  return setmetatable({ sandbox = s, scene = scenes.open() }, Fixture)
end

--- Starts nginx; options: the text of the schedule's options, given: fields for nginx.start instead of ours.
function Fixture:start(options, given)
  local s = self.sandbox
  local setting = {
    http = "lua_shared_dict crdbcloud 1m;", workers = 2, locations = LOCATIONS, env = {},
    init = ([[
      crdbcloud = require "crdbcloud.nginx"
      cloud = crdbcloud.new { base_url = %q, ca_file = %q, api_key_file = %q, rate = 0, timeout = "20s" }
      cluster = cloud:cluster(%q, { store = %q, sql = os.getenv "CRDBCLOUD_SQL" })]]):format(s.url, s.ca_file, s.keys.admin, s.cluster_id,
        self.scene.store_url),
    init_worker = "crdbcloud.schedule { cluster = cluster, dict = 'crdbcloud', " .. options .. " }",
  }
  for _, name in ipairs { "CRDBCLOUD_SQL", "PGPASSFILE" } do setting.env[name] = s.env[name] end
  for name, value in pairs(given or {}) do setting[name] = value end
  self.web = nginx.start(setting)
end

function Fixture:status()
  local code, body = self.web:get "/status"
  assert(code == 200, body)
  return cjson.decode(body)
end

local function run_of(found) return found.last and found.last.runs and found.last.runs[1].run_id end

--- The status once a run has ended; after: the status at the end of the one before.
function Fixture:ended(after)
  local found
  self.web:wait(function()
    found = self:status()
    return found.last ~= nil and not found.running and not found.cut and found.asked == 0 and (not after or run_of(found) ~= run_of(after))
  end, "the end of a run")
  return found
end

--- The password changes that the API has received.
function Fixture:sent() return self.scene:requests(M.CALL) end

--- Puts the passwords of the users into the store.
function Fixture:manage() assert(self.scene.cluster:rotate_passwords { users = M.USERS }) end

--- How many users of a run ended how.
function M.counted(last)
  local sums = {}
  for _, run in ipairs(last.runs) do
    for result, n in pairs(run.counts) do sums[result] = (sums[result] or 0) + n end
  end
  return sums
end

return M
