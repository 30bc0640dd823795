--- `access` and `set_access`: read and change what a user may do.

local classes = require "crdbcloud.base.classes"
local context = require "crdbcloud.run.context"
local errors = require "crdbcloud.errors"
local names = require "crdbcloud.names"
local options = require "crdbcloud.base.options"
local printing = require "crdbcloud.base.printing"
local report = require "crdbcloud.run.report"
local pair_rules = require "crdbcloud.change.pair.rules"
local privileges = require "crdbcloud.privileges"
local record = require "crdbcloud.record"
local rules = require "crdbcloud.run.rules"

local M = {}

local Access = classes.result("workflows.access", { __name = "crdbcloud.access" })

function Access:__tostring()
  local lines = {
    ("%s: %s, %s%s"):format(self.user, self.login and "may log in" or "may not log in", self.admin and "ADMIN" or "no admin",
      #self.admin_via > 0 and " through " .. table.concat(self.admin_via, ", ") or ""),
  }
  if #self.roles > 0 then lines[#lines + 1] = "roles: " .. table.concat(self.roles, ", ") end
  for _, power in ipairs(self.powers) do
    lines[#lines + 1] = ("  %s, which leads past every grant%s"):format(power.privilege,
      power.via and ", through " .. table.concat(power.via, ", ") or "")
  end
  for _, list in ipairs { self.grants, self.inherited } do
    for _, grant in ipairs(list) do lines[#lines + 1] = "  " .. privileges.describe(grant) end
  end
  for _, grant in ipairs(self.gives) do lines[#lines + 1] = "  gives " .. privileges.describe(grant) end
  for _, thing in ipairs(self.owns) do
    lines[#lines + 1] = ("  owns %s %s"):format(thing.on, table.concat({ thing.database, thing.schema, thing.name }, "."))
  end
  for _, what in ipairs(self.unknown) do lines[#lines + 1] = "  ? " .. what .. ": this server does not say" end
  for i, line in ipairs(lines) do lines[i] = printing.harmless(line) end
  return table.concat(lines, "\n")
end

--- What a user really has, in all databases, by asking the server.
---@param cluster table
---@param user string
---@return table|nil access user, login, admin, admin_via, powers, roles, grants, inherited, gives, owns, public_create,
---  unknown, as of privileges.inspect; prints as a list
---@return crdbcloud.error|nil
function M.access(cluster, user)
  if type(user) == "table" then user = options.check({ user = "text" }, user, "access").user end
  if type(user) ~= "string" then errors.raise("access: user must be a name, got %s", errors.shown(user)) end
  local folded, err = names.check(user)
  if not folded then return nil, err end
  local sql
  sql, err = cluster:open_sql "access"
  if not sql then return nil, err end
  local found
  found, err = privileges.inspect(sql, folded, { databases = "all" })
  if not found then return nil, err end
  if not found.exists then
    return nil, errors.new { kind = "not_found", operation = "access", message = folded .. ": no such user on the cluster" }
  end
  return setmetatable({
    user = folded, login = found.login, admin = found.admin, admin_via = found.admin_via, powers = found.powers, roles = found.roles,
    grants = found.grants, inherited = found.inherited, gives = found.gives, owns = found.owns, public_create = found.public_create,
    unknown = found.unknown,
  }, Access)
end

local OPTIONS = {
  user = "text", access = "table", roles = rules.names, exact = "boolean", dry_run = "boolean", reason = "line", on_progress = "function",
  admin = function(value, name)
    if value == false then return value end
    errors.raise("%s can only be false: no application user is made an admin here, got %s", name, errors.shown(value))
  end,
}

-- The statements for the wanted access, whatever of it the user has already.
local function planned(sql, user, wanted)
  local statements, err = privileges.plan(wanted.access, {
    user = user, dialect = (sql:dialect()), roles = wanted.roles, revoke_admin = wanted.admin == false,
  })
  if not statements then return nil, err end
  return {
    result = "grant", statements = statements,
    note = wanted.exact and "what else was granted to it directly would be taken away" or "added to what it has",
  }
end

-- Without `exact` the wanted access is added to that of the record.
local function merged(rec, wanted)
  if wanted.exact then return { access = wanted.access, roles = wanted.roles } end
  local list = {}
  for _, source in ipairs { rec.access or {}, wanted.access } do
    for _, item in ipairs(source) do list[#list + 1] = item end
  end
  local roles, seen = {}, {}
  for _, source in ipairs { rec.roles or {}, wanted.roles } do
    for _, role in ipairs(source) do
      if not seen[role] then
        seen[role] = true
        roles[#roles + 1] = role
      end
    end
  end
  return { access = privileges.normalize(list) or list, roles = roles }
end

local function change(ctx, entry, sql, wanted)
  local rec, changed = entry.rec, false
  if wanted.admin == false then
    local done, why = privileges.demote(sql, entry.user)
    if not done then return nil, why end
    changed = #done.revoked > 0
  end
  local ok, err = privileges.apply(sql, wanted.access, { user = rec.pair and rec.pair.role or entry.user, roles = wanted.roles, exact = wanted.exact })
  if not ok then return nil, changed and errors.partly(err) or err end
  ctx:progress { step = "grant", user = entry.user, text = "access granted and compared" }
  return true
end

-- Ends the journal: a record that was made for it goes with it.
local function settle(entry, changes)
  if entry.rec.state == "unmanaged" then return entry:forget() end
  changes.access_due = record.NONE
  return entry:save(record.amend(entry.rec, changes))
end

--- Goes on with the change of access that a record tells of, until the user has what was asked for.
---@param ctx table
---@param entry crdbcloud.entry held
---@param begun? boolean this run has written the record: where nothing was changed, it is as before
---@return table|nil fields of the report's row
---@return crdbcloud.error|nil
function M.finish(ctx, entry, begun)
  local wanted = entry.rec.access_due
  wanted.access, wanted.roles = wanted.access or {}, wanted.roles or {}
  local sql, err = ctx:sql()
  local ok
  if sql then ok, err = change(ctx, entry, sql, wanted) end
  if not ok then
    if err.outcome == "applied" then return nil, errors.partly(err) end
    if err.outcome == "unknown" then return nil, err end
    err.outcome = err.outcome or "not_sent"
    if begun then
      local kept, store_err = settle(entry, {})
      if not kept then ctx:warn(("%s: `crdbcloud rotate resume` will try it again: %s"):format(entry.user, store_err.message)) end
    end
    return nil, err
  end
  ok, err = settle(entry, merged(entry.rec, wanted))
  if not ok then return nil, errors.partly(err) end
  return { note = wanted.exact and "has exactly this access" or "has this access" }
end

local function set_held(ctx, entry, wanted)
  local rec = entry.rec
  if rec and rec.pair_of then return nil, pair_rules.is_partner(rec, "set_access") end
  local sql, err = ctx:sql()
  if not sql then return nil, err end
  if ctx.dry_run then return planned(sql, rec and rec.pair and rec.pair.role or entry.user, wanted) end
  -- What was asked for is durable before the first statement. Of a change that was cut off the newer one is finished.
  local ok
  ok, err = entry:save(record.amend(rec or ctx:journal(entry.user), { access_due = wanted }))
  if not ok then return nil, err end
  return M.finish(ctx, entry, not (rec and rec.access_due))
end

--- Changes what a user may do: adds access and roles, or with `exact` removes all others. Access that leads to admin is
--- refused; `admin = false` takes admin away first.
---@param cluster table
---@param opts table user (required), access, roles, exact, admin = false, dry_run, reason, on_progress
---@return table|nil report
---@return crdbcloud.error|nil
function M.set_access(cluster, opts)
  local err
  opts, err = rules.one_user(OPTIONS, opts, "set_access")
  if not opts then return nil, err end
  if not opts.access and not opts.roles and opts.admin == nil and not opts.exact then
    errors.raise("set_access: nothing to set: give access, roles, exact or admin = false")
  end
  local user = opts.user
  local wanted = { exact = opts.exact, admin = opts.admin }
  wanted.roles, err = rules.folded(opts.roles)
  if not wanted.roles then return nil, err end
  wanted.access, err = privileges.normalize(opts.access or {})
  if not wanted.access then return nil, err end
  if user == cluster:sql_account() then
    return nil, errors.new {
      kind = "invalid_argument", outcome = "not_sent", operation = "set_access",
      message = user .. " is the account of the SQL connection itself",
    }
  end
  local ctx
  ctx, err = context.new(cluster, "set_access", opts)
  if not ctx then return nil, err end
  local sql
  sql, err = ctx:sql()
  if not sql then return nil, err end
  err = privileges.refused(sql, wanted.access, wanted.roles)
  if err then return nil, err end
  local row = ctx:user_row(user, set_held, wanted)
  row.access, row.roles = wanted.access, wanted.roles
  return report.finish(ctx, { row })
end

return M
