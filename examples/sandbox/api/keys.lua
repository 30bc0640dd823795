-- API keys of the sandbox and what each may do.

local settings = require "api.settings"

local M = {}

local VANITY_NAME = "sandbox-org"

-- Roles of each key. CREATOR_ADMIN stands for the Cluster Admin role that a Cluster Creator gets
-- on the clusters it made; here that is the first one only.
local ROLES = {
  admin = { CLUSTER_ADMIN = true },
  other = { CLUSTER_ADMIN = true },
  creator = { CLUSTER_CREATOR = true, CREATOR_ADMIN = true },
  developer = { CLUSTER_DEVELOPER = true },
  readonly = { ORG_MEMBER = true },
  org_admin = { ORG_ADMIN = true, CLUSTER_ADMIN = true },
  jwt = { CLUSTER_ADMIN = true },
}

local READERS = { "CLUSTER_ADMIN", "CLUSTER_OPERATOR_WRITER", "CLUSTER_DEVELOPER", "CREATOR_ADMIN" }
local WRITERS = { "CLUSTER_ADMIN", "CREATOR_ADMIN" }

-- Operations that are not listed need a valid key and no role.
local NEEDS = {
  list_sql_users = READERS,
  list_databases = READERS,
  create_sql_user = WRITERS,
  delete_sql_user = WRITERS,
  update_sql_user_password = WRITERS,
  list_audit_logs = { "ORG_ADMIN" },
}

--- Finds the account of a request.
--- @param headers table request headers, names in lower case
--- @return table|nil account `{ name, id }`; the id is the part of the key that may be logged
function M.account(headers)
  local authorization = headers["authorization"]
  if type(authorization) ~= "string" then return nil end
  local scheme, secret = authorization:match("^(%S+) +(%S+)$")
  if not scheme or scheme:lower() ~= "bearer" then return nil end
  for name, key in pairs(settings.started.keys) do
    if key == secret and ROLES[name] then
      if name == "jwt" then
        if headers["cc-vanity-name"] ~= VANITY_NAME then return nil end
        return { name = name, id = "jwt" }
      end
      return { name = name, id = key:match("^CCDB1_%w+") }
    end
  end
  return nil
end

--- Whether the account may do this on this cluster (an id, or nil).
function M.allowed(account, operation, cluster_id)
  local needed = NEEDS[operation]
  if not needed then return true end
  local roles = ROLES[account.name]
  for _, role in ipairs(needed) do
    if roles[role] and (role ~= "CREATOR_ADMIN" or cluster_id == settings.started.clusters.one) then return true end
  end
  return false
end

return M
