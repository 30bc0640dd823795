--- Policy of one API account: arguments, retries, pages, JSON, errors. One exchange is the C client's business.

local calls = require "crdbcloud.api.operations"
local errors = require "crdbcloud.errors"
local events = require "crdbcloud.api.events"
local exchange = require "crdbcloud.api.exchange"
local keys = require "crdbcloud.api.keys"
local lists = require "crdbcloud.api.lists"
local options = require "crdbcloud.base.options"
local retry = require "crdbcloud.api.retry"
local urls = require "crdbcloud.base.urls"

local M = {}

---@class crdbcloud.cloud
---@field config table what is in force, without secrets
local Cloud = { __name = "crdbcloud.cloud" }
Cloud.__index = Cloud

--- Defaults; times in seconds, rate in requests per second.
M.DEFAULTS = {
  base_url = "https://cockroachlabs.cloud",
  api_version = "2024-09-16",
  timeout = 30, -- one attempt
  connect_timeout = 10,
  deadline = 120, -- one operation with its retries
  max_attempts = 4,
  rate = 10, -- evenly spaced, for all of this process; 0: unpaced
}

local function check_rate(value, name, level)
  if type(value) == "number" and value >= 0 and value <= 1000 then return value end
  errors.raise(errors.up(level), "%s must be requests per second from 0 (unpaced) to 1000, got %s", name,
    errors.shown(value))
end

local function check_key(value, name, level)
  if options.is_secret(value) or type(value) == "function" or type(value) == "string" then return value end
  errors.raise(errors.up(level), "%s must be a string, a secret or a function that returns one, got a %s", name,
    type(value))
end

--- The options of M.new, as rules of crdbcloud.options.
M.OPTIONS = {
  api_key = check_key, api_key_file = "text", api_jwt = "text|secret", vanity_name = "text", username = "text",
  base_url = "text", api_version = "text", timeout = "limit", connect_timeout = "limit", deadline = "limit",
  max_attempts = "count", rate = check_rate, account = "text", ca_file = "text", proxy = "text", user_agent = "text",
  on_event = "function",
}

-- option -> variable of the environment
local ENVIRONMENT = {
  base_url = "COCKROACH_SERVER", vanity_name = "COCKROACH_VANITY_NAME", username = "COCKROACH_USERNAME",
  ca_file = "CRDBCLOUD_CA_FILE",
}

local CLIENT = {
  "base_url", "vanity_name", "username", "api_version", "connect_timeout", "timeout", "ca_file", "user_agent",
}

-- Opens a C client. What cannot be a URL or a header is the caller's mistake and
-- raises when it came as an option; else it is a fault of the surroundings.
local function open_client(config, proxy, key, from, given)
  local wanted = { api_key = key }
  for _, name in ipairs(CLIENT) do wanted[name] = config[name] end
  wanted.proxy = proxy
  local ok, client, message = pcall(require("crdbcloud.core").client, wanted)
  if ok and client then return client end
  message = errors.bare(ok and message or client)
  local field = message:match "^([%w_]+): "
  if field == "api_key" then
    if given and (given.api_key or given.api_jwt) and type(given.api_key) ~= "function" then
      errors.raise(nil, "crdbcloud.new: %s", (message:gsub("^api_key", from)))
    end
    return nil, errors.new {
      kind = "unauthenticated", message = ("the API key from %s cannot be one: %s"):format(from, message:sub(10)),
      hint = "the file or variable must hold the key and nothing else", outcome = "not_sent", reason = "api_key",
    }
  end
  if not ok and field and given and given[field] ~= nil then errors.raise(nil, "crdbcloud.new: %s", message) end
  local variable = field and (not given or given[field] == nil) and ENVIRONMENT[field]
  return nil, errors.new {
    kind = "invalid_argument", message = message, outcome = "not_sent",
    hint = variable and ("%s comes from %s"):format(field, variable) or nil,
  }
end

-- "https://host CCDB1_keyid": the client shows the part of the key that may be shown.
local function identity(client)
  return (tostring(client):gsub("^crdbcloud%.client ", ""))
end

--- Opens an API account. No network is used.
---@param opts table|nil see the README; what is not given comes from the environment
---@return crdbcloud.cloud|nil
---@return crdbcloud.error|nil
function M.new(opts, ...)
  local given = options.check(M.OPTIONS, opts, "crdbcloud.new")
  if select("#", ...) > 0 then errors.raise(nil, "crdbcloud.new takes one table of options, got %d arguments", 1 + select("#", ...)) end
  local config = {}
  for name, value in pairs(M.DEFAULTS) do config[name] = value end
  for name, variable in pairs(ENVIRONMENT) do
    local value = os.getenv(variable)
    if value and value ~= "" then config[name] = value end
  end
  for name, value in pairs(given) do
    if name ~= "api_key" and name ~= "api_jwt" and name ~= "on_event" then config[name] = value end
  end
  local source, source_err = keys.choose(given)
  if not source then return nil, source_err end
  local key, key_err = source.read()
  if not key then return nil, key_err end
  local client, client_err = open_client(config, given.proxy, key, source.from, given)
  if not client then return nil, client_err end
  config.api_key_file = nil
  -- A proxy's URL may hold a password; what is shown does not.
  config.proxy = given.proxy and (given.proxy:gsub("//[^/]*@", "//")) or nil
  config.account = config.account or identity(client)
  return setmetatable({
    config = config, _proxy = urls.hidden(given.proxy), _client = client, _secret = key, _key = source, _identity = identity(client),
    _emit = events.emitter(given.on_event), _listened = given.on_event ~= nil,
  }, Cloud)
end

-- `cloud.call(...)` instead of `cloud:call(...)`, and calls on something else.
local function check_self(self, signature, closed)
  if getmetatable(self) ~= Cloud then
    errors.raise(nil, "%s: call it with a colon, on what crdbcloud.new returned (got %s as the account)", signature,
      errors.shown(self))
  end
  if not closed and not self._client then errors.raise(nil, "%s: the account is closed", signature) end
end

for operation, declared in pairs(calls.OPERATIONS) do
  Cloud[operation] = function(self, ...)
    check_self(self, declared.signature)
    local args, opts = calls.arguments(operation, select("#", ...), ...)
    if not args then return nil, opts end
    return exchange.run(self, calls.make(operation, args, opts), opts)
  end
end

-- The listings: cloud:all_sql_users(cluster_id), cloud:sql_users(cluster_id), ...
for name, operation in pairs { sql_users = "list_sql_users", clusters = "list_clusters", databases = "list_databases" } do
  Cloud["all_" .. name] = function(self, ...)
    check_self(self, "cloud:all_" .. name)
    local args, opts = calls.arguments_of_list("all_" .. name, operation, select("#", ...), ...)
    if not args then return nil, opts end
    return lists.all(self, operation, args, opts, true)
  end
  Cloud[name] = function(self, ...)
    check_self(self, "cloud:" .. name)
    local args, opts = calls.arguments_of_list(name, operation, select("#", ...), ...)
    if not args then lists.raise(opts) end
    return lists.each(self, operation, args, opts)
  end
end

--- The one cluster with this name or id, as the API describes it.
---@param name_or_id string
---@return table|nil
---@return crdbcloud.error|nil
function Cloud:find_cluster(name_or_id)
  check_self(self, "cloud:find_cluster(name_or_id)")
  if type(name_or_id) ~= "string" or name_or_id == "" then
    errors.raise(nil, "cloud:find_cluster: name_or_id must be a cluster's name or id, got %s", errors.shown(name_or_id))
  end
  return require("crdbcloud.api.find").cluster(self, name_or_id)
end

--- A handle of one cluster, with the workflows. No I/O.
---@param name_or_id string|nil default CRDBCLOUD_CLUSTER
---@param opts table|nil store, sql, sql_ca_file, sinks
function Cloud:cluster(name_or_id, opts)
  check_self(self, "cloud:cluster(name_or_id, options)")
  return require("crdbcloud.cluster").new(self, name_or_id, opts)
end

--- Workflows over several clusters of the account; those of one are on its handle.
M.WORKFLOWS = { "rotate_passwords", "plan_rotation", "resume", "rotation_status" }
for _, workflow in ipairs(M.WORKFLOWS) do
  Cloud[workflow] = function(self, opts)
    check_self(self, "cloud:" .. workflow .. "{ clusters = … }")
    return require("crdbcloud.workflows.many_clusters")[workflow](self, opts)
  end
end

local REQUEST = {
  query = "table", body = function(value, name, level)
    if type(value) == "string" or type(value) == "table" or options.is_secret(value) then return value end
    errors.raise(errors.up(level), "%s must be a string, a secret or a table, got %s", name, errors.shown(value))
  end,
  timeout = "limit", deadline = "limit",
}

--- Any other endpoint, by the same rules: GET is repeated where that helps, PUT and DELETE when unanswered, POST and
--- PATCH only when they surely did nothing.
---@param method string
---@param path string begins with "/", percent-encoded, without query
---@param opts {query: table<string, string|number|boolean>?, body: string|crdbcloud.secret|table?, timeout: any, deadline: any}|nil
---@return table|nil document the decoded answer
---@return crdbcloud.error|nil
function Cloud:request(method, path, opts)
  check_self(self, "cloud:request(method, path, options)")
  local effect = type(method) == "string" and retry.EFFECT_OF_METHOD[method]
  if not effect then
    errors.raise(nil, "cloud:request: method must be GET, POST, PUT, PATCH or DELETE, got %s", errors.shown(method))
  end
  if type(path) ~= "string" or not path:match "^/[%w%-._~!$&'()*+,;=:@%%/]*$" then
    errors.raise(nil, 'cloud:request: path must begin with "/" and be percent-encoded, without a query; got %s',
      errors.shown(path))
  end
  local o = options.check(REQUEST, opts, "cloud:request")
  local body = o.body
  if type(body) == "table" then
    local text, problem = require("crdbcloud.api.answers").encode(body)
    if not text then errors.raise(nil, "cloud:request: body cannot be encoded as JSON: %s", problem) end
    body = text
  end
  return exchange.run(self, {
    operation = "request", effect = effect, method = method, path = path,
    send = function(client, timeout)
      return client:request(method, path, { query = o.query, body = body, timeout = timeout })
    end,
    accept = function(text) return require("crdbcloud.api.answers").decode(text, "request") end,
  }, o)
end

--- For workflows: exactly one exchange of an operation, paced, with no retry but for another key after a 401.
---@param operation string
---@param args table arguments by name, which the workflow has checked, and options of the call
---@param limits {timeout: number?, deadline: number?, until_wall: number?}|nil timeout in seconds; deadline as of
---  core.boottime; until_wall as of core.time, after which nothing is sent
---@return table|nil
---@return crdbcloud.error|nil err with outcome, reason, retry_after
function Cloud:once(operation, args, limits)
  check_self(self, "cloud:once(operation, arguments, limits)")
  local declared = calls.OPERATIONS[operation]
  if not declared then errors.raise(nil, "cloud:once: no operation %s", errors.shown(operation)) end
  local opts = {}
  for name in pairs(declared.options) do opts[name] = args[name] end
  limits = limits or {}
  return exchange.once(self, calls.make(operation, args, opts), {
    timeout = limits.timeout, until_time = limits.deadline, until_wall = limits.until_wall,
  })
end

--- Hands an event to on_event; fields that are not on the list are dropped.
---@param fields table
function Cloud:event(fields)
  check_self(self, "cloud:event(fields)", true)
  self._emit(fields)
end

--- The name of the account's budget: server and key id.
---@return string
function Cloud:account()
  check_self(self, "cloud:account()", true)
  return self.config.account
end

-- The C client, for crdbcloud.cloud.exchange.
function Cloud:_open_client()
  if not self._client then errors.raise(nil, "the account is closed") end
  return self._client
end

-- Reads the key again; true if there is another one now, false if it is the same, nil and an error if there is none.
function Cloud:_reconnect()
  local old, old_is_own = self._secret, self._key.own
  local key, err = self._key.read()
  if not key then return nil, err end
  if key:equals(old) then return false end
  local client, client_err = open_client(self.config, urls.text(self._proxy), key, self._key.from)
  if not client then return nil, client_err end
  self._client:close()
  self._client, self._secret, self._identity = client, key, identity(client)
  if old_is_own then old:close() end
  return true
end

--- Closes connections and wipes the key; a secret that it was given stays the caller's. Closing twice is allowed.
function Cloud:close()
  check_self(self, "cloud:close()", true)
  if self._client then self._client:close() end
  if self._secret and self._key.own then self._secret:close() end
  self._client, self._secret = nil, nil
end

Cloud.__close = Cloud.close

--- The methods of an account.
M.CLASS = Cloud

function Cloud:__tostring()
  return ("crdbcloud.cloud %s%s"):format(self._identity, self._client and "" or " (closed)")
end

return M
