-- Which operation a method and path mean. A path is split first and its parts are decoded then,
-- so that a name may hold an escaped slash.

local audit = require "api.audit"
local clusters = require "api.clusters"
local users = require "api.users"

local M = {}

-- Each operation takes the request and returns an answer.
local OPERATIONS = {
  list_clusters = clusters.list,
  get_cluster = clusters.get,
  get_connection_string = clusters.connection_string,
  get_cluster_cert = clusters.certificate,
  list_sql_users = users.list,
  create_sql_user = users.create,
  delete_sql_user = users.delete,
  update_sql_user_password = users.set_password,
  list_databases = users.databases,
  list_audit_logs = audit.list,
}

-- "*" takes the cluster's id, "@" the user's name.
local ROUTES = {
  { path = "clusters", GET = "list_clusters" },
  { path = "clusters/*", GET = "get_cluster" },
  { path = "clusters/*/connection-string", GET = "get_connection_string" },
  { path = "clusters/*/databases", GET = "list_databases" },
  { path = "clusters/*/sql-users", GET = "list_sql_users", POST = "create_sql_user" },
  { path = "clusters/*/sql-users/@", DELETE = "delete_sql_user" },
  { path = "clusters/*/sql-users/@/password", PUT = "update_sql_user_password" },
  { path = "auditlogevents", GET = "list_audit_logs" },
}

local function split(path)
  local parts = {}
  for part in (path .. "/"):gmatch("([^/]*)/") do parts[#parts + 1] = ngx.unescape_uri((part:gsub("%+", "%%2B"))) end
  return parts
end

local function match(route, parts)
  local pattern = split(route.path)
  if #pattern ~= #parts then return nil end
  local found = {}
  for i, part in ipairs(pattern) do
    if part == "*" then
      found.cluster_id = parts[i]
    elseif part == "@" then
      found.name = parts[i]
    elseif part ~= parts[i] then
      return nil
    end
  end
  return found
end

--- Finds the operation.
--- @param method string
--- @param path string as it was sent, without the query
--- @return table|nil found `{ operation, cluster_id, name, public }`; `{ known = true }` for a known path without this method
function M.find(method, path)
  local certificate = match({ path = "clusters/*/cert" }, split(path:sub(2)))
  if certificate and method == "GET" then
    certificate.operation, certificate.public = "get_cluster_cert", true
    return certificate
  end
  if path:sub(1, 8) ~= "/api/v1/" then return nil end
  local parts = split(path:sub(9))
  for _, route in ipairs(ROUTES) do
    local found = match(route, parts)
    if found then
      if not route[method] then return { known = true } end
      found.operation = route[method]
      return found
    end
  end
  return nil
end

--- Carries out an operation.
function M.run(request) return OPERATIONS[request.operation](request) end

--- Whether there is such an operation (for faults).
function M.exists(operation) return OPERATIONS[operation] ~= nil end

return M
