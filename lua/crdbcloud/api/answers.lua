--- Reads the JSON of answers. JSON null never reaches the caller: a field that is null is absent.

local errors = require "crdbcloud.errors"
local printed = require "crdbcloud.api.printed"

local M = {}

local DEEPEST = 64 -- the API's objects are less than ten deep

local decoder

-- An instance of our own: another user of lua-cjson may set the shared one up differently.
local function json()
  if not decoder then
    decoder = require("cjson.safe").new()
    decoder.decode_max_depth(DEEPEST)
    decoder.decode_invalid_numbers(false)
  end
  return decoder
end

local function without_null(value, null)
  if value == null then return nil end
  if type(value) ~= "table" then return value end
  local out, gap = {}, 0
  for key, item in pairs(value) do
    if type(key) ~= "number" then out[key] = without_null(item, null) end
  end
  for i, item in ipairs(value) do -- null is no nil, so ipairs meets all of a JSON array
    local kept = without_null(item, null)
    if kept == nil then gap = gap + 1 else out[i - gap] = kept end
  end
  return out
end

--- Makes a decoded answer print as its fields; nothing else about it changes.
M.printed = printed.document

local function broken(operation, what)
  return nil, errors.new {
    kind = "protocol", operation = operation, message = "the service's answer " .. what, retryable = false,
    reason = "broken_body", hint = "check that the server is the CockroachDB Cloud API (base_url, COCKROACH_SERVER)",
  }
end

--- Decodes the body of a 2xx answer; no body at all is an empty object.
---@param body string|nil
---@param operation string for the error
---@return table|nil
---@return crdbcloud.error|nil err kind "protocol"
function M.decode(body, operation)
  if body == nil or not body:find "%S" then return M.printed {} end
  local document = json().decode(body)
  if type(document) ~= "table" then return broken(operation, "is no JSON object") end
  if not body:find("null", 1, true) then return M.printed(document) end
  return M.printed(without_null(document, json().null))
end

--- The items of a page; an absent list is an empty one.
---@param document table decoded
---@param field string "users", "clusters", ...
---@param key string that each item must have as a string
---@param operation string
---@return table[]|nil
---@return crdbcloud.error|nil err kind "protocol"
function M.items(document, field, key, operation)
  local items = document[field]
  if items == nil then return {} end
  if type(items) ~= "table" then return broken(operation, ('holds no list of %s'):format(field)) end
  for i, item in ipairs(items) do
    if type(item) ~= "table" or type(item[key]) ~= "string" then
      return broken(operation, ('holds %s without a %s (entry %d)'):format(field, key, i))
    end
  end
  if #items == 0 and next(items) ~= nil then return broken(operation, ('holds no list of %s'):format(field)) end
  return items
end

local ENTRY_TEXTS = {
  "action", "created_at", "cluster_id", "cluster_name", "trace_id", "user_email", "service_account_name", "error",
}

--- The audit log: entries that are objects, whose texts are texts or absent.
---@param document table decoded
---@param operation string
---@return table|nil log { entries, next_starting_from }
---@return crdbcloud.error|nil err kind "protocol"
function M.audit_log(document, operation)
  local entries = document.entries or {}
  if type(entries) ~= "table" or #entries == 0 and next(entries) ~= nil then return broken(operation, "holds no list of entries") end
  for i, entry in ipairs(entries) do
    if type(entry) ~= "table" then return broken(operation, ("holds an entry that is none (%d)"):format(i)) end
    for _, name in ipairs(ENTRY_TEXTS) do
      -- An error of any kind is one.
      if entry[name] ~= nil and type(entry[name]) ~= "string" then entry[name] = name == "error" and "?" or nil end
    end
  end
  local from = document.next_starting_from
  if type(from) ~= "string" or not from:find "^%d%d%d%d%-%d%d%-%d%d[Tt]%d%d:%d%d:%d%d[%w:.+-]*$" then document.next_starting_from = nil end
  document.entries = document.entries and entries
  return printed.audit(document)
end

--- Encodes a request body.
---@param value table
---@return string|nil
---@return string|nil problem
function M.encode(value)
  return json().encode(value)
end

return M
