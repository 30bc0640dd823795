--- Turns what went wrong on a connection into an error object. Pure.

local errors = require "crdbcloud.errors"

local M = {}

---@class crdbcloud.sql.problem what crdbcloud.pq or an adapter reports
---@field reason "server"|"network"|"tls"|"timeout"|"option"|"memory"|"protocol"
---@field message string
---@field sqlstate string?
---@field detail string? only where it cannot hold values
---@field sent boolean? the statement may have reached the server

local KINDS = {
  server = "sql", network = "network", tls = "tls", timeout = "timeout", option = "invalid_argument", memory = "sql",
  protocol = "protocol",
}

local HINTS = {
  ["28P01"] = "check user and password; an unknown user gives the same answer",
  ["28000"] = "the server does not let this user in this way",
  ["3D000"] = "check the name of the database",
  ["42501"] = "the SQL user needs more rights: use a member of admin",
  ["53300"] = "the server or the user has no connection left",
  ["57P03"] = "the server is starting; try again",
}

-- These may come when the statement has been applied already (40003: "result is ambiguous" of CockroachDB;
-- class 08 and 57P0x: the session ended under the statement).
local function is_ambiguous(sqlstate)
  return sqlstate == "40003" or sqlstate:sub(1, 2) == "08" or sqlstate == "57P01" or sqlstate == "57P02"
end

-- A statement that only reads changes nothing, whatever becomes of its answer.
local function reads(text)
  local word = text:match "^%s*(%a+)"
  word = word and word:upper()
  return word == "SELECT" or word == "SHOW" or word == "VALUES" or word == "TABLE"
end

--- What became of a statement: nil for one that only reads.
---@param problem crdbcloud.sql.problem
---@param text string the statement
---@return crdbcloud.outcome|nil
function M.outcome(problem, text)
  if problem.sent == false then return "not_sent" end
  if reads(text) then return nil end
  if problem.sqlstate and not is_ambiguous(problem.sqlstate) then return "rejected" end
  return "unknown"
end

--- The error of a statement (text given) or of a login (text nil).
---@param problem crdbcloud.sql.problem
---@param text string|nil
---@return crdbcloud.error
function M.error(problem, text)
  local message = problem.message
  if problem.detail then message = message .. ": " .. problem.detail end
  local sqlstate = problem.sqlstate
  return errors.new {
    kind = KINDS[problem.reason] or "sql", operation = text and "sql" or "sql.connect", message = message,
    sqlstate = sqlstate, hint = HINTS[sqlstate or ""], reason = problem.reason,
    outcome = text == nil and "not_sent" or text and M.outcome(problem, text) or nil,
    retryable = sqlstate == "40001" or sqlstate == "57P03" or sqlstate == "53300" or nil,
  }
end

return M
