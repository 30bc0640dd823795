--- `disable_user` and `enable_user`: take the login of a user away and give it back. Password and access stay.

local context = require "crdbcloud.run.context"
local errors = require "crdbcloud.errors"
local names = require "crdbcloud.names"
local report = require "crdbcloud.run.report"
local pairs_of = require "crdbcloud.change.pair"
local privileges = require "crdbcloud.privileges"
local record = require "crdbcloud.record"
local rules = require "crdbcloud.run.rules"

local M = {}

local OPTIONS = { user = "text", dry_run = "boolean", reason = "line", on_progress = "function" }

local function refuse(message)
  return errors.new { kind = "invalid_argument", outcome = "not_sent", message = message }
end

-- Sets the attribute of one user.
local function set_one(sql, user, allowed)
  local ok, err = privileges.set_login(sql, user, allowed)
  if not ok then return nil, err end
  if allowed then return 0 end
  local ended
  ended, err = privileges.cancel_sessions(sql, user)
  if ended then return ended end
  errors.partly(err)
  err.hint = "it may not log in any more; run: " .. privileges.cancel_statement(user, (sql:dialect()))
  return nil, err
end

-- Sets the attribute and notes it in the record, if there is one.
local function set(ctx, entry, allowed)
  if entry.rec and entry.rec.pair_of then return nil, pairs_of.is_partner(entry.rec, ctx.operation) end
  local sql, err = ctx:sql()
  if not sql then return nil, err end
  local users
  users, err = pairs_of.users(ctx, entry)
  if not users then return nil, err end
  if ctx.dry_run then
    return { result = allowed and "enable" or "disable", note = ("%s %s log in"):format(table.concat(users, ", "), allowed and "may" or "may not") }
  end
  local ended = 0
  for i, user in ipairs(users) do
    local n
    n, err = set_one(sql, user, allowed)
    if not n then
      if i > 1 then
        errors.partly(err).hint = err.hint or ("%s is done, %s is not: call %s again"):format(users[1], user, ctx.operation)
      end
      return nil, err
    end
    ended = ended + n
  end
  if entry.rec then
    local ok
    ok, err = entry:save(record.amend(entry.rec, { disabled = not allowed or record.NONE }))
    if not ok then
      err.outcome, err.exit = "applied", 6
      return nil, err
    end
  end
  return { note = allowed and "may log in" or "may not log in", sessions_cancelled = not allowed and ended or nil }
end

local function run(cluster, operation, opts, allowed)
  local err
  opts, err = rules.one_user(OPTIONS, opts, operation)
  if not opts then return nil, err end
  local user = opts.user
  if names.is_protected(user) then return nil, refuse(user .. " is protected") end
  if user == cluster:sql_account() then return nil, refuse(user .. " is the account of the SQL connection itself") end
  local ctx
  ctx, err = context.new(cluster, operation, opts)
  if not ctx then return nil, err end
  return report.finish(ctx, { (ctx:user_row(user, set, allowed)) })
end

--- Takes the login away and ends the user's sessions.
---@param cluster table
---@param opts string|table user, dry_run, reason, on_progress
---@return table|nil report
---@return crdbcloud.error|nil
function M.disable_user(cluster, opts)
  return run(cluster, "disable_user", opts, false)
end

--- Gives the login back.
---@param cluster table
---@param opts string|table user, dry_run, reason, on_progress
---@return table|nil report
---@return crdbcloud.error|nil
function M.enable_user(cluster, opts)
  return run(cluster, "enable_user", opts, true)
end

return M
