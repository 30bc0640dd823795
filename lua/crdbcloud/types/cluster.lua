---@meta crdbcloud.types.cluster
-- Declarations for editors, made by `make reference` from lua/crdbcloud/reference; never loaded.

---@class crdbcloud.cluster workflows
---@field cloud crdbcloud.cloud the account
---@field name_or_id string as it was given
local cluster = {}

---@class crdbcloud.cluster.create_app_user.options
---@field name string required; name of the user
---@field access? crdbcloud.access_spec|crdbcloud.access_spec[] what it may do; help "access"
---@field roles? string|string[] roles that it becomes a member of
---@field owner? string who answers for it
---@field description? string for people
---@field labels? table<string, string> kept in the record
---@field sinks? string|table in place of all other sinks of the user; help "sinks"
---@field password? string|crdbcloud.secret of your own; default generated
---@field adopt? boolean take over a user of that name: demoted, new password, sessions ended; default false
---@field pair? boolean two users in one role that are rotated in turn, so that no login ever fails; default false
---@field via? "api" how it is made; default "api"
---@field max_age? crdbcloud.duration its own age for rotate_passwords { max_age = "policy" }
---@field ttl? nil not in this version
---@field verify? "auto"|"require"|false prove each change by a login, where one is possible, always, or never; default "auto"
---@field dry_run? boolean say what would be done; nothing is sent; default false
---@field reason? string kept in the record
---@field on_progress? fun(event: table) told of each step; an event prints as a line

--- A user with limited access; its password was never an admin's.
--- Needs SQL. The same again changes nothing, a half-done one is finished.
--- Errors: already_exists: it has other access, or is someone else's. invalid_argument: the access leads to admin. err.report says what became of each user, err.exit what to do; after 3, 5, 6 and 129 to 143: cluster:resume().
---@param options crdbcloud.cluster.create_app_user.options
---@return crdbcloud.report|nil returned only when everything is done and published; prints as a table, has :json()
---@return crdbcloud.error|nil err
function cluster:create_app_user(options) end

---@class crdbcloud.cluster.rotate_passwords.options
---@field users? string|string[]|"managed"|"all"|fun(user: table): boolean names, "managed" (with a record), "all" (but protected and SSO users), or a function; this, emergency or plan is required
---@field exclude? string|string[] names to leave alone
---@field max_age? crdbcloud.duration|"policy" only passwords that are older; "policy": 90 days or the user's own
---@field max_failures? integer|false stop after so many in a row; false: never; default 3
---@field skip_admins? boolean leave admins alone; default false
---@field parallel? integer threads, 1 to 64; needs luv; default 1
---@field window? string hours in which a user may be started on, such as "22:00-04:00"
---@field emergency? string|string[]|"all" in place of users: at once, sessions ended, also with the store down
---@field before? string[] command that runs once before the first change
---@field after? string[] command that runs once after something was published
---@field plan? crdbcloud.report in place of users: what plan_rotation returned
---@field verify? "auto"|"require"|false prove each change by a login, where one is possible, always, or never; default "auto"
---@field keep_previous? crdbcloud.duration how long the old password is kept for a rollback; default "24h"
---@field cancel_sessions? boolean end the user's sessions after the change; default false
---@field sinks? string|table in place of all other sinks of the user; help "sinks"
---@field dry_run? boolean say what would be done; nothing is sent; default false
---@field reason? string kept in the record
---@field on_progress? fun(event: table) told of each step; an event prints as a line

--- New passwords for many users, each durable before it is sent.
--- Errors: err.report says what became of each user, err.exit what to do; after 3, 5, 6 and 129 to 143: cluster:resume().
---@param options? crdbcloud.cluster.rotate_passwords.options
---@return crdbcloud.report|nil returned only when everything is done and published; prints as a table, has :json()
---@return crdbcloud.error|nil err
function cluster:rotate_passwords(options) end

---@class crdbcloud.cluster.plan_rotation.options
---@field users? string|string[]|"managed"|"all"|fun(user: table): boolean names, "managed" (with a record), "all" (but protected and SSO users), or a function; this, emergency or plan is required
---@field exclude? string|string[] names to leave alone
---@field max_age? crdbcloud.duration|"policy" only passwords that are older; "policy": 90 days or the user's own
---@field max_failures? integer|false stop after so many in a row; false: never; default 3
---@field skip_admins? boolean leave admins alone; default false
---@field parallel? integer threads, 1 to 64; needs luv; default 1
---@field window? string hours in which a user may be started on, such as "22:00-04:00"
---@field emergency? string|string[]|"all" in place of users: at once, sessions ended, also with the store down
---@field before? string[] command that runs once before the first change
---@field after? string[] command that runs once after something was published
---@field plan? crdbcloud.report in place of users: what plan_rotation returned
---@field verify? "auto"|"require"|false prove each change by a login, where one is possible, always, or never; default "auto"
---@field keep_previous? crdbcloud.duration how long the old password is kept for a rollback; default "24h"
---@field cancel_sessions? boolean end the user's sessions after the change; default false
---@field sinks? string|table in place of all other sinks of the user; help "sinks"
---@field dry_run? boolean say what would be done; nothing is sent; default false
---@field reason? string kept in the record
---@field on_progress? fun(event: table) told of each step; an event prints as a line

--- What rotate_passwords with the same options would do; reads only.
--- Errors: as of reading: store, permission_denied, …
---@param options? crdbcloud.cluster.plan_rotation.options
---@return crdbcloud.report|nil rows say rotate, finish, skip or blocked; run it by rotate_passwords { plan = … }
---@return crdbcloud.error|nil err
function cluster:plan_rotation(options) end

---@class crdbcloud.cluster.rotate_password.options
---@field user string required; name of the user
---@field password? string|crdbcloud.secret of your own; default generated
---@field verify? "auto"|"require"|false prove each change by a login, where one is possible, always, or never; default "auto"
---@field keep_previous? crdbcloud.duration how long the old password is kept for a rollback; default "24h"
---@field cancel_sessions? boolean end the user's sessions after the change; default false
---@field sinks? string|table in place of all other sinks of the user; help "sinks"
---@field dry_run? boolean say what would be done; nothing is sent; default false
---@field reason? string kept in the record
---@field on_progress? fun(event: table) told of each step; an event prints as a line

--- A new password for one user.
--- Errors: err.report says what became of each user, err.exit what to do; after 3, 5, 6 and 129 to 143: cluster:resume().
---@param options string|crdbcloud.cluster.rotate_password.options
---@return crdbcloud.report|nil returned only when everything is done and published; prints as a table, has :json()
---@return crdbcloud.error|nil err
function cluster:rotate_password(options) end

---@class crdbcloud.cluster.rollback_password.options
---@field user string required; name of the user
---@field verify? "auto"|"require"|false prove each change by a login, where one is possible, always, or never; default "auto"
---@field keep_previous? crdbcloud.duration how long the old password is kept for a rollback; default "24h"
---@field cancel_sessions? boolean end the user's sessions after the change; default false
---@field sinks? string|table in place of all other sinks of the user; help "sinks"
---@field dry_run? boolean say what would be done; nothing is sent; default false
---@field reason? string kept in the record
---@field on_progress? fun(event: table) told of each step; an event prints as a line

--- Makes the previous password live again, as long as it is kept.
--- Errors: conflict: none is kept, or a rotation is half done. err.report says what became of each user, err.exit what to do; after 3, 5, 6 and 129 to 143: cluster:resume().
---@param options string|crdbcloud.cluster.rollback_password.options
---@return crdbcloud.report|nil returned only when everything is done and published; prints as a table, has :json()
---@return crdbcloud.error|nil err
function cluster:rollback_password(options) end

---@class crdbcloud.cluster.resume.options
---@field verify? "auto"|"require"|false prove each change by a login, where one is possible, always, or never; default "auto"
---@field keep_previous? crdbcloud.duration how long the old password is kept for a rollback; default "24h"
---@field sinks? string|table in place of all other sinks of the user; help "sinks"
---@field dry_run? boolean say what would be done; nothing is sent; default false
---@field reason? string kept in the record
---@field on_progress? fun(event: table) told of each step; an event prints as a line

--- Finishes whatever a crash or an error left, and nothing else.
--- May be called at any time and any number of times.
--- Errors: err.report says what became of each user, err.exit what to do; after 3, 5, 6 and 129 to 143: cluster:resume().
---@param options? crdbcloud.cluster.resume.options
---@return crdbcloud.report|nil returned only when everything is done and published; prints as a table, has :json()
---@return crdbcloud.error|nil err
function cluster:resume(options) end

--- What the store says of every user of the cluster.
--- Errors: store
---@return crdbcloud.status|nil rows { user, state, open, epoch, set_at, age, flags, … }; prints as a table
---@return crdbcloud.error|nil err
function cluster:rotation_status() end

---@class crdbcloud.cluster.history.options
---@field user? string only of this user
---@field since? string|integer a UTC date, or seconds since 1970
---@field run? string only of this run
---@field audit_log? boolean look up the vendor's trace ids, one request; default false

--- What was sent, answered, verified and published, by whom and why.
--- Errors: store
---@param options? string|crdbcloud.cluster.history.options
---@return crdbcloud.history|nil rows, newest last; prints as a table
---@return crdbcloud.error|nil err
function cluster:history(options) end

---@class crdbcloud.cluster.import_credential.options
---@field user string required; name of the user
---@field password string|crdbcloud.secret required
---@field set_at? string|integer when it was set: a UTC date, or seconds since 1970; unknown counts as due
---@field owner? string who answers for it
---@field description? string for people
---@field sinks? string|table in place of all other sinks of the user; help "sinks"
---@field dry_run? boolean say what would be done; nothing is sent; default false
---@field reason? string kept in the record
---@field on_progress? fun(event: table) told of each step; an event prints as a line

--- Takes a known password into the store, once a login has proved it.
--- Errors: sql: the login was refused. conflict: it has a record.
---@param options crdbcloud.cluster.import_credential.options
---@return crdbcloud.report|nil returned only when everything is done and published; prints as a table, has :json()
---@return crdbcloud.error|nil err
function cluster:import_credential(options) end

--- What a user really has, in all databases.
--- Errors: sql, not_found
---@param user string name of the user
---@return crdbcloud.access|nil login, admin, admin_via, roles, grants, owns, public_create; prints as a list
---@return crdbcloud.error|nil err
function cluster:access(user) end

---@class crdbcloud.cluster.set_access.options
---@field user string required; name of the user
---@field access? crdbcloud.access_spec|crdbcloud.access_spec[] what it may do; help "access"
---@field roles? string|string[] roles that it becomes a member of
---@field exact? boolean take away everything else; default false
---@field admin? false take admin away
---@field dry_run? boolean say what would be done; nothing is sent; default false
---@field reason? string kept in the record
---@field on_progress? fun(event: table) told of each step; an event prints as a line

--- Adds access and roles; with exact makes it just these.
--- Errors: invalid_argument: it leads to admin. err.report says what became of each user, err.exit what to do; after 3, 5, 6 and 129 to 143: cluster:resume().
---@param options crdbcloud.cluster.set_access.options
---@return crdbcloud.report|nil returned only when everything is done and published; prints as a table, has :json()
---@return crdbcloud.error|nil err
function cluster:set_access(options) end

---@class crdbcloud.cluster.disable_user.options
---@field user string required; name of the user
---@field dry_run? boolean say what would be done; nothing is sent; default false
---@field reason? string kept in the record
---@field on_progress? fun(event: table) told of each step; an event prints as a line

--- Takes the login away and ends the user's sessions.
--- Errors: err.report says what became of each user, err.exit what to do; after 3, 5, 6 and 129 to 143: cluster:resume().
---@param options string|crdbcloud.cluster.disable_user.options
---@return crdbcloud.report|nil returned only when everything is done and published; prints as a table, has :json()
---@return crdbcloud.error|nil err
function cluster:disable_user(options) end

---@class crdbcloud.cluster.enable_user.options
---@field user string required; name of the user
---@field dry_run? boolean say what would be done; nothing is sent; default false
---@field reason? string kept in the record
---@field on_progress? fun(event: table) told of each step; an event prints as a line

--- Gives the login back.
--- Errors: err.report says what became of each user, err.exit what to do; after 3, 5, 6 and 129 to 143: cluster:resume().
---@param options string|crdbcloud.cluster.enable_user.options
---@return crdbcloud.report|nil returned only when everything is done and published; prints as a table, has :json()
---@return crdbcloud.error|nil err
function cluster:enable_user(options) end

---@class crdbcloud.cluster.remove_app_user.options
---@field user string required; name of the user
---@field reassign_to? string role that gets what the user owns
---@field dry_run? boolean say what would be done; nothing is sent; default false
---@field reason? string kept in the record
---@field on_progress? fun(event: table) told of each step; an event prints as a line

--- Ends login, sessions and access, deletes the user, then forgets its record.
--- Errors: conflict: it owns something. err.report says what became of each user, err.exit what to do; after 3, 5, 6 and 129 to 143: cluster:resume().
---@param options string|crdbcloud.cluster.remove_app_user.options
---@return crdbcloud.report|nil returned only when everything is done and published; prints as a table, has :json()
---@return crdbcloud.error|nil err
function cluster:remove_app_user(options) end

--- The credential of a user from the store; no request.
--- Errors: not_found: the store has none. pending: it is being made. store: it cannot be read.
---@param user string name of the user
---@return crdbcloud.credential|nil user, password (a secret), host, port, database, sslmode, epoch, set_at, pool_name, candidates
---@return crdbcloud.error|nil err
function cluster:credential(user) end

---@class crdbcloud.cluster.connect_with.options
---@field deadline? crdbcloud.duration how long to read again and try; default "10s"

--- Connects with the first password that works: current, staged, previous.
--- Only a wrong password (SQLSTATE 28P01 or 28000, or the known text) moves on to the next; then the store is read again.
--- Errors: the last error of connect, or as of credential
---@param user string name of the user
---@param connect fun(credential: crdbcloud.credential): any, any takes a credential, returns a connection, or nil and why
---@param options? crdbcloud.cluster.connect_with.options
---@return any|nil the connection
---@return crdbcloud.error|nil err
function cluster:connect_with(user, connect, options) end

--- Closes the SQL connection and the store. Closing twice is allowed.
function cluster:close() end
