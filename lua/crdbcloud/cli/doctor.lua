--- `crdbcloud doctor`: looks at everything that the other commands need and says what is wrong with it.

local confirm = require "crdbcloud.cli.confirm"
local core = require "crdbcloud.core"
local durations = require "crdbcloud.base.durations"

local M = {}

local COLUMNS = { "check", "status", "detail" }

-- Runs the checks one by one; what could not be looked at is "?", never "ok".
local Findings = {}
Findings.__index = Findings

function Findings:add(check, status, detail)
  self[#self + 1] = { check = check, status = status, detail = detail }
  return status == "ok"
end

function Findings:failed(check, err)
  self.error = self.error or err
  return self:add(check, "failed", tostring(err))
end

local function check_server(found, cloud, name)
  local started = core.monotonic()
  local clusters, err = cloud:all_clusters()
  if not clusters then return found:failed("server", err) end
  found:add("server", "ok", ("%s answered in %s, %d clusters visible"):format(cloud.config.base_url,
    durations.format(core.monotonic() - started), #clusters))
  if not name or name == "" then return found:add("cluster", "?", "none named: --cluster or CRDBCLOUD_CLUSTER") end
  local cluster
  cluster, err = cloud:find_cluster(name)
  if not cluster then return found:failed("cluster", err) end
  local state = tostring(cluster.state)
  return found:add("cluster", state:find "CREATED" and "ok" or "warning", ("%s, %s, %s"):format(cluster.name, cluster.id, state))
end

local function check_users(found, cluster)
  local users, err = cluster:all_sql_users()
  if not users then return found:failed("sql users", err) end
  return found:add("sql users", "ok", ("the key may list them: %d"):format(#users))
end

local function check_sql(found, run)
  local url = run.args.sql or os.getenv "CRDBCLOUD_SQL"
  if not url or url == "" then return found:add("sql", "?", "none named: --sql or CRDBCLOUD_SQL; needed by app-user create") end
  if not pcall(require, "crdbcloud.pq") then
    return found:add("sql", "failed", "crdbcloud.pq was not built: libpq-dev was missing")
  end
  local sql, err = require "crdbcloud.sql".connect(url, { ca_file = run.args.ca_file or os.getenv "CRDBCLOUD_CA_FILE" })
  if not sql then return found:failed("sql", err) end
  local dialect = sql:dialect()
  local user = sql:user()
  local rights
  rights, err = require "crdbcloud.privileges".inspect(sql, user)
  sql:close()
  if not rights then return found:failed("sql", err) end
  if not rights.admin then
    return found:add("sql", "warning", ("%s as %s, which is no admin: it cannot revoke admin from others"):format(dialect, user))
  end
  return found:add("sql", "ok", ("%s as %s, an admin"):format(dialect, user))
end

-- Whether API and SQL are one cluster, as whatever writes by SQL demands.
local function check_pairing(found, cluster)
  if not cluster:has_sql() then return end
  local proof, err, place = cluster:same_cluster "doctor"
  if not proof and place == "sql" then return found:add("one cluster", "?", "the SQL connection does not work") end
  if not proof then return found:failed("one cluster", err) end
  return found:add("one cluster", "ok", proof == "address" and "the API names the address of the SQL connection"
    or "the store pairs the SQL server with the cluster")
end

local function check_store(found, run)
  local url, opts = run:store_spec "doctor"
  if not url then return found:add("store", "?", "none named: --store or CRDBCLOUD_STORE; needed by what writes") end
  local store, err = require "crdbcloud.store".open(url, opts)
  if not store then return found:failed("store", err) end
  local keys
  keys, err = store:list ""
  local warnings = store.warnings and store:warnings() or {}
  store:close()
  if not keys then return found:failed("store", err) end
  -- What can be read may be read-only, or full.
  local trial = store.dir and not store.missing and store.dir .. "/.crdbcloud-doctor"
  local ok, why = true, nil
  if trial then ok, why = core.write_file(trial, "x") end
  if not ok then return found:add("store", "failed", ("%s cannot be written: %s"):format(store.url, why)) end
  if trial then core.remove_file(trial) end
  if #warnings > 0 then return found:add("store", "warning", table.concat(warnings, "; ")) end
  return found:add("store", "ok", ("%s, %d records"):format(store.url, #keys))
end

local function doctor(run, args)
  local found = setmetatable({}, Findings)
  found:add("program", "ok", ("crdbcloud %s on %s"):format(require "crdbcloud.version", rawget(_G, "jit") and jit.version or _VERSION))
  local name = args.cluster_name or os.getenv "CRDBCLOUD_CLUSTER"
  local cluster
  local cloud, err = run:cloud()
  if not cloud then
    found:failed("api key", err)
  else
    found:add("api key", "ok", cloud:account())
    if check_server(found, cloud, name) and name and name ~= "" then
      cluster = run:cluster()
      check_users(found, cluster)
    end
  end
  check_sql(found, run)
  if cluster then check_pairing(found, cluster) end
  check_store(found, run)
  run.out:rows(COLUMNS, found)
  if found.error then return found.error.exit end
  for _, row in ipairs(found) do
    if row.status == "failed" then return 1 end
  end
  return true
end

local UNEXPECTED = 8

-- Tries on the cluster itself, by a throwaway user, what the other commands take for granted.
local function probe(run)
  local cluster, err = run:cluster()
  if not cluster then return nil, err end
  local ok
  ok, err = confirm.yes(run, ("Make a throwaway user on cluster %s, an admin for a moment, try it out and delete it?"):format(run.cluster_name))
  if not ok then return nil, err end
  run:guard()
  local report
  report, err = cluster:probe { on_progress = run:progress() }
  if not report then return nil, err end
  run.out:report(report)
  return report.unexpected == 0 or UNEXPECTED
end

function M.register(parser)
  local command = parser:command "doctor":summary "Check key, server, cluster, SQL connection and store."
    :description("Checks what the other commands need. Exit 0 when nothing failed. With --probe it tries on the cluster what they "
      .. "take for granted, by one throwaway user that is deleted again; exit 8 where something is not as expected.")
  command:flag "--probe":description "Try the cluster out with a throwaway user."
  confirm.options(command)
  command:action(function(args) args.run = args.probe and probe or doctor end)
end

return M
