--- The clocks of a run: wall clock, a clock that only goes forward, and which start of the machine that one belongs to.

local core = require "crdbcloud.core"

local M = setmetatable({}, { __index = core }) -- time, boottime, sleep

local id

--- Changes with every start of the machine. Two readings of boottime with the same one can be compared, across
--- processes too; nil where the system does not tell.
---@return string|nil
function M.boot_id()
  if id == nil then
    local file = io.open("/proc/sys/kernel/random/boot_id", "rb")
    id = file and file:read "*l" or false
    if file then file:close() end
  end
  return id or nil
end

return M
