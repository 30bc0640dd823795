--- A store that the caller gave as an object: an error raised in it is the error of that call, not the end of a
--- workflow that has sent something. Closing it stays with the caller.

local errors = require "crdbcloud.errors"
local store = require "crdbcloud.store"

local M = {}

-- fn(...) with what it raises as nil, err.
local function called(what, fn, ...)
  local ok, a, b, c, d = pcall(fn, ...)
  if ok then return a, b, c, d end
  return nil, store.failed("the store raised an error in " .. what, tostring(a))
end

-- A lock's functions take no self.
local function guarded_lock(lock)
  return setmetatable({}, {
    __index = function(_, name)
      local value = lock[name]
      if type(value) ~= "function" then return value end
      return function(...) return called("lock." .. name, value, ...) end
    end,
  })
end

local READING, WRITING = { "get", "list" }, { "get", "put", "list", "remove" }

local function need(object, names)
  for _, name in ipairs(names) do
    if type(object[name]) ~= "function" then
      errors.raise("store: an object needs the functions %s; %s is missing", table.concat(names, ", "), name)
    end
  end
end

-- For an object without locks: within this process one run works on a key at a time; between processes its versions do.
local function own_locks()
  local held = {}
  return function(key, note)
    if held[key] then return nil, store.busy(key, held[key]) end
    held[key] = note or "unknown"
    return { close = function() held[key] = nil end }
  end
end

--- Wraps a store; everything but its functions is seen as it is. It needs get and list, to write put and remove too.
---@param object table
---@return table
function M.new(object)
  need(object, READING)
  local own_lock = own_locks()
  local function need_writing() need(object, WRITING) end
  local function lock(_, ...)
    need_writing()
    if not object.lock then return own_lock(...) end
    local handle, err = called("lock", object.lock, object, ...)
    return type(handle) == "table" and guarded_lock(handle) or handle, err
  end
  return setmetatable({ close = function() end, lock = lock, need_writing = need_writing }, {
    __name = "crdbcloud.store",
    __tostring = function() return tostring(object) end,
    __index = function(_, name)
      local value = object[name]
      if type(value) ~= "function" then return value end
      return function(_, ...) return called(name, value, object, ...) end
    end,
  })
end

return M
