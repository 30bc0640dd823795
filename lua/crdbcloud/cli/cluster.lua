--- `crdbcloud cluster list|show`.

local M = {}

local COLUMNS = { "name", "id", "state", "plan", "cloud_provider", "cockroach_version" }

local function list(run, args)
  local cloud, err = run:cloud()
  if not cloud then return nil, err end
  local clusters
  clusters, err = cloud:all_clusters(args.all and { show_inactive = true } or nil)
  if not clusters then return nil, err end
  run.out:rows(COLUMNS, clusters)
  return true
end

local function show(run, args)
  local cloud, err = run:cloud()
  if not cloud then return nil, err end
  local name = args.name or args.cluster_name or os.getenv "CRDBCLOUD_CLUSTER"
  if not name or name == "" then
    return require "crdbcloud.cli.session".usage("no cluster was named", "crdbcloud cluster show NAME")
  end
  local cluster
  cluster, err = cloud:find_cluster(name)
  if not cluster then return nil, err end
  local columns = {}
  for _, column in ipairs(COLUMNS) do columns[#columns + 1] = column end
  for _, column in ipairs { "sql_dns", "account_id", "created_at", "updated_at", "operation_status" } do
    columns[#columns + 1] = column
  end
  local row = {}
  for _, column in ipairs(columns) do row[column] = cluster[column] end
  local region = type(cluster.regions) == "table" and cluster.regions[1]
  row.sql_dns = row.sql_dns or region and region.sql_dns
  run.out:record(columns, row)
  return true
end

function M.register(parser)
  local group = parser:command "cluster":summary "List and show clusters."
  group:command_target "subcommand"
  local list_command = group:command "list":description "Lists the clusters that the key may see."
    :action(function(args) args.run = list end)
  list_command:flag "--all":description "Deleted ones too."
  local show_command = group:command "show":description "Shows one cluster."
    :action(function(args) args.run = show end)
  show_command:argument "name":args "?":description "Name or id; default --cluster."
end

return M
