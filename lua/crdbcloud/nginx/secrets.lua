--- crdbcloud.secret in nginx. What reads a file would stop the worker, so requests cannot do it; and a secret that is
--- made before the fork is empty after it.

local errors = require "crdbcloud.errors"
local secrets = require "crdbcloud.secrets"

---@class crdbcloud.nginx.secrets: crdbcloud.secrets
local M = { is = secrets.is, of = secrets.of, from_env = secrets.from_env }

local function refused(operation, message, hint)
  return nil, errors.new {
    kind = "invalid_argument", operation = operation, outcome = "not_sent", reason = "context", message = message, hint = hint,
  }
end

--- Reads a secret from a file, in init_worker_by_lua.
---@param path string
---@return crdbcloud.secret|nil
---@return crdbcloud.error|nil
function M.from_file(path)
  local ngx = rawget(_G, "ngx")
  local phase = ngx and ngx.get_phase and ngx.get_phase() or "init_worker"
  if phase == "init" then
    return refused("secret.from_file", "a secret that is made before nginx forks its workers is empty in them",
      "read it in init_worker_by_lua, or give api_key_file, which is read in a thread")
  elseif phase ~= "init_worker" then
    return refused("secret.from_file", ("reading a file in %s_by_lua stops the worker"):format(phase),
      "read it in init_worker_by_lua, or give api_key_file, which is read in a thread")
  end
  return secrets.from_file(path)
end

--- There is no terminal.
---@return nil
---@return crdbcloud.error
function M.prompt()
  return refused("secret.prompt", "nginx has no terminal to ask on", "use secret.from_env or a file")
end

return setmetatable(M, { __call = function(_, text) return secrets(text) end })
