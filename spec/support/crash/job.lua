-- What a killed process runs: calls of one cluster handle, from a file of JSON named by the only argument.
--   { "calls": [["resume", {}], ["rotate_password", {"user": "x"}]], "cloud": { options of crdbcloud.new },
--     "cluster": { options of cloud:cluster } }
-- The connection comes from the environment. Standard output gets the report of each call, or its error as JSON;
-- the exit code is that of the first error. Each step of progress is a mark of spec/c/kill_at.c.

local cjson = require "cjson"
local crdbcloud = require "crdbcloud"

local file = assert(io.open(arg[1]))
local job = cjson.decode(file:read "*a")
file:close()

local FEW = { rotation_status = true }

-- Sends a new password before the store knows it: what the specs must notice.
local function careless_rotation(cluster, options)
  local password = crdbcloud.password.generate {}
  assert(cluster.cloud:update_sql_user_password(cluster:id(), options.user, password))
  local store = assert(cluster:open_store "careless")
  local key = require("crdbcloud.record").key(cluster:id(), options.user)
  local rec, version = store:get(key)
  rec.epoch, rec.current.password, rec.current.epoch = rec.epoch + 1, password, rec.epoch + 1
  assert(store:put(key, rec, version))
  return "done"
end

crdbcloud.main(function()
  local cloud = assert(crdbcloud.new(job.cloud))
  local cluster = assert(cloud:cluster(nil, job.cluster))
  local first
  for _, call in ipairs(job.calls) do
    local name, options = call[1], call[2] or {}
    os.rename("@mark", name)
    if not FEW[name] then
      options.on_progress = function(event)
        os.rename("@mark", event.step)
        io.stdout:write(tostring(event), "\n")
        io.stdout:flush()
      end
    end
    local report, err
    if name == "careless_rotation" then
      report, err = careless_rotation(cluster, options)
    else
      report, err = cluster[name](cluster, options)
    end
    io.stdout:write(tostring(report or err:json()), "\n")
    first = first or err
  end
  os.rename("@mark", "end")
  cluster:close()
  cloud:close()
  assert(not first, first)
end)
