--- `history`: what each run sent, verified, published and cancelled for each user, by whom and why. Where the audit log
--- may be read, the vendor's trace ids stand beside it.

local classes = require "crdbcloud.base.classes"
local ages = require "crdbcloud.run.ages"
local errors = require "crdbcloud.errors"
local names = require "crdbcloud.names"
local options = require "crdbcloud.base.options"
local printing = require "crdbcloud.base.printing"
local report = require "crdbcloud.run.report"
local rules = require "crdbcloud.run.rules"

local M = {}

local OPTIONS = { user = "text", since = rules.time, run = "text", audit_log = "boolean" }
local NEAR = 120 -- seconds between a send of ours and the audit log's entry of it

local History = classes.result("workflows.history", { __name = "crdbcloud.history" })

local function time_text(at)
  return at and os.date("!%Y-%m-%d %H:%M:%SZ", math.floor(at)) or "-"
end

function History:__tostring()
  local cells = {}
  for i, row in ipairs(self.rows) do
    cells[i] = {
      row.user, ("%d"):format(row.epoch), time_text(row.sent_at),
      ("%d%s"):format(row.sends or 0, (row.unanswered or 0) > 0 and (" (%d unanswered)"):format(row.unanswered) or ""),
      row.verified == true and "accepted" or tostring(row.verified or "-"),
      row.published_at and (#(row.sinks or {}) > 0 and printing.count(#row.sinks, "sink") or "no sink") or "open",
      row.run_id or "-", row.by or "-", row.reason or "",
    }
  end
  local head = ("%s on %s"):format(printing.count(#self.rows, "change"), self.cluster)
  if #cells == 0 then return head end
  return head .. "\n" .. report.layout({ "USER", "EPOCH", "SENT", "SENDS", "LOGIN", "PUBLISHED", "RUN", "BY", "REASON" }, cells)
end

-- The open change of a record, as the newest line of its history.
local function open_line(rec)
  if not rec.staged then return nil end
  local sent_at, sends, unanswered = nil, 0, 0
  for _, send in ipairs(rec.sends) do
    if send.epoch == rec.staged.epoch then
      sent_at, sends = sent_at or send.at, sends + 1
      if send.outcome == nil or send.outcome == "unknown" then unanswered = unanswered + 1 end
    end
  end
  return {
    epoch = rec.staged.epoch, run_id = rec.run_id, by = rec.by, reason = rec.staged.reason, staged_at = rec.staged.created_at,
    sent_at = sent_at, sends = sends, unanswered = unanswered, state = rec.state,
  }
end

local function lines_of(rec, opts, add)
  local list = {}
  for _, line in ipairs(rec.history or {}) do list[#list + 1] = line end
  list[#list + 1] = open_line(rec)
  for _, line in ipairs(list) do
    local at = line.sent_at or line.staged_at or 0
    if (not opts.since or at >= opts.since) and (not opts.run or line.run_id == opts.run) then
      local row = { user = rec.user }
      for k, v in pairs(line) do row[k] = v end
      add(row)
    end
  end
end

-- The vendor's own record of a change, next to ours.
local function add_traces(cluster, id, rows)
  local found = ages.from_audit_log(cluster.cloud, id)
  for _, row in ipairs(rows) do
    local event = found and found.users[row.user]
    if event and row.sent_at and math.abs(event.at - row.sent_at) < NEAR then
      row.trace_id, row.audited_by = event.trace_id, event.by
    end
  end
end

--- The history of one user, or of all, newest last.
---@param cluster table
---@param opts? table user, since (seconds or date), run (a run's id), audit_log (true: look up trace ids, one request)
---@return table|nil history rows { user, epoch, run_id, by, reason, sent_at, answered_at, sends, unanswered, verified,
---  published_at, sinks, sessions_cancelled, trace_id }
---@return crdbcloud.error|nil
function M.history(cluster, opts)
  if type(opts) == "string" then opts = { user = opts } end
  opts = options.check(OPTIONS, opts, "history")
  local store, err = cluster:open_store "history"
  if not store then return nil, err end
  local id
  id, err = cluster:id()
  if not id then return nil, err end
  local wanted
  if opts.user then
    wanted, err = names.check(opts.user)
    if not wanted then return nil, err end
  end
  local keys
  keys, err = store:list(id .. "/")
  if not keys then return nil, err end
  local rows, warnings = {}, {}
  for _, key in ipairs(keys) do
    local user = key:sub(#id + 2)
    if wanted == nil and names.check(user) ~= user then
      warnings[#warnings + 1] = ("the store holds a record for %s, which cannot be a user"):format(errors.shown(user))
    elseif wanted == nil or user == wanted then
      local rec, problem = store:get(key)
      if not rec and errors.is(problem) then warnings[#warnings + 1] = problem.message end
      if rec then lines_of(rec, opts, function(row) rows[#rows + 1] = row end) end
    end
  end
  table.sort(rows, function(a, b)
    local x, y = a.sent_at or a.staged_at or 0, b.sent_at or b.staged_at or 0
    if x ~= y then return x < y end
    return a.user < b.user
  end)
  if opts.audit_log then add_traces(cluster, id, rows) end
  return setmetatable({ operation = "history", cluster = cluster.name_or_id, rows = rows, warnings = warnings }, History)
end

return M
