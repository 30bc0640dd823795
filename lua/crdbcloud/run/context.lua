--- One run of a workflow: its cluster, store, SQL connection, identity and progress, and how it holds a user's record.

local clock = require "crdbcloud.run.clock"
local core = require "crdbcloud.core"
local credential = require "crdbcloud.credential"
local entry_of = require "crdbcloud.change.held"
local errors = require "crdbcloud.errors"
local events = require "crdbcloud.run.events"
local lists = require "crdbcloud.api.lists"
local names = require "crdbcloud.names"
local record = require "crdbcloud.record"
local retry = require "crdbcloud.api.retry"
local sinks = require "crdbcloud.sinks"
local rules = require "crdbcloud.run.rules"
local spool = require "crdbcloud.run.spool"
local trust = require "crdbcloud.run.trust"

local M = {}

local Context = {}
Context.__index = Context

local PROBE_TIMEOUT = 10 -- seconds for one login

--- Starts a run. Nothing is sent except what finding the cluster takes.
---@param cluster table the handle
---@param operation string e.g. "rotate_passwords"
---@param opts table checked options of the call
---@return table|nil ctx
---@return crdbcloud.error|nil
function M.new(cluster, operation, opts)
  local ctx = setmetatable({
    cluster = cluster,
    cloud = cluster.cloud,
    operation = operation,
    run_id = cluster.run_id or core.random_hex(8), -- several clusters may be worked on in one run
    clock = clock, -- time, boottime, boot_id, sleep
    started = core.monotonic(),
    by = ("%s:%d"):format(core.hostname(), core.pid()),
    reason = opts.reason,
    on_progress = opts.on_progress,
    verify = opts.verify,
    keep_previous = opts.keep_previous or 86400,
    cancel_sessions = opts.cancel_sessions,
    allow_admin = opts.allow_admin,
    call_sinks = opts.sinks,
    warnings = {},
    created = {},
  }, Context)
  if ctx.verify == nil then ctx.verify = "auto" end
  ctx.emergency, ctx.dry_run = opts.emergency ~= nil, opts.dry_run
  ctx.after = opts.after
  local err, store_err
  ctx.store, store_err = cluster:open_store(operation)
  if not ctx.store and (not ctx.emergency or store_err.kind ~= "store") then return nil, store_err end
  local info
  info, err = cluster:resolve()
  if not info then return nil, err end
  ctx.id, ctx.name = info.id, info.name or info.id
  local ok
  ok, err = spool.use_if_needed(ctx, store_err)
  if not ok then return nil, err end
  for _, text in ipairs(ctx.store.warnings and ctx.store:warnings() or {}) do ctx:warn(text) end
  ok, err = ctx:check_cluster()
  if not ok then return nil, err end
  return ctx
end

--- Whether the run's SQL connection is its cluster's. One that cannot be reached changes nothing; what needs it fails.
---@return true|nil
---@return crdbcloud.error|nil
function Context:check_cluster()
  if self.verify == false and not self.cancel_sessions or not self.cluster:has_sql() then return true end
  local how, err, place = self.cluster:same_cluster(self.operation)
  if how or place == "sql" then return true end
  err.outcome = "not_sent"
  return nil, err
end

--- The context of a run in another of its threads.
---@param fields table of crdbcloud.threads.setup
---@return table ctx
function M.restore(fields)
  return setmetatable(fields, Context)
end

--- Keeps a warning for the report, once.
function Context:warn(text)
  for _, known in ipairs(self.warnings) do
    if known == text then return end
  end
  self.warnings[#self.warnings + 1] = text
end

--- Hands an event to the caller's on_progress. An error in that function becomes one warning and changes nothing.
---@param event table step, text, user, index, total, ...
function Context:progress(event)
  if not self.on_progress then return end
  event.operation, event.run_id = self.operation, self.run_id
  event.index, event.total = event.index or self.index, event.total or self.total
  local ok, why = events.tell(self.on_progress, event)
  if not ok and not self.progress_failed then
    self.progress_failed = true
    self:warn("on_progress raised an error: " .. tostring(why))
  end
end

--- Wall-clock seconds, whole.
function Context:now()
  return math.floor(self.clock.time())
end

--- Seconds of a clock that only goes forward, also while the machine is suspended.
function Context:monotonic()
  return self.clock.boottime()
end

--- Sleeps; false when a signal ended it.
function Context:sleep(seconds)
  return self.clock.sleep(seconds)
end

--- The number of the signal that asked the run to stop, or nil.
function Context.interrupted()
  return (core.interrupted())
end
M.interrupted = Context.interrupted

--- The error of work that a signal keeps from being begun; nil when none came.
---@return crdbcloud.error|nil
function Context:stopped()
  if not self.interrupted() then return nil end
  return errors.new { kind = "cancelled", outcome = "not_sent", operation = self.operation, message = "interrupted before anything was sent" }
end

--- The SQL connection of this run; an error when none was named or it fails.
---@return table|nil sql
---@return crdbcloud.error|nil
function Context:sql()
  if self.cluster:has_sql() then
    local how, err = self.cluster:same_cluster(self.operation)
    if not how then return nil, err end
  end
  return self.cluster:open_sql(self.operation)
end

--- Where clients connect: from the record, the API, or the SQL connection.
---@return table|nil address { host, port, database, sslmode }
---@return crdbcloud.error|nil
function Context:address()
  if self.known_address == nil then
    local address, err = self.cluster:address()
    self.known_address = address or false
    self.address_error = err
  end
  return self.known_address or nil, self.address_error
end

--- Tries to log in as user. One attempt.
---@param rec table
---@param password userdata
---@return string verdict as of crdbcloud.sql.probe, or "network" when no address is known
---@return crdbcloud.error|nil
function Context:probe(rec, password)
  local target = self.cluster:probe_target() or self:address()
  if not target then return "network", self.address_error end
  local access = rec.access and rec.access[1]
  return require("crdbcloud.sql.probe").login {
    host = target.host,
    port = target.port,
    dbname = access and access.database or target.database,
    user = rec.user,
    password = password,
    sslmode = target.sslmode,
    sslrootcert = target.sslrootcert or self.cluster.sql_ca_file,
    insecure = target.insecure,
    timeout = PROBE_TIMEOUT,
  }
end

--- The options of this call that a recovery must follow too. The record keeps them from STAGE to PUBLISH.
---@param rec table
---@return table asked { sinks, cancel_sessions, allow_admin, hook }, or record.NONE
function Context:asked(rec)
  if rec.pair or rec.pair_of then return record.NONE end
  if not (self.call_sinks or self.cancel_sessions or self.allow_admin or self.after) then return record.NONE end
  return {
    sinks = self.call_sinks, cancel_sessions = self.cancel_sessions, allow_admin = self.allow_admin, hook = self:hook_mark(rec),
  }
end

--- The sinks of a user: those of the call or of the call that a crash cut off, else the handle's and the record's.
---@param rec table|nil
---@param user string
---@return table[]
function Context:sinks_of(user, rec)
  if rec and rec.pair_of then return {} end -- a pair publishes to the sinks of its name
  local call = self.call_sinks or rec and rec.asked and record.is_open(rec) and rec.asked.sinks
  local refusal = trust.sinks(self)
  if call then return sinks.open(call, user, self.name, refusal) end
  return sinks.open(sinks.joined(self.cluster.sinks or {}, rec and rec.sinks or {}), user, self.name, refusal)
end

--- The names of a user's sinks, for plans and reports.
---@return string[]
function Context:sink_names(user, rec)
  local list = {}
  for i, sink in ipairs(self:sinks_of(user, rec)) do list[i] = sink.name end
  return list
end

--- The mark of the `after` command in a published record, which stays open until the command has run.
function Context:hook_mark(rec)
  local own, kept = self.after and { command = self.after, run_id = self.run_id }, rec.hook or rec.asked and rec.asked.hook
  if self.operation == "resume" then return kept or own end -- what a run had left undone comes first
  return own or kept
end

--- What a report's row says of a held record.
---@return { epoch: integer|nil, state: string|nil, sinks: string[], proof: table|nil }
function Context:shown(entry)
  local rec = entry.rec
  if not rec then return { sinks = {} } end
  return { epoch = record.public_epoch(rec), state = rec.state, sinks = self:sink_names(entry.user, rec), proof = entry.proof }
end

--- Asks each sink whether it can hold the credential, before anything is staged.
---@return true|nil
---@return crdbcloud.error|nil
function Context:check_sinks(rec, password)
  local list = self:sinks_of(rec.user, rec)
  -- Without an address some sinks go on; an address that is none is an attack or an error that a person should see.
  local known = rec.address or #list == 0 or self:address()
  local address_err = not known and self.address_error
  if address_err and address_err.reason == "address" then
    return nil, errors.new { kind = "protocol", outcome = "not_sent", reason = "address", message = address_err.message }
  end
  local sample = { epoch = rec.epoch + 1, password = password or core.secret("sample") }
  for _, sink in ipairs(list) do
    local ok, err = sink:check(self:credential(rec, sample))
    if not ok then
      err.outcome = "not_sent"
      return nil, err
    end
  end
  return true
end

--- Waits before the same bytes are sent again. A POST counts as a PUT here, since its caller lists the users before it
--- repeats one.
---@return boolean false when another attempt would not help, or not in time
function Context:wait_again(user, err, attempt, deadline)
  local decision = retry.decide {
    effect = "put", outcome = err.outcome, reason = err.reason, status = err.status, attempt = attempt,
    max_attempts = self.cloud.config.max_attempts, retry_after = err.retry_after,
    remaining = deadline - self:monotonic(), jitter = core.random(),
  }
  if not decision.retry or self.interrupted() then return false end
  self:progress {
    step = "wait", user = user, wait = decision.wait,
    text = ("%s; the same again in %.1f s"):format(err.message, decision.wait),
  }
  self:sleep(decision.wait)
  return true
end

--- The credential that sinks and callers get: epoch, user and password as one value.
---@param rec table
---@param holder table current or staged
---@param as? { user: string, epoch: integer } of a pair
---@return table
function Context:credential(rec, holder, as)
  return credential.make(rec, holder, rec.address or self:address(), as)
end

--- Runs fn() under the lock of a run that works on many users of the cluster.
---@return any
---@return crdbcloud.error|nil err kind "busy" names the other run
function Context:with_run(fn)
  -- In a shared store several runs work side by side; the lease of each user keeps them apart.
  if self.store.shared then return fn() end
  local lock, err = self.store:lock(self.id .. "/@run", self.run_id)
  if not lock then
    err.outcome = "not_sent"
    return nil, err
  end
  local ok, result
  ok, result, err = pcall(fn)
  lock:close()
  if not ok then error(result, 0) end
  if result == nil then return nil, err end
  return result -- alone, so that print(assert(...)) prints one value
end

--- The users of the cluster, page by page. Not as of a moment that our clock names, which a user made just now may be
--- missing from: whether a user exists decides what we do.
function Context:user_pages()
  return lists.reader(self.cloud._account, "list_sql_users", { cluster_id = self.id }, {}, false)
end

--- Whether a test holds for the folded name of a user that the cluster has now; it is asked until it says true.
---@param test fun(user: string): boolean|nil
---@return boolean|nil
---@return crdbcloud.error|nil
function Context:any_user(test)
  return lists.any(self:user_pages(), self.cloud.config.deadline, function(item) return test(names.fold(item.name)) end)
end

--- Whether the cluster has the user now.
---@return boolean|nil
---@return crdbcloud.error|nil
function Context:user_exists(user)
  return self:any_user(function(name) return name == user end)
end

--- Takes a user's lock and reads the record.
---@param user string folded
---@return table|nil entry as of crdbcloud.change.held
---@return crdbcloud.error|nil err kind "busy" when another run holds the user, "pending" when a removal is half done
function Context:hold(user)
  local entry, err = (self.dry_run and entry_of.look or entry_of.hold)(self, user)
  if not entry then return nil, err end
  err = rules.unfinished(self.operation, entry.rec)
  if not err then return entry end
  entry:release()
  return nil, err
end

--- A record for a user that has none, as the journal of work that is not about its password.
---@param user string
---@return table
function Context:journal(user)
  return record.new { cluster_id = self.id, cluster_name = self.name, user = user, state = "unmanaged", created_at = self:now() }
end

-- The error that the stand-alone interpreter raises on Ctrl-C, with a hint for the person at its prompt.
local function interruption(problem)
  if not errors.is_interrupt(problem) then return problem end
  return "interrupted! What was begun is in the store, and no password is lost: cluster:resume() finishes it"
end

--- Runs fn(entry) while holding the user; the lock is released in any case.
function Context:with(user, fn)
  local entry, err = self:hold(user)
  if not entry then return nil, err end
  local ok, a, b = pcall(fn, entry)
  entry:release()
  if not ok then error(interruption(a), 0) end
  return a, b
end

Context.user_row = require("crdbcloud.run.user_row").row

return M
