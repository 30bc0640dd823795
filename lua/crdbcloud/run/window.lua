--- The hours in which a rotation may start on a user: "22:00-04:00", local time. Pure.

local errors = require "crdbcloud.errors"

local M = {}

-- Minutes since midnight, or nil.
local function minutes(hour, minute)
  hour, minute = tonumber(hour), tonumber(minute)
  if hour > 23 or minute > 59 then return nil end
  return hour * 60 + minute
end

--- Reads a window; raises at level for anything else.
---@param value any
---@param name string
---@param level integer|"caller"|nil
---@return { from: integer, to: integer, text: string } minutes since midnight
function M.rule(value, name, level)
  local h1, m1, h2, m2 = (type(value) == "string" and value or ""):match("^(%d%d):(%d%d)%-(%d%d):(%d%d)$")
  local from, to = h1 and minutes(h1, m1), h2 and minutes(h2, m2)
  if not from or not to or from == to then
    errors.raise(level, '%s must be hours of the day such as "22:00-04:00", got %s', name, errors.shown(value))
  end
  return { from = from, to = to, text = value }
end

--- Is the window open at a time of day?
---@param window { from: integer, to: integer }
---@param hour integer
---@param minute integer
---@return boolean
function M.is_open(window, hour, minute)
  local now = hour * 60 + minute
  if window.from < window.to then return now >= window.from and now < window.to end
  return now >= window.from or now < window.to
end

--- The same for a wall-clock time in seconds.
function M.is_open_at(window, time)
  local t = os.date("*t", math.floor(time))
  return M.is_open(window, t.hour, t.min)
end

return M
