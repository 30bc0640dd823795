--- `crdbcloud whoami`: which account, server and stores a command would use, and whether the key is accepted.

local urls = require "crdbcloud.base.urls"

local M = {}

local COLUMNS = { "server", "account", "api_version", "clusters", "cluster", "cluster_id", "store", "sql", "ca_file", "version" }

-- Of a connection string only what is no secret: host, port, database and user.
local function sql_shown(url)
  if not url or url == "" then return nil end
  if not url:find "^%a[%w+.-]*://" then return "set" end
  return (url:gsub("^(%a[%w+.-]*://)([^/?#]*@)", function(scheme, userinfo)
    return scheme .. userinfo:gsub(":.*@$", "@")
  end):gsub("%?.*$", ""))
end

local function whoami(run, args)
  local cloud, err = run:cloud()
  if not cloud then return nil, err end
  local clusters
  clusters, err = cloud:all_clusters()
  if not clusters then return nil, err end
  local name = args.cluster_name or os.getenv "CRDBCLOUD_CLUSTER"
  local id
  if name and name ~= "" then
    local cluster
    cluster, err = cloud:find_cluster(name)
    if not cluster then return nil, err end
    name, id = cluster.name, cluster.id
  end
  local store = args.store or os.getenv "CRDBCLOUD_STORE"
  run.out:record(COLUMNS, {
    server = cloud.config.base_url,
    account = cloud:account(),
    api_version = cloud.config.api_version,
    clusters = #clusters,
    cluster = name,
    cluster_id = id,
    store = store and urls.shown(store),
    sql = sql_shown(args.sql or os.getenv "CRDBCLOUD_SQL"),
    ca_file = args.ca_file or os.getenv "CRDBCLOUD_CA_FILE",
    version = require "crdbcloud.version",
  })
  return true
end

M.sql_shown = sql_shown

function M.register(parser)
  parser:command "whoami":summary "Show the account, server, cluster and store in use."
    :description "Shows the account, server, cluster and store in use, and asks the server whether it accepts the key."
    :action(function(args) args.run = whoami end)
end

return M
