--- Reference: what has no call of its own: access, sinks, durations, errors, exit codes.

local M = {}

--- Fields of an entry of `access`.
M.ACCESS = {
  { "database", "string", "required" }, { "schema", "string", "name of the schema", '"public"' },
  { "tables", 'string[]|"*"', "names of tables, or all", '"*"' },
  { "privileges", "string[]", "SELECT, INSERT, UPDATE, DELETE, …; this or preset is required" },
  { "preset", '"readonly"|"readwrite"|"ddl"', "a set of privileges, in place of `privileges`" },
  { "sequences", "boolean", "give access to sequences too", 'true with tables = "*"' },
  { "future", "boolean", 'give access to future tables too; only with tables = "*"', 'true with tables = "*"' },
  { "creators", "string[]", "users that make the future tables", "the present owners" },
}

--- kind -> what happened.
M.KINDS = {
  { "invalid_argument", "an argument or a setting is wrong" }, { "unauthenticated", "there is no key, or the API refuses it (401)" },
  { "permission_denied", "the key lacks a role (403); the message names it" }, { "not_found", "there is no such cluster, user or record" },
  { "already_exists", "the name is taken" }, { "conflict", "the call contradicts the present state" },
  { "rate_limited", "the API got too many requests (429)" }, { "unavailable", "the service is down (503)" }, { "timeout", "no answer came in time" },
  { "network", "the connection failed" }, { "tls", "the server's certificate is not trusted" }, { "protocol", "the answer cannot be understood" },
  { "server", "the service failed (5xx)" }, { "sql", "SQL failed; err.sqlstate says how" }, { "store", "the store cannot be read or written" },
  { "sink", "a credential could not be published" }, { "hook", "a command before or after failed" },
  { "busy", "another run holds the lock" }, { "pending", "an earlier change is half done; resume finishes it" }, { "cancelled", "a signal stopped the run" },
}

--- Fields of an error.
M.ERROR_FIELDS = {
  { "kind", "crdbcloud.kind", "what happened, for programs" }, { "message", "string", "what happened, for people" },
  { "outcome", '"not_sent"|"rejected"|"applied"|"unknown"', "what became of the change" }, { "hint", "string", "what to do" },
  { "exit", "integer", "exit code; help \"exit codes\"" }, { "operation", "string", "the call" }, { "status", "integer", "HTTP status" },
  { "sqlstate", "string", "SQLSTATE, five characters" }, { "attempts", "integer", "attempts made" },
  { "retry_after", "number", "seconds to wait" },
  { "retryable", "boolean", "calling again may help and does no harm" }, { "report", "crdbcloud.report", "report of the workflow" },
  { "cause", "any", "the error that caused this one" },
}

--- Exit codes: code, what is true, what to do.
M.EXITS = {
  { 0, "done, everything published", "nothing" },
  { 1, "failed; nothing was changed", "read the message and its hint, correct the cause, run it again" },
  { 2, "not understood, or not confirmed; nothing was sent", "correct the call" },
  { 3, "partly done: some users are not done, old sessions go on, or an earlier change has to settle first",
    "crdbcloud rotate status shows who; crdbcloud rotate resume" },
  { 4, "not allowed (401, 403); nothing was changed", "give the service account the role that the message names, or correct the key" },
  { 5, "unknown: a change was sent and not answered; the old or the new password is live, the store has both", "crdbcloud rotate resume settles it" },
  { 6, "changed but not published, or a hook failed", "correct the sink, the command or the disk, then crdbcloud rotate resume" },
  { 7, "another run holds the lock", "let it end; crdbcloud rotate status shows what it has done" },
  { 8, "findings: something is not as `doctor --probe` expects it", "read the findings" },
  { 9, "the plan is stale; nothing was sent", "crdbcloud rotate plan --save FILE again, read it, run it" },
  { 70, "internal error; the change in progress may be half done", "crdbcloud rotate resume, then report the error with its stack" },
  { 125, "crdbcloud exec: the program never started", "read the message" },
  { 129, "the terminal went away; the current user was finished or its change was saved", "crdbcloud rotate resume" },
  { 130, "interrupted; the current user was finished or its change was saved", "crdbcloud rotate resume" },
  { 143, "terminated; the current user was finished or its change was saved", "crdbcloud rotate resume" },
}

--- Sinks: kind, how it is written, what it does.
M.SINKS = {
  { "json", "json:PATH", "a file with all fields, for a program" },
  { "file", "file:PATH", "a file with the password alone" },
  { "pgpass", "pgpass:PATH", "a line of a libpq password file" },
  { "dotenv", "dotenv:PATH", "a variable of an environment file; fields path, key, dialect" },
  { "kubernetes", "kubernetes:NAMESPACE/NAME", "a Secret's manifest; fields name, namespace, path, command, timeout" },
  { "command", "command:PROGRAM", "a program that gets the password on standard input; fields command, timeout" },
  { "shared", "shared:DICT", "a shared dictionary of nginx" },
}

--- Variables of the environment.
M.ENVIRONMENT = {
  { "COCKROACH_API_KEY", "the API key" }, { "COCKROACH_API_KEY_FILE", "a file with the API key, mode 0600" },
  { "COCKROACH_SERVER", "the API server; default the public service" }, { "COCKROACH_API_JWT", "a JWT instead of a key" },
  { "COCKROACH_VANITY_NAME", "the organization, with a JWT" }, { "COCKROACH_USERNAME", "the person or service account, with a JWT" },
  { "CRDBCLOUD_CLUSTER", "name or id of the cluster" }, { "CRDBCLOUD_STORE", "the store, such as file:/var/lib/crdbcloud" },
  { "CRDBCLOUD_SQL", "the SQL connection of an admin; its password comes from PGPASSFILE" },
  { "CRDBCLOUD_CA_FILE", "the certificate authority of API and SQL" },
}

return M
