--- Reports of workflows: plain data without secrets, printed as a table.

local classes = require "crdbcloud.base.classes"
local printing = require "crdbcloud.base.printing"

local M = {}

local Report = classes.register("run.report", { __name = "crdbcloud.report" })
Report.__index = Report

--- A report.
---@param fields table operation, run_id, cluster, store, rows = { { user, result, ... } }, warnings
---@return table
function M.new(fields)
  return setmetatable(fields, Report)
end

local function count(rows)
  local n, order = {}, {}
  for _, row in ipairs(rows) do
    if not n[row.result] then
      n[row.result] = 0
      order[#order + 1] = row.result
    end
    n[row.result] = n[row.result] + 1
  end
  local parts = {}
  for i, result in ipairs(order) do parts[i] = ("%d %s"):format(n[result], result) end
  return #parts > 0 and table.concat(parts, ", ") or "nothing to do"
end

--- Lays rows out as text under a heading of column names, as crdbcloud.printing does.
---@param columns string[]
---@param rows string[][]
---@return string
function M.layout(columns, rows)
  return printing.layout(columns, rows, printing.terminal())
end

local function sinks_text(row)
  if not row.sinks or #row.sinks == 0 then return "none" end
  return table.concat(row.sinks, " ")
end

local function seconds_text(seconds)
  return seconds < 1 and ("%d ms"):format(math.floor(seconds * 1000 + 0.5)) or ("%.1f s"):format(seconds)
end

-- Only connections to come are concerned; what is open goes on.
local function window_text(window)
  return ("sinks were behind the change for p50 %s, p99 %s, at most %s (%s)"):format(seconds_text(window.p50),
    seconds_text(window.p99), seconds_text(window.longest), printing.count(window.users, "user"))
end

function Report:__tostring()
  local lines = {
    ("%s%s on %s, run %s: %s"):format(self.operation, self.dry_run and " (dry run, nothing sent)" or "",
      self.cluster, self.run_id, count(self.rows)),
  }
  if #self.rows > 0 then
    local rows, columns = {}, { "USER", "RESULT", "EPOCH", "LOGIN", "SINKS", "NOTE" }
    local several = self.clusters ~= nil
    if several then table.insert(columns, 1, "CLUSTER") end
    for i, row in ipairs(self.rows) do
      rows[i] = {
        row.user, row.result, row.epoch and ("%d"):format(row.epoch) or "-", row.verified or "-", sinks_text(row),
        row.note or row.error or "",
      }
      if several then table.insert(rows[i], 1, row.cluster) end
    end
    lines[2] = M.layout(columns, rows)
  end
  if self.window then lines[#lines + 1] = window_text(self.window) end
  lines[#lines + 1] = "store " .. self.store
  for _, text in ipairs(self.warnings or {}) do lines[#lines + 1] = "warning: " .. text end
  return table.concat(lines, "\n")
end

--- The report as JSON.
---@return string
function Report:json()
  return require("crdbcloud.base.json").encode(self)
end

return M
