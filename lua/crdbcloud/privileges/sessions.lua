--- Ends a user's sessions: a changed password or a lost right does not.

local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local quote = require "crdbcloud.sql.quote"
local run = require "crdbcloud.privileges.run"

local M = {}

local LOOK_AGAIN = 0.05 -- seconds; ending a session takes the server a moment

-- dialect -> statements that list the ids of a user's sessions but ours, and end them. %s: the user, our own id, and
-- what limits them to those that began before a time, or whose start is not for us to see.
local WAYS = {
  cockroachdb = {
    own = "SHOW session_id", before = " AND (session_start IS NULL OR session_start < %s)",
    list = "SELECT session_id AS id FROM [SHOW CLUSTER SESSIONS] WHERE user_name = %s AND session_id <> %s%s AND status <> 'CLOSED'",
    cancel = "CANCEL SESSIONS IF EXISTS (SELECT session_id FROM [SHOW CLUSTER SESSIONS] WHERE user_name = %s AND session_id <> %s%s)",
  },
  postgresql = {
    own = "SELECT pg_backend_pid()::text AS session_id", before = " AND (backend_start IS NULL OR backend_start < %s)",
    list = "SELECT pid AS id FROM pg_catalog.pg_stat_activity WHERE usename = %s AND pid::text <> %s%s",
    cancel = "SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = %s AND pid::text <> %s%s",
  },
}

-- A moment of ours (core.monotonic) by the server's own clock, which may differ from ours.
local function moment(sql, deadline, at)
  local rows, err = run.query(sql, deadline, ("SELECT (clock_timestamp() - INTERVAL '%.3f seconds')::text AS cutoff"):format(
    core.monotonic() - at))
  return rows and rows[1].cutoff, err
end

--- The statement that ends a user's sessions, for a person to run.
---@param user string folded
---@param dialect crdbcloud.dialect?
---@return string
function M.statement(user, dialect)
  if dialect == "postgresql" then
    return ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"):format(quote.literal(user))
  end
  return ("CANCEL SESSIONS IF EXISTS (SELECT session_id FROM [SHOW CLUSTER SESSIONS] WHERE user_name = %s)"):format(
    quote.literal(user))
end

--- Ends all sessions of the user but the one that asks, until none is left.
---@param sql crdbcloud.sql
---@param deadline number
---@param user string folded
---@param ago number|nil seconds; sessions that have begun since then stay
---@return integer|nil count of sessions ended
---@return crdbcloud.error|nil
function M.cancel(sql, deadline, user, ago)
  local since = ago and core.monotonic() - ago
  local dialect, err = sql:dialect()
  if not dialect then return nil, err end
  local way = WAYS[dialect]
  local own, rows
  own, err = run.query(sql, deadline, way.own)
  if not own then return nil, err end
  local names = { quote.literal(user), quote.literal(own[1].session_id), "" }
  if since then
    local cutoff
    cutoff, err = moment(sql, deadline, since)
    if not cutoff then return nil, err end
    names[3] = way.before:format(quote.literal(cutoff))
  end
  local seen, count = {}, 0
  while true do
    rows, err = run.query(sql, deadline, way.list:format(names[1], names[2], names[3]))
    if not rows then return nil, err end
    if rows.n == 0 then return count end
    for _, row in ipairs(rows) do
      if not seen[row.id] then
        seen[row.id] = true
        count = count + 1
      end
    end
    if core.monotonic() + LOOK_AGAIN > deadline then break end
    local done
    done, err = run.query(sql, deadline, way.cancel:format(names[1], names[2], names[3]))
    if not done then return nil, err end
    core.sleep(LOOK_AGAIN)
  end
  return nil, errors.new {
    kind = "timeout", operation = "privileges.cancel_sessions", outcome = "unknown",
    message = ("%d sessions of %s are left after the time limit"):format(rows.n, quote.identifier(user)),
    hint = dialect == "cockroachdb" and way.cancel:format(names[1], "''", names[3]) or nil,
  }
end

return M
