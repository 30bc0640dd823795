---@meta crdbcloud.types.sql
-- Declarations for editors, made by `make reference` from lua/crdbcloud/reference; never loaded.

---@class crdbcloud.sqls sql
local sqls = {}

---@class crdbcloud.sqls.connect.options
---@field host string required
---@field hostaddr? string address in its place, without a look-up
---@field port? integer|string port; default 26257
---@field dbname? string database
---@field user string required
---@field password? string|crdbcloud.secret password
---@field sslmode? string disable, allow, prefer, require, verify-ca or verify-full; default "verify-full"
---@field sslrootcert? string certificate authority; default ca_file, CRDBCLOUD_CA_FILE or the system's
---@field sslcert? string client certificate
---@field sslkey? string its key
---@field options? string options of the session
---@field application_name? string shown by the server
---@field passfile? string password file
---@field connect_timeout? crdbcloud.duration limit of the login; default "10s"
---@field deadline? crdbcloud.duration limit of one statement; default "30s"
---@field insecure? boolean take a weaker sslmode to another machine; default false
---@field ca_file? string certificate authority, where sslrootcert is not given

--- Logs in.
--- Takes a URL (a string or a secret), or fields. Without a password the password file is asked (PGPASSFILE, ~/.pgpass). To another machine sslmode must be verify-full, unless insecure = true.
--- Errors: sql (with err.sqlstate), network, tls, timeout, invalid_argument
---@param options string|crdbcloud.sqls.connect.options
---@return crdbcloud.sql|nil the connection
---@return crdbcloud.error|nil err
function sqls.connect(options) end

--- Makes a connection object of whatever there is.
--- Errors: as of connect
---@param spec any URL, secret, fields, a connection of another library, or a function that gives one
---@param overrides? table fields that win over the URL's
---@return crdbcloud.sql|nil the connection
---@return crdbcloud.error|nil err
function sqls.open(spec, overrides) end

---@class crdbcloud.sqls.options.options
---@field timeout? crdbcloud.duration limit of the statement; default the connection's deadline
---@field secret_columns? string[] columns that come back as secrets

--- Options of one statement, as its last argument.
---@param options? crdbcloud.sqls.options.options
---@return table for sql:query
function sqls.options(options) end

---@class crdbcloud.sql a sql connection
local sql = {}

--- Runs one statement. A secret goes from its own memory to the server.
--- Errors: sql with err.sqlstate, network, timeout; err.outcome for a statement that writes
---@param text string one statement, with $1, $2, …
---@param ... any their values; nil is NULL
---@return crdbcloud.rows|nil { column = string, or nil for NULL } each; n, tag, columns; prints as a table
---@return crdbcloud.error|nil err
function sql:query(text, ...) end

--- The kind of server, by asking it once.
--- Errors: sql
---@return "cockroachdb"|"postgresql"|nil the dialect
---@return crdbcloud.error|nil err
function sql:dialect() end

--- The user of this session.
--- Errors: sql
---@return string|nil folded
---@return crdbcloud.error|nil err
function sql:user() end

--- A connection to another database of the same server.
--- Errors: sql
---@param name string name of a database
---@return crdbcloud.sql|nil closed together with this one
---@return crdbcloud.error|nil err
function sql:database(name) end

--- Where it goes: host, port, dbname, user, sslmode, sslrootcert.
---@return table no password
function sql:info() end

--- False once it was closed or lost.
---@return boolean
function sql:is_open() end

--- Closes it. Closing twice is allowed.
function sql:close() end

---@class crdbcloud.stores stores
local stores = {}

---@class crdbcloud.stores.open.options
---@field store_key_file? string file of keys that seal the passwords in the store
---@field plaintext? boolean let a shared store hold passwords in the clear; default false
---@field ca_file? string of a database
---@field command? string[] of exec:, in place of the one in the URL
---@field timeout? crdbcloud.duration of exec:, limit of one run of the command; default "30s"
---@field lease? crdbcloud.duration of exec:, how long a lock outlives its holder; default "60s"
---@field single_writer? boolean of exec:, a command without compare-and-swap will do; default false

--- Opens a store.
--- Errors: store, invalid_argument
---@param url string|crdbcloud.secret such as file:/var/lib/crdbcloud
---@param options? crdbcloud.stores.open.options
---@return crdbcloud.store|nil the store
---@return crdbcloud.error|nil err
function stores.open(url, options) end

--- Makes the directory or the tables; what is there stays.
--- Errors: store, invalid_argument
---@param url string of the store
---@param options? crdbcloud.stores.open.options
---@return string|nil what was made
---@return crdbcloud.error|nil err
function stores.init(url, options) end

---@class crdbcloud.store a store
local store = {}

--- The record; nothing when there is none.
--- Errors: store
---@param key string CLUSTER_ID/USER
---@return table|nil the record
---@return any its version
---@return crdbcloud.error|nil err
function store:get(key) end

--- Writes the record if its version is still this one.
--- Errors: conflict: another run was faster. store: nothing is sent after it.
---@param key string CLUSTER_ID/USER
---@param record table the record
---@param version any of the record that it replaces; nil: there is none
---@return any|nil the new version
---@return crdbcloud.error|nil err
function store:put(key, record, version) end

--- All keys that begin with a prefix, sorted.
--- Errors: store
---@param prefix string "" for all, or "CLUSTER_ID/"
---@return string[]|nil prints one a line
---@return crdbcloud.error|nil err
function store:list(prefix) end

--- Removes the record if its version is still this one.
--- Errors: conflict, store
---@param key string CLUSTER_ID/USER
---@param version any of the record
---@return true|nil
---@return crdbcloud.error|nil err
function store:remove(key, version) end

--- Takes a user until lock.close().
--- Errors: busy: another run holds it. store.
---@param key string CLUSTER_ID/USER
---@param note? string who holds it, for others
---@return table|nil the lock
---@return crdbcloud.error|nil err
function store:lock(key, note) end

--- What a person should know of this store before trusting it.
---@return string[] texts
function store:warnings() end

--- Closes it. Closing twice is allowed.
function store:close() end
