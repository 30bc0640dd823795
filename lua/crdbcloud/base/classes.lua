--- Classes whose objects may cross from one Lua state into another, by name. Each is registered once, where it is made.

local M = {}

local classes, names = {}, {}

--- Registers a class.
---@param name string the module that makes it, without "crdbcloud."; where a module makes several, ":" and which of them
---@param class table the metatable of its objects
---@return table class
function M.register(name, class)
  classes[name], names[class] = class, name
  return class
end

--- Registers a class of results: plain data that has `:json()`.
---@param name string as of register
---@param class table
---@return table class
function M.result(name, class)
  class.__index = class
  function class:json() return require("crdbcloud.base.json").encode(self) end
  return M.register(name, class)
end

--- The name of a registered class.
---@param class table
---@return string|nil
function M.name(class)
  return names[class]
end

--- The class of a name; its module is loaded if it is not yet.
---@param name string
---@return table|nil
function M.of(name)
  if not classes[name] then require("crdbcloud." .. name:match "^[^:]+") end
  return classes[name]
end

return M
