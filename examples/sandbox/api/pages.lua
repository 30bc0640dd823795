-- Pages of a list: query parameters, opaque tokens, and the five forms of the end.

local json = require "api.json"
local answer = require "api.answer"
local settings = require "api.settings"

local M = {}

local DEFAULT_LIMIT, MAX_LIMIT = 100, 500
local MAX_SKEW = 5 -- seconds that a client's clock may be ahead

local function sign(text)
  return ngx.encode_base64(ngx.hmac_sha1(settings.started.hash_key, "page:" .. text)):sub(1, 12)
end

local function url_safe(text) return (text:gsub("[+/=]", { ["+"] = "-", ["/"] = "_", ["="] = "" })) end

-- A token holds its list, the order, the direction and the key it starts behind.
local function make_token(list, order, direction, key)
  local text = table.concat({ list, order, direction, key }, "\n")
  return url_safe(ngx.encode_base64(sign(text) .. text))
end

local function read_token(token, list, order)
  local base64 = token:gsub("[-_]", { ["-"] = "+", ["_"] = "/" })
  local plain = ngx.decode_base64(base64 .. ("="):rep(-#base64 % 4))
  if not plain then return nil end
  local text = plain:sub(13)
  if plain:sub(1, 12) ~= sign(text) then return nil end
  local of_list, of_order, direction, key = text:match("^([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$")
  if of_list ~= list or of_order ~= order then return nil end
  return direction, key
end

--- Seconds since 1970 of an RFC 3339 time.
--- @return number|nil
function M.parse_time(text)
  local year, month, day, hour, minute, second, fraction, zone =
    text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)[Tt](%d%d):(%d%d):(%d%d)(%.?%d*)([Zz+-]%d*:?%d*)$")
  if not year or fraction == "." or (fraction ~= "" and fraction:sub(1, 1) ~= ".") then return nil end
  local offset = 0
  if not zone:find("^[Zz]$") then
    local sign_, hours, minutes = zone:match("^([+-])(%d%d):(%d%d)$")
    if not sign_ then return nil end
    offset = (tonumber(hours) * 60 + tonumber(minutes)) * 60 * (sign_ == "-" and -1 or 1)
  end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  hour, minute, second = tonumber(hour), tonumber(minute), tonumber(second)
  if month < 1 or month > 12 or day < 1 or day > 31 or hour > 23 or minute > 59 or second > 60 then return nil end
  -- Days since 1970 in the Gregorian calendar, the year beginning in March.
  local y = month <= 2 and year - 1 or year
  local era = math.floor(y / 400)
  local year_of_era = y - era * 400
  local day_of_year = math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1
  local days = era * 146097 + year_of_era * 365 + math.floor(year_of_era / 4) - math.floor(year_of_era / 100)
    + day_of_year - 719468
  return ((days * 24 + hour) * 60 + minute) * 60 + second - offset + (tonumber("0" .. fraction) or 0)
end

--- Reads the parameters of a list.
--- @param query table decoded query parameters
--- @param list string names the list; a token is good for its own list only
--- @return table|nil page `{ list, order, descending, backward, after, limit, as_of }`, table|nil answer the refusal
function M.read(query, list)
  local limit = DEFAULT_LIMIT
  local text = query["pagination.limit"]
  if text then
    limit = tonumber(text:match("^%-?%d+$"))
    if not limit then return nil, answer.invalid("pagination.limit is not a number") end
    if limit < 1 or limit > MAX_LIMIT then
      return nil, answer.invalid(("pagination.limit must be between 1 and %d"):format(MAX_LIMIT))
    end
  end
  local order = query["pagination.sort_order"] or "ASC"
  if order ~= "ASC" and order ~= "DESC" then
    return nil, answer.invalid("pagination.sort_order must be ASC or DESC")
  end
  local as_of = query["pagination.as_of_time"]
  if as_of then
    as_of = M.parse_time(as_of)
    if not as_of then return nil, answer.invalid("pagination.as_of_time is not an RFC 3339 time") end
    if as_of > ngx.now() + MAX_SKEW then return nil, answer.invalid("pagination.as_of_time is in the future") end
  end
  local page = { list = list, order = order, as_of = as_of }
  local token = query["pagination.page"]
  if token and token ~= "" then
    local direction, key = read_token(token, list, order)
    if not direction then return nil, answer.invalid("invalid pagination token") end
    page.after, page.backward = key, direction == "previous"
  end
  page.descending = (order == "DESC") ~= (page.backward or false)
  local cap = settings.live.page_cap
  page.limit = cap > 0 and math.min(limit, cap) or limit
  return page
end

-- The end of a list has five forms, and clients must know all of them.
local ENDS = {
  no_pagination = function(previous) return previous and { previous_page = previous } end,
  null_pagination = function(previous) return previous and { previous_page = previous } or json.null end,
  no_next = function(previous) return { previous_page = previous } end,
  null_next = function(previous) return { next_page = json.null, previous_page = previous } end,
  empty_next = function(previous) return { next_page = "", previous_page = previous } end,
}

--- Makes the body of one page.
--- @param page table from `read`
--- @param keys table keys behind `page.after` in the asked direction, at most limit + 1 of them
--- @param member string name of the list in the body
--- @param item function makes an item of a key
function M.body(page, keys, member, item)
  local more = #keys > page.limit
  local first, last, step = 1, math.min(#keys, page.limit), 1
  if page.backward then first, last, step = last, 1, -1 end
  local items = json.array()
  for i = first, last, step do items[#items + 1] = item(keys[i]) end
  local has_next, has_previous = more, page.after ~= nil
  if page.backward then has_next, has_previous = true, more end
  local previous = has_previous and #items > 0 and make_token(page.list, page.order, "previous", keys[first]) or nil
  local pagination
  if has_next and #items > 0 then
    pagination = { next_page = make_token(page.list, page.order, "next", keys[last]), previous_page = previous }
  else
    pagination = ENDS[settings.live.page_end](previous)
  end
  return { [member] = items, pagination = pagination }
end

--- One page of a list that is in memory: `keys` in ascending order.
function M.slice(page, keys)
  local found = {}
  local first, last, step = 1, #keys, 1
  if page.descending then first, last, step = #keys, 1, -1 end
  for i = first, last, step do
    local key = keys[i]
    local behind = page.after == nil or (page.descending and key < page.after) or (not page.descending and key > page.after)
    if behind then found[#found + 1] = key end
    if #found > page.limit then break end
  end
  return found
end

return M
