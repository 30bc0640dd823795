---@meta crdbcloud.types.module
-- Declarations for editors, made by `make reference` from lua/crdbcloud/reference; never loaded.

---@class crdbcloud the module
---@field secret crdbcloud.secrets secrets: help "secret"
---@field password crdbcloud.passwords passwords made and checked: help "password"
---@field names crdbcloud.names names of SQL users: help "names"
---@field privileges crdbcloud.privileges access in SQL: help "privileges"
---@field sql crdbcloud.sqls SQL connections: help "sql"
---@field store crdbcloud.stores stores of credentials: help "store"
---@field errors crdbcloud.errors the type of errors: help "errors"
---@field core crdbcloud.core the C module: one exchange per call, no policy
---@field version string of this library
local crdbcloud = {}

---@class crdbcloud.new.options
---@field api_key? string|crdbcloud.secret|fun(): crdbcloud.secret the key; a function is asked again once after a 401
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
---@field on_event? fun(event: table) told of each step; never sees a secret or a body

--- Opens an API account. No network is used.
--- What is not given comes from the environment: COCKROACH_API_KEY, COCKROACH_API_KEY_FILE or COCKROACH_API_JWT, COCKROACH_SERVER, COCKROACH_VANITY_NAME, COCKROACH_USERNAME, CRDBCLOUD_CA_FILE.
--- Errors: unauthenticated: there is no key, or it cannot be read. invalid_argument: something in the environment is wrong.
---@param options? crdbcloud.new.options
---@return crdbcloud.cloud|nil the account
---@return crdbcloud.error|nil err
function crdbcloud.new(options) end

---@class crdbcloud.credentials.options
---@field source string required; a store's URL, or json:PATH as written by a json sink
---@field user string required; name of the user
---@field cluster? string name or id, where a store holds the user of several clusters
---@field store_key_file? string file of keys that seal the passwords in the store
---@field plaintext? boolean let a shared store hold passwords in the clear; default false
---@field ca_file? string of a store in a database

--- Opens the credential of one user for a program that only connects.
--- Needs no API key and no network but the source.
--- Errors: store, not_found, invalid_argument
---@param options crdbcloud.credentials.options
---@return crdbcloud.credential_source|nil see help "credentials"
---@return crdbcloud.error|nil err
function crdbcloud.credentials(options) end

--- Runs a program so that its exit code says what became of it; does not return.
--- 0 when fn returns, the error's own code when it raises an error object (assert(nil, err) does), 70 for any other error. help "exit codes" lists them.
---@param fn fun(...) the program
---@param ... any its arguments
function crdbcloud.main(fn, ...) end

--- Prints this reference: all of it by name, or one topic.
---@param topic? any a name, a function, or an object
function crdbcloud.help(topic) end
