--- What stands in the way of DROP ROLE, in every database, and the statements that take it out of the way. All of it is
--- asked for before anything is changed; what no statement can do is an error that names it.

local errors = require "crdbcloud.errors"
local printing = require "crdbcloud.base.printing"
local quote = require "crdbcloud.sql.quote"
local read_roles = require "crdbcloud.privileges.read_roles"
local run = require "crdbcloud.privileges.run"

local M = {}

local ROUNDS = 3 -- what others add while we work is met by another look

local READERS = {
  cockroachdb = "crdbcloud.privileges.removal_cockroachdb", postgresql = "crdbcloud.privileges.removal_postgresql",
}

---@class crdbcloud.privileges.obstacle something that we cannot take out of the way
---@field what string in words: "schedule 12 (nightly)"
---@field run string|nil the statement that a person may run

---@class crdbcloud.privileges.removal
---@field exists boolean
---@field statements crdbcloud.privileges.statements empty when nothing stands in the way
---@field owns string[] what it owns, in words

local function refused(message, hint)
  return errors.new { kind = "conflict", operation = "remove_app_user", outcome = "not_sent", message = message, hint = hint }
end

-- The first of a list and how many more.
local function first_of(list, noun)
  return list[1] .. (#list > 1 and (" and %s more"):format(printing.count(#list - 1, noun)) or "")
end

local function owner_error(user, owns)
  return refused(("%s owns %s, the first is %s"):format(user, printing.count(#owns, "object"), owns[1]), "say who gets them: reassign_to = ROLE")
end

local function obstacle_error(user, obstacles)
  local words, statements = {}, {}
  for i, obstacle in ipairs(obstacles) do
    words[i] = obstacle.what
    if obstacle.run then statements[#statements + 1] = obstacle.run end
  end
  return refused(("%s cannot be dropped because of %s, which is not for us to change"):format(user, first_of(words, "thing")),
    #statements > 0 and "run: " .. table.concat(statements, "; ") or "no statement is known for it; `crdbcloud user disable` keeps the user out")
end

--- Looks at everything that blocks DROP ROLE.
---@param sql crdbcloud.sql
---@param deadline number
---@param user string folded; a role as well
---@param given {reassign_to: string?} reassign_to: folded name of the role that gets what the user owns
---@return crdbcloud.privileges.removal|nil
---@return crdbcloud.error|nil err kind "conflict", outcome "not_sent": what cannot be done, with the statement
function M.plan(sql, deadline, user, given)
  local dialect, err = sql:dialect()
  if not dialect then return nil, err end
  local graph
  graph, err = read_roles.graph(sql, deadline, dialect)
  if not graph then return nil, err end
  if not graph.traits[user] then return { exists = false, statements = {}, owns = {} } end
  local to = given.reassign_to
  if to and not graph.traits[to] then
    return nil, refused(("the role %s, which would get what %s owns, does not exist"):format(quote.identifier(to), user),
      "CREATE ROLE " .. quote.identifier(to) .. ", or name another: reassign_to = ROLE")
  end
  local found
  found, err = require(READERS[dialect]).look(sql, deadline, user, to)
  if not found then return nil, err end
  if #found.owns > 0 and not to then return nil, owner_error(user, found.owns) end
  if #found.obstacles > 0 then return nil, obstacle_error(user, found.obstacles) end
  return { exists = true, statements = found.statements, owns = found.owns }
end

--- Takes everything out of the way of DROP ROLE, and looks again until nothing is left.
---@param sql crdbcloud.sql
---@param deadline number
---@param user string
---@param given {reassign_to: string?}
---@return true|nil
---@return crdbcloud.error|nil
function M.clear(sql, deadline, user, given)
  local plan, err
  for round = 1, ROUNDS do
    plan, err = M.plan(sql, deadline, user, given)
    if not plan then return nil, round > 1 and errors.partly(err) or err end
    if #plan.statements == 0 then return true end
    local ok
    ok, err = run.all(sql, deadline, plan.statements)
    sql:use_home()
    if not ok then return nil, round > 1 and errors.partly(err) or err end
  end
  plan, err = M.plan(sql, deadline, user, given)
  if plan and #plan.statements == 0 then return true end
  return nil, errors.partly(err or refused(("%s still stands in the way of dropping %s"):format(plan.statements[#plan.statements], user)))
end

return M
