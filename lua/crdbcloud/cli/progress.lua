--- Shows the progress of a workflow on stderr: one live line on a terminal, plain lines elsewhere.

local core = require "crdbcloud.core"

local M = {}

local Progress = {}
Progress.__index = Progress

-- The event's own line, cut to the width of the terminal so that it can be overwritten.
local function live_line(event)
  local columns = core.terminal_width(2) or 80
  local text = tostring(event):gsub("[%c\127]", "?")
  return #text < columns and text or text:sub(1, columns - 2) .. ">"
end

--- What is shown, with `event` as the function for on_progress.
---@param session table
function M.new(session)
  local self = setmetatable({ live = core.is_terminal(2) and os.getenv "TERM" ~= "dumb" }, Progress)
  function self.event(event)
    if not self.told and session:interrupted() then
      self.told = true
      self:finish()
      io.stderr:write("interrupted: the user in hand is finished first, then the rest is left for `crdbcloud rotate resume`\n")
    end
    if session.args.quiet then return end
    if not self.live then
      io.stderr:write((tostring(event):gsub("[%c\127]", "?")), "\n")
      return
    end
    -- Another user: the last line of the one before stays on screen.
    if self.user and event.user ~= self.user then self:finish() end
    self.user, self.open = event.user, true
    io.stderr:write("\r\27[K", live_line(event))
  end
  return self
end

--- Ends the live line.
function Progress:finish()
  if self.open then io.stderr:write "\n" end
  self.open = false
end

return M
