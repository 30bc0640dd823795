--- Builds the small C programs of spec/c. They exist for what Lua cannot see: memory after it was given back,
--- forked children, terminals, the order of system calls.

local temp = require "spec.support.temp"

local M = {}

local function build(target, flags, sources)
  local output, status = temp.run(("${CC:-cc} -std=c11 -D_GNU_SOURCE -g -O1 -Wall -Wextra -Werror -Icsrc -o %s %s %s"):format(
    temp.quote(target), sources, flags))
  assert(status == 0, output)
  return target
end

--- Compiles spec/c/NAME.c with the given files of csrc.
---@param dir string where the program goes
---@param name string
---@param parts string[]|nil paths in csrc without ".c": "base/secret"
---@param flags string|nil
---@return string path
function M.program(dir, name, parts, flags)
  local sources = { "spec/c/" .. name .. ".c" }
  for _, part in ipairs(parts or {}) do sources[#sources + 1] = "csrc/" .. part .. ".c" end
  return build(dir .. "/" .. name, (flags or "") .. " -lm -lpthread", table.concat(sources, " "))
end

--- Compiles spec/c/NAME.c into a library to be preloaded.
function M.preload(dir, name)
  return build(dir .. "/" .. name .. ".so", "-shared -fPIC -ldl", "spec/c/" .. name .. ".c")
end

--- Compiles and loads spec/c/NAME.c as a Lua module of the running interpreter.
function M.module(dir, name)
  local flags = "-shared -fPIC $(pkg-config --cflags " .. (rawget(_G, "jit") and "luajit" or "lua5.4") .. ")"
  local path = build(dir .. "/" .. name .. ".so", flags, "spec/c/" .. name .. ".c")
  return assert(package.loadlib(path, "luaopen_" .. name))()
end

return M
