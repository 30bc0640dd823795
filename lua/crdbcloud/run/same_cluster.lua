--- The proof that the cluster of the API and the server of the SQL connection are one. Names prove nothing: another
-- cluster may have a user of the same name, and a statement meant for one would change the other.
--
-- Proven by address: the API names the host and port of the connection for this cluster, and the server's certificate
-- was checked against that host. Proven by pairing, where SQL goes through a tunnel, a proxy or a name of one's own: a
-- person has looked at both sides and recorded in the store which server belongs to the cluster, by the server's own id.

local classes = require "crdbcloud.base.classes"
local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local params = require "crdbcloud.sql.params"
local printing = require "crdbcloud.base.printing"
local record = require "crdbcloud.record"

local M = {}

local PORT = 26257 -- of the service, where the API names a host alone

--- The first half of the store's keys for pairings; the ids of clusters look otherwise.
M.PAIRING = "pairing"

-- One spelling for what means the same host.
local function plain_host(host)
  return (host:lower():gsub("%.$", ""):gsub("^%[(.*)%]$", "%1"))
end

local function text_of(address) return ("%s:%s"):format(address.host, address.port) end

--- The SQL addresses that the API names for a cluster. Pure.
---@param info table the cluster, as the API describes it
---@param string_params table|nil `params` of its connection string
---@return { host: string, port: integer }[]
function M.named(info, string_params)
  local list, seen = {}, {}
  local given = type(string_params) == "table" and string_params or {}
  local port = tonumber(given.Port) or PORT
  local function add(host)
    if type(host) ~= "string" or host == "" then return end
    host = plain_host(host)
    if seen[host] then return end
    seen[host] = true
    list[#list + 1] = { host = host, port = port }
  end
  add(given.Host)
  add(info.sql_dns)
  for _, region in ipairs(type(info.regions) == "table" and info.regions or {}) do
    if type(region) == "table" then
      add(region.sql_dns)
      add(region.internal_dns)
      add(region.private_endpoint_dns)
    end
  end
  return list
end

-- Every host of a connection (libpq takes lists with commas) stands among those named, with its port.
local function all_named(named, sql)
  local known = {}
  for _, address in ipairs(named) do known[text_of(address)] = true end
  local ports = {}
  for port in (tostring(sql.port or PORT) .. ","):gmatch "([^,]*)," do ports[#ports + 1] = port end
  local n = 0
  for host in (sql.host .. ","):gmatch "([^,]*)," do
    n = n + 1
    if not known[text_of { host = plain_host(host), port = ports[n] or ports[1] }] then return false end
  end
  return true
end

-- The name of the server was checked, or there is none to be wrong about.
local function is_checked(sql)
  return sql.sslmode == "verify-full" or not sql.hostaddr and params.is_local(sql.host)
end

---@alias crdbcloud.proof "address" | "pairing"
---@alias crdbcloud.doubt "no_address" | "not_named" | "not_checked" | "paired_with_another"

--- Decides whether both are one cluster. Pure.
---@param facts { named: { host: string, port: integer }[], sql: table|nil, server_id: string|nil, paired: string|nil }
---  sql: host, port, hostaddr, sslmode of the connection, nil for one of another library; server_id: the server's own;
---  paired: the one recorded for this cluster
---@return crdbcloud.proof|nil
---@return crdbcloud.doubt|nil why not
function M.decide(facts)
  if facts.paired and facts.server_id and facts.paired ~= facts.server_id then return nil, "paired_with_another" end
  local sql, doubt = facts.sql
  if not sql or not sql.host then
    doubt = "no_address"
  elseif not all_named(facts.named, sql) then
    doubt = "not_named"
  elseif not is_checked(sql) then
    doubt = "not_checked"
  else
    return "address"
  end
  if facts.paired and facts.paired == facts.server_id then return "pairing" end
  return nil, doubt
end

local Look = { __name = "crdbcloud.pairing" }
Look.__index = Look
classes.register("run.same_cluster", Look)

local function named_text(look)
  local texts = {}
  for i, address in ipairs(look.named) do texts[i] = text_of(address) end
  return #texts > 0 and table.concat(texts, ", ") or "no address"
end

local function sql_text(look)
  return look.sql.host and text_of { host = look.sql.host, port = look.sql.port or PORT }
    or "an address that its library does not tell"
end

local SAID = {
  address = "one cluster: the API names this address", pairing = "one cluster: a person paired them",
  no_address = "not proven: the connection is another library's and does not tell its address",
  not_named = "not proven: the API does not name this address",
  not_checked = "not proven: the API names this address, but the server's certificate is not checked (sslmode)",
  paired_with_another = "refused: the cluster is paired with another server",
}

--- The columns of M.row.
M.COLUMNS = { "cluster", "cluster_id", "api_names", "sql_goes_to", "server_id", "paired_with", "paired_by", "proof" }

--- What was seen on both sides, in words.
---@param look table
---@return table row
function M.row(look)
  return {
    cluster = look.name, cluster_id = look.cluster_id, api_names = named_text(look), sql_goes_to = sql_text(look),
    server_id = look.server_id, paired_with = look.paired, paired_by = look.paired_by, proof = SAID[look.proof or look.doubt],
  }
end

function Look:__tostring()
  local row, list = M.row(self), {}
  for _, name in ipairs(M.COLUMNS) do list[#list + 1] = { side = name:gsub("_", " "), what = row[name] } end
  return printing.rows({ "side", "what" }, list)
end

-- The pairing of a cluster as the store has it.
local function recorded(kept, cluster_id)
  local rec, version = kept:get(record.key(M.PAIRING, cluster_id))
  if not rec and errors.is(version) then return nil, nil, version end
  return rec, version
end

--- Looks at both sides. SQL is asked for the server's id only where that decides, or `whole` is wanted.
---@param cluster table the handle
---@param operation string
---@param whole? boolean
---@return table|nil look
---@return crdbcloud.error|nil err
---@return "sql"|nil place where it failed
function M.look(cluster, operation, whole)
  local place, err = cluster:sql_place(operation)
  if not place then return nil, err, "sql" end
  local info
  info, err = cluster:resolve()
  if not info then return nil, err end
  local look = setmetatable({
    cluster_id = info.id, name = info.name or info.id, named = M.named(info, (cluster:string_params())), sql = place,
  }, Look)
  local kept, rec
  if cluster:has_store() then kept, err = cluster:open_store(operation) end
  if kept then rec, look.version, err = recorded(kept, info.id) end
  if rec then look.paired, look.paired_by = rec.current.password:reveal(), rec.by end
  look.proof, look.doubt = M.decide(look)
  if not look.proof and err then return nil, err end
  if not whole and not look.paired then return look end
  local sql, sql_err = cluster:open_sql(operation)
  if sql then look.server_id, sql_err = sql:server_id() end
  if not look.server_id and (whole or not look.proof) then return nil, sql_err, "sql" end
  look.proof, look.doubt = M.decide(look)
  return look
end

--- The error of a write whose two sides are not proven to be one cluster. Nothing has been sent.
---@param look table
---@param operation string
---@return crdbcloud.error
function M.refusal(look, operation)
  local message = ("SQL goes to %s, while the API names %s for the cluster %s: that they are one cluster is not proven")
    :format(sql_text(look), named_text(look), look.name)
  if look.doubt == "paired_with_another" then
    message = ("SQL goes to %s, whose server has the id %s, while the cluster %s (the API names %s) is paired with the server %s")
      :format(sql_text(look), look.server_id, look.name, named_text(look), look.paired)
  elseif look.doubt == "not_checked" then
    message = message .. ", as the server's certificate is not checked"
  end
  return errors.new {
    kind = "conflict", outcome = "not_sent", operation = operation, reason = "other_cluster", message = message,
    hint = ("name this cluster's SQL address; or, if it is reached through a tunnel or a proxy, look at both and pair them once: "
      .. "crdbcloud --cluster %s store pair"):format(look.name),
  }
end

--- Proves that both are one cluster; a proof is kept in the handle.
---@param cluster table the handle
---@param operation string
---@return crdbcloud.proof|nil
---@return crdbcloud.error|nil err kind "conflict", reason "other_cluster" where they are not proven to be one
---@return "sql"|nil place where the look itself failed
function M.prove(cluster, operation)
  if cluster.proven then return cluster.proven end
  local look, err, place = M.look(cluster, operation)
  if not look then return nil, err, place end
  if not look.proof then return nil, M.refusal(look, operation) end
  cluster.proven = look.proof
  return look.proof
end

--- Records in the store that the server belongs to the cluster.
---@param cluster table the handle
---@param look table as of M.look, whole
---@return true|nil
---@return crdbcloud.error|nil
function M.record(cluster, look)
  local kept, err = cluster:open_store "pair_sql"
  if not kept then return nil, err end
  local rec = record.new {
    cluster_id = M.PAIRING, user = look.cluster_id, cluster_name = look.name, state = "idle", origin = "pairing", epoch = 1,
    created_at = math.floor(core.time()), by = ("%s:%d"):format(core.hostname(), core.pid()),
    -- Kept like a password, so that a store with a key seals it: who may only write to the store cannot pair.
    current = { epoch = 1, password = core.secret(look.server_id), set_at = math.floor(core.time()) },
  }
  local ok
  ok, err = kept:put(record.key(M.PAIRING, look.cluster_id), rec, look.version)
  if not ok then return nil, err end
  look.paired, look.paired_by = look.server_id, rec.by
  look.proof, look.doubt = M.decide(look)
  cluster.proven = look.proof
  return true
end

return M
