--- The access of a pair: a role without login has it, and both users are members.
-- What one member has beside the role, or owns, the other cannot use; that difference is called drift.

local errors = require "crdbcloud.errors"
local privileges = require "crdbcloud.privileges"
local quote = require "crdbcloud.sql.quote"
local record = require "crdbcloud.record"

local M = {}

local SHOWN = 5 -- differences of one kind that a warning spells out
local DUPLICATE_OBJECT = "42710"

local function taken(what, name)
  return errors.new {
    kind = "already_exists", outcome = "not_sent", operation = "create_app_user",
    message = ("a %s %s exists and is not ours; nothing of it was changed"):format(what, name),
    hint = "choose another name for the pair",
  }
end

--- Checks before a pair is begun that the names of its role and its partner are free.
---@param ctx table
---@param pair table
---@return true|nil
---@return crdbcloud.error|nil
function M.check_free(ctx, pair)
  local sql, err = ctx:sql()
  if not sql then return nil, err end
  local found
  found, err = privileges.inspect(sql, pair.role)
  if not found then return nil, err end
  if found.exists then return nil, taken("role", pair.role) end
  return M.check_partner(ctx, pair)
end

--- Checks that the partner's name is free, on the cluster and in the store.
function M.check_partner(ctx, pair)
  local rec, err = ctx.store:get(record.key(ctx.id, pair.partner))
  if not rec and err then return nil, err end
  local exists
  if not rec then exists, err = ctx:user_exists(pair.partner) end
  if not rec and exists == nil then return nil, err end
  if rec or exists then return nil, taken("user", pair.partner) end
  return true
end

-- Whether an existing role can come from our own cut attempt: it may do nothing, and only our users are its members.
local function is_ours(sql, rec)
  local pair = rec.pair
  local found, err = privileges.inspect(sql, pair.role)
  if not found then return nil, err end
  local harmless = not found.login and found.limited
  for member, edges in pairs(found.graph.members) do
    for _, edge in ipairs(edges) do
      if edge.role == pair.role and member ~= rec.user and member ~= pair.partner then harmless = false end
    end
  end
  return harmless
end

local function note_role(entry, state)
  local pair = record.copy(entry.rec.pair)
  pair.role_state = state
  return entry:save(record.amend(entry.rec, { pair = pair }))
end

-- CREATE ROLE may stay unanswered like any other change, so its intent is durable first.
local function make_role(ctx, entry, sql)
  local pair = entry.rec.pair
  local again = pair.role_state == "making"
  local ok, err
  if not again then
    ok, err = note_role(entry, "making")
    if not ok then return nil, err end
  end
  ctx:progress { step = "role", user = entry.user, text = "creating the role " .. pair.role }
  ok, err = sql:query("CREATE ROLE " .. quote.identifier(pair.role))
  if not ok then
    if err.sqlstate ~= DUPLICATE_OBJECT then return nil, err end
    local ours = again
    if again then
      ours, err = is_ours(sql, entry.rec)
      if ours == nil then return nil, err end
    end
    if not ours then
      ok, err = note_role(entry, nil)
      if not ok then return nil, err end
      return nil, taken("role", pair.role)
    end
  end
  return note_role(entry, "made")
end

--- Gives a member of a pair its access: the role, which is made where it is missing.
---@param ctx table
---@param entry table held; of the pair or of its partner
---@param sql table
---@return true|nil
---@return crdbcloud.error|nil
function M.grant(ctx, entry, sql)
  local rec = entry.rec
  if rec.pair_of then return privileges.apply(sql, {}, { user = rec.user, roles = rec.roles }) end
  if rec.pair.role_state ~= "made" then
    local ok, err = make_role(ctx, entry, sql)
    if not ok then return nil, err end
  end
  local role = rec.pair.role
  local ok, err = privileges.apply(sql, rec.access or {}, { user = role, roles = rec.roles })
  if not ok then return nil, err end
  return privileges.apply(sql, {}, { user = rec.user, roles = { role } })
end

--- The statements of M.grant, for plans.
---@return string[]
function M.statements(pair, wanted, dialect)
  local list = { "CREATE ROLE " .. quote.identifier(pair.role) }
  for _, part in ipairs {
    privileges.plan(wanted.access, { user = pair.role, dialect = dialect, roles = wanted.roles }),
    privileges.plan({}, { user = wanted.user, dialect = dialect, roles = { pair.role }, revoke_admin = true }),
  } do
    for _, text in ipairs(part) do list[#list + 1] = text end
  end
  return list
end

-- The first few of a list as text, and how many more there are.
local function shown(list)
  local parts = {}
  for i = 1, math.min(#list, SHOWN) do parts[i] = list[i] end
  local more = #list - #parts
  return table.concat(parts, ", ") .. (more > 0 and (" and %d more"):format(more) or "")
end

local function described(found, role)
  local set, owned = {}, {}
  for _, grant in ipairs(found.grants) do
    if not (grant.on == "role" and grant.name == role) then set[privileges.describe(grant)] = true end
  end
  for i, thing in ipairs(found.owns) do
    owned[i] = thing.on .. " " .. table.concat({ thing.database, thing.schema, thing.name }, ".")
  end
  return set, owned
end

local function only_in(a, b)
  local list = {}
  for text in pairs(a) do
    if not b[text] then list[#list + 1] = text end
  end
  table.sort(list)
  return list
end

local function in_role(found, role)
  for _, name in ipairs(found.roles) do
    if name == role then return true end
  end
  return false
end

--- Pure: how the access of the two members differs.
---@param a table inspection of one member, as of crdbcloud.privileges.inspect
---@param b table of the other
---@param role string the pair's role
---@return { user: string, text: string, lacks: boolean }[] lacks: the user can do less than the other
function M.differences(a, b, role)
  local list = {}
  local function add(user, lacks, text, ...) list[#list + 1] = { user = user, lacks = lacks, text = text:format(...) } end
  local set, owned = {}, {}
  set[a], owned[a] = described(a, role)
  set[b], owned[b] = described(b, role)
  for _, two in ipairs { { a, b }, { b, a } } do
    local one, other = two[1], two[2]
    if not one.exists then
      add(one.user, true, "%s does not exist", one.user)
    else
      if not in_role(one, role) then add(one.user, true, "%s is not a member of %s", one.user, role) end
      if not one.login and other.login then add(one.user, true, "%s may not log in", one.user) end
      if one.admin then
        add(one.user, false, "%s is an admin", one.user)
      elseif one.limited == false then
        add(one.user, false, "%s has %s, which leads past every grant", one.user, one.powers[1].privilege)
      end
      local alone = only_in(set[one], set[other])
      if #alone > 0 then add(one.user, false, "only %s has %s", one.user, shown(alone)) end
      if #owned[one] > 0 then
        add(one.user, false, "%s owns %s, which %s may not alter or drop; ALTER ... OWNER TO %s shares it", one.user,
          shown(owned[one]), other.user, quote.identifier(role))
      end
    end
  end
  return list
end

-- The databases in which the pair has access; only these are compared.
local function databases(rec)
  local list, seen = {}, {}
  for _, item in ipairs(rec.access or {}) do
    if not seen[item.database] then
      seen[item.database] = true
      list[#list + 1] = item.database
    end
  end
  return list
end

--- How the access of the two members differs on the server.
---@param sql table
---@param rec table record of the pair
---@return table[]|nil as of M.differences
---@return crdbcloud.error|nil
function M.drift(sql, rec)
  local found = {}
  for i, user in ipairs { rec.user, rec.pair.partner } do
    local err
    found[i], err = privileges.inspect(sql, user, { databases = databases(rec) })
    if not found[i] then return nil, err end
  end
  return M.differences(found[1], found[2], rec.pair.role)
end

--- Warns of drift before a member becomes active. A member that can do less than the other does not become active,
--- except in an emergency.
---@param ctx table
---@param rec table record of the pair
---@param to string
---@return true|nil
---@return crdbcloud.error|nil err kind "conflict", reason "drift"
function M.check_drift(ctx, rec, to)
  if not ctx.cluster:has_sql() then return true end
  local sql, err = ctx:sql()
  local list
  if sql then list, err = M.drift(sql, rec) end
  if not list then
    ctx:warn(("%s: whether its two users have the same access could not be looked at: %s"):format(rec.user, err.message))
    return true
  end
  local lacking
  for _, difference in ipairs(list) do
    ctx:warn(("%s: access differs: %s"):format(rec.user, difference.text))
    if difference.lacks and difference.user == to then lacking = lacking or difference.text end
  end
  if not lacking or ctx.emergency or rec.disabled then return true end
  return nil, errors.new {
    kind = "conflict", reason = "drift", outcome = "not_sent", operation = "rotate_password",
    message = ("%s: %s, so it does not become the active one"):format(rec.user, lacking),
    hint = ("GRANT %s TO %s, or whatever is missing; then rotate again"):format(quote.identifier(rec.pair.role), quote.identifier(to)),
  }
end

--- Takes the role away once nobody is in it any more.
---@param sql table
---@param pair table
---@param reassign_to string|nil role that gets what it owns
---@return true|nil
---@return crdbcloud.error|nil
function M.drop_role(sql, pair, reassign_to)
  if pair.role_state ~= "made" then return true end
  local found, err = privileges.plan_removal(sql, pair.role, { reassign_to = reassign_to })
  if not found or not found.exists then return found and true, err end
  local ok
  ok, err = privileges.clear_for_drop(sql, pair.role, { reassign_to = reassign_to })
  if ok then ok, err = sql:query("DROP ROLE " .. quote.identifier(pair.role)) end
  return ok and true, err
end

return M
