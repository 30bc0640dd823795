--- What a run takes with it into a thread, which has a Lua state of its own: plain data, and tickets for secrets.
--- Connections and stores are opened anew there.

local accounts = require "crdbcloud.threads.carry"
local context = require "crdbcloud.run.context"
local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local spool = require "crdbcloud.run.spool"

local M = {}

-- Of a context: what its cluster, store and account do not say.
local RUN = {
  "operation", "run_id", "by", "reason", "verify", "keep_previous", "cancel_sessions", "call_sinks", "emergency", "after",
  "id", "name", "spooling", "started",
}

local FIELDS = {
  "kind", "message", "operation", "status", "code", "sqlstate", "retry_after", "attempts", "outcome", "reason",
  "retryable", "hint", "exit",
}

--- An error as plain data, without report and cause.
---@param err crdbcloud.error|nil
---@return table|nil
function M.pack_error(err)
  if not err then return nil end
  local data = {}
  for _, name in ipairs(FIELDS) do data[name] = err[name] end
  return data
end

--- The error that the data came from.
---@param data table|nil
---@return crdbcloud.error|nil
function M.open_error(data)
  return data and errors.new(data)
end

-- True when a SQL connection is named by what can be opened again: a URL, fields, or nothing.
local function is_named(spec)
  if type(spec) ~= "table" then return type(spec) ~= "function" and (type(spec) ~= "userdata" or core.is_secret(spec)) end
  return getmetatable(spec) == nil and not require("crdbcloud.sql.adapters").find(spec)
end

-- A URL may hold a password, and so may fields.
local function pack_sql(spec)
  if type(spec) ~= "table" then
    local ticket, why = accounts.lend(spec)
    return ticket and { url = ticket }, why
  end
  local fields = {}
  for name, value in pairs(spec) do fields[name] = value end
  if not fields.password then return { fields = fields } end
  local ticket, why = accounts.lend(fields.password)
  fields.password = ticket
  return ticket and { fields = fields }, why
end

local function open_sql(data)
  if not data then return false end
  if data.url then return assert(core.take(data.url)) end
  local password = data.fields.password
  data.fields.password = password and assert(core.take(password))
  return data.fields
end

-- True when one of the sinks is a shared dictionary of nginx, which only nginx's own threads see.
local function is_shared(specs)
  for _, spec in ipairs(specs or {}) do
    if spec.kind == "shared" then return true end
  end
  return false
end

--- Why a run cannot be parted among threads, or nil.
---@param ctx table
---@return string|nil
function M.refuses(ctx)
  local cluster = ctx.cluster
  if is_shared(cluster.sinks) or is_shared(ctx.call_sinks) then return "only nginx's own threads see its shared dictionaries" end
  if ctx.spooling then return nil end
  if type(cluster.store_spec) == "table" then return "its store was given as an object, which belongs to one thread" end
  if type(cluster.store_spec) == "string" and cluster.store_spec:match "^memory:" then return "a store in memory belongs to one thread" end
  if ctx.cancel_sessions and not is_named(cluster.sql_spec) then
    return "sessions are cancelled by SQL, and its SQL connection was given as an object"
  end
  return nil
end

--- The run as data for one call of `M.open` within 60 seconds. M.refuses has said nothing.
---@param ctx table
---@return table|nil
---@return string|nil why
function M.pack(ctx)
  local cluster = ctx.cluster
  local cloud, why = accounts.pack(ctx.cloud)
  if not cloud then return nil, why end
  local address, err = ctx:address()
  local data = {
    cloud = cloud, run = {}, target = cluster:probe_target(), address = address, address_error = M.pack_error(not address and err),
    store_options = cluster.store_options, sql_ca_file = cluster.sql_ca_file, sinks = cluster.sinks,
  }
  for _, name in ipairs(RUN) do data.run[name] = ctx[name] end
  if not ctx.spooling then
    data.store, why = accounts.lend(cluster.store_spec)
    if not data.store then return nil, why end
  end
  if cluster.sql_spec and is_named(cluster.sql_spec) then
    data.sql, why = pack_sql(cluster.sql_spec)
    if not data.sql then return nil, why end
  end
  return data
end

--- The run in this thread.
---@param data table of M.pack
---@param tell { progress: fun(event: table), event: fun(event: table), key: fun(): crdbcloud.secret|nil, crdbcloud.error|nil }
---@return table ctx its cluster is to be closed, and its cloud
function M.open(data, tell)
  -- All tickets first: they do not last.
  local sql, url = open_sql(data.sql), data.store and assert(core.take(data.store)):reveal()
  local cloud = accounts.open(data.cloud, tell.event, tell.key)
  local cluster = assert(cloud:cluster(data.run.id, {
    store = url, sql = sql, sql_ca_file = data.sql_ca_file, sinks = data.sinks,
    store_key_file = data.store_options.store_key_file, plaintext = data.store_options.plaintext,
  }))
  cluster:knows {
    info = { id = data.run.id, name = data.run.name }, address = data.address, target = data.target or false,
  }
  local run = data.run
  run.cluster, run.cloud, run.clock, run.warnings, run.on_progress = cluster, cloud, core, {}, tell.progress
  run.known_address, run.address_error = data.address or false, M.open_error(data.address_error)
  if run.spooling then
    run.store = assert(spool.open())
  else
    run.store = assert(cluster:open_store(run.operation))
  end
  return context.restore(run)
end

return M
