---@meta crdbcloud.types.sql
-- Declarations for editors, made by `make reference` from lua/crdbcloud/reference; never loaded.

---@class crdbcloud.sqls sql
local sqls = {}

---@class crdbcloud.sqls.connect.options
---@field host string required
---@field hostaddr? string IP address, without a name look-up
---@field port? integer|string port of the server; default 26257
---@field dbname? string name of the database
---@field user string required
---@field password? string|crdbcloud.secret password of the user
---@field sslmode? string disable, allow, prefer, require, verify-ca or verify-full; default "verify-full"
---@field sslrootcert? string certificate authority, a PEM file; default ca_file, CRDBCLOUD_CA_FILE or the system's
---@field sslcert? string client certificate
---@field sslkey? string key of the client certificate
---@field options? string settings of the session
---@field application_name? string name that the server shows
---@field passfile? string password file
---@field connect_timeout? crdbcloud.duration time limit of the login; default "10s"
---@field deadline? crdbcloud.duration time limit of one statement; default "30s"
---@field insecure? boolean allow a weaker sslmode to another machine; default false
---@field ca_file? string certificate authority, where sslrootcert is not given

--- Logs in and returns the connection.
--- It takes a URL (a string or a secret), or fields. Without a password it reads the password file (PGPASSFILE, ~/.pgpass). To another machine sslmode must be verify-full, unless insecure = true.
--- Errors: sql (with err.sqlstate), network, tls, timeout, invalid_argument
---@param options string|crdbcloud.sqls.connect.options
---@return crdbcloud.sql|nil the connection
---@return crdbcloud.error|nil err
function sqls.connect(options) end

--- Makes a connection of this library from what the caller has.
--- Errors: every kind that connect has
---@param spec any URL, secret, fields, a connection of another library, or a function that returns one
---@param overrides? table fields that replace those of the URL
---@return crdbcloud.sql|nil the connection
---@return crdbcloud.error|nil err
function sqls.open(spec, overrides) end

---@class crdbcloud.sqls.options.options
---@field timeout? crdbcloud.duration time limit of the statement; default the connection's deadline
---@field secret_columns? string[] columns to return as secrets

--- Makes options of one statement; they are its last argument.
---@param options? crdbcloud.sqls.options.options
---@return table options for sql:query
function sqls.options(options) end

---@class crdbcloud.sql a sql connection
local sql = {}

--- Runs one statement. A secret goes to the server without becoming a Lua string.
--- Errors: sql (with err.sqlstate), network, timeout. err.outcome says what became of a statement that writes.
---@param text string one statement, with $1, $2, …
---@param ... any values of $1, $2, …; nil is NULL
---@return crdbcloud.rows|nil { column = string, or nil for NULL } each; n, tag, columns; prints as a table
---@return crdbcloud.error|nil err
function sql:query(text, ...) end

--- Asks the server once what it says of itself.
--- Errors: sql
---@return string|nil CockroachDB CCL v25.2.1 (…)
---@return crdbcloud.error|nil err
function sql:version() end

--- Asks the server once what kind it is.
--- Errors: sql
---@return "cockroachdb"|"postgresql"|nil the dialect
---@return crdbcloud.error|nil err
function sql:dialect() end

--- Asks the server once for its own id: the cluster's as SQL knows it, not the API's; of PostgreSQL the system identifier.
--- Errors: sql
---@return string|nil the id
---@return crdbcloud.error|nil err
function sql:server_id() end

--- Returns the user of this session.
--- Errors: sql
---@return string|nil name, in lower case
---@return crdbcloud.error|nil err
function sql:user() end

--- Opens a connection to another database of the same server.
--- Errors: sql
---@param name string name of a database
---@return crdbcloud.sql|nil a connection; it closes together with this one
---@return crdbcloud.error|nil err
function sql:database(name) end

--- Returns host, port, dbname, user, sslmode and sslrootcert of the connection.
---@return table no password
function sql:info() end

--- Returns false after the connection was closed or lost.
---@return boolean
function sql:is_open() end

--- Closes the connection. Closing twice is allowed.
function sql:close() end

---@class crdbcloud.stores stores
local stores = {}

---@class crdbcloud.stores.open.options
---@field store_key_file? string file of keys that seal the passwords in the store
---@field plaintext? boolean allow a shared store to hold passwords that are not sealed; default false
---@field ca_file? string certificate authority of a database
---@field command? string[] exec: the command, in place of the one in the URL
---@field timeout? crdbcloud.duration exec: time limit of one run of the command; default "30s"
---@field lease? crdbcloud.duration exec: how long a lock outlives its holder; default "60s"
---@field single_writer? boolean exec: allow a command without compare-and-swap; default false

--- Opens a store.
--- Errors: store, invalid_argument
---@param url string|crdbcloud.secret such as file:/var/lib/crdbcloud
---@param options? crdbcloud.stores.open.options
---@return crdbcloud.store|nil the store
---@return crdbcloud.error|nil err
function stores.open(url, options) end

--- Makes the directory or the tables, and keeps what is there.
--- Errors: store, invalid_argument
---@param url string URL of the store
---@param options? crdbcloud.stores.open.options
---@return string|nil what was made
---@return crdbcloud.error|nil err
function stores.init(url, options) end

---@class crdbcloud.store a store
local store = {}

--- Reads a record; returns nothing when there is none.
--- Errors: store
---@param key string CLUSTER_ID/USER
---@return table|nil the record
---@return any version of the record
---@return crdbcloud.error|nil err
function store:get(key) end

--- Writes the record if its version has not changed.
--- Errors: conflict: another run changed the record. store: the record may not be written; a caller then sends nothing.
---@param key string CLUSTER_ID/USER
---@param record table the record
---@param version any version of the record that it replaces; nil when there must be none
---@return any|nil the new version
---@return crdbcloud.error|nil err
function store:put(key, record, version) end

--- Lists all keys that begin with a prefix, sorted.
--- Errors: store
---@param prefix string "" for all, or "CLUSTER_ID/"
---@return string[]|nil the keys; they print one a line
---@return crdbcloud.error|nil err
function store:list(prefix) end

--- Removes the record if its version has not changed.
--- Errors: conflict, store
---@param key string CLUSTER_ID/USER
---@param version any version of the record
---@return true|nil
---@return crdbcloud.error|nil err
function store:remove(key, version) end

--- Locks a user until lock.close().
--- Errors: busy: another run holds the lock. store.
---@param key string CLUSTER_ID/USER
---@param note? string text that tells others who holds it
---@return table|nil the lock
---@return crdbcloud.error|nil err
function store:lock(key, note) end

--- Returns what a person should know of this store before trusting it.
---@return string[] texts
function store:warnings() end

--- Closes the store. Closing twice is allowed.
function store:close() end
