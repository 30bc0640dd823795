--- Tells a cluster id from the things that people take for one. Pure.

local errors = require "crdbcloud.errors"

local M = {}

--- A Lua pattern that a cluster id matches.
M.PATTERN = "^%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"

local EXAMPLE = "35c4abb2-bb66-46d7-afed-25ebef5ed2aa"

---@alias crdbcloud.ids.look "id" | "upper_case_id" | "routing_id" | "host" | "url" | "name" | "other"

--- What a text looks like. A cluster's name may have the form of a routing id, so "routing_id" is a guess.
---@param text string
---@return crdbcloud.ids.look
function M.look(text)
  if text:find(M.PATTERN) then return text == text:lower() and "id" or "upper_case_id" end
  if text:match "^%a[%w+.-]*://" then return "url" end
  if text:match "^[%w-]+%.[%w.-]+$" then return "host" end
  if text:match "^%l+%-%l+%-%d+$" then return "routing_id" end
  if text:match "^[%l%d][%l%d-]*[%l%d]$" and #text <= 20 then return "name" end
  return "other"
end

local EXPLAIN = {
  upper_case_id = function(text)
    return "which is an id in upper case", ('write it in lower case: "%s"'):format(text:lower())
  end,
  routing_id = function(text)
    return "which looks like a routing id (the cluster's part of a SQL host name) or a name",
      ('cloud:find_cluster "%s" tells which cluster it is and gives the id'):format(text)
  end,
  host = function()
    return "which looks like a host name", "cloud:clusters() lists the clusters with their ids"
  end,
  url = function()
    return "which looks like a URL", "cloud:clusters() lists the clusters with their ids"
  end,
  name = function(text)
    return "which looks like a cluster's name", ('cloud:find_cluster "%s" gives the id; cloud:cluster "%s" takes names')
      :format(text, text)
  end,
  other = function()
    return nil, "cloud:clusters() lists the clusters with their ids"
  end,
}

--- Checks a text that has to be a cluster id.
---@param text string
---@param operation string|nil for the error
---@return string|nil id
---@return crdbcloud.error|nil err kind "invalid_argument"
function M.check(text, operation)
  local look = M.look(text)
  if look == "id" then return text end
  local what, hint = EXPLAIN[look](text)
  -- A URL may hold a password, so it is not repeated.
  local shown = look == "url" and "a text" or errors.shown(text)
  return nil, errors.new {
    kind = "invalid_argument", operation = operation, outcome = "not_sent", reason = look, hint = hint,
    message = ("cluster_id must be a lower-case UUID such as %s, got %s%s"):format(EXAMPLE, shown,
      what and ", " .. what or ""),
  }
end

return M
