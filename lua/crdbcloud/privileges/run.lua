--- Runs statements one by one until a deadline, again when the server says that it could not serialize them (40001).
-- Each statement stands alone, so a repeated one repeats nothing else.

local core = require "crdbcloud.core"
local sqls = require "crdbcloud.sql"
local errors = require "crdbcloud.errors"

local M = {}

local FIRST_DELAY, LONGEST_DELAY = 0.05, 2 -- seconds

--- A deadline that many seconds from now.
function M.deadline(seconds)
  return core.monotonic() + seconds
end

--- Runs one statement; values follow as in sql:query.
---@param sql crdbcloud.sql
---@param deadline number of core.monotonic()
---@param text string
---@return table|nil rows
---@return crdbcloud.error|nil
function M.query(sql, deadline, text, ...)
  local delay, attempts, count = FIRST_DELAY, 0, select("#", ...)
  local values = { ... }
  while true do
    local left = deadline - core.monotonic()
    if left <= 0 then
      return nil, errors.new {
        kind = "timeout", operation = "sql", outcome = "not_sent", message = "the time limit passed before the statement was sent",
      }
    end
    values[count + 1] = sqls.options { timeout = math.max(left, 0.01) .. "s" }
    attempts = attempts + 1
    local rows, err = sql:query(text, (table.unpack or unpack)(values, 1, count + 1))
    if rows or err.sqlstate ~= "40001" or core.monotonic() + delay > deadline then
      if err and attempts > 1 then err.attempts = attempts end
      return rows, err
    end
    core.sleep(delay * (0.5 + core.random() / 2))
    delay = math.min(delay * 2, LONGEST_DELAY)
  end
end

--- Runs the statements of a plan, each in its database.
---@param sql crdbcloud.sql
---@param deadline number
---@param statements crdbcloud.privileges.statements
---@return true|nil
---@return crdbcloud.error|nil
function M.all(sql, deadline, statements)
  local changed = false
  for i, text in ipairs(statements) do
    local ok, err
    if statements.uses[i] then
      ok, err = sql:use(statements.uses[i])
    else
      local database, where = statements.databases[i], sql
      if database then where, err = sql:database(database) end
      if where then ok, err = M.query(where, deadline, text) end
    end
    if not ok then
      err.message = ("%s (statement: %s)"):format(err.message, text)
      return nil, changed and errors.partly(err) or err
    end
    changed = changed or not statements.uses[i]
  end
  return true
end

return M
