--- Reference: `require "crdbcloud.nginx"`, for nginx and OpenResty.

local shared = require "crdbcloud.reference.shared"
local workflows = require "crdbcloud.reference.workflows"
local account = require "crdbcloud.reference.account"

local DICT = { "dict", "string", "name of a lua_shared_dict" }
local CLUSTER = { "cluster", "string?", "name or id, when the dictionary has several clusters" }

-- What schedule hands on to rotate_passwords.
local handed = {}
for _, option in ipairs(shared.without(workflows[1].entries[2].options, "on_progress", "plan", "emergency", "dry_run", "users", "max_age")) do
  handed[#handed + 1] = option
end

return {
  {
    title = "nginx and OpenResty", object = "crdbcloud", class = "crdbcloud.nginx", module = "crdbcloud.nginx",
    text = "local crdbcloud = require \"crdbcloud.nginx\". It has the same accounts, clusters and calls. Each call runs in nginx's thread pool "
      .. "(main context: thread_pool crdbcloud threads=16;). Calls work in rewrite, access, content and timers. Functions cannot cross "
      .. "threads, so on_progress, on_event and functions for api_key or users are refused.",
    fields = {
      { "secret", "crdbcloud.nginx.secrets", "from_file in init_worker only; no prompt" }, { "password", "crdbcloud.passwords", "as in a script" },
      { "names", "crdbcloud.names", "as in a script" }, { "errors", "crdbcloud.errors", "as in a script" },
      { "privileges", "crdbcloud.privileges", "what needs no connection" }, { "version", "string", "of this library" },
    },
    entries = {
      {
        name = "new", table_call = true, summary = "Opens an API account without I/O. It may be made before the fork and kept at module level.",
        options = shared.join(shared.without(account[1].entries[1].options, "on_event", "api_key"), {
          { "api_key", "string|crdbcloud.secret", "the key; only api_key_file is read again after a 401" },
          { "thread_pool", "string", "name of a thread_pool of nginx.conf", '"crdbcloud"' },
          { "max_calls", "integer", "number of calls that run at once, per worker and pool", "16" },
          { "max_wait", "crdbcloud.duration", "how long a call waits for its turn; then its error is busy", '"5s"' },
        }),
        refused = { "on_event" },
        returns = { { "crdbcloud.nginx.cloud", "the account" } }, never_fails = true,
        example = 'local cloud = crdbcloud.new { api_key_file = "/etc/crdbcloud/key" }',
      },
      {
        name = "credential", args = { DICT, { "user", "string", "name of the user" } },
        summary = "Reads the credential of a user from a shared dictionary, without I/O.",
        options = { CLUSTER }, returns = { { "crdbcloud.credential", "the same as cluster:credential returns" } }, errors = "not_found, conflict",
        example = 'local credential = assert(crdbcloud.credential("crdbcloud", "payment_service"))',
      },
      {
        name = "connect_with", args = { DICT, { "user", "string", "name of the user" },
          { "connect", "fun(credential: crdbcloud.credential): any, any", "runs in the event loop; returns a connection, or nil and why" } },
        summary = "Connects with the first password that works, for pgmoon or any cosocket client.",
        options = { { "deadline", "crdbcloud.duration", "time limit of reading the dictionary again and trying", '"10s"' }, CLUSTER },
        returns = { { "any", "the connection" } }, errors = "the last error of connect, or an error of credential",
        example = 'local db = assert(crdbcloud.connect_with("crdbcloud", "payment_service", connect))',
      },
      {
        name = "http_status", args = { { "err", "crdbcloud.error", "error of a call" } },
        summary = "Returns the HTTP status that a service answers with. When the API refuses the key, that is 502, not 401.",
        returns = { { "integer", "400, 404, 409, 502, 503, 504 or 500" } }, never_fails = true, example = "ngx.status = crdbcloud.http_status(err)",
      },
      {
        name = "schedule", table_call = true, summary = "Rotates by the clock with one run per host. Every worker calls it in init_worker.",
        options = shared.join({
          { "cluster", "crdbcloud.nginx.cluster", "required; a handle" }, { "dict", "string", "required; name of a lua_shared_dict" },
          { "every", "crdbcloud.duration", "required; how often" }, { "jitter", "string|crdbcloud.duration", "a share of every, or a duration", '"10%"' },
          { "users", 'string|string[]|"managed"|"all"', "users to rotate", '"managed"' },
          { "max_age", 'crdbcloud.duration|"policy"', "rotate only older passwords", "every" },
        }, handed),
        returns = { { "table", "the schedule" } }, never_fails = true,
        example = 'crdbcloud.schedule { cluster = cluster, dict = "crdbcloud", every = "1h", max_age = "policy" }',
      },
      { name = "schedule_status", args = { DICT, CLUSTER }, summary = "Returns the state of a cluster's schedule, for requests.",
        returns = { { "table", "every, running, progress, next_due, failures, last_success, last, …" } }, errors = "not_found",
        example = 'local status = assert(crdbcloud.schedule_status "crdbcloud")' },
      { name = "schedule_now", args = { DICT }, summary = "Asks the schedule to rotate at once, and returns before the rotation ends.",
        options = { CLUSTER, { "users", 'string|string[]|"managed"|"all"', "users to rotate", '"managed"' }, shared.reason },
        returns = { { "table", "{ cluster, asked_at }" } }, errors = "not_found, busy", example = 'assert(crdbcloud.schedule_now "crdbcloud")' },
      { name = "keep_credentials", table_call = true,
        summary = "Copies credentials from the store to a shared dictionary. Every worker calls it in init_worker.",
        options = { { "cluster", "crdbcloud.nginx.cluster", "required; a handle" }, { "dict", "string", "required; name of a lua_shared_dict" },
          { "users", 'string|string[]|"managed"', "users whose credentials are copied", '"managed"' },
          { "every", "crdbcloud.duration", "how often", '"10s"' } },
        returns = { { "table", "the keeper" } }, never_fails = true,
        example = 'crdbcloud.keep_credentials { cluster = cluster, dict = "crdbcloud" }' },
      { name = "keep_status", args = { DICT, CLUSTER }, summary = "Returns the state of keep_credentials, for requests.",
        returns = { { "table", "users, read_at, problems, error, failing_since" } }, errors = "not_found",
        example = 'local status = assert(crdbcloud.keep_status "crdbcloud")' },
    },
  },
}
