--- SQL connections: `local sql = assert(require("crdbcloud.sql").connect(url))`, `sql:query(text, ...)`.
-- One object whether the connection is our own (crdbcloud.pq) or that of another library (crdbcloud.sql.adapters).

local errors = require "crdbcloud.errors"
local options = require "crdbcloud.base.options"
local params = require "crdbcloud.sql.params"
local failure = require "crdbcloud.sql.failure"
local dialect = require "crdbcloud.sql.dialect"
local printing = require "crdbcloud.base.printing"

local M = {}

---@class crdbcloud.sql
local Sql = {}
Sql.__index = Sql
Sql.__name = "crdbcloud.sql"

local CONNECT_TIMEOUT, DEADLINE = 10, 30 -- seconds: a login, one statement

local Options = { __name = "crdbcloud.sql.options" }
local OPTION_RULES = { timeout = "limit", secret_columns = "table" }

--- Marks options for `sql:query`, as its last argument.
---@param given {timeout: crdbcloud.duration?, secret_columns: string[]?}
---@return table
function M.options(given)
  local copy = options.check(OPTION_RULES, given, "sql.options")
  for i, name in ipairs(copy.secret_columns or {}) do
    options.value("text", name, ("sql.options: secret_columns[%d]"):format(i))
  end
  return setmetatable(copy, Options)
end

--- Makes a connection object over a backend: `query(text, values, options)`, `close()`, `is_open()`, as a
--- crdbcloud.pq connection has them.
---@param backend table|userdata
---@param about {given: table?, params: table?, info: table, reopen: function?, sibling: function?}
---@return crdbcloud.sql
function M.wrap(backend, about)
  return setmetatable({
    _backend = backend, _info = about.info, _params = about.params, _reopen = about.reopen, _sibling = about.sibling,
    _deadline = about.deadline or DEADLINE, _siblings = {},
  }, Sql)
end

local function about_params(resolved, given)
  return {
    host = resolved.host, hostaddr = resolved.hostaddr, port = tonumber(resolved.port) or resolved.port, insecure = given.insecure or nil,
    dbname = resolved.dbname, user = resolved.user, sslmode = resolved.sslmode, sslrootcert = resolved.sslrootcert,
  }
end

-- given: checked fields; opens a login and wraps it.
local function open(given)
  local resolved, err = params.resolve(given)
  if not resolved then return nil, err end
  resolved.timeout = given.connect_timeout or CONNECT_TIMEOUT
  resolved.ambient_password = resolved.password == nil
  local function login()
    require("crdbcloud.base.blocking").check()
    local conn, problem = require("crdbcloud.pq").connect(resolved)
    if not conn then return nil, failure.error(problem) end
    return conn
  end
  local conn
  conn, err = login()
  if not conn then return nil, err end
  return M.wrap(conn, {
    info = about_params(resolved, given), deadline = given.deadline, reopen = login,
    sibling = function(name)
      local copy = {}
      for key, value in pairs(given) do copy[key] = value end
      copy.dbname = name
      return open(copy)
    end,
  })
end

local function is_secret(v)
  return type(v) == "userdata" and require("crdbcloud.core").is_secret(v)
end

--- Where a URL or fields lead, as sql:info() says it of a connection, without connecting.
---@param what any
---@param overrides table|nil
---@return table|nil info nil without an error for what has to be opened first
---@return crdbcloud.error|nil
function M.place(what, overrides)
  local plain = type(what) == "table" and getmetatable(what) == nil and not require("crdbcloud.sql.adapters").find(what)
  if not plain and type(what) ~= "string" and not is_secret(what) then return nil end
  local fields, err = params.read(what, overrides)
  local resolved
  if fields then resolved, err = params.resolve(fields) end
  if not resolved then return nil, err end
  return about_params(resolved, fields)
end

--- Logs in.
---@param what string|userdata|table a URL (string or secret), or fields: host, port (26257), dbname, user, password,
---  sslmode ("verify-full"), sslrootcert, sslcert, sslkey, options, application_name, connect_timeout (10 s), deadline
---  (30 s, one statement), insecure, ca_file. Without a password libpq looks into PGPASSWORD and the password file.
---@param overrides table|nil fields that win over the URL's
---@return crdbcloud.sql|nil
---@return crdbcloud.error|nil err kind "sql", "network", "tls", "timeout" or "invalid_argument"
function M.connect(what, overrides)
  if type(what) ~= "string" and type(what) ~= "table" and not is_secret(what) then
    errors.raise("sql.connect: expected a URL (string or secret) or a table of fields, got %s", errors.shown(what))
  end
  local fields, err = params.read(what, overrides)
  if not fields then return nil, err end
  if type(fields.password) == "string" then fields.password = require("crdbcloud.core").secret(fields.password) end
  return open(fields)
end

--- Makes a connection object of whatever a caller has: a URL, a secret, fields, a connection of another library, or a
--- function that gives one of these (called with the name of a database when one of its own is needed for it).
---@param spec any
---@param overrides table|nil for URLs and fields, e.g. {ca_file = ...}
---@return crdbcloud.sql|nil
---@return crdbcloud.error|nil
function M.open(spec, overrides)
  local sibling
  if type(spec) == "function" then
    -- An error of the caller's function is one of its connection: what was sent before stays known.
    local theirs = spec
    local function make(...)
      local ok, given, why = pcall(theirs, ...)
      if ok and given ~= nil then return given end
      if not ok then why = given end
      return nil, errors.is(why) and why or errors.new {
        kind = "sql", operation = "sql.open", outcome = "not_sent",
        message = "the function for sql gave no connection" .. (why and ": " .. tostring(why) or ""),
      }
    end
    sibling = function(name)
      local given, err = make(name)
      if given == nil then return nil, err end
      return M.open(given, overrides)
    end
    local given, err = make()
    if given == nil then return nil, err end
    spec = given
  end
  local sql, err
  if getmetatable(spec) == Sql then
    sql = spec
  else
    local backend = require("crdbcloud.sql.adapters").find(spec)
    if backend then
      sql = M.wrap(backend, { info = {}, sibling = sibling })
    else
      sql, err = M.connect(spec, overrides)
    end
  end
  if sql and sibling then sql._sibling = sibling end
  return sql, err
end

local function check_open(self)
  if not self._backend then errors.raise("SQL connection is closed") end
end

local Rows = {
  __name = "crdbcloud.rows",
  __tostring = function(rows)
    if #rows == 0 and #(rows.columns or {}) == 0 then return rows.tag or "(0)" end
    local columns, known = {}, {}
    for _, name in ipairs(rows.columns or {}) do columns[#columns + 1], known[name] = name, true end
    for _, row in ipairs(rows.columns and {} or rows) do
      for name in pairs(row) do
        if not known[name] then columns[#columns + 1], known[name] = name, true end
      end
    end
    return ("%s\n(%d)"):format(require("crdbcloud.base.printing").rows(columns, rows), #rows)
  end,
}

-- A value as text for the server; both interpreters write a number the same way.
local function as_text(value, position)
  local kind = type(value)
  if value == nil or kind == "string" or is_secret(value) then return value end
  if kind == "boolean" then return value and "true" or "false" end
  if options.is_integer(value) then return ("%d"):format(value) end
  if kind == "number" then return ("%.17g"):format(value) end
  errors.raise("sql:query: parameter $%d must be a string, secret, number, boolean or nil, got %s", position,
    errors.shown(value))
end

--- Runs one statement; `$1`, `$2`, … stand for the values that follow. A secret goes from its own memory to the server.
---@param text string exactly one statement
---@param ... any string, secret, number, boolean, nil for NULL; last perhaps {timeout = ..., secret_columns = {...}}
---@return table|nil rows an array of {column = string, or nil for NULL}; rows.n, rows.tag ("SELECT 2"), rows.columns
---@return crdbcloud.error|nil err with sqlstate, when the server gave one, and the outcome of a statement that writes
function Sql:query(text, ...)
  check_open(self)
  if type(text) ~= "string" then
    errors.raise("sql:query: statement must be a string, got %s", errors.shown(text))
  end
  local count, last = select("#", ...), nil
  if count > 0 then last = select(count, ...) end
  local given = {}
  if type(last) == "table" and getmetatable(last) == nil and type(next(last)) == "string" then last = M.options(last) end
  if getmetatable(last) == Options then given, count = last, count - 1 end
  local values = { n = count }
  for i = 1, count do values[i] = as_text((select(i, ...)), i) end
  local asked = { timeout = given.timeout or self._deadline, secret_columns = given.secret_columns }
  local rows, problem = self._backend:query(text, values, asked)
  -- Nothing was sent on a connection that had died while idle; on a new one the statement is as good as new. Not when
  -- the session was told to use another database: that would be forgotten.
  if not rows and problem.sent == false and problem.reason == "network" and self._reopen and not self._using then
    local conn = self._reopen()
    if conn then
      self._backend:close()
      self._backend = conn
      rows, problem = conn:query(text, values, asked)
    end
  end
  if rows then return setmetatable(rows, Rows) end
  return nil, failure.error(problem, text)
end

-- The one value of a one-row answer, kept once it is known.
local function ask(self, name, text)
  check_open(self)
  if self[name] == nil then
    local rows, err = self:query(text)
    if not rows then return nil, err end
    self[name] = rows[1] and rows[1].answer
  end
  return self[name]
end

--- What the server says of itself, asked once: "CockroachDB CCL v25.2.1 (...)".
---@return string|nil
---@return crdbcloud.error|nil
function Sql:version()
  return ask(self, "_version", "SELECT version() AS answer")
end

--- "cockroachdb" or "postgresql", by asking the server once.
---@return crdbcloud.dialect|nil
---@return crdbcloud.error|nil
function Sql:dialect()
  local version, err = self:version()
  if err then return nil, err end
  local found = dialect.detect(version)
  if found then return found end
  return nil, errors.new {
    kind = "sql", operation = "sql:dialect", outcome = "not_sent",
    message = "the server is neither CockroachDB nor PostgreSQL: " .. errors.shown(version),
  }
end

--- The user of this session, folded.
---@return string|nil
---@return crdbcloud.error|nil
function Sql:user()
  local user, err = ask(self, "_user", "SELECT session_user AS answer")
  if not user then return nil, err end
  return require("crdbcloud.names").fold(user)
end

--- The server's own id: of CockroachDB the cluster's as SQL knows it (not the API's), of PostgreSQL the system identifier.
---@return string|nil
---@return crdbcloud.error|nil
function Sql:server_id()
  local found, err = self:dialect()
  if not found then return nil, err end
  return dialect.server_id(found, function(text) return self:query(text) end, function(text) return ask(self, "_server_id", text) end)
end

--- The database that unqualified names are looked up in.
---@return string|nil
---@return crdbcloud.error|nil
function Sql:current_database()
  check_open(self)
  local rows, err = self:query "SELECT current_database() AS answer"
  if not rows then return nil, err end
  return rows[1] and rows[1].answer
end

--- Makes a database the session's current one (CockroachDB only). While it differs from the login's, a lost connection
--- is not replaced in silence.
---@param name string
---@return true|nil
---@return crdbcloud.error|nil
function Sql:use(name)
  check_open(self)
  if not self._home then
    local home, err = self:current_database()
    if err then return nil, err end
    self._home = home or ""
  end
  local rows, err = self:query("USE " .. require("crdbcloud.sql.quote").identifier(name))
  if not rows then return nil, err end
  self._using = name ~= self._home and name or nil
  return true
end

--- Logs in again after the session was lost, and goes to the database that it used. A statement whose answer was lost
--- may have been applied: only one that has the same effect twice is sent again.
---@return boolean renewed false when this connection cannot be made again, or not now
function Sql:renew()
  check_open(self)
  local conn = self._reopen and self._reopen()
  if not conn then return false end
  self._backend:close()
  self._backend = conn
  local using = self._using
  if not using then return true end
  self._using = nil
  return (self:use(using)) == true
end

--- Goes back to the database of the login, which on CockroachDB need not exist.
---@return true|nil
---@return crdbcloud.error|nil
function Sql:use_home()
  if not self._using then return true end
  if self._home ~= "" then
    local ok, err = self:use(self._home)
    if ok or err.sqlstate ~= "3D000" then return ok, err end
  end
  local rows, err = self:query "SET database = ''"
  if not rows then return nil, err end
  self._using = nil
  return true
end

--- A connection to another database of the same server: this one on CockroachDB, which reaches all of them; a login of
--- its own on PostgreSQL, kept and closed with this one.
---@param name string
---@return crdbcloud.sql|nil
---@return crdbcloud.error|nil
function Sql:database(name)
  check_open(self)
  if type(name) ~= "string" or name == "" then
    errors.raise("sql:database: name must be a string that is not empty, got %s", errors.shown(name))
  end
  local found, err = self:dialect()
  if not found then return nil, err end
  if dialect.traits[found].cross_database then return self end
  local current = self._current
  if not current then
    current, err = self:current_database()
    if not current then return nil, err end
    self._current = current
  end
  if name == current then return self end
  local sibling = self._siblings[name]
  if sibling and sibling._backend then return sibling end
  if not self._sibling then
    return nil, errors.new {
      kind = "sql", operation = "sql:database", outcome = "not_sent",
      message = ("the connection is to database %s and cannot reach %s"):format(errors.shown(current), errors.shown(name)),
      hint = "give sql as a URL, or as a function that takes the name of a database",
    }
  end
  sibling, err = self._sibling(name)
  self._siblings[name] = sibling
  return sibling, err
end

--- Where the connection goes: {host, hostaddr, port, dbname, user, sslmode, sslrootcert}; empty for one of another library.
function Sql:info()
  local copy = {}
  for key, value in pairs(self._info) do copy[key] = value end
  return require("crdbcloud.base.printing").printed(copy)
end

--- False once it was closed or lost.
function Sql:is_open()
  return self._backend ~= nil and self._backend:is_open()
end

--- Closes it and the ones made by `database`; a connection of another library stays open, it belongs to its maker.
function Sql:close()
  local backend = self._backend
  self._backend, self._reopen, self._sibling = nil, nil, nil -- the last two hold the password
  for name, sibling in pairs(self._siblings) do
    self._siblings[name] = nil
    sibling:close()
  end
  if backend then backend:close() end
end

Sql.__close = Sql.close

--- The methods of a connection.
M.CLASS = require("crdbcloud.base.guard").guard(Sql, "sql", "crdbcloud.sql.connect")

function Sql:__tostring()
  local i = self._info
  local state = not self._backend and "closed" or self._backend:is_open() and "open" or "lost"
  if not i.host then return ("crdbcloud.sql (%s)"):format(state) end
  return printing.harmless(("crdbcloud.sql %s@%s:%s/%s (%s)"):format(i.user, i.host, i.port, i.dbname or "", state))
end

return M
