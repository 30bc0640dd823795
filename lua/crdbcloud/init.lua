--- crdbcloud: SQL users of CockroachDB Cloud clusters, managed safely from Lua.
--
--   local crdbcloud = require "crdbcloud"
--   local cloud = assert(crdbcloud.new())          -- key and server from the environment
--   for user in cloud:sql_users(cluster_id) do print(user.name) end
--
-- Nothing happens by `require`: each part is loaded when its field is first used.

-- field -> module, and what of the module the field is (nil: the module itself)
local PARTS = {
  new = { "cloud", "new" },
  secret = { "secrets" },
  password = { "passwords" },
  names = { "names" },
  errors = { "errors" },
  privileges = { "privileges" },
  sql = { "sql" },
  store = { "store" },
  credentials = { "credentials", "open" },
  main = { "main", "run" },
  help = { "help" },
  core = { "core" },
  version = { "version" },
}

---@type crdbcloud
local M = setmetatable({}, {
  __name = "crdbcloud",
  parts = PARTS,
  __tostring = function(self) return ("crdbcloud %s; crdbcloud.help() lists what there is"):format(self.version) end,
  __index = function(self, field)
    local part = getmetatable(self).parts[field]
    if not part then return nil end
    local value = require("crdbcloud." .. part[1])
    if part[2] then value = value[part[2]] end
    rawset(self, field, value)
    return value
  end,
})

return M
