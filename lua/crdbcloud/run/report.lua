--- From what became of each user to the report, the error and the exit code. A report is plain data without secrets,
--- and prints as a table.

local classes = require "crdbcloud.base.classes"
local core = require "crdbcloud.core"
local decide = require "crdbcloud.change.decide"
local errors = require "crdbcloud.errors"
local printing = require "crdbcloud.base.printing"

local M = {}

local Report = classes.result("run.report", { __name = "crdbcloud.report" })

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

-- Only new connections fail in this time; open ones go on.
local function window_text(window)
  return ("sinks were behind the change for p50 %s, p99 %s, at most %s (%s)"):format(seconds_text(window.p50),
    seconds_text(window.p99), seconds_text(window.longest), printing.count(window.users, "user"))
end

function Report:__tostring()
  local lines = {
    ("%s%s on %s, run %s: %s"):format(self.operation, self.dry_run and " (dry run, nothing sent)" or "",
      printing.harmless(self.cluster), self.run_id, count(self.rows)),
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
  for _, row in ipairs(self.dry_run and self.rows or {}) do
    for _, text in ipairs(row.statements or {}) do lines[#lines + 1] = "  " .. text end
  end
  if self.window then lines[#lines + 1] = window_text(self.window) end
  lines[#lines + 1] = "store " .. printing.harmless(self.store)
  for _, text in ipairs(self.warnings or {}) do lines[#lines + 1] = "warning: " .. printing.harmless(text) end
  return table.concat(lines, "\n")
end

-- Reasons of crdbcloud.change.proof for which nothing is sent.
local REFUSED = { is_admin = true, has_power = true, made_anew = true, gone = true, no_login = true, expired = true, disabled = true }

-- result of a row: done, skipped, untouched, failed (nothing changed), refused
-- (nothing changed: the user is not what its record says), unknown
-- (sent, not answered), unpublished (changed, not published), incomplete
-- (changed and published, sessions left).
local function result_of(err)
  if err.outcome == "unknown" then return "unknown" end
  if err.outcome == "applied" then return err.exit == 3 and "incomplete" or "unpublished" end
  return err.kind == "conflict" and REFUSED[err.reason] and "refused" or "failed"
end

--- One row of a report.
---@param user string
---@param fields table|nil of a user that went well
---@param err crdbcloud.error|nil of one that did not
---@param shown table epoch, state, sinks
---@return table
function M.row(user, fields, err, shown)
  local row = { user = user, sinks = shown.sinks or {}, epoch = shown.epoch, state = shown.state, proof = shown.proof }
  if fields then
    row.result = "done"
    for k, v in pairs(fields) do row[k] = v end
  else
    row.result = result_of(err)
    row.error, row.kind, row.outcome, row.hint = err.message, err.kind, err.outcome, err.hint
    row.exit, row.reason, row.retry_after = err.exit, err.reason, err.retry_after
    row.sqlstate = err.sqlstate or errors.is(err.cause) and err.cause.sqlstate or nil
  end
  return row
end

--- One line about a row, for progress.
function M.text(row)
  if row.result == "done" then
    return "done" .. (row.verified and row.verified ~= "accepted" and " (login: " .. row.verified .. ")" or "")
  end
  return row.result .. (row.error and ": " .. row.error or row.note and ": " .. row.note or "")
end

local SUMMARY = {
  [3] = "partly done", [4] = "not allowed", [5] = "some changes were sent and not answered",
  [6] = "changed but not published", [7] = "another run holds the users",
  [129] = "interrupted by the end of the terminal", [130] = "interrupted", [143] = "terminated",
}

local HINT = {
  [3] = "`crdbcloud rotate resume` finishes what is open",
  [5] = "`crdbcloud rotate resume` settles it with the same passwords",
  [6] = "`crdbcloud rotate resume` publishes it",
  [129] = "state is kept; `crdbcloud rotate resume`",
  [130] = "state is kept; `crdbcloud rotate resume`",
  [143] = "state is kept; `crdbcloud rotate resume`",
}

local function error_of(ctx, rows, code, full)
  local first, changed
  for _, row in ipairs(rows) do
    changed = changed or row.result == "done" or row.result == "incomplete"
    if row.error and (not first or row.exit == code and first.exit ~= code) then first = row end
  end
  first = first or {}
  local kind = code >= 128 and "cancelled" or first.kind or "pending"
  local one = #rows == 1 and first.error
  local summary = code == 3 and not changed and "nothing done yet" or SUMMARY[code] or "failed"
  return errors.new {
    kind = kind, operation = ctx.operation, report = full, exit = code,
    reason = one and first.reason or nil, retry_after = one and first.retry_after or nil, sqlstate = one and first.sqlstate or nil,
    -- Several users may have different outcomes; then the error has none.
    outcome = code == 5 and "unknown" or code == 6 and "applied" or code < 128 and (one or code ~= 3) and first.outcome or nil,
    message = one and first.error
      or summary .. (first.error and "; first: " .. first.error or ""),
    hint = first.exit == code and first.hint or HINT[code] or first.hint,
  }
end

-- How long sinks held a password that no longer logged in, over all users: from the send to the last sink.
---@return { users: integer, p50: number, p99: number, longest: number }|nil seconds; nil where no sink was written
local function windows(rows)
  local list = {}
  for _, row in ipairs(rows) do list[#list + 1] = row.window end
  if #list == 0 then return nil end
  table.sort(list)
  local function percentile(p) return list[math.max(1, math.ceil(#list * p))] end
  return { users = #list, p50 = percentile(0.5), p99 = percentile(0.99), longest = list[#list] }
end

local function failed_one(rows)
  for _, row in ipairs(rows) do
    if row.error then return true end
  end
  return false
end

--- Ends a run: its report, or the error that carries it.
---@param ctx table
---@param rows table[]
---@param extra? table more fields of the report
---@param planned? boolean rows are a plan, nothing was done
---@param hook_err? crdbcloud.error of the command that followed
---@return table|nil report
---@return crdbcloud.error|nil
function M.finish(ctx, rows, extra, planned, hook_err)
  local fields = {
    operation = ctx.operation, run_id = ctx.run_id, cluster = ctx.name, cluster_id = ctx.id,
    store = ctx.store.url or "given as an object", rows = rows, warnings = ctx.warnings,
    seconds = core.monotonic() - ctx.started,
  }
  fields.dry_run = ctx.dry_run
  for k, v in pairs(extra or {}) do fields[k] = v end
  fields.window = windows(rows)
  local full = M.new(fields)
  if planned or ctx.dry_run and not failed_one(rows) then return full end
  local code = decide.exit(rows, ctx.interrupted())
  if hook_err and code ~= 5 and code < 128 then
    full.exit, hook_err.report = 6, full
    return nil, hook_err
  end
  full.exit = code
  if code == 0 then return full end
  return nil, error_of(ctx, rows, code, full)
end

return M
