--- What decides whether a user's password may be handed out: whether it is there, an admin by any way, kept from its login,
--- and still the same role. Of one user or of many, by one look at the server.

local login = require "crdbcloud.privileges.login"
local read_roles = require "crdbcloud.privileges.read_roles"
local roles = require "crdbcloud.privileges.roles"
local run = require "crdbcloud.privileges.run"

local M = {}

local TIMEOUT = 60 -- seconds for one look

---@class crdbcloud.standing as of roles.describe, and
---@field user string
---@field id string|nil the server's own number of the role, another one once it was made anew; nil: the server does not say
---@field obstacle {reason: "no_login"|"expired", message: string, statement: string}|nil what keeps it from its login

--- Looks at the server once.
---@param sql crdbcloud.sql
---@return (fun(user: string): crdbcloud.standing|nil, crdbcloud.error|nil)|nil of a folded name
---@return crdbcloud.error|nil
function M.look(sql)
  local deadline = run.deadline(TIMEOUT)
  local dialect, err = sql:dialect()
  if not dialect then return nil, err end
  local graph
  graph, err = read_roles.graph(sql, deadline, dialect)
  if not graph then return nil, err end
  local identities
  identities, err = read_roles.identities(sql, deadline, dialect)
  if not identities then return nil, err end
  return function(user)
    local out, who = roles.describe(graph, user), identities[user] or {}
    out.user, out.id = user, who.id
    out.obstacle = login.obstacle(graph, user, { valid_until = who.valid_until, expired = who.expired == true })
    return out
  end
end

return M
