--- Temporary directories, shell commands and small files for specs. Each directory goes with `temp.clean()`.

local M = {}

local made = {}

--- For a shell command line.
---@param text string
---@return string
function M.quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- Runs a command with standard error joined to standard output.
---@param command string
---@return string output, integer status exit status as the shell reports it
function M.run(command)
  local pipe = assert(io.popen("{ " .. command .. "\n} 2>&1; printf '\\n%d' $?"))
  local output = pipe:read "*a"
  pipe:close()
  local text, status = output:match "^(.*)\n(%d+)$"
  return text, tonumber(status)
end

--- A new empty directory, mode 0700.
---@return string path
function M.dir()
  local path, status = M.run "mktemp -d"
  assert(status == 0, path)
  path = path:gsub("%s+$", "")
  made[#made + 1] = path
  return path
end

--- Removes every directory made so far.
function M.clean()
  for _, path in ipairs(made) do M.run("rm -rf -- " .. M.quote(path)) end
  made = {}
end

---@param path string
---@param text string
function M.write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

---@param path string
---@return string|nil
function M.read(path)
  local file = io.open(path, "rb")
  local text = file and file:read "*a"
  if file then file:close() end
  return text
end

--- The command line that runs Lua code in a second process of the same interpreter. It always uses the plain build:
-- a build with a sanitizer would need the sanitizer preloaded there too.
---@param code string `core` is loaded; nothing is quoted into it by this function
---@return string
function M.lua(code)
  local cpath = package.cpath:gsub("/build/[^/;]+/(5%.%d/)", "/build/%1")
  return ("LUA_PATH=%s LUA_CPATH=%s %s -e %s"):format(M.quote(package.path), M.quote(cpath),
    rawget(_G, "jit") and "luajit" or "lua5.4", M.quote("local core = require 'crdbcloud.core' " .. code))
end

return M
