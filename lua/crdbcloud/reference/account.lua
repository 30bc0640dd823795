--- Reference: crdbcloud itself and the API account.

local shared = require "crdbcloud.reference.shared"

return {
  {
    title = "The module", object = "crdbcloud", class = "crdbcloud",
    text = "local crdbcloud = require \"crdbcloud\". require does no I/O. The first use of a part loads it.",
    fields = {
      { "secret", "crdbcloud.secrets", "makes secrets; help \"secret\"" },
      { "password", "crdbcloud.passwords", "makes and checks passwords; help \"password\"" },
      { "names", "crdbcloud.names", "checks names of SQL users; help \"names\"" },
      { "privileges", "crdbcloud.privileges", "changes and reads access by SQL; help \"privileges\"" },
      { "sql", "crdbcloud.sqls", "opens SQL connections; help \"sql\"" },
      { "store", "crdbcloud.stores", "opens stores of credentials; help \"store\"" },
      { "errors", "crdbcloud.errors", "recognizes errors of this library; help \"errors\"" },
      { "core", "crdbcloud.core", "the C module: one HTTP exchange per call, without retries" },
      { "version", "string", "version of this library" },
    },
    entries = {
      {
        name = "new", table_call = true, summary = "Opens an API account without using the network.",
        text = "The environment gives what the options do not: COCKROACH_API_KEY, COCKROACH_API_KEY_FILE or COCKROACH_API_JWT, "
          .. "COCKROACH_SERVER, COCKROACH_VANITY_NAME, COCKROACH_USERNAME, CRDBCLOUD_CA_FILE.",
        options = {
          { "api_key", "string|crdbcloud.secret|fun(): crdbcloud.secret", "the key; after a 401 a function is called once more" },
          { "api_key_file", "string", "file with the key, mode 0600; after a 401 it is read once more" },
          { "api_jwt", "string|crdbcloud.secret", "a JWT instead of a key" },
          { "vanity_name", "string", "the organization, with api_jwt" },
          { "username", "string", "the person or service account, with api_jwt" },
          { "base_url", "string", "API server; http is allowed to this machine only", '"https://cockroachlabs.cloud"' },
          { "api_version", "string", "version of the API", '"2024-09-16"' },
          { "timeout", "crdbcloud.duration", "time limit of one attempt", '"30s"' },
          { "connect_timeout", "crdbcloud.duration", "time limit of connecting", '"10s"' },
          { "deadline", "crdbcloud.duration", "time limit of one call with its retries", '"120s"' },
          { "max_attempts", "integer", "attempts of one call, from 1", "4" },
          { "max_items", "integer", "items of one list; a longer one is an error of kind protocol, as are 64 MiB of names", "100000" },
          { "rate", "number", "requests per second of the account in all threads, evenly spaced; 0 is no limit", "10" },
          { "account", "string", "name of the budget that `rate` limits", "server and key id" },
          { "ca_file", "string", "certificate authority, a PEM file", "the system's" },
          { "proxy", "string", "URL of a proxy; never taken from the environment" },
          { "user_agent", "string", "text appended to the User-Agent header" },
          { "on_event", "fun(event: table)", "called at each step; sees no secret and no body" },
        },
        returns = { { "crdbcloud.cloud", "the account" } },
        errors = "unauthenticated: there is no key, or the key cannot be read. invalid_argument: a variable of the environment is wrong.",
        example = 'local cloud = assert(crdbcloud.new { api_key_file = "/etc/crdbcloud/key", timeout = "10s" })',
      },
      {
        name = "credentials", table_call = true, summary = "Opens the credential of one user for a program that only connects.",
        text = "The program needs no API key and no network but to the source.",
        options = {
          { "source", "string", "required; URL of a store, or json:PATH as a json sink writes it" },
          { "user", "string", "required; name of the user" },
          { "cluster", "string", "name or id, where the store has the user on several clusters" },
          shared.store_key_file, shared.plaintext, { "ca_file", "string", "certificate authority of a store in a database" },
        },
        returns = { { "crdbcloud.credential_source", "see help \"credentials\"" } },
        errors = "store, not_found, invalid_argument",
        example = [[
local source = assert(crdbcloud.credentials { source = "file:/var/lib/crdbcloud", user = "payment_service" })
local db = assert(source:connect_with(connect))]],
      },
      {
        name = "main", args = { { "fn", "fun(...)", "the program" }, { "...", "any", "its arguments" } },
        summary = "Runs a program and ends the process with an exit code that says what became of the change.",
        text = "The code is 0 when fn returns, err.exit when fn raises an error object (assert(nil, err) does), and 70 for any other error. "
          .. "help \"exit codes\" lists the codes.",
        example = "crdbcloud.main(function() assert(cluster:resume()) end)",
      },
      {
        name = "help", args = { { "topic", "any?", "a name, a function, or an object" } },
        summary = "Prints the names of all calls, or explains one topic.",
        example = 'crdbcloud.help "rotate_passwords"',
      },
    },
  },
  {
    title = "The account", object = "cloud", class = "crdbcloud.cloud", source = "crdbcloud.new",
    text = "Every call retries where a retry is safe, keeps to the account's rate and ends at the deadline. A change without an "
      .. "answer is an error with outcome \"unknown\".",
    fields = { { "config", "table", "the settings in force, without secrets" } },
    internal = { "once", "event" },
    entries = {
      {
        name = "cluster", args = { { "name_or_id", "string?", "default CRDBCLOUD_CLUSTER" } },
        summary = "Makes a handle of one cluster, which has the workflows, and the API's calls without the cluster's id. It does no I/O.",
        options = {
          { "store", "string|table|crdbcloud.secret", "the store, or its URL", "CRDBCLOUD_STORE" },
          { "sql", "string|crdbcloud.secret|table|function|false", "SQL connection of an admin: URL, fields, a connection of any "
            .. "library, or a function that returns one; false is none", "CRDBCLOUD_SQL" },
          { "sql_ca_file", "string", "certificate authority of the SQL connection", "CRDBCLOUD_CA_FILE" },
          { "sinks", "string|table", "where the credentials of all users are published; help \"sinks\"" },
          shared.store_key_file, shared.plaintext,
        },
        returns = { { "crdbcloud.cluster", "the handle" } },
        errors = "invalid_argument: neither the call nor CRDBCLOUD_CLUSTER names a cluster.",
        example = 'local cluster = assert(cloud:cluster("prod-eu", { store = "file:/var/lib/crdbcloud" }))',
      },
      {
        name = "find_cluster", args = { { "name_or_id", "string", "name or id of a cluster" } },
        summary = "Finds the one cluster with this name or id.",
        returns = { { "crdbcloud.cluster_info", "id, name, state, plan, …" } },
        errors = "not_found. conflict: two clusters have the name. invalid_argument: the text is a routing id or an address.",
        example = 'print(assert(cloud:find_cluster "prod-eu").id)',
      },
      {
        name = "request", args = { { "method", "string", "GET, POST, PUT, PATCH or DELETE" },
          { "path", "string", 'begins with "/", percent-encoded, without a query' } },
        summary = "Calls any other endpoint by the same rules.",
        text = "It retries GET where that helps, PUT and DELETE when they got no answer, POST and PATCH only when they surely did nothing.",
        options = {
          { "query", "table<string, string|number|boolean>", "parameters of the query" },
          { "body", "string|crdbcloud.secret|table", "what is sent; a table becomes JSON" },
          shared.timeout, shared.deadline,
        },
        returns = { { "table", "the decoded answer" } }, errors = "every kind that a call of the API has",
        example = 'print(assert(cloud:request("GET", "/api/v1/clusters", { query = { ["pagination.limit"] = 5 } })))',
      },
      { name = "account", summary = "Returns the name of the account's budget: server and key id.", returns = { { "string", "for people" } },
        never_fails = true, example = "print(cloud:account())" },
      { name = "close", summary = "Closes connections and wipes its copy of the key. Closing twice is allowed.",
        example = "cloud:close()" },
    },
  },
}
