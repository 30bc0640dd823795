--- What the organisation's audit log says of a cluster's users, where the key may
--- read it: when passwords were set, who was made anew, whether it was restored.

local cjson = require("cjson.safe").new()
local errors = require "crdbcloud.errors"
local names = require "crdbcloud.names"

local M = {}

local MAX_PAGES = 100
local CREATES = "AUDIT_LOG_ACTION_CREATE_SQL_USER"
local CHANGES = "AUDIT_LOG_ACTION_CHANGE_SQL_USER_PASSWORD"
-- Restoring has several actions (cluster, database, backup); a database does not hold passwords.
local function is_restore(action)
  return action:find("RESTORE", 1, true) ~= nil and action:find("DATABASE", 1, true) == nil and action:find("TABLE", 1, true) == nil
end

-- Where the payload (a string of JSON, not specified further) names the user.
local NAMES = { "sql_user_name", "username", "user_name", "name", "user" }

--- Pure: the user that an audit log entry is about.
---@param entry table
---@return string|nil folded
function M.user_of(entry)
  local payload = type(entry.payload) == "string" and cjson.decode(entry.payload) or entry.payload
  if type(payload) ~= "table" then return nil end
  for _, field in ipairs(NAMES) do
    if type(payload[field]) == "string" then return names.fold(payload[field]) end
  end
  return nil
end

-- Days from 1970-01-01 to a date; RFC 3339 in UTC.
local function seconds(text)
  local rules = require "crdbcloud.run.rules"
  local whole = type(text) == "string" and text:match("^(%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d)[%.%d]*Z$")
  local ok, at = pcall(rules.time, whole and whole .. "Z", "created_at", 1)
  return ok and at or nil -- no date: the 99th of a month, for example
end

-- Notes one event; the newest come first.
local function note(found, entry)
  local at = seconds(entry.created_at)
  if not at then return end
  if entry.action == CREATES or entry.action == CHANGES then
    local user = M.user_of(entry)
    if not user then return end
    local known = found.users[user] or {}
    found.users[user] = known
    if not known.at then
      known.at, known.trace_id, known.by = at, entry.trace_id, entry.service_account_name or entry.user_email
    end
    if entry.action == CREATES then known.created_at = known.created_at or at end
  elseif is_restore(entry.action) then
    found.restored_at = found.restored_at or at
  end
end

--- What the log says, newest event of each kind.
---@param cloud table
---@param cluster_id string
---@return { users: table<string, { at: integer, created_at: integer|nil, trace_id: string|nil, by: string|nil }>, restored_at: integer|nil }|nil
---  users by folded name; at: the last time a password was set; nil when the log cannot be read
---@return crdbcloud.error|nil
function M.from_audit_log(cloud, cluster_id)
  local found, from = { users = {} }, nil
  for _ = 1, MAX_PAGES do
    local page, err = cloud:list_audit_logs { sort_order = "DESC", starting_from = from }
    if not page then return nil, err end
    for _, entry in ipairs(page.entries or {}) do
      local failed = entry.error ~= nil and entry.error ~= ""
      if type(entry.action) == "string" and entry.cluster_id == cluster_id and not failed then note(found, entry) end
    end
    local next_from = page.next_starting_from
    if not next_from or next_from == "" or next_from == from or #(page.entries or {}) == 0 then return found end
    from = next_from
  end
  return nil, errors.new { kind = "protocol", message = "the audit log does not end" }
end

return M
