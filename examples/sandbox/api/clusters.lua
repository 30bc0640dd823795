-- The clusters that the sandbox pretends to have.

local answer = require "api.answer"
local json = require "api.json"
local pages = require "api.pages"
local settings = require "api.settings"

local M = {}

local FOLDER = "6f1b5a3e-3c58-4a7b-8a0e-5d2b1c9f7e11"
local CREATOR = "0e7f5f0c-58c3-4f0a-9d3e-2f6f7a1f9b10"

local cache

local function cluster(fields)
  local advanced = fields.plan == "ADVANCED"
  local host = fields.host or (fields.name .. ".sandbox.invalid")
  return {
    id = fields.id,
    name = fields.name,
    plan = fields.plan,
    state = fields.state or "CREATED",
    parent_id = fields.parent_id or "root",
    cloud_provider = "GCP",
    cockroach_version = "v25.2.1",
    account_id = "",
    cidr_range = "",
    creator_id = CREATOR,
    operation_status = "UNSPECIFIED",
    upgrade_status = "FINALIZED",
    network_visibility = "PUBLIC",
    delete_protection = "DISABLED",
    egress_traffic_policy = "UNSPECIFIED",
    labels = fields.labels or {},
    created_at = "2026-01-05T10:00:00Z",
    updated_at = "2026-06-01T10:00:00Z",
    deleted_at = fields.state == "DELETED" and "2026-06-01T10:00:00Z" or nil,
    sql_dns = host,
    config = advanced and {
      dedicated = { machine_type = "n2-standard-4", num_virtual_cpus = 4, storage_gib = 15, memory_gib = 16, disk_iops = 450 },
    } or {
      serverless = {
        routing_id = fields.routing_id,
        upgrade_type = "AUTOMATIC",
        usage_limits = { request_unit_limit = "50000000", storage_mib_limit = "10240" },
      },
    },
    regions = json.array {
      {
        name = "us-east1", sql_dns = host, internal_dns = fields.internal or "", private_endpoint_dns = "", ui_dns = "",
        node_count = advanced and 3 or 0, primary = true,
      },
    },
  }
end

local function all()
  if cache then return cache end
  local ids = settings.started.clusters
  cache = {
    cluster { id = ids.one, name = "sandbox-one", plan = "BASIC", host = "127.0.0.1", routing_id = "funky-skunk-123", labels = { env = "sandbox" } },
    cluster { id = ids.two, name = "sandbox-two", plan = "ADVANCED", host = "127.0.0.1", internal = "localhost" },
    cluster { id = ids.twin_a, name = "sandbox-twin", plan = "STANDARD", routing_id = "quiet-otter-210" },
    cluster { id = ids.twin_b, name = "sandbox-twin", plan = "STANDARD", routing_id = "quiet-otter-211", parent_id = FOLDER },
    cluster { id = ids.new, name = "sandbox-new", plan = "BASIC", state = "CREATING", routing_id = "early-bird-300" },
    cluster { id = ids.old, name = "sandbox-old", plan = "BASIC", state = "DELETED", routing_id = "late-lamb-400" },
  }
  return cache
end

local STATES = { locked = "LOCKED", creating = "CREATING" }

--- The cluster of an id, whatever its state; nil if there is none.
function M.find(id)
  id = id:lower()
  for _, found in ipairs(all()) do
    if found.id == id then
      if id == settings.started.clusters.one then found.state = STATES[settings.live.state] or "CREATED" end
      return found
    end
  end
  return nil
end

local function not_found(id) return answer.error(5, "cluster not found", ("cluster '%s' does not exist"):format(id)) end

--- The cluster whose SQL side an operation is about, or the refusal.
--- @return table|nil cluster, table|nil answer
function M.with_sql(id)
  local found = M.find(id)
  if not found or found.state == "DELETED" then return nil, not_found(id) end
  if found.state == "CREATING" then
    return nil, answer.error(5, ("internal call failed: cluster '%s' is not ready"):format(found.id))
  end
  if id:lower() == settings.started.clusters.one then
    if settings.live.state == "paused" then return nil, answer.error(9, "cluster is paused") end
    if settings.live.state == "locked" then return nil, answer.error(10, "cluster lock is held") end
  end
  return found
end

local SORT = { NAME = "name", CREATED_AT = "created_at", DELETED_AT = "deleted_at" }

function M.list(request)
  local query = request.query
  local sort_by = query["pagination.sort_by"] or "NAME"
  local field = SORT[sort_by]
  if not field then return answer.invalid("pagination.sort_by must be NAME, CREATED_AT or DELETED_AT") end
  local inactive = query.show_inactive or "false"
  if inactive ~= "true" and inactive ~= "false" then return answer.invalid("show_inactive must be true or false") end
  local page, refusal = pages.read(query, "clusters:" .. sort_by .. ":" .. inactive)
  if not page then return refusal end
  local by_key, keys = {}, {}
  for _, one in ipairs(all()) do
    local active = one.state ~= "DELETED" and one.state ~= "CREATION_FAILED"
    if active or inactive == "true" then
      -- Names are not unique, so the id completes the key.
      local key = (one[field] or "") .. " " .. one.name .. " " .. one.id
      by_key[key] = M.find(one.id)
      keys[#keys + 1] = key
    end
  end
  table.sort(keys)
  return answer.ok(pages.body(page, pages.slice(page, keys), "clusters", function(key) return by_key[key] end))
end

function M.get(request)
  local found = M.find(request.cluster_id)
  if not found then return not_found(request.cluster_id) end
  return answer.ok(found)
end

local SYSTEMS = { MAC = "$HOME/Library", LINUX = "$HOME/.local/share", WINDOWS = "$env:appdata" }

-- The port of a cluster's SQL side; the service's own for one that has none.
local function port_of(id)
  for side, sql in pairs(settings.started.sql) do
    if settings.started.clusters[side] == id then return ("%d"):format(sql.port) end
  end
  return "26257"
end

function M.connection_string(request)
  local found = M.find(request.cluster_id)
  if not found or found.state == "DELETED" then return not_found(request.cluster_id) end
  local query = request.query
  local system = query.os
  if system and not SYSTEMS[system] then return answer.invalid("os must be MAC, LINUX or WINDOWS") end
  if found.plan == "ADVANCED" and not system then return answer.invalid("os is required for this cluster") end
  local database = query.database
  if not database or database == "" then database = "defaultdb" end
  local params = { Host = found.sql_dns, Port = port_of(found.id), Database = database }
  local user = ""
  if query.sql_user and query.sql_user ~= "" then
    params.Username = query.sql_user
    user = ngx.escape_uri(query.sql_user) .. "@"
  end
  local text = ("postgresql://%s%s:%s/%s?sslmode=verify-full"):format(user, params.Host, params.Port, ngx.escape_uri(database))
  if found.plan == "ADVANCED" then
    text = text .. "&sslrootcert=" .. SYSTEMS[system] .. "/CockroachCloud/certs/" .. found.name .. "-ca.crt"
  end
  return answer.ok { connection_string = text, params = params }
end

--- The authority's certificate: outside the API, for anyone.
function M.certificate(request)
  local found = M.find(request.cluster_id)
  if not found or found.state == "DELETED" then return not_found(request.cluster_id) end
  return { status = 200, body = settings.started.ca, content_type = "application/x-pem-file" }
end

return M
