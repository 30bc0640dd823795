---@meta crdbcloud.types.calls
-- Declarations for editors, made by `make reference` from lua/crdbcloud/reference; never loaded.

---@class crdbcloud.cloud the api, call by call
local cloud = {}

---@class crdbcloud.cloud.all_sql_users.options
---@field page? string token of a page, from next_page
---@field limit? integer items on one page, 1 to 500; default 500
---@field as_of_time? string|number a moment, RFC 3339 text or seconds since 1970
---@field sort_order? "ASC"|"DESC" order of the items
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's

--- All SQL users, from all pages.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param cluster_id string id of the cluster, a UUID
---@param options? crdbcloud.cloud.all_sql_users.options
---@return crdbcloud.user[]|nil { name } each; prints as a table
---@return crdbcloud.error|nil err
function cloud:all_sql_users(cluster_id, options) end

---@class crdbcloud.cloud.sql_users.options
---@field page? string token of a page, from next_page
---@field limit? integer items on one page, 1 to 500; default 500
---@field as_of_time? string|number a moment, RFC 3339 text or seconds since 1970
---@field sort_order? "ASC"|"DESC" order of the items
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's

--- An iterator over the SQL users; one page is in memory. An error raises the error object.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param cluster_id string id of the cluster, a UUID
---@param options? crdbcloud.cloud.sql_users.options
---@return fun(): crdbcloud.user|nil for a for loop
function cloud:sql_users(cluster_id, options) end

---@class crdbcloud.cloud.list_sql_users.options
---@field page? string token of a page, from next_page
---@field limit? integer items on one page, 1 to 500; default 500
---@field as_of_time? string|number a moment, RFC 3339 text or seconds since 1970
---@field sort_order? "ASC"|"DESC" order of the items
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's

--- One page of the SQL users.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param cluster_id string id of the cluster, a UUID
---@param options? crdbcloud.cloud.list_sql_users.options
---@return crdbcloud.user_page|nil { users, next_page }
---@return crdbcloud.error|nil err
function cloud:list_sql_users(cluster_id, options) end

---@class crdbcloud.cloud.create_sql_user.options
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's

--- Makes a SQL user who is an ADMIN of the whole cluster: the API makes no other.
--- For a user with limited access: cluster:create_app_user.
--- Errors: already_exists, not_found, permission_denied, rate_limited, unavailable, …; err.outcome says what became of the change.
---@param cluster_id string id of the cluster, a UUID
---@param name string name of the SQL user
---@param password string|crdbcloud.secret 12 to 500 bytes; crdbcloud.password.generate() makes one
---@param options? crdbcloud.cloud.create_sql_user.options
---@return crdbcloud.user|nil { name }
---@return crdbcloud.error|nil err
function cloud:create_sql_user(cluster_id, name, password, options) end

---@class crdbcloud.cloud.update_sql_user_password.options
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's

--- Sends a password, once and raw: nothing keeps it if the answer is lost.
--- cluster:rotate_password keeps it in the store before it is sent; a user with a record is refused on a cluster handle.
--- Errors: already_exists, not_found, permission_denied, rate_limited, unavailable, …; err.outcome says what became of the change.
---@param cluster_id string id of the cluster, a UUID
---@param name string name of the SQL user
---@param password string|crdbcloud.secret 12 to 500 bytes; crdbcloud.password.generate() makes one
---@param options? crdbcloud.cloud.update_sql_user_password.options
---@return crdbcloud.user|nil { name }
---@return crdbcloud.error|nil err
function cloud:update_sql_user_password(cluster_id, name, password, options) end

---@class crdbcloud.cloud.delete_sql_user.options
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's

--- Deletes a SQL user.
--- cluster:remove_app_user also ends sessions, hands over what it owns and forgets its record.
--- Errors: already_exists, not_found, permission_denied, rate_limited, unavailable, …; err.outcome says what became of the change.
---@param cluster_id string id of the cluster, a UUID
---@param name string name of the SQL user
---@param options? crdbcloud.cloud.delete_sql_user.options
---@return crdbcloud.user|nil { name }
---@return crdbcloud.error|nil err
function cloud:delete_sql_user(cluster_id, name, options) end

---@class crdbcloud.cloud.all_databases.options
---@field page? string token of a page, from next_page
---@field limit? integer items on one page, 1 to 500; default 500
---@field as_of_time? string|number a moment, RFC 3339 text or seconds since 1970
---@field sort_order? "ASC"|"DESC" order of the items
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's

--- All databases of the cluster.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param cluster_id string id of the cluster, a UUID
---@param options? crdbcloud.cloud.all_databases.options
---@return crdbcloud.database[]|nil { name, table_count } each; prints as a table
---@return crdbcloud.error|nil err
function cloud:all_databases(cluster_id, options) end

---@class crdbcloud.cloud.databases.options
---@field page? string token of a page, from next_page
---@field limit? integer items on one page, 1 to 500; default 500
---@field as_of_time? string|number a moment, RFC 3339 text or seconds since 1970
---@field sort_order? "ASC"|"DESC" order of the items
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's

--- An iterator over the databases.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param cluster_id string id of the cluster, a UUID
---@param options? crdbcloud.cloud.databases.options
---@return fun(): crdbcloud.database|nil for a for loop
function cloud:databases(cluster_id, options) end

---@class crdbcloud.cloud.list_databases.options
---@field page? string token of a page, from next_page
---@field limit? integer items on one page, 1 to 500; default 500
---@field as_of_time? string|number a moment, RFC 3339 text or seconds since 1970
---@field sort_order? "ASC"|"DESC" order of the items
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's

--- One page of the databases.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param cluster_id string id of the cluster, a UUID
---@param options? crdbcloud.cloud.list_databases.options
---@return crdbcloud.database_page|nil { databases, next_page }
---@return crdbcloud.error|nil err
function cloud:list_databases(cluster_id, options) end

---@class crdbcloud.cloud.get_cluster.options
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's

--- The cluster as the API describes it.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param cluster_id string id of the cluster, a UUID
---@param options? crdbcloud.cloud.get_cluster.options
---@return crdbcloud.cluster_info|nil id, name, state, plan, regions, …
---@return crdbcloud.error|nil err
function cloud:get_cluster(cluster_id, options) end

---@class crdbcloud.cloud.get_connection_string.options
---@field database? string to be named in it
---@field sql_user? string to be named in it
---@field os? "MAC"|"LINUX"|"WINDOWS" whose paths it holds
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's

--- Where SQL clients connect.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param cluster_id string id of the cluster, a UUID
---@param options? crdbcloud.cloud.get_connection_string.options
---@return table|nil { connection_string, params = { Host, Port, Database, … } }
---@return crdbcloud.error|nil err
function cloud:get_connection_string(cluster_id, options) end

---@class crdbcloud.cloud.all_clusters.options
---@field page? string token of a page, from next_page
---@field limit? integer items on one page, 1 to 500; default 500
---@field as_of_time? string|number a moment, RFC 3339 text or seconds since 1970
---@field sort_order? "ASC"|"DESC" order of the items
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's
---@field show_inactive? boolean deleted ones too; default false
---@field sort_by? "NAME"|"CREATED_AT"|"DELETED_AT" what they are sorted by

--- All clusters that the key may see.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param options? crdbcloud.cloud.all_clusters.options
---@return crdbcloud.cluster_info[]|nil prints as a table
---@return crdbcloud.error|nil err
function cloud:all_clusters(options) end

---@class crdbcloud.cloud.clusters.options
---@field page? string token of a page, from next_page
---@field limit? integer items on one page, 1 to 500; default 500
---@field as_of_time? string|number a moment, RFC 3339 text or seconds since 1970
---@field sort_order? "ASC"|"DESC" order of the items
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's
---@field show_inactive? boolean deleted ones too; default false
---@field sort_by? "NAME"|"CREATED_AT"|"DELETED_AT" what they are sorted by

--- An iterator over the clusters.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param options? crdbcloud.cloud.clusters.options
---@return fun(): crdbcloud.cluster_info|nil for a for loop
function cloud:clusters(options) end

---@class crdbcloud.cloud.list_clusters.options
---@field page? string token of a page, from next_page
---@field limit? integer items on one page, 1 to 500; default 500
---@field as_of_time? string|number a moment, RFC 3339 text or seconds since 1970
---@field sort_order? "ASC"|"DESC" order of the items
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's
---@field show_inactive? boolean deleted ones too; default false
---@field sort_by? "NAME"|"CREATED_AT"|"DELETED_AT" what they are sorted by

--- One page of the clusters.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param options? crdbcloud.cloud.list_clusters.options
---@return crdbcloud.cluster_page|nil { clusters, next_page }
---@return crdbcloud.error|nil err
function cloud:list_clusters(options) end

---@class crdbcloud.cloud.list_audit_logs.options
---@field starting_from? string|number a moment, RFC 3339 text or seconds since 1970
---@field sort_order? "ASC"|"DESC" oldest or newest first; default "ASC"
---@field limit? integer entries, from 1; default 200
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's

--- Entries of the organization's audit log.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param options? crdbcloud.cloud.list_audit_logs.options
---@return table|nil { entries, next_starting_from }; prints as a table
---@return crdbcloud.error|nil err
function cloud:list_audit_logs(options) end

---@class crdbcloud.cluster the api on a cluster handle
local cluster = {}

---@class crdbcloud.cluster.all_sql_users.options
---@field page? string token of a page, from next_page
---@field limit? integer items on one page, 1 to 500; default 500
---@field as_of_time? string|number a moment, RFC 3339 text or seconds since 1970
---@field sort_order? "ASC"|"DESC" order of the items
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's

--- All SQL users, from all pages.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param options? crdbcloud.cluster.all_sql_users.options
---@return crdbcloud.user[]|nil { name } each; prints as a table
---@return crdbcloud.error|nil err
function cluster:all_sql_users(options) end

---@class crdbcloud.cluster.sql_users.options
---@field page? string token of a page, from next_page
---@field limit? integer items on one page, 1 to 500; default 500
---@field as_of_time? string|number a moment, RFC 3339 text or seconds since 1970
---@field sort_order? "ASC"|"DESC" order of the items
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's

--- An iterator over the SQL users; one page is in memory. An error raises the error object.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param options? crdbcloud.cluster.sql_users.options
---@return fun(): crdbcloud.user|nil for a for loop
function cluster:sql_users(options) end

---@class crdbcloud.cluster.list_sql_users.options
---@field page? string token of a page, from next_page
---@field limit? integer items on one page, 1 to 500; default 500
---@field as_of_time? string|number a moment, RFC 3339 text or seconds since 1970
---@field sort_order? "ASC"|"DESC" order of the items
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's

--- One page of the SQL users.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param options? crdbcloud.cluster.list_sql_users.options
---@return crdbcloud.user_page|nil { users, next_page }
---@return crdbcloud.error|nil err
function cluster:list_sql_users(options) end

---@class crdbcloud.cluster.create_sql_user.options
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's

--- Makes a SQL user who is an ADMIN of the whole cluster: the API makes no other.
--- For a user with limited access: cluster:create_app_user.
--- Errors: already_exists, not_found, permission_denied, rate_limited, unavailable, …; err.outcome says what became of the change.
---@param name string name of the SQL user
---@param password string|crdbcloud.secret 12 to 500 bytes; crdbcloud.password.generate() makes one
---@param options? crdbcloud.cluster.create_sql_user.options
---@return crdbcloud.user|nil { name }
---@return crdbcloud.error|nil err
function cluster:create_sql_user(name, password, options) end

---@class crdbcloud.cluster.update_sql_user_password.options
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's

--- Sends a password, once and raw: nothing keeps it if the answer is lost.
--- cluster:rotate_password keeps it in the store before it is sent; a user with a record is refused on a cluster handle.
--- Errors: already_exists, not_found, permission_denied, rate_limited, unavailable, …; err.outcome says what became of the change.
---@param name string name of the SQL user
---@param password string|crdbcloud.secret 12 to 500 bytes; crdbcloud.password.generate() makes one
---@param options? crdbcloud.cluster.update_sql_user_password.options
---@return crdbcloud.user|nil { name }
---@return crdbcloud.error|nil err
function cluster:update_sql_user_password(name, password, options) end

---@class crdbcloud.cluster.delete_sql_user.options
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's

--- Deletes a SQL user.
--- cluster:remove_app_user also ends sessions, hands over what it owns and forgets its record.
--- Errors: already_exists, not_found, permission_denied, rate_limited, unavailable, …; err.outcome says what became of the change.
---@param name string name of the SQL user
---@param options? crdbcloud.cluster.delete_sql_user.options
---@return crdbcloud.user|nil { name }
---@return crdbcloud.error|nil err
function cluster:delete_sql_user(name, options) end

---@class crdbcloud.cluster.all_databases.options
---@field page? string token of a page, from next_page
---@field limit? integer items on one page, 1 to 500; default 500
---@field as_of_time? string|number a moment, RFC 3339 text or seconds since 1970
---@field sort_order? "ASC"|"DESC" order of the items
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's

--- All databases of the cluster.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param options? crdbcloud.cluster.all_databases.options
---@return crdbcloud.database[]|nil { name, table_count } each; prints as a table
---@return crdbcloud.error|nil err
function cluster:all_databases(options) end

---@class crdbcloud.cluster.databases.options
---@field page? string token of a page, from next_page
---@field limit? integer items on one page, 1 to 500; default 500
---@field as_of_time? string|number a moment, RFC 3339 text or seconds since 1970
---@field sort_order? "ASC"|"DESC" order of the items
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's

--- An iterator over the databases.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param options? crdbcloud.cluster.databases.options
---@return fun(): crdbcloud.database|nil for a for loop
function cluster:databases(options) end

---@class crdbcloud.cluster.list_databases.options
---@field page? string token of a page, from next_page
---@field limit? integer items on one page, 1 to 500; default 500
---@field as_of_time? string|number a moment, RFC 3339 text or seconds since 1970
---@field sort_order? "ASC"|"DESC" order of the items
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's

--- One page of the databases.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param options? crdbcloud.cluster.list_databases.options
---@return crdbcloud.database_page|nil { databases, next_page }
---@return crdbcloud.error|nil err
function cluster:list_databases(options) end

---@class crdbcloud.cluster.get_cluster.options
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's

--- The cluster as the API describes it.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param options? crdbcloud.cluster.get_cluster.options
---@return crdbcloud.cluster_info|nil id, name, state, plan, regions, …
---@return crdbcloud.error|nil err
function cluster:get_cluster(options) end

---@class crdbcloud.cluster.get_connection_string.options
---@field database? string to be named in it
---@field sql_user? string to be named in it
---@field os? "MAC"|"LINUX"|"WINDOWS" whose paths it holds
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's

--- Where SQL clients connect.
--- Errors: not_found, permission_denied, unauthenticated, network, timeout, unavailable, …
---@param options? crdbcloud.cluster.get_connection_string.options
---@return table|nil { connection_string, params = { Host, Port, Database, … } }
---@return crdbcloud.error|nil err
function cluster:get_connection_string(options) end
