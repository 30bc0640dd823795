--- Whether a user may log in at all, whatever its password: the options LOGIN and NOSQLLOGIN, the system privilege
--- NOSQLLOGIN, and VALID UNTIL, which a server with SCRAM answers in the words of a wrong password.

local errors = require "crdbcloud.errors"
local quote = require "crdbcloud.sql.quote"
local roles = require "crdbcloud.privileges.roles"
local read_roles = require "crdbcloud.privileges.read_roles"
local run = require "crdbcloud.privileges.run"

local M = {}

-- Who denies the login as a system privilege: the user, a role it is in, or everybody; nil: nobody.
local function denied_by(graph, user)
  local function denies(name)
    for _, held in ipairs((graph.system or {})[name] or {}) do
      if held.privilege == "NOSQLLOGIN" then return true end
    end
    return false
  end
  if denies(user) then return user end
  for role in pairs((roles.reach(graph, user))) do
    if denies(role) then return role end
  end
  return denies "public" and "public" or nil
end

--- What keeps a user out. Pure.
---@param graph crdbcloud.privileges.graph
---@param user string folded
---@param validity {valid_until: string?, expired: boolean}
---@return {reason: "no_login"|"expired", message: string, statement: string}|nil nil: nothing but a password
function M.obstacle(graph, user, validity)
  local traits, name = graph.traits[user], quote.identifier(user)
  if not traits then return nil end
  local denier = denied_by(graph, user)
  if traits.nosqllogin then
    return { reason = "no_login", message = user .. " has the option NOSQLLOGIN", statement = ("ALTER ROLE %s WITH SQLLOGIN"):format(name) }
  elseif not traits.login then
    return { reason = "no_login", message = user .. " has the option NOLOGIN", statement = ("ALTER ROLE %s WITH LOGIN"):format(name) }
  elseif denier then
    return {
      reason = "no_login", statement = ("REVOKE SYSTEM NOSQLLOGIN FROM %s"):format(denier == "public" and "PUBLIC" or quote.identifier(denier)),
      message = ("%s has the system privilege NOSQLLOGIN%s"):format(user, denier ~= user and " through " .. denier or ""),
    }
  elseif validity.expired then
    return {
      reason = "expired", message = ("%s: no password of it logs in since %s (VALID UNTIL)"):format(user, validity.valid_until),
      statement = ("ALTER ROLE %s VALID UNTIL 'infinity'"):format(name),
    }
  end
  return nil
end

--- What keeps a user out, by asking the server.
---@param sql crdbcloud.sql
---@param deadline number
---@param user string folded
---@return {reason: "no_login"|"expired", message: string, statement: string}|false|nil false: nothing but a password
---@return crdbcloud.error|nil
function M.look(sql, deadline, user)
  local dialect, err = sql:dialect()
  if not dialect then return nil, err end
  local graph
  graph, err = read_roles.graph(sql, deadline, dialect)
  if not graph then return nil, err end
  local validity
  validity, err = read_roles.validity(sql, deadline, user)
  if not validity then return nil, err end
  return M.obstacle(graph, user, validity) or false
end

--- Gives the option LOGIN or takes it away; giving it is not enough where something else keeps the user out.
---@param sql crdbcloud.sql
---@param deadline number
---@param user string folded
---@param allowed boolean
---@return true|nil
---@return crdbcloud.error|nil
function M.set(sql, deadline, user, allowed)
  local ok, err = run.query(sql, deadline, ("ALTER ROLE %s WITH %s"):format(quote.identifier(user), allowed and "LOGIN" or "NOLOGIN"))
  if not ok or not allowed then return ok and true, err end
  local obstacle
  obstacle, err = M.look(sql, deadline, user)
  if obstacle == nil then return nil, errors.partly(err) end
  -- A new date is for whoever set the old one; a new password does not need it.
  if obstacle and obstacle.reason == "no_login" then
    return nil, errors.new {
      kind = "conflict", operation = "privileges.set_login", outcome = "applied",
      message = ("%s may still not log in: %s"):format(quote.identifier(user), obstacle.message), hint = "run: " .. obstacle.statement,
    }
  end
  return true
end

return M
