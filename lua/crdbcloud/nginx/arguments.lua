--- What the handles of crdbcloud.nginx do to arguments before a call: values that cannot be used are refused in the event
--- loop, and text that is a password becomes a secret.

local call = require "crdbcloud.nginx.call"
local calls = require "crdbcloud.api.operations"
local core = require "crdbcloud.core"
local options = require "crdbcloud.base.options"

local M = {}

local function length(secret) return #secret end

--- Why a value is a secret that cannot be read, or nil.
---@param value any
---@return string|nil
function M.unusable(value)
  if not options.is_secret(value) then return nil end
  local ok, why = pcall(length, value)
  return not ok and tostring(why) or nil
end

--- What the thread opens an account or a cluster with. Secrets are made in this process: a fork leaves nothing of older ones.
---@param given table
---@param secret table<string, boolean>
function M.spec(given, secret)
  local spec = {}
  for name, value in pairs(given) do
    spec[name] = secret[name] and type(value) == "string" and core.secret(value) or value
  end
  return spec
end

--- Positional arguments of an operation on their way: text for a password becomes a secret.
---@param operation string
---@param args table by name
---@param first integer of the operation's arguments to send
---@return integer n
---@return table
function M.positional(operation, args, first, opts)
  local list, n = {}, 0
  for i = first, #calls.OPERATIONS[operation].args do
    local name = calls.OPERATIONS[operation].args[i]
    local value = args[name]
    n = n + 1
    list[n] = calls.ARGUMENTS[name].secret and type(value) == "string" and core.secret(value) or value
  end
  list[n + 1] = opts
  return n + 1, list
end

--- Arguments as crdbcloud.api.operations checks them, with a secret that cannot be used as one more thing to refuse.
---@param written table of crdbcloud.api.operations.written
function M.check(written, n, ...)
  for i = 1, n do
    local why = M.unusable((select(i, ...)))
    if why then return call.unusable(written.operation, why) end
  end
  return calls.arguments(written, n, ...)
end

return M
