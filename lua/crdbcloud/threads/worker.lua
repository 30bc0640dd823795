--- One thread of a parallel rotation: opens what crdbcloud.threads.setup has packed, takes users from the main thread,
--- one at a time, and says what became of each. Whatever goes wrong here is a message; nothing is raised.

local batch = require "crdbcloud.run.batch"
local channels = require "crdbcloud.threads.channel"
local clouds = require "crdbcloud.cloud"
local context = require "crdbcloud.run.context"
local clock = require "crdbcloud.run.clock"
local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local rotate_user = require "crdbcloud.change.rotate_user"
local setups = require "crdbcloud.threads.setup"
local spool = require "crdbcloud.run.spool"

local M = {}

local function traced(problem)
  return errors.is(problem) and problem or debug.traceback(tostring(problem), 2)
end

--- Opens the account in this thread.
---@param data table of crdbcloud.threads.setup
---@param on_event fun(event: table)
---@param ask_key fun(): crdbcloud.secret|nil, crdbcloud.error|nil the key, read again where it first came from
---@return crdbcloud.cloud
function M.open_account(data, on_event, ask_key)
  local options = data.options
  local key = assert(core.take(data.key))
  options.proxy = data.proxy and assert(core.take(data.proxy)):reveal()
  options.on_event = data.listened and on_event or nil
  options.api_key = not data.key_again and key or function()
    local first = key
    key = nil
    if first then return first end
    return ask_key()
  end
  local cloud = assert(clouds.new(options))
  cloud._account.key.from = data.key_from
  return cloud
end

local function open_sql(data)
  if not data then return false end
  if data.url then return assert(core.take(data.url)) end
  local password = data.fields.password
  data.fields.password = password and assert(core.take(password))
  return data.fields
end

-- The run as a context of this thread. data: of crdbcloud.threads.setup; tell: speaks to the main thread.
local function open_run(data, tell)
  -- All tickets first: they do not last.
  local sql, url = open_sql(data.sql), data.store and assert(core.take(data.store)):reveal()
  local cloud = M.open_account(data.account, tell.event, tell.key)
  local cluster = assert(cloud:cluster(data.run.id, {
    store = url, sql = sql, sql_ca_file = data.sql_ca_file, sinks = data.sinks,
    store_key_file = data.store_options.store_key_file, plaintext = data.store_options.plaintext,
  }))
  cluster:knows {
    info = { id = data.run.id, name = data.run.name }, address = data.address, target = data.target or false, proven = data.proven,
  }
  local run = data.run
  run.cluster, run.cloud, run.clock, run.warnings, run.on_progress = cluster, cloud, clock, {}, tell.progress
  run.known_address, run.address_error = data.address or false, data.address_error and errors.new(data.address_error)
  if run.spooling then
    run.store = assert(spool.open(cluster))
  else
    run.store = assert(cluster:open_store(run.operation))
  end
  return context.restore(run)
end

-- Asks the main thread for the key, which it reads again.
local function key_source(channel)
  local renewed = 0
  return function()
    channel:send { what = "key", renewed = renewed }
    local answer = channel:receive()
    if answer and answer.what == "end" then
      channel.ended = true
      answer = channel:receive()
    end
    if not answer then return nil, "the run is over" end
    if not answer.ticket then return nil, answer.why end
    renewed = answer.renewed
    return core.take(answer.ticket)
  end
end

local function open(channel, setup)
  return open_run(setup, {
    progress = function(event) channel:send { what = "progress", event = event } end,
    event = function(event) channel:send { what = "event", event = event } end,
    key = key_source(channel),
  })
end

-- The row and the error of one user, as data; a raised error is an error of this user.
local function work(ctx, job)
  -- The signal may have come while the job was on its way here.
  if job.wait and (ctx.interrupted() or not ctx:sleep(job.wait)) then return { row = batch.interrupted(job) } end
  local ok, row, err = xpcall(rotate_user.row, traced, ctx, job)
  if ok then return { row = row, error = setups.pack_error(err) } end
  return { raised = tostring(row) }
end

local function serve(channel, setup)
  local ctx = open(channel, setup)
  channel:send { what = "ready" }
  while not channel.ended do
    local job = channel:receive()
    if not job or job.what ~= "user" then break end
    local done = work(ctx, job)
    done.what, done.warnings, done.stop = "done", ctx.warnings, setups.pack_error(ctx.stop)
    ctx.warnings, ctx.stop = {}, nil
    channel:send(done)
  end
  ctx.cluster:close()
  if ctx.spooling then ctx.store:close() end
  ctx.cloud:close()
end

--- Runs until the main thread says that there is no more.
---@param fd integer this thread's end of the channel
---@param setup string what crdbcloud.threads.setup has packed, as a line of the channel
function M.run(fd, setup)
  local channel = channels.new(fd)
  local ok, problem = xpcall(function() serve(channel, channels.decode(setup)) end, traced)
  channel:send { what = "gone", why = not ok and tostring(problem) or nil }
end

return M
