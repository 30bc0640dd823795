---@meta crdbcloud.pq
-- Declarations of the C module crdbcloud.pq (libpq), for editors and the surface check; never loaded.
-- crdbcloud.sql is what programs use; this is its mechanism.

---@class crdbcloud.pq
local pq = {}

---@class crdbcloud.pq.error
---@field reason string what failed, as a word
---@field message string
---@field sqlstate string? five characters
---@field detail string?
---@field sent boolean the statement left for the server

---@class crdbcloud.connection: userdata
local connection = {}

--- Connects, within params.timeout seconds (default 30). No environment variable, password file
--- or service file is read; all other fields are libpq's parameters.
---@param params table host, port, dbname, user, password (string or secret, as is sslpassword), sslmode, ..., timeout; ambient_password = true: a password file may be read
---@return crdbcloud.connection|nil
---@return crdbcloud.pq.error? err
function pq.connect(params) end

--- Reads a URL or connection string as libpq does; its password comes out as a secret.
---@param text string|crdbcloud.secret
---@return table|nil params
---@return string? message quotes nothing of the text
function pq.parse(text) end

--- Runs one statement.
---@param text string with $1, $2, ...
---@param parameters { n: integer?, [integer]: string|crdbcloud.secret|nil }?
---@param options { timeout: number?, secret_columns: string[]? }?
---@return table|nil rows { column = string|secret|nil }, with n, tag and columns
---@return crdbcloud.pq.error? err
function connection:query(text, parameters, options) end

--- True when the server asked for the password and was given it: only then is a login a proof.
---@return boolean
function connection:used_password() end

---@return boolean
function connection:is_open() end

--- Closing twice is allowed.
function connection:close() end

return pq
