--- Memberships: where a user gets through roles, and which roles lead to admin. Pure.
-- A role that is itself a member of admin hides it from a direct look, so every question here follows memberships to
-- their end.

local M = {}

local ADMIN = "admin"

---@class crdbcloud.privileges.graph
---@field members table<string, {role: string, option: boolean}[]> member -> its direct roles; option: WITH ADMIN OPTION
---@field traits table<string, {login: boolean, superuser: boolean, createrole: boolean, createlogin: boolean}>

--- Roles that name reaches, directly or not, and itself; each with the direct role through which.
---@param graph crdbcloud.privileges.graph
---@param name string
---@return table<string, true> reached without name itself
---@return boolean option some membership on the way has ADMIN OPTION
function M.reach(graph, name)
  local reached, queue, option = {}, { name }, false
  local at = 1
  while queue[at] do
    for _, edge in ipairs(graph.members[queue[at]] or {}) do
      option = option or edge.option
      if not reached[edge.role] and edge.role ~= name then
        reached[edge.role] = true
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

--- What a role leads to that an application user must not have: "admin", "ADMIN OPTION", "CREATEROLE", "CREATELOGIN",
--- or nil.
---@param graph crdbcloud.privileges.graph
---@param role string
---@return string|nil
function M.leads_to(graph, role)
  local reached, option = M.reach(graph, role)
  reached[role] = true
  for name in pairs(reached) do
    if is_admin(graph, name) then return "admin" end
  end
  for name in pairs(reached) do
    if own(graph, name).createrole then return "CREATEROLE" end
  end
  for name in pairs(reached) do
    if own(graph, name).createlogin then return "CREATELOGIN" end
  end
  return option and "ADMIN OPTION" or nil
end

--- Everything about one user that memberships and role options decide.
---@param graph crdbcloud.privileges.graph
---@param user string
---@return table {exists, login, superuser, admin, admin_direct, admin_via, admin_option, createrole, createlogin, roles}
function M.describe(graph, user)
  local traits = graph.traits[user]
  local reached, option = M.reach(graph, user)
  local out = {
    exists = traits ~= nil, login = traits ~= nil and traits.login == true,
    superuser = own(graph, user).superuser == true, admin_direct = false, admin_via = {}, admin_option = option,
    createrole = own(graph, user).createrole == true, createlogin = own(graph, user).createlogin == true, roles = {},
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
    out.createrole = out.createrole or own(graph, name).createrole == true
    out.createlogin = out.createlogin or own(graph, name).createlogin == true
  end
  table.sort(out.roles)
  table.sort(out.admin_via)
  out.admin = out.superuser or out.admin_direct or #out.admin_via > 0
  return out
end

--- What has to be taken from a user so that nothing dangerous is left: direct memberships, ADMIN OPTIONs on harmless
--- roles, and options of its own.
---@param graph crdbcloud.privileges.graph
---@param user string
---@return {roles: string[], options: string[], own: string[]} own: "SUPERUSER", "CREATEROLE", "CREATELOGIN"
function M.to_demote(graph, user)
  local out = { roles = {}, options = {}, own = {} }
  for _, edge in ipairs(graph.members[user] or {}) do
    if M.leads_to(graph, edge.role) then
      out.roles[#out.roles + 1] = edge.role
    elseif edge.option then
      out.options[#out.options + 1] = edge.role
    end
  end
  table.sort(out.roles)
  table.sort(out.options)
  for _, name in ipairs { "superuser", "createrole", "createlogin" } do
    if own(graph, user)[name] then out.own[#out.own + 1] = name:upper() end
  end
  return out
end

return M
