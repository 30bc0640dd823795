--- Whether the user of a record is still what `create_app_user` made: a limited user that may log in. The server is asked
--- before a new password is sent, before one is published, and when the same creation is asked for again.

local errors = require "crdbcloud.errors"
local record = require "crdbcloud.record"
local standing = require "crdbcloud.privileges.standing"

local M = {}

local FRESH = 1 -- seconds for which one look serves the next step of the same user

-- Where a record says that we made or took over the user, alone or as one of a pair.
local OURS = { create_app_user = true, pair = true }

-- Reasons that `allow_admin` lets through.
local ALLOWED = { is_admin = true, has_power = true }

-- Reasons in which the password would open more than the record says. An emergency that cannot log in still gets its
-- password, since nobody else may use it either.
local NEVER_PUBLISHED = { is_admin = true, has_power = true, made_anew = true, gone = true }

-- Reasons that taking the user over anew (`adopt`) mends.
local ADOPTED = { is_admin = true, has_power = true, made_anew = true, wrong_password = true }

--- True of a record whose user must be a limited one.
---@param rec table|nil
function M.concerns(rec)
  return rec ~= nil and OURS[rec.origin] == true and not record.is_creating(rec)
end

-- What makes the user more than a limited one, in words.
local function beyond(found)
  if found.admin then
    if found.superuser then return "is_admin", "is a superuser" end
    return "is_admin", found.admin_direct and "is an admin" or "is an admin through " .. table.concat(found.admin_via, ", ")
  end
  local power = not found.limited and found.powers[1]
  if not power then return nil end
  return "has_power", ("has %s%s, which leads past every grant"):format(power.privilege,
    power.via and " through " .. table.concat(power.via, ", ") or "")
end

--- Pure: what of a user is not as its record says; nil when all of it is.
---@param found crdbcloud.standing
---@param rec { role_id: string|nil, disabled: boolean|nil, pair: table|nil, pair_of: string|nil }
---@return { reason: string, text: string, statement: string|nil }|nil reason: "gone", "made_anew", "is_admin", "has_power",
---  "no_login", "expired"
function M.finding(found, rec)
  if not found.exists then return { reason = "gone", text = "is not on the server any more" } end
  local reason, text = beyond(found)
  if rec.role_id and found.id and rec.role_id ~= found.id then
    return { reason = "made_anew", text = "was deleted and made again by somebody else" .. (text and ", and " .. text or "") }
  end
  if reason then return { reason = reason, text = text } end
  local obstacle = found.obstacle
  -- A pair has rules of its own for a user that may not log in: it does not become the active one.
  if not obstacle or rec.pair or rec.pair_of or rec.disabled and obstacle.reason == "no_login" then return nil end
  return { reason = obstacle.reason, text = "may not log in: " .. obstacle.message, statement = obstacle.statement }
end

--- Pure: what follows from a finding.
---@param finding { reason: string }|nil
---@param o { occasion: "send"|"publish"|"again", emergency: boolean|nil, allow_admin: boolean|nil, adopt: boolean|nil }
---@return "go"|"warn"|"refuse"|"withhold"|"take_over" action refuse: nothing is sent; withhold: nothing is published
function M.decide(finding, o)
  if not finding then return "go" end
  local reason = finding.reason
  if o.occasion == "again" then return o.adopt and ADOPTED[reason] and "take_over" or "refuse" end
  if o.allow_admin and ALLOWED[reason] then return "warn" end
  if o.occasion == "send" then
    -- A new password locks out whoever has the old one, also where the user has become an admin.
    return o.emergency and "warn" or "refuse"
  end
  return o.emergency and not NEVER_PUBLISHED[reason] and "warn" or "withhold"
end

-- What a person can do about it; each names a command that works.
local function hint_of(user, finding, occasion)
  local reason = finding.reason
  local after = occasion == "publish" and "; then `crdbcloud rotate resume`" or ""
  if ALLOWED[reason] then
    return ("`crdbcloud app-user grant %s --no-admin` takes it away%s; or --allow-admin, if it is meant"):format(user, after)
  elseif reason == "made_anew" then
    return ("`crdbcloud app-user create %s … --adopt` takes it over: demoted, with a new password"):format(user)
  elseif reason == "gone" then
    return ("`crdbcloud app-user remove %s` forgets its record; then create it again"):format(user)
  end
  return ("`crdbcloud user enable %s`, or run: %s%s"):format(user, finding.statement, after)
end

--- The error of a finding.
---@param user string
---@param finding { reason: string, text: string, statement: string|nil }
---@param action "refuse"|"withhold"
---@param occasion "send"|"publish"|"again"
---@return crdbcloud.error
function M.error(user, finding, action, occasion)
  local withheld = action == "withhold"
  return errors.new {
    kind = "conflict", reason = finding.reason, outcome = withheld and "applied" or "not_sent",
    exit = withheld and 6 or occasion == "send" and 3 or 1,
    message = ("%s %s%s"):format(user, finding.text, withheld and "; its password is not published" or ""),
    hint = hint_of(user, finding, occasion),
  }
end

-- The error of a server that could not be asked.
local function unseen(rec, err, occasion)
  local withheld = occasion == "publish"
  return errors.new {
    kind = err.kind, sqlstate = err.sqlstate, cause = err, outcome = withheld and "applied" or "not_sent", exit = withheld and 6 or nil,
    reason = "not_looked_at", retryable = err.retryable,
    message = ("%s: whether it is an admin by now could not be looked at%s: %s"):format(rec.user,
      withheld and ", so its password is not published" or "", err.message),
    hint = withheld and "mend the SQL connection, then `crdbcloud rotate resume`" or "mend the SQL connection; nothing was changed",
  }
end

--- Looks at all users of the server at once, for a plan or a status.
---@param cluster table the handle
---@param operation string
---@return (fun(rec: table): table|nil, string|nil)|nil of a record: its finding, and the server's number of the role
---@return crdbcloud.error|nil
function M.survey(cluster, operation)
  local sql, err = cluster:open_sql(operation)
  if not sql then return nil, err end
  local of
  of, err = standing.look(sql)
  if not of then return nil, err end
  return function(rec)
    local found = of(rec.user)
    return M.finding(found, rec), found.id
  end
end

--- The server's own number of a role, for its record; nil where the server does not say.
---@param sql crdbcloud.sql
---@param user string
---@return string|nil id
---@return crdbcloud.error|nil
function M.role_id(sql, user)
  local of, err = standing.look(sql)
  if not of then return nil, err end
  return of(user).id
end

--- Acts on a finding: true to go on, or the error that stops the user's work.
---@param ctx table
---@param rec table
---@param finding table|nil
---@param occasion "send"|"publish"
---@return true|nil
---@return crdbcloud.error|nil
function M.act(ctx, rec, finding, occasion)
  local action = M.decide(finding, {
    occasion = occasion, emergency = ctx.emergency, allow_admin = ctx.allow_admin or rec.asked and rec.asked.allow_admin,
  })
  if action == "go" then return true end
  if action ~= "warn" then return nil, M.error(rec.user, finding, action, occasion) end
  ctx:warn(("security: %s %s"):format(rec.user, finding.text))
  return true
end

--- Looks at the user of a record before its password is sent or published.
---@param ctx table
---@param rec table
---@param occasion "send"|"publish"
---@return true|nil
---@return crdbcloud.error|nil
function M.check(ctx, rec, occasion)
  if not M.concerns(rec) then return true end
  local now, seen = ctx:monotonic(), ctx.seen or {}
  ctx.seen = seen
  if seen[rec.user] and seen[rec.user].occasion == occasion and now - seen[rec.user].at < FRESH then return true end
  if not ctx.cluster:has_sql() then
    ctx:warn "without a SQL connection nobody looks whether an application user has become an admin"
    return true
  end
  local finding_of, err = M.survey(ctx.cluster, ctx.operation)
  if not finding_of then
    if not ctx.emergency then return nil, unseen(rec, err, occasion) end
    ctx:warn(unseen(rec, err, "send").message)
    return true
  end
  local ok
  ok, err = M.act(ctx, rec, finding_of(rec), occasion)
  if ok then seen[rec.user] = { at = ctx:monotonic(), occasion = occasion } end
  return ok, err
end

return M
