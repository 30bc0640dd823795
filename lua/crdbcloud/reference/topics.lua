--- Reference: what has no call of its own: access, sinks, durations, errors, exit codes.

local M = {}

--- Fields of an entry of `access`.
M.ACCESS = {
  { "database", "string", "required" }, { "schema", "string", "schema", '"public"' },
  { "tables", 'string[]|"*"', "names, or all", '"*"' },
  { "privileges", "string[]", "SELECT, INSERT, UPDATE, DELETE, …; or preset" },
  { "preset", '"readonly"|"readwrite"|"ddl"', "in place of privileges" },
  { "sequences", "boolean", "sequences too", 'true with tables = "*"' },
  { "future", "boolean", 'tables to come too; only with tables = "*"', 'true with tables = "*"' },
  { "creators", "string[]", "who makes the tables to come", "the owners found" },
}

--- kind -> what happened.
M.KINDS = {
  { "invalid_argument", "something that was given cannot be meant" }, { "unauthenticated", "there is no key, or the API refuses it (401)" },
  { "permission_denied", "the key may not do it (403); the message names the role" }, { "not_found", "no such cluster, user or record" },
  { "already_exists", "there is one of that name" }, { "conflict", "it does not fit to what is there" },
  { "rate_limited", "too many requests (429)" }, { "unavailable", "the service is down (503)" }, { "timeout", "no answer in time" },
  { "network", "no connection" }, { "tls", "the server cannot be trusted" }, { "protocol", "the answer is not understood" },
  { "server", "the service failed (5xx)" }, { "sql", "SQL failed; err.sqlstate says how" }, { "store", "the store cannot be read or written" },
  { "sink", "a credential could not be published" }, { "hook", "a command before or after failed" },
  { "busy", "another run holds it" }, { "pending", "it is half done; resume finishes it" }, { "cancelled", "a signal ended it" },
}

--- Fields of an error.
M.ERROR_FIELDS = {
  { "kind", "crdbcloud.kind", "what happened, for programs" }, { "message", "string", "what happened, for people" },
  { "outcome", '"not_sent"|"rejected"|"applied"|"unknown"', "what became of a change" }, { "hint", "string", "what to do" },
  { "exit", "integer", "exit code; help \"exit codes\"" }, { "operation", "string", "the call" }, { "status", "integer", "HTTP" },
  { "sqlstate", "string", "five characters" }, { "attempts", "integer", "exchanges made" }, { "retry_after", "number", "seconds" },
  { "retryable", "boolean", "calling again may help and does no harm" }, { "report", "crdbcloud.report", "of a workflow" },
  { "cause", "any", "the error below this one" },
}

--- Exit codes: code, what is true, what to do.
M.EXITS = {
  { 0, "done, everything published", "nothing" },
  { 1, "failed; nothing was changed", "read the message and its hint, mend the cause, run it again" },
  { 2, "not understood, or not confirmed; nothing was sent", "correct the call" },
  { 3, "partly done: some users are not, or old sessions go on", "crdbcloud rotate status shows who; crdbcloud rotate resume" },
  { 4, "not allowed (401, 403); nothing was changed", "give the key's service account the role that the message names, or mend the key" },
  { 5, "unknown: a change was sent and not answered; old or new password is live, both are kept", "crdbcloud rotate resume settles it" },
  { 6, "changed but not published, or a hook failed", "mend the sink, the command or the disk; crdbcloud rotate resume does the rest" },
  { 7, "another run holds the lock", "let it end; crdbcloud rotate status shows what it has done" },
  { 8, "findings at or above --fail-on", "look at them" },
  { 9, "the plan is stale; nothing was sent", "crdbcloud rotate plan --save FILE again, read it, run it" },
  { 70, "internal error; what was being done may be half done", "crdbcloud rotate resume, then report the error with its stack" },
  { 125, "crdbcloud exec: the program never started", "look at the message" },
  { 129, "the terminal went away; the user in hand was finished or parked", "crdbcloud rotate resume" },
  { 130, "interrupted; the user in hand was finished or parked", "crdbcloud rotate resume" },
  { 143, "terminated; the user in hand was finished or parked", "crdbcloud rotate resume" },
}

--- Sinks: kind, how it is written, what it does.
M.SINKS = {
  { "json", "json:PATH", "one file with all fields, for a program of its own" },
  { "file", "file:PATH", "the password alone" },
  { "pgpass", "pgpass:PATH", "a line of a libpq password file" },
  { "dotenv", "dotenv:PATH", "a variable of an environment file; fields path, key, dialect" },
  { "kubernetes", "kubernetes:NAMESPACE/NAME", "a Secret's manifest; fields name, namespace, path, command, timeout" },
  { "command", "command:PROGRAM", "any program, the credential as JSON on its standard input; fields command, timeout" },
  { "shared", "shared:DICT", "a shared dictionary of nginx" },
}

--- Variables of the environment.
M.ENVIRONMENT = {
  { "COCKROACH_API_KEY", "the API key" }, { "COCKROACH_API_KEY_FILE", "a file with it, mode 0600" },
  { "COCKROACH_SERVER", "API server; default the public service" }, { "COCKROACH_API_JWT", "a JWT instead of a key" },
  { "COCKROACH_VANITY_NAME", "with a JWT: the organization" }, { "COCKROACH_USERNAME", "with a JWT: who signs in" },
  { "CRDBCLOUD_CLUSTER", "name or id of the cluster" }, { "CRDBCLOUD_STORE", "the store, such as file:/var/lib/crdbcloud" },
  { "CRDBCLOUD_SQL", "SQL connection of an admin; its password from PGPASSFILE" },
  { "CRDBCLOUD_CA_FILE", "certificate authority of API and SQL" },
}

return M
