--- Takes admin away from a user, and everything else that leads there or past every grant; then looks again.

local errors = require "crdbcloud.errors"
local names = require "crdbcloud.names"
local quote = require "crdbcloud.sql.quote"
local roles = require "crdbcloud.privileges.roles"
local read_roles = require "crdbcloud.privileges.read_roles"
local run = require "crdbcloud.privileges.run"

local M = {}

local function failed(kind, message, outcome)
  return errors.new { kind = kind, operation = "privileges.demote", message = message, outcome = outcome or "not_sent" }
end

--- The statements that take away what leads to admin or past every grant. Pure.
---@param user string folded
---@param wanted {roles: string[], options: string[], own: string[], system: string[]} of roles.to_demote
---@return string[] statements
---@return string[] revoked in words
function M.statements(user, wanted)
  local quoted, statements, revoked = quote.identifier(user), {}, {}
  for _, role in ipairs(wanted.roles) do
    statements[#statements + 1] = ("REVOKE %s FROM %s"):format(quote.identifier(role), quoted)
    revoked[#revoked + 1] = role
  end
  for _, role in ipairs(wanted.options) do
    statements[#statements + 1] = ("REVOKE ADMIN OPTION FOR %s FROM %s"):format(quote.identifier(role), quoted)
    revoked[#revoked + 1] = "ADMIN OPTION FOR " .. role
  end
  if #wanted.own > 0 then
    statements[#statements + 1] = ("ALTER ROLE %s WITH NO%s"):format(quoted, table.concat(wanted.own, " NO"))
    for _, name in ipairs(wanted.own) do revoked[#revoked + 1] = name end
  end
  if #wanted.system > 0 then
    statements[#statements + 1] = ("REVOKE SYSTEM %s FROM %s"):format(table.concat(wanted.system, ", "), quoted)
    for _, name in ipairs(wanted.system) do revoked[#revoked + 1] = "SYSTEM " .. name end
  end
  return statements, revoked
end

-- What is still there, in words; nil when nothing is.
local function left_over(graph, user)
  local left = roles.describe(graph, user)
  if left.admin then
    return "is still an admin" .. (#left.admin_via > 0 and " through " .. table.concat(left.admin_via, ", ") or "")
  end
  -- What everybody has is listed last, and cannot be taken from one alone.
  local power = not left.limited and left.powers[1]
  if not power then return nil end
  return ("still has %s%s"):format(power.privilege, power.via and " through " .. table.concat(power.via, ", ") or "")
end

--- Takes admin from a user, memberships that lead to it too, and whatever else leads past grants; then looks again.
---@param sql crdbcloud.sql
---@param deadline number
---@param user string folded
---@return {revoked: string[]}|nil
---@return crdbcloud.error|nil
function M.demote(sql, deadline, user)
  local dialect, err = sql:dialect()
  if not dialect then return nil, err end
  local own
  own, err = sql:user()
  if not own then return nil, err end
  if names.is_protected(user) or user == own then
    return nil, failed("invalid_argument", ("%s is %s and is not demoted"):format(quote.identifier(user),
      user == own and "the SQL connection's own user" or "a user of the cluster itself"))
  end
  local graph
  graph, err = read_roles.graph(sql, deadline, dialect)
  if not graph then return nil, err end
  if not graph.traits[user] then return nil, failed("not_found", ("user %s does not exist"):format(quote.identifier(user))) end
  local statements, revoked = M.statements(user, roles.to_demote(graph, user))
  for i, text in ipairs(statements) do
    local ok
    ok, err = run.query(sql, deadline, text)
    if not ok then
      err.message = ("%s (statement: %s)"):format(err.message, text)
      if err.sqlstate == "42501" then
        err.hint = ("the SQL user must hold admin WITH ADMIN OPTION: GRANT admin TO %s WITH ADMIN OPTION"):format(quote.identifier(own))
      end
      return nil, i > 1 and errors.partly(err) or err
    end
  end
  graph, err = read_roles.graph(sql, deadline, dialect)
  if not graph then return nil, #statements > 0 and errors.partly(err) or err end
  local left = left_over(graph, user)
  if left then return nil, failed("sql", ("%s %s"):format(quote.identifier(user), left), "applied") end
  return { revoked = revoked }
end

return M
