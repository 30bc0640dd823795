--- Gives a user what is wanted, then asks the server whether it has it.

local errors = require "crdbcloud.errors"
local quote = require "crdbcloud.sql.quote"
local access = require "crdbcloud.privileges.access"
local exact = require "crdbcloud.privileges.exact"
local grants = require "crdbcloud.privileges.grants"
local plan = require "crdbcloud.privileges.plan"
local diff = require "crdbcloud.privileges.diff".diff
local inspection = require "crdbcloud.privileges.inspect"
local refused = require "crdbcloud.privileges.refused"
local run = require "crdbcloud.privileges.run"

local M = {}

local ROUNDS = 3 -- revoking ALL takes wanted privileges along, which the next round gives again

local function failed(kind, message, hint, outcome)
  return errors.new { kind = kind, operation = "privileges.apply", message = message, hint = hint, outcome = outcome or "not_sent" }
end

local function compare(sql, deadline, list, given)
  local databases, tables = access.places(list)
  local found, err = inspection.inspect(sql, deadline, given.user, {
    databases = given.exact and "all" or databases, owned_by_tables = tables, own_only = true,
  })
  if not found then return nil, err end
  if not found.exists then return nil, failed("not_found", ("user %s does not exist"):format(quote.identifier(given.user))) end
  for _, database in ipairs(databases) do
    if not found.objects[database] then
      return nil, failed("not_found", ("database %s does not exist"):format(quote.identifier(database)))
    end
  end
  err = refused.missing_objects(list, found.objects)
  if err then return nil, err end
  local wanted
  wanted, err = grants.expand(list, { dialect = found.dialect, roles = given.roles, objects = found.objects })
  if not wanted then return nil, err end
  local difference = diff(wanted, found.grants, given.user, found.owns)
  return { found = found, wanted = wanted, missing = difference.missing, extra = given.exact and exact.extra(found, difference.extra, list) or {} }
end

-- Everything that can be known before the first statement.
local function check(sql, list, given, state)
  local err = refused.roles(state.found.graph, given.roles)
  if err then return err end
  if given.exact then err = exact.refused(state.found, list, state.extra) end
  if err then return err end
  local own
  own, err = sql:user()
  if not own then return err end
  local changed = {}
  for _, part in ipairs { #state.missing > 0 and state.wanted or {}, state.extra } do
    for _, grant in ipairs(part) do changed[#changed + 1] = grant end
  end
  return exact.maker_refused(state.found, changed, own)
end

local function change(sql, deadline, list, given, state)
  if #state.missing > 0 then
    local statements, err = plan.plan(list, {
      user = given.user, dialect = state.found.dialect, roles = given.roles, objects = state.found.objects,
    })
    if not statements then return nil, err end
    local ok
    ok, err = run.all(sql, deadline, statements)
    if not ok then return nil, err end
  end
  if #state.extra > 0 then
    local ok, err = run.all(sql, deadline, (plan.revoke(state.extra, { user = given.user, dialect = state.found.dialect })))
    if not ok then return nil, #state.missing > 0 and errors.partly(err) or err end
  end
  return true
end

--- What the user lacks of the wanted access; nothing is sent.
---@param sql crdbcloud.sql
---@param deadline number
---@param list table[] normalized access
---@param given {user: string, roles: string[]} folded
---@return table[]|nil single grants
---@return crdbcloud.error|nil
function M.lacks(sql, deadline, list, given)
  local state, err = compare(sql, deadline, list, given)
  return state and state.missing, err
end

--- Gives the access, and with exact takes everything else away. Nothing is sent when nothing is missing.
---@param sql crdbcloud.sql
---@param deadline number
---@param list table[] normalized access
---@param given {user: string, roles: string[], exact: boolean?} folded
---@return true|nil
---@return crdbcloud.error|nil
function M.apply(sql, deadline, list, given)
  local state, err
  for round = 1, ROUNDS do
    state, err = compare(sql, deadline, list, given)
    if not state then return nil, round > 1 and errors.partly(err) or err end
    if round == 1 then
      err = check(sql, list, given, state)
      if err then return nil, err end
    end
    if #state.missing == 0 and #state.extra == 0 then return true end
    if round == ROUNDS then break end
    local ok
    ok, err = change(sql, deadline, list, given, state)
    sql:use_home()
    if not ok then return nil, round > 1 and errors.partly(err) or err end
  end
  local words = {}
  if #state.missing > 0 then words[1] = "the server still lacks " .. grants.summary(state.missing, 5) end
  if #state.extra > 0 then words[#words + 1] = "the server still has " .. grants.summary(state.extra, 5) end
  return nil, failed("sql", table.concat(words, "; "),
    "the SQL user may lack the right to grant it: use a member of admin", "applied")
end

return M
