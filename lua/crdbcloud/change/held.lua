--- One held record. It is changed by compare-and-swap, and every password that goes to the cluster is sent from here.

local errors = require "crdbcloud.errors"
local record = require "crdbcloud.record"
local store = require "crdbcloud.store"

local M = {}

--- Seconds that a request may wait for its turn before it is sent.
M.SLACK = 15

---@class crdbcloud.entry
---@field ctx table
---@field user string
---@field key string
---@field rec table|nil nil when there is no record
---@field version any
---@field lock table|nil nil of one that is only looked at
---@field effect "applied"|"unknown"|nil what the sends of this run have done to the user
---@field lost crdbcloud.error|nil why the store could not be written after a send
local Entry = {}
Entry.__index = Entry

--- Reads the record for a plan, which takes no lock and writes nothing.
---@param ctx table
---@param user string folded
---@return crdbcloud.entry|nil
---@return crdbcloud.error|nil
function M.look(ctx, user)
  local key = record.key(ctx.id, user)
  local rec, version = ctx.store:get(key)
  if not rec and version then return nil, version end
  return setmetatable({ ctx = ctx, user = user, key = key, rec = rec, version = version }, Entry)
end

--- Takes a user's lock and reads the record.
---@param ctx table
---@param user string
---@return crdbcloud.entry|nil
---@return crdbcloud.error|nil err kind "busy" when another run holds the user
function M.hold(ctx, user)
  local key = record.key(ctx.id, user)
  local lock, err = ctx.store:lock(key, ctx.run_id)
  if not lock then
    err.outcome = "not_sent"
    return nil, err
  end
  local entry
  entry, err = M.look(ctx, user)
  if not entry then
    lock.close()
    return nil, err
  end
  entry.lock = lock
  local ok
  ok, err = entry:note_future()
  if not ok then
    lock.close()
    return nil, err
  end
  return entry
end

--- What the clocks say now. A shared store's clock is known from the lock, and no host's own can be sure: what is written
--- down gets the later time, what is judged the earlier. While a virtual machine is stopped only its wall clock goes on.
---@return crdbcloud.instant
function Entry:instant()
  local ctx, by = self.ctx, self.lock and self.lock.time
  local now = { time = ctx.clock.time(), boot = ctx:monotonic(), boot_id = ctx.clock.boot_id() }
  now.stamp = now.time
  if by then
    now.stamp = math.max(now.time, by.at + now.boot - by.before)
    now.time = math.min(now.time, by.at + now.boot - by.after)
  end
  return now
end

--- Tells of a send that lies in the future: a clock was wrong, here or where it was sent. The record remembers when this
--- machine saw it, so that the wait has an end.
---@return true|nil
---@return crdbcloud.error|nil
function Entry:note_future()
  if not self.rec then return true end
  local at, sends = record.from_future(self.rec, self:instant())
  if not at then return true end
  self.ctx:warn(("%s: the record says that a change was sent at %s, which lies in the future: a clock was wrong; waits count from now"):format(
    self.user, os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(at))))
  if not sends then return true end
  return self:save(record.amend(self.rec, { sends = sends }))
end

--- Makes a changed record durable. Nothing is sent after this has failed.
---@return true|nil
---@return crdbcloud.error|nil err reason "version" when another run has changed it
function Entry:save(rec)
  local ctx = self.ctx
  rec.run_id, rec.by, rec.updated_at, rec.cluster_name = ctx.run_id, ctx.by, ctx:now(), ctx.name
  rec.address = rec.address or ctx:address()
  local version, err = ctx.store:put(self.key, rec, self.version)
  if not version then
    -- Nothing is sent that is not durable, so the outcome is that of the sends before.
    err.outcome = err.outcome or self.effect or "not_sent"
    return nil, err
  end
  self.rec, self.version = rec, version
  return true
end

--- Saves after a send. The change is real even if the store cannot be written, so the run goes on in memory and reports
--- the failure at the end; recovery needs only the durable INTENT. A run that has been overtaken stops.
---@return boolean ok false when another run has changed the record
function Entry:keep(rec)
  local ok, err = self:save(rec)
  if ok then return true end
  self.rec = rec
  self.lost = self.lost or err
  return err.reason ~= "version"
end

-- A shared store may accept a write and lose it, in a failover for example. So the INTENT, with the stage in it, is read
-- back before anything is sent.
local function read_back(self)
  if not self.ctx.store.shared then return true end
  local rec, version = self.ctx.store:get(self.key)
  if rec and version == self.version then return true end
  if not rec and errors.is(version) then return nil, version end
  if rec and rec.run_id ~= self.rec.run_id then return nil, store.conflict(self.key) end
  return nil, store.failed(self.key .. ": the store did not keep what was written")
end

--- Makes sure that no other run can take the user over within so many seconds.
---@param seconds number
---@return true|nil
---@return crdbcloud.error|nil err kind "busy" and reason "lease" when another run may have done so
function Entry:holds(seconds)
  if not self.lock.ensure then return true end
  return self.lock.ensure(seconds)
end

--- Writes INTENT, sends once, and notes the answer in memory.
---@param o { op: string, state: string, epoch: integer, password: userdata, deadline: number }
---@return table|nil value
---@return crdbcloud.error|nil err
---@return string|nil where "store" when nothing was sent because of the store or the lease
function Entry:send(o)
  local ctx = self.ctx
  local timeout = ctx.cloud.config.timeout
  local needed = timeout + M.SLACK
  -- No request may arrive after our lease has ended (I7). The time is read before the lease is renewed, since the process
  -- may be stopped anywhere below. The wall clock is read too: it alone goes on while a virtual machine is stopped.
  local now = self:instant()
  local ends, at, wall = now.boot + needed, now.stamp, ctx.clock.time()
  local held, lease_err = self:holds(needed)
  if not held then
    lease_err.outcome = "not_sent"
    return nil, lease_err, "store"
  end
  local ok, store_err = self:save(record.move(self.rec, o.state, {
    sends = record.add_send(self.rec, {
      op = o.op, epoch = o.epoch, at = at, deadline = at + needed, boot = now.boot, boot_id = now.boot_id, run_id = ctx.run_id,
    }),
  }))
  if ok then
    ok, store_err = read_back(self)
    if not ok then self.rec = record.amend(self.rec, { sends = record.answer_send(self.rec, "not_sent", "store") }) end
  end
  if not ok then
    store_err.outcome = "not_sent"
    return nil, store_err, "store"
  end
  -- Should the call raise, then nobody knows whether it was sent.
  local before = self.effect
  self.effect = "unknown"
  local value, err = ctx.cloud:once(o.op, { cluster_id = ctx.id, name = self.user, password = o.password }, {
    timeout = timeout, deadline = math.min(o.deadline, ends), until_wall = wall + needed,
  })
  local outcome = value and "applied" or err.outcome or "unknown"
  self.effect = (outcome == "applied" or outcome == "unknown") and outcome or before
  self.rec = record.amend(self.rec, { sends = record.answer_send(self.rec, outcome, err and err.reason) })
  return value, err
end

--- Removes the record.
function Entry:forget()
  if self.version then
    local ok, err = self.ctx.store:remove(self.key, self.version)
    if not ok then return nil, err end
  end
  self.rec, self.version = nil, nil
  return true
end

function Entry:release()
  if self.lock then self.lock.close() end
end

return M
