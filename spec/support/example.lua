--- Runs examples as a person would: from a shell, with the environment of the sandbox.

local temp = require "spec.support.temp"

local M = {}

--- The interpreter that runs the specs.
M.LUA = rawget(_G, "jit") and "luajit" or "lua5.4"

--- Runs a shell command with the environment that `sandbox start` prints, a home and a store of its own.
---@param s table a sandbox
---@param home string a directory
---@param line string
---@param without string|nil a variable that is not set
---@return string output, integer status
function M.run(s, home, line, without)
  local words = { "env" }
  for name, value in pairs(s.env) do
    if name ~= "PATH" and name ~= without then words[#words + 1] = name .. "=" .. temp.quote(value) end
  end
  words[#words + 1] = "HOME=" .. home
  words[#words + 1] = "CRDBCLOUD_STORE=file:" .. home .. "/store"
  words[#words + 1] = ('PATH="$PWD/build:$PATH" sh -c %s'):format(temp.quote(line))
  return temp.run(table.concat(words, " "))
end

return M
