---@meta crdbcloud.types.cloud
-- Declarations for editors, made by `make reference` from lua/crdbcloud/reference; never loaded.

---@class crdbcloud.cloud the account
---@field config table what is in force, without secrets
local cloud = {}

---@class crdbcloud.cloud.cluster.options
---@field store? string|table|crdbcloud.secret URL of the store, or a store; default CRDBCLOUD_STORE
---@field sql? string|crdbcloud.secret|table|function|false SQL connection of an admin: URL, fields, a connection of any library, or a function that gives one; false: none; default CRDBCLOUD_SQL
---@field sql_ca_file? string certificate authority of the SQL connection; default CRDBCLOUD_CA_FILE
---@field sinks? string|table where credentials of all users are published; help "sinks"
---@field store_key_file? string file of keys that seal the passwords in the store
---@field plaintext? boolean let a shared store hold passwords in the clear; default false

--- A handle of one cluster: the calls without its id, and the workflows. No I/O until it is used.
--- Errors: invalid_argument: no cluster was named.
---@param name_or_id? string default CRDBCLOUD_CLUSTER
---@param options? crdbcloud.cloud.cluster.options
---@return crdbcloud.cluster|nil the handle
---@return crdbcloud.error|nil err
function cloud:cluster(name_or_id, options) end

--- The one cluster with this name or id, as the API describes it.
--- Errors: not_found; conflict: two clusters have the name; invalid_argument: it is a routing id or an address.
---@param name_or_id string name or id of a cluster
---@return crdbcloud.cluster_info|nil id, name, state, plan, …
---@return crdbcloud.error|nil err
function cloud:find_cluster(name_or_id) end

---@class crdbcloud.cloud.request.options
---@field query? table<string, string|number|boolean> parameters
---@field body? string|crdbcloud.secret|table a table is sent as JSON
---@field timeout? crdbcloud.duration limit of one attempt; default the account's
---@field deadline? crdbcloud.duration limit of the whole call; default the account's

--- Any other endpoint, by the same rules.
--- GET is repeated where that helps, PUT and DELETE when unanswered, POST and PATCH only when they surely did nothing.
--- Errors: as of every call
---@param method string GET, POST, PUT, PATCH or DELETE
---@param path string begins with "/", percent-encoded, without a query
---@param options? crdbcloud.cloud.request.options
---@return table|nil the decoded answer
---@return crdbcloud.error|nil err
function cloud:request(method, path, options) end

--- The name of the account's budget: server and key id.
---@return string for people
function cloud:account() end

--- Closes connections and wipes the key; a secret that it was given stays the caller's. Closing twice is allowed.
function cloud:close() end

---@class crdbcloud.cloud.rotate_passwords.options
---@field clusters string|string[]|"all" required; names or ids
---@field store? string|table|crdbcloud.secret URL of the store; default CRDBCLOUD_STORE
---@field sql? false|fun(cluster: table): any gives the SQL connection of each cluster
---@field sql_ca_file? string certificate authority of SQL connections
---@field store_key_file? string file of keys that seal the passwords in the store
---@field plaintext? boolean let a shared store hold passwords in the clear; default false
---@field users? string|string[]|"managed"|"all"|fun(user: table): boolean names, "managed" (with a record), "all" (but protected and SSO users), or a function; this, emergency or plan is required
---@field exclude? string|string[] names to leave alone
---@field max_age? crdbcloud.duration|"policy" only passwords that are older; "policy": 90 days or the user's own
---@field max_failures? integer|false stop after so many in a row; false: never; default 3
---@field skip_admins? boolean leave admins alone; default false
---@field parallel? integer threads, 1 to 64; needs luv; default 1
---@field window? string hours in which a user may be started on, such as "22:00-04:00"
---@field emergency? string|string[]|"all" in place of users: at once, sessions ended, also with the store down
---@field before? string[] command that runs once before the first change
---@field after? string[] command that runs once after something was published
---@field verify? "auto"|"require"|false prove each change by a login, where one is possible, always, or never; default "auto"
---@field keep_previous? crdbcloud.duration how long the old password is kept for a rollback; default "24h"
---@field cancel_sessions? boolean end the user's sessions after the change; default false
---@field sinks? string|table in place of all other sinks of the user; help "sinks"
---@field dry_run? boolean say what would be done; nothing is sent; default false
---@field reason? string kept in the record
---@field on_progress? fun(event: table) told of each step; an event prints as a line

--- Rotates passwords on several clusters.
--- Errors: err.report says what became of each user, err.exit what to do; after 3, 5, 6 and 129 to 143: cluster:resume().
---@param options crdbcloud.cloud.rotate_passwords.options
---@return crdbcloud.report|nil returned only when everything is done and published; prints as a table, has :json()
---@return crdbcloud.error|nil err
function cloud:rotate_passwords(options) end

---@class crdbcloud.cloud.plan_rotation.options
---@field clusters string|string[]|"all" required; names or ids
---@field store? string|table|crdbcloud.secret URL of the store; default CRDBCLOUD_STORE
---@field sql? false|fun(cluster: table): any gives the SQL connection of each cluster
---@field sql_ca_file? string certificate authority of SQL connections
---@field store_key_file? string file of keys that seal the passwords in the store
---@field plaintext? boolean let a shared store hold passwords in the clear; default false
---@field users? string|string[]|"managed"|"all"|fun(user: table): boolean names, "managed" (with a record), "all" (but protected and SSO users), or a function; this, emergency or plan is required
---@field exclude? string|string[] names to leave alone
---@field max_age? crdbcloud.duration|"policy" only passwords that are older; "policy": 90 days or the user's own
---@field max_failures? integer|false stop after so many in a row; false: never; default 3
---@field skip_admins? boolean leave admins alone; default false
---@field parallel? integer threads, 1 to 64; needs luv; default 1
---@field window? string hours in which a user may be started on, such as "22:00-04:00"
---@field emergency? string|string[]|"all" in place of users: at once, sessions ended, also with the store down
---@field before? string[] command that runs once before the first change
---@field after? string[] command that runs once after something was published
---@field verify? "auto"|"require"|false prove each change by a login, where one is possible, always, or never; default "auto"
---@field keep_previous? crdbcloud.duration how long the old password is kept for a rollback; default "24h"
---@field cancel_sessions? boolean end the user's sessions after the change; default false
---@field sinks? string|table in place of all other sinks of the user; help "sinks"
---@field dry_run? boolean say what would be done; nothing is sent; default false
---@field reason? string kept in the record
---@field on_progress? fun(event: table) told of each step; an event prints as a line

--- What rotate_passwords with the same options would do; reads only.
--- Errors: err.report says what became of each user, err.exit what to do; after 3, 5, 6 and 129 to 143: cluster:resume().
---@param options crdbcloud.cloud.plan_rotation.options
---@return crdbcloud.report|nil returned only when everything is done and published; prints as a table, has :json()
---@return crdbcloud.error|nil err
function cloud:plan_rotation(options) end

---@class crdbcloud.cloud.resume.options
---@field clusters string|string[]|"all" required; names or ids
---@field store? string|table|crdbcloud.secret URL of the store; default CRDBCLOUD_STORE
---@field sql? false|fun(cluster: table): any gives the SQL connection of each cluster
---@field sql_ca_file? string certificate authority of SQL connections
---@field store_key_file? string file of keys that seal the passwords in the store
---@field plaintext? boolean let a shared store hold passwords in the clear; default false
---@field verify? "auto"|"require"|false prove each change by a login, where one is possible, always, or never; default "auto"
---@field keep_previous? crdbcloud.duration how long the old password is kept for a rollback; default "24h"
---@field sinks? string|table in place of all other sinks of the user; help "sinks"
---@field dry_run? boolean say what would be done; nothing is sent; default false
---@field reason? string kept in the record
---@field on_progress? fun(event: table) told of each step; an event prints as a line

--- Finishes what crashes left, on several clusters.
--- Errors: err.report says what became of each user, err.exit what to do; after 3, 5, 6 and 129 to 143: cluster:resume().
---@param options crdbcloud.cloud.resume.options
---@return crdbcloud.report|nil returned only when everything is done and published; prints as a table, has :json()
---@return crdbcloud.error|nil err
function cloud:resume(options) end

---@class crdbcloud.cloud.rotation_status.options
---@field clusters string|string[]|"all" required; names or ids
---@field store? string|table|crdbcloud.secret URL of the store; default CRDBCLOUD_STORE
---@field sql? false|fun(cluster: table): any gives the SQL connection of each cluster
---@field sql_ca_file? string certificate authority of SQL connections
---@field store_key_file? string file of keys that seal the passwords in the store
---@field plaintext? boolean let a shared store hold passwords in the clear; default false

--- What the store says of the users of several clusters.
--- Errors: store
---@param options crdbcloud.cloud.rotation_status.options
---@return crdbcloud.status|nil rows, each with its cluster
---@return crdbcloud.error|nil err
function cloud:rotation_status(options) end
