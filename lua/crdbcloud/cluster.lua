--- One cluster: the user calls of the API without their first argument, and the
--- workflows. Making a handle does no I/O; cluster, store and SQL connection are
--- found when they are first needed.

local address = require "crdbcloud.base.address"
local calls = require "crdbcloud.api.operations"
local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local guard = require "crdbcloud.base.guard"
local ids = require "crdbcloud.api.ids"
local names = require "crdbcloud.names"
local options = require "crdbcloud.base.options"
local printing = require "crdbcloud.base.printing"
local record = require "crdbcloud.record"
local sinks = require "crdbcloud.sinks"
local store = require "crdbcloud.store"
local urls = require "crdbcloud.base.urls"

local M = {}

---@class crdbcloud.cluster
---@field cloud table
---@field name_or_id string
local Cluster = { __name = "crdbcloud.cluster" }
Cluster.__index = Cluster

-- false: none, whatever the environment says.
local function sql_rule(value, name)
  if value == false then return value end
  return options.value("text|table|secret|function", value, name)
end

--- The options of M.new, as rules of crdbcloud.options.
M.OPTIONS = {
  store = "text|table|secret", sql = sql_rule, sql_ca_file = "text", sinks = true,
  store_key_file = "text", plaintext = "boolean",
}

local function from_environment(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end

-- Neither a URL nor fields stand in the handle with their password in the clear.
local function hidden_sql(spec)
  if type(spec) ~= "table" or getmetatable(spec) ~= nil or type(spec.password) ~= "string" or spec.query then
    return urls.hidden(spec)
  end
  local copy = {}
  for name, value in pairs(spec) do copy[name] = value end
  copy.password = core.secret(spec.password)
  return copy
end

-- The user that a URL or fields name.
local function named_user(spec)
  if type(spec) == "string" then return urls.user(spec) end
  return type(spec) == "table" and type(spec.user) == "string" and spec.user or nil
end

--- Makes a handle; `cloud:cluster(...)` calls this.
---@param cloud table
---@param name_or_id? string default CRDBCLOUD_CLUSTER
---@param opts? table { store, sql, sql_ca_file, sinks, store_key_file, plaintext }, default CRDBCLOUD_STORE, CRDBCLOUD_SQL,
---  CRDBCLOUD_CA_FILE; sql = false: none, not even that of the environment
---@return crdbcloud.cluster|nil
---@return crdbcloud.error|nil
function M.new(cloud, name_or_id, opts)
  if type(name_or_id) == "table" and opts == nil then name_or_id, opts = nil, name_or_id end
  if name_or_id ~= nil and (type(name_or_id) ~= "string" or name_or_id == "") then
    errors.raise("cloud:cluster: expected the name or id of a cluster, got %s", errors.shown(name_or_id))
  end
  opts = options.check(M.OPTIONS, opts, "cloud:cluster")
  name_or_id = name_or_id or from_environment "CRDBCLOUD_CLUSTER"
  if not name_or_id then
    return nil, errors.new {
      kind = "invalid_argument", outcome = "not_sent", message = "no cluster was named",
      hint = 'cloud:cluster "NAME", or: export CRDBCLOUD_CLUSTER=NAME',
    }
  end
  local sql = opts.sql ~= false and (opts.sql or from_environment "CRDBCLOUD_SQL") or nil
  return setmetatable({
    cloud = cloud,
    name_or_id = name_or_id,
    store_spec = urls.hidden(opts.store or from_environment "CRDBCLOUD_STORE"),
    store_options = { store_key_file = opts.store_key_file, plaintext = opts.plaintext },
    sql_spec = hidden_sql(sql), sql_named = named_user(sql),
    sql_ca_file = opts.sql_ca_file or cloud.config.ca_file or from_environment "CRDBCLOUD_CA_FILE",
    sinks = sinks.parse(opts.sinks, "cloud:cluster: sinks"),
  }, Cluster)
end

function Cluster:__tostring()
  local parts = { "crdbcloud.cluster " .. self.name_or_id }
  local store_url = urls.text(self.store_spec)
  if type(store_url) == "string" then parts[#parts + 1] = "store " .. urls.shown(store_url) end
  return printing.harmless(table.concat(parts, ", "))
end

--- The cluster as the API knows it; asked once.
---@return table|nil cluster { id, name, ... }
---@return crdbcloud.error|nil
function Cluster:resolve()
  if not self.info then
    local info, err = self.cloud:find_cluster(self.name_or_id)
    if not info then return nil, err end
    self.info = info
  end
  return self.info
end

--- The cluster's id, without a request where that is possible.
---@return string|nil
---@return crdbcloud.error|nil
function Cluster:id()
  if self.info then return self.info.id end
  if self.name_or_id:match(ids.PATTERN) then return self.name_or_id end
  local info, err = self:resolve()
  return info and info.id, err
end

--- Takes what another handle of this cluster has found out, so that this one need not ask.
---@param facts { info: table, address: table|nil, target: table|false, proven: crdbcloud.proof|nil } target: as of
---  probe_target, false for none
function Cluster:knows(facts)
  self.info, self.known_address, self.known_target, self.proven = facts.info, facts.address, facts.target, facts.proven
end

--- The store, opened at first use.
---@param operation string for the error when none was named
---@return table|nil
---@return crdbcloud.error|nil
function Cluster:open_store(operation)
  if self.store then return self.store end
  if not self.store_spec then return nil, store.not_named(operation) end
  if type(self.store_spec) == "table" then
    self.store = require("crdbcloud.store.guarded").new(self.store_spec)
    return self.store
  end
  self.store_options.ca_file = self.sql_ca_file
  local opened, err = store.open(self.store_spec, self.store_options)
  if not opened then return nil, err end
  self.store = opened
  return opened
end

--- True when a store was named, whether or not it works.
function Cluster:has_store()
  return self.store ~= nil or self.store_spec ~= nil
end

--- The SQL connection, opened at first use.
---@param operation string
---@return table|nil
---@return crdbcloud.error|nil
function Cluster:open_sql(operation)
  if self.sql then return self.sql end
  if not self.sql_spec then
    return nil, errors.new {
      kind = "invalid_argument", operation = operation, outcome = "not_sent",
      message = "no SQL connection was named, and access is granted by SQL",
      hint = 'pass sql = "postgresql://ADMIN@HOST:26257/defaultdb?sslmode=verify-full", or set CRDBCLOUD_SQL',
    }
  end
  local opened, err = require("crdbcloud.sql").open(self.sql_spec, { ca_file = self.sql_ca_file })
  if not opened then return nil, err end
  self.sql = opened
  return opened
end

--- True when a SQL connection was named, whether or not it works.
function Cluster:has_sql()
  return self.sql ~= nil or self.sql_spec ~= nil
end

--- Where the SQL connection goes, found without connecting where that is possible.
---@param operation string
---@return table|nil info as of sql:info(); empty for a connection of another library
---@return crdbcloud.error|nil
function Cluster:sql_place(operation)
  local place, err
  if not self.sql and self.sql_spec then
    place, err = require("crdbcloud.sql").place(self.sql_spec, { ca_file = self.sql_ca_file })
    if place or err then return place, err end
  end
  local sql
  sql, err = self:open_sql(operation)
  if not sql then return nil, err end
  return sql:info()
end

--- Proves that the API's cluster and the server of the SQL connection are one; asked before anything is written.
---@param operation string
---@return crdbcloud.proof|nil
---@return crdbcloud.error|nil err kind "conflict", reason "other_cluster" where that is not proven
---@return "sql"|nil place where the look itself failed
function Cluster:same_cluster(operation)
  return require("crdbcloud.run.same_cluster").prove(self, operation)
end

--- The account that the SQL connection uses, folded; never rotated unless named.
---@return string|nil
function Cluster:sql_account()
  if self.sql then return self.sql:user() end
  return self.sql_named and names.fold(self.sql_named)
end

--- Where a login is tried: the host of the SQL connection, which we know to be
--- reachable from here. Nil when there is none, or when it is not proven to be this cluster's.
function Cluster:probe_target()
  if self.known_target ~= nil then return self.known_target or nil end
  if not self:has_sql() or not self:same_cluster "verify" then return nil end
  local sql = self:open_sql("verify")
  local info = sql and sql.info and sql:info()
  if not info or not info.host then return nil end
  return {
    host = info.host, port = info.port, database = info.dbname, sslmode = info.sslmode,
    sslrootcert = info.sslrootcert or self.sql_ca_file, insecure = info.insecure,
  }
end

--- The parts of the connection string that the API gives; asked once.
---@return table|nil { Host, Port, Database }
---@return crdbcloud.error|nil
function Cluster:string_params()
  if self.known_params == nil then
    local id, err = self:id()
    if not id then return nil, err end
    local answer
    answer, err = self.cloud:get_connection_string(id, { os = "LINUX" })
    if not answer then return nil, err end
    self.known_params = type(answer.params) == "table" and answer.params or false
  end
  return self.known_params or nil
end

--- The SQL address of the cluster as the API gives it, else that of the SQL connection.
---@return table|nil { host, port, database, sslmode }
---@return crdbcloud.error|nil
function Cluster:address()
  if self.known_address then return self.known_address end
  local params, err = self:string_params()
  if params and params.Host ~= nil then
    local problem
    self.known_address, problem = address.of_params(params)
    if self.known_address then return self.known_address end
    return nil, errors.new {
      kind = "protocol", operation = "get_connection_string", reason = "address",
      message = "the connection string of the API is not usable: " .. problem,
    }
  end
  local target = self:probe_target()
  if not target then return nil, err end
  self.known_address = {
    host = target.host, port = tonumber(target.port), database = target.database,
    sslmode = target.sslmode or "verify-full",
  }
  return self.known_address
end

--- The API's operations that a handle has.
M.CALLS = {
  "list_sql_users", "create_sql_user", "update_sql_user_password", "delete_sql_user", "list_databases", "get_cluster",
  "get_connection_string",
}

-- Call -> operation of the API: calls of cloud with this cluster's id in front.
local CALLS = {
  list_sql_users = "list_sql_users", create_sql_user = "create_sql_user", list_databases = "list_databases",
  get_cluster = "get_cluster", get_connection_string = "get_connection_string", all_sql_users = "list_sql_users",
  all_databases = "list_databases",
}
for call, operation in pairs(CALLS) do
  local written = calls.written(operation, "cluster:" .. call, true)
  Cluster[call] = function(self, ...)
    local ok, err = calls.arguments(written, select("#", ...), ...)
    if not ok then return nil, err end
    local id
    id, err = self:id()
    if not id then return nil, err end
    return self.cloud[call](self.cloud, id, ...)
  end
end

-- Iterators have no place for an error but to raise it.
for call, operation in pairs { sql_users = "list_sql_users", databases = "list_databases" } do
  local written = calls.written(operation, "cluster:" .. call, true)
  Cluster[call] = function(self, ...)
    calls.arguments(written, select("#", ...), ...)
    local id, err = self:id()
    if not id then error(err, 0) end
    return self.cloud[call](self.cloud, id, ...)
  end
end

-- A password or user changed behind its record would leave a wrong one in the store.
local function guarded(call, workflow)
  local written = calls.written(call, "cluster:" .. call, true)
  Cluster[call] = function(self, ...)
    local args, err = calls.arguments(written, select("#", ...), ...)
    if not args then return nil, err end
    local id
    id, err = self:id()
    if not id then return nil, err end
    if self.store_spec then
      local kept
      kept, err = self:open_store(call)
      if not kept then return nil, err end
      local rec
      rec, err = kept:get(record.key(id, args.name))
      if not rec and errors.is(err) then return nil, err end
      if rec then
        return nil, errors.new {
          kind = "conflict", operation = call, outcome = "not_sent",
          message = ("%s has a record in the store, which this would make wrong"):format(args.name),
          hint = workflow .. " does it and keeps the record right; cloud:" .. call .. " is the raw call",
        }
      end
    end
    return self.cloud[call](self.cloud, id, ...)
  end
end
guarded("update_sql_user_password", "cluster:rotate_password{ user = NAME }")
guarded("delete_sql_user", "cluster:remove_app_user{ user = NAME }")

--- Method -> module of crdbcloud.workflows; one file each, loaded when first called.
M.WORKFLOWS = {
  create_app_user = "create_app_user",
  rotate_passwords = "rotate", rotate_password = "rotate", plan_rotation = "rotate",
  resume = "resume", rotation_status = "status",
  import_credential = "import_credential", rollback_password = "rollback",
  access = "access", set_access = "access", remove_app_user = "remove_app_user",
  disable_user = "enable_user", enable_user = "enable_user", history = "history", pair_sql = "pair_sql",
  probe = "probe",
}
for method, file in pairs(M.WORKFLOWS) do
  Cluster[method] = function(self, opts, ...)
    if select("#", ...) > 0 then
      errors.raise("cluster:%s takes one table of options, got %d arguments", method, select("#", ...) + 1)
    end
    return require("crdbcloud.workflows." .. file)[method](self, opts)
  end
end

-- The user of a call that takes a name, or a table with it.
local function one_user(user, what)
  if type(user) == "table" then user = options.check({ user = "text" }, user, what).user end
  if type(user) ~= "string" then errors.raise("%s: user must be a name, got %s", what, errors.shown(user)) end
  return user
end

--- The credential of a user from the store; no request.
---@param user string
---@return crdbcloud.credential|nil
---@return crdbcloud.error|nil
function Cluster:credential(user)
  user = one_user(user, "cluster:credential")
  local folded, err = names.check(user)
  if not folded then return nil, err end
  local kept
  kept, err = self:open_store("credential")
  if not kept then return nil, err end
  local credentials = require "crdbcloud.credentials"
  -- Reading works with the API down: the records know the cluster's name.
  local known = self.info and self.info.id or self.name_or_id
  return credentials.from_store(kept, folded, known)
end

--- Connects as a user with the first of its passwords that works.
---@param user string
---@param connect fun(credential: crdbcloud.credential): any
---@param opts? { deadline: string }
function Cluster:connect_with(user, connect, opts)
  user = one_user(user, "cluster:connect_with")
  return require("crdbcloud.credentials").connect_with(function() return self:credential(user) end, connect, opts)
end

--- Closes the SQL connection and the store.
function Cluster:close()
  for _, field in ipairs { "sql", "store" } do
    local thing = self[field]
    self[field] = nil
    if thing and thing ~= self.sql_spec and thing ~= self.store_spec and thing.close then thing:close() end
  end
end
Cluster.__close = Cluster.close

--- The methods of a handle.
M.CLASS = guard.guard(Cluster, "cluster", "cloud:cluster")

return M
