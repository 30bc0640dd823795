--- One run of a schedule, in a thread of nginx's pool: what a crash left first, then what was asked for, then what
--- is due. Loaded in the event loop too, so the parts are required inside the function.

local M = {}

local SHOWN = 20 -- rows of a run that went wrong, in the status

-- With each step the lease is made to last so long. A step may take longer: then another run of this host could begin,
-- and the leases of the users part the two.
local AHEAD = 30

-- What the status keeps of a workflow's end.
local function summary(operation, report, err)
  local full = report or err.report or {}
  local counts, failed = {}, {}
  for _, row in ipairs(full.rows or {}) do
    counts[row.result] = (counts[row.result] or 0) + 1
    if row.error and #failed < SHOWN then
      failed[#failed + 1] = { user = row.user, result = row.result, kind = row.kind, error = row.error, hint = row.hint }
    end
  end
  local out = {
    operation = operation, run_id = full.run_id, counts = counts, failed = #failed > 0 and failed or nil, seconds = full.seconds,
    warnings = full.warnings, ok = report ~= nil, exit = report and 0 or err.exit,
  }
  if err then
    out.kind, out.outcome, out.message, out.hint, out.retryable = err.kind, err.outcome, err.message, err.hint, err.retryable
  end
  return out
end

-- Workflows tell how far they are; that goes into the shared dictionary, where a request can read it, and keeps
-- the lease alive.
local function listener(shm, key, lock)
  local cjson, core = require "cjson", require "crdbcloud.core"
  local keys = { "operation", "run_id", "step", "user", "index", "total", "result", "text" }
  return function(event)
    if lock.ensure then lock.ensure(AHEAD) end
    local shown = { at = math.floor(core.time()) }
    for _, name in ipairs(keys) do shown[name] = event[name] end
    shm:set(key, cjson.encode(shown))
  end
end

-- Later work is of no use when the reason holds for all users.
local function hopeless(err)
  return err ~= nil and err.report == nil
end

local function work(cluster, args, on_progress)
  local core = require "crdbcloud.core"
  local runs = {}
  local function add(operation, report, err)
    runs[#runs + 1] = summary(operation, report, err)
    return not hopeless(err)
  end
  if not add("resume", cluster:resume { on_progress = on_progress, reason = args.options.reason, after = args.options.after }) then return runs end
  for _, ask in ipairs(args.asked) do
    -- Whatever was set before somebody asked: a run that takes over does not do it twice.
    local report, err = cluster:rotate_passwords {
      users = ask.users, max_age = math.max(0, math.floor(core.time()) - ask.at), reason = ask.reason, verify = args.options.verify,
      keep_previous = args.options.keep_previous, cancel_sessions = args.options.cancel_sessions, sinks = args.options.sinks,
      after = args.options.after, parallel = args.options.parallel, on_progress = on_progress,
    }
    if not add("rotate_passwords", report, err) then return runs end
  end
  if args.scheduled then
    local options = { on_progress = on_progress }
    for name, value in pairs(args.options) do options[name] = value end
    add("rotate_passwords", cluster:rotate_passwords(options))
  end
  return runs
end

--- Runs it.
---@param cluster table crdbcloud.cluster of this thread
---@param args { dict: string, progress: string, asked: table[], scheduled: boolean, options: table }
---@return table[]|nil runs what became of each workflow, in order
---@return crdbcloud.error|nil err kind "busy": another run of this host holds the lease
function M.run(cluster, args)
  local core = require "crdbcloud.core"
  local store, err = cluster:open_store "schedule"
  if not store then return nil, err end
  local id
  id, err = cluster:id()
  if not id then return nil, err end
  local host = core.hostname():lower():gsub("[^%w.-]", "-")
  local lock
  -- Freed when this process dies; where the store is shared, when its lease ends.
  lock, err = store:lock(("%s/@schedule.%s"):format(id, host), ("schedule:%d"):format(core.pid()))
  if not lock then return nil, err end
  local shm = ngx.shared[args.dict]
  local ok, runs = pcall(work, cluster, args, listener(shm, args.progress, lock))
  lock.close()
  shm:delete(args.progress)
  if not ok then error(runs, 0) end
  return runs
end

return M
