--- Builds the small C programs of spec/c. They exist for what Lua cannot see: memory after it was given back,
--- forked children, terminals, the order of system calls. Each is kept in build/native under a name made of what it is
--- built from, so that it is compiled once.

local temp = require "spec.support.temp"

local M = {}

local function build(name, flags, sources)
  local output, status = temp.run(([[
set -e
sources="%s" flags="%s" name=%s
key=$({ echo "$sources $flags ${CC:-cc}"; cat $sources csrc/*/*.h; } | sha256sum | cut -c1-16)
target=$PWD/build/native/$key/$name
mkdir -p "${target%%/*}"
[ -e "$target" ] || { ${CC:-cc} -std=c11 -D_GNU_SOURCE -g -O1 -Wall -Wextra -Werror -Icsrc -o "$target.$$" $sources $flags && mv "$target.$$" "$target"; }
echo "$target"]]):format(sources, flags, name))
  assert(status == 0, output)
  return (output:gsub("%s+$", ""))
end

--- Compiles spec/c/NAME.c with the given files of csrc.
---@param name string
---@param parts string[]|nil paths in csrc without ".c": "base/secret"
---@param flags string|nil
---@return string path
function M.program(name, parts, flags)
  local sources = { "spec/c/" .. name .. ".c" }
  for _, part in ipairs(parts or {}) do sources[#sources + 1] = "csrc/" .. part .. ".c" end
  return build(name, (flags or "") .. " -lm -lpthread", table.concat(sources, " "))
end

--- Compiles spec/c/NAME.c into a library to be preloaded.
function M.preload(name) return build(name .. ".so", "-shared -fPIC -ldl", "spec/c/" .. name .. ".c") end

--- Compiles and loads spec/c/NAME.c as a Lua module of the running interpreter.
function M.module(name)
  local flags = "-shared -fPIC $(pkg-config --cflags " .. (rawget(_G, "jit") and "luajit" or "lua5.4") .. ")"
  local path = build(name .. ".so", flags, "spec/c/" .. name .. ".c")
  return assert(package.loadlib(path, "luaopen_" .. name))()
end

return M
