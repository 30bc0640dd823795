--- The real engine as the processes of a simulated world: what is replaced is the
-- world around it (clock, account, login, SQL, sinks), nothing of the protocol.

local context = require "crdbcloud.run.context"
local core = require "crdbcloud.core"
local create_app_user = require "crdbcloud.workflows.create_app_user"
local privileges = require "crdbcloud.privileges"
local resume = require "crdbcloud.workflows.resume"
local rollback = require "crdbcloud.workflows.rollback"
local rotate = require "crdbcloud.workflows.rotate"
local spool = require "crdbcloud.run.spool"
local passwords = require "crdbcloud.passwords"
local record = require "crdbcloud.record"
local standing = require "crdbcloud.privileges.standing"
local world_of = require "spec.sim.world"

local M = {}

local ACCESS = { database = "shop", tables = "*", preset = "readonly" }
local MOST_CRASHES = 6

local Cluster = {}
Cluster.__index = Cluster

function Cluster:resolve() return { id = self.world.id, name = "simulated" } end

function Cluster:open_store()
  if not self.opened then self.opened = self.world:store_of(self.process):open(self.process) end
  return self.opened
end

function Cluster:open_sql() return self.world:sql(self.process) end

function Cluster.address() return { host = "simulated", port = 26257, database = "defaultdb", sslmode = "verify-full" } end

function Cluster.sql_account() return "operator" end

function Cluster.has_sql() return true end

function Cluster.same_cluster() return "address" end

--- The handle of one process.
function M.cluster(world, process)
  local p = world.profile
  local cloud = world.service:open(process, { timeout = p.timeout, deadline = p.deadline, max_attempts = p.max_attempts })
  return setmetatable({ world = world, process = process, cloud = cloud, sinks = {} }, Cluster)
end

--- Puts the simulated surroundings in place.
---@return fun() restore
function M.install()
  local saved = {
    new = context.new, random = core.random, look = standing.look, privileges = {}, directory = spool.directory, open = spool.open,
  }
  local current -- the world that runs now
  context.new = function(cluster, operation, opts)
    local ctx, err = saved.new(cluster, operation, opts)
    if not ctx or getmetatable(cluster) ~= Cluster then return ctx, err end
    local world, process = cluster.world, cluster.process
    ctx.clock = world:clock(process)
    ctx.probe = function(_, rec, password) return world.service:login(process, rec.user, password) end
    ctx.user_pages = function(self)
      local read = false
      return {
        next = function()
          if read then return nil end
          read = true
          return self.cloud:all_sql_users()
        end,
      }
    end
    ctx.sinks_of = function(_, user) return world:open_sinks(process, user) end
    local user_row = ctx.user_row
    ctx.user_row = function(...)
      process.work = (process.work or 0) + 1
      local row, problem = user_row(...)
      world.check:reported(process, row)
      return row, problem
    end
    return ctx
  end
  spool.directory = function() return "/" end -- is there; nothing is read or written
  spool.open = function()
    local process = current.scheduler.running
    return current:spool_of(process):open(process)
  end
  standing.look = world_of.look
  core.random = function() return current and current.random:number() or 0.5 end
  for name, fn in pairs(world_of.privileges) do
    saved.privileges[name] = privileges[name]
    privileges[name] = fn
  end
  M.use = function(world) current = world end
  return function()
    context.new, core.random, standing.look = saved.new, saved.random, saved.look
    spool.directory, spool.open = saved.directory, saved.open
    for name, fn in pairs(saved.privileges) do privileges[name] = fn end
  end
end

-- What a process may be asked to do: fn(world, cluster, opts).
local JOBS = {}

local function common(world, own, given)
  local opts = { verify = world.profile.verify, keep_previous = world.profile.keep_previous }
  for k, v in pairs(own) do opts[k] = v end
  for k, v in pairs(given or {}) do opts[k] = v end
  return opts
end

function JOBS.rotate(world, cluster, opts)
  return rotate.rotate_password(cluster, common(world, { user = world_of.USER }, opts))
end

function JOBS.rotate_all(world, cluster, opts)
  return rotate.rotate_passwords(cluster, common(world, { users = "managed" }, opts))
end

function JOBS.given(world, cluster, opts)
  return rotate.rotate_password(cluster, common(world, { user = world_of.USER, password = passwords.generate {} }, opts))
end

function JOBS.emergency(world, cluster, opts)
  world.emergency = true
  return rotate.rotate_passwords(cluster, common(world, { emergency = { world_of.USER } }, opts))
end

function JOBS.rollback(world, cluster, opts)
  return rollback.rollback_password(cluster, common(world, { user = world_of.USER }, opts))
end

function JOBS.resume(world, cluster, opts)
  return resume.resume(cluster, common(world, {}, opts))
end

function JOBS.create(world, cluster)
  return create_app_user.create_app_user(cluster, { name = world_of.USER, access = ACCESS, verify = world.profile.verify })
end

--- Does one job as a process would.
---@param name string of JOBS
---@param opts? table for scenes: options of the workflow
---@return table[] rows of the report
---@return table|nil err
---@return table|nil report
function M.job(world, process, name, opts)
  world:say(process, "JOB %s", name)
  local report, err = JOBS[name](world, M.cluster(world, process), opts)
  local rows = (report or err.report or { rows = {} }).rows
  for _, row in ipairs(rows) do
    world:say(process, "says %s: %s%s%s", row.user, row.result, row.outcome and ", " .. row.outcome or "",
      row.error and ": " .. row.error or row.note and ": " .. row.note or "")
  end
  if not report and not err.report then world:say(process, "fails: %s", tostring(err)) end
  return rows, err, report
end

local function job_list(world)
  local r, list = world.random, {}
  for i = 1, r:integer(world.profile.jobs) do
    if world.profile.scenario == "create" then
      list[i] = r:weighted { "create", 4, "resume", 2, "rotate", i > 1 and 2 or 0.5 }
    else
      list[i] = r:weighted {
        "rotate", 4, "rotate_all", 3, "resume", 2, "given", world.profile.given == false and 0 or 1, "rollback", 1,
        "emergency", world.profile.emergency and 3 or 0,
      }
    end
  end
  return list
end

-- Starts a process; when it is killed, another takes its place a while later.
local function start(world, name, list)
  local r, p = world.random, world.profile
  local process = { name = name, crash = p.crash, freeze = p.freeze, longest = p.longest_freeze }
  world:place(process, { boot = r:between(0, 1e5), mono = r:between(0, 1e5), skew = r:between(-p.skew, p.skew) })
  world.processes[#world.processes + 1] = process
  local left = {}
  for i, job in ipairs(list) do left[i] = job end
  world.scheduler:start(process, function()
    while #left > 0 do
      M.job(world, process, left[1])
      table.remove(left, 1)
      world:pause(r:weighted { 0.1, 2, r:between(0, 20), 2, r:between(0, 300), 1 })
    end
  end, function(crashed)
    if not crashed then return end
    world:say(process, "KILLED")
    world:store_of(process):forget(process)
    world:spool_of(process):forget(process)
    world.crashes = (world.crashes or 0) + 1
    if world.crashes > MOST_CRASHES then return end
    if r:chance(0.7) then table.insert(left, 1, "resume") end
    world.scheduler:after(r:weighted { r:between(0, 2), 2, r:between(0, 300), 1 }, function()
      start(world, name .. "'", left)
    end)
  end)
end

--- Makes a user, and its record in every store.
---@param unmanaged? boolean without a record
function M.add(world, user, unmanaged)
  local password = passwords.generate {}
  local label = world:label(password)
  world.refused[label] = nil
  world.service:put_user(user, label)
  if unmanaged then return end
  local rec = record.new {
    cluster_id = world.id, user = user, state = "idle", epoch = 1, origin = "import", created_at = world:wall(),
    current = { epoch = 1, password = password, set_at = world:wall(), verified = true },
  }
  for _, kept in ipairs(world:all_stores()) do kept:fill(record.key(world.id, user), rec) end
end

--- Users and records as they are before anything runs.
function M.prepare(world)
  local scenario = world.profile.scenario
  if scenario ~= "create" then M.add(world, world_of.USER, scenario == "unmanaged") end
end

--- Runs the rotators of a world until each has ended and nothing is under way.
function M.run(world)
  local r = world.random
  for i = 1, world.profile.rotators do
    local list = job_list(world)
    world.scheduler:after(r:between(0, world.profile.spread), function() start(world, string.char(64 + i), list) end)
  end
  if world.profile.outsider then
    world.scheduler:after(r:between(1, 300), function() M.outsider(world) end)
  end
  world.scheduler:run()
end

--- Somebody else: sets another password, or makes a user of the name that we are about to make.
function M.outsider(world)
  local user = world.service.users[world_of.USER]
  if user and user.ours then return end
  world.outsider, world.meddled = true, true
  world:say(nil, "SOMEBODY ELSE %s %s", user and "changes" or "makes", world_of.USER)
  world.service:put_user(world_of.USER, "outside")
end

--- The end of a run: everything works, nothing sent can still arrive; a last
--- `resume`, checked; then one more rotation, checked again.
function M.finish(world)
  world.healthy = true
  world.refused = {}
  for i, kept in ipairs(world:all_stores()) do
    local process = { name = "Z" .. i, crash = 0, freeze = 0, longest = 0, store = kept }
    world:place(process, { boot = 0, mono = 0, skew = 0 })
    world.scheduler:start(process, function()
      world:pause(record.SETTLE + 600)
      for host in ("ABCZ"):gmatch "." do -- what an emergency left on a host is known there only
        process.name = host .. process.name:sub(2)
        world:place(process, { boot = 0, mono = 0, skew = 0 })
        for _ = 1, 3 do
          local _, err = M.job(world, process, "resume")
          world:pause(2 * record.SETTLE)
          if not err then break end
        end
      end
      M.job(world, process, "resume")
      world.check:finished(kept, "after the last resume")
      local user = world.service.users[world_of.USER]
      if world.private_stores or world.profile.scenario == "create" and user and not user.ours then return end
      if world.profile.scenario == "create" then M.job(world, process, "create") end
      local _, err = M.job(world, process, "rotate")
      if err and world.profile.jumps > 0 then -- a send of the future is waited for once, from when this machine saw it
        world:pause(2 * record.SETTLE)
        M.job(world, process, "rotate")
      end
      world.outsider = nil
      world.check:finished(kept, "after one more rotation")
    end, function() end)
    world.scheduler:run()
  end
end

return M
