--- When passwords were set, for users whose record does not say: from the
--- organisation's audit log, where the key may read it.

local cjson = require("cjson.safe").new()
local errors = require "crdbcloud.errors"
local names = require "crdbcloud.names"

local M = {}

local MAX_PAGES = 100
local SETS = {
  AUDIT_LOG_ACTION_CREATE_SQL_USER = true,
  AUDIT_LOG_ACTION_CHANGE_SQL_USER_PASSWORD = true,
}

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
  local rules = require "crdbcloud.workflows.rules"
  local whole = type(text) == "string" and text:match("^(%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d)[%.%d]*Z$")
  return whole and rules.time(whole .. "Z", "created_at", 1)
end

--- The newest successful change of each user of a cluster.
---@param cloud table
---@param cluster_id string
---@return table<string, { at: integer, trace_id: string|nil, by: string|nil }>|nil by folded name; nil when the log cannot be read
---@return crdbcloud.error|nil
function M.from_audit_log(cloud, cluster_id)
  local found, from = {}, nil
  for _ = 1, MAX_PAGES do
    local page, err = cloud:list_audit_logs { sort_order = "DESC", starting_from = from }
    if not page then return nil, err end
    for _, entry in ipairs(page.entries or {}) do
      local failed = entry.error ~= nil and entry.error ~= ""
      if SETS[entry.action] and entry.cluster_id == cluster_id and not failed then
        local user, at = M.user_of(entry), seconds(entry.created_at)
        if user and at and not found[user] then
          found[user] = { at = at, trace_id = entry.trace_id, by = entry.service_account_name or entry.user_email }
        end
      end
    end
    local next_from = page.next_starting_from
    if not next_from or next_from == "" or next_from == from or #(page.entries or {}) == 0 then return found end
    from = next_from
  end
  return nil, errors.new { kind = "protocol", message = "the audit log does not end" }
end

return M
