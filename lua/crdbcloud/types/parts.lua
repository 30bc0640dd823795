---@meta crdbcloud.types.parts
-- Declarations for editors, made by `make reference` from lua/crdbcloud/reference; never loaded.

---@class crdbcloud.credential a credential
---@field user string whom to log in as
---@field password crdbcloud.secret print shows its length only
---@field pair? string name of the pair, where the user is one of two
---@field host string address
---@field port integer port
---@field database? string database
---@field sslmode string such as verify-full
---@field cluster? string its name
---@field cluster_id string its id
---@field epoch integer counts the passwords of this user
---@field set_at? integer seconds since 1970
---@field pool_name string differs after each rotation, so that old connections drain
---@field candidates table[] passwords that may be live: { epoch, password, source, user }
local credential = {}

--- A connection URL with the password inside, as a secret.
---@return crdbcloud.secret the URL
function credential:url() end

---@class crdbcloud.credential_source a source of one credential
---@field user string name of the user
---@field source string where it is read, without a password
local credential_source = {}

--- The credential as it is now.
--- Errors: not_found, pending, store
---@return crdbcloud.credential|nil see help "credential"
---@return crdbcloud.error|nil err
function credential_source:get() end

---@class crdbcloud.credential_source.connect_with.options
---@field deadline? crdbcloud.duration how long to read again and try; default "10s"

--- As cluster:connect_with, from this source.
--- Errors: the last error of connect, or as of get
---@param connect fun(credential: crdbcloud.credential): any, any takes a credential, returns a connection, or nil and why
---@param options? crdbcloud.credential_source.connect_with.options
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

--- True for a secret.
---@param value any
---@return boolean
function secrets.is(value) end

--- A string as a secret; a secret as it is.
---@param value string|crdbcloud.secret
---@param what? string the argument, for the message
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
---@field length? integer bytes, 12 to 500; default 32
---@field alphabet? string characters, each once; default letters and digits
---@field classes? string[] at least one character of each

--- Makes a password with the kernel's random numbers; it never becomes a Lua string.
--- Errors: invalid_argument: the classes cannot be met
---@param options? crdbcloud.passwords.generate.options
---@return crdbcloud.secret|nil the password
---@return crdbcloud.error|nil err
function passwords.generate(options) end

---@class crdbcloud.passwords.check.options
---@field user? string whose it is to be
---@field words? string[] more that are easy to guess

--- Checks a password: 12 to 500 bytes, not the user's name, not a common one, not a hash form.
--- Errors: invalid_argument; it never shows the password
---@param password string|crdbcloud.secret that somebody chose
---@param options? crdbcloud.passwords.check.options
---@return true|nil
---@return crdbcloud.error|nil err
function passwords.check(password, options) end

---@class crdbcloud.names names
local names = {}

--- Checks a name: 1 to 63 bytes, letters, digits, _, - and .; not reserved.
--- Errors: invalid_argument
---@param name string of a SQL user
---@return string|nil folded, as the cluster stores it
---@return crdbcloud.error|nil err
function names.check(name) end

--- The folded form, for comparing.
---@param name string
---@return string
function names.fold(name) end

--- What to know about a valid name, or nil: it is a keyword.
---@param folded string
---@return string|nil
function names.note(folded) end

--- True for names that no workflow ever touches: root, admin, pg_*, ….
---@param folded string
---@return boolean
function names.is_protected(folded) end

--- True for users made by Cluster SSO.
---@param folded string
---@return boolean
function names.is_sso(folded) end

---@class crdbcloud.privileges access in sql
local privileges = {}

---@class crdbcloud.privileges.plan.options
---@field user string required
---@field dialect? "cockroachdb"|"postgresql" whose SQL; default "cockroachdb"
---@field roles? string[] roles too
---@field revoke_admin? boolean take admin away first; default false

--- The statements that give a user its access, without asking a server.
--- Errors: invalid_argument
---@param access crdbcloud.access_spec|crdbcloud.access_spec[]|nil help "access"
---@param options crdbcloud.privileges.plan.options
---@return string[]|nil prints one a line
---@return crdbcloud.error|nil err
function privileges.plan(access, options) end

---@class crdbcloud.privileges.apply.options
---@field user string required
---@field roles? string[] roles too
---@field exact? boolean take away everything else; default false
---@field timeout? crdbcloud.duration limit of all statements; default "60s"

--- Gives the access, then compares what the server says with what was wanted.
--- Errors: sql, invalid_argument: it leads to admin
---@param sql crdbcloud.sql an admin's connection
---@param access crdbcloud.access_spec|crdbcloud.access_spec[]|nil help "access"
---@param options crdbcloud.privileges.apply.options
---@return true|nil
---@return crdbcloud.error|nil err
function privileges.apply(sql, access, options) end

---@class crdbcloud.privileges.inspect.options
---@field databases? string[]|"all" where to look for grants and owned objects; without it only roles
---@field timeout? crdbcloud.duration limit of all statements; default "60s"

--- What a user really is and has.
--- Errors: sql
---@param sql crdbcloud.sql an admin's connection
---@param user string name of the user
---@param options? crdbcloud.privileges.inspect.options
---@return table|nil exists, login, admin, roles, grants, owns, …; prints as fields
---@return crdbcloud.error|nil err
function privileges.inspect(sql, user, options) end

---@class crdbcloud.privileges.diff.options
---@field roles? string[] roles wanted too

--- Compares.
--- Errors: invalid_argument
---@param wanted table access as written, or single grants
---@param actual table what inspect gave, or single grants
---@param options? crdbcloud.privileges.diff.options
---@return table|nil { missing, extra }; prints one a line
---@return crdbcloud.error|nil err
function privileges.diff(wanted, actual, options) end

--- Checks access and gives it back complete and in one order.
--- Errors: invalid_argument
---@param access crdbcloud.access_spec|crdbcloud.access_spec[]|nil help "access"
---@return table[]|nil
---@return crdbcloud.error|nil err
function privileges.normalize(access) end

--- A grant in words.
---@param grant table a single one of inspect or diff
---@return string SELECT on table shop.public.orders
function privileges.describe(grant) end

---@class crdbcloud.privileges.demote.options
---@field timeout? crdbcloud.duration limit of all statements; default "60s"

--- Takes admin away, and each membership that leads to it; then looks.
--- Errors: sql
---@param sql crdbcloud.sql an admin's connection
---@param user string name of the user
---@param options? crdbcloud.privileges.demote.options
---@return table|nil { revoked }
---@return crdbcloud.error|nil err
function privileges.demote(sql, user, options) end

--- Why an application user cannot get this access or these roles, or must not; nil when there is no reason.
---@param sql crdbcloud.sql an admin's connection
---@param access crdbcloud.access_spec|crdbcloud.access_spec[]|nil help "access"
---@param roles? string[]
---@return crdbcloud.error|nil the reason
function privileges.refused(sql, access, roles) end

---@class crdbcloud.privileges.cancel_sessions.options
---@field timeout? crdbcloud.duration limit; default "30s"

--- Ends all sessions of a user, until none is left.
--- Errors: sql
---@param sql crdbcloud.sql an admin's connection
---@param user string name of the user
---@param options? crdbcloud.privileges.cancel_sessions.options
---@return integer|nil how many
---@return crdbcloud.error|nil err
function privileges.cancel_sessions(sql, user, options) end

--- The statement that ends a user's sessions, for a person to run.
---@param user string name of the user
---@param dialect? string
---@return string
function privileges.cancel_statement(user, dialect) end

--- Lets a user log in, or takes that away. Open sessions go on.
--- Errors: sql
---@param sql crdbcloud.sql an admin's connection
---@param user string name of the user
---@param allowed boolean
---@return true|nil
---@return crdbcloud.error|nil err
function privileges.set_login(sql, user, allowed) end

---@class crdbcloud.errors the type of errors
local errors = {}

--- True for an error object of this library.
---@param value any
---@return boolean
function errors.is(value) end
