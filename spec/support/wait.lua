--- Waits for an event by asking again and again. The bound ends only what is waited for in vain: it is far above what a
--- loaded machine needs, and nothing is measured by it.

local system = require "system"

local BOUND = 120 -- seconds
local PAUSE = 0.02

--- Fails the case when it does not happen.
---@param what string "the end of the request"
---@param is_so fun(): any
---@return any value what is_so gave, if it is neither nil nor false
return function(what, is_so)
  local give_up = system.monotime() + BOUND
  while true do
    local value = is_so()
    if value then return value end
    if system.monotime() > give_up then error("waited in vain for " .. what, 2) end
    system.sleep(PAUSE)
  end
end
