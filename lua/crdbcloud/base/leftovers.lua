--- What a crash leaves beside a file: a temporary that core.write_file did not come to rename.
-- Only who may write the file now (the holder of its lock) may remove them.

local core = require "crdbcloud.core"

local M = {}

-- The file that a temporary was meant for, or nil for any other name (csrc/files/durable.c makes the names).
local function meant_for(name)
  return name:match("^%.(.+)%.tmp%.%x+$")
end

--- Removes the temporaries of one file.
---@param path string the file itself
function M.sweep(path)
  local directory, name = path:match("^(.*/)([^/]+)$")
  directory, name = directory or "./", name or path
  for _, file in ipairs(core.list_dir(directory) or {}) do
    if meant_for(file) == name then core.remove_file(directory .. file) end
  end
end

--- The files of a directory that have temporaries, each once.
---@param directory string
---@return string[]
function M.names(directory)
  local list, seen = {}, {}
  for _, file in ipairs(core.list_dir(directory) or {}) do
    local name = meant_for(file)
    if name and not seen[name] then
      seen[name] = true
      list[#list + 1] = name
    end
  end
  return list
end

return M
