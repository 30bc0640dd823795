--- Durations: seconds as a number, or text such as "500ms", "30s", "1h30m", "90d".

local errors = require "crdbcloud.errors"

local M = {}

---@alias crdbcloud.duration number|string seconds, or "500ms", "30s", "5m", "1h", "90d", "2w"

local UNITS = { ms = 0.001, s = 1, m = 60, h = 3600, d = 86400, w = 604800 }

-- A hundred years; anything longer is a slip of the keyboard, and sums of
-- durations stay far from where floats lose whole seconds.
local LONGEST = 100 * 365.25 * 86400

-- A bare number above this is taken for milliseconds that somebody meant.
local LONGEST_BARE_LIMIT = 600

local function whole(n)
  return n == math.floor(n) and math.abs(n) < 2 ^ 53
end

local function plain(n)
  return whole(n) and ("%d"):format(n) or ("%.14g"):format(n)
end

--- Reads a duration without raising.
---@param value any
---@return number|nil seconds
---@return string|nil expected what was wrong, to stand after the argument's name
function M.read(value)
  local seconds
  if type(value) == "number" then
    seconds = value
  elseif type(value) == "string" then
    if value:match "^%s*%d+%.?%d*%s*$" then
      return nil, ('needs a unit: write "%ss" for seconds or "%sms" for milliseconds'):format(
        value:match "%d+%.?%d*", value:match "%d+%.?%d*")
    end
    local total, rest = 0, value
    while rest ~= "" do
      local number, unit, tail = rest:match "^(%d+%.?%d*)(%a+)(.*)$"
      if not number or not UNITS[unit] then total = nil break end
      total, rest = total + tonumber(number) * UNITS[unit], tail
    end
    seconds = value ~= "" and total or nil
  end
  if not seconds then
    return nil, 'must be a duration, such as 30 (seconds), "500ms", "30s", "5m", "1h" or "90d"'
  end
  if not (seconds >= 0 and seconds <= LONGEST) then
    return nil, "must be a duration from 0 to 100 years"
  end
  return seconds
end

--- A duration in seconds; raises for anything else.
---@param value any
---@param name string the argument or option, for the message
---@return number seconds
function M.parse(value, name)
  local seconds, expected = M.read(value)
  if not seconds then
    errors.raise("%s %s, got %s", name, expected, errors.shown(value))
  end
  return seconds
end

--- A time limit in seconds, above 0. A bare number above 600 raises: it is most likely meant in milliseconds.
---@param value any
---@param name string
---@return number seconds
function M.limit(value, name)
  local seconds = M.parse(value, name)
  if seconds == 0 then
    errors.raise("%s must be a time limit above 0, got %s", name, errors.shown(value))
  end
  if type(value) == "number" and value > LONGEST_BARE_LIMIT then
    errors.raise('%s = %s is in seconds; for milliseconds write "%sms", for seconds "%ss"',
      name, plain(value), plain(value), plain(value))
  end
  return seconds
end

local STEPS = { { "d", 86400 }, { "h", 3600 }, { "m", 60 }, { "s", 1 } }

--- Text for people: "0s", "250ms", "1.5s", "30s", "1h30m", "90d"; at most two units.
---@param seconds number
---@return string
function M.format(seconds)
  if seconds < 0 then return "-" .. M.format(-seconds) end
  if seconds > 0 and seconds < 0.9995 then return ("%dms"):format(math.max(1, math.floor(seconds * 1000 + 0.5))) end
  if seconds < 10 then
    local tenths = math.floor(seconds * 10 + 0.5) / 10
    return (whole(tenths) and ("%ds"):format(tenths) or ("%.1fs"):format(tenths))
  end
  local rest = math.floor(seconds + 0.5)
  for i, step in ipairs(STEPS) do
    if rest >= step[2] then
      local count = math.floor(rest / step[2])
      local text = ("%d%s"):format(count, step[1])
      local next_step = STEPS[i + 1]
      local left = next_step and math.floor((rest - count * step[2]) / next_step[2]) or 0
      return left > 0 and ("%s%d%s"):format(text, left, next_step[1]) or text
    end
  end
  return "0s"
end

return M
