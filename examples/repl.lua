-- A prompt with the cluster of the environment at hand, as `crdbcloud shell` opens one.
-- Usage: lua5.4 -i examples/repl.lua
--   > cluster:all_sql_users()
--   > cluster:plan_rotation { users = "all" }
--   > cluster:rotation_status()

local crdbcloud = require "crdbcloud"

local cloud = assert(crdbcloud.new())
local cluster = assert(cloud:cluster())

-- What is typed at the prompt sees globals only.
for name, value in pairs { crdbcloud = crdbcloud, cloud = cloud, cluster = cluster, help = crdbcloud.help } do rawset(_G, name, value) end

print(cloud)
print(cluster)
print "crdbcloud, cloud, cluster and help are at hand; every result prints itself, and secrets do not."
