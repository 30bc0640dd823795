--- Where the API key comes from, and whether it can be read again.

local errors = require "crdbcloud.errors"
local secrets = require "crdbcloud.secrets"

local M = {}

---@class crdbcloud.key_source
---@field read fun(): crdbcloud.secret|nil, crdbcloud.error|nil
---@field again boolean reading again may give another key: a file or a function
---@field from string for messages
---@field own boolean what was read is ours to close: not a secret of the caller's

local function unusable(from, message, cause, hint)
  return nil, errors.new {
    kind = "unauthenticated", message = ("cannot read the API key from %s: %s"):format(from, message), cause = cause,
    hint = hint, outcome = "not_sent", reason = "api_key",
  }
end

local function usable(secret, from)
  if #secret == 0 then return unusable(from, "it is empty") end
  return secret
end

local function file_source(path, from)
  return {
    from = from, again = true, own = true,
    read = function()
      local secret, err = secrets.from_file(path)
      if not secret then return unusable(from, err.message, err, err.hint) end
      return usable(secret, from)
    end,
  }
end

local function function_source(fn, from)
  local source
  source = {
    from = from, again = true, own = false,
    read = function()
      local ok, value, problem = pcall(fn)
      if not ok then return unusable(from, tostring(value)) end
      if value == nil then return unusable(from, problem and tostring(problem) or "it returned nothing") end
      if type(value) ~= "string" and not secrets.is(value) then
        return unusable(from, "it must return a string or a secret, got " .. errors.shown(value))
      end
      source.own = not secrets.is(value)
      return usable(secrets.of(value, from), from)
    end,
  }
  return source
end

local function fixed_source(value, from)
  local secret = secrets.of(value, from)
  return { from = from, again = false, own = not secrets.is(value), read = function() return usable(secret, from) end }
end

local function env_source(name)
  return {
    from = name, again = false, own = true,
    read = function()
      local secret, err = secrets.from_env(name)
      if not secret then return unusable(name, err.message, err) end
      return usable(secret, name)
    end,
  }
end

local function is_set(name)
  local value = os.getenv(name)
  return value ~= nil and value ~= ""
end

--- Chooses the source: options first, then the environment.
---@param options {api_key: any, api_key_file: string?, api_jwt: any}
---@return crdbcloud.key_source|nil
---@return crdbcloud.error|nil err kind "unauthenticated": none is set
function M.choose(options)
  local given = {}
  for _, name in ipairs { "api_key", "api_key_file", "api_jwt" } do
    if options[name] ~= nil then given[#given + 1] = name end
  end
  if #given > 1 then
    errors.raise("crdbcloud.new: give only one of %s", table.concat(given, ", "))
  end
  if type(options.api_key) == "function" then return function_source(options.api_key, "the function api_key") end
  if options.api_key ~= nil then return fixed_source(options.api_key, "api_key") end
  if options.api_key_file then return file_source(options.api_key_file, options.api_key_file) end
  if options.api_jwt ~= nil then return fixed_source(options.api_jwt, "api_jwt") end
  if is_set "COCKROACH_API_KEY" then return env_source "COCKROACH_API_KEY" end
  if is_set "COCKROACH_API_KEY_FILE" then
    local path = os.getenv "COCKROACH_API_KEY_FILE"
    return file_source(path, ("%s (COCKROACH_API_KEY_FILE)"):format(path))
  end
  if is_set "COCKROACH_API_JWT" then return env_source "COCKROACH_API_JWT" end
  return nil, errors.new {
    kind = "unauthenticated", message = "no API key", outcome = "not_sent", reason = "api_key",
    hint = "set COCKROACH_API_KEY_FILE to the path of a file that holds the key, or pass api_key_file or api_key",
  }
end

return M
