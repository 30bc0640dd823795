--- Reference: what people want done on a cluster.

local shared = require "crdbcloud.reference.shared"

local REPORT = { { "crdbcloud.report", "returned only when everything is done and published; prints as a table, has :json()" } }
local ERRORS = "err.report says what became of each user, err.exit what to do; after 3, 5, 6 and 129 to 143: cluster:resume()."
local WINDOW = "hours in which a user may be started on"

local MANY = shared.join({
  { "users", 'string|string[]|"managed"|"all"|fun(user: table): boolean', 'names, "managed" (with a record), "all" (but protected '
    .. "and SSO users), or a function; this, emergency or plan is required" },
  { "exclude", "string|string[]", "names to leave alone" },
  { "max_age", 'crdbcloud.duration|"policy"', 'only passwords that are older; "policy": 90 days or the user\'s own' },
  { "max_failures", "integer|false", "stop after so many in a row; false: never", "3" },
  { "skip_admins", "boolean", "leave admins alone", "false" },
  { "parallel", "integer", "threads, 1 to 64; needs luv", "1" },
  { "window", "string", WINDOW .. ', such as "22:00-04:00"' },
  { "emergency", 'string|string[]|"all"', "in place of users: at once, sessions ended, also with the store down" },
  { "before", "string[]", "command that runs once before the first change" },
  { "after", "string[]", "command that runs once after something was published" },
  { "plan", "crdbcloud.report", "in place of users: what plan_rotation returned" },
}, shared.rotation)

local CLUSTERS = {
  { "clusters", 'string|string[]|"all"', "required; names or ids" },
  { "store", "string|table|crdbcloud.secret", "URL of the store", "CRDBCLOUD_STORE" },
  { "sql", "false|fun(cluster: table): any", "gives the SQL connection of each cluster" },
  { "sql_ca_file", "string", "certificate authority of SQL connections" }, shared.store_key_file, shared.plaintext,
}

local RESUME = shared.without(shared.rotation, "cancel_sessions")

return {
  {
    title = "Workflows", object = "cluster", class = "crdbcloud.cluster", source = "cloud:cluster",
    text = "All take one table. What writes needs a store. Durations are seconds, or \"500ms\", \"30s\", \"1h\", \"90d\".",
    entries = {
      {
        name = "create_app_user", table_call = true, summary = "A user with limited access; its password was never an admin's.",
        text = "Needs SQL. The same again changes nothing, a half-done one is finished.",
        options = {
          { "name", "string", "required; name of the user" }, shared.access, shared.roles,
          { "owner", "string", "who answers for it" }, { "description", "string", "for people" },
          { "labels", "table<string, string>", "kept in the record" }, shared.sinks,
          { "password", "string|crdbcloud.secret", "of your own", "generated" },
          { "adopt", "boolean", "take over a user of that name: demoted, new password, sessions ended", "false" },
          { "pair", "boolean", "two users in one role that are rotated in turn, so that no login ever fails", "false" },
          { "via", '"api"', "how it is made", '"api"' },
          { "max_age", "crdbcloud.duration", 'its own age for rotate_passwords { max_age = "policy" }' },
          { "ttl", "nil", "not in this version" },
          shared.verify, shared.dry_run, shared.reason, shared.on_progress,
        },
        returns = REPORT,
        errors = "already_exists: it has other access, or is someone else's. invalid_argument: the access leads to admin. " .. ERRORS,
        example = [[
print(assert(cluster:create_app_user {
  name = "reporting", owner = "bi@example.com", access = { database = "shop", preset = "readonly" },
}))]],
      },
      {
        name = "rotate_passwords", table_call = true, summary = "New passwords for many users, each durable before it is sent.",
        options = MANY, returns = REPORT, errors = ERRORS,
        example = 'print(assert(cluster:rotate_passwords { users = "managed", max_age = "90d", on_progress = print }))',
      },
      {
        name = "plan_rotation", table_call = true, summary = "What rotate_passwords with the same options would do; reads only.",
        options = MANY, returns = { { "crdbcloud.report", "rows say rotate, finish, skip or blocked; run it by rotate_passwords { plan = … }" } },
        errors = "as of reading: store, permission_denied, …", example = 'print(assert(cluster:plan_rotation { users = "all" }))',
      },
      {
        name = "rotate_password", table_call = true, short = "user", summary = "A new password for one user.",
        options = shared.join({ shared.user, { "password", "string|crdbcloud.secret", "of your own", "generated" } }, shared.rotation),
        returns = REPORT, errors = ERRORS, example = 'print(assert(cluster:rotate_password "payment_service"))',
      },
      {
        name = "rollback_password", table_call = true, short = "user", summary = "Makes the previous password live again, as long as it is kept.",
        options = shared.join({ shared.user }, shared.rotation), returns = REPORT,
        errors = "conflict: none is kept, or a rotation is half done. " .. ERRORS,
        example = 'print(assert(cluster:rollback_password "payment_service"))',
      },
      {
        name = "resume", table_call = true, summary = "Finishes whatever a crash or an error left, and nothing else.",
        text = "May be called at any time and any number of times.", options = RESUME, returns = REPORT, errors = ERRORS,
        example = "print(assert(cluster:resume()))",
      },
      {
        name = "rotation_status", table_call = true, summary = "What the store says of every user of the cluster.", options = {},
        returns = { { "crdbcloud.status", "rows { user, state, open, epoch, set_at, age, flags, … }; prints as a table" } },
        errors = "store", example = "print(assert(cluster:rotation_status()))",
      },
      {
        name = "history", table_call = true, short = "user", summary = "What was sent, answered, verified and published, by whom and why.",
        options = {
          { "user", "string", "only of this user" }, { "since", "string|integer", "a UTC date, or seconds since 1970" },
          { "run", "string", "only of this run" }, { "audit_log", "boolean", "look up the vendor's trace ids, one request", "false" },
        },
        returns = { { "crdbcloud.history", "rows, newest last; prints as a table" } }, errors = "store",
        example = 'print(assert(cluster:history { since = "2026-01-01" }))',
      },
      {
        name = "import_credential", table_call = true, summary = "Takes a known password into the store, once a login has proved it.",
        options = {
          shared.user, { "password", "string|crdbcloud.secret", "required" },
          { "set_at", "string|integer", "when it was set: a UTC date, or seconds since 1970; unknown counts as due" },
          { "owner", "string", "who answers for it" }, { "description", "string", "for people" }, shared.sinks,
          shared.dry_run, shared.reason, shared.on_progress,
        },
        returns = REPORT, errors = "sql: the login was refused. conflict: it has a record.",
        example = 'assert(cluster:import_credential { user = "app", password = crdbcloud.secret.prompt() })',
      },
    },
  },
  {
    title = "Users and access", object = "cluster", class = "crdbcloud.cluster",
    text = "These ask the cluster by SQL.",
    entries = {
      {
        name = "access", args = { { "user", "string", "name of the user" } }, summary = "What a user really has, in all databases.",
        returns = { { "crdbcloud.access", "login, admin, admin_via, roles, grants, owns, public_create; prints as a list" } },
        errors = "sql, not_found", example = 'print(assert(cluster:access "reporting"))',
      },
      {
        name = "set_access", table_call = true, summary = "Adds access and roles; with exact makes it just these.",
        options = { shared.user, shared.access, shared.roles, { "exact", "boolean", "take away everything else", "false" },
          { "admin", "false", "take admin away" }, shared.dry_run, shared.reason, shared.on_progress },
        returns = REPORT, errors = "invalid_argument: it leads to admin. " .. ERRORS,
        example = 'assert(cluster:set_access { user = "reporting", access = { database = "shop", preset = "readonly" }, exact = true })',
      },
      {
        name = "disable_user", table_call = true, short = "user", summary = "Takes the login away and ends the user's sessions.",
        options = { shared.user, shared.dry_run, shared.reason, shared.on_progress }, returns = REPORT, errors = ERRORS,
        example = 'assert(cluster:disable_user "reporting")',
      },
      {
        name = "enable_user", table_call = true, short = "user", summary = "Gives the login back.",
        options = { shared.user, shared.dry_run, shared.reason, shared.on_progress }, returns = REPORT, errors = ERRORS,
        example = 'assert(cluster:enable_user "reporting")',
      },
      {
        name = "remove_app_user", table_call = true, short = "user",
        summary = "Ends login, sessions and access, deletes the user, then forgets its record.",
        options = { shared.user, { "reassign_to", "string", "role that gets what the user owns" }, shared.dry_run, shared.reason,
          shared.on_progress },
        returns = REPORT, errors = "conflict: it owns something. " .. ERRORS, example = 'assert(cluster:remove_app_user "reporting")',
      },
    },
  },
  {
    title = "Several clusters", object = "cloud", class = "crdbcloud.cloud",
    text = "One after the other: one report, one budget. A cluster that fails does not stop the next.",
    entries = {
      { name = "rotate_passwords", table_call = true, summary = "Rotates passwords on several clusters.",
        options = shared.join(CLUSTERS, shared.without(MANY, "plan")), returns = REPORT, errors = ERRORS,
        example = 'print(assert(cloud:rotate_passwords { clusters = "all", users = "managed", max_age = "policy" }))' },
      { name = "plan_rotation", table_call = true, summary = "What rotate_passwords with the same options would do; reads only.",
        options = shared.join(CLUSTERS, shared.without(MANY, "plan")), returns = REPORT, errors = ERRORS,
        example = 'print(assert(cloud:plan_rotation { clusters = "all", users = "managed" }))' },
      { name = "resume", table_call = true, summary = "Finishes what crashes left, on several clusters.",
        options = shared.join(CLUSTERS, RESUME), returns = REPORT, errors = ERRORS,
        example = 'print(assert(cloud:resume { clusters = "all" }))' },
      { name = "rotation_status", table_call = true, summary = "What the store says of the users of several clusters.",
        options = CLUSTERS, returns = { { "crdbcloud.status", "rows, each with its cluster" } }, errors = "store",
        example = 'print(assert(cloud:rotation_status { clusters = "all" }))' },
    },
  },
}
