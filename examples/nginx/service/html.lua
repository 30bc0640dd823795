-- Text for HTML: what comes from outside is escaped, and every other word stands in our own templates. Pure.

local M = {}

local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

--- Escapes a value for an element's text or a quoted attribute. Bytes that HTML does not allow become spaces.
---@param value any
---@return string
function M.escape(value)
  return (tostring(value):gsub("[&<>\"']", ENTITIES):gsub("[%z\1-\8\11\12\14-\31\127]", " "))
end

--- Fills a template: {name} is escaped, {{name}} is HTML already. A name without a value raises.
---@param template string
---@param values table<string, any>
---@return string
function M.fill(template, values)
  local function value(name)
    local found = values[name]
    if found == nil then error("the template wants " .. name, 3) end
    return found
  end
  return (template:gsub("{({?)([%a_]+)}}?", function(raw, name)
    if raw == "{" then return tostring(value(name)) end
    return M.escape(value(name))
  end))
end

local UNITS = { { 86400, "day" }, { 3600, "hour" }, { 60, "minute" }, { 1, "second" } }

--- Seconds in words, rounded down to one unit: "3 days".
---@param seconds number|nil
---@return string
function M.duration(seconds)
  if not seconds then return "unknown" end
  seconds = math.max(0, math.floor(seconds))
  for _, unit in ipairs(UNITS) do
    local n = math.floor(seconds / unit[1])
    if n >= 1 then return ("%d %s%s"):format(n, unit[2], n == 1 and "" or "s") end
  end
  return "just now"
end

--- A moment ago or to come, in words.
---@param at number|nil seconds since 1970
---@param now number
---@return string
function M.moment(at, now)
  if not at then return "never" end
  local distance = at - now
  if distance > -1 and distance < 1 then return "now" end
  return distance > 0 and "in " .. M.duration(distance) or M.duration(-distance) .. " ago"
end

--- A moment as a <time> element: words for people, the exact time for machines and as its title.
---@param at number|nil
---@param now number
---@return string HTML
function M.time(at, now)
  if not at then return "never" end
  local exact = os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(at))
  return ('<time datetime="%s" title="%s">%s</time>'):format(exact, (exact:gsub("T", " "):gsub("Z", " UTC")), M.escape(M.moment(at, now)))
end

return M
