---@meta crdbcloud.types.parts
-- Declarations for editors, made by `make reference` from lua/crdbcloud/reference; never loaded.

---@class crdbcloud.credential a credential
---@field user string user to log in as
---@field password crdbcloud.secret the password; print shows its length only
---@field pair? string name of the pair, when the user is one of two
---@field host string address of the cluster
---@field port integer port of the cluster
---@field database? string database to use
---@field sslmode string such as verify-full
---@field cluster? string name of the cluster
---@field cluster_id string id of the cluster
---@field epoch integer number of passwords that this user has had
---@field set_at? integer when the password was set, in seconds since 1970
---@field pool_name string name for a connection pool; it changes at each rotation, so that old connections drain
---@field candidates table[] passwords that may be live: { epoch, password, source, user }
local credential = {}

--- Returns a connection URL with the password in it, as a secret.
---@return crdbcloud.secret the URL
function credential:url() end

---@class crdbcloud.credential_source a source of one credential
---@field user string name of the user
---@field source string where the credential is read from, without a password
local credential_source = {}

--- Reads the credential as it is now.
--- Errors: not_found, pending, store
---@return crdbcloud.credential|nil see help "credential"
---@return crdbcloud.error|nil err
function credential_source:get() end

--- Connects as cluster:connect_with does, with the credentials of this source.
--- Errors: the last error of connect, or an error of get
---@param connect fun(credential: crdbcloud.credential): any, any takes a credential and returns a connection, or nil and why
---@param options? crdbcloud.cluster.connect_with.options
---@return any|nil the connection
---@return crdbcloud.error|nil err
function credential_source:connect_with(connect, options) end

--- Closes the store. Closing twice is allowed.
function credential_source:close() end

---@class crdbcloud.secrets secrets
---@overload fun(text: string): crdbcloud.secret
local secrets = {}

--- Reads a secret from a file.
--- Errors: invalid_argument: missing, readable by others, empty
---@param path string a file that nobody but its owner can read
---@return crdbcloud.secret|nil without one newline at its end
---@return crdbcloud.error|nil err
function secrets.from_file(path) end

--- Reads a secret from an environment variable.
--- Errors: invalid_argument: it is not set
---@param name string name of the variable
---@return crdbcloud.secret|nil
---@return crdbcloud.error|nil err
function secrets.from_env(name) end

--- Asks on the terminal, without echo.
--- Errors: invalid_argument: no terminal, or nothing was typed
---@param text? string the question; default "Password: "
---@return crdbcloud.secret|nil
---@return crdbcloud.error|nil err
function secrets.prompt(text) end

--- Returns true for a secret.
---@param value any any value
---@return boolean
function secrets.is(value) end

--- Makes a secret of a string; returns a secret as it is.
---@param value string|crdbcloud.secret the bytes
---@param what? string name of the argument, for the message
---@return crdbcloud.secret
function secrets.of(value, what) end

---@class crdbcloud.passwords passwords
---@field LOWER string letters, for classes
---@field UPPER string letters, for classes
---@field DIGITS string digits, for classes
---@field SHORTEST integer 12 bytes
---@field LONGEST integer 500 bytes
local passwords = {}

---@class crdbcloud.passwords.generate.options
---@field length? integer length in bytes, 12 to 500; default 32
---@field alphabet? string characters to choose from, each once; default letters and digits
---@field classes? string[] sets of characters; the password has one of each

--- Makes a password from the kernel's random numbers. It never becomes a Lua string.
--- Errors: invalid_argument: the classes cannot be met
---@param options? crdbcloud.passwords.generate.options
---@return crdbcloud.secret|nil the password
---@return crdbcloud.error|nil err
function passwords.generate(options) end

---@class crdbcloud.passwords.check.options
---@field user? string user that gets the password
---@field words? string[] more words that are easy to guess

--- Checks a password: 12 to 500 bytes, not the user's name, not a common one, not a hash form.
--- Errors: invalid_argument; it never shows the password
---@param password string|crdbcloud.secret password that a person chose
---@param options? crdbcloud.passwords.check.options
---@return true|nil
---@return crdbcloud.error|nil err
function passwords.check(password, options) end

---@class crdbcloud.names names
local names = {}

--- Checks a name: 1 to 63 bytes, letters, digits, _, - and .; not reserved.
--- Errors: invalid_argument
---@param name string name of a SQL user
---@return string|nil the name in lower case, as the cluster stores it
---@return crdbcloud.error|nil err
function names.check(name) end

--- Returns the name in lower case, for comparing.
---@param name string name of a user
---@return string
function names.fold(name) end

--- Returns a warning about a valid name that is a keyword, or nil.
---@param folded string name in lower case
---@return string|nil
function names.note(folded) end

--- Returns true for names that no workflow touches, such as root, admin and pg_*.
---@param folded string name in lower case
---@return boolean
function names.is_protected(folded) end

--- Returns true for users that Cluster SSO makes.
---@param folded string name in lower case
---@return boolean
function names.is_sso(folded) end

---@class crdbcloud.privileges access in sql
local privileges = {}

---@class crdbcloud.privileges.plan.options
---@field user string required
---@field dialect? "cockroachdb"|"postgresql" dialect of the statements; default "cockroachdb"
---@field roles? string[] roles to give too
---@field revoke_admin? boolean take admin away first; default false

--- Returns the statements that give a user its access, without asking a server.
--- Errors: invalid_argument
---@param access crdbcloud.access_spec|crdbcloud.access_spec[]|nil help "access"
---@param options crdbcloud.privileges.plan.options
---@return string[]|nil the list; it prints one a line
---@return crdbcloud.error|nil err
function privileges.plan(access, options) end

---@class crdbcloud.privileges.apply.options
---@field user string required
---@field roles? string[] roles to give too
---@field exact? boolean take all other access away; default false
---@field timeout? crdbcloud.duration time limit of all statements; default "60s"

--- Gives the access, then compares it with what the server says.
--- Errors: sql. conflict: exact access cannot be reached. invalid_argument: the access leads to admin.
---@param sql crdbcloud.sql an admin's connection
---@param access crdbcloud.access_spec|crdbcloud.access_spec[]|nil help "access"
---@param options crdbcloud.privileges.apply.options
---@return true|nil
---@return crdbcloud.error|nil err
function privileges.apply(sql, access, options) end

---@class crdbcloud.privileges.lacks.options
---@field user string required
---@field roles? string[] roles that the user should have too

--- Returns what a user lacks of the access. It only reads.
--- Errors: sql, not_found, invalid_argument
---@param sql crdbcloud.sql an admin's connection
---@param access crdbcloud.access_spec|crdbcloud.access_spec[]|nil help "access"
---@param options crdbcloud.privileges.lacks.options
---@return table[]|nil single grants, none when nothing is missing
---@return crdbcloud.error|nil err
function privileges.lacks(sql, access, options) end

---@class crdbcloud.privileges.inspect.options
---@field databases? string[]|"all" databases to search for grants and owned objects; without it only roles are read
---@field timeout? crdbcloud.duration time limit of all statements; default "60s"

--- Reads what a user is and what access it has.
--- Errors: sql
---@param sql crdbcloud.sql an admin's connection
---@param user string name of the user
---@param options? crdbcloud.privileges.inspect.options
---@return table|nil exists, login, admin, powers, limited, roles, grants, inherited, gives, owns, unknown, …; prints as fields
---@return crdbcloud.error|nil err
function privileges.inspect(sql, user, options) end

---@class crdbcloud.privileges.diff.options
---@field roles? string[] roles that are wanted too

--- Compares wanted access with actual access.
--- Errors: invalid_argument
---@param wanted table access, or single grants
---@param actual table result of inspect, or single grants
---@param options? crdbcloud.privileges.diff.options
---@return table|nil { missing, extra }; it prints one a line
---@return crdbcloud.error|nil err
function privileges.diff(wanted, actual, options) end

--- Checks access and returns it complete and sorted.
--- Errors: invalid_argument
---@param access crdbcloud.access_spec|crdbcloud.access_spec[]|nil help "access"
---@return table[]|nil
---@return crdbcloud.error|nil err
function privileges.normalize(access) end

--- Describes a grant in words.
---@param grant table one grant of inspect or diff
---@return string SELECT on table shop.public.orders
function privileges.describe(grant) end

---@class crdbcloud.privileges.demote.options
---@field timeout? crdbcloud.duration time limit of all statements; default "60s"

--- Takes admin away, with each membership that leads to it, then checks the result.
--- Errors: sql
---@param sql crdbcloud.sql an admin's connection
---@param user string name of the user
---@param options? crdbcloud.privileges.demote.options
---@return table|nil { revoked }
---@return crdbcloud.error|nil err
function privileges.demote(sql, user, options) end

--- Returns why an application user must not get this access or these roles, or nil.
---@param sql crdbcloud.sql an admin's connection
---@param access crdbcloud.access_spec|crdbcloud.access_spec[]|nil help "access"
---@param roles? string[] roles wanted
---@return crdbcloud.error|nil the reason
function privileges.refused(sql, access, roles) end

---@class crdbcloud.privileges.cancel_sessions.options
---@field older_than? crdbcloud.duration leave sessions that began since then
---@field timeout? crdbcloud.duration time limit; default "30s"

--- Ends all sessions of a user, and repeats until none is left.
--- Errors: sql
---@param sql crdbcloud.sql an admin's connection
---@param user string name of the user
---@param options? crdbcloud.privileges.cancel_sessions.options
---@return integer|nil how many
---@return crdbcloud.error|nil err
function privileges.cancel_sessions(sql, user, options) end

---@class crdbcloud.privileges.plan_removal.options: crdbcloud.privileges.demote.options
---@field reassign_to? string role that gets what it owns

--- Lists the statements after which a role can be dropped, in every database. It only reads.
--- Errors: sql. conflict: something that no statement of ours takes away; the error names it and what to run.
---@param sql crdbcloud.sql an admin's connection
---@param user string name of the user
---@param options? crdbcloud.privileges.plan_removal.options
---@return table|nil exists, statements, owns
---@return crdbcloud.error|nil err
function privileges.plan_removal(sql, user, options) end

---@class crdbcloud.privileges.clear_for_drop.options: crdbcloud.privileges.demote.options
---@field reassign_to? string role that gets what it owns

--- Runs the statements of plan_removal and looks again.
--- Errors: sql, conflict
---@param sql crdbcloud.sql an admin's connection
---@param user string name of the user
---@param options? crdbcloud.privileges.clear_for_drop.options
---@return true|nil
---@return crdbcloud.error|nil err
function privileges.clear_for_drop(sql, user, options) end

--- Returns the statement that ends a user's sessions, for a person to run.
---@param user string name of the user
---@param dialect? string cockroachdb or postgresql
---@return string
function privileges.cancel_statement(user, dialect) end

--- Gives the login to a user or takes it away. Open sessions go on.
--- Errors: sql. conflict: something else keeps the user out.
---@param sql crdbcloud.sql an admin's connection
---@param user string name of the user
---@param allowed boolean whether the user may log in
---@return true|nil
---@return crdbcloud.error|nil err
function privileges.set_login(sql, user, allowed) end

--- Returns what keeps a user out whatever its password is: NOLOGIN, NOSQLLOGIN or VALID UNTIL.
--- Errors: sql
---@param sql crdbcloud.sql an admin's connection
---@param user string name of the user
---@return table|false|nil { reason, message, statement }; false: nothing keeps it out
---@return crdbcloud.error|nil err
function privileges.why_no_login(sql, user) end

---@class crdbcloud.errors the type of errors
local errors = {}

--- Returns true for an error object of this library.
---@param value any any value
---@return boolean
function errors.is(value) end
