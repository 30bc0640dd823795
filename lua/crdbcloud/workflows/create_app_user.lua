--- `create_app_user`: makes a user with limited access whose password was never an admin's.

local again = require "crdbcloud.change.again"
local context = require "crdbcloud.run.context"
local core = require "crdbcloud.core"
local creation = require "crdbcloud.change.create"
local errors = require "crdbcloud.errors"
local json = require "crdbcloud.base.json"
local names = require "crdbcloud.names"
local options = require "crdbcloud.base.options"
local report = require "crdbcloud.run.report"
local pair = require "crdbcloud.change.pair"
local pair_access = require "crdbcloud.change.pair.access"
local pair_rules = require "crdbcloud.change.pair.rules"
local passwords = require "crdbcloud.passwords"
local privileges = require "crdbcloud.privileges"
local proof = require "crdbcloud.change.proof"
local record = require "crdbcloud.record"
local rules = require "crdbcloud.run.rules"
local resume = require "crdbcloud.workflows.resume"
local selection = require "crdbcloud.run.selection"
local sinks = require "crdbcloud.sinks"
local spool = require "crdbcloud.run.spool"
local steps = require "crdbcloud.change.finish"

local M = {}

local OPTIONS = {
  name = "string", access = "table", roles = rules.names, owner = "line", description = "line", labels = rules.labels,
  sinks = rules.sinks,
  password = "text|secret", adopt = "boolean", dry_run = "boolean", reason = "line", on_progress = "function",
  verify = rules.verify,
  max_age = "duration",
  via = function(value, name)
    if value == "api" then return value end
    errors.raise('%s must be "api" in this version, got %s', name, errors.shown(value))
  end,
  pair = "boolean", ttl = rules.later,
}

-- A value as text that is equal for lists of the same items in any order.
local function canonical(value)
  if type(value) ~= "table" then return json.encode(value) end
  local parts = {}
  for k, v in pairs(value) do
    parts[#parts + 1] = (type(k) == "number" and "" or tostring(k) .. "=") .. canonical(v)
  end
  table.sort(parts)
  return "{" .. table.concat(parts, ",") .. "}"
end

local function same_access(rec, wanted)
  return canonical(rec.access or {}) == canonical(wanted.access or {})
    and canonical(rec.roles or {}) == canonical(wanted.roles or {})
end

-- Checks everything that can be refused before anything is sent.
local function check(opts)
  if opts.name == nil then errors.raise("create_app_user: name is missing") end
  if opts.access == nil and opts.roles == nil then
    errors.raise('create_app_user: access is missing, e.g. access = { database = "shop", tables = "*", preset = "readonly" }')
  end
  local user, err = names.check(opts.name)
  if not user then return nil, err end
  local access = {}
  if opts.access then
    access, err = privileges.normalize(opts.access)
    if not access then return nil, err end
  end
  local password = opts.password
  if password then
    local ok
    ok, err = passwords.check(password, { user = user })
    if not ok then return nil, err end
    if type(password) == "string" then password = core.secret(password) end
  end
  local roles
  roles, err = rules.folded(opts.roles)
  if not roles then return nil, err end
  if opts.pair then
    local _, why = pair_rules.new(user, 0)
    if why then return nil, why end
  end
  return { user = user, access = access, roles = roles, password = password, pair = opts.pair == true }
end

-- The options besides access that differ from the record, as changes of the record and as their names.
local function changes_of(rec, opts)
  local changes, changed = {}, {}
  for _, name in ipairs { "owner", "description", "labels", "max_age" } do
    if opts[name] ~= nil and canonical(opts[name]) ~= canonical(rec[name] or "") then
      changes[name], changed[#changed + 1] = opts[name], name
    end
  end
  local list, known_sinks = record.copy(rec.sinks or {}), {}
  for _, spec in ipairs(list) do known_sinks[sinks.id(spec)] = true end
  local before = #list
  for _, spec in ipairs(opts.sinks or {}) do
    if not known_sinks[sinks.id(spec)] then list[#list + 1] = spec end
  end
  if #list > before then
    changes.sinks, changed[#changed + 1] = list, "sinks"
    if rec.pair then
      changes.pair = record.copy(rec.pair)
      changes.pair.epoch, changes.pair.switching = rec.pair.epoch + 1, { phase = "publishing", to = rec.pair.active }
    else
      changes.flags = { unpublished = true }
    end
  end
  return changes, changed
end

-- What the same creation again would do, by a look at everything that the record says.
local function plan_again(ctx, row, rec, opts)
  local seen, err = again.look(ctx, { user = rec.user, rec = rec })
  if not seen then return nil, err end
  row.proof = seen.proof
  if seen.problem then
    local taken = not rec.pair and proof.decide(seen.problem, { occasion = "again", adopt = opts.adopt }) == "take_over"
    row.result, row.note = taken and "adopt" or "blocked", seen.problem.text
    return true
  end
  local changed = select(2, changes_of(rec, opts))
  if seen.mend.access then changed[#changed + 1] = "access" end
  for _, name in ipairs(seen.mend.sinks) do changed[#changed + 1] = name end
  row.result = #changed > 0 and "change" or "unchanged"
  row.note = #changed > 0 and table.concat(changed, ", ") or nil
  return true
end

local function dry_row(ctx, wanted, sql, exists, rec, opts)
  local row = {
    user = wanted.user, epoch = rec and rec.epoch or nil, sinks = ctx:sink_names(wanted.user, rec or { sinks = opts.sinks }),
  }
  if rec and record.is_open(rec) then
    row.result = "finish"
  elseif rec and rec.origin == "create_app_user" then
    local ok, err = plan_again(ctx, row, rec, opts)
    if not ok then return nil, err end
  elseif exists and not opts.adopt then
    row.result, row.note = "blocked", "a user of that name exists"
  else
    row.result, row.note = exists and "adopt" or "create", "throwaway password, demoted, granted, then its own password"
  end
  if wanted.pair then
    row.statements = pair_access.statements(pair_rules.new(wanted.user, 0), wanted, (sql:dialect()))
    return row
  end
  row.statements = privileges.plan(wanted.access, {
    user = wanted.user, dialect = sql:dialect(), roles = wanted.roles, revoke_admin = true,
  })
  return row
end

-- The pair that is asked for. The names of its partner and its role must be free.
local function new_pair(ctx, wanted, epoch)
  if not wanted.pair then return nil end
  local made, err = pair_rules.new(wanted.user, epoch)
  if not made then return nil, err end
  local free
  free, err = pair_access.check_free(ctx, made)
  return free and made, err
end

local function check_sinks(ctx, rec, password)
  if rec.pair then
    local list, err = pair.sinks(ctx, rec)
    if not list then return nil, err end
  end
  local free, clash = selection.check_sinks(ctx, rec)
  if not free then return nil, clash end
  return ctx:check_sinks(rec, password)
end

-- Takes over a user whose password the store has, whatever access it has.
local function take_over(ctx, entry, wanted, opts)
  local own_pair, err = new_pair(ctx, wanted, entry.rec.epoch)
  if err then return nil, err end
  local rec = record.move(entry.rec, "posted", {
    origin = "create_app_user", creating = true, adopted = true, access = wanted.access, roles = wanted.roles,
    owner = opts.owner or entry.rec.owner, sinks = opts.sinks or entry.rec.sinks, pair = own_pair,
  })
  local ok
  ok, err = check_sinks(ctx, rec, wanted.password)
  if not ok then return nil, err end
  ok, err = entry:save(rec)
  if not ok then return nil, err end
  return pair.create(ctx, entry, wanted.password, "adopted")
end

-- Looks whether the user is as the record says, mends what is ours to mend, saves changed metadata, and gives a new sink the
-- credential.
local function amend(ctx, entry, wanted, opts)
  local rec = entry.rec
  local seen, look_err = again.look(ctx, entry)
  if not seen then
    look_err.outcome = look_err.outcome or "not_sent"
    return nil, look_err
  end
  entry.proof = seen.proof
  if seen.problem then
    local action = proof.decide(seen.problem, { occasion = "again", adopt = opts.adopt })
    if action == "take_over" and not rec.pair then
      entry.proof = nil
      return take_over(ctx, entry, wanted, opts)
    end
    return nil, again.error(entry.user, seen.problem)
  end
  if ctx.verify == "require" and seen.verdict ~= "accepted" then
    return nil, errors.new {
      kind = "sql", outcome = "not_sent", operation = "create_app_user", reason = seen.verdict,
      message = ("%s: no login is possible to prove its password (%s)"):format(entry.user, (seen.verdict:gsub("_", " "))),
    }
  end
  local changes, changed = changes_of(rec, opts)
  again.publish(rec, changes, seen.mend.sinks)
  local done = { verified = seen.verdict, note = again.note(changed, seen.mend), proof = seen.proof }
  if not rec.role_id then changes.role_id = seen.role_id end -- of a record that an earlier version made
  if seen.mend.access then
    local mended, err = again.mend_access(ctx:sql(), seen.lacking)
    if not mended then return nil, err end
  end
  if next(changes) == nil then return done end
  local new = record.amend(rec, changes)
  local ok, err
  if changes.sinks or changes.published then
    ok, err = check_sinks(ctx, new, rec.current.password)
    if not ok then return nil, err end
  end
  ok, err = entry:save(new)
  if not ok then return nil, err end
  if changes.sinks or changes.published then
    ok, err = (rec.pair and pair.resume or steps.finish)(ctx, entry)
    if not ok then return nil, err end
  end
  return done
end

-- Works on a user that has a record: it is finished, amended, left unchanged, or refused as other than asked for.
local function known(ctx, entry, wanted, opts)
  local rec = entry.rec
  if rec.pair_of then return nil, pair_rules.is_partner(rec, "create_app_user") end
  if opts.adopt and rec.state == "idle" and rec.origin ~= "create_app_user" then return take_over(ctx, entry, wanted, opts) end
  if not same_access(rec, wanted) then
    return nil, errors.new {
      kind = "already_exists", outcome = "not_sent", operation = "create_app_user",
      message = ("%s %s with other access or roles"):format(entry.user,
        record.is_creating(rec) and "is being created" or "exists"),
      hint = record.is_creating(rec) and "`crdbcloud rotate resume` finishes it as it was asked for"
        or "cluster:set_access{ user = ... } changes what a user may do",
    }
  end
  if (rec.pair ~= nil) ~= wanted.pair then
    return nil, errors.new {
      kind = "already_exists", outcome = "not_sent", operation = "create_app_user",
      message = entry.user .. (rec.pair and " is one of a pair" or " exists and is not one of a pair"),
      hint = rec.pair and "pair = true says that it is meant" or "a pair needs a name of its own",
    }
  end
  if record.is_creating(rec) then
    return pair.create(ctx, entry, wanted.password, "a half-done creation was finished")
  end
  if record.is_open(rec) then
    if rec.pair then return pair.resume(ctx, entry) end
    return steps.finish(ctx, entry, "a half-done rotation was finished")
  end
  if wanted.password and not rec.pair and not (rec.current and rec.current.password:equals(wanted.password)) then
    return nil, errors.new {
      kind = "already_exists", outcome = "not_sent", operation = "create_app_user",
      message = entry.user .. " exists with another password",
      hint = "cluster:rotate_password{ user = ..., password = ... } changes it",
    }
  end
  local exists, err = ctx:user_exists(entry.user)
  if exists == nil then return nil, err end
  if not exists then
    return nil, errors.new {
      kind = "conflict", outcome = "not_sent", operation = "create_app_user",
      message = entry.user .. " has a record but is gone from the cluster; it was deleted elsewhere",
      hint = "remove its record, then create it again",
    }
  end
  return amend(ctx, entry, wanted, opts)
end

-- Refuses a name that the first rotation of a pair will use.
local function not_reserved(ctx, user)
  local owner = pair_rules.possible_owner(user)
  local rec, problem
  if owner then rec, problem = ctx.store:get(record.key(ctx.id, owner)) end
  if not rec and problem then return nil, problem end
  if not rec or not rec.pair then return true end
  return nil, errors.new {
    kind = "already_exists", outcome = "not_sent", operation = "create_app_user",
    message = ("the name %s belongs to the pair %s"):format(user, owner), hint = "choose another name",
  }
end

local function create_held(ctx, entry, wanted)
  local opts = wanted.opts
  if entry.user == ctx.cluster:sql_account() then
    return nil, errors.new {
      kind = "invalid_argument", outcome = "not_sent", operation = "create_app_user",
      message = entry.user .. " is the account of the SQL connection itself and is not demoted",
    }
  end
  if entry.rec then return known(ctx, entry, wanted, opts) end
  local free, err = not_reserved(ctx, entry.user)
  if not free then return nil, err end
  local exists, own_pair
  exists, err = ctx:user_exists(entry.user)
  if exists == nil then return nil, err end
  if exists and not opts.adopt then
    return nil, creation.theirs(entry.user, "not_sent")
  end
  own_pair, err = new_pair(ctx, wanted, 0)
  if err then return nil, err end
  local rec = record.new {
    cluster_id = ctx.id, cluster_name = ctx.name, user = entry.user, state = "planned", origin = "create_app_user",
    creating = true, adopted = exists or nil, owner = opts.owner, description = opts.description, labels = opts.labels, max_age = opts.max_age,
    access = wanted.access, roles = wanted.roles, sinks = opts.sinks, created_at = ctx:now(),
    bootstrap = creation.bootstrap(), pair = own_pair,
  }
  local ok
  ok, err = check_sinks(ctx, rec, wanted.password)
  if not ok then return nil, err end
  ok, err = entry:save(exists and record.move(rec, "posted", { bootstrap = record.NONE }) or rec)
  if not ok then return nil, err end
  return pair.create(ctx, entry, wanted.password, exists and "adopted" or "created")
end

--- Creates a user with limited access. Calling it again with the same options
--- changes nothing, or finishes what a crash left.
---@param cluster table
---@param opts table name, access and/or roles (required), owner, description, labels, sinks, password, adopt, verify,
---  pair (two users in one role, rotated in turn: no moment without a password that logs in), dry_run, reason, on_progress
---@return table|nil report
---@return crdbcloud.error|nil err err.outcome says whether the user exists; err.report
function M.create_app_user(cluster, opts)
  opts = options.check(OPTIONS, opts, "create_app_user")
  local wanted, err = check(opts)
  if not wanted then return nil, err end
  if selection.is_throwaway(wanted.user) then
    return nil, errors.new {
      kind = "invalid_argument", outcome = "not_sent", operation = "create_app_user",
      message = ("names that begin with %s are those of `crdbcloud doctor --probe`, which deletes them"):format(selection.THROWAWAY),
      hint = "choose another name",
    }
  end
  local ctx
  ctx, err = context.new(cluster, "create_app_user", opts)
  if not ctx then return nil, err end
  ctx.call_sinks, ctx.index, ctx.total = nil, 1, 1
  local sql
  sql, err = ctx:sql()
  if not sql then
    err.outcome = "not_sent"
    return nil, err
  end
  err = privileges.refused(sql, wanted.access, wanted.roles)
  if err then return nil, err end
  if names.note(wanted.user) then ctx:warn(names.note(wanted.user)) end
  if opts.dry_run then
    local exists, list_err = ctx:user_exists(wanted.user)
    if exists == nil then return nil, list_err end
    local rec, version = ctx.store:get(record.key(ctx.id, wanted.user))
    if not rec and version then return nil, version end
    local row
    row, err = dry_row(ctx, wanted, sql, exists, rec, opts)
    if not row then return nil, err end
    return report.finish(ctx, { row }, { dry_run = true }, true)
  end
  spool.merge(ctx)
  resume.first(ctx, { wanted.user })
  wanted.opts = opts
  local row = ctx:user_row(wanted.user, create_held, wanted)
  row.access, row.roles, row.owner = wanted.access, wanted.roles, opts.owner
  return report.finish(ctx, { row })
end

return M
