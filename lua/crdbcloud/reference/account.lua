--- Reference: crdbcloud itself and the API account.

local shared = require "crdbcloud.reference.shared"

return {
  {
    title = "The module", object = "crdbcloud", class = "crdbcloud",
    text = "local crdbcloud = require \"crdbcloud\". Nothing happens by require: each part is loaded when it is first used.",
    fields = {
      { "secret", "crdbcloud.secrets", "secrets: help \"secret\"" },
      { "password", "crdbcloud.passwords", "passwords made and checked: help \"password\"" },
      { "names", "crdbcloud.names", "names of SQL users: help \"names\"" },
      { "privileges", "crdbcloud.privileges", "access in SQL: help \"privileges\"" },
      { "sql", "crdbcloud.sqls", "SQL connections: help \"sql\"" },
      { "store", "crdbcloud.stores", "stores of credentials: help \"store\"" },
      { "errors", "crdbcloud.errors", "the type of errors: help \"errors\"" },
      { "core", "crdbcloud.core", "the C module: one exchange per call, no policy" },
      { "version", "string", "of this library" },
    },
    entries = {
      {
        name = "new", table_call = true, summary = "Opens an API account. No network is used.",
        text = "What is not given comes from the environment: COCKROACH_API_KEY, COCKROACH_API_KEY_FILE or COCKROACH_API_JWT, "
          .. "COCKROACH_SERVER, COCKROACH_VANITY_NAME, COCKROACH_USERNAME, CRDBCLOUD_CA_FILE.",
        options = {
          { "api_key", "string|crdbcloud.secret|fun(): crdbcloud.secret", "the key; a function is asked again once after a 401" },
          { "api_key_file", "string", "file with the key, mode 0600; read again once after a 401" },
          { "api_jwt", "string|crdbcloud.secret", "a JWT instead of a key" },
          { "vanity_name", "string", "with api_jwt: the organization" },
          { "username", "string", "with api_jwt: who signs in" },
          { "base_url", "string", "API server; http only to this machine", '"https://cockroachlabs.cloud"' },
          { "api_version", "string", "version of the API", '"2024-09-16"' },
          { "timeout", "crdbcloud.duration", "limit of one attempt", '"30s"' },
          { "connect_timeout", "crdbcloud.duration", "limit of making a connection", '"10s"' },
          { "deadline", "crdbcloud.duration", "limit of one operation with its retries", '"120s"' },
          { "max_attempts", "integer", "exchanges of one operation, from 1", "4" },
          { "rate", "number", "requests per second, evenly spaced, for the account and all threads; 0: unpaced", "10" },
          { "account", "string", "name of the budget that `rate` is for", "server and key id" },
          { "ca_file", "string", "certificate authority, a PEM file", "the system's" },
          { "proxy", "string", "URL of a proxy; never taken from the environment" },
          { "user_agent", "string", "appended to ours" },
          { "on_event", "fun(event: table)", "told of each step; never sees a secret or a body" },
        },
        returns = { { "crdbcloud.cloud", "the account" } },
        errors = "unauthenticated: there is no key, or it cannot be read. invalid_argument: something in the environment is wrong.",
        example = 'local cloud = assert(crdbcloud.new { api_key_file = "/etc/crdbcloud/key", timeout = "10s" })',
      },
      {
        name = "credentials", table_call = true, summary = "Opens the credential of one user for a program that only connects.",
        text = "Needs no API key and no network but the source.",
        options = {
          { "source", "string", "required; a store's URL, or json:PATH as written by a json sink" },
          { "user", "string", "required; name of the user" },
          { "cluster", "string", "name or id, where a store holds the user of several clusters" },
          shared.store_key_file, shared.plaintext, { "ca_file", "string", "of a store in a database" },
        },
        returns = { { "crdbcloud.credential_source", "see help \"credentials\"" } },
        errors = "store, not_found, invalid_argument",
        example = [[
local source = assert(crdbcloud.credentials { source = "file:/var/lib/crdbcloud", user = "payment_service" })
local db = assert(source:connect_with(connect))]],
      },
      {
        name = "main", args = { { "fn", "fun(...)", "the program" }, { "...", "any", "its arguments" } },
        summary = "Runs a program so that its exit code says what became of it; does not return.",
        text = "0 when fn returns, the error's own code when it raises an error object (assert(nil, err) does), 70 for any other error. "
          .. "help \"exit codes\" lists them.",
        example = "crdbcloud.main(function() assert(cluster:resume()) end)",
      },
      {
        name = "help", args = { { "topic", "any?", "a name, a function, or an object" } },
        summary = "Prints this reference: all of it by name, or one topic.",
        example = 'crdbcloud.help "rotate_passwords"',
      },
    },
  },
  {
    title = "The account", object = "cloud", class = "crdbcloud.cloud", source = "crdbcloud.new",
    text = "Every call repeats what may be repeated, keeps to the account's rate and ends at the deadline. A change that got no "
      .. "answer is an error with outcome \"unknown\".",
    fields = { { "config", "table", "what is in force, without secrets" } },
    internal = { "once", "event" },
    entries = {
      {
        name = "cluster", args = { { "name_or_id", "string?", "default CRDBCLOUD_CLUSTER" } },
        summary = "A handle of one cluster: the calls without its id, and the workflows. No I/O until it is used.",
        options = {
          { "store", "string|table|crdbcloud.secret", "URL of the store, or a store", "CRDBCLOUD_STORE" },
          { "sql", "string|crdbcloud.secret|table|function|false", "SQL connection of an admin: URL, fields, a connection of any "
            .. "library, or a function that gives one; false: none", "CRDBCLOUD_SQL" },
          { "sql_ca_file", "string", "certificate authority of the SQL connection", "CRDBCLOUD_CA_FILE" },
          { "sinks", "string|table", "where credentials of all users are published; help \"sinks\"" },
          shared.store_key_file, shared.plaintext,
        },
        returns = { { "crdbcloud.cluster", "the handle" } },
        errors = "invalid_argument: no cluster was named.",
        example = 'local cluster = assert(cloud:cluster("prod-eu", { store = "file:/var/lib/crdbcloud" }))',
      },
      {
        name = "find_cluster", args = { { "name_or_id", "string", "name or id of a cluster" } },
        summary = "The one cluster with this name or id, as the API describes it.",
        returns = { { "crdbcloud.cluster_info", "id, name, state, plan, …" } },
        errors = "not_found; conflict: two clusters have the name; invalid_argument: it is a routing id or an address.",
        example = 'print(assert(cloud:find_cluster "prod-eu").id)',
      },
      {
        name = "request", args = { { "method", "string", "GET, POST, PUT, PATCH or DELETE" },
          { "path", "string", 'begins with "/", percent-encoded, without a query' } },
        summary = "Any other endpoint, by the same rules.",
        text = "GET is repeated where that helps, PUT and DELETE when unanswered, POST and PATCH only when they surely did nothing.",
        options = {
          { "query", "table<string, string|number|boolean>", "parameters" },
          { "body", "string|crdbcloud.secret|table", "a table is sent as JSON" },
          shared.timeout, shared.deadline,
        },
        returns = { { "table", "the decoded answer" } }, errors = "as of every call",
        example = 'print(assert(cloud:request("GET", "/api/v1/clusters", { query = { ["pagination.limit"] = 5 } })))',
      },
      { name = "account", summary = "The name of the account's budget: server and key id.", returns = { { "string", "for people" } },
        never_fails = true, example = "print(cloud:account())" },
      { name = "close", summary = "Closes connections and wipes the key; a secret that it was given stays the caller's. Closing twice is allowed.",
        example = "cloud:close()" },
    },
  },
}
