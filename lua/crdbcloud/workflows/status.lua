--- `rotation_status`: the state of every user in the store; for a pair also which user is active, how long the other
--- rests, and whether their access differs.

local classes = require "crdbcloud.base.classes"
local core = require "crdbcloud.core"
local durations = require "crdbcloud.base.durations"
local options = require "crdbcloud.base.options"
local pair_access = require "crdbcloud.change.pair.access"
local pair_rules = require "crdbcloud.change.pair.rules"
local printing = require "crdbcloud.base.printing"
local proof = require "crdbcloud.change.proof"
local record = require "crdbcloud.record"
local report = require "crdbcloud.run.report"
local selection = require "crdbcloud.run.selection"

local M = {}

local Status = classes.result("workflows.status", { __name = "crdbcloud.status" })

function Status:__tostring()
  local cells = {}
  for i, row in ipairs(self.rows) do
    local flags = {}
    for name in pairs(row.flags or {}) do flags[#flags + 1] = name end
    table.sort(flags)
    if row.open and row.state ~= "refused" then table.insert(flags, 1, "open") end
    if row.note then table.insert(flags, 1, row.note) end
    cells[i] = {
      row.user, row.state, row.epoch and ("%d"):format(row.epoch) or "-",
      row.age and durations.format(row.age) or "-", row.owner or "-",
      table.concat(flags, " "),
    }
  end
  local head = ("%s on %s, %d open"):format(printing.count(#self.rows, "user"), printing.harmless(self.cluster), self.open)
  if #cells > 0 then head = head .. "\n" .. report.layout({ "USER", "STATE", "EPOCH", "AGE", "OWNER", "NOTE" }, cells) end
  head = head .. "\nstore " .. printing.harmless(self.store)
  for _, text in ipairs(self.warnings) do head = head .. "\nwarning: " .. printing.harmless(text) end
  return head
end

-- The differences of a pair, "not-checked" where there is no SQL connection or it fails.
local function drift(cluster, rec, warn)
  if not cluster:has_sql() then return "not-checked" end
  local sql, err = cluster:open_sql "rotation_status"
  local found
  if sql then found, err = pair_access.drift(sql, rec) end
  if not found then
    warn(("%s: whether its two users have the same access could not be looked at: %s"):format(rec.user, err.message))
    return "not-checked"
  end
  local texts = {}
  for i, difference in ipairs(found) do
    texts[i] = difference.text
    warn(("%s: access differs: %s"):format(rec.user, difference.text))
  end
  return texts
end

local function note_of(rec, now)
  if record.is_creating(rec) then return nil end
  local left = pair_rules.spacing_left(rec.pair, now)
  return ("%s is active%s"):format(rec.pair.active, left > 0 and ", next turn in " .. durations.format(left) or "")
end

-- Completes the rows of a status, one for each record, by what concerns pairs. Returns warnings.
local function add_pairs(cluster, list, rows, now)
  local known, warnings = {}, {}
  for _, item in ipairs(list) do known[item.user] = item.rec end
  local function warn(text) warnings[#warnings + 1] = text end
  for i, item in ipairs(list) do
    local rec, row = item.rec, rows[i]
    if rec and rec.pair_of then
      row.partner_of, row.note = rec.pair_of, "partner of " .. rec.pair_of
    elseif rec and rec.pair then
      local partner = known[rec.pair.partner]
      row.active, row.partner, row.note = rec.pair.active, rec.pair.partner, note_of(rec, now)
      if partner and not record.is_creating(partner) then row.drift = drift(cluster, rec, warn) end
    end
  end
  return warnings
end

-- Completes the rows of application users by what the server says of them now: admin, made anew, gone, without login.
local function add_findings(cluster, list, rows, warnings)
  local any
  for _, item in ipairs(list) do any = any or proof.concerns(item.rec) end
  if not any then return end
  local finding_of, err
  if cluster:has_sql() then finding_of, err = proof.survey(cluster, "rotation_status") end
  if err then warnings[#warnings + 1] = "whether application users have become admins could not be looked at: " .. err.message end
  for i, item in ipairs(list) do
    if proof.concerns(item.rec) then
      local finding = finding_of and finding_of(item.rec)
      rows[i].finding = finding and finding.text or not finding_of and "not-checked" or nil
      if finding then
        warnings[#warnings + 1] = ("security: %s %s"):format(item.user, finding.text)
        rows[i].note = finding.reason:gsub("_", " "):upper() .. (rows[i].note and ", " .. rows[i].note or "")
      end
    end
  end
end

--- The state of every user of the cluster in the store. No request is sent where the handle knows the cluster's id;
--- application users are looked at by SQL, and so is the access of pairs.
---@param cluster table
---@param opts? table none yet
---@return table|nil report rows { user, state, open, epoch, set_at, age, flags, note, active, partner, partner_of, drift,
---  finding: what is not as `create_app_user` left it, or "not-checked" }
---@return crdbcloud.error|nil
function M.rotation_status(cluster, opts)
  options.check({}, opts, "rotation_status")
  local store, err = cluster:open_store("rotation_status")
  if not store then return nil, err end
  local id
  id, err = cluster:id()
  if not id then return nil, err end
  local list
  list, err = selection.records(store, id)
  if not list then return nil, err end
  local rows, now, open = {}, math.floor(core.time()), 0
  for i, item in ipairs(list) do
    local rec = item.rec
    if not rec then
      rows[i] = { user = item.user, state = "refused", open = true, note = item.err.message }
    else
      local set_at = record.set_at(rec)
      rows[i] = {
        user = item.user, state = rec.state, open = record.is_open(rec) or record.is_due(rec), epoch = record.public_epoch(rec), set_at = set_at,
        age = set_at and math.max(0, now - set_at) or nil, owner = rec.owner, flags = rec.flags, run_id = rec.run_id,
        note = rec.removing and "is being removed" or rec.access_due and "its access is being changed" or nil,
        unanswered = record.unknown_sends(rec, rec.epoch) > 0 and record.is_open(rec) or nil,
      }
    end
    if rows[i].open then open = open + 1 end
  end
  local warnings = add_pairs(cluster, list, rows, now)
  add_findings(cluster, list, rows, warnings)
  return setmetatable({
    operation = "rotation_status", cluster = cluster.name_or_id, store = store.url or "given as an object",
    rows = rows, open = open, warnings = warnings,
  }, Status)
end

return M
