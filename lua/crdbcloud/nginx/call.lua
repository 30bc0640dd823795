--- One call of the event loop: waits for one of the pool's permits, runs in nginx's thread pool, comes back.
--
-- A permit stands for a thread at work. The thread goes on when the request that asked is aborted, so it is not the
-- request that runs it and holds the permit, but a timer of our own, which nobody aborts; the request waits for that.
-- The request's waiting has a time limit, again and again, and a timer of nginx is what keeps a worker that is told to
-- quit alive until the answer is there.

local errors = require "crdbcloud.errors"
local states = require "crdbcloud.nginx.states"
local values = require "crdbcloud.threads.values"

local M = {}

local PHASES = { rewrite = true, server_rewrite = true, access = true, content = true, timer = true }
local START = 2 -- seconds for a timer of no delay to begin; longer, and nginx has no more timers to run
local LOOK = 60 -- seconds after which a waiting request looks again

---@class crdbcloud.nginx.pool
---@field name string of nginx's thread pool
---@field max_calls integer permits of each worker
---@field pid integer|nil the worker whose state this is; a fork begins anew
---@field permits table ngx.semaphore
---@field starting table<table, true> jobs whose timer has not begun
---@field states crdbcloud.nginx.states
local pools = {}

-- ngx.semaphore, or nil and why it is not there.
local function semaphores()
  local ok, module = pcall(require, "ngx.semaphore")
  if ok then return module end
  return nil, tostring(module):match "^[^\n]*"
end

--- A thread pool as the handles use it; all of one worker and pool share its permits.
---@param name string
---@param max_calls integer
---@return crdbcloud.nginx.pool
function M.pool(name, max_calls)
  local pool = pools[name]
  if pool and pool.max_calls ~= max_calls then
    errors.raise("crdbcloud.new: max_calls = %d, but thread_pool %s has max_calls = %d already; all handles of a pool share its calls",
      max_calls, name, pool.max_calls)
  end
  pool = pool or { name = name, max_calls = max_calls }
  pools[name] = pool
  if rawget(_G, "ngx") then semaphores() end -- loaded now, so that no request waits for the disk
  return pool
end

local function unsent(kind, operation, message, hint, reason)
  return nil, errors.new {
    kind = kind, operation = operation, outcome = "not_sent", message = message, hint = hint, reason = reason,
  }
end

--- Why a call cannot be made here at all.
---@param operation string
---@return crdbcloud.error|nil
function M.misplaced(operation)
  local ngx = rawget(_G, "ngx")
  if not ngx or not ngx.worker then
    return select(2, unsent("invalid_argument", operation, "crdbcloud.nginx works in nginx's event loop only",
      'in a script, and in a thread, it is require "crdbcloud"', "context"))
  elseif ngx.config and ngx.config.subsystem == "stream" then
    return select(2, unsent("invalid_argument", operation, "nginx's stream subsystem has no threads for Lua",
      "make the call in a server of the http block", "context"))
  elseif not ngx.run_worker_thread then
    return select(2, unsent("invalid_argument", operation, "this nginx has no ngx.run_worker_thread",
      "it needs lua-nginx-module 0.10.23 or later and nginx built with threads", "context"))
  end
  local phase = ngx.get_phase()
  if PHASES[phase] then
    local _, why = semaphores()
    return why and select(2, unsent("invalid_argument", operation, "ngx.semaphore cannot be loaded: " .. why,
      "it comes with lua-resty-core", "context"))
  end
  local hint = phase == "init" and "start it in init_worker_by_lua with ngx.timer.at(0, function)"
    or ("in %s_by_lua, start it with ngx.timer.at(0, function), and do not wait for it"):format(phase)
  return select(2, unsent("invalid_argument", operation, ("a call has to wait, which nginx does not allow in %s_by_lua"):format(phase),
    hint, "context"))
end

-- The pool with the permits of this worker.
local function of_worker(pool)
  local pid = ngx.worker.pid()
  if pool.pid ~= pid then
    pool.permits = assert(semaphores().new(pool.max_calls))
    pool.pid, pool.starting, pool.states = pid, {}, states.new(semaphores().new)
  end
  return pool
end

-- Takes back a job that has not begun.
local function cancel(pool, job)
  pool.starting[job], job.cancelled = nil, true
  values.withdraw(job.message)
  pool.permits:post(1)
end

-- Timers that nginx did not run, for want of lua_max_running_timers, give their permits back.
local function reclaim(pool)
  local before = ngx.now() - START
  for job in pairs(pool.starting) do
    if job.at < before then cancel(pool, job) end
  end
end

-- Calls that all pools of a worker may have under way; each needs a Lua state of nginx's own pool of them.
local function all_calls()
  local sum = 0
  for _, pool in pairs(pools) do sum = sum + pool.max_calls end
  return sum
end

-- What ngx.run_worker_thread says when it has run nothing.
local function unstarted(pool, text, operation)
  if text:find("thread pool .* not found") then
    return unsent("invalid_argument", operation, ("nginx has no thread pool %s"):format(pool.name),
      ('put "thread_pool %s threads=%d;" into the main context of nginx.conf, without a max_queue'):format(pool.name, pool.max_calls),
      "thread_pool")
  elseif text:find("no available Lua vm", 1, true) then
    return unsent("busy", operation, "nginx has no Lua state free for another thread",
      ('put "lua_worker_thread_vm_pool_size %d;" into the http block of nginx.conf, or lower max_calls'):format(all_calls()), "busy")
  elseif text:find("module 'crdbcloud.nginx.job'", 1, true) then
    return unsent("invalid_argument", operation, "a thread cannot load crdbcloud: " .. text,
      "lua_package_path and lua_package_cpath of the http block must lead to it", "thread")
  end
end

--- The error of a secret that is closed, or was made before the fork.
---@param operation string
---@param why string
---@return nil
---@return crdbcloud.error
function M.unusable(operation, why)
  return unsent("invalid_argument", operation, "a secret of this call cannot be used: " .. errors.bare(why),
    "one that was made before nginx forked its workers is empty in them: make it in init_worker_by_lua, or give a string or a file",
    "secret")
end

-- The error of a call that was made and whose result is lost: nobody knows what it did.
local function result_lost(operation, message)
  return { error = errors.new {
    kind = "busy", operation = operation, outcome = "unknown", message = message, hint = "what it had begun is settled by cluster:resume()",
  } }
end

local function answer_of(pool, job)
  local operation, answer = job.operation, job.answer
  if not job.ok or type(answer) ~= "table" then
    local text = tostring(answer)
    local _, err = unstarted(pool, text, operation)
    if err then return { error = err } end
    return { error = errors.new {
      kind = "pending", operation = operation, outcome = "unknown", reason = "internal", exit = 70, retryable = false,
      message = "the thread broke off: " .. text, hint = "what had begun is settled by cluster:resume()",
    } }
  elseif answer.gone then
    return { error = select(2, unsent("busy", operation, "no thread was free within a minute",
      ("give the pool more threads: thread_pool %s threads=%d;"):format(pool.name, pool.max_calls), "busy")) }
  elseif answer.full then
    return result_lost(operation, "the call was made, but its result cannot be handed over: " .. answer.full)
  elseif answer.raised then
    return answer
  end
  local field = answer.values and "values" or "thrown"
  local taken, why = values.take(answer[field])
  if not taken then
    return result_lost(operation, "the call was made, but its result came too late: " .. why)
  end
  local list, n = values.open(taken)
  return { field = field, list = list, n = n }
end

-- The timer that owns the permit.
local function runner(_, pool, job)
  if job.cancelled then return end
  pool.starting[job] = nil
  states.enter(pool)
  local ok, ran, answer = pcall(ngx.run_worker_thread, pool.name, "crdbcloud.nginx.job", "run", job.message)
  states.leave(pool)
  pool.permits:post(1)
  job.ok, job.answer = ok and ran, ok and answer or ran
  if not job.ok then values.withdraw(job.message) end
  local opened, result = pcall(answer_of, pool, job)
  job.result = opened and result or { raised = tostring(result) }
  job.done:post(1)
end

-- Starts the timer; the permit is its from here on.
local function start(pool, request, message)
  local job = { operation = request.operation, message = message, at = ngx.now(), done = assert(semaphores().new(0)) }
  pool.starting[job] = true
  local ok, why = ngx.timer.at(0, runner, pool, job)
  if ok then return job end
  pool.starting[job] = nil
  values.withdraw(message)
  pool.permits:post(1)
  return unsent("busy", request.operation, "nginx starts no timer: " .. tostring(why), "raise lua_max_pending_timers", "busy")
end

-- Below a C function, as in table.sort, a coroutine cannot wait.
local function cannot_wait(operation)
  return unsent("invalid_argument", operation, "a call has to wait, which nothing can do within require, table.sort or string.gsub",
    "make the call before, and use there what it gave", "context")
end

local function wait_for(pool, job)
  while not job.result do
    local waited = pcall(job.done.wait, job.done, pool.starting[job] and START or LOOK)
    if not waited then -- at the first time, before any timer has run
      cancel(pool, job)
      return { error = select(2, cannot_wait(job.operation)) }
    end
    reclaim(pool)
    if job.cancelled then
      return { error = select(2, unsent("busy", job.operation, "nginx runs no more timers at once", "raise lua_max_running_timers", "busy")) }
    end
  end
  return job.result
end

--- Runs a call.
---@param pool crdbcloud.nginx.pool
---@param request { operation: string, max_wait: number, wire: crdbcloud.threads.wire } max_wait: seconds for a permit
---@return any ... what the method gave; or nil, err
function M.run(pool, request)
  local err = M.misplaced(request.operation)
  if err then return nil, err end
  of_worker(pool)
  local allowed, turn = pcall(pool.permits.wait, pool.permits, request.max_wait)
  if not allowed then return cannot_wait(request.operation) end
  if not turn then
    reclaim(pool)
    return unsent("busy", request.operation, ("%d calls of this worker are under way already"):format(pool.max_calls),
      "raise max_calls, and the threads of thread_pool " .. pool.name .. " with it", "busy")
  end
  -- Lent only now: tickets do not last while a call waits for its turn.
  local message, why, code = values.lend(request.wire)
  if not message then
    pool.permits:post(1)
    if code == "full" then return unsent("busy", request.operation, why, nil, "busy") end
    return M.unusable(request.operation, why)
  end
  local job
  job, err = start(pool, request, message)
  if not job then return nil, err end
  local result = wait_for(pool, job)
  if result.error then return nil, result.error end
  if result.raised then errors.raise("%s", result.raised) end
  if result.field == "thrown" then error(result.list[1], 0) end
  return unpack(result.list, 1, result.n)
end

return M
