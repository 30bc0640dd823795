--- What nginx's thread pool runs. nginx loads this file in the event loop, so it needs nothing until it is called.

local M = {}

--- Runs one call to its end. Nothing is ever raised: nginx would lose it.
---@param message crdbcloud.threads.wire
---@return table answer { values: wire } | { raised: string } | { thrown: wire } | { gone: string } | { full: string }
function M.run(message)
  local ok, answer = pcall(function() return require("crdbcloud.nginx.serve").run(message) end)
  if ok then return answer end
  return { raised = tostring(answer) }
end

--- Loads the library into this thread's Lua state.
function M.open() return (pcall(require, "crdbcloud.nginx.serve")) end

return M
