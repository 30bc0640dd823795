--- Shows the progress of a workflow on stderr: one live line on a terminal, plain lines elsewhere.

local core = require "crdbcloud.core"
local durations = require "crdbcloud.base.durations"
local printing = require "crdbcloud.base.printing"

local M = {}

local Progress = {}
Progress.__index = Progress

-- The event's own line, and how long the rest will take.
local function line_of(event)
  local text = tostring(event)
  local left = event.seconds_left
  if not left or left < 1 then return text end
  return ("%s, about %s left"):format(text, durations.format(math.ceil(left)))
end

-- Cut to the width of the terminal so that it can be overwritten.
local function cut(text)
  local columns = core.terminal_width(2) or 80
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
      printing.say(io.stderr, "interrupted: what is in hand is finished first, the rest is left; once more to stop at once\n")
    end
    if session.args.quiet then return end
    if not self.live then
      printing.say(io.stderr, line_of(event) .. "\n")
      return
    end
    printing.say(io.stderr, cut(line_of(event)), "\r\27[K")
    self.open = true
    -- What became of a user stays on screen; several may be in hand at once.
    if event.step == "user" then self:finish() end
  end
  return self
end

--- Ends the live line.
function Progress:finish()
  if self.open then printing.say(io.stderr, "\n") end
  self.open = false
end

return M
