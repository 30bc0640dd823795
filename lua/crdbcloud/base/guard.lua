--- Methods that are called as functions: `object.method(...)` in place of `object:method(...)` gets an error that says so.

local errors = require "crdbcloud.errors"

local M = {}

-- An object of the class, or one of a caller's own that inherits from such an object.
local function is_object(value, class)
  for _ = 1, 10 do
    local meta = getmetatable(value)
    if meta == class then return true end
    value = type(meta) == "table" and meta.__index
    if type(value) ~= "table" then return false end
  end
  return false
end

--- Makes each public method of a class check what it was called on. Names with "_" in front are left alone.
---@param class table methods, and metatable of the objects
---@param object string what an object is called in messages: "cluster"
---@param source string where one comes from: "cloud:cluster"
---@param check nil|fun(name: string, self: table, ...) raises for an object or for arguments that cannot be meant
---@return table class
function M.guard(class, object, source, check)
  for name, method in pairs(class) do
    if type(method) == "function" and not name:find "^_" then
      class[name] = function(self, ...)
        if not is_object(self, class) then
          errors.raise("%s:%s: call it with a colon, on what %s returned (got %s in the place of the %s)", object, name,
            source, errors.shown(self), object)
        end
        if check then check(name, self, ...) end
        return method(self, ...)
      end
    end
  end
  return class
end

return M
