--- `schedule`: rotations by the clock inside nginx. One run per host, in whichever worker comes first; another
--- worker goes on when that one dies, and the next start of nginx when all of them do.
--
-- Who runs stands in a shared dictionary under a key that lives for seconds and is written anew while the run goes
-- on. That a second run of this host never starts, whatever the dictionary says, is the business of a lock in the
-- store, taken in the thread (schedule_job.lua).

local board = require "crdbcloud.nginx.board"
local core = require "crdbcloud.core"
local due = require "crdbcloud.nginx.due"
local errors = require "crdbcloud.errors"
local options = require "crdbcloud.base.options"
local printing = require "crdbcloud.base.printing"

local M = {}

local POLL = 2 -- seconds between two looks of a worker at the dictionary
local BEAT = 3 -- seconds between two signs of life of whoever runs

---@class crdbcloud.nginx.schedule
---@field cluster table the handle
---@field every number seconds
---@field jitter number seconds
---@field options table of rotate_passwords, as they were given
local Schedule = {}
Schedule.__index = Schedule

local ours = {} -- of this worker: dictionary and cluster -> schedule

-- "10%" of the period, or a duration.
local function jitter_rule(value, name)
  local percent = type(value) == "string" and tonumber(value:match "^(%d+%.?%d*)%%$")
  if percent and percent <= 100 then return { share = percent / 100 } end
  return { seconds = options.value("duration", value, name .. ' (a share of every, such as "10%", or a duration)') }
end

local REFUSED = {
  on_progress = "a function cannot cross into nginx's threads; schedule_status tells how far a run is",
  plan = "a plan is made once and a schedule runs again and again",
  emergency = "an emergency is no matter of a schedule",
  dry_run = "a schedule that sends nothing is of no use; cluster:plan_rotation{...} tells what it would do",
}

local function no_functions(value, where)
  if type(value) == "function" then
    errors.raise("schedule: %s is a function, which cannot cross into nginx's threads", where)
  end
  if type(value) ~= "table" then return end
  for k, v in pairs(value) do no_functions(v, ("%s[%s]"):format(where, tostring(k))) end
end

-- Splits what was given into our options, checked, and those of rotate_passwords, as they came.
local function read(given)
  if type(given) ~= "table" then errors.raise("schedule: options must be a table, got %s", errors.shown(given)) end
  local own, theirs = {}, {}
  local OWN = { cluster = true, dict = "text", every = "duration", jitter = jitter_rule }
  for name, value in pairs(given) do
    if REFUSED[name] then errors.raise("schedule: %s: %s", name, REFUSED[name]) end
    if OWN[name] == nil then
      no_functions(value, tostring(name))
      theirs[name] = value
    else
      own[name] = value
    end
  end
  own = options.check(OWN, own, "schedule")
  local rotate = require "crdbcloud.workflows.rotate"
  local all = {}
  for name, rule in pairs(rotate.MANY) do all[name] = rule end
  for name, rule in pairs(OWN) do all[name] = rule end
  for name in pairs(REFUSED) do all[name] = nil end
  theirs.users = theirs.users or "managed"
  options.check(all, theirs, "schedule")
  if own.every == nil then errors.raise('schedule: every is missing: how often to look, such as "1h"') end
  if own.every < 1 then errors.raise("schedule: every must be a second or more, got %s", errors.shown(given.every)) end
  -- Without it each start of nginx, and each worker that takes over, would rotate all users once more.
  theirs.max_age = theirs.max_age or given.every
  rotate.check_many(theirs, "schedule")
  local jitter = own.jitter or { share = 0.1 }
  own.jitter = math.min(own.every, jitter.seconds or own.every * jitter.share)
  return own, theirs
end

local function log(level, ...)
  ngx.log(level, "crdbcloud schedule: ", ...)
end

-- What became of a run, for the status: the first of its workflows that did not end well, else the last.
local function verdict(runs, err)
  if not runs then
    return {
      ok = false, kind = err.kind, outcome = err.outcome, exit = err.exit, message = err.message, hint = err.hint,
      retryable = err.retryable,
    }
  end
  local shown = runs[#runs] or { ok = true, exit = 0 }
  for _, run in ipairs(runs) do
    if not run.ok then
      shown = run
      break
    end
  end
  return {
    ok = shown.ok, kind = shown.kind, outcome = shown.outcome, exit = shown.exit, message = shown.message, hint = shown.hint,
    retryable = shown.retryable, runs = runs,
  }
end

-- One run in the thread, while a light thread shows that this worker lives.
function Schedule:work(scheduled, asked)
  local heart = ngx.thread.spawn(function()
    while true do
      ngx.sleep(BEAT)
      self.board:beat(self.token)
    end
  end)
  local ok, runs, err = pcall(self.cluster.in_thread, self.cluster, "crdbcloud.nginx.schedule_job", "run", {
    dict = self.board.name, progress = self.board:key "progress", asked = asked, scheduled = scheduled, options = self.options,
  })
  ngx.thread.kill(heart)
  if not ok then
    runs, err = nil, errors.new { kind = "server", message = "internal error: " .. tostring(runs), exit = 70, outcome = "unknown" }
  end
  return verdict(runs, err)
end

function Schedule:run(action)
  local status = self.board:read()
  local asked = self.board:take_asked(status.asked)
  local scheduled = action == "take_over" or not status.next_due or #asked == 0 or ngx.now() >= status.next_due
  if action == "take_over" then
    log(ngx.WARN, "the run of worker ", status.worker or "?", " on ", self.board.cluster, " was cut; this worker goes on")
  end
  local started = math.floor(ngx.now())
  status.running_since, status.worker, status.asked, status.every = started, ngx.worker.pid(), asked, self.every
  self.board:write(status)
  local last = self:work(scheduled, asked)
  ngx.update_time()
  local now = ngx.now()
  last.started, last.ended, last.worker = started, math.floor(now), ngx.worker.pid()
  if not last.ok then
    log(last.kind == "busy" and ngx.NOTICE or ngx.ERR, self.board.cluster, ": ", last.message, last.hint and "; " .. last.hint or "")
  end
  status.running_since, status.worker = nil, nil
  status.asked = due.left(asked, last, now)
  if scheduled then
    status.failures = due.failures(status.failures or 0, last)
    status.next_due = due.next(now, last, status.failures, self.every, self.jitter, core.random())
  elseif #status.asked > 0 then
    -- What was asked for in vain is tried again soon; it never puts off what is due by the clock.
    status.next_due = math.min(status.next_due, due.next(now, last, 1, self.every, self.jitter, core.random()))
  end
  status.last = last
  if last.ok then status.last_success = last.ended end
  self.board:write(status)
end

--- One look of this worker: runs what is due, if nobody else does.
function Schedule:look()
  local status = self.board:read()
  local function decide(alive)
    return due.decide(ngx.now(), {
      alive = alive, running_since = status.running_since, next_due = status.next_due, asked = self.board:is_asked(),
    }, self.every, self.jitter)
  end
  if decide(self.board:is_alive()) == "wait" or not self.board:take(self.token) then return end
  -- Somebody may have ended a run between the two.
  status = self.board:read()
  local action = decide(false)
  if action ~= "wait" then
    self.running = true
    local ok, problem = pcall(self.run, self, action)
    self.running = false
    if not ok then log(ngx.ERR, problem) end
  end
  self.board:leave(self.token)
end

--- Rotates passwords by the clock. Called in init_worker_by_lua of every worker; returns at once.
---@param given { cluster: table, dict: string, every: crdbcloud.duration, jitter?: crdbcloud.duration, users?: any, max_age?: any }
---  cluster: a handle of crdbcloud.nginx; dict: the name of a lua_shared_dict; jitter: "10%" of every or a duration; users:
---  "managed" unless given; max_age: every unless given, so that a start of nginx rotates nobody twice; and all options of
---  rotate_passwords that are no functions
---@return crdbcloud.nginx.schedule
function M.schedule(given)
  local own, theirs = read(given)
  local self = setmetatable({ every = own.every, jitter = own.jitter, options = theirs, cluster = own.cluster }, Schedule)
  board.check_phase "schedule"
  self.board = board.of(own.dict, own.cluster, "schedule")
  local name = self.board.name .. "\0" .. self.board.cluster
  if ours[name] then errors.raise("schedule: %s is scheduled already in this worker", self.board.cluster) end
  ours[name] = self
  self.token = ("%d/%s"):format(ngx.worker.pid(), require("crdbcloud.core").random_hex(8))
  self.board:enter { cluster = self.board.cluster, every = self.every, next_due = due.first(ngx.now(), self.jitter, core.random()), failures = 0 }
  local function look(premature)
    if premature or self.running or ngx.worker.exiting() then return end
    self:look()
  end
  self.kick = function() return ngx.timer.at(0, look) end
  local ok, problem = ngx.timer.every(POLL, look)
  if not ok then errors.raise("schedule: nginx starts no timer: %s", tostring(problem)) end
  self.kick()
  return self
end

function Schedule:__tostring()
  return printing.harmless(("crdbcloud.nginx.schedule of %s every %d s"):format(self.board.cluster, self.every))
end

--- How the schedule of a cluster is; for requests. Reads the shared dictionary only.
---@param dict string
---@param cluster? string its name or id, as the handle was given it; needed where several are scheduled
---@return table|nil status { cluster, every, running, running_since, worker, cut, progress, next_due, failures, last_success,
---  asked, last = { ok, started, ended, exit, kind, outcome, message, hint, runs = { { operation, counts, … } } } }; times in
---  seconds since 1970; cut: the worker that ran it is gone and nobody has taken over yet
---@return crdbcloud.error|nil
function M.schedule_status(dict, cluster)
  local b, err = board.find(dict, cluster, "schedule")
  if not b then return nil, err end
  local status = b:read()
  local since = status.running_since ~= nil
  status.running = since and b:is_alive()
  status.cut = since and not status.running or nil
  status.progress = status.running and b:progress() or nil
  status.asked = #(status.asked or {}) + b:count_asked()
  status.failures = status.failures or 0
  return status
end

--- Asks the schedule of a cluster to rotate at once whoever's password was set before now. Returns before it is done;
--- schedule_status tells how far it is. A worker that takes over after a crash goes on with it.
---@param dict string
---@param opts? { cluster?: string, users?: "managed"|"all"|string|string[], reason?: string } users: "managed" unless given
---@return { cluster: string, asked_at: integer }|nil
---@return crdbcloud.error|nil
function M.schedule_now(dict, opts)
  opts = options.check({ cluster = "text", users = true, reason = "line" }, opts, "schedule_now")
  if type(opts.users) == "function" then
    errors.raise("schedule_now: users is a function, which cannot cross into nginx's threads")
  end
  local users = require("crdbcloud.run.selection").check_users(opts.users or "managed", "schedule_now")
  if type(users) == "table" then
    for _, name in ipairs(users) do
      local folded, err = require("crdbcloud.names").check(name)
      if not folded then return nil, err end
    end
  end
  local b, err = board.find(dict, opts.cluster, "schedule")
  if not b then return nil, err end
  local at = math.floor(ngx.now())
  local ok
  ok, err = b:ask { users = users, reason = opts.reason, at = at }
  if not ok then return nil, err end
  local here = ours[b.name .. "\0" .. b.cluster]
  if here then here.kick() end
  return { cluster = b.cluster, asked_at = at }
end

return M
