--- The thread's side of a call: opens what came, runs the method on the object it is meant for, packs what it gives.

local clients = require "crdbcloud.nginx.clients"
local errors = require "crdbcloud.errors"
local values = require "crdbcloud.threads.values"

local M = {}

local unpack = table.unpack or unpack

-- nginx hides the environment from its workers, which no hint of the library can know.
local function explain(err)
  if not errors.is(err) or type(err.hint) ~= "string" then return end
  local hidden, seen = {}, {}
  for name in err.hint:gmatch "%f[%w_][CR][OR][CD][KB][%u_]+" do
    if not seen[name] and not os.getenv(name) then hidden[#hidden + 1] = ('"env %s;"'):format(name) end
    seen[name] = true
  end
  if #hidden > 0 then
    err.hint = ("%s; nginx passes on only what the main context of nginx.conf names, such as %s"):format(err.hint, hidden[1])
  end
end

local function collect(...)
  return select("#", ...), { ... }
end

-- Misuse is raised at the line of the nearest code that is no part of the library: here it is this one, and the event
-- loop raises it again at its caller's. Whatever has another position is a fault within, and keeps it.
local CALLER = "caller in nginx"
local invoke = assert((loadstring or load)(
  "local collect, fn = ... local n, list = collect(fn(select(3, ...))) return n, list", "=" .. CALLER))

-- Runs a method of the object, or a function of a module that takes the object first.
local function called(request)
  local object, err = clients.open(request.account, request.cluster)
  if not object then return 2, { nil, err } end
  local methods = request.module and require(request.module) or object
  local method = methods[request.method]
  if not method then error(("%s has no function %s"):format(request.module or "the object", request.method), 0) end
  return invoke(collect, method, object, unpack(request.args, 1, request.n))
end

-- The answer on its way, or why it cannot go.
local function packed(field, n, list)
  local wire, why = values.lend(values.pack(n, list))
  if not wire then return { full = why } end
  return { [field] = wire }
end

--- Runs one call.
---@param message crdbcloud.threads.wire
---@return table answer as of crdbcloud.nginx.job
function M.run(message)
  local taken, why = values.take(message)
  if not taken then return { gone = why } end
  local request = values.open(taken)[1]
  local ok, n, list = pcall(called, request)
  pcall(clients.sweep) -- what has happened does not get lost because something old cannot be closed
  if not ok then
    if errors.is(n) then return packed("thrown", 1, { n }) end
    return { raised = (tostring(n):gsub("^" .. CALLER .. ":%d+: ", "")) }
  end
  if list[1] == nil then explain(list[2]) end
  return packed("values", n, list)
end

return M
