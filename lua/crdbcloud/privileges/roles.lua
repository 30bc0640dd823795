--- Memberships and what a role may do beyond grants: where a user gets through roles, and what leads to admin or past
--- every grant. Pure.
-- A role that is itself a member of admin hides it from a direct look, so every question here follows memberships to
-- their end.

local M = {}

local ADMIN = "admin"

--- Role options and system privileges that lead to admin, or past every grant: their holder makes users, changes
--- settings and data behind the grants, or reads and restores everything. The worst first.
M.POWERS = {
  "CREATEROLE", "CREATELOGIN", "MODIFYCLUSTERSETTING", "REPAIRCLUSTER", "VIEWSYSTEMTABLE", "BACKUP", "RESTORE",
  "BYPASSRLS", "REPLICATION",
}

-- Roles of PostgreSQL itself that do the same.
local POWER_ROLES = {
  pg_execute_server_program = true, pg_write_server_files = true, pg_read_server_files = true, pg_write_all_data = true,
  pg_read_all_data = true,
}

---@class crdbcloud.privileges.graph
---@field members table<string, {role: string, option: boolean}[]> member -> its direct roles; option: WITH ADMIN OPTION
---@field traits table<string, table> role -> {login, superuser, and true for each role option that is in POWERS, in lower case}
---@field system table<string, {privilege: string, grantable: true?}[]>? role -> its own system privileges (CockroachDB)

--- Roles that name reaches, directly or not, each with the shortest way to it: {"staff", "ops"} is ops through staff.
---@param graph crdbcloud.privileges.graph
---@param name string
---@return table<string, string[]> reached without name itself
---@return boolean option some membership on the way has ADMIN OPTION
function M.reach(graph, name)
  local reached, queue, option = {}, { name }, false
  local at = 1
  while queue[at] do
    local from = queue[at]
    for _, edge in ipairs(graph.members[from] or {}) do
      option = option or edge.option
      if not reached[edge.role] and edge.role ~= name then
        local way = {}
        for i, step in ipairs(reached[from] or {}) do way[i] = step end
        way[#way + 1] = edge.role
        reached[edge.role] = way
        queue[#queue + 1] = edge.role
      end
    end
    at = at + 1
  end
  return reached, option
end

local function own(graph, name)
  return graph.traits[name] or {}
end

local function is_admin(graph, name)
  return name == ADMIN or own(graph, name).superuser == true
end

local function has_system(graph, name, privilege)
  for _, held in ipairs((graph.system or {})[name] or {}) do
    if held.privilege == privilege or held.privilege == "ALL" then return true end
  end
  return false
end

local function has_power(graph, name, power)
  return own(graph, name)[power:lower()] == true or has_system(graph, name, power)
end

--- What a role leads to that an application user must not have: "admin", one of POWERS, a role of PostgreSQL itself
--- such as "pg_write_all_data", "ADMIN OPTION", or nil.
---@param graph crdbcloud.privileges.graph
---@param role string
---@return string|nil
function M.leads_to(graph, role)
  local reached, option = M.reach(graph, role)
  reached[role] = {}
  for name in pairs(reached) do
    if is_admin(graph, name) then return "admin" end
  end
  for _, power in ipairs(M.POWERS) do
    for name in pairs(reached) do
      if has_power(graph, name, power) then return power end
    end
  end
  for name in pairs(reached) do
    if POWER_ROLES[name] then return name end
  end
  return option and "ADMIN OPTION" or nil
end

-- NOSQLLOGIN is an option of the user itself, or a system privilege that may come through a role or everybody.
local function is_kept_out(graph, user, reached)
  local function denies(name)
    for _, held in ipairs((graph.system or {})[name] or {}) do
      if held.privilege == "NOSQLLOGIN" then return true end
    end
    return false
  end
  if own(graph, user).nosqllogin or denies(user) or denies "public" then return true end
  for name in pairs(reached) do
    if denies(name) then return true end
  end
  return false
end

-- Everything beyond grants that a user has, each with the roles it comes through.
local function powers_of(graph, user, reached)
  local list, names = {}, {}
  for name in pairs(reached) do names[#names + 1] = name end
  table.sort(names, function(a, b) return table.concat(reached[a], "\1") < table.concat(reached[b], "\1") end)
  table.insert(names, 1, user)
  names[#names + 1] = "public"
  local function way(name) return name == "public" and { "public" } or reached[name] end
  for _, power in ipairs(M.POWERS) do
    for _, name in ipairs(names) do
      if has_power(graph, name, power) then list[#list + 1] = { privilege = power, via = way(name) } end
    end
  end
  for _, name in ipairs(names) do
    if POWER_ROLES[name] then list[#list + 1] = { privilege = name, via = way(name) } end
  end
  return list
end

--- Everything about one user that memberships and role options decide.
---@param graph crdbcloud.privileges.graph
---@param user string
---@return table {exists, login, superuser, admin, admin_direct, admin_via, admin_option, createrole, createlogin, powers,
---  limited, roles}; powers: {privilege, via} of what leads past grants, via: the roles it comes through, nil: its own;
---  limited: neither an admin nor one with powers that not everybody has
function M.describe(graph, user)
  local traits = graph.traits[user]
  local reached, option = M.reach(graph, user)
  local out = {
    exists = traits ~= nil, login = traits ~= nil and traits.login == true and not is_kept_out(graph, user, reached),
    superuser = own(graph, user).superuser == true, admin_direct = false, admin_via = {}, admin_option = option,
    createrole = has_power(graph, user, "CREATEROLE"), createlogin = has_power(graph, user, "CREATELOGIN"),
    powers = powers_of(graph, user, reached), roles = {},
  }
  for _, edge in ipairs(graph.members[user] or {}) do
    out.roles[#out.roles + 1] = edge.role
    if edge.role == ADMIN then
      out.admin_direct = true
    elseif M.leads_to(graph, edge.role) == "admin" then
      out.admin_via[#out.admin_via + 1] = edge.role
    end
  end
  for name in pairs(reached) do
    out.createrole = out.createrole or has_power(graph, name, "CREATEROLE")
    out.createlogin = out.createlogin or has_power(graph, name, "CREATELOGIN")
  end
  table.sort(out.roles)
  table.sort(out.admin_via)
  out.admin = out.superuser or out.admin_direct or #out.admin_via > 0
  out.limited = not out.admin
  for _, power in ipairs(out.powers) do
    if not power.via or power.via[1] ~= "public" then out.limited = false end
  end
  return out
end

--- What has to be taken from a user so that nothing dangerous is left: direct memberships, ADMIN OPTIONs on harmless
--- roles, options of its own, system privileges of its own.
---@param graph crdbcloud.privileges.graph
---@param user string
---@return {roles: string[], options: string[], own: string[], system: string[]} own: "SUPERUSER" or of POWERS; system: of
---  POWERS, or "ALL"
function M.to_demote(graph, user)
  local out = { roles = {}, options = {}, own = {}, system = {} }
  for _, edge in ipairs(graph.members[user] or {}) do
    if M.leads_to(graph, edge.role) then
      out.roles[#out.roles + 1] = edge.role
    elseif edge.option then
      out.options[#out.options + 1] = edge.role
    end
  end
  table.sort(out.roles)
  table.sort(out.options)
  if own(graph, user).superuser then out.own[1] = "SUPERUSER" end
  local held = {}
  for _, item in ipairs((graph.system or {})[user] or {}) do held[item.privilege] = true end
  for _, power in ipairs(M.POWERS) do
    if own(graph, user)[power:lower()] then out.own[#out.own + 1] = power end
    if held[power] then out.system[#out.system + 1] = power end
  end
  if held.ALL then out.system = { "ALL" } end
  return out
end

return M
