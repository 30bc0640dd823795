---@meta crdbcloud.types.nginx
-- Declarations for editors, made by `make reference` from lua/crdbcloud/reference; never loaded.

---@class crdbcloud.nginx nginx and openresty
---@field secret crdbcloud.nginx.secrets from_file in init_worker only; no prompt
---@field password crdbcloud.passwords as in a script
---@field names crdbcloud.names as in a script
---@field errors crdbcloud.errors as in a script
---@field privileges crdbcloud.privileges what needs no connection
---@field version string of this library
local nginx = {}

---@class crdbcloud.nginx.new.options
---@field api_key_file? string file with the key, mode 0600; after a 401 it is read once more
---@field api_jwt? string|crdbcloud.secret a JWT instead of a key
---@field vanity_name? string the organization, with api_jwt
---@field username? string the person or service account, with api_jwt
---@field base_url? string API server; http is allowed to this machine only; default "https://cockroachlabs.cloud"
---@field api_version? string version of the API; default "2024-09-16"
---@field timeout? crdbcloud.duration time limit of one attempt; default "30s"
---@field connect_timeout? crdbcloud.duration time limit of connecting; default "10s"
---@field deadline? crdbcloud.duration time limit of one call with its retries; default "120s"
---@field max_attempts? integer attempts of one call, from 1; default 4
---@field max_items? integer items of one list; a longer one is an error of kind protocol, as are 64 MiB of names; default 100000
---@field rate? number requests per second of the account in all threads, evenly spaced; 0 is no limit; default 10
---@field account? string name of the budget that `rate` limits; default server and key id
---@field ca_file? string certificate authority, a PEM file; default the system's
---@field proxy? string URL of a proxy; never taken from the environment
---@field user_agent? string text appended to the User-Agent header
---@field api_key? string|crdbcloud.secret the key; only api_key_file is read again after a 401
---@field thread_pool? string name of a thread_pool of nginx.conf; default "crdbcloud"
---@field max_calls? integer number of calls that run at once, per worker and pool; default 16
---@field max_wait? crdbcloud.duration how long a call waits for its turn; then its error is busy; default "5s"

--- Opens an API account without I/O. It may be made before the fork and kept at module level.
---@param options? crdbcloud.nginx.new.options
---@return crdbcloud.nginx.cloud the account
function nginx.new(options) end

---@class crdbcloud.nginx.credential.options
---@field cluster? string name or id, when the dictionary has several clusters

--- Reads the credential of a user from a shared dictionary, without I/O.
--- Errors: not_found, conflict
---@param dict string name of a lua_shared_dict
---@param user string name of the user
---@param options? crdbcloud.nginx.credential.options
---@return crdbcloud.credential|nil the same as cluster:credential returns
---@return crdbcloud.error|nil err
function nginx.credential(dict, user, options) end

---@class crdbcloud.nginx.connect_with.options: crdbcloud.nginx.credential.options
---@field deadline? crdbcloud.duration time limit of reading the dictionary again and trying; default "10s"

--- Connects with the first password that works, for pgmoon or any cosocket client.
--- Errors: the last error of connect, or an error of credential
---@param dict string name of a lua_shared_dict
---@param user string name of the user
---@param connect fun(credential: crdbcloud.credential): any, any runs in the event loop; returns a connection, or nil and why
---@param options? crdbcloud.nginx.connect_with.options
---@return any|nil the connection
---@return crdbcloud.error|nil err
function nginx.connect_with(dict, user, connect, options) end

--- Returns the HTTP status that a service answers with. When the API refuses the key, that is 502, not 401.
---@param err crdbcloud.error error of a call
---@return integer 400, 404, 409, 502, 503, 504 or 500
function nginx.http_status(err) end

---@class crdbcloud.nginx.schedule.options
---@field cluster crdbcloud.nginx.cluster required; a handle
---@field dict string required; name of a lua_shared_dict
---@field every crdbcloud.duration required; how often
---@field jitter? string|crdbcloud.duration a share of every, or a duration; default "10%"
---@field users? string|string[]|"managed"|"all" users to rotate; default "managed"
---@field max_age? crdbcloud.duration|"policy" rotate only older passwords; default every
---@field exclude? string|string[] names of users to skip
---@field max_failures? integer|false stop after so many failures in a row; false is never; default 3
---@field skip_admins? boolean skip users that are admins; default false
---@field parallel? integer number of threads, 1 to 64; needs luv; default 1
---@field window? string hours in which the run may start on a user, such as "22:00-04:00"
---@field before? string[] command to run once before the first change
---@field after? string[] command to run once after the last publication
---@field verify? "auto"|"require"|false log in after each change: where a login is possible, always, or never; default "auto"
---@field keep_previous? crdbcloud.duration how long the store keeps the old password for a rollback; default "24h"
---@field cancel_sessions? boolean end the sessions that began before the new password was live; default false
---@field allow_admin? boolean rotate an application user too that has become an admin; it is refused otherwise; default false
---@field sinks? string|table where to publish, in place of all other sinks of the user; help "sinks"
---@field reason? string why; the record keeps it

--- Rotates by the clock with one run per host. Every worker calls it in init_worker.
---@param options crdbcloud.nginx.schedule.options
---@return table the schedule
function nginx.schedule(options) end

--- Returns the state of a cluster's schedule, for requests.
--- Errors: not_found
---@param dict string name of a lua_shared_dict
---@param cluster? string name or id, when the dictionary has several clusters
---@return table|nil every, running, progress, next_due, failures, last_success, last, …
---@return crdbcloud.error|nil err
function nginx.schedule_status(dict, cluster) end

---@class crdbcloud.nginx.schedule_now.options: crdbcloud.nginx.credential.options
---@field users? string|string[]|"managed"|"all" users to rotate; default "managed"
---@field reason? string why; the record keeps it

--- Asks the schedule to rotate at once, and returns before the rotation ends.
--- Errors: not_found, busy
---@param dict string name of a lua_shared_dict
---@param options? crdbcloud.nginx.schedule_now.options
---@return table|nil { cluster, asked_at }
---@return crdbcloud.error|nil err
function nginx.schedule_now(dict, options) end

---@class crdbcloud.nginx.keep_credentials.options
---@field cluster crdbcloud.nginx.cluster required; a handle
---@field dict string required; name of a lua_shared_dict
---@field users? string|string[]|"managed" users whose credentials are copied; default "managed"
---@field every? crdbcloud.duration how often; default "10s"

--- Copies credentials from the store to a shared dictionary. Every worker calls it in init_worker.
---@param options crdbcloud.nginx.keep_credentials.options
---@return table the keeper
function nginx.keep_credentials(options) end

--- Returns the state of keep_credentials, for requests.
--- Errors: not_found
---@param dict string name of a lua_shared_dict
---@param cluster? string name or id, when the dictionary has several clusters
---@return table|nil users, read_at, problems, error, failing_since
---@return crdbcloud.error|nil err
function nginx.keep_status(dict, cluster) end
