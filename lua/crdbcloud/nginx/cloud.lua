--- An API account in nginx's event loop: the same calls as crdbcloud.cloud, each run whole in nginx's thread pool. A
--- handle does no I/O and holds no connection; it can be made before the fork and kept at module level.

local accounts = require "crdbcloud.api.account"
local arguments = require "crdbcloud.nginx.arguments"
local call = require "crdbcloud.nginx.call"
local calls = require "crdbcloud.api.operations"
local clouds = require "crdbcloud.cloud"
local core = require "crdbcloud.core"
local durations = require "crdbcloud.base.durations"
local errors = require "crdbcloud.errors"
local guard = require "crdbcloud.base.guard"
local lists = require "crdbcloud.api.lists"
local options = require "crdbcloud.base.options"
local printing = require "crdbcloud.base.printing"
local values = require "crdbcloud.threads.values"

local M = {}

---@class crdbcloud.nginx.cloud: crdbcloud.cloud
---@field config table what was given, without secrets; the environment is read in the thread
local Cloud = { __name = "crdbcloud.nginx.cloud" }
Cloud.__index = Cloud

-- Handle -> { given, pid, spec }: what it was given and what the threads of this process open the account with. A key may
-- be text there, since no secret lives through a fork, so it does not stand in the handle, which somebody may print
-- field by field.
local private = setmetatable({}, { __mode = "k" })

--- Defaults beside those of crdbcloud.cloud.
M.DEFAULTS = {
  thread_pool = "crdbcloud", -- of nginx.conf
  max_calls = 16, -- under way at once, per worker and pool
  max_wait = 5, -- seconds for one of them to end
}

local function refuse_function(hint)
  return function(_, name)
    errors.raise("%s cannot be a function here: the call runs in a thread that has a Lua state of its own; %s", name, hint)
  end
end

local function no_function(rule, hint)
  local refuse = refuse_function(hint)
  return function(value, name)
    if type(value) == "function" then refuse(value, name) end
    return options.value(rule, value, name)
  end
end

-- What nobody could declare in nginx.conf is a slip.
local function pool_rule(value, name)
  options.value("text", value, name)
  if #value <= 64 and value:match "^[%w_.-]+$" then return value end
  errors.raise("%s must be the name of a thread_pool of nginx.conf: up to 64 letters, digits, _, - and ., got %s", name,
    errors.shown(value))
end

local OPTIONS = { thread_pool = pool_rule, max_calls = "count", max_wait = "limit" }
for name, rule in pairs(accounts.OPTIONS) do OPTIONS[name] = rule end
OPTIONS.api_key = no_function(accounts.OPTIONS.api_key, "give api_key_file, which is read again after a 401")
OPTIONS.on_event = refuse_function "leave it out"

-- Text that is or may hold a secret crosses as one.
local SECRET = { api_key = true, api_jwt = true, proxy = true }
local OWN = { thread_pool = true, max_calls = true, max_wait = true }

-- Whatever a script would hear about its options at once.
local function try(given)
  local trial = {}
  for name, value in pairs(given) do
    if not OWN[name] then trial[name] = value end
  end
  if not (trial.api_key or trial.api_jwt) then
    trial.api_key, trial.api_key_file = "CCDB1_0000000000000000000000_0000000000000000000000000000000000000000", nil
  end
  local account = accounts.new(trial)
  if account then account:close() end
end

-- Modules of what calls give back; loaded with a handle, so that no call waits for the disk.
local RESULTS = {
  "run.report", "credential", "workflows.status", "workflows.many_clusters", "workflows.access", "workflows.history",
}

--- Makes a handle. No I/O but that of loading modules.
---@param opts table|nil as of crdbcloud.new in a script, without functions; thread_pool ("crdbcloud"), max_calls (16): calls
---  under way at once, per worker and pool; max_wait ("5s"): then kind "busy"
---@return crdbcloud.nginx.cloud
function M.new(opts)
  local checked = options.check(OPTIONS, opts, "crdbcloud.new")
  local why = arguments.unusable(checked.api_key) or arguments.unusable(checked.api_jwt)
  if why then errors.raise("crdbcloud.new: %s", select(2, call.unusable(nil, why)).message) end
  try(opts or {})
  local given, config = {}, {}
  for name, value in pairs(accounts.DEFAULTS) do config[name] = value end
  for name, value in pairs(M.DEFAULTS) do config[name] = value end
  for name, value in pairs(checked) do
    if not SECRET[name] then config[name] = value end
    if not OWN[name] then given[name] = opts[name] end
  end
  if opts and opts.proxy then config.proxy = (opts.proxy:gsub("//[^/]*@", "//")) end
  for _, module in ipairs(RESULTS) do require("crdbcloud." .. module) end
  local self = setmetatable({ config = config, _open = true, _pool = call.pool(config.thread_pool, config.max_calls) }, Cloud)
  private[self] = { given = given }
  return self
end

-- Named fields that hold a password, as text, cross as secrets.
local HIDDEN = { password = true }

--- Runs a method in the thread.
---@param request { operation: string, signature: string, method: string, module: string|nil, cluster: table|nil } module: a
---  function of that module instead of a method; it gets the object first
---@param n integer
---@param args table
---@return any ...
function Cloud:_call(request, n, args)
  local own = private[self] or errors.raise("%s: the account is closed", request.signature)
  if own.pid ~= core.pid() then own.pid, own.spec = core.pid(), arguments.spec(own.given, SECRET) end
  -- The caller's values may come to stand anywhere in the message, so they are looked at by themselves.
  local wire, problem = values.pack(1, { {
    account = own.spec, cluster = request.cluster, method = request.method, module = request.module, args = args, n = n,
  } }, { strict = true, hidden = request.hidden or HIDDEN })
  if not wire then
    local position, field = problem.path:match "^%[1%]%.args%[(%d+)%]%.?(.*)$"
    -- Else it is among the options of the cluster.
    field = position and (field ~= "" and field or "argument " .. position) or problem.path:gsub("^%[1%]%.cluster%.options%.", "")
    errors.raise("%s: %s cannot be %s: %s", request.signature, field, problem.what, problem.why)
  end
  return call.run(self._pool, { operation = request.operation, max_wait = self.config.max_wait, wire = wire })
end

for operation, row in pairs(calls.OPERATIONS) do
  local written = calls.written(operation)
  Cloud[operation] = function(self, ...)
    local args, err = arguments.check(written, select("#", ...), ...)
    if not args then return nil, err end
    local count, list = arguments.positional(operation, args, 1, (select(#row.args + 1, ...)))
    return self:_call({ operation = operation, signature = row.signature, method = operation }, count, list)
  end
end

local function text_of(seconds)
  return seconds and ("%.0fms"):format(math.max(seconds, 0.01) * 1000) or nil
end

-- One page of a listing: one call.
local function ask(self, made, limits, opts)
  local given = {}
  for name, value in pairs(opts) do given[name] = value end
  given.timeout = text_of(limits.timeout)
  given.deadline = text_of(limits.until_time and limits.until_time - core.boottime() or limits.deadline)
  local operation = made.operation
  local count, list = arguments.positional(operation, { cluster_id = made.cluster_id }, 1, given)
  return self:_call({ operation = operation, signature = calls.OPERATIONS[operation].signature, method = operation }, count, list)
end

-- Whole lists come page by page too, so that no long one stops the event loop.
for name, operation in pairs(lists.LISTS) do
  local all, each = calls.written(operation, "cloud:all_" .. name), calls.written(operation, "cloud:" .. name)
  Cloud["all_" .. name] = function(self, ...)
    local args, opts = calls.arguments(all, select("#", ...), ...)
    if not args then return nil, opts end
    return lists.all(self, operation, args, opts, true, ask)
  end
  Cloud[name] = function(self, ...)
    local args, opts = calls.arguments(each, select("#", ...), ...)
    if not args then error(opts, 0) end
    return lists.each(self, operation, args, opts, ask)
  end
end

function Cloud:find_cluster(name_or_id)
  return self:_call({ operation = "find_cluster", signature = "cloud:find_cluster(name_or_id)", method = "find_cluster" }, 1, { name_or_id })
end

--- A handle of one cluster. No I/O.
---@param name_or_id string|nil default CRDBCLOUD_CLUSTER, read in the thread
---@param opts table|nil store, sql, sql_ca_file, sinks, store_key_file, plaintext; store and sql by name, not as objects
function Cloud:cluster(name_or_id, opts)
  return require("crdbcloud.nginx.cluster").new(self, name_or_id, opts)
end

for _, workflow in ipairs(clouds.WORKFLOWS) do
  Cloud[workflow] = function(self, opts)
    return self:_call({ operation = workflow, signature = "cloud:" .. workflow, method = workflow }, 1, { opts })
  end
end

--- Any other endpoint; the body crosses as a secret, whatever it is.
function Cloud:request(method, path, opts)
  local signature = "cloud:request(method, path, options)"
  local given = opts
  if type(opts) == "table" and (type(opts.body) == "table" or type(opts.body) == "string") then
    given = {}
    for name, value in pairs(opts) do given[name] = value end
    local body, problem = opts.body, nil
    if type(body) == "table" then body, problem = require("crdbcloud.api.answers").encode(body) end
    if not body then errors.raise("cloud:request: body cannot be encoded as JSON: %s", problem) end
    given.body = core.secret(body)
  end
  return self:_call({ operation = "request", signature = signature, method = "request", hidden = {} }, 3, { method, path, given })
end

--- Ends the use of this handle. Connections belong to the threads, which close those that are idle.
function Cloud:close()
  self._open, private[self] = false, nil
end
Cloud.__close = Cloud.close

function Cloud:__tostring()
  return ("crdbcloud.nginx.cloud %s, thread pool %s, %d calls at most for %s%s"):format(printing.harmless(self.config.base_url), self._pool.name,
    self._pool.max_calls, durations.format(self.config.max_wait), self._open and "" or " (closed)")
end

guard.guard(Cloud, "cloud", "crdbcloud.new", function(method, self)
  if not self._open and method ~= "close" then errors.raise("cloud:%s: the account is closed", method) end
end)

return M
