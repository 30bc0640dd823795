--- Which HTTP status tells a client of ours what became of its request. Pure.

local errors = require "crdbcloud.errors"

local M = {}

-- A refused key or a missing role is between us and the API: no client can mend it by logging in.
local STATUS = {
  invalid_argument = 400, not_found = 404, already_exists = 409, conflict = 409,
  unauthenticated = 502, permission_denied = 502, network = 502, tls = 502, protocol = 502, server = 502, sql = 502,
  rate_limited = 503, busy = 503, unavailable = 503, pending = 503, cancelled = 503,
  timeout = 504,
  store = 500, sink = 500, hook = 500,
}

-- What is wrong with nginx.conf or with our own settings is no fault of the client's either.
local OURS = { context = true, thread_pool = true, thread = true, secret = true, dict = true, api_key = true, internal = true }

--- The status for an error.
---@param err crdbcloud.error|any what is no error of this library is 500
---@return integer
function M.of(err)
  if err == nil then errors.raise("http_status: expected an error, got nothing") end
  if not errors.is(err) or OURS[err.reason] then return 500 end
  local status = STATUS[err.kind] or 500
  -- 4xx says that nothing happened.
  if status < 500 and (err.outcome == "unknown" or err.outcome == "applied") then return err.outcome == "unknown" and 502 or 500 end
  return status
end

return M
