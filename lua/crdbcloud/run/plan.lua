--- Plans: what a rotation would do, kept as a file and run later. A plan that no
--- longer fits is refused (exit 9).

local errors = require "crdbcloud.errors"

local M = {}

local OUT = { resume = "finish" }

--- The rows of a plan as shown and saved.
---@param selected table[] rows of crdbcloud.run.selection
---@return table[]
function M.rows(selected)
  local rows = {}
  for i, row in ipairs(selected) do
    rows[i] = {
      user = row.user, result = OUT[row.action] or row.action, note = row.reason, epoch = row.epoch, sinks = row.sinks,
      managed = row.managed, age_from = row.age_from,
    }
  end
  return rows
end

--- Checks a plan as given to rotate_passwords; raises on misuse.
---@param plan any a report of plan_rotation, or the same read from JSON
---@return { run_id: string, cluster_id: string, users: string[], epochs: table<string, integer> }
function M.rule(plan, name)
  if type(plan) ~= "table" or type(plan.rows) ~= "table" or type(plan.run_id) ~= "string" then
    errors.raise("%s must be what plan_rotation returned, got %s", name, errors.shown(plan))
  end
  local users, epochs = {}, {}
  for _, row in ipairs(plan.rows) do
    if type(row) ~= "table" or type(row.user) ~= "string" then
      errors.raise("%s: a row names no user", name)
    end
    if row.result == "rotate" or row.result == "finish" then
      users[#users + 1] = row.user
      epochs[row.user] = row.epoch or 0
    end
  end
  return { run_id = plan.run_id, cluster_id = plan.cluster_id, users = users, epochs = epochs }
end

local function stale(message)
  return errors.new {
    kind = "conflict", reason = "stale", outcome = "not_sent", operation = "rotate_passwords", exit = 9,
    message = "the plan is stale: " .. message, hint = "plan again",
  }
end

--- Pure: fits a plan to what is there now. Users that this plan has done already are
--- skipped, those that are gone too; anything else that differs makes it stale.
---@param plan table of M.rule
---@param cluster_id string
---@param selected table[] rows of selection for the plan's users
---@param done_by fun(user: string): string|nil the run that made the user's newest epoch
---@return table[]|nil rows
---@return crdbcloud.error|nil
function M.fit(plan, cluster_id, selected, done_by)
  if plan.cluster_id ~= cluster_id then return nil, stale("it was made for another cluster") end
  for _, row in ipairs(selected) do
    local planned = plan.epochs[row.user]
    if row.action == "blocked" and not row.err then
      row.action, row.reason = "skip", row.reason .. " any more"
    elseif (row.epoch or 0) ~= planned then
      if done_by(row.user) ~= plan.run_id then
        return nil, stale(("%s is at epoch %d, planned at %d"):format(row.user, row.epoch or 0, planned))
      end
      if row.action == "rotate" then row.action, row.reason = "skip", "done by this plan already" end
    end
  end
  return selected
end

return M
