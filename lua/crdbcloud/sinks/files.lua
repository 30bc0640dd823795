--- What sinks that write files have in common.

local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local leftovers = require "crdbcloud.base.leftovers"
local options = require "crdbcloud.base.options"

local M = {}

local WAIT = 10 -- seconds for another writer of the same file

-- One spelling of a path: no "//" and no "/./". ".." stays, as it may cross a link.
local function plain(path)
  path = path:gsub("//+", "/")
  while path:find("/./", 1, true) do path = path:gsub("/%./", "/") end
  return path
end

-- The working directory, where a relative path begins. Braces in it would count as placeholders.
local function start()
  local directory, why = core.cwd()
  if not directory then return nil, why end
  if directory:find "[{}]" then return nil, "the working directory has braces in its name" end
  return directory
end

--- Rule for options: a path, given back from the root on: records keep it, and who resumes them may stand elsewhere.
---@param value any
---@param name string for the message
---@return string
function M.path(value, name)
  local path = options.value("text", value, name)
  if path:sub(1, 1) == "/" then return plain(path) end
  local directory, why = start()
  if not directory then
    errors.raise("%s: give the whole path of %s: %s", name, errors.shown(path), why)
  end
  return plain(directory .. "/" .. path)
end

--- Why nothing can be written there: the directory of a path must exist.
---@param path string
---@return string|nil problem
function M.directory_problem(path)
  local directory = path:match("^(.*)/[^/]*$") or "."
  local st, why = core.stat(directory == "" and "/" or directory)
  if not st then return why end
  if st.type ~= "directory" then return directory .. " is not a directory" end
  return nil
end

--- The content of a file that is ours alone; nothing when there is no file.
---@param path string
---@param max integer bytes
---@return userdata|nil secret
---@return string|nil problem
function M.read(path, max)
  local text, why, code = core.read_file(path, { max = max, private = true })
  if text or code == "ENOENT" then return text end
  return nil, why
end

--- Removes a file of ours and what a crash left beside it; one that is gone already is as good.
---@param path string
---@return true|nil
---@return string|nil problem
function M.unlink(path)
  leftovers.sweep(path)
  local ok, why = os.remove(path)
  if ok or not core.stat(path) then return true end
  return nil, why
end

--- Runs fn while nobody else of us writes the file: two processes may publish two users into one at the same moment.
--- What a crash left beside it is removed first.
---@return any
---@return string|nil problem
function M.locked(path, fn)
  local give_up = core.monotonic() + WAIT
  while true do
    local lock, why, code = core.lock(path .. ".lock")
    if lock then
      leftovers.sweep(path)
      local ok, a, b = pcall(fn)
      lock:close()
      if not ok then error(a, 0) end
      return a, b
    end
    if code ~= "busy" or core.monotonic() > give_up then return nil, why end
    core.sleep(0.01)
  end
end

return M
