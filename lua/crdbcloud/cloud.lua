--- What a user sees of an API account: the API's operations, listings, workflows over several clusters. The account itself
--- is crdbcloud.api.account.

local accounts = require "crdbcloud.api.account"
local answers = require "crdbcloud.api.answers"
local calls = require "crdbcloud.api.operations"
local errors = require "crdbcloud.errors"
local exchange = require "crdbcloud.api.exchange"
local guard = require "crdbcloud.base.guard"
local lists = require "crdbcloud.api.lists"
local options = require "crdbcloud.base.options"

local M = {}

---@class crdbcloud.cloud
---@field config table what is in force, without secrets
local Cloud = { __name = "crdbcloud.cloud" }
Cloud.__index = Cloud

--- Opens an API account. No network is used.
---@param opts table|nil see the README; what is not given comes from the environment
---@return crdbcloud.cloud|nil
---@return crdbcloud.error|nil
function M.new(opts, ...)
  local account, err = accounts.new(opts, ...)
  if not account then return nil, err end
  return setmetatable({ config = account.config, _account = account }, Cloud)
end

for operation in pairs(calls.OPERATIONS) do
  local written = calls.written(operation)
  Cloud[operation] = function(self, ...)
    local args, opts = calls.arguments(written, select("#", ...), ...)
    if not args then return nil, opts end
    return exchange.run(self._account, calls.make(operation, args, opts), opts)
  end
end

-- The listings: cloud:all_sql_users(cluster_id), cloud:sql_users(cluster_id), ...
for name, operation in pairs(lists.LISTS) do
  local all, each = calls.written(operation, "cloud:all_" .. name), calls.written(operation, "cloud:" .. name)
  Cloud["all_" .. name] = function(self, ...)
    local args, opts = calls.arguments(all, select("#", ...), ...)
    if not args then return nil, opts end
    return lists.all(self._account, operation, args, opts, true)
  end
  Cloud[name] = function(self, ...)
    local args, opts = calls.arguments(each, select("#", ...), ...)
    if not args then error(opts, 0) end
    return lists.each(self._account, operation, args, opts)
  end
end

--- The one cluster with this name or id, as the API describes it.
---@param name_or_id string
---@return table|nil
---@return crdbcloud.error|nil
function Cloud:find_cluster(name_or_id)
  if type(name_or_id) ~= "string" or name_or_id == "" then
    errors.raise("cloud:find_cluster: name_or_id must be a cluster's name or id, got %s", errors.shown(name_or_id))
  end
  return require("crdbcloud.api.find").cluster(self._account, name_or_id)
end

--- A handle of one cluster, with the workflows. No I/O.
---@param name_or_id string|nil default CRDBCLOUD_CLUSTER
---@param opts table|nil store, sql, sql_ca_file, sinks
function Cloud:cluster(name_or_id, opts)
  return require("crdbcloud.cluster").new(self, name_or_id, opts)
end

--- Workflows over several clusters of the account; those of one are on its handle.
M.WORKFLOWS = { "rotate_passwords", "plan_rotation", "resume", "rotation_status" }
for _, workflow in ipairs(M.WORKFLOWS) do
  Cloud[workflow] = function(self, opts)
    return require("crdbcloud.workflows.many_clusters")[workflow](self, opts)
  end
end

local EFFECT_OF_METHOD = { GET = "read", PUT = "put", DELETE = "delete", POST = "create", PATCH = "create" }

local REQUEST = {
  query = "table", body = function(value, name)
    if type(value) == "string" or type(value) == "table" or options.is_secret(value) then return value end
    errors.raise("%s must be a string, a secret or a table, got %s", name, errors.shown(value))
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
  local effect = type(method) == "string" and EFFECT_OF_METHOD[method]
  if not effect then
    errors.raise("cloud:request: method must be GET, POST, PUT, PATCH or DELETE, got %s", errors.shown(method))
  end
  if type(path) ~= "string" or not path:match "^/[%w%-._~!$&'()*+,;=:@%%/]*$" then
    errors.raise('cloud:request: path must begin with "/" and be percent-encoded, without a query; got %s',
      errors.shown(path))
  end
  local o = options.check(REQUEST, opts, "cloud:request")
  local body = o.body
  if type(body) == "table" then
    local problem
    body, problem = answers.encode(body)
    if not body then errors.raise("cloud:request: body cannot be encoded as JSON: %s", problem) end
  end
  return exchange.run(self._account, {
    operation = "request", effect = effect, method = method, path = path,
    send = function(_, client, timeout)
      return client:request(method, path, { query = o.query, body = body, timeout = timeout })
    end,
    accept = function(_, text) return answers.decode(text, "request") end,
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
  local declared = calls.OPERATIONS[operation]
  if not declared then errors.raise("cloud:once: no operation %s", errors.shown(operation)) end
  local opts = {}
  for name in pairs(declared.options) do opts[name] = args[name] end
  limits = limits or {}
  return exchange.once(self._account, calls.make(operation, args, opts), {
    timeout = limits.timeout, until_time = limits.deadline, until_wall = limits.until_wall,
  })
end

--- Hands an event to on_event; fields that are not on the list are dropped.
---@param fields table
function Cloud:event(fields)
  if self._account.emit then self._account.emit(fields) end
end

--- The name of the account's budget: server and key id.
---@return string
function Cloud:account()
  return self._account.name
end

--- Closes connections and wipes the key; a secret that it was given stays the caller's. Closing twice is allowed.
function Cloud:close()
  self._account:close()
end
Cloud.__close = Cloud.close

function Cloud:__tostring()
  return "crdbcloud.cloud " .. tostring(self._account)
end

-- What a closed account still does.
local CLOSED = { event = true, account = true, close = true }

--- The methods of an account.
M.CLASS = guard.guard(Cloud, "cloud", "crdbcloud.new", function(method, self)
  if not (self._account.client or CLOSED[method]) then errors.raise("cloud:%s: the account is closed", method) end
end)

return M
