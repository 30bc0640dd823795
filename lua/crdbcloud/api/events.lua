--- What `on_event` sees: plain tables of allow-listed fields, never a secret or a body.

local printing = require "crdbcloud.base.printing"

local M = {}

-- In the order in which they print. Values are strings, numbers or booleans;
-- anything else, such as a secret or a body, has no way in.
local FIELDS = {
  "event", "operation", "method", "path", "cluster_id", "user", "run_id", "step", "epoch", "sink", "attempt", "status",
  "code", "outcome", "kind", "reason", "wait", "retry_after", "elapsed", "http", "new_connection", "done", "total",
  "why", "message",
}

local SCALAR = { string = true, number = true, boolean = true }

local Event = { __name = "crdbcloud.event" }
Event.__index = Event

local function shown(value)
  if type(value) == "number" and value ~= math.floor(value) then return ("%.3f"):format(value) end
  if type(value) == "number" then return ("%d"):format(value) end
  local text = tostring(value):gsub("%c", " ")
  return text:find " " and ('"%s"'):format(text) or text
end

function Event:__tostring()
  local parts = { tostring(self.event) }
  for i = 2, #FIELDS do
    local value = self[FIELDS[i]]
    if value ~= nil then parts[#parts + 1] = FIELDS[i] .. "=" .. shown(value) end
  end
  return printing.harmless(table.concat(parts, " "))
end

--- A new event with the allow-listed fields of the table.
---@param fields table
---@return table event
function M.new(fields)
  local event = {}
  for _, name in ipairs(FIELDS) do
    local value = fields[name]
    if SCALAR[type(value)] then event[name] = value end
  end
  return setmetatable(event, Event)
end

--- A function that hands events to a listener. The listener's error changes nothing: the first one becomes an event
--- "warning", which the listener gets as well, and that is all.
---@param listener function|nil
---@return fun(fields: table)
function M.emitter(listener)
  if not listener then return function() end end
  local warned = false
  return function(fields)
    local ok, problem = pcall(listener, M.new(fields))
    if ok or warned then return end
    warned = true
    pcall(listener, M.new { event = "warning", message = "on_event raised an error: " .. tostring(problem) })
  end
end

return M
