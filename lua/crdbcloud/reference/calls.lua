--- Reference: the calls of the API. On a cluster handle they are the same without the cluster's id.

local shared = require "crdbcloud.reference.shared"

local CLUSTER_ID = { "cluster_id", "string", "id of the cluster, a UUID" }
local NAME = { "name", "string", "name of the SQL user" }
local PASSWORD = { "password", "string|crdbcloud.secret", "12 to 500 bytes; crdbcloud.password.generate() makes one" }
local CHANGE = "already_exists, not_found, permission_denied, rate_limited, unavailable, …; err.outcome says what became of the change."
local READ = "not_found, permission_denied, unauthenticated, network, timeout, unavailable, …"

-- Written for an account; `of_cluster` says that a cluster handle has it too.
local CALLS = {
  {
    name = "all_sql_users", of_cluster = true, args = { CLUSTER_ID }, summary = "Lists all SQL users, from all pages.",
    options = shared.paged, returns = { { "crdbcloud.user[]", "{ name } each; prints as a table" } }, errors = READ,
    example = "print(assert(%s:all_sql_users(%s)))",
  },
  {
    name = "sql_users", of_cluster = true, args = { CLUSTER_ID }, iterator = true,
    summary = "Iterates over the SQL users with one page in memory. An error raises the error object.",
    options = shared.paged, returns = { { "fun(): crdbcloud.user|nil", "for a for loop" } }, errors = READ,
    example = "for user in %s:sql_users(%s) do print(user.name) end",
  },
  {
    name = "list_sql_users", of_cluster = true, args = { CLUSTER_ID }, summary = "Lists one page of the SQL users.", options = shared.paged,
    returns = { { "crdbcloud.user_page", "{ users, next_page }" } }, errors = READ,
    example = "local page = assert(%s:list_sql_users(%s{ limit = 50 }))",
  },
  {
    name = "create_sql_user", of_cluster = true, args = { CLUSTER_ID, NAME, PASSWORD },
    summary = "Makes a SQL user who is an ADMIN of the whole cluster, because the API makes no other.",
    text = "cluster:create_app_user makes a user with limited access.", options = shared.limits,
    returns = { { "crdbcloud.user", "{ name }" } }, errors = CHANGE,
    example = 'assert(%s:create_sql_user(%s"made_by_hand", crdbcloud.password.generate()))',
  },
  {
    name = "update_sql_user_password", of_cluster = true, args = { CLUSTER_ID, NAME, PASSWORD },
    summary = "Sends a password without storing it: when the answer is lost, nothing has the password.",
    text = "cluster:rotate_password stores the password before it sends it. A cluster handle refuses this call for a user with "
      .. "a record.",
    options = shared.limits, returns = { { "crdbcloud.user", "{ name }" } }, errors = CHANGE,
    example = 'assert(%s:update_sql_user_password(%s"made_by_hand", crdbcloud.secret.prompt "New password: "))',
  },
  {
    name = "delete_sql_user", of_cluster = true, args = { CLUSTER_ID, NAME }, summary = "Deletes a SQL user.",
    text = "cluster:remove_app_user also ends the user's sessions, gives what it owns to another role and removes its record.", options = shared.limits,
    returns = { { "crdbcloud.user", "{ name }" } }, errors = CHANGE, example = 'assert(%s:delete_sql_user(%s"made_by_hand"))',
  },
  {
    name = "all_databases", of_cluster = true, args = { CLUSTER_ID }, summary = "Lists all databases of the cluster, from all pages.", options = shared.paged,
    returns = { { "crdbcloud.database[]", "{ name, table_count } each; prints as a table" } }, errors = READ,
    example = "print(assert(%s:all_databases(%s)))",
  },
  {
    name = "databases", of_cluster = true, args = { CLUSTER_ID }, iterator = true,
    summary = "Iterates over the databases with one page in memory. An error raises the error object.",
    options = shared.paged, returns = { { "fun(): crdbcloud.database|nil", "for a for loop" } }, errors = READ,
    example = "for database in %s:databases(%s) do print(database.name) end",
  },
  {
    name = "list_databases", of_cluster = true, args = { CLUSTER_ID }, summary = "Lists one page of the databases.", options = shared.paged,
    returns = { { "crdbcloud.database_page", "{ databases, next_page }" } }, errors = READ,
    example = "print(assert(%s:list_databases(%s)))",
  },
  {
    name = "get_cluster", of_cluster = true, args = { CLUSTER_ID }, summary = "Shows the cluster as the API describes it.",
    options = shared.limits, returns = { { "crdbcloud.cluster_info", "id, name, state, plan, regions, …" } }, errors = READ,
    example = "print(assert(%s:get_cluster(%s)))",
  },
  {
    name = "get_connection_string", of_cluster = true, args = { CLUSTER_ID }, summary = "Shows where SQL clients connect.",
    options = shared.join({
      { "database", "string", "database that the URL names" }, { "sql_user", "string", "user that the URL names" },
      { "os", '"MAC"|"LINUX"|"WINDOWS"', "system whose paths the URL has" },
    }, shared.limits),
    returns = { { "table", "{ connection_string, params = { Host, Port, Database, … } }" } }, errors = READ,
    example = 'print(assert(%s:get_connection_string(%s{ os = "LINUX" })))',
  },
  {
    name = "all_clusters", args = {}, summary = "Lists all clusters that the key may see, from all pages.", options = shared.clusters,
    returns = { { "crdbcloud.cluster_info[]", "prints as a table" } }, errors = READ, example = "print(assert(cloud:all_clusters()))",
  },
  {
    name = "clusters", args = {}, iterator = true,
    summary = "Iterates over the clusters with one page in memory. An error raises the error object.", options = shared.clusters,
    returns = { { "fun(): crdbcloud.cluster_info|nil", "for a for loop" } }, errors = READ,
    example = "for cluster in cloud:clusters() do print(cluster) end",
  },
  {
    name = "list_clusters", args = {}, summary = "Lists one page of the clusters.", options = shared.clusters,
    returns = { { "crdbcloud.cluster_page", "{ clusters, next_page }" } }, errors = READ,
    example = "print(assert(cloud:list_clusters { limit = 50 }))",
  },
  {
    name = "list_audit_logs", args = {}, summary = "Lists entries of the organization's audit log. The key needs the role Organization Admin.",
    options = shared.join({
      { "starting_from", "string|number", "first moment: RFC 3339 text, or seconds since 1970" },
      { "sort_order", '"ASC"|"DESC"', "oldest first, or newest first", '"ASC"' }, { "limit", "integer", "number of entries, from 1", "200" },
    }, shared.limits),
    returns = { { "table", "{ entries, next_starting_from }; prints as a table" } }, errors = READ,
    example = 'print(assert(cloud:list_audit_logs { sort_order = "DESC", limit = 20 }))',
  },
}

-- The same entry for an account or for a cluster handle.
local function made_for(object, call)
  local entry = {}
  for name, value in pairs(call) do entry[name] = value end
  entry.of_cluster = nil
  if object == "cluster" then
    entry.args = {}
    for i = 2, #call.args do entry.args[i - 1] = call.args[i] end
  end
  local id = ""
  if call.of_cluster and object == "cloud" then
    -- The id stands before the other arguments, if there are any.
    id = call.example:find "%%s[{\"]" and "cluster_id, " or "cluster_id"
  end
  entry.example = call.example:find "%%s" and call.example:format(object, id) or call.example
  return entry
end

local function chapter(object, title, class, text, repeats)
  local entries = {}
  for _, call in ipairs(CALLS) do
    if object == "cloud" or call.of_cluster then entries[#entries + 1] = made_for(object, call) end
  end
  return { title = title, object = object, class = class, text = text, entries = entries, repeats = repeats }
end

return {
  chapter("cloud", "The API, call by call", "crdbcloud.cloud", "The calls have the names of the vendor's API. Each takes a table of options last."),
  chapter("cluster", "The API on a cluster handle", "crdbcloud.cluster", "A cluster handle has the same calls without the cluster's id.", "cloud"),
}
