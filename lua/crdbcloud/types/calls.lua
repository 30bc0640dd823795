---@meta crdbcloud.types.calls
-- Declarations for editors, made by `make reference` from lua/crdbcloud/reference; never loaded.

---@class crdbcloud.cloud the api, call by call
local cloud = {}

--- Lists all SQL users, from all pages.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param cluster_id string id of the cluster, a UUID
---@param options? crdbcloud.paged_options
---@return crdbcloud.user[]|nil { name } each; prints as a table
---@return crdbcloud.error|nil err
function cloud:all_sql_users(cluster_id, options) end

--- Iterates over the SQL users with one page in memory. An error raises the error object.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param cluster_id string id of the cluster, a UUID
---@param options? crdbcloud.paged_options
---@return fun(): crdbcloud.user|nil for a for loop
function cloud:sql_users(cluster_id, options) end

--- Lists one page of the SQL users.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param cluster_id string id of the cluster, a UUID
---@param options? crdbcloud.paged_options
---@return crdbcloud.user_page|nil { users, next_page }
---@return crdbcloud.error|nil err
function cloud:list_sql_users(cluster_id, options) end

--- Makes a SQL user who is an ADMIN of the whole cluster, because the API makes no other.
--- cluster:create_app_user makes a user with limited access.
--- Errors: already_exists, not_found, permission_denied, rate_limited, unavailable, …; err.outcome says what became of the change.
---@param cluster_id string id of the cluster, a UUID
---@param name string name of the SQL user
---@param password string|crdbcloud.secret 12 to 500 bytes; crdbcloud.password.generate() makes one
---@param options? crdbcloud.limits_options
---@return crdbcloud.user|nil { name }
---@return crdbcloud.error|nil err
function cloud:create_sql_user(cluster_id, name, password, options) end

--- Sends a password without storing it: when the answer is lost, nothing has the password.
--- cluster:rotate_password stores the password before it sends it. A cluster handle refuses this call for a user with a record.
--- Errors: already_exists, not_found, permission_denied, rate_limited, unavailable, …; err.outcome says what became of the change.
---@param cluster_id string id of the cluster, a UUID
---@param name string name of the SQL user
---@param password string|crdbcloud.secret 12 to 500 bytes; crdbcloud.password.generate() makes one
---@param options? crdbcloud.limits_options
---@return crdbcloud.user|nil { name }
---@return crdbcloud.error|nil err
function cloud:update_sql_user_password(cluster_id, name, password, options) end

--- Deletes a SQL user.
--- cluster:remove_app_user also ends the user's sessions, gives what it owns to another role and removes its record.
--- Errors: already_exists, not_found, permission_denied, rate_limited, unavailable, …; err.outcome says what became of the change.
---@param cluster_id string id of the cluster, a UUID
---@param name string name of the SQL user
---@param options? crdbcloud.limits_options
---@return crdbcloud.user|nil { name }
---@return crdbcloud.error|nil err
function cloud:delete_sql_user(cluster_id, name, options) end

--- Lists all databases of the cluster, from all pages.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param cluster_id string id of the cluster, a UUID
---@param options? crdbcloud.paged_options
---@return crdbcloud.database[]|nil { name, table_count } each; prints as a table
---@return crdbcloud.error|nil err
function cloud:all_databases(cluster_id, options) end

--- Iterates over the databases with one page in memory. An error raises the error object.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param cluster_id string id of the cluster, a UUID
---@param options? crdbcloud.paged_options
---@return fun(): crdbcloud.database|nil for a for loop
function cloud:databases(cluster_id, options) end

--- Lists one page of the databases.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param cluster_id string id of the cluster, a UUID
---@param options? crdbcloud.paged_options
---@return crdbcloud.database_page|nil { databases, next_page }
---@return crdbcloud.error|nil err
function cloud:list_databases(cluster_id, options) end

--- Shows the cluster as the API describes it.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param cluster_id string id of the cluster, a UUID
---@param options? crdbcloud.limits_options
---@return crdbcloud.cluster_info|nil id, name, state, plan, regions, …
---@return crdbcloud.error|nil err
function cloud:get_cluster(cluster_id, options) end

---@class crdbcloud.cloud.get_connection_string.options: crdbcloud.limits_options
---@field database? string database that the URL names
---@field sql_user? string user that the URL names
---@field os? "MAC"|"LINUX"|"WINDOWS" system whose paths the URL has

--- Shows where SQL clients connect.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param cluster_id string id of the cluster, a UUID
---@param options? crdbcloud.cloud.get_connection_string.options
---@return table|nil { connection_string, params = { Host, Port, Database, … } }
---@return crdbcloud.error|nil err
function cloud:get_connection_string(cluster_id, options) end

--- Lists all clusters that the key may see, from all pages.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param options? crdbcloud.clusters_options
---@return crdbcloud.cluster_info[]|nil prints as a table
---@return crdbcloud.error|nil err
function cloud:all_clusters(options) end

--- Iterates over the clusters with one page in memory. An error raises the error object.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param options? crdbcloud.clusters_options
---@return fun(): crdbcloud.cluster_info|nil for a for loop
function cloud:clusters(options) end

--- Lists one page of the clusters.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param options? crdbcloud.clusters_options
---@return crdbcloud.cluster_page|nil { clusters, next_page }
---@return crdbcloud.error|nil err
function cloud:list_clusters(options) end

---@class crdbcloud.cloud.list_audit_logs.options: crdbcloud.limits_options
---@field starting_from? string|number first moment: RFC 3339 text, or seconds since 1970
---@field sort_order? "ASC"|"DESC" oldest first, or newest first; default "ASC"
---@field limit? integer number of entries, from 1; default 200

--- Lists entries of the organization's audit log. The key needs the role Organization Admin.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param options? crdbcloud.cloud.list_audit_logs.options
---@return table|nil { entries, next_starting_from }; prints as a table
---@return crdbcloud.error|nil err
function cloud:list_audit_logs(options) end

---@class crdbcloud.cluster the api on a cluster handle
local cluster = {}

--- Lists all SQL users, from all pages.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param options? crdbcloud.paged_options
---@return crdbcloud.user[]|nil { name } each; prints as a table
---@return crdbcloud.error|nil err
function cluster:all_sql_users(options) end

--- Iterates over the SQL users with one page in memory. An error raises the error object.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param options? crdbcloud.paged_options
---@return fun(): crdbcloud.user|nil for a for loop
function cluster:sql_users(options) end

--- Lists one page of the SQL users.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param options? crdbcloud.paged_options
---@return crdbcloud.user_page|nil { users, next_page }
---@return crdbcloud.error|nil err
function cluster:list_sql_users(options) end

--- Makes a SQL user who is an ADMIN of the whole cluster, because the API makes no other.
--- cluster:create_app_user makes a user with limited access.
--- Errors: already_exists, not_found, permission_denied, rate_limited, unavailable, …; err.outcome says what became of the change.
---@param name string name of the SQL user
---@param password string|crdbcloud.secret 12 to 500 bytes; crdbcloud.password.generate() makes one
---@param options? crdbcloud.limits_options
---@return crdbcloud.user|nil { name }
---@return crdbcloud.error|nil err
function cluster:create_sql_user(name, password, options) end

--- Sends a password without storing it: when the answer is lost, nothing has the password.
--- cluster:rotate_password stores the password before it sends it. A cluster handle refuses this call for a user with a record.
--- Errors: already_exists, not_found, permission_denied, rate_limited, unavailable, …; err.outcome says what became of the change.
---@param name string name of the SQL user
---@param password string|crdbcloud.secret 12 to 500 bytes; crdbcloud.password.generate() makes one
---@param options? crdbcloud.limits_options
---@return crdbcloud.user|nil { name }
---@return crdbcloud.error|nil err
function cluster:update_sql_user_password(name, password, options) end

--- Deletes a SQL user.
--- cluster:remove_app_user also ends the user's sessions, gives what it owns to another role and removes its record.
--- Errors: already_exists, not_found, permission_denied, rate_limited, unavailable, …; err.outcome says what became of the change.
---@param name string name of the SQL user
---@param options? crdbcloud.limits_options
---@return crdbcloud.user|nil { name }
---@return crdbcloud.error|nil err
function cluster:delete_sql_user(name, options) end

--- Lists all databases of the cluster, from all pages.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param options? crdbcloud.paged_options
---@return crdbcloud.database[]|nil { name, table_count } each; prints as a table
---@return crdbcloud.error|nil err
function cluster:all_databases(options) end

--- Iterates over the databases with one page in memory. An error raises the error object.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param options? crdbcloud.paged_options
---@return fun(): crdbcloud.database|nil for a for loop
function cluster:databases(options) end

--- Lists one page of the databases.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param options? crdbcloud.paged_options
---@return crdbcloud.database_page|nil { databases, next_page }
---@return crdbcloud.error|nil err
function cluster:list_databases(options) end

--- Shows the cluster as the API describes it.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param options? crdbcloud.limits_options
---@return crdbcloud.cluster_info|nil id, name, state, plan, regions, …
---@return crdbcloud.error|nil err
function cluster:get_cluster(options) end

--- Shows where SQL clients connect.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param options? crdbcloud.cloud.get_connection_string.options
---@return table|nil { connection_string, params = { Host, Port, Database, … } }
---@return crdbcloud.error|nil err
function cluster:get_connection_string(options) end
