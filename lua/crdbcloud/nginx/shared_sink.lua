--- `shared:DICT` a credential in a shared dictionary of nginx, where requests read it without I/O
--- (crdbcloud.nginx.credential). Works in the threads that crdbcloud.nginx runs its calls in.

local dicts = require "crdbcloud.nginx.dict"
local sinks = require "crdbcloud.sinks"

local M = {}

local Shared = {}
Shared.__index = Shared

M.fields = { dict = "text" }
M.required = { "dict" }
M.short = "dict"
M.usage = "DICT"
M.tells_user = true

function M.new(spec, _, user)
  return setmetatable({ dict = spec.dict, name = "shared:" .. spec.dict, target = ("shared:%s/%s"):format(spec.dict, user) }, Shared)
end

local function failed(self, problem, hint)
  local err = sinks.failed(self.name, problem)
  if hint then err.hint = hint end
  return nil, err
end

function Shared:check()
  local shm, problem, hint = dicts.find(self.dict)
  if not shm then return failed(self, problem, hint) end
  return true
end

function Shared:publish(credential)
  local shm, problem, hint = dicts.find(self.dict)
  if not shm then return failed(self, problem, hint) end
  local ok, why = dicts.put(shm, credential)
  if not ok then return failed(self, why) end
  return true
end

return M
