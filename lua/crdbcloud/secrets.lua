--- Secrets: `crdbcloud.secret("text")`, `.from_file(path)`, `.from_env(name)`, `.prompt(text)`.
-- The bytes live in memory that is wiped; what comes back prints as `<secret 32 bytes>`.

local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"

---@class crdbcloud.secrets
---@overload fun(text: string): crdbcloud.secret
local M = {}

local function refused(operation, message, code, hint)
  return nil, errors.new {
    kind = "invalid_argument", operation = operation, message = message, reason = code, hint = hint,
    outcome = "not_sent",
  }
end

local function check_text(value, what)
  if type(value) ~= "string" or value == "" then
    errors.raise("%s must be a string that is not empty, got %s", what, errors.shown(value))
  end
end

--- Reads a secret from a file; one newline at its end is dropped.
---@param path string a file that nobody but its owner can read
---@return crdbcloud.secret|nil
---@return crdbcloud.error|nil
function M.from_file(path)
  check_text(path, "secret.from_file: path")
  local secret, message, code = core.secret_from_file(path)
  if secret then return secret end
  return refused("secret.from_file", message, code, code == "mode"
    and ("run: chmod 600 %s (for a secret mounted by Kubernetes: defaultMode: 0400)"):format(path) or nil)
end

--- Reads a secret from an environment variable.
---@param name string
---@return crdbcloud.secret|nil
---@return crdbcloud.error|nil
function M.from_env(name)
  check_text(name, "secret.from_env: name")
  local secret, message, code = core.secret_from_env(name)
  if secret then return secret end
  return refused("secret.from_env", message or (name .. " is not set"), code)
end

--- Asks on the terminal, without echo.
---@param text string|nil the question, default "Password: "
---@return crdbcloud.secret|nil
---@return crdbcloud.error|nil
function M.prompt(text)
  if text ~= nil then check_text(text, "secret.prompt: text") end
  local secret, message, code = core.secret_prompt(text or "Password: ")
  if secret then return secret end
  return refused("secret.prompt", message, code, "without a terminal, use secret.from_file or secret.from_env")
end

--- True for a secret.
function M.is(value)
  return type(value) == "userdata" and core.is_secret(value)
end

--- The value as a secret: a string is copied into one, a secret is given back as it is.
---@param value string|crdbcloud.secret
---@param what string|nil the argument, for the message
function M.of(value, what)
  if M.is(value) then return value end
  if type(value) ~= "string" then
    errors.raise("%s must be a string or a secret, got %s", what or "secret.of: value", errors.shown(value))
  end
  return core.secret(value)
end

return setmetatable(M, {
  __call = function(_, text)
    if type(text) ~= "string" then
      errors.raise("crdbcloud.secret: text must be a string, got %s", errors.shown(text))
    end
    return core.secret(text)
  end,
})
