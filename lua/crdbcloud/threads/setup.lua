--- What a run takes with it into another thread, which has a Lua state of its own: plain data, and tickets for secrets
--- (crdbcloud.core.lend). crdbcloud.threads.worker opens account, store and connections anew there; the account's budget
--- is one for all threads.

local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"

local M = {}

local PLAIN = { "base_url", "vanity_name", "username", "api_version", "max_attempts", "max_items", "rate", "account", "ca_file", "user_agent" }
local SECONDS = { "timeout", "connect_timeout", "deadline" }

-- Of a context: what its cluster, store and account do not say.
local RUN = {
  "operation", "run_id", "by", "reason", "verify", "keep_previous", "cancel_sessions", "allow_admin", "call_sinks", "emergency", "after",
  "id", "name", "spooling", "started",
}

--- A secret, or text that may hold one, as a ticket.
---@param value string|crdbcloud.secret
---@return string|nil ticket
---@return string|nil why
function M.lend(value)
  if type(value) ~= "string" then return core.lend(value) end
  local secret = core.secret(value)
  local ticket, why = core.lend(secret)
  secret:close()
  return ticket, why
end

--- The account as data for crdbcloud.threads.worker, good for 60 seconds and once.
---@param account crdbcloud.account
---@return table|nil
---@return string|nil why
function M.pack_account(account)
  local config = account.config
  local data = { options = {}, key_from = account.key.from, key_again = account.key.again, listened = account.emit ~= nil }
  for _, name in ipairs(PLAIN) do data.options[name] = config[name] end
  -- As text: a bare number above 600 would be taken for a mistake.
  for _, name in ipairs(SECONDS) do data.options[name] = ("%.0fms"):format(config[name] * 1000) end
  local why
  data.key, why = M.lend(account.secret)
  if not data.key then return nil, why end
  if account.proxy then -- its URL may hold a password
    data.proxy, why = M.lend(account.proxy)
    if not data.proxy then return nil, why end
  end
  return data
end

--- Reads the key again, once for all threads that were refused with the same one.
---@param account crdbcloud.account of the main thread
---@param seen integer how often the asking thread has got another key
---@return string|nil ticket
---@return integer|crdbcloud.error times the key has changed, or why there is none
function M.renew(account, seen)
  if seen == account.renewed then
    local changed, err = account:read_key_again()
    if changed == nil then return nil, err end
  end
  local ticket, why = M.lend(account.secret)
  if not ticket then return nil, errors.new { kind = "unauthenticated", outcome = "not_sent", message = why } end
  return ticket, account.renewed
end

--- An error as plain data for errors.new, without report and cause.
---@param err crdbcloud.error|nil
---@return table|nil
function M.pack_error(err)
  if not err then return nil end
  local data = {}
  for name, value in pairs(err) do
    if type(value) ~= "table" and type(value) ~= "userdata" then data[name] = value end
  end
  return data
end

-- True when a SQL connection is named by what can be opened again: a URL, fields, or nothing.
local function is_named(spec)
  if type(spec) ~= "table" then return type(spec) ~= "function" and (type(spec) ~= "userdata" or core.is_secret(spec)) end
  return getmetatable(spec) == nil and not require("crdbcloud.sql.adapters").find(spec)
end

-- A URL may hold a password, and so may fields.
local function pack_sql(spec)
  if type(spec) ~= "table" then
    local ticket, why = M.lend(spec)
    return ticket and { url = ticket }, why
  end
  local fields = {}
  for name, value in pairs(spec) do fields[name] = value end
  if not fields.password then return { fields = fields } end
  local ticket, why = M.lend(fields.password)
  fields.password = ticket
  return ticket and { fields = fields }, why
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
  if (ctx.cancel_sessions or ctx.looks_by_sql) and not is_named(cluster.sql_spec) then
    return ("%s by SQL, and its SQL connection was given as an object"):format(
      ctx.cancel_sessions and "sessions are cancelled" or "application users are looked at")
  end
  return nil
end

--- The run as data for one worker, which opens it within 60 seconds. M.refuses has said nothing.
---@param ctx table
---@return table|nil
---@return string|nil why
function M.pack(ctx)
  local cluster = ctx.cluster
  local account, why = M.pack_account(ctx.cloud._account)
  if not account then return nil, why end
  local address, err = ctx:address()
  local data = {
    account = account, run = {}, target = cluster:probe_target(), proven = cluster.proven, address = address, address_error = M.pack_error(not address and err),
    store_options = cluster.store_options, sql_ca_file = cluster.sql_ca_file, sinks = cluster.sinks,
  }
  for _, name in ipairs(RUN) do data.run[name] = ctx[name] end
  if not ctx.spooling then
    data.store, why = M.lend(cluster.store_spec)
    if not data.store then return nil, why end
  end
  if cluster.sql_spec and is_named(cluster.sql_spec) then
    data.sql, why = pack_sql(cluster.sql_spec)
    if not data.sql then return nil, why end
  end
  return data
end

return M
