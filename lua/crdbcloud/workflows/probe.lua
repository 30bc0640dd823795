--- `probe`: tries on the user's own cluster what this library assumes of it, by one throwaway user.

local assumptions = require "crdbcloud.workflows.assumptions"
local classes = require "crdbcloud.base.classes"
local context = require "crdbcloud.run.context"
local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local options = require "crdbcloud.base.options"
local printing = require "crdbcloud.base.printing"
local probe_user = require "crdbcloud.workflows.probe_user"
local selection = require "crdbcloud.run.selection"

local M = {}

local SCHEMA = 1 -- of the JSON document
local OPTIONS = { reason = "line", on_progress = "function", dry_run = "boolean" }

local Report = classes.register("workflows.probe", { __name = "crdbcloud.probe_report" })
Report.__index = Report

local COLUMNS = { "assumption", "result", "seen", "detail" }

local function shown(row)
  local detail
  if row.result == "unexpected" then
    detail = "expected: " .. row.expected .. (row.detail and "; " .. row.detail or "")
  elseif row.seconds then
    detail = ("after %g s"):format(row.seconds)
  end
  return { assumption = row.assumption, result = row.result, seen = row.seen or row.expected, detail = detail }
end

function Report:__tostring()
  local rows = {}
  for i, row in ipairs(self.rows) do rows[i] = shown(row) end
  local lines = {
    ("probe%s of %s (%s), run %s: %s"):format(self.dry_run and " (dry run, nothing sent)" or "", printing.harmless(self.cluster),
      printing.harmless(self.version), self.run_id,
      self.dry_run and ("%d assumptions to try"):format(#rows) or self.unexpected == 0 and "all as expected" or self.unexpected .. " unexpected"),
    printing.rows(COLUMNS, rows),
  }
  for _, text in ipairs(self.warnings) do lines[#lines + 1] = "warning: " .. printing.harmless(text) end
  return table.concat(lines, "\n")
end

--- The report as JSON.
---@return string
function Report:json()
  return require("crdbcloud.base.json").encode(self)
end

-- Removes what killed probes left.
local function remove_left(ctx)
  local list, err = selection.records(ctx.store, ctx.id)
  if not list then return nil, err end
  for _, item in ipairs(list) do
    if probe_user.is(item.rec) then
      local row, problem = probe_user.remove(ctx, item.user)
      if problem and problem.kind ~= "busy" then return nil, probe_user.left(item.user, problem) end
      ctx:warn(("%s of an earlier probe: %s"):format(item.user, row.note or row.error))
    end
  end
  return true
end

-- One undecoded answer to a request for the list of users; neither paced nor repeated, so that a refusal is seen.
local function raw(ctx, query)
  local client = ctx.cloud._account:open_client()
  return client:request("GET", ("/api/v1/clusters/%s/sql-users"):format(ctx.id), { query = query, timeout = ctx.cloud.config.timeout })
end

local function world(ctx, sql, user)
  local passwords = require "crdbcloud.passwords"
  local w = { user = user, sql = sql, now = core.monotonic, passwords = { first = passwords.generate {}, second = passwords.generate {} } }
  function w.sleep(seconds) return ctx:sleep(seconds) and not ctx.interrupted() end
  function w.raw(query)
    local result = raw(ctx, query)
    -- The next request of any kind waits until the service takes requests again.
    if result.reason == "rate_limited" then core.pace_hold(ctx.cloud:account(), math.min(result.retry_after or 1, 60)) end
    return result
  end
  -- The burst may have used the budget of the next seconds.
  function w.page(query)
    local result
    for _ = 1, 5 do
      result = w.raw(query)
      if result.reason ~= "rate_limited" or not w.sleep(math.min(result.retry_after or 1, 60)) then break end
    end
    return result
  end
  function w.create()
    w.made = true
    local value, err = probe_user.make(ctx, user, w.passwords.first)
    w.refusal = err
    w.made = value ~= nil or err.outcome == "unknown" or err.outcome == "applied"
    return value, err
  end
  function w.create_again() return ctx.cloud:create_sql_user(ctx.id, user, w.passwords.second) end
  function w.set_password(password) return ctx.cloud:update_sql_user_password(ctx.id, user, password) end
  function w.delete() return ctx.cloud:delete_sql_user(ctx.id, user) end
  function w.is_listed() return ctx:user_exists(user) end
  function w.login(password) return ctx:probe({ user = user }, password) end
  function w.remove()
    local _, err = probe_user.remove(ctx, user)
    if err then return nil, err end
    w.made = false
    return true
  end
  return w
end

local function finish(ctx, dialect, version, user, rows)
  local unexpected = 0
  for _, row in ipairs(rows) do
    if row.result == "unexpected" then unexpected = unexpected + 1 end
  end
  return setmetatable({
    schema = SCHEMA, operation = "probe", run_id = ctx.run_id, cluster = ctx.name, cluster_id = ctx.id, store = ctx.store.url or "given as an object",
    dialect = dialect, version = version, library = require "crdbcloud.version", user = user, rows = rows, unexpected = unexpected,
    warnings = ctx.warnings, seconds = core.monotonic() - ctx.started, made_at = os.date("!%Y-%m-%dT%H:%M:%SZ", ctx:now()),
    dry_run = ctx.dry_run,
  }, Report)
end

local function planned(ctx, dialect, version)
  local rows = {}
  for _, assumption in ipairs(assumptions.TABLE) do
    local expected = assumptions.expected(assumption, dialect)
    if expected then
      rows[#rows + 1] = { assumption = assumption.id, what = assumption.what, expected = table.concat(expected, " | "), result = "try" }
    end
  end
  return finish(ctx, dialect, version, nil, rows)
end

-- Tries everything; the user is removed whatever happens.
local function try_all(ctx, sql, dialect, version)
  local ok, err = remove_left(ctx)
  if not ok then return nil, err end
  local w = world(ctx, sql, probe_user.name())
  local function told(row)
    ctx:progress { step = row.assumption, user = w.user, text = ("%s: %s"):format(row.what, row.seen) }
    return ctx:stopped()
  end
  local ran, rows, cut = pcall(assumptions.try, w, dialect, told)
  local problem
  if w.made then
    problem = select(2, probe_user.remove(ctx, w.user))
    ctx:progress { step = "clean", user = w.user, text = problem and problem.message or "removed" }
  end
  if not ran then error(rows, 0) end
  local report = finish(ctx, dialect, version, w.user, rows)
  if problem then cut = probe_user.left(w.user, problem) end
  if not cut then return report end
  if not errors.is(cut) then cut = w.refusal end -- in words already
  cut.report = report
  return nil, cut
end

--- Tries what this library assumes of a cluster.
---@param cluster table
---@param opts? table reason, on_progress, dry_run
---@return table|nil report rows of assumptions; `unexpected` counts those that do not hold
---@return crdbcloud.error|nil
function M.probe(cluster, opts)
  opts = options.check(OPTIONS, opts, "probe")
  local ctx, err = context.new(cluster, "probe", opts)
  if not ctx then return nil, err end
  local sql, dialect, version
  sql, err = ctx:sql()
  if not sql then return nil, err end
  dialect, err = sql:dialect()
  if not dialect then return nil, err end
  version, err = sql:version()
  if not version then return nil, err end
  if opts.dry_run then return planned(ctx, dialect, version) end
  return ctx:with_run(function() return try_all(ctx, sql, dialect, version) end)
end

return M
