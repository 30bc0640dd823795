--- Reference: what a cluster handle gives to programs that connect, SQL connections and stores.

local shared = require "crdbcloud.reference.shared"

local CONNECT = { "connect", "fun(credential: crdbcloud.credential): any, any", "takes a credential and returns a connection, or nil and why" }
local WAIT = { { "deadline", "crdbcloud.duration", "time limit of reading the store again and trying", '"10s"' } }

return {
  {
    title = "Credentials of a cluster", object = "cluster", class = "crdbcloud.cluster",
    fields = { { "cloud", "crdbcloud.cloud", "the account" }, { "name_or_id", "string", "the cluster as the caller named it" } },
    -- For workflows.
    internal = {
      "resolve", "id", "knows", "open_store", "open_sql", "has_store", "has_sql", "sql_account", "sql_place", "same_cluster", "probe_target",
      "string_params", "address",
    },
    entries = {
      {
        name = "credential", args = { { "user", "string", "name of the user" } }, summary = "Reads the credential of a user from the store, without a request.",
        returns = { { "crdbcloud.credential", "user, password (a secret), host, port, database, sslmode, epoch, set_at, pool_name, candidates" } },
        errors = "not_found: the store has no credential. pending: the user is half made. store: the store cannot be read.",
        example = 'local credential = assert(cluster:credential "payment_service")',
      },
      {
        name = "connect_with", args = { { "user", "string", "name of the user" }, CONNECT }, options = WAIT,
        summary = "Connects with the first password that works: the current, the staged, or the previous one.",
        text = "It tries the next one only after a wrong password (SQLSTATE 28P01 or 28000, or the known text), then reads the store again.",
        returns = { { "any", "the connection" } }, errors = "the last error of connect, or an error of credential",
        example = [[
local db = assert(cluster:connect_with("payment_service", function(credential)
  return crdbcloud.sql.connect { host = credential.host, port = credential.port, dbname = credential.database,
    user = credential.user, password = credential.password }
end))]],
      },
      { name = "close", summary = "Closes the SQL connection and the store. Closing twice is allowed.", example = "cluster:close()" },
    },
  },
  {
    title = "A credential", object = "credential", class = "crdbcloud.credential", source = "cluster:credential",
    fields = {
      { "user", "string", "user to log in as" }, { "password", "crdbcloud.secret", "the password; print shows its length only" },
      { "pair", "string?", "name of the pair, when the user is one of two" },
      { "host", "string", "address of the cluster" }, { "port", "integer", "port of the cluster" }, { "database", "string?", "database to use" },
      { "sslmode", "string", "such as verify-full" }, { "cluster", "string?", "name of the cluster" },
      { "cluster_id", "string", "id of the cluster" },
      { "epoch", "integer", "number of passwords that this user has had" }, { "set_at", "integer?", "when the password was set, in seconds since 1970" },
      { "pool_name", "string", "name for a connection pool; it changes at each rotation, so that old connections drain" },
      { "candidates", "table[]", "passwords that may be live: { epoch, password, source, user }" },
    },
    entries = {
      { name = "url", summary = "Returns a connection URL with the password in it, as a secret.", returns = { { "crdbcloud.secret", "the URL" } },
        never_fails = true, example = 'local url = assert(cluster:credential "app"):url()' },
    },
  },
  {
    title = "A source of one credential", object = "credentials", class = "crdbcloud.credential_source", source = "crdbcloud.credentials",
    fields = { { "user", "string", "name of the user" }, { "source", "string", "where the credential is read from, without a password" } },
    entries = {
      { name = "get", summary = "Reads the credential as it is now.", returns = { { "crdbcloud.credential", "see help \"credential\"" } },
        errors = "not_found, pending, store", example = "local credential = assert(source:get())" },
      { name = "connect_with", args = { CONNECT }, options = WAIT, summary = "Connects as cluster:connect_with does, with the credentials of this source.",
        returns = { { "any", "the connection" } }, errors = "the last error of connect, or an error of get",
        example = "local db = assert(source:connect_with(connect))" },
      { name = "close", summary = "Closes the store. Closing twice is allowed.", example = "source:close()" },
    },
  },
  {
    title = "SQL", object = "crdbcloud.sql", class = "crdbcloud.sqls",
    internal = { "wrap", "place" },
    entries = {
      {
        name = "connect", table_call = true, short = "url", summary = "Logs in and returns the connection.",
        text = "It takes a URL (a string or a secret), or fields. Without a password it reads the password file (PGPASSFILE, ~/.pgpass). "
          .. "To another machine sslmode must be verify-full, unless insecure = true.",
        options = {
          { "host", "string", "required" }, { "hostaddr", "string", "IP address, without a name look-up" },
          { "port", "integer|string", "port of the server", "26257" }, { "dbname", "string", "name of the database" }, { "user", "string", "required" },
          { "password", "string|crdbcloud.secret", "password of the user" },
          { "sslmode", "string", "disable, allow, prefer, require, verify-ca or verify-full", '"verify-full"' },
          { "sslrootcert", "string", "certificate authority, a PEM file", "ca_file, CRDBCLOUD_CA_FILE or the system's" },
          { "sslcert", "string", "client certificate" }, { "sslkey", "string", "key of the client certificate" },
          { "options", "string", "settings of the session" }, { "application_name", "string", "name that the server shows" },
          { "passfile", "string", "password file" }, { "connect_timeout", "crdbcloud.duration", "time limit of the login", '"10s"' },
          { "deadline", "crdbcloud.duration", "time limit of one statement", '"30s"' },
          { "insecure", "boolean", "allow a weaker sslmode to another machine", "false" },
          { "ca_file", "string", "certificate authority, where sslrootcert is not given" },
        },
        returns = { { "crdbcloud.sql", "the connection" } }, errors = "sql (with err.sqlstate), network, tls, timeout, invalid_argument",
        example = 'local sql = assert(crdbcloud.sql.connect "postgresql://admin@localhost:26257/defaultdb")',
      },
      {
        name = "open", args = { { "spec", "any", "URL, secret, fields, a connection of another library, or a function that returns one" },
          { "overrides", "table?", "fields that replace those of the URL" } },
        summary = "Makes a connection of this library from what the caller has.", returns = { { "crdbcloud.sql", "the connection" } },
        errors = "every kind that connect has", example = "local sql = assert(crdbcloud.sql.open(luasql_connection))",
      },
      {
        name = "options", table_call = true, summary = "Makes options of one statement; they are its last argument.",
        options = { { "timeout", "crdbcloud.duration", "time limit of the statement", "the connection's deadline" },
          { "secret_columns", "string[]", "columns to return as secrets" } },
        returns = { { "table", "options for sql:query" } }, never_fails = true,
        example = 'sql:query("SELECT pw FROM t", crdbcloud.sql.options { secret_columns = { "pw" } })',
      },
    },
  },
  {
    title = "A SQL connection", object = "sql", class = "crdbcloud.sql", source = "crdbcloud.sql.connect",
    internal = { "use", "use_home", "current_database", "renew" },
    entries = {
      {
        name = "query", args = { { "text", "string", "one statement, with $1, $2, …" }, { "...", "any", "values of $1, $2, …; nil is NULL" } },
        summary = "Runs one statement. A secret goes to the server without becoming a Lua string.",
        returns = { { "crdbcloud.rows", "{ column = string, or nil for NULL } each; n, tag, columns; prints as a table" } },
        errors = "sql (with err.sqlstate), network, timeout. err.outcome says what became of a statement that writes.",
        example = 'for _, row in ipairs(assert(sql:query("SELECT id FROM orders WHERE id > $1", 7))) do print(row.id) end',
      },
      { name = "version", summary = "Asks the server once what it says of itself.", returns = { { "string", "CockroachDB CCL v25.2.1 (…)" } },
        errors = "sql", example = "print(assert(sql:version()))" },
      { name = "dialect", summary = "Asks the server once what kind it is.", returns = { { '"cockroachdb"|"postgresql"', "the dialect" } },
        errors = "sql", example = "print(assert(sql:dialect()))" },
      { name = "server_id", summary = "Asks the server once for its own id: the cluster's as SQL knows it, not the API's; of PostgreSQL the system identifier.",
        returns = { { "string", "the id" } }, errors = "sql", example = "print(assert(sql:server_id()))" },
      { name = "user", summary = "Returns the user of this session.", returns = { { "string", "name, in lower case" } }, errors = "sql",
        example = "print(assert(sql:user()))" },
      { name = "database", args = { { "name", "string", "name of a database" } }, summary = "Opens a connection to another database of the same server.",
        returns = { { "crdbcloud.sql", "a connection; it closes together with this one" } }, errors = "sql",
        example = 'local shop = assert(sql:database "shop")' },
      { name = "info", summary = "Returns host, port, dbname, user, sslmode and sslrootcert of the connection.", returns = { { "table", "no password" } },
        never_fails = true, example = "print(sql:info().host)" },
      { name = "is_open", summary = "Returns false after the connection was closed or lost.", returns = { { "boolean", "" } },
        never_fails = true, example = "print(sql:is_open())" },
      { name = "close", summary = "Closes the connection. Closing twice is allowed.", example = "sql:close()" },
    },
  },
  {
    title = "Stores", object = "crdbcloud.store", class = "crdbcloud.stores",
    text = "A store keeps credentials and the state of changes: file:DIR for one host, postgresql://USER@HOST/DATABASE or exec:COMMAND "
      .. "for several, memory: for trying. No crash loses what is in it.",
    internal = { "not_named", "failed", "busy", "conflict", "lease_lost", "guard" },
    entries = {
      {
        name = "open", args = { { "url", "string|crdbcloud.secret", "such as file:/var/lib/crdbcloud" } }, summary = "Opens a store.",
        options = {
          shared.store_key_file, shared.plaintext, { "ca_file", "string", "certificate authority of a database" },
          { "command", "string[]", "exec: the command, in place of the one in the URL" },
          { "timeout", "crdbcloud.duration", "exec: time limit of one run of the command", '"30s"' },
          { "lease", "crdbcloud.duration", "exec: how long a lock outlives its holder", '"60s"' },
          { "single_writer", "boolean", "exec: allow a command without compare-and-swap", "false" },
        },
        returns = { { "crdbcloud.store", "the store" } }, errors = "store, invalid_argument",
        example = 'local store = assert(crdbcloud.store.open "file:/var/lib/crdbcloud")',
      },
      {
        name = "init", args = { { "url", "string", "URL of the store" } }, summary = "Makes the directory or the tables, and keeps what is there.",
        options = { { "ca_file", "string", "certificate authority of a database" } }, same_options_as = "open",
        returns = { { "string", "what was made" } }, errors = "store, invalid_argument", example = "print(assert(crdbcloud.store.init(url)))",
      },
    },
  },
  {
    title = "A store", object = "store", class = "crdbcloud.store", source = "crdbcloud.store.open",
    text = "An object with these methods can be given as `store`.",
    entries = {
      { name = "get", args = { { "key", "string", "CLUSTER_ID/USER" } }, summary = "Reads a record; returns nothing when there is none.",
        returns = { { "table", "the record" }, { "any", "version of the record" } }, errors = "store", example = "local record, version = store:get(key)" },
      { name = "put", args = { { "key", "string", "CLUSTER_ID/USER" }, { "record", "table", "the record" },
        { "version", "any", "version of the record that it replaces; nil when there must be none" } },
        summary = "Writes the record if its version has not changed.", returns = { { "any", "the new version" } },
        errors = "conflict: another run changed the record. store: the record may not be written; a caller then sends nothing.",
        example = "assert(store:put(key, record, version))" },
      { name = "list", args = { { "prefix", "string", '"" for all, or "CLUSTER_ID/"' } }, summary = "Lists all keys that begin with a prefix, sorted.",
        returns = { { "string[]", "the keys; they print one a line" } }, errors = "store", example = 'print(assert(store:list ""))' },
      { name = "remove", args = { { "key", "string", "CLUSTER_ID/USER" }, { "version", "any", "version of the record" } },
        summary = "Removes the record if its version has not changed.", returns = { { "true", "" } }, errors = "conflict, store",
        example = "assert(store:remove(key, version))" },
      { name = "lock", args = { { "key", "string", "CLUSTER_ID/USER" }, { "note", "string?", "text that tells others who holds it" } },
        summary = "Locks a user until lock.close().", returns = { { "table", "the lock" } }, errors = "busy: another run holds the lock. store.",
        example = 'local lock = assert(store:lock(key, "by hand"))' },
      { name = "warnings", summary = "Returns what a person should know of this store before trusting it.", returns = { { "string[]", "texts" } },
        never_fails = true, example = "for _, text in ipairs(store:warnings()) do print(text) end" },
      { name = "close", summary = "Closes the store. Closing twice is allowed.", example = "store:close()" },
    },
  },
}
