--- The creation of a limited user, entered at whatever state its record is in.
--
-- planned -> posting -> posted -> demoted -> granted, then as a rotation. The API makes every user an admin, so the
-- user is made with a throwaway password that nobody gets. The final password is set once the user is no admin, and
-- published after a second look. Each creation proves that API and SQL are one cluster: on the server of the SQL
-- connection there is no such role before the POST, and an admin of that name after it.

local decide = require "crdbcloud.change.decide"
local errors = require "crdbcloud.errors"
local pair_access = require "crdbcloud.change.pair.access"
local passwords = require "crdbcloud.passwords"
local privileges = require "crdbcloud.privileges"
local proof = require "crdbcloud.change.proof"
local record = require "crdbcloud.record"
local send = require "crdbcloud.change.send"
local steps = require "crdbcloud.change.finish"

local M = {}

local POST = "create_sql_user"
local SQL_TIME = 60 -- seconds that the statements of one step may take, as in crdbcloud.privileges
local LOGIN_TRIES = 4
local MAX_DEMOTIONS = 3 -- in one run; more means that somebody grants admin again

--- The error of a user that somebody else made.
---@param user string
---@param outcome crdbcloud.outcome
---@return crdbcloud.error
function M.theirs(user, outcome)
  return errors.new {
    kind = "already_exists", outcome = outcome, operation = "create_app_user",
    message = ("a user %s exists and is not ours; nothing of it was changed"):format(user),
    hint = "choose another name, or adopt = true to take it over (it gets a new password and loses admin)",
  }
end

local function open_question(entry, err, why)
  return errors.new {
    kind = "pending", outcome = "unknown", operation = POST, cause = err, reason = err and err.reason,
    message = ("creating %s was sent and not answered, and %s"):format(entry.user, why),
    hint = "`crdbcloud rotate resume` settles it; nobody has been given a password",
  }
end

-- Finds out whose the existing user is, by a login with the throwaway. A password change never serves for that.
local function claim(ctx, entry, err)
  local rec = entry.rec
  local verdict
  for try = 1, LOGIN_TRIES do
    verdict = ctx:probe(rec, rec.bootstrap.password)
    if not decide.login_may_recover(verdict) or try == LOGIN_TRIES then break end
    -- A user that was made just now takes a moment to reach every node of a cluster.
    ctx:sleep(0.1 * 4 ^ (try - 1))
  end
  local whose = decide.whose(verdict)
  if whose == "ours" then return entry:save(record.move(rec, "posted", { seen = true })) end
  if whose == "unknown" then
    return nil, open_question(entry, err, "no login is possible to see whose it is (" .. verdict .. ")")
  end
  -- A late request of ours would be refused with "already exists". The throwaway is kept until it can no longer arrive.
  if record.unknown_sends(rec, 0, POST) > 0 and record.unsettled(rec, entry:instant()) then
    local ok, store_err = entry:save(record.amend(rec, { flags = { contested = true } }))
    if not ok then return nil, store_err end
  else
    local ok, store_err = entry:forget()
    if not ok then return nil, store_err end
  end
  return nil, M.theirs(entry.user, "rejected")
end

-- Ends a POST that was refused or never sent: no user was made, so the record goes.
local function give_up(entry, err)
  if record.unknown_sends(entry.rec, 0, POST) > 0 then
    local ok, store_err = entry:save(entry.rec)
    if not ok then return nil, store_err end
    return nil, open_question(entry, err, "it is not known whether it was made")
  end
  local ok, store_err = entry:forget()
  if not ok then return nil, store_err end
  return nil, err
end

-- Marks an error as one that leaves a user which may still be an admin.
local function still_admin(entry, err)
  err.outcome, err.exit = "applied", 3
  err.hint = ("%s exists and may still be an admin; nobody has its password; %s`crdbcloud rotate resume` demotes it first thing")
    :format(entry.user, err.reason == "other_cluster" and "with the SQL connection of the cluster " or "")
  return nil, err
end

-- What the SQL server has of the user.
---@return "absent"|"admin"|"there"|nil
local function on_sql(ctx, entry)
  local sql, err = ctx:sql()
  local found
  if sql then found, err = privileges.inspect(sql, entry.user) end
  if not found then return nil, err end
  return not found.exists and "absent" or found.admin and "admin" or "there"
end

-- Before the POST: the name is free on the SQL server too.
local function is_free(ctx, entry)
  local what, err = on_sql(ctx, entry)
  if what == "absent" then return true end
  if what then
    err = errors.new {
      kind = "already_exists", operation = "create_app_user",
      message = ("the SQL server has a role %s, though the API lists no such user"):format(entry.user),
      hint = "choose another name, or drop that role",
    }
  end
  err.outcome = "not_sent"
  return nil, err
end

-- After the POST: the user that the API made is on the SQL server, an admin, or one that the throwaway logs in as.
local function is_here(ctx, entry)
  local what, err
  for try = 1, LOGIN_TRIES do
    what, err = on_sql(ctx, entry)
    if what == "admin" then return true end
    if what == "there" and entry.rec.bootstrap and ctx:probe(entry.rec, entry.rec.bootstrap.password) == "accepted" then return true end
    -- A user that was made just now takes a moment to reach every node of a cluster.
    if not what or try == LOGIN_TRIES then break end
    ctx:sleep(0.1 * 4 ^ (try - 1))
  end
  return nil, err or errors.new {
    kind = "conflict", operation = "create_app_user", reason = "other_cluster",
    message = ("the API made %s, but %s: SQL goes to another cluster"):format(entry.user,
      what == "absent" and "the SQL server has no such role" or "the role on the SQL server is no admin, and the throwaway password is not its own"),
  }
end

-- planned or posting -> posted
local function post(ctx, entry)
  local stopped = entry.rec.state == "planned" and ctx:stopped()
  if stopped then return give_up(entry, stopped) end
  if entry.rec.state == "planned" then
    local free, err = is_free(ctx, entry)
    if not free then return give_up(entry, err) end
  end
  local deadline = ctx:monotonic() + ctx.cloud.config.deadline
  local attempt = 0
  while true do
    local open = record.unknown_sends(entry.rec, 0, POST) > 0
    if open then
      local exists, err = ctx:user_exists(entry.user)
      if exists == nil then return nil, open_question(entry, err, "the users cannot be listed") end
      if exists then return claim(ctx, entry, err) end
    end
    attempt = attempt + 1
    ctx:progress { step = "create", user = entry.user, text = "creating the user with a throwaway password" }
    local value, err, where = entry:send {
      op = POST, state = "posting", epoch = 0, password = entry.rec.bootstrap.password, deadline = deadline,
    }
    if value then return entry:save(record.move(entry.rec, "posted", {})) end
    if where == "store" then
      ctx.stop = err
      if open then return nil, open_question(entry, err, "the store failed") end
      return nil, err
    end
    -- A gateway may have sent our own POST twice: the user may be ours.
    if err.kind == "already_exists" then return claim(ctx, entry, err) end
    if err.outcome == "rejected" and err.reason ~= "locked" and err.reason ~= "not_ready" then
      return give_up(entry, err)
    end
    if not ctx:wait_again(entry.user, err, attempt, deadline) then
      if err.outcome ~= "unknown" then return give_up(entry, err) end
      local exists, list_err = ctx:user_exists(entry.user)
      if exists then return claim(ctx, entry, err) end
      local ok, store_err = entry:save(entry.rec)
      if not ok then return nil, store_err end
      return nil, open_question(entry, list_err or err, "it is not known whether it was made")
    end
  end
end

-- A process that was stopped for longer than its lease must not change by SQL a user that another run has taken over.
local function still_ours(entry)
  local ok, err = entry:holds(SQL_TIME)
  if ok then return true end
  err.outcome, err.exit = "applied", 3
  return nil, err
end

-- posted (or later) -> demoted: takes admin away, and memberships that lead to it.
local function demote(ctx, entry)
  local sql, err = ctx:sql()
  if not sql then return still_admin(entry, err) end
  local result
  if entry.rec.state == "posted" and not entry.rec.seen and not entry.rec.adopted then
    result, err = is_here(ctx, entry)
    -- Written down first: once it is demoted, it cannot be recognised as an admin any more.
    if result then result, err = entry:save(record.amend(entry.rec, { seen = true })) end
    if not result then return still_admin(entry, err) end
  end
  result, err = still_ours(entry)
  if not result then return nil, err end
  result, err = privileges.demote(sql, entry.user)
  if not result then return still_admin(entry, err) end
  ctx:progress { step = "demote", user = entry.user, text = "admin revoked" }
  return entry:save(record.move(entry.rec, "demoted", { demote = record.NONE }))
end

local function half_made(err)
  err.outcome, err.exit = "applied", 3
  err.hint = err.hint or "the user exists, is no admin and nobody has its password; `crdbcloud rotate resume` goes on"
  return nil, err
end

-- demoted -> granted
local function grant(ctx, entry)
  local sql, err = ctx:sql()
  if not sql then return half_made(err) end
  local rec = entry.rec
  local ok
  ok, err = still_ours(entry)
  if not ok then return nil, err end
  if rec.pair or rec.pair_of then
    ok, err = pair_access.grant(ctx, entry, sql)
    rec = entry.rec
  else
    ok, err = privileges.apply(sql, rec.access or {}, { user = rec.user, roles = rec.roles })
  end
  if not ok then return half_made(err) end
  ctx:progress { step = "grant", user = rec.user, text = "access granted and compared" }
  local id
  id, err = proof.role_id(sql, rec.user)
  if err then return half_made(err) end
  return entry:save(record.move(rec, "granted", { role_id = id or record.NONE }))
end

-- Looks again between SEND and VERIFY: a password that was an admin's is dropped.
local function guard(ctx, entry)
  local sql, err = ctx:sql()
  if not sql then return half_made(err) end
  local found
  found, err = privileges.inspect(sql, entry.user)
  if not found then return half_made(err) end
  if found.limited then
    if not entry.rec.adopted then return {} end
    -- Whoever knew the old password may still be connected.
    local cancelled
    cancelled, err = privileges.cancel_sessions(sql, entry.user)
    if not cancelled then return half_made(err) end
    return { sessions_cancelled = cancelled }
  end
  ctx:warn(("security: %s was %s again after its password was set; that password is dropped"):format(entry.user,
    found.admin and "an admin" or "given " .. found.powers[1].privilege))
  local rec = entry.rec
  local candidates = record.copy(rec.candidates or {})
  candidates[#candidates + 1] = { epoch = rec.staged.epoch, password = rec.staged.password, withheld = true }
  local ok
  ok, err = entry:save(record.move(rec, "demoted", { staged = record.NONE, candidates = candidates, demote = true }))
  if not ok then return nil, err end
  return nil, errors.new { kind = "conflict", reason = "admin_again", message = entry.user .. ": is an admin again" }
end

-- granted -> idle, with the final password.
local function hand_over(ctx, entry, password, note)
  if entry.rec.state == "granted" then
    local ok, err = send.stage(ctx, entry, password)
    if not ok then return half_made(err) end
  end
  return steps.finish(ctx, entry, note, entry.rec.creating and guard or nil)
end

--- Goes from the record's state to idle. What a pair publishes is left to crdbcloud.change.pair.
---@param ctx table
---@param entry table held, with a record
---@param password? userdata the caller's own, for the stage
---@param note? string for the report
---@return crdbcloud.done|nil
---@return crdbcloud.error|nil
function M.finish(ctx, entry, password, note)
  for _ = 1, MAX_DEMOTIONS do
    local state = entry.rec.state
    if state == "planned" or state == "posting" then
      local ok, err = post(ctx, entry)
      if not ok then return nil, err end
      state = entry.rec.state
    end
    if state == "posted" or entry.rec.demote then
      local ok, err = demote(ctx, entry)
      if not ok then return nil, err end
      state = entry.rec.state
    end
    if state == "demoted" then
      local ok, err = grant(ctx, entry)
      if not ok then return nil, err end
    end
    local done, err = hand_over(ctx, entry, password, note)
    if done or err.reason ~= "admin_again" then return done, err end
  end
  return still_admin(entry, errors.new {
    kind = "conflict", message = ("%s: somebody makes it an admin again and again"):format(entry.user),
  })
end

--- The throwaway password that the user is made with. It is durable before the POST, nobody gets it, and it is wiped once
--- the final password has logged in.
---@return table bootstrap
function M.bootstrap()
  return { password = passwords.generate {} }
end

return M
