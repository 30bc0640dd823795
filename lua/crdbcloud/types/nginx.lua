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
---@field api_key_file? string file with the key, mode 0600; read again once after a 401
---@field api_jwt? string|crdbcloud.secret a JWT instead of a key
---@field vanity_name? string with api_jwt: the organization
---@field username? string with api_jwt: who signs in
---@field base_url? string API server; http only to this machine; default "https://cockroachlabs.cloud"
---@field api_version? string version of the API; default "2024-09-16"
---@field timeout? crdbcloud.duration limit of one attempt; default "30s"
---@field connect_timeout? crdbcloud.duration limit of making a connection; default "10s"
---@field deadline? crdbcloud.duration limit of one operation with its retries; default "120s"
---@field max_attempts? integer exchanges of one operation, from 1; default 4
---@field rate? number requests per second, evenly spaced, for the account and all threads; 0: unpaced; default 10
---@field account? string name of the budget that `rate` is for; default server and key id
---@field ca_file? string certificate authority, a PEM file; default the system's
---@field proxy? string URL of a proxy; never taken from the environment
---@field user_agent? string appended to ours
---@field api_key? string|crdbcloud.secret the key; api_key_file is read again after a 401
---@field thread_pool? string name of a thread_pool of nginx.conf; default "crdbcloud"
---@field max_calls? integer calls under way at once, per worker and pool; default 16
---@field max_wait? crdbcloud.duration how long a call waits for its turn; then kind "busy"; default "5s"

--- An API account. No I/O; may be made before the fork and kept at module level.
---@param options? crdbcloud.nginx.new.options
---@return crdbcloud.nginx.cloud the account
function nginx.new(options) end

---@class crdbcloud.nginx.credential.options
---@field cluster? string name or id, where the dictionary has several

--- The credential of a user from a shared dictionary. No I/O.
--- Errors: not_found, conflict
---@param dict string name of a lua_shared_dict
---@param user string name of the user
---@param options? crdbcloud.nginx.credential.options
---@return crdbcloud.credential|nil as cluster:credential gives it
---@return crdbcloud.error|nil err
function nginx.credential(dict, user, options) end

---@class crdbcloud.nginx.connect_with.options
---@field deadline? crdbcloud.duration how long to read again and try; default "10s"
---@field cluster? string name or id, where the dictionary has several

--- Connects with the first password that works, for pgmoon or any cosocket client.
--- Errors: the last error of connect, or as of credential
---@param dict string name of a lua_shared_dict
---@param user string name of the user
---@param connect fun(credential: crdbcloud.credential): any, any runs in the event loop; returns a connection, or nil and why
---@param options? crdbcloud.nginx.connect_with.options
---@return any|nil the connection
---@return crdbcloud.error|nil err
function nginx.connect_with(dict, user, connect, options) end

--- The HTTP status that a service answers with; an upstream's 401 is not ours.
---@param err crdbcloud.error
---@return integer 400, 404, 409, 502, 503, 504 or 500
function nginx.http_status(err) end

---@class crdbcloud.nginx.schedule.options
---@field cluster crdbcloud.nginx.cluster required; a handle
---@field dict string required; name of a lua_shared_dict
---@field every crdbcloud.duration required; how often
---@field jitter? string|crdbcloud.duration a share of every, or a duration; default "10%"
---@field users? string|string[]|"managed"|"all" whose passwords; default "managed"
---@field max_age? crdbcloud.duration|"policy" only passwords that are older; default every
---@field exclude? string|string[] names to leave alone
---@field max_failures? integer|false stop after so many in a row; false: never; default 3
---@field skip_admins? boolean leave admins alone; default false
---@field parallel? integer threads, 1 to 64; needs luv; default 1
---@field window? string hours in which a user may be started on, such as "22:00-04:00"
---@field before? string[] command that runs once before the first change
---@field after? string[] command that runs once after something was published
---@field verify? "auto"|"require"|false prove each change by a login, where one is possible, always, or never; default "auto"
---@field keep_previous? crdbcloud.duration how long the old password is kept for a rollback; default "24h"
---@field cancel_sessions? boolean end the user's sessions after the change; default false
---@field sinks? string|table in place of all other sinks of the user; help "sinks"
---@field reason? string kept in the record

--- Rotates by the clock, one run per host; called in init_worker of every worker.
---@param options crdbcloud.nginx.schedule.options
---@return table the schedule
function nginx.schedule(options) end

--- How the schedule of a cluster is; for requests.
--- Errors: not_found
---@param dict string name of a lua_shared_dict
---@param cluster? string name or id, where the dictionary has several
---@return table|nil every, running, progress, next_due, failures, last_success, last, …
---@return crdbcloud.error|nil err
function nginx.schedule_status(dict, cluster) end

---@class crdbcloud.nginx.schedule_now.options
---@field cluster? string name or id, where the dictionary has several
---@field users? string|string[]|"managed"|"all" whose passwords; default "managed"
---@field reason? string kept in the record

--- Asks the schedule to rotate at once; returns before it is done.
--- Errors: not_found, busy
---@param dict string name of a lua_shared_dict
---@param options? crdbcloud.nginx.schedule_now.options
---@return table|nil { cluster, asked_at }
---@return crdbcloud.error|nil err
function nginx.schedule_now(dict, options) end

---@class crdbcloud.nginx.keep_credentials.options
---@field cluster crdbcloud.nginx.cluster required; a handle
---@field dict string required; name of a lua_shared_dict
---@field users? string|string[]|"managed" whose credentials; default "managed"
---@field every? crdbcloud.duration how often; default "10s"

--- Keeps a shared dictionary in step with the store; called in init_worker of every worker.
---@param options crdbcloud.nginx.keep_credentials.options
---@return table the keeper
function nginx.keep_credentials(options) end

--- How keeping goes; for requests.
--- Errors: not_found
---@param dict string name of a lua_shared_dict
---@param cluster? string name or id, where the dictionary has several
---@return table|nil users, read_at, problems, error, failing_since
---@return crdbcloud.error|nil err
function nginx.keep_status(dict, cluster) end
