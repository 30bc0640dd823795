-- One request of the API, from its first check to the answer. The order is the service's:
-- 401, 429, version, 404 and 501, body, 403, and then the operation's own checks.

local answer = require "api.answer"
local faults = require "api.faults"
local journal = require "api.journal"
local json = require "api.json"
local keys = require "api.keys"
local limit = require "api.limit"
local names = require "api.names"
local routes = require "api.routes"
local settings = require "api.settings"

local VERSIONS = { ["2022-03-31"] = true, ["2022-09-20"] = true, ["2023-04-10"] = true, ["2024-09-16"] = true }
local LATEST_VERSION = "2024-09-16"
local HAS_BODY = { create_sql_user = true, update_sql_user_password = true }

local function first(value)
  if type(value) == "table" then value = value[1] end
  if value == true then return "" end
  return value
end

-- Query parameters; of a repeated one the first.
local function query_parameters()
  local query = {}
  for name, value in pairs(ngx.req.get_uri_args(100)) do query[name] = first(value) end
  return query
end

local function headers()
  local found = {}
  for name, value in pairs(ngx.req.get_headers(100, true)) do found[name:lower()] = first(value) end
  return found
end

-- The whole body is in memory: nginx's buffer is as large as its limit for bodies.
local function read_body(request)
  ngx.req.read_body()
  local text = ngx.req.get_body_data()
  if not HAS_BODY[request.operation] then return nil end
  if not text or not text:find("%S") then
    request.body = {}
    return nil
  end
  request.body = json.decode_object(text)
  if not request.body then return answer.error(3, "invalid request: the body is not a JSON object") end
  for name, value in pairs(request.body) do
    if value == json.null then request.body[name] = nil end
  end
  return nil
end

local function too_many(wait)
  local result = answer.error(8, "rate limit exceeded")
  result.headers = { ["Retry-After"] = tostring(math.max(1, math.ceil(wait))) }
  return result
end

-- Everything before the operation itself. Returns the refusal, or nil.
local function admit(request, entry, sent)
  local path = ngx.var.request_uri:gsub("%?.*", "")
  local found = routes.find(entry.method, path)
  if not (found and found.public) then
    request.account = keys.account(sent)
    if not request.account then return answer.error(16, "unauthenticated") end
    entry.key_id = request.account.id
    local wait = limit.take(request.account.name)
    if wait then return too_many(wait) end
    local version = sent["cc-version"]
    if version and not VERSIONS[version] then return answer.error(3, "invalid Cc-Version.") end
    ngx.header["Cc-Version"] = version or LATEST_VERSION
  end
  if not found then return answer.error(5, "Not Found") end
  if found.known then return answer.error(12, "Method Not Allowed") end
  request.operation, request.cluster_id, request.name = found.operation, found.cluster_id, found.name
  entry.op = found.operation
  local function name_user(name)
    request.user = type(name) == "string" and (names.fold(name) or name) or nil
    entry.user = request.user
  end
  name_user(found.name) -- a client that leaves before its body is whole ends this here
  local refusal = read_body(request)
  name_user(found.name or (request.body and request.body.name))
  if request.body then journal.note_password(entry, request.body.password) end
  return refusal
end

local function run(request, entry)
  local function operate()
    if request.account and not keys.allowed(request.account, request.operation, request.cluster_id) then
      return answer.error(7, "permission denied")
    end
    local result = routes.run(request)
    entry.applied = request.applied or false
    return result
  end
  local fault = faults.take(request)
  if not fault then return operate() end
  entry.fault = fault.what
  return faults.run(fault, request, operate)
end

return function()
  local sent = headers()
  local entry = journal.open(sent)
  local request = { number = entry.n, entry = entry, query = query_parameters() }
  local result = admit(request, entry, sent)
  if settings.live.latency > 0 then ngx.sleep(settings.live.latency / 1000) end
  if not result then result = run(request, entry) end
  if result then
    entry.status = result.status
    answer.send(result)
  end
end
