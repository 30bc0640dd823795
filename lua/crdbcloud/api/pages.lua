--- Pages of a listing: where the next one is, and when the list cannot be trusted. Pure.

local errors = require "crdbcloud.errors"

local M = {}

M.LIMIT = 500 -- items asked for per page; the service refuses more
M.MOST_PAGES = 2000 -- a list that goes on longer has no end
M.MOST_BYTES = 64 * 1024 * 1024 -- of the names and ids of one list

--- The token of the next page. The end of a list has five forms: no `pagination`, null, no `next_page`, null, "".
---@param document table a decoded answer, with or without null values
---@return string|nil token
function M.next_token(document)
  local pagination = document.pagination
  local token = type(pagination) == "table" and pagination.next_page or nil
  if type(token) == "string" and token ~= "" then return token end
  return nil
end

---@class crdbcloud.pages.walk one listing under way
---@field token string|nil of the page to ask for; nil: the first
---@field done boolean
---@field as_of_time string|nil the same for all pages
---@field count integer pages read
---@field most_pages integer
---@field restarted boolean
---@field tokens table<string, true> seen
---@field names table<string, true> handed out
---@field items integer handed out
---@field bytes integer of their names
---@field max_items integer

--- Begins a listing.
---@param options {as_of_time: string|nil, most_pages: integer|nil, max_items: integer|nil}
---@return crdbcloud.pages.walk
function M.begin(options)
  return {
    done = false, as_of_time = options.as_of_time, count = 0, most_pages = options.most_pages or M.MOST_PAGES,
    restarted = false, tokens = {}, names = {}, items = 0, bytes = 0, max_items = options.max_items or math.huge,
  }
end

local function endless(message)
  return nil, errors.new {
    kind = "protocol", message = message, reason = "pages", retryable = false,
    hint = "the list cannot be trusted; nothing was changed",
  }
end

--- Takes a page in and moves on to the next.
---@param walk crdbcloud.pages.walk
---@param items table[] of the page; only the names matter here
---@param token string|nil of the next page
---@return table[]|nil fresh the items that were not seen before, in order
---@return crdbcloud.error|nil err kind "protocol"
function M.take(walk, items, token)
  walk.count = walk.count + 1
  if token and walk.tokens[token] then
    return endless "the service gave the same page token twice"
  end
  if token and walk.count >= walk.most_pages then
    return endless(("the list has no end after %d pages"):format(walk.count))
  end
  if token then walk.tokens[token] = true end
  walk.token, walk.done = token, token == nil
  local fresh = {}
  for _, item in ipairs(items) do
    local key = type(item.id) == "string" and item.id or item.name
    if key == nil or not walk.names[key] then
      if key ~= nil then walk.names[key], walk.bytes = true, walk.bytes + #key end
      walk.items = walk.items + 1
      if walk.items > walk.max_items then
        return endless(("the list has more than %d items (max_items)"):format(walk.max_items))
      elseif walk.bytes > M.MOST_BYTES then
        return endless(("the names in the list are longer than %d MiB"):format(M.MOST_BYTES / 1024 / 1024))
      end
      fresh[#fresh + 1] = item
    end
  end
  return fresh
end

--- A page token was refused in mid-list (they expire). Starts again at the first page, once; what was handed out
--- already is not handed out again.
---@param walk crdbcloud.pages.walk
---@return boolean started_again
function M.restart(walk)
  if walk.restarted or walk.token == nil then return false end
  walk.restarted, walk.token, walk.tokens = true, nil, {}
  return true
end

--- RFC 3339 in UTC with microseconds, for `pagination.as_of_time`.
---@param seconds number since 1970
---@return string
function M.timestamp(seconds)
  local whole = math.floor(seconds)
  local micro = math.min(999999, math.floor((seconds - whole) * 1e6))
  return os.date("!%Y-%m-%dT%H:%M:%S", whole) .. (".%06dZ"):format(micro)
end

return M
