--- The work of a run on one user: under its lock, and ended as an error of this user when it raises.

local errors = require "crdbcloud.errors"
local report = require "crdbcloud.run.report"

local M = {}

local MAX_OVERTAKEN = 3 -- times that another run may change a user's record under us

--- Works on one user under its lock and returns the row of the report. When another run overtakes this one, the record is
--- read and worked on again.
---@param self table the run's context
---@param user string
---@param work fun(ctx: table, entry: table, wanted: any): table|nil, crdbcloud.error|nil
---@param wanted? any handed to work
---@return table row of a report
---@return crdbcloud.error|nil
function M.row(self, user, work, wanted)
  local shown, effect, fields, err = { sinks = {} }, nil, nil, self:stopped()
  if err then return report.row(user, nil, err, shown), err end
  -- A caller's store that cannot write is misuse, which raises; a raise in the work below does not.
  if self.store.need_writing then self.store.need_writing() end
  for _ = 1, MAX_OVERTAKEN do
    local held
    local ok, done, why = pcall(self.with, self, user, function(entry)
      held = entry
      local fine, row, problem = xpcall(work, errors.located, self, entry, wanted)
      if not fine then error(row, 0) end
      return row, problem
    end)
    fields, err = done, why
    if not ok then
      self:warn("internal error: " .. tostring(done))
      fields, err = nil, errors.raised(user, done)
    end
    if held then
      effect = held.effect or effect
      local told, as = pcall(self.shown, self, held)
      if told then shown = as end
    end
    if fields or err.reason ~= "version" and err.reason ~= "lease" then break end
  end
  -- A later error does not undo what was sent.
  if fields and fields.result == "skipped" and effect then fields = { note = "finished by another run" } end
  if not fields and effect and err.outcome ~= "applied" and err.outcome ~= "unknown" then
    err.outcome, err.exit = effect, effect == "unknown" and 5 or 6
  end
  return report.row(user, fields, err, shown), err
end

return M
