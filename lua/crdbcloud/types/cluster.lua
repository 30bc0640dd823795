---@meta crdbcloud.types.cluster
-- Declarations for editors, made by `make reference` from lua/crdbcloud/reference; never loaded.

---@class crdbcloud.cluster workflows
---@field cloud crdbcloud.cloud the account
---@field name_or_id string the cluster as the caller named it
local cluster = {}

---@class crdbcloud.cluster.create_app_user.options
---@field name string required; name of the user
---@field access? crdbcloud.access_spec|crdbcloud.access_spec[] what the user may do; help "access"
---@field roles? string|string[] roles that the user becomes a member of
---@field owner? string who is responsible for the user
---@field description? string text for people
---@field labels? table<string, string> labels that the record keeps
---@field sinks? string|table where to publish, in place of all other sinks of the user; help "sinks"
---@field password? string|crdbcloud.secret your own password; default generated
---@field adopt? boolean take over an existing user: take admin away, set a new password, end its sessions; default false
---@field pair? boolean make two users in one role that are rotated in turn, so that no login fails; default false
---@field via? "api" how the user is made; default "api"
---@field max_age? crdbcloud.duration age at which rotate_passwords { max_age = "policy" } rotates this user
---@field ttl? nil not in this version
---@field verify? "auto"|"require"|false log in after each change: where a login is possible, always, or never; default "auto"
---@field dry_run? boolean report what the call would do; send nothing; default false
---@field reason? string why; the record keeps it
---@field on_progress? fun(event: table) called at each step; an event prints as a line

--- Makes a user with limited access. Its password was never an admin's.
--- It needs SQL. The same call again looks at everything anew: existence, admin, login, access, password (by a login) and sinks; row.proof has the result of each. It gives missing access again, writes sinks that lost the credential, and finishes what a crash left half done. Anything else that is not as asked is an error that changes nothing; adopt mends an admin, a user made anew and another password.
--- Errors: already_exists: the user has other access, or is not managed here. conflict: somebody else has changed the user. invalid_argument: the access leads to admin. err.report says what became of each user. After exit codes 3, 5, 6 and 129 to 143 cluster:resume() finishes the work.
---@param options crdbcloud.cluster.create_app_user.options
---@return crdbcloud.report|nil the report, only when everything is done and published; it prints as a table and has :json()
---@return crdbcloud.error|nil err
function cluster:create_app_user(options) end

---@class crdbcloud.cluster.rotate_passwords.options: crdbcloud.rotation_options
---@field users? string|string[]|"managed"|"all"|fun(user: table): boolean names, "managed" (users with a record), "all" (all but protected and SSO users), or a function; this, emergency or plan is required
---@field exclude? string|string[] names of users to skip
---@field max_age? crdbcloud.duration|"policy" rotate only older passwords; "policy" is 90 days or the user's own max_age
---@field max_failures? integer|false stop after so many failures in a row; false is never; default 3
---@field skip_admins? boolean skip users that are admins; default false
---@field parallel? integer number of threads, 1 to 64; needs luv; default 1
---@field window? string hours in which the run may start on a user, such as "22:00-04:00"
---@field emergency? string|string[]|"all" users, in place of `users`: rotate at once and end their sessions, even when the store is down
---@field before? string[] command to run once before the first change
---@field after? string[] command to run once after the last publication
---@field plan? crdbcloud.report what plan_rotation returned, in place of `users`

--- Sets new passwords for many users. The store has each one before it is sent.
--- Errors: err.report says what became of each user. After exit codes 3, 5, 6 and 129 to 143 cluster:resume() finishes the work.
---@param options? crdbcloud.cluster.rotate_passwords.options
---@return crdbcloud.report|nil the report, only when everything is done and published; it prints as a table and has :json()
---@return crdbcloud.error|nil err
function cluster:rotate_passwords(options) end

--- Reports what rotate_passwords with the same options would do. It only reads.
--- Errors: store, permission_denied, network, …
---@param options? crdbcloud.cluster.rotate_passwords.options
---@return crdbcloud.report|nil rows say rotate, finish, skip or blocked; rotate_passwords { plan = … } runs it
---@return crdbcloud.error|nil err
function cluster:plan_rotation(options) end

---@class crdbcloud.cluster.rotate_password.options: crdbcloud.rotation_options
---@field user string required; name of the user
---@field password? string|crdbcloud.secret your own password; default generated

--- Sets a new password for one user.
--- Errors: err.report says what became of each user. After exit codes 3, 5, 6 and 129 to 143 cluster:resume() finishes the work.
---@param options string|crdbcloud.cluster.rotate_password.options
---@return crdbcloud.report|nil the report, only when everything is done and published; it prints as a table and has :json()
---@return crdbcloud.error|nil err
function cluster:rotate_password(options) end

---@class crdbcloud.cluster.rollback_password.options: crdbcloud.rotation_options
---@field user string required; name of the user

--- Makes the previous password live again, as long as the store keeps it.
--- Errors: conflict: the store keeps no previous password, or a rotation is half done. err.report says what became of each user. After exit codes 3, 5, 6 and 129 to 143 cluster:resume() finishes the work.
---@param options string|crdbcloud.cluster.rollback_password.options
---@return crdbcloud.report|nil the report, only when everything is done and published; it prints as a table and has :json()
---@return crdbcloud.error|nil err
function cluster:rollback_password(options) end

---@class crdbcloud.cluster.resume.options
---@field after? string[] command to run once after the last publication
---@field verify? "auto"|"require"|false log in after each change: where a login is possible, always, or never; default "auto"
---@field keep_previous? crdbcloud.duration how long the store keeps the old password for a rollback; default "24h"
---@field allow_admin? boolean rotate an application user too that has become an admin; it is refused otherwise; default false
---@field sinks? string|table where to publish, in place of all other sinks of the user; help "sinks"
---@field dry_run? boolean report what the call would do; send nothing; default false
---@field reason? string why; the record keeps it
---@field on_progress? fun(event: table) called at each step; an event prints as a line

--- Finishes what a crash or an error left half done, and does nothing else.
--- It may be called at any time and any number of times. Where a shared store is not sealed, a command that a record names is run only if after, or a sink of the call or the handle, is the same.
--- Errors: err.report says what became of each user. After exit codes 3, 5, 6 and 129 to 143 cluster:resume() finishes the work.
---@param options? crdbcloud.cluster.resume.options
---@return crdbcloud.report|nil the report, only when everything is done and published; it prints as a table and has :json()
---@return crdbcloud.error|nil err
function cluster:resume(options) end

--- Shows what the store says of every user of the cluster.
--- Errors: store
---@return crdbcloud.status|nil rows { user, state, open, epoch, set_at, age, flags, … }; prints as a table
---@return crdbcloud.error|nil err
function cluster:rotation_status() end

---@class crdbcloud.cluster.history.options
---@field user? string only changes of this user
---@field since? string|integer first moment: a UTC date, or seconds since 1970
---@field run? string only changes of this run
---@field audit_log? boolean look up the vendor's trace ids by one request; default false

--- Shows what was sent, answered, verified and published, by whom and why.
--- Errors: store
---@param options? string|crdbcloud.cluster.history.options
---@return crdbcloud.history|nil rows, newest last; prints as a table
---@return crdbcloud.error|nil err
function cluster:history(options) end

---@class crdbcloud.cluster.probe.options
---@field dry_run? boolean report what the call would do; send nothing; default false
---@field reason? string why; the record keeps it
---@field on_progress? fun(event: table) called at each step; an event prints as a line

--- Tries on the cluster itself what this library takes for granted.
--- It makes one user crdbcloud_probe_…, an admin for a moment, that nobody gets, and removes it again. What a crash leaves, the next probe or resume removes. It needs SQL.
--- Errors: pending, sql, …: the user could not be made or removed; err.report has what was seen until then
---@param options? crdbcloud.cluster.probe.options
---@return crdbcloud.probe_report|nil rows { assumption, what, expected, seen, result, detail, seconds }; unexpected counts what does not hold
---@return crdbcloud.error|nil err
function cluster:probe(options) end

---@class crdbcloud.cluster.import_credential.options: crdbcloud.cluster.probe.options
---@field user string required; name of the user
---@field password string|crdbcloud.secret required
---@field set_at? string|integer when the password was set: a UTC date, or seconds since 1970; without it the user is due
---@field owner? string who is responsible for the user
---@field description? string text for people
---@field sinks? string|table where to publish, in place of all other sinks of the user; help "sinks"

--- Stores a known password after a login with it.
--- Errors: sql: the login was refused. conflict: the user has a record.
---@param options crdbcloud.cluster.import_credential.options
---@return crdbcloud.report|nil the report, only when everything is done and published; it prints as a table and has :json()
---@return crdbcloud.error|nil err
function cluster:import_credential(options) end

--- Shows what a user really has in all databases.
--- Errors: sql, not_found
---@param user string name of the user
---@return crdbcloud.access|nil login, admin, admin_via, powers, roles, grants, inherited, gives, owns, public_create, unknown; prints as a list
---@return crdbcloud.error|nil err
function cluster:access(user) end

---@class crdbcloud.cluster.set_access.options: crdbcloud.cluster.probe.options
---@field user string required; name of the user
---@field access? crdbcloud.access_spec|crdbcloud.access_spec[] what the user may do; help "access"
---@field roles? string|string[] roles that the user becomes a member of
---@field exact? boolean take all other access away; default false
---@field admin? false false takes admin away

--- Adds access and roles. With exact, the user has these and no other.
--- Errors: invalid_argument: the access leads to admin. conflict: exact cannot be reached, such as for an owner. err.report says what became of each user. After exit codes 3, 5, 6 and 129 to 143 cluster:resume() finishes the work.
---@param options crdbcloud.cluster.set_access.options
---@return crdbcloud.report|nil the report, only when everything is done and published; it prints as a table and has :json()
---@return crdbcloud.error|nil err
function cluster:set_access(options) end

---@class crdbcloud.cluster.disable_user.options: crdbcloud.cluster.probe.options
---@field user string required; name of the user

--- Takes the login away and ends the user's sessions.
--- Errors: err.report says what became of each user. After exit codes 3, 5, 6 and 129 to 143 cluster:resume() finishes the work.
---@param options string|crdbcloud.cluster.disable_user.options
---@return crdbcloud.report|nil the report, only when everything is done and published; it prints as a table and has :json()
---@return crdbcloud.error|nil err
function cluster:disable_user(options) end

--- Gives the login back.
--- Errors: err.report says what became of each user. After exit codes 3, 5, 6 and 129 to 143 cluster:resume() finishes the work.
---@param options string|crdbcloud.cluster.disable_user.options
---@return crdbcloud.report|nil the report, only when everything is done and published; it prints as a table and has :json()
---@return crdbcloud.error|nil err
function cluster:enable_user(options) end

---@class crdbcloud.cluster.remove_app_user.options: crdbcloud.cluster.disable_user.options
---@field reassign_to? string role that becomes the owner of what the user owns
---@field clean_sinks? boolean remove what was published, too; without it the report names where it is; default false

--- Ends login, sessions and access, deletes the user, then removes its record. A dry run lists the statements.
--- Errors: conflict: something is in the way that no statement of ours ends; nothing was changed. err.report says what became of each user. After exit codes 3, 5, 6 and 129 to 143 cluster:resume() finishes the work.
---@param options string|crdbcloud.cluster.remove_app_user.options
---@return crdbcloud.report|nil the report, only when everything is done and published; it prints as a table and has :json()
---@return crdbcloud.error|nil err
function cluster:remove_app_user(options) end

---@class crdbcloud.cluster.pair_sql.options
---@field confirm? string name of the cluster: you have looked at both sides, and record the pairing in the store

--- Shows where SQL goes and what the API says; records that they are one cluster.
--- What writes by SQL demands that both are one cluster: the API names the address of the connection, or a person has paired them once. A pairing is for tunnels, proxies and names of your own. Without confirm nothing is recorded.
--- Errors: conflict, sql, store
---@param options? crdbcloud.cluster.pair_sql.options
---@return crdbcloud.pairing|nil both sides, and what proves that they are one; prints as a table
---@return crdbcloud.error|nil err
function cluster:pair_sql(options) end

--- Reads the credential of a user from the store, without a request.
--- Errors: not_found: the store has no credential. pending: the user is half made. store: the store cannot be read.
---@param user string name of the user
---@return crdbcloud.credential|nil user, password (a secret), host, port, database, sslmode, epoch, set_at, pool_name, candidates
---@return crdbcloud.error|nil err
function cluster:credential(user) end

---@class crdbcloud.cluster.connect_with.options
---@field deadline? crdbcloud.duration time limit of reading the store again and trying; default "10s"

--- Connects with the first password that works: the current, the staged, or the previous one.
--- It tries the next one only after a wrong password (SQLSTATE 28P01 or 28000, or the known text), then reads the store again.
--- Errors: the last error of connect, or an error of credential
---@param user string name of the user
---@param connect fun(credential: crdbcloud.credential): any, any takes a credential and returns a connection, or nil and why
---@param options? crdbcloud.cluster.connect_with.options
---@return any|nil the connection
---@return crdbcloud.error|nil err
function cluster:connect_with(user, connect, options) end

--- Closes the SQL connection and the store. Closing twice is allowed.
function cluster:close() end
