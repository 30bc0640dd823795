--- What `rotation_status` says of pairs: who is active, until when the other rests,
--- and whether the access of the two differs.

local durations = require "crdbcloud.base.durations"
local pair_access = require "crdbcloud.change.pair.access"
local record = require "crdbcloud.record"
local rules = require "crdbcloud.change.pair.rules"

local M = {}

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
  local left = rules.spacing_left(rec.pair, now)
  return ("%s is active%s"):format(rec.pair.active, left > 0 and ", next turn in " .. durations.format(left) or "")
end

--- Completes the rows of a status.
---@param cluster table
---@param list { user: string, rec: table|nil }[] all records of the cluster
---@param rows table[] one for each of them; get active, partner, partner_of, drift and note
---@param now integer
---@return string[] warnings
function M.add(cluster, list, rows, now)
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

return M
