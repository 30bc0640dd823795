--- Reference: what a cluster handle gives to programs that connect, SQL connections and stores.

local shared = require "crdbcloud.reference.shared"

local CONNECT = { "connect", "fun(credential: crdbcloud.credential): any, any", "takes a credential, returns a connection, or nil and why" }
local WAIT = { { "deadline", "crdbcloud.duration", "how long to read again and try", '"10s"' } }

return {
  {
    title = "Credentials of a cluster", object = "cluster", class = "crdbcloud.cluster",
    fields = { { "cloud", "crdbcloud.cloud", "the account" }, { "name_or_id", "string", "as it was given" } },
    -- For workflows.
    internal = { "resolve", "id", "knows", "open_store", "open_sql", "has_sql", "sql_account", "probe_target", "address" },
    entries = {
      {
        name = "credential", args = { { "user", "string", "name of the user" } }, summary = "The credential of a user from the store; no request.",
        returns = { { "crdbcloud.credential", "user, password (a secret), host, port, database, sslmode, epoch, set_at, pool_name, candidates" } },
        errors = "not_found: the store has none. pending: it is being made. store: it cannot be read.",
        example = 'local credential = assert(cluster:credential "payment_service")',
      },
      {
        name = "connect_with", args = { { "user", "string", "name of the user" }, CONNECT }, options = WAIT,
        summary = "Connects with the first password that works: current, staged, previous.",
        text = "Only a wrong password (SQLSTATE 28P01 or 28000, or the known text) moves on to the next; then the store is read again.",
        returns = { { "any", "the connection" } }, errors = "the last error of connect, or as of credential",
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
      { "user", "string", "whom to log in as" }, { "password", "crdbcloud.secret", "print shows its length only" },
      { "pair", "string?", "name of the pair, where the user is one of two" },
      { "host", "string", "address" }, { "port", "integer", "port" }, { "database", "string?", "database" },
      { "sslmode", "string", "such as verify-full" }, { "cluster", "string?", "its name" }, { "cluster_id", "string", "its id" },
      { "epoch", "integer", "counts the passwords of this user" }, { "set_at", "integer?", "seconds since 1970" },
      { "pool_name", "string", "differs after each rotation, so that old connections drain" },
      { "candidates", "table[]", "passwords that may be live: { epoch, password, source, user }" },
    },
    entries = {
      { name = "url", summary = "A connection URL with the password inside, as a secret.", returns = { { "crdbcloud.secret", "the URL" } },
        never_fails = true, example = 'local url = assert(cluster:credential "app"):url()' },
    },
  },
  {
    title = "A source of one credential", object = "credentials", class = "crdbcloud.credential_source", source = "crdbcloud.credentials",
    fields = { { "user", "string", "name of the user" }, { "source", "string", "where it is read, without a password" } },
    entries = {
      { name = "get", summary = "The credential as it is now.", returns = { { "crdbcloud.credential", "see help \"credential\"" } },
        errors = "not_found, pending, store", example = "local credential = assert(source:get())" },
      { name = "connect_with", args = { CONNECT }, options = WAIT, summary = "As cluster:connect_with, from this source.",
        returns = { { "any", "the connection" } }, errors = "the last error of connect, or as of get",
        example = "local db = assert(source:connect_with(connect))" },
      { name = "close", summary = "Closes the store. Closing twice is allowed.", example = "source:close()" },
    },
  },
  {
    title = "SQL", object = "crdbcloud.sql", class = "crdbcloud.sqls",
    internal = { "wrap" },
    entries = {
      {
        name = "connect", table_call = true, short = "url", summary = "Logs in.",
        text = "Takes a URL (a string or a secret), or fields. Without a password the password file is asked (PGPASSFILE, ~/.pgpass). To "
          .. "another machine sslmode must be verify-full, unless insecure = true.",
        options = {
          { "host", "string", "required" }, { "hostaddr", "string", "address in its place, without a look-up" },
          { "port", "integer|string", "port", "26257" }, { "dbname", "string", "database" }, { "user", "string", "required" },
          { "password", "string|crdbcloud.secret", "password" },
          { "sslmode", "string", "disable, allow, prefer, require, verify-ca or verify-full", '"verify-full"' },
          { "sslrootcert", "string", "certificate authority", "ca_file, CRDBCLOUD_CA_FILE or the system's" },
          { "sslcert", "string", "client certificate" }, { "sslkey", "string", "its key" },
          { "options", "string", "options of the session" }, { "application_name", "string", "shown by the server" },
          { "passfile", "string", "password file" }, { "connect_timeout", "crdbcloud.duration", "limit of the login", '"10s"' },
          { "deadline", "crdbcloud.duration", "limit of one statement", '"30s"' },
          { "insecure", "boolean", "take a weaker sslmode to another machine", "false" },
          { "ca_file", "string", "certificate authority, where sslrootcert is not given" },
        },
        returns = { { "crdbcloud.sql", "the connection" } }, errors = "sql (with err.sqlstate), network, tls, timeout, invalid_argument",
        example = 'local sql = assert(crdbcloud.sql.connect "postgresql://admin@localhost:26257/defaultdb")',
      },
      {
        name = "open", args = { { "spec", "any", "URL, secret, fields, a connection of another library, or a function that gives one" },
          { "overrides", "table?", "fields that win over the URL's" } },
        summary = "Makes a connection object of whatever there is.", returns = { { "crdbcloud.sql", "the connection" } },
        errors = "as of connect", example = "local sql = assert(crdbcloud.sql.open(luasql_connection))",
      },
      {
        name = "options", table_call = true, summary = "Options of one statement, as its last argument.",
        options = { { "timeout", "crdbcloud.duration", "limit of the statement", "the connection's deadline" },
          { "secret_columns", "string[]", "columns that come back as secrets" } },
        returns = { { "table", "for sql:query" } }, never_fails = true,
        example = 'sql:query("SELECT pw FROM t", crdbcloud.sql.options { secret_columns = { "pw" } })',
      },
    },
  },
  {
    title = "A SQL connection", object = "sql", class = "crdbcloud.sql", source = "crdbcloud.sql.connect",
    internal = { "use", "use_home", "current_database" },
    entries = {
      {
        name = "query", args = { { "text", "string", "one statement, with $1, $2, …" }, { "...", "any", "their values; nil is NULL" } },
        summary = "Runs one statement. A secret goes from its own memory to the server.",
        returns = { { "crdbcloud.rows", "{ column = string, or nil for NULL } each; n, tag, columns; prints as a table" } },
        errors = "sql with err.sqlstate, network, timeout; err.outcome for a statement that writes",
        example = 'for _, row in ipairs(assert(sql:query("SELECT id FROM orders WHERE id > $1", 7))) do print(row.id) end',
      },
      { name = "dialect", summary = "The kind of server, by asking it once.", returns = { { '"cockroachdb"|"postgresql"', "the dialect" } },
        errors = "sql", example = "print(assert(sql:dialect()))" },
      { name = "user", summary = "The user of this session.", returns = { { "string", "folded" } }, errors = "sql", example = "print(assert(sql:user()))" },
      { name = "database", args = { { "name", "string", "name of a database" } }, summary = "A connection to another database of the same server.",
        returns = { { "crdbcloud.sql", "closed together with this one" } }, errors = "sql", example = 'local shop = assert(sql:database "shop")' },
      { name = "info", summary = "Where it goes: host, port, dbname, user, sslmode, sslrootcert.", returns = { { "table", "no password" } },
        never_fails = true, example = "print(sql:info().host)" },
      { name = "is_open", summary = "False once it was closed or lost.", returns = { { "boolean", "" } },
        never_fails = true, example = "print(sql:is_open())" },
      { name = "close", summary = "Closes it. Closing twice is allowed.", example = "sql:close()" },
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
          shared.store_key_file, shared.plaintext, { "ca_file", "string", "of a database" },
          { "command", "string[]", "of exec:, in place of the one in the URL" },
          { "timeout", "crdbcloud.duration", "of exec:, limit of one run of the command", '"30s"' },
          { "lease", "crdbcloud.duration", "of exec:, how long a lock outlives its holder", '"60s"' },
          { "single_writer", "boolean", "of exec:, a command without compare-and-swap will do", "false" },
        },
        returns = { { "crdbcloud.store", "the store" } }, errors = "store, invalid_argument",
        example = 'local store = assert(crdbcloud.store.open "file:/var/lib/crdbcloud")',
      },
      {
        name = "init", args = { { "url", "string", "of the store" } }, summary = "Makes the directory or the tables; what is there stays.",
        options = { { "ca_file", "string", "of a database" } }, same_options_as = "open",
        returns = { { "string", "what was made" } }, errors = "store, invalid_argument", example = "print(assert(crdbcloud.store.init(url)))",
      },
    },
  },
  {
    title = "A store", object = "store", class = "crdbcloud.store", source = "crdbcloud.store.open",
    text = "For those who look into one, or bring their own: an object with these methods can be given as `store`.",
    entries = {
      { name = "get", args = { { "key", "string", "CLUSTER_ID/USER" } }, summary = "The record; nothing when there is none.",
        returns = { { "table", "the record" }, { "any", "its version" } }, errors = "store", example = "local record, version = store:get(key)" },
      { name = "put", args = { { "key", "string", "CLUSTER_ID/USER" }, { "record", "table", "the record" },
        { "version", "any", "of the record that it replaces; nil: there is none" } },
        summary = "Writes the record if its version is still this one.", returns = { { "any", "the new version" } },
        errors = "conflict: another run was faster. store: nothing is sent after it.", example = "assert(store:put(key, record, version))" },
      { name = "list", args = { { "prefix", "string", '"" for all, or "CLUSTER_ID/"' } }, summary = "All keys that begin with a prefix, sorted.",
        returns = { { "string[]", "prints one a line" } }, errors = "store", example = 'print(assert(store:list ""))' },
      { name = "remove", args = { { "key", "string", "CLUSTER_ID/USER" }, { "version", "any", "of the record" } },
        summary = "Removes the record if its version is still this one.", returns = { { "true", "" } }, errors = "conflict, store",
        example = "assert(store:remove(key, version))" },
      { name = "lock", args = { { "key", "string", "CLUSTER_ID/USER" }, { "note", "string?", "who holds it, for others" } },
        summary = "Takes a user until lock.close().", returns = { { "table", "the lock" } }, errors = "busy: another run holds it. store.",
        example = 'local lock = assert(store:lock(key, "by hand"))' },
      { name = "warnings", summary = "What a person should know of this store before trusting it.", returns = { { "string[]", "texts" } },
        never_fails = true, example = "for _, text in ipairs(store:warnings()) do print(text) end" },
      { name = "close", summary = "Closes it. Closing twice is allowed.", example = "store:close()" },
    },
  },
}
