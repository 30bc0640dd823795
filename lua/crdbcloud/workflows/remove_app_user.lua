--- `remove_app_user`: deletes a user that owns nothing any more, and then its record, once the API has confirmed it.

local context = require "crdbcloud.run.context"
local errors = require "crdbcloud.errors"
local names = require "crdbcloud.names"
local report = require "crdbcloud.run.report"
local pair = require "crdbcloud.change.pair"
local pair_access = require "crdbcloud.change.pair.access"
local privileges = require "crdbcloud.privileges"
local quote = require "crdbcloud.sql.quote"
local record = require "crdbcloud.record"
local rules = require "crdbcloud.run.rules"

local M = {}

local OPTIONS = {
  user = "text", reassign_to = "text", clean_sinks = "boolean", reason = "line", on_progress = "function", dry_run = "boolean",
}

-- The error of a user that is changed already but not deleted.
local function half_removed(err)
  errors.partly(err)
  if not err.hint or err.outcome == "unknown" then err.hint = "`crdbcloud rotate resume` goes on where it stopped" end
  return nil, err
end

local function unsettled(user)
  return errors.new {
    kind = "pending", outcome = "not_sent", exit = 3, message = user .. ": its creation is not settled",
    hint = "`crdbcloud rotate resume` settles it first",
  }
end

-- The users to delete and, of a pair, the role.
---@return string[]|nil users the partner first
---@return string|nil|crdbcloud.error role
local function members(ctx, entry)
  local users, err = pair.users(ctx, entry)
  if not users then return nil, err end
  local rec = entry.rec
  return { users[2] or users[1], users[2] and users[1] }, rec and rec.pair and rec.pair.role_state == "made" and rec.pair.role or nil
end

-- Everything that is in the way of each of them; an error of what no statement of ours can do comes before any change.
---@return { statements: string[], exists: boolean }|nil
---@return crdbcloud.error|nil
local function plan(ctx, sql, entry, wanted)
  local users, role = members(ctx, entry)
  if not users then return nil, role end
  local out = { statements = {}, exists = false }
  local function add(text) out.statements[#out.statements + 1] = text end
  for _, name in ipairs { users[1], users[2] or role, users[2] and role } do
    local found, err = privileges.plan_removal(sql, name, { reassign_to = wanted.reassign_to })
    if not found then return nil, err end
    out.exists = out.exists or found.exists and name == entry.user
    if found.exists and name ~= role then add(("ALTER ROLE %s WITH NOLOGIN"):format(quote.identifier(name))) end
    for _, text in ipairs(found.statements) do add(text) end
    if found.exists and name == role then add("DROP ROLE " .. quote.identifier(role)) end
  end
  return out
end

-- Login, sessions, and what blocks DROP ROLE. Running it again goes on where it was cut off.
local function strip(ctx, sql, user, wanted)
  local found, err = privileges.plan_removal(sql, user, { reassign_to = wanted.reassign_to })
  if not found then return nil, err end
  if not found.exists then return "gone" end
  local ok
  ok, err = privileges.set_login(sql, user, false)
  if not ok then return nil, err end
  ok, err = privileges.cancel_sessions(sql, user)
  if not ok then return half_removed(err) end
  ok, err = privileges.clear_for_drop(sql, user, { reassign_to = wanted.reassign_to })
  if not ok then return half_removed(err) end
  ctx:progress { step = "strip", user = user, text = "login, sessions and access taken away" }
  return "there"
end

-- Strips one user, deletes it by the API and then its sinks and its record.
local function remove_one(ctx, entry, wanted)
  local sql, err = ctx:sql()
  if not sql then return nil, err end
  local state
  state, err = strip(ctx, sql, entry.user, wanted)
  if not state then return nil, err end
  local value
  value, err = ctx.cloud:delete_sql_user(ctx.id, entry.user)
  if not value then
    -- The user may be gone already, which is as good; but a 404 may mean the cluster.
    if err.kind ~= "not_found" or ctx:user_exists(entry.user) ~= false then return half_removed(err) end
  end
  return state
end

-- What was published stays where nobody can log in with it any more, unless it is to be removed, too.
---@return string[]|nil left names of sinks that still hold it
---@return crdbcloud.error|nil
local function clean_sinks(ctx, entry, clean)
  local left = {}
  local rec = entry.rec
  local published = rec.published and next(rec.published) ~= nil
  for _, sink in ipairs(published and ctx:sinks_of(entry.user, rec) or {}) do
    local gone, err
    if clean and sink.remove then
      gone, err = sink:remove(ctx:credential(rec, rec.current or rec.staged))
      if not gone then
        err.outcome, err.exit = "applied", 6
        return nil, err
      end
      ctx:progress { step = "clean", user = entry.user, text = "removed from " .. sink.name }
    else
      left[#left + 1] = sink.name
    end
  end
  return left
end

-- The partner of a pair goes first and the role last, so that the record stays until all else is gone.
local function remove_all(ctx, entry, wanted)
  local rec = entry.rec
  local users, role = members(ctx, entry)
  if not users then return nil, role end
  local state, err
  if users[2] then
    state, err = ctx:with(users[1], function(held)
      if held.rec and held.rec.state == "posting" then return nil, unsettled(held.user) end
      local done, why = remove_one(ctx, held, wanted)
      if not done then return nil, why end
      local ok
      ok, why = held:forget()
      if not ok then return half_removed(why) end
      return done
    end)
    if not state then return nil, err end
  end
  state, err = remove_one(ctx, entry, wanted)
  if not state then return nil, users[2] and errors.partly(err) or err end
  if role then
    local sql, ok
    sql, err = ctx:sql()
    if sql then ok, err = pair_access.drop_role(sql, rec.pair, wanted.reassign_to) end
    if not ok then return half_removed(err) end
  end
  local left
  left, err = clean_sinks(ctx, entry, wanted.clean_sinks)
  if not left then return nil, err end
  local ok
  ok, err = entry:forget()
  if not ok then return half_removed(err) end
  local note = state == "gone" and (rec.state ~= "unmanaged" and "the cluster has no such user; its record is what is left"
    or "there is no such user") or "removed"
  if #left > 0 then
    note = ("%s; its password, which logs in no more, is still in %s%s"):format(note, table.concat(left, " "),
      wanted.clean_sinks and "" or " (clean_sinks = true removes it)")
  end
  return { note = note, sinks_left = #left > 0 and left or nil }
end

--- Goes on with the removal that a record tells of.
---@param ctx table
---@param entry crdbcloud.entry held
---@return table|nil fields of the report's row
---@return crdbcloud.error|nil
function M.finish(ctx, entry)
  return remove_all(ctx, entry, entry.rec.removing)
end

local function planned(found, entry, wanted)
  local note = ("%d statements take away what is in the way"):format(#found.statements)
  if not found.exists then note = entry.rec and "the cluster has no such user; its record is what is left" or "there is no such user" end
  return { result = "remove", note = note, statements = found.statements, clean_sinks = wanted.clean_sinks }
end

local function remove_held(ctx, entry, asked)
  local before = entry.rec
  if before and before.pair_of then return nil, pair.is_partner(before, "remove_app_user") end
  local begun = before and before.removing or {}
  local wanted = { reassign_to = asked.reassign_to or begun.reassign_to, clean_sinks = asked.clean_sinks or begun.clean_sinks }
  local sql, err = ctx:sql()
  if not sql then return nil, err end
  local found
  found, err = plan(ctx, sql, entry, wanted)
  if not found then return nil, err end
  if ctx.dry_run then return planned(found, entry, wanted) end
  -- Durable before the first statement, so that `resume` finishes it.
  local ok
  ok, err = entry:save(record.amend(before or ctx:journal(entry.user), { removing = wanted }))
  if not ok then return nil, err end
  local done
  done, err = remove_all(ctx, entry, wanted)
  if done or err.outcome == "applied" or err.outcome == "unknown" or before and before.removing then return done, err end
  -- Nothing was changed, so the record is as before.
  if before then ok = entry:save(record.copy(before)) else ok = entry:forget() end
  if not ok then ctx:warn(entry.user .. ": `crdbcloud rotate resume` will try to remove it again") end
  return nil, err
end

--- Removes a user: no login, sessions ended, objects handed over, grants revoked,
--- deleted by the API, then forgotten by the store.
---@param cluster table
---@param opts table|string user (required), reassign_to (role that gets what the user owns), clean_sinks (what was published
---  is removed, too), dry_run, reason, on_progress
---@return table|nil report
---@return crdbcloud.error|nil
function M.remove_app_user(cluster, opts)
  local err
  opts, err = rules.one_user(OPTIONS, opts, "remove_app_user")
  if not opts then return nil, err end
  local user = opts.user
  if opts.reassign_to then
    opts.reassign_to = names.fold(opts.reassign_to)
    if opts.reassign_to == user then errors.raise("remove_app_user: reassign_to is the user itself") end
  end
  if names.is_protected(user) or user == cluster:sql_account() then
    return nil, errors.new {
      kind = "invalid_argument", outcome = "not_sent", operation = "remove_app_user",
      message = user .. (names.is_protected(user) and " is protected" or " is the account of the SQL connection itself"),
    }
  end
  local ctx
  ctx, err = context.new(cluster, "remove_app_user", opts)
  if not ctx then return nil, err end
  local rec, problem = ctx.store:get(record.key(ctx.id, user))
  if not rec and errors.is(problem) then return nil, problem end
  if rec and record.is_creating(rec) and rec.state == "posting" then
    return nil, unsettled(user)
  end
  return report.finish(ctx, { (ctx:user_row(user, remove_held, opts)) })
end

return M
