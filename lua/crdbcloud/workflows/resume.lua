--- Recovery: finishes what a crash or a lost answer left open. Users that may still be admins come first.

local access = require "crdbcloud.workflows.access"
local context = require "crdbcloud.run.context"
local hooks = require "crdbcloud.run.hooks"
local names = require "crdbcloud.names"
local options = require "crdbcloud.base.options"
local pair = require "crdbcloud.change.pair"
local probe_user = require "crdbcloud.workflows.probe_user"
local record = require "crdbcloud.record"
local removal = require "crdbcloud.workflows.remove_app_user"
local report = require "crdbcloud.run.report"
local rules = require "crdbcloud.run.rules"
local selection = require "crdbcloud.run.selection"
local spool = require "crdbcloud.run.spool"
local steps = require "crdbcloud.change.finish"
local trust = require "crdbcloud.run.trust"

local M = {}

-- A user in one of these states may be an admin.
local MAYBE_ADMIN = { planned = true, posting = true, posted = true }

local function maybe_admin(rec)
  return rec ~= nil and (MAYBE_ADMIN[rec.state] or rec.demote) == true
end

-- Finishes one held record. Returns the row's fields.
local function finish_held(ctx, entry)
  local rec = entry.rec
  if not rec then return { result = "skipped", note = "finished by another run" } end
  if rec.removing then return removal.finish(ctx, entry) end
  if rec.access_due then
    local done, err = access.finish(ctx, entry)
    if not done or not entry.rec or not record.is_open(entry.rec) then return done, err end
    rec = entry.rec
  end
  if record.is_creating(rec) then return pair.create(ctx, entry, nil, "creation finished") end
  if rec.pair then return pair.resume(ctx, entry) end
  if record.is_open(rec) then
    local wait = record.resend_left(rec, entry:instant()) or 0
    if rec.state == "idle" and wait > 0 then
      return { result = "skipped", note = ("to be sent once more in %d s"):format(math.ceil(wait)) }
    end
    local step = rec.resend_at and rec.state == "idle" and steps.resend or steps.finish
    local done, err = step(ctx, entry, "rotation finished")
    if not done then return nil, err end
    local ok
    ok, err = steps.retire(ctx, entry)
    return ok and done, err
  end
  local ok, err = steps.retire(ctx, entry)
  return ok and { result = "skipped", note = "nothing open" }, err
end

local function finish_user(ctx, user, rec)
  local row = probe_user.is(rec) and probe_user.remove(ctx, user) or ctx:user_row(user, finish_held)
  ctx:progress { step = "user", user = user, result = row.result, text = report.text(row), kind = row.kind }
  return row
end

-- Whether the run itself works on a user: one that it names, or any. Only a creation finishes a user that is being
-- created.
local function left_to_run(users)
  if type(users) ~= "table" then return function(rec) return not record.is_creating(rec) end end
  local set = {}
  for _, user in ipairs(users) do set[names.fold(user)] = true end
  return function(rec) return set[rec.user] == true end
end

--- Finishes what a crash left before any other work of a run, users that may be admins first. A failure is a warning, and
--- the run goes on. Users that the run itself works on are left out, since the run finishes them.
---@param ctx table
---@param users any as in the call: a list of names, or all
function M.first(ctx, users)
  local own = left_to_run(users)
  local list, problem = selection.records(ctx.store, ctx.id)
  if not list then
    ctx:warn("what a crash may have left open is not known: " .. problem.message)
    return
  end
  for _, item in ipairs(M.open_items(ctx, list)) do
    local rec = item.rec
    if rec and record.is_open(rec) and not rec.removing and not own(rec) then
      local risky = maybe_admin(rec)
      local row = finish_user(ctx, item.user, rec)
      if risky then
        ctx:warn(("security: the creation of %s had been cut while it may have been an admin: %s"):format(
          item.user, row.result == "done" and "finished now" or report.text(row)))
      elseif row.result ~= "done" and row.kind ~= "busy" then
        ctx:warn(("%s is half done and could not be finished: %s"):format(item.user, report.text(row)))
      end
    end
  end
  ctx.stop = nil
end

--- Runs the command that follows a publication, once, and marks its users.
---@param ctx table
---@param command string[]
---@param users string[]
---@return crdbcloud.error|nil
function M.run_hook(ctx, command, users)
  local ok, err = hooks.run(ctx, "after", command, users)
  if not ok then return err end
  for _, user in ipairs(users) do
    ctx:with(user, function(entry)
      if not entry.rec or not entry.rec.hook then return true end
      return entry:save(record.amend(entry.rec, { hook = record.NONE }))
    end)
  end
  return nil
end

-- Runs the commands that a crash left undone, each once.
local function pending_hooks(ctx)
  local groups, order = {}, {}
  local list, err = selection.records(ctx.store, ctx.id)
  if not list then return err end
  for _, item in ipairs(list) do
    local hook = item.rec and item.rec.state == "idle" and item.rec.hook
    if hook then
      local id = table.concat(hook.command, "\0")
      if not groups[id] then
        groups[id] = { command = hook.command, users = {} }
        order[#order + 1] = groups[id]
      end
      table.insert(groups[id].users, item.user)
    end
  end
  local first
  for _, group in ipairs(order) do
    first = trust.hook(ctx, group.command) or M.run_hook(ctx, group.command, group.users) or first
  end
  return first
end

-- What resume would do about a user beside its password.
local function due_text(rec)
  return rec.removing and "its removal" or rec.access_due and "the change of its access" or nil
end

M.OPTIONS = {
  verify = rules.verify, keep_previous = "duration", sinks = rules.sinks, allow_admin = "boolean", dry_run = "boolean", reason = "line",
  on_progress = "function", after = hooks.rule,
}

--- Records that need something, users that may be admins first.
function M.open_items(ctx, list)
  local now, first, rest, pairs_too = ctx:now(), {}, {}, {}
  for _, item in ipairs(list) do
    local rec = item.rec
    if rec and rec.pair_of and record.is_open(rec) then pairs_too[rec.pair_of] = true end
  end
  for _, item in ipairs(list) do
    local rec = item.rec
    local expired = rec and rec.previous and rec.previous.keep_until <= now
    if item.err or record.is_open(rec) or record.is_due(rec) or expired or pairs_too[item.user] then
      local target = maybe_admin(rec) and first or rest
      target[#target + 1] = item
    end
  end
  for _, item in ipairs(rest) do first[#first + 1] = item end
  return first
end

--- Finishes whatever a crash left, on this cluster.
---@param cluster table
---@param opts? table dry_run, on_progress, reason, verify, keep_previous, sinks, after
---@return table|nil report
---@return crdbcloud.error|nil
function M.resume(cluster, opts)
  opts = options.check(M.OPTIONS, opts, "resume")
  local ctx, err = context.new(cluster, "resume", opts)
  if not ctx then return nil, err end
  local function work()
    if ctx.store.tidy and not opts.dry_run then ctx.store:tidy(ctx.id) end
    local list, list_err = selection.records(ctx.store, ctx.id)
    if not list then return nil, list_err end
    local items, rows = M.open_items(ctx, list), {}
    local hook_err
    ctx.total = #items
    for i, item in ipairs(items) do
      ctx.index = i
      if item.err then
        rows[i] = report.row(item.user, nil, item.err, {})
      elseif opts.dry_run then
        rows[i] = { user = item.user, result = "finish", note = due_text(item.rec) or "state " .. item.rec.state, epoch = item.rec.epoch, sinks = {} }
      elseif ctx.interrupted() or ctx.stop then
        rows[i] = { user = item.user, result = "untouched", sinks = {}, note = ctx.stop and ctx.stop.message or "interrupted" }
      else
        rows[i] = finish_user(ctx, item.user, item.rec)
      end
    end
    if not opts.dry_run and not ctx.interrupted() then hook_err = pending_hooks(ctx) end
    return report.finish(ctx, rows, { dry_run = opts.dry_run, hooks = ctx.hooks }, opts.dry_run, hook_err)
  end
  if opts.dry_run then return work() end
  return ctx:with_run(function()
    spool.merge(ctx)
    return work()
  end)
end

return M
