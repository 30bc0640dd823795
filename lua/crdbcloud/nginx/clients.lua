--- Accounts and clusters that stay open between the calls in one thread's Lua state: connections, TLS sessions, the key,
--- the store. Each is found by the fingerprint of all that it was made with, in which secrets are fingerprints too.

local core = require "crdbcloud.core"
local crdbcloud = require "crdbcloud"

local M = {}

M.MOST = 8 -- accounts, and clusters of each, that one thread keeps
M.IDLE = 90 -- seconds after which the next call in the thread closes one that was not used

local accounts = {} -- identity -> { object, used, clusters = { identity -> { object, used } } }

-- Every field of the spec counts, whatever its type; the text itself holds no secret.
local function describe(parts, value)
  local kind = type(value)
  if kind == "table" then
    local keys = {}
    for key in pairs(value) do keys[#keys + 1] = key end
    table.sort(keys, function(a, b) return type(a) .. tostring(a) < type(b) .. tostring(b) end)
    parts[#parts + 1] = "{" .. #keys
    for _, key in ipairs(keys) do
      describe(parts, key)
      describe(parts, value[key])
    end
  elseif kind == "userdata" then
    parts[#parts + 1] = "secret " .. core.fingerprint(value)
  else
    local text = tostring(value)
    parts[#parts + 1] = ("%s %d %s"):format(kind, #text, text)
  end
end

--- What tells one spec from another.
---@param spec table|nil plain data and secrets
---@return string
function M.identity(spec)
  local parts = {}
  describe(parts, spec)
  return core.fingerprint(table.concat(parts, "\n"))
end

local function close(entry)
  for _, cluster in pairs(entry.clusters or {}) do cluster.object:close() end
  entry.object:close()
end

-- Makes room for one more: the one that was used longest ago goes.
local function make_room(entries)
  local count, oldest = 0, nil
  for identity, entry in pairs(entries) do
    count = count + 1
    if not oldest or entry.used < entries[oldest].used then oldest = identity end
  end
  if count < M.MOST then return end
  close(entries[oldest])
  entries[oldest] = nil
end

-- Secrets that came with a call and are not needed, because what they open is open, are wiped at once.
local function wipe(spec)
  for _, value in pairs(spec) do
    if type(value) == "table" then
      wipe(value)
    elseif core.is_secret(value) then
      value:close()
    end
  end
end

local function kept(entries, spec, open)
  local identity = M.identity(spec)
  local entry = entries[identity]
  if entry then
    wipe(spec)
  else
    local object, err = open()
    if not object then return nil, err end
    make_room(entries)
    entry = { object = object, clusters = {} }
    entries[identity] = entry
  end
  entry.used = core.monotonic()
  return entry
end

local function text(value)
  return value and core.is_secret(value) and value:reveal() or value
end

local function open_account(options)
  local given = {}
  for name, value in pairs(options) do given[name] = value end
  given.proxy = text(options.proxy)
  return crdbcloud.new(given)
end

local function open_cluster(cloud, spec)
  local given = {}
  for name, value in pairs(spec.options) do given[name] = value end
  given.store = text(spec.options.store)
  return cloud:cluster(spec.name, given)
end

-- A connection that broke in an earlier call would do so again where it cannot replace itself: in the middle of work on
-- another database. The next call begins with a new one.
local function drop_lost(cluster)
  if cluster.sql and not cluster.sql:is_open() then
    cluster.sql:close()
    cluster.sql = nil
  end
end

--- The account, or one of its clusters.
---@param options table of crdbcloud.new; key and proxy as secrets
---@param cluster { name: string|nil, options: table }|nil
---@return table|nil object
---@return crdbcloud.error|nil
function M.open(options, cluster)
  local account, err = kept(accounts, options, function() return open_account(options) end)
  if not account or not cluster then return account and account.object, err end
  local entry
  entry, err = kept(account.clusters, cluster, function() return open_cluster(account.object, cluster) end)
  if not entry then return nil, err end
  drop_lost(entry.object)
  return entry.object
end

--- Closes what was not used for a while; each call in the thread ends with it.
function M.sweep()
  local before = core.monotonic() - M.IDLE
  for identity, account in pairs(accounts) do
    if account.used < before then
      close(account)
      accounts[identity] = nil
    else
      for name, cluster in pairs(account.clusters) do
        if cluster.used < before then
          cluster.object:close()
          account.clusters[name] = nil
        end
      end
    end
  end
end

--- How many are open, for specs.
---@return integer accounts
---@return integer clusters
function M.count()
  local n, m = 0, 0
  for _, account in pairs(accounts) do
    n = n + 1
    for _ in pairs(account.clusters) do m = m + 1 end
  end
  return n, m
end

return M
