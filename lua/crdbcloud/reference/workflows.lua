--- Reference: what people want done on a cluster.

local shared = require "crdbcloud.reference.shared"

local REPORT = { { "crdbcloud.report", "the report, only when everything is done and published; it prints as a table and has :json()" } }
local ERRORS = "err.report says what became of each user. After exit codes 3, 5, 6 and 129 to 143 cluster:resume() finishes the work."
local WINDOW = "hours in which the run may start on a user"

local MANY = shared.join({
  { "users", 'string|string[]|"managed"|"all"|fun(user: table): boolean', 'names, "managed" (users with a record), "all" (all but '
    .. "protected and SSO users), or a function; this, emergency or plan is required" },
  { "exclude", "string|string[]", "names of users to skip" },
  { "max_age", 'crdbcloud.duration|"policy"', 'rotate only older passwords; "policy" is 90 days or the user\'s own max_age' },
  { "max_failures", "integer|false", "stop after so many failures in a row; false is never", "3" },
  { "skip_admins", "boolean", "skip users that are admins", "false" },
  { "parallel", "integer", "number of threads, 1 to 64; needs luv", "1" },
  { "window", "string", WINDOW .. ', such as "22:00-04:00"' },
  { "emergency", 'string|string[]|"all"', "users, in place of `users`: rotate at once and end their sessions, even when the store is down" },
  { "before", "string[]", "command to run once before the first change" },
  { "after", "string[]", "command to run once after the last publication" },
  { "plan", "crdbcloud.report", "what plan_rotation returned, in place of `users`" },
}, shared.rotation)

local CLUSTERS = {
  { "clusters", 'string|string[]|"all"', "required; names or ids" },
  { "store", "string|table|crdbcloud.secret", "URL of the store", "CRDBCLOUD_STORE" },
  { "sql", "false|fun(cluster: table): any", "function that returns the SQL connection of a cluster; false is none" },
  { "sql_ca_file", "string", "certificate authority of SQL connections" }, shared.store_key_file, shared.plaintext,
}

local AFTER = { "after", "string[]", "command to run once after the last publication" }
local RESUME = shared.join({ AFTER }, shared.without(shared.rotation, "cancel_sessions"))

return {
  {
    title = "Workflows", object = "cluster", class = "crdbcloud.cluster", source = "cloud:cluster",
    text = "Each takes one table. A workflow that writes needs a store.",
    entries = {
      {
        name = "create_app_user", table_call = true, summary = "Makes a user with limited access. Its password was never an admin's.",
        text = "It needs SQL. The same call again looks at everything anew: existence, admin, login, access, password (by a login) and "
          .. "sinks; row.proof has the result of each. It gives missing access again, writes sinks that lost the credential, and "
          .. "finishes what a crash left half done. Anything else that is not as asked is an error that changes nothing; adopt "
          .. "mends an admin, a user made anew and another password.",
        options = {
          { "name", "string", "required; name of the user" }, shared.access, shared.roles,
          { "owner", "string", "who is responsible for the user" }, { "description", "string", "text for people" },
          { "labels", "table<string, string>", "labels that the record keeps" }, shared.sinks,
          { "password", "string|crdbcloud.secret", "your own password", "generated" },
          { "adopt", "boolean", "take over an existing user: take admin away, set a new password, end its sessions", "false" },
          { "pair", "boolean", "make two users in one role that are rotated in turn, so that no login fails", "false" },
          { "via", '"api"', "how the user is made", '"api"' },
          { "max_age", "crdbcloud.duration", 'age at which rotate_passwords { max_age = "policy" } rotates this user' },
          { "ttl", "nil", "not in this version" },
          shared.verify, shared.dry_run, shared.reason, shared.on_progress,
        },
        returns = REPORT,
        errors = "already_exists: the user has other access, or is not managed here. conflict: somebody else has changed the user. "
          .. "invalid_argument: the access leads to admin. " .. ERRORS,
        example = [[
print(assert(cluster:create_app_user {
  name = "reporting", owner = "bi@example.com", access = { database = "shop", preset = "readonly" },
}))]],
      },
      {
        name = "rotate_passwords", table_call = true, summary = "Sets new passwords for many users. The store has each one before it is sent.",
        options = MANY, returns = REPORT, errors = ERRORS,
        example = 'print(assert(cluster:rotate_passwords { users = "managed", max_age = "90d", on_progress = print }))',
      },
      {
        name = "plan_rotation", table_call = true, summary = "Reports what rotate_passwords with the same options would do. It only reads.",
        options = MANY, returns = { { "crdbcloud.report", "rows say rotate, finish, skip or blocked; rotate_passwords { plan = … } runs it" } },
        errors = "store, permission_denied, network, …", example = 'print(assert(cluster:plan_rotation { users = "all" }))',
      },
      {
        name = "rotate_password", table_call = true, short = "user", summary = "Sets a new password for one user.",
        options = shared.join({ shared.user, { "password", "string|crdbcloud.secret", "your own password", "generated" } }, shared.rotation),
        returns = REPORT, errors = ERRORS, example = 'print(assert(cluster:rotate_password "payment_service"))',
      },
      {
        name = "rollback_password", table_call = true, short = "user", summary = "Makes the previous password live again, as long as the store keeps it.",
        options = shared.join({ shared.user }, shared.rotation), returns = REPORT,
        errors = "conflict: the store keeps no previous password, or a rotation is half done. " .. ERRORS,
        example = 'print(assert(cluster:rollback_password "payment_service"))',
      },
      {
        name = "resume", table_call = true, summary = "Finishes what a crash or an error left half done, and does nothing else.",
        text = "It may be called at any time and any number of times. Where a shared store is not sealed, a command that a record names is run only if "
          .. "after, or a sink of the call or the handle, is the same.", options = RESUME, returns = REPORT, errors = ERRORS,
        example = "print(assert(cluster:resume()))",
      },
      {
        name = "rotation_status", table_call = true, summary = "Shows what the store says of every user of the cluster.", options = {},
        returns = { { "crdbcloud.status", "rows { user, state, open, epoch, set_at, age, flags, … }; prints as a table" } },
        errors = "store", example = "print(assert(cluster:rotation_status()))",
      },
      {
        name = "history", table_call = true, short = "user", summary = "Shows what was sent, answered, verified and published, by whom and why.",
        options = {
          { "user", "string", "only changes of this user" }, { "since", "string|integer", "first moment: a UTC date, or seconds since 1970" },
          { "run", "string", "only changes of this run" }, { "audit_log", "boolean", "look up the vendor's trace ids by one request", "false" },
        },
        returns = { { "crdbcloud.history", "rows, newest last; prints as a table" } }, errors = "store",
        example = 'print(assert(cluster:history { since = "2026-01-01" }))',
      },
      {
        name = "probe", table_call = true, summary = "Tries on the cluster itself what this library takes for granted.",
        text = "It makes one user crdbcloud_probe_…, an admin for a moment, that nobody gets, and removes it again. What a crash leaves, the next probe "
          .. "or resume removes. It needs SQL.",
        options = { shared.dry_run, shared.reason, shared.on_progress },
        returns = { { "crdbcloud.probe_report", "rows { assumption, what, expected, seen, result, detail, seconds }; unexpected counts what does not hold" } },
        errors = "pending, sql, …: the user could not be made or removed; err.report has what was seen until then",
        example = [[
local report = assert(cluster:probe())
print(report.unexpected == 0 and "all as expected" or report)]],
      },
      {
        name = "import_credential", table_call = true, summary = "Stores a known password after a login with it.",
        options = {
          shared.user, { "password", "string|crdbcloud.secret", "required" },
          { "set_at", "string|integer", "when the password was set: a UTC date, or seconds since 1970; without it the user is due" },
          { "owner", "string", "who is responsible for the user" }, { "description", "string", "text for people" }, shared.sinks,
          shared.dry_run, shared.reason, shared.on_progress,
        },
        returns = REPORT, errors = "sql: the login was refused. conflict: the user has a record.",
        example = 'assert(cluster:import_credential { user = "app", password = crdbcloud.secret.prompt() })',
      },
    },
  },
  {
    title = "Users and access", object = "cluster", class = "crdbcloud.cluster",
    text = "These calls use SQL.",
    entries = {
      {
        name = "access", args = { { "user", "string", "name of the user" } }, summary = "Shows what a user really has in all databases.",
        returns = { { "crdbcloud.access",
          "login, admin, admin_via, powers, roles, grants, inherited, gives, owns, public_create, unknown; prints as a list" } },
        errors = "sql, not_found", example = 'print(assert(cluster:access "reporting"))',
      },
      {
        name = "set_access", table_call = true, summary = "Adds access and roles. With exact, the user has these and no other.",
        options = { shared.user, shared.access, shared.roles, { "exact", "boolean", "take all other access away", "false" },
          { "admin", "false", "false takes admin away" }, shared.dry_run, shared.reason, shared.on_progress },
        returns = REPORT,
        errors = "invalid_argument: the access leads to admin. conflict: exact cannot be reached, such as for an owner. " .. ERRORS,
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
        summary = "Ends login, sessions and access, deletes the user, then removes its record. A dry run lists the statements.",
        options = { shared.user, { "reassign_to", "string", "role that becomes the owner of what the user owns" },
          { "clean_sinks", "boolean", "remove what was published, too; without it the report names where it is", "false" }, shared.dry_run,
          shared.reason, shared.on_progress },
        returns = REPORT, errors = "conflict: something is in the way that no statement of ours ends; nothing was changed. " .. ERRORS,
        example = 'assert(cluster:remove_app_user "reporting")',
      },
      {
        name = "pair_sql", table_call = true, summary = "Shows where SQL goes and what the API says; records that they are one cluster.",
        text = "What writes by SQL demands that both are one cluster: the API names the address of the connection, or a person has paired "
          .. "them once. A pairing is for tunnels, proxies and names of your own. Without confirm nothing is recorded.",
        options = { { "confirm", "string", "name of the cluster: you have looked at both sides, and record the pairing in the store" } },
        returns = { { "crdbcloud.pairing", "both sides, and what proves that they are one; prints as a table" } },
        errors = "conflict, sql, store",
        example = [[
print(assert(cluster:pair_sql()))
assert(cluster:pair_sql { confirm = "prod-eu" })]],
      },
    },
  },
  {
    title = "Several clusters", object = "cloud", class = "crdbcloud.cloud",
    text = "These calls work on one cluster after another, with one report and one budget of requests. When a cluster fails, the next one still runs.",
    entries = {
      { name = "rotate_passwords", table_call = true, summary = "Rotates passwords on several clusters.",
        options = shared.join(CLUSTERS, shared.without(MANY, "plan")), returns = REPORT, errors = ERRORS,
        example = 'print(assert(cloud:rotate_passwords { clusters = "all", users = "managed", max_age = "policy" }))' },
      { name = "plan_rotation", table_call = true, summary = "Reports what rotate_passwords with the same options would do. It only reads.",
        options = shared.join(CLUSTERS, shared.without(MANY, "plan")), returns = REPORT, errors = ERRORS,
        example = 'print(assert(cloud:plan_rotation { clusters = "all", users = "managed" }))' },
      { name = "resume", table_call = true, summary = "Finishes what crashes left half done on several clusters.",
        options = shared.join(CLUSTERS, RESUME), returns = REPORT, errors = ERRORS,
        example = 'print(assert(cloud:resume { clusters = "all" }))' },
      { name = "rotation_status", table_call = true, summary = "Shows what the store says of the users of several clusters.",
        options = CLUSTERS, returns = { { "crdbcloud.status", "rows, each with its cluster" } }, errors = "store",
        example = 'print(assert(cloud:rotation_status { clusters = "all" }))' },
    },
  },
}
