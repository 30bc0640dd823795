--- Runs statements one by one until a deadline, again when another change or the end of the session cut one off. Each
-- statement stands alone and has the same effect twice as once, so a repeated one does no harm.

local core = require "crdbcloud.core"
local sqls = require "crdbcloud.sql"
local errors = require "crdbcloud.errors"

local M = {}

local FIRST_DELAY, LONGEST_DELAY = 0.05, 2 -- seconds

--- A deadline that many seconds from now.
function M.deadline(seconds)
  return core.monotonic() + seconds
end

-- Serialization, deadlock, lock timeout, a cancelled statement: it was rolled back.
local MET_ANOTHER = { ["40001"] = true, ["40P01"] = true, ["55P03"] = true, ["57014"] = true }

local LOST = { ["08000"] = true, ["08003"] = true, ["08006"] = true, ["57P01"] = true, ["57P02"] = true }

-- Whether the session is gone, and with it the answer.
local function is_lost(err)
  local state = err.sqlstate
  return state and LOST[state] or not state and err.kind == "network"
end

-- Whether the statement may be sent again: "again" on this session, "anew" on another, nil: it will not help.
local function repeatable(err)
  if MET_ANOTHER[err.sqlstate or ""] or err.sqlstate == "40003" then return "again" end
  -- PostgreSQL's word for a row of its catalogue that another session changed at the same time.
  if err.sqlstate == "XX000" and err.message:find("tuple concurrently", 1, true) then return "again" end
  return is_lost(err) and "anew" or nil
end

-- Calls send() until it succeeds, fails for good, or the deadline has passed.
local function until_done(sql, deadline, send)
  local delay, attempts, unknown = FIRST_DELAY, 0, false
  while true do
    local left = deadline - core.monotonic()
    if left <= 0 then
      return nil, errors.new {
        kind = "timeout", operation = "sql", outcome = "not_sent", message = "the time limit passed before the statement was sent",
      }
    end
    attempts = attempts + 1
    local result, err = send(left)
    if result then return result end
    unknown = unknown or err.outcome == "unknown"
    local how = repeatable(err)
    local more = how and core.monotonic() + delay <= deadline
    if more then
      core.sleep(delay * (0.5 + core.random() / 2))
      delay = math.min(delay * 2, LONGEST_DELAY)
      more = how == "again" or sql:renew()
    end
    if not more then
      if attempts > 1 then err.attempts = attempts end
      if unknown then err.outcome, err.exit = "unknown", 5 end
      return nil, err
    end
  end
end

--- Runs one statement that may run twice; values follow as in sql:query.
---@param sql crdbcloud.sql
---@param deadline number of core.monotonic()
---@param text string
---@return table|nil rows
---@return crdbcloud.error|nil
function M.query(sql, deadline, text, ...)
  local count, values = select("#", ...), { ... }
  return until_done(sql, deadline, function(left)
    values[count + 1] = sqls.options { timeout = math.max(left, 0.01) .. "s" }
    return sql:query(text, (table.unpack or unpack)(values, 1, count + 1))
  end)
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
      ok, err = until_done(sql, deadline, function() return sql:use(statements.uses[i]) end)
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
