--- One cluster in nginx's event loop: the same calls and workflows as crdbcloud.cluster, each run whole in a thread.

local arguments = require "crdbcloud.nginx.arguments"
local calls = require "crdbcloud.api.operations"
local clusters = require "crdbcloud.cluster"
local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local guard = require "crdbcloud.base.guard"
local ids = require "crdbcloud.api.ids"
local options = require "crdbcloud.base.options"
local printing = require "crdbcloud.base.printing"
local sinks = require "crdbcloud.sinks"

local M = {}

---@class crdbcloud.nginx.cluster: crdbcloud.cluster
---@field cloud crdbcloud.nginx.cloud
---@field name_or_id string|nil
local Cluster = { __name = "crdbcloud.nginx.cluster" }
Cluster.__index = Cluster

-- Handle -> { given, pid, spec }, as in crdbcloud.nginx.cloud: what may hold a password does not stand in the handle.
local private = setmetatable({}, { __mode = "k" })

-- URLs may hold a password.
local SECRET = { store = true, sql = true }

local ONE_STATE = "it belongs to one Lua state, and the calls run in threads that have their own"

-- A store is named here, never given as an object.
local function store_rule(value, name)
  if type(value) == "table" or type(value) == "function" then
    errors.raise("%s cannot be an object: %s; give its URL", name, ONE_STATE)
  end
  local text = options.value("text|secret", value, name)
  if type(text) == "string" and text:match "^memory:" then
    errors.raise("%s cannot be in memory: %s", name, ONE_STATE)
  end
  return text
end

local function sql_rule(value, name)
  if value == false then return value end
  if type(value) == "function" or type(value) == "table" and (getmetatable(value) ~= nil or type(value.query) == "function") then
    errors.raise("%s cannot be a connection or function: %s; give its URL or fields", name, ONE_STATE)
  end
  return options.value("text|table|secret", value, name)
end

local OPTIONS = {}
for name, rule in pairs(clusters.OPTIONS) do OPTIONS[name] = rule end
OPTIONS.store, OPTIONS.sql = store_rule, sql_rule

--- Makes a handle; `cloud:cluster(...)` calls this.
---@param cloud crdbcloud.nginx.cloud
---@param name_or_id string|nil
---@param opts table|nil
---@return crdbcloud.nginx.cluster
function M.new(cloud, name_or_id, opts)
  if type(name_or_id) == "table" and opts == nil then name_or_id, opts = nil, name_or_id end
  if name_or_id ~= nil and (type(name_or_id) ~= "string" or name_or_id == "") then
    errors.raise("cloud:cluster: expected the name or id of a cluster, got %s", errors.shown(name_or_id))
  end
  local given = options.check(OPTIONS, opts, "cloud:cluster")
  given.sinks = sinks.parse(given.sinks, "cloud:cluster: sinks")
  local self = setmetatable({ cloud = cloud, name_or_id = name_or_id, _open = true }, Cluster)
  private[self] = { given = given }
  return self
end

function Cluster:_call(request, n, args)
  local own = private[self] or errors.raise("%s: the cluster is closed", request.signature)
  if own.pid ~= core.pid() then own.pid, own.spec = core.pid(), { name = self.name_or_id, options = arguments.spec(own.given, SECRET) } end
  request.cluster = own.spec
  return self.cloud:_call(request, n, args)
end

--- For the parts of crdbcloud.nginx: runs `require(module)[fn](cluster, ...)` in the thread, cluster being the
--- crdbcloud.cluster there.
---@param module string
---@param fn string
---@param ... any plain data and secrets
---@return any ... what it returned, or nil, err
function Cluster:in_thread(module, fn, ...)
  return self:_call({ operation = fn, signature = module .. "." .. fn, method = fn, module = module }, select("#", ...), { ... })
end

-- Methods that go to the thread as they are: name -> how they are written.
local AS_THEY_ARE = { resolve = "cluster:resolve()", address = "cluster:address()" }
for workflow in pairs(clusters.WORKFLOWS) do AS_THEY_ARE[workflow] = "cluster:" .. workflow .. "{...}" end
for method, signature in pairs(AS_THEY_ARE) do
  Cluster[method] = function(self, ...)
    local n = select("#", ...)
    if n > 1 then errors.raise("%s takes one table, got %d arguments", signature, n) end
    return self:_call({ operation = method, signature = "cluster:" .. method, method = method }, n, { ... })
  end
end

for _, operation in ipairs(clusters.CALLS) do
  local row, written = calls.OPERATIONS[operation], calls.written(operation, "cluster:" .. operation, true)
  Cluster[operation] = function(self, ...)
    local args, err = arguments.check(written, select("#", ...), ...)
    if not args then return nil, err end
    local count, list = arguments.positional(operation, args, 2, (select(#row.args, ...)))
    return self:_call({ operation = operation, signature = "cluster:" .. operation, method = operation }, count, list)
  end
end

--- The cluster's id, without a call where that is possible.
---@return string|nil
---@return crdbcloud.error|nil
function Cluster:id()
  if not self._id and self.name_or_id and self.name_or_id:match(ids.PATTERN) then self._id = self.name_or_id end
  if not self._id then
    local id, err = self:_call({ operation = "id", signature = "cluster:id()", method = "id" }, 0, {})
    if not id then return nil, err end
    self._id = id
  end
  return self._id
end

for name, operation in pairs { sql_users = "list_sql_users", databases = "list_databases" } do
  local all, each = calls.written(operation, "cluster:all_" .. name, true), calls.written(operation, "cluster:" .. name, true)
  Cluster["all_" .. name] = function(self, ...)
    arguments.check(all, select("#", ...), ...)
    local id, err = Cluster.id(self)
    if not id then return nil, err end
    return self.cloud["all_" .. name](self.cloud, id, ...)
  end
  Cluster[name] = function(self, ...)
    arguments.check(each, select("#", ...), ...)
    local id, err = Cluster.id(self)
    if not id then error(err, 0) end
    return self.cloud[name](self.cloud, id, ...)
  end
end

--- The credential of a user from the store.
---@param user string
---@return crdbcloud.credential|nil
---@return crdbcloud.error|nil
function Cluster:credential(user)
  return self:_call({ operation = "credential", signature = "cluster:credential", method = "credential" }, 1, { user })
end

--- Connects as a user with the first of its passwords that works. The credential comes from a thread; `connect` runs
--- here, in the event loop, and must not block.
---@param user string
---@param connect fun(credential: crdbcloud.credential): any
---@param opts { deadline: string }|nil
function Cluster:connect_with(user, connect, opts)
  return require("crdbcloud.nginx.credential").connect(function() return self:credential(user) end, connect, opts)
end

--- Ends the use of this handle.
function Cluster:close()
  self._open, private[self] = false, nil
end
Cluster.__close = Cluster.close

function Cluster:__tostring()
  return printing.harmless(("crdbcloud.nginx.cluster %s%s"):format(self.name_or_id or "of CRDBCLOUD_CLUSTER",
    self._open and "" or " (closed)"))
end

guard.guard(Cluster, "cluster", "cloud:cluster", function(method, self)
  if method == "close" then return end
  if not self._open then errors.raise("cluster:%s: the cluster is closed", method) end
  if not self.cloud._open then errors.raise("cluster:%s: the account is closed", method) end
end)

return M
