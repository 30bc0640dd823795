---@meta crdbcloud.types.module
-- Declarations for editors, made by `make reference` from lua/crdbcloud/reference; never loaded.

---@class crdbcloud the module
---@field secret crdbcloud.secrets makes secrets; help "secret"
---@field password crdbcloud.passwords makes and checks passwords; help "password"
---@field names crdbcloud.names checks names of SQL users; help "names"
---@field privileges crdbcloud.privileges changes and reads access by SQL; help "privileges"
---@field sql crdbcloud.sqls opens SQL connections; help "sql"
---@field store crdbcloud.stores opens stores of credentials; help "store"
---@field errors crdbcloud.errors recognizes errors of this library; help "errors"
---@field core crdbcloud.core the C module: one HTTP exchange per call, without retries
---@field version string version of this library
local crdbcloud = {}

---@class crdbcloud.new.options
---@field api_key? string|crdbcloud.secret|fun(): crdbcloud.secret the key; after a 401 a function is called once more
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
---@field on_event? fun(event: table) called at each step; sees no secret and no body

--- Opens an API account without using the network.
--- The environment gives what the options do not: COCKROACH_API_KEY, COCKROACH_API_KEY_FILE or COCKROACH_API_JWT, COCKROACH_SERVER, COCKROACH_VANITY_NAME, COCKROACH_USERNAME, CRDBCLOUD_CA_FILE.
--- Errors: unauthenticated: there is no key, or the key cannot be read. invalid_argument: a variable of the environment is wrong.
---@param options? crdbcloud.new.options
---@return crdbcloud.cloud|nil the account
---@return crdbcloud.error|nil err
function crdbcloud.new(options) end

---@class crdbcloud.credentials.options
---@field source string required; URL of a store, or json:PATH as a json sink writes it
---@field user string required; name of the user
---@field cluster? string name or id, where the store has the user on several clusters
---@field store_key_file? string file of keys that seal the passwords in the store
---@field plaintext? boolean allow a shared store to hold passwords that are not sealed; default false
---@field ca_file? string certificate authority of a store in a database

--- Opens the credential of one user for a program that only connects.
--- The program needs no API key and no network but to the source.
--- Errors: store, not_found, invalid_argument
---@param options crdbcloud.credentials.options
---@return crdbcloud.credential_source|nil see help "credentials"
---@return crdbcloud.error|nil err
function crdbcloud.credentials(options) end

--- Runs a program and ends the process with an exit code that says what became of the change.
--- The code is 0 when fn returns, err.exit when fn raises an error object (assert(nil, err) does), and 70 for any other error. help "exit codes" lists the codes.
---@param fn fun(...) the program
---@param ... any its arguments
function crdbcloud.main(fn, ...) end

--- Prints the names of all calls, or explains one topic.
---@param topic? any a name, a function, or an object
function crdbcloud.help(topic) end
