--- `crdbcloud.main(fn)`: runs a program so that its exit code says what became of it.

local errors = require "crdbcloud.errors"
local printing = require "crdbcloud.base.printing"

local M = {}

local INTERNAL = 70

--- What a raised value means for the process.
---@param problem any
---@return integer code
---@return string|nil text for standard error
function M.exit_of(problem)
  if errors.is(problem) then
    local text = tostring(problem)
    if problem.report then text = tostring(problem.report) .. "\n" .. text end
    return problem.exit, text
  end
  local text = type(problem) == "table" and problem.text or tostring(problem)
  if errors.is_interrupt(text) then return 130, "interrupted; state is kept: run `crdbcloud rotate resume`" end
  return INTERNAL, text .. "\ninternal error: what was being done may be half done; run `crdbcloud rotate resume`"
end

-- Keeps an error object as it is and gives anything else its stack.
local function traced(problem)
  if errors.is(problem) then return problem end
  return { text = debug.traceback(tostring(problem), 2) }
end

--- Calls fn(...) and ends the process: 0 when it returns, else the code of the
--- error it raised (assert(nil, err) raises err), 70 for any other Lua error.
---@param fn function
---@param ... any
function M.run(fn, ...)
  if type(fn) ~= "function" then errors.raise("crdbcloud.main: expected a function, got %s", errors.shown(fn)) end
  local args, n = { ... }, select("#", ...)
  local ok, problem = xpcall(function() return fn((table.unpack or unpack)(args, 1, n)) end, traced)
  local code = 0
  if not ok then
    local text
    code, text = M.exit_of(problem)
    io.stdout:flush()
    printing.say(io.stderr, text .. "\n")
  end
  os.exit(code, true)
end

return M
