--- What on_progress is called with: an event that prints as one line.

local printing = require "crdbcloud.base.printing"

local M = {}

local Event = { __name = "crdbcloud.event" }
Event.__index = Event
function Event:__tostring()
  local where = self.cluster and self.cluster .. ": " or ""
  local place = self.index and ("[%d/%d] "):format(self.index, self.total) or ""
  local who = self.user and self.user .. ": " or ""
  return printing.harmless(where .. place .. who .. self.text)
end

--- Hands an event to a function for on_progress, if there is one.
---@param listener function|nil
---@param event table
---@return boolean ok false when it raised an error
---@return any problem
function M.tell(listener, event)
  if not listener then return true end
  return pcall(listener, setmetatable(event, Event))
end

return M
