---@meta crdbcloud.types.cloud
-- Declarations for editors, made by `make reference` from lua/crdbcloud/reference; never loaded.

---@class crdbcloud.cloud the account
---@field config table the settings in force, without secrets
local cloud = {}

---@class crdbcloud.cloud.cluster.options
---@field store? string|table|crdbcloud.secret the store, or its URL; default CRDBCLOUD_STORE
---@field sql? string|crdbcloud.secret|table|function|false SQL connection of an admin: URL, fields, a connection of any library, or a function that returns one; false is none; default CRDBCLOUD_SQL
---@field sql_ca_file? string certificate authority of the SQL connection; default CRDBCLOUD_CA_FILE
---@field sinks? string|table where the credentials of all users are published; help "sinks"
---@field store_key_file? string file of keys that seal the passwords in the store
---@field plaintext? boolean allow a shared store to hold passwords that are not sealed; default false

--- Makes a handle of one cluster, which has the workflows, and the API's calls without the cluster's id. It does no I/O.
--- Errors: invalid_argument: neither the call nor CRDBCLOUD_CLUSTER names a cluster.
---@param name_or_id? string default CRDBCLOUD_CLUSTER
---@param options? crdbcloud.cloud.cluster.options
---@return crdbcloud.cluster|nil the handle
---@return crdbcloud.error|nil err
function cloud:cluster(name_or_id, options) end

--- Finds the one cluster with this name or id.
--- Errors: not_found. conflict: two clusters have the name. invalid_argument: the text is a routing id or an address.
---@param name_or_id string name or id of a cluster
---@return crdbcloud.cluster_info|nil id, name, state, plan, …
---@return crdbcloud.error|nil err
function cloud:find_cluster(name_or_id) end

---@class crdbcloud.cloud.request.options: crdbcloud.limits_options
---@field query? table<string, string|number|boolean> parameters of the query
---@field body? string|crdbcloud.secret|table what is sent; a table becomes JSON

--- Calls any other endpoint by the same rules.
--- It retries GET where that helps, PUT and DELETE when they got no answer, POST and PATCH only when they surely did nothing.
--- Errors: every kind that a call of the API has
---@param method string GET, POST, PUT, PATCH or DELETE
---@param path string begins with "/", percent-encoded, without a query
---@param options? crdbcloud.cloud.request.options
---@return table|nil the decoded answer
---@return crdbcloud.error|nil err
function cloud:request(method, path, options) end

--- Returns the name of the account's budget: server and key id.
---@return string for people
function cloud:account() end

--- Closes connections and wipes its copy of the key. Closing twice is allowed.
function cloud:close() end

---@class crdbcloud.cloud.rotate_passwords.options: crdbcloud.rotation_options
---@field clusters string|string[]|"all" required; names or ids
---@field store? string|table|crdbcloud.secret URL of the store; default CRDBCLOUD_STORE
---@field sql? false|fun(cluster: table): any function that returns the SQL connection of a cluster; false is none
---@field sql_ca_file? string certificate authority of SQL connections
---@field store_key_file? string file of keys that seal the passwords in the store
---@field plaintext? boolean allow a shared store to hold passwords that are not sealed; default false
---@field users? string|string[]|"managed"|"all"|fun(user: table): boolean names, "managed" (users with a record), "all" (all but protected and SSO users), or a function; this, emergency or plan is required
---@field exclude? string|string[] names of users to skip
---@field max_age? crdbcloud.duration|"policy" rotate only older passwords; "policy" is 90 days or the user's own max_age
---@field max_failures? integer|false stop after so many failures in a row; false is never; default 3
---@field skip_admins? boolean skip users that are admins; default false
---@field parallel? integer number of threads, 1 to 64; needs luv; default 1
---@field window? string hours in which the run may start on a user, such as "22:00-04:00"
---@field emergency? string|string[]|"all" users, in place of `users`: rotate at once and end their sessions, even when the store is down
---@field before? string[] command to run once before the first change
---@field after? string[] command to run once after the last publication

--- Rotates passwords on several clusters.
--- Errors: err.report says what became of each user. After exit codes 3, 5, 6 and 129 to 143 cluster:resume() finishes the work.
---@param options crdbcloud.cloud.rotate_passwords.options
---@return crdbcloud.report|nil the report, only when everything is done and published; it prints as a table and has :json()
---@return crdbcloud.error|nil err
function cloud:rotate_passwords(options) end

--- Reports what rotate_passwords with the same options would do. It only reads.
--- Errors: err.report says what became of each user. After exit codes 3, 5, 6 and 129 to 143 cluster:resume() finishes the work.
---@param options crdbcloud.cloud.rotate_passwords.options
---@return crdbcloud.report|nil the report, only when everything is done and published; it prints as a table and has :json()
---@return crdbcloud.error|nil err
function cloud:plan_rotation(options) end

---@class crdbcloud.cloud.resume.options
---@field clusters string|string[]|"all" required; names or ids
---@field store? string|table|crdbcloud.secret URL of the store; default CRDBCLOUD_STORE
---@field sql? false|fun(cluster: table): any function that returns the SQL connection of a cluster; false is none
---@field sql_ca_file? string certificate authority of SQL connections
---@field store_key_file? string file of keys that seal the passwords in the store
---@field plaintext? boolean allow a shared store to hold passwords that are not sealed; default false
---@field after? string[] command to run once after the last publication
---@field verify? "auto"|"require"|false log in after each change: where a login is possible, always, or never; default "auto"
---@field keep_previous? crdbcloud.duration how long the store keeps the old password for a rollback; default "24h"
---@field allow_admin? boolean rotate an application user too that has become an admin; it is refused otherwise; default false
---@field sinks? string|table where to publish, in place of all other sinks of the user; help "sinks"
---@field dry_run? boolean report what the call would do; send nothing; default false
---@field reason? string why; the record keeps it
---@field on_progress? fun(event: table) called at each step; an event prints as a line

--- Finishes what crashes left half done on several clusters.
--- Errors: err.report says what became of each user. After exit codes 3, 5, 6 and 129 to 143 cluster:resume() finishes the work.
---@param options crdbcloud.cloud.resume.options
---@return crdbcloud.report|nil the report, only when everything is done and published; it prints as a table and has :json()
---@return crdbcloud.error|nil err
function cloud:resume(options) end

---@class crdbcloud.cloud.rotation_status.options
---@field clusters string|string[]|"all" required; names or ids
---@field store? string|table|crdbcloud.secret URL of the store; default CRDBCLOUD_STORE
---@field sql? false|fun(cluster: table): any function that returns the SQL connection of a cluster; false is none
---@field sql_ca_file? string certificate authority of SQL connections
---@field store_key_file? string file of keys that seal the passwords in the store
---@field plaintext? boolean allow a shared store to hold passwords that are not sealed; default false

--- Shows what the store says of the users of several clusters.
--- Errors: store
---@param options crdbcloud.cloud.rotation_status.options
---@return crdbcloud.status|nil rows, each with its cluster
---@return crdbcloud.error|nil err
function cloud:rotation_status(options) end
