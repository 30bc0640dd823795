-- Answers as values: `{ status, body, headers, content_type }`. A body is a table (sent as JSON)
-- or a string (sent as it is).

local json = require "api.json"
local settings = require "api.settings"

local M = {}

-- The HTTP status of a gRPC code, as grpc-gateway maps them.
local STATUS = {
  [2] = 500, [3] = 400, [4] = 504, [5] = 404, [6] = 409, [7] = 403, [8] = 429,
  [9] = 400, [10] = 409, [12] = 501, [13] = 500, [14] = 503, [16] = 401,
}

-- Official clients decode `details` as objects except at these statuses, where any form passes.
local UNTYPED = { [400] = true, [401] = true, [403] = true, [404] = true, [500] = true }

local function details(status, detail)
  local form = settings.live.details
  if not detail or form == "none" then return json.array() end
  if form == "strings" and UNTYPED[status] then return json.array { detail } end
  return json.array { { ["@type"] = "type.googleapis.com/google.rpc.DebugInfo", detail = detail } }
end

--- A success.
function M.ok(body) return { status = 200, body = body } end

--- An error by its gRPC code; `status` only where it differs from the usual one.
function M.error(code, message, detail, status)
  status = status or STATUS[code]
  return { status = status, body = { code = code, message = message, details = details(status, detail) } }
end

function M.invalid(message) return M.error(3, "invalid argument: " .. message) end

--- Sends an answer as the whole response of the current request.
function M.send(answer)
  local body = answer.body
  if type(body) == "table" then body = json.encode(body) end
  ngx.status = answer.status
  ngx.header["Content-Type"] = answer.content_type or "application/json"
  for name, value in pairs(answer.headers or {}) do ngx.header[name] = value end
  ngx.header["Content-Length"] = answer.announce or #body
  ngx.print(body)
end

return M
