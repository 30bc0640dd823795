--- `remove_app_user`: deletes a user that owns nothing any more, and its record
--- only once the API has confirmed it.

local context = require "crdbcloud.workflows.context"
local errors = require "crdbcloud.errors"
local names = require "crdbcloud.names"
local options = require "crdbcloud.options"
local outcome = require "crdbcloud.workflows.outcome"
local privileges = require "crdbcloud.privileges"
local quote = require "crdbcloud.sql.quote"
local record = require "crdbcloud.record"

local M = {}

local OPTIONS = { user = "text", reassign_to = "text", reason = "text", on_progress = "function", dry_run = "boolean" }

-- From here on the user is changed but not gone.
local function half_removed(err)
  err.outcome, err.exit = err.outcome == "unknown" and "unknown" or "applied", err.outcome == "unknown" and 5 or 3
  err.hint = err.hint or "call remove_app_user again; it goes on where it stopped"
  return nil, err
end

-- Databases in which the user owns something.
local function owned_databases(owns)
  local list, seen = {}, {}
  for _, thing in ipairs(owns) do
    if not seen[thing.database] then
      seen[thing.database] = true
      list[#list + 1] = thing.database
    end
  end
  return list
end

local function reassign(sql, user, to, owns)
  for _, database in ipairs(owned_databases(owns)) do
    local there, err = sql:database(database)
    if not there then return nil, err end
    local dialect = sql:dialect()
    if dialect == "cockroachdb" then
      local ok
      ok, err = sql:use(database)
      if not ok then return nil, err end
    end
    local ok
    ok, err = there:query(("REASSIGN OWNED BY %s TO %s"):format(quote.identifier(user), quote.identifier(to)))
    if dialect == "cockroachdb" then sql:use_home() end
    if not ok then return nil, err end
  end
  return true
end

-- Ends what the user has on the SQL side: login, sessions, grants, ownership.
local function strip(ctx, entry, wanted)
  local sql, err = ctx:sql()
  if not sql then return nil, err end
  local found
  found, err = privileges.inspect(sql, entry.user, { databases = "all" })
  if not found then return nil, err end
  if not found.exists then return true end
  if found.owns and #found.owns > 0 and not wanted.reassign_to then
    local first = found.owns[1]
    return nil, errors.new {
      kind = "conflict", outcome = "not_sent", operation = "remove_app_user",
      message = ("%s owns %d objects, the first is %s %s"):format(entry.user, #found.owns, first.on,
        table.concat({ first.database, first.schema, first.name }, ".")),
      hint = "say who gets them: reassign_to = ROLE",
    }
  end
  if wanted.dry_run then return true end
  local ok
  ok, err = privileges.set_login(sql, entry.user, false)
  if not ok then return nil, err end
  ok, err = privileges.cancel_sessions(sql, entry.user)
  if not ok then return half_removed(err) end
  if found.owns and #found.owns > 0 then
    ok, err = reassign(sql, entry.user, wanted.reassign_to, found.owns)
    if not ok then return half_removed(err) end
  end
  ok, err = privileges.apply(sql, {}, { user = entry.user, roles = {}, exact = true })
  if not ok then return half_removed(err) end
  ctx:progress { step = "strip", user = entry.user, text = "login, sessions and access taken away" }
  return true
end

local function remove_held(ctx, entry, wanted)
  local ok, err = strip(ctx, entry, wanted)
  if not ok then return nil, err end
  if wanted.dry_run then return { result = "remove", note = "owns nothing that is in the way" } end
  local value
  value, err = ctx.cloud:delete_sql_user(ctx.id, entry.user)
  if not value then
    -- Gone already is what was wanted; but a 404 may speak of the cluster.
    if err.kind ~= "not_found" or ctx:user_exists(entry.user) ~= false then return half_removed(err) end
  end
  if entry.rec then
    ok, err = entry:forget()
    if not ok then return half_removed(err) end
  end
  return { note = "removed" }
end

--- Removes a user: no login, sessions ended, objects handed over, grants revoked,
--- deleted by the API, then forgotten by the store.
---@param cluster table
---@param opts table|string user (required), reassign_to (role that gets what the user owns), dry_run, reason, on_progress
---@return table|nil report
---@return crdbcloud.error|nil
function M.remove_app_user(cluster, opts)
  if type(opts) == "string" then opts = { user = opts } end
  opts = options.check(OPTIONS, opts, "remove_app_user", "caller")
  if not opts.user then errors.raise("caller", "remove_app_user: user is missing") end
  local user, err = names.check(opts.user)
  if not user then return nil, err end
  if opts.reassign_to then
    opts.reassign_to = names.fold(opts.reassign_to)
    if opts.reassign_to == user then errors.raise("caller", "remove_app_user: reassign_to is the user itself") end
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
    return nil, context.pending(user, "its creation is not settled", {
      outcome = "not_sent", exit = 3, hint = "`crdbcloud rotate resume` settles it first",
    })
  end
  local row = ctx:user_row(user, remove_held, opts)
  return outcome.finish(ctx, { row }, { dry_run = opts.dry_run }, opts.dry_run and row.result == "remove")
end

return M
