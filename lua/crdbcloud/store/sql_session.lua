--- The connection of a SQL store: kept up over lost sessions, failovers and
--- serialization failures. Only statements that may be run twice go through it.

local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local names = require "crdbcloud.names"
local params = require "crdbcloud.sql.params"
local sqls = require "crdbcloud.sql"
local urls = require "crdbcloud.base.urls"

local M = {}

local STATEMENT = 10 -- seconds for one attempt
local FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1 -- seconds

---@class crdbcloud.store.sql.session
---@field url string for people; it never has a password
---@field limit number seconds for one statement with its retries
local Session = { limit = 30 }
Session.__index = Session

-- The statement may succeed if it is sent again: serialization failure, deadlock, ambiguous result, cancelled by an
-- operator; class 08, 57P01 to 57P03 and 53300: the server or the way to it is going down or coming up.
local AGAIN = {
  ["40001"] = true, ["40P01"] = true, ["40003"] = true, ["57014"] = true, ["57P01"] = true, ["57P02"] = true,
  ["57P03"] = true, ["53300"] = true,
}

local function may_run_again(err)
  local state = err.sqlstate
  if state then return AGAIN[state] or state:sub(1, 2) == "08" end
  return err.kind == "network" or err.kind == "timeout"
end

local HINTS = {
  ["42P01"] = "crdbcloud store init --store '%s'",
  ["42501"] = "the SQL user needs SELECT on crdbcloud_store, SELECT, INSERT and UPDATE on crdbcloud_records, and SELECT, "
    .. "INSERT, UPDATE and DELETE on crdbcloud_leases; who only reads credentials needs SELECT on the first two",
  ["25006"] = "this server is a replica that only reads; name the one that writes",
}

-- libpq names a directory of sockets as a parameter; a host in brackets is an IPv6 address.
local function shown(info)
  local host, query = info.host, ""
  if host:sub(1, 1) == "/" then host, query = "", "?host=" .. host end
  if host:find(":", 1, true) then host = "[" .. host .. "]" end
  return ("postgresql://%s@%s:%s/%s%s"):format(info.user, host, info.port, info.dbname or "", query)
end

--- The error of a store: whatever failed, nothing was sent to the cluster.
---@param what string
---@param cause crdbcloud.error
---@return crdbcloud.error
function Session:failed(what, cause)
  local hint = HINTS[cause.sqlstate or ""]
  local missing = cause.sqlstate == "42P01"
  return errors.new {
    kind = "store", outcome = "not_sent", sqlstate = cause.sqlstate, cause = cause, retryable = cause.retryable,
    reason = missing and "no_tables" or cause.reason,
    message = missing and ("store %s is not set up: its tables are missing"):format(self.url)
      or ("%s in store %s: %s"):format(what, self.url, cause.message),
    hint = hint and hint:format(self.url) or cause.hint,
  }
end

-- PostgreSQL may be told to call a transaction committed that a crash would take back (synchronous_commit = off).
-- CockroachDB never does. As a parameter of the login it also holds for sessions that replace a lost one.
local DURABLE = "-c synchronous_commit=on"

local function login(url, overrides)
  local sql, err = sqls.connect(url, overrides)
  if not sql then return nil, err end
  local dialect
  dialect, err = sql:dialect()
  if not dialect then
    sql:close()
    return nil, err
  end
  if dialect ~= "postgresql" then return sql, nil, {} end
  local rows
  rows, err = sql:query "SELECT current_setting('synchronous_commit') AS commit, current_setting('fsync') AS fsync"
  if rows and rows[1].commit ~= "off" then return sql, nil, rows[1] end
  sql:close()
  if not rows then return nil, err end
  local given = params.parse(url).options
  overrides.options = given and given .. " " .. DURABLE or DURABLE
  sql, err = sqls.connect(url, overrides)
  return sql, err, rows[1]
end

--- Logs in.
---@param url string postgresql://USER@HOST:PORT/DATABASE
---@param opts { ca_file: string? }
---@return crdbcloud.store.sql.session|nil
---@return crdbcloud.error|nil
function M.open(url, opts)
  local self = setmetatable({ given = urls.hidden(url), overrides = { ca_file = opts.ca_file }, warnings = {} }, Session)
  local settings, err
  self.sql, err, settings = login(url, self.overrides)
  if not self.sql then
    return nil, errors.new {
      kind = err.kind == "invalid_argument" and err.kind or "store", outcome = "not_sent", message = "store: " .. err.message,
      sqlstate = err.sqlstate, hint = err.hint, cause = err, retryable = err.retryable, reason = err.reason,
    }
  end
  self.url = shown(self.sql:info())
  if settings.fsync == "off" then
    self.warnings[1] = ("the server of %s runs with fsync = off: if its machine stops, records are lost"):format(self.url)
  end
  return self
end

--- The SQL user, folded.
function Session:account()
  return names.fold(self.sql:info().user)
end

-- A login in the place of a lost one.
function Session:connected()
  if self.sql and self.sql:is_open() then return self.sql end
  if self.sql then self.sql:close() end
  local err
  self.sql, err = sqls.connect(self.given, self.overrides)
  return self.sql, err
end

--- Runs a statement until it is answered. It may run more than once.
---@param what string for the error: "reading record ..."
---@param text string
---@param values? table parameters, with n where one may be nil
---@param secret_columns? string[]
---@return table|nil rows
---@return crdbcloud.error|nil
function Session:run(what, text, values, secret_columns)
  values = values or {}
  local count = values.n or #values
  local give_up = core.monotonic() + self.limit
  local pause, unanswered = FIRST_PAUSE, false
  while true do
    local left = give_up - core.monotonic()
    local sql, err = self:connected()
    local rows
    if sql then
      values[count + 1] = sqls.options { timeout = math.max(0.1, math.min(STATEMENT, left)), secret_columns = secret_columns }
      rows, err = sql:query(text, (unpack or table.unpack)(values, 1, count + 1))
      if rows then return rows end
      unanswered = unanswered or err.outcome == "unknown"
    end
    if not may_run_again(err) or left <= pause then
      if unanswered then what = what .. ", which may or may not have happened," end
      return nil, self:failed(what, err)
    end
    core.sleep(pause)
    pause = math.min(LONGEST_PAUSE, pause * 2)
  end
end

--- Runs a statement at most once, for what will happen by itself in the end if it fails.
function Session:try(text, values)
  if self.sql and self.sql:is_open() then self.sql:query(text, (unpack or table.unpack)(values)) end
end

function Session:close()
  if self.sql then self.sql:close() end
  self.sql = nil
end

return M
