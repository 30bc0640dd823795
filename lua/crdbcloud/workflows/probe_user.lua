--- The throwaway user of `probe`: its record is there before it is, and goes after it. Nobody ever gets its password.
-- It is removed by the run that made it, by the next probe, or by `resume`.

local errors = require "crdbcloud.errors"
local record = require "crdbcloud.record"
local remove_app_user = require "crdbcloud.workflows.remove_app_user"
local report = require "crdbcloud.run.report"
local selection = require "crdbcloud.run.selection"

local M = {}

local POST = "create_sql_user"

--- True for the record of a throwaway user.
---@param rec table|nil
---@return boolean
function M.is(rec)
  return rec ~= nil and rec.origin == "probe"
end

-- Sends the POST until its answer is definite or time is up.
local function post(ctx, entry)
  local deadline, attempt = ctx:monotonic() + ctx.cloud.config.deadline, 0
  while true do
    attempt = attempt + 1
    local value, err = entry:send {
      op = POST, state = "posting", epoch = 0, password = entry.rec.bootstrap.password, deadline = deadline,
    }
    if value or err.outcome == "unknown" or not ctx:wait_again(entry.user, err, attempt, deadline) then return value, err end
  end
end

--- Makes the user by the API.
---@param ctx table
---@param user string
---@param password userdata
---@return table|nil answer
---@return crdbcloud.error|nil
function M.make(ctx, user, password)
  return ctx:with(user, function(entry)
    local ok, err = entry:save(record.new {
      cluster_id = ctx.id, cluster_name = ctx.name, user = user, state = "planned", origin = "probe", creating = true,
      created_at = ctx:now(), bootstrap = { password = password },
    })
    if not ok then return nil, err end
    local value
    value, err = post(ctx, entry)
    if value then
      ok, err = entry:save(record.move(entry.rec, "posted", {}))
      return ok and value, err
    end
    -- The record stays where the user may be there; what is in the way of writing it does not matter then.
    if err.outcome == "unknown" then entry:keep(entry.rec) else entry:forget() end
    return nil, err
  end)
end

-- What is left to do: "gone", "there", or "open" while a request of a killed run may still arrive.
local function state_of(ctx, entry)
  local rec = entry.rec
  if not rec then return "gone" end
  if rec.state == "posted" then return "there" end
  if rec.state == "posting" then
    local listed, problem = ctx:user_exists(entry.user)
    if listed == nil then return nil, problem end
    if listed then
      local ok, err = entry:save(record.move(rec, "posted", {}))
      return ok and "there", err
    end
  end
  if record.unsettled(rec, entry:instant()) then return "open" end
  local ok, err = entry:forget()
  return ok and "gone", err
end

--- Removes the user and its record.
---@param ctx table
---@param user string
---@return table row of a report
---@return crdbcloud.error|nil
function M.remove(ctx, user)
  local state, err = ctx:with(user, function(entry) return state_of(ctx, entry) end)
  if not state then return report.row(user, nil, err, {}), err end
  if state == "gone" then return report.row(user, { note = "removed" }, nil, {}) end
  if state == "open" then
    return report.row(user, { result = "skipped",
      note = "there is no such user, but a request that was cut off may still make it; `crdbcloud rotate resume` looks again" }, nil, {})
  end
  local done
  done, err = remove_app_user.remove_app_user(ctx.cluster, { user = user, reason = "throwaway user of a probe" })
  local full = done or err.report
  return full and full.rows[1] or report.row(user, nil, err, {}), err
end

--- The name of a new one.
---@return string
function M.name()
  return selection.THROWAWAY .. require("crdbcloud.core").random_hex(6)
end

--- The error of a user that could not be removed.
---@param user string
---@param err crdbcloud.error
---@return crdbcloud.error
function M.left(user, err)
  return errors.new {
    kind = err.kind, operation = "probe", outcome = "applied", exit = 3, cause = err,
    message = ("the throwaway user %s could not be removed: %s"):format(user, err.message),
    hint = "`crdbcloud rotate resume` or the next probe removes it; nobody has its password",
  }
end

return M
