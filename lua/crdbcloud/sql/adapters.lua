--- Connections of other libraries behind our interface: LuaSQL (`execute`, cursors), pgmoon and whatever has `query`.
-- What they lack is made up for or refused: parameters are written into the text as literals; SQLSTATE is read from
-- the words of the error; a secret as a parameter is refused, because it would become a Lua string.

local errors = require "crdbcloud.errors"
local bind = require "crdbcloud.sql.bind"

local M = {}

-- Words of PostgreSQL and CockroachDB (lc_messages = C), first match wins. Only states that something here decides on.
local STATES = {
  { "password authentication failed", "28P01" },
  { "not permitted to log in", "28000" },
  { "permission denied", "42501" },
  { "must be superuser", "42501" },
  { "must be a member of", "42501" },
  { "only users with the admin role", "42501" },
  { "could not serialize access", "40001" },
  { "restart transaction", "40001" },
  { "result is ambiguous", "40003" },
  { "deadlock detected", "40P01" },
  { "lock timeout", "55P03" },
  { "could not obtain lock", "55P03" },
  { "canceling statement", "57014" },
  { "query execution canceled", "57014" },
  { "tuple concurrently", "XX000" },
  { "already exists", "42710" },
  { "cannot be dropped because some objects depend on it", "2BP01" },
  { "grants still exist on", "2BP01" },
  { "invalid privilege type", "0LP01" },
  { "database .- does not exist", "3D000" },
  { "relation .- does not exist", "42P01" },
  { "schema .- does not exist", "3F000" },
  { "role .- does not exist", "42704" },
  { "user .- does not exist", "42704" },
  { "syntax error", "42601" },
  { "unimplemented", "0A000" },
}
local LOST = { "no connection to the server", "server closed the connection", "terminating connection", "closed" }

--- Reads the words of another library's error.
---@param text string
---@return crdbcloud.sql.problem
function M.problem(text)
  text = tostring(text):gsub("^LuaSQL: [^.]*%. PostgreSQL: ", ""):gsub("^ERROR:%s+", "")
  -- What follows the first line quotes the statement ("LINE 1: ..."), which may hold a password.
  local message = text:match "^[^\r\n]*"
  for _, pair in ipairs(STATES) do
    if message:find(pair[1]) then return { reason = "server", sqlstate = pair[2], message = message } end
  end
  for _, words in ipairs(LOST) do
    if message:find(words, 1, true) then return { reason = "network", message = message, sent = true } end
  end
  return { reason = "server", message = message }
end

-- Of a statement about a password only words that name roles or states are kept, as crdbcloud.pq does.
local NAMES_ONLY = { ["42704"] = true, ["42710"] = true, ["42501"] = true, ["40001"] = true, ["40003"] = true, ["2BP01"] = true }

local function withheld(problem, text)
  if problem.reason == "server" and not NAMES_ONLY[problem.sqlstate] and text:lower():find("password", 1, true) then
    problem.message = "the server refused a statement about a password; its words are withheld because they may quote it"
  end
  return problem
end

local function as_text(value)
  if value == nil or type(value) == "userdata" then return nil end -- a null of the library
  if type(value) == "boolean" then return value and "t" or "f" end
  if type(value) == "number" then
    return value == math.floor(value) and math.abs(value) < 2 ^ 53 and ("%d"):format(value) or ("%.17g"):format(value)
  end
  return tostring(value)
end

local function as_rows(list)
  local rows = { n = #list }
  for i, given in ipairs(list) do
    local row = {}
    for column, value in pairs(given) do row[column] = as_text(value) end
    rows[i] = row
  end
  return rows
end

local function run_luasql(conn, text)
  local cursor, problem = conn:execute(text)
  if not cursor then return nil, problem end
  if type(cursor) == "number" then return { n = 0 } end
  local list, row = {}, cursor:fetch({}, "a")
  while row do
    list[#list + 1] = row
    row = cursor:fetch({}, "a")
  end
  cursor:close()
  return as_rows(list)
end

local function run_query(conn, text)
  local answer, problem = conn:query(text)
  if not answer then return nil, problem or "the query failed" end
  if type(answer) ~= "table" then return { n = 0 } end
  return as_rows(answer)
end

local Backend = {}
Backend.__index = Backend

function Backend:query(text, values, asked)
  if asked.secret_columns then
    errors.raise("secret_columns needs a connection made by crdbcloud.sql.connect")
  end
  for i = 1, values.n do
    if type(values[i]) == "userdata" then
      errors.raise("parameter $%d is a secret, which this connection can only take as a Lua string; use crdbcloud.sql.connect", i)
    end
  end
  local whole, problem = bind.text(text, values)
  if not whole then return nil, { reason = "option", message = problem, sent = false } end
  local ok, rows, said = pcall(self.run, self.conn, whole)
  if ok and rows then return rows end
  return nil, withheld(M.problem(not ok and rows or said), whole)
end

function Backend.is_open()
  return true
end

function Backend.close() end

local function has(object, name)
  local ok, value = pcall(function() return object[name] end)
  return ok and value ~= nil
end

--- A backend for crdbcloud.sql over a connection of another library, or nil when v is no such connection.
---@param v any
---@return table|nil
function M.find(v)
  if type(v) ~= "table" and type(v) ~= "userdata" then return nil end
  if type(v) == "userdata" and require("crdbcloud.core").is_secret(v) then return nil end
  local run
  if has(v, "execute") then
    run = run_luasql
  elseif has(v, "query") then
    run = run_query
  else
    return nil
  end
  return setmetatable({ conn = v, run = run }, Backend)
end

return M
