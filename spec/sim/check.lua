--- The judge of a simulated run: invariants I1 to I8 over everything that is
-- written, sent, answered, published and said, and the state at the end. It looks
-- at the world itself, not at what a process believes.

local record = require "crdbcloud.record"

local M = {}

local PUT, POST = "update_sql_user_password", "create_sql_user"
local TOLERANCE = 5 -- seconds by which clocks of hosts may differ

local Check = {}
Check.__index = Check

function M.new(world)
  return setmetatable({
    world = world, problems = {}, stages = {}, sent_of_epoch = {}, incarnation = {}, sent_labels = {}, posted = {},
    accepted = {}, answered_labels = {}, was_admins = {}, exposed = {}, counts = { sends = 0, writes = 0 },
  }, Check)
end

--- Notes a wrong.
---@param id string "I1" to "I8", "end", "creation", "report", "consumers"
function Check:wrong(id, format, ...)
  local text = format:format(...)
  self.problems[#self.problems + 1] = { id = id, text = text, time = self.world.scheduler.now }
  self.world:say(nil, "WRONG %s: %s", id, text)
end

-- label -> what holds it, of every password in a record
local function labels_in(world, rec)
  local set = {}
  if not rec then return set end
  for _, name in ipairs { "bootstrap", "current", "previous", "staged" } do
    if rec[name] then set[world:label(rec[name].password)] = name end
  end
  for _, c in ipairs(rec.candidates or {}) do set[world:label(c.password)] = "candidate" end
  return set
end

-- Requests to a user that may still be carried out.
local function in_flight(world, user, op)
  local list = {}
  for _, request in ipairs(world.service.requests) do
    if request.user == user and request.pending > 0 and (not op or request.op == op) then list[#list + 1] = request end
  end
  return list
end

-- The record's own view: a send of another epoch that may still be carried out.
local function unsettled(world, rec, epoch)
  for _, send in ipairs(rec.sends) do
    local open = send.outcome == nil or send.outcome == "unknown"
    if open and send.op == PUT and send.epoch ~= epoch and world:deadline_of(send) + record.SETTLE > world:wall() + TOLERANCE then
      return send
    end
  end
end

-- A password that somebody may use must never have been an admin's (of a user
-- that we create), nor the throwaway.
function Check:expose(user, label, where)
  if self.exposed[label] then return end
  self.exposed[label] = true
  if self.posted[label] then self:wrong("creation", "the throwaway of %s is handed out by %s", user, where) end
  if self.was_admins[label] then self:wrong("creation", "%s of %s was an admin's and is handed out by %s", label, user, where) end
end

local function live_of(world, user)
  local u = world.service.users[user]
  return u and u.label
end

-- Whoever reads the store can log in at any time.
function Check:consumers(user)
  local world = self.world
  if world.outsider or world.private_stores or world.spooled then return end
  local rec = world.store:peek(record.key(world.id, user))
  local live = live_of(world, user)
  if not rec or not rec.current or record.is_creating(rec) or not live then return end
  for _, c in ipairs(record.candidates(rec)) do
    if world:label(c.password) == live then return end
  end
  self:wrong("consumers", "%s is live for %s, and no candidate of the record (%s) is", live, user, rec.state)
end

local function promoted(self, old, new, process)
  local world = self.world
  local label = world:label(new.current.password)
  if process.name == "setup" or old and old.current and world:label(old.current.password) == label then return end
  local proof = self.accepted[label]
  if not proof and world.profile.verify == "require" then
    self:wrong("I5", "%s is made current without a login", label)
  elseif not proof and not self.answered_labels[label] then
    self:wrong("I5", "%s is made current without any evidence", label)
  end
end

local function staged(self, key, old, new)
  local world = self.world
  local label, epoch = world:label(new.staged.password), new.staged.epoch
  local id = ("%s #%d epoch %d"):format(key, self.incarnation[key] or 0, epoch)
  if self.stages[id] and self.stages[id] ~= label then
    self:wrong("I2", "%s is staged as %s and as %s", id, self.stages[id], label)
  end
  self.stages[id] = label
  -- An emergency does not wait for what was sent before it.
  if old and old.staged and old.staged.epoch == epoch or world.emergency then return end
  for _, request in ipairs(in_flight(world, new.user, PUT)) do
    if request.label ~= label then
      self:wrong("I8", "epoch %d is staged while %s may still arrive", epoch, request.label)
    end
  end
  local open = not world.emergency and unsettled(world, new, epoch)
  if open then self:wrong("I8", "epoch %d is staged before a send of epoch %d has settled", epoch, open.epoch) end
end

--- A record has changed in the store. new is nil when it was removed.
function Check:written(key, old, new, process, backing)
  local world = self.world
  self.counts.writes = self.counts.writes + 1
  local rec = new or old
  if backing.spool then
    key, world.spooled = key .. backing.name, true
  end
  world:say(process, "%s: %s%s", key:match "[^/]+$", new and ("%s, epoch %d"):format(new.state, new.epoch) or "removed",
    new and new.staged and (", staged %s (%d sends)"):format(world:label(new.staged.password), #new.sends) or "")
  if backing.name then key = key .. backing.name end
  local held, dropped = labels_in(world, new), labels_in(world, old)
  for _, other in ipairs(world:stores_beside(backing)) do
    for label, holder in pairs(labels_in(world, other:peek(record.key(world.id, rec.user)))) do held[label] = holder end
  end
  for label in pairs(dropped) do
    if not held[label] and self.sent_labels[label] then
      for _, request in ipairs(in_flight(world, rec.user)) do
        if request.label == label and not (request.op == POST and world.service.users[rec.user]) then
          self:wrong("I3", "%s is dropped and may still arrive", label)
        end
      end
      if live_of(world, rec.user) == label then self:wrong("I3", "%s is dropped and is live", label) end
      for _, send in ipairs(new and new.sends or {}) do
        local holder = dropped[label] ~= "candidate" and old[dropped[label]]
        local open = send.outcome == nil or send.outcome == "unknown"
        if holder and open and send.op == PUT and send.epoch == holder.epoch
          and world:deadline_of(send) + record.SETTLE > world:wall() + TOLERANCE then
          self:wrong("I3", "%s is dropped before its last send has settled", label)
        end
      end
    end
  end
  if not new then
    self.incarnation[key] = (self.incarnation[key] or 0) + 1
    return
  end
  if new.staged then staged(self, key, old, new) end
  if new.current then promoted(self, old, new, process) end
  for _, c in ipairs(record.candidates(new)) do self:expose(new.user, world:label(c.password), "the store") end
  self:consumers(new.user)
end

--- A request leaves.
function Check:sent(request)
  local world = self.world
  self.counts.sends = self.counts.sends + 1
  local key = record.key(world.id, request.user)
  local backing = world:store_of(request.process)
  local rec = backing:peek(key)
  -- After a merge that was cut it stands in both: then the one counts that this process works on.
  local spool = world:spool_of(request.process)
  local in_store, in_spool = labels_in(world, rec)[request.label], labels_in(world, spool:peek(key))[request.label]
  if not in_store or in_spool and spool:holds(key, request.process, request.until_time) then
    backing = spool
    rec = backing:peek(key)
  end
  local held = labels_in(world, rec)
  if not held[request.label] then
    self:wrong("I1", "%s is sent and stands nowhere in the store", request.label)
  elseif request.op == POST and held[request.label] ~= "bootstrap" then
    self:wrong("creation", "the user is made with %s (%s)", request.label, held[request.label])
  end
  if request.op == POST then
    self.posted[request.label] = true
    if self.exposed[request.label] then self:wrong("creation", "the user is made with %s, which is handed out", request.label) end
  end
  self.sent_labels[request.label] = true
  local last = rec and rec.sends[#rec.sends]
  local fenced = world.profile.freeze_kind ~= "vm" -- else others may have moved on
  if fenced and held[request.label] and not (last and last.outcome == nil and last.op == request.op) then
    self:wrong("I1", "%s is sent without an INTENT in the store", request.label)
  end
  -- A machine whose clocks stood still cannot know; the compare-and-swap of INTENT and
  -- the time of settling cover it.
  if fenced and not backing:holds(key, request.process, request.until_time) then
    self:wrong("I7", "%s is sent without a lease that outlives it", request.label)
  end
  if record.is_creating(rec or {}) and request.op == PUT and not (world.service.users[request.user] or { ours = true }).ours then
    self:wrong("creation", "%s is sent to a user that is not ours", request.label)
  end
  if request.op ~= PUT or world.emergency then return end
  for _, other in ipairs(in_flight(world, request.user, PUT)) do
    if other.label ~= request.label then
      self:wrong("I4", "%s is sent while %s may still arrive", request.label, other.label)
    end
  end
  if not held[request.label] then return end
  local epoch = rec[held[request.label]] and rec[held[request.label]].epoch
  local open = epoch and unsettled(world, rec, epoch)
  if open then self:wrong("I4", "epoch %d is sent while a send of epoch %d is open", epoch, open.epoch) end
  local id = epoch and ("%s #%d epoch %d"):format(key, self.incarnation[key] or 0, epoch)
  if id and self.sent_of_epoch[id] and self.sent_of_epoch[id] ~= request.label then
    self:wrong("I2", "%s and %s are both sent as epoch %d", self.sent_of_epoch[id], request.label, epoch)
  end
  if id then self.sent_of_epoch[id] = request.label end
end

--- The service has carried out a request, or refused it.
function Check:carried_out(request)
  local user = self.world.service.users[request.user]
  if user and user.ours and user.admin and request.op == PUT and user.label == request.label then
    self.was_admins[request.label] = true
  end
  self:consumers(request.user)
end

function Check:answered(request)
  local result = request.result
  if result.outcome == "applied" or result.reason == "must_differ" then self.answered_labels[request.label] = true end
end

function Check:logged_in(label)
  self.accepted[label] = true
end

--- A sink has been written.
function Check:published(user, held, credential)
  local world = self.world
  self:expose(user, held.label, "a sink")
  -- Hosts that keep emergencies apart from the store count their epochs apart.
  local known = world.profile.freeze_kind ~= "vm" and not world.spooled
  if known and held.last and held.last > held.epoch then
    self:wrong("I6", "the sink %s of %s goes back from epoch %d to %d", held.kind, user, held.last, held.epoch)
  end
  held.last = held.epoch
  local id = ("%s #%d epoch %d"):format(record.key(world.id, user), self.incarnation[record.key(world.id, user)] or 0, credential.epoch)
  if self.stages[id] and self.stages[id] ~= held.label and not world.private_stores then
    self:wrong("I6", "a sink holds %s as epoch %d, which is %s", held.label, credential.epoch, self.stages[id])
  end
end

local NOTHING = { failed = true, untouched = true, skipped = true }

--- What a workflow said of its work on a user, against the truth.
function Check:reported(process, row)
  local world = self.world
  for _, request in ipairs(world.service.requests) do
    if request.process == process and request.work == process.work and request.user == row.user and request.op == PUT
      and NOTHING[row.result] and (request.pending > 0 or request.carried_out) then
      return self:wrong("report", "%s says %s (%s) of %s, but %s was %s", process.name, row.result,
        tostring(row.error or row.note), row.user, request.label, request.pending > 0 and "sent" or "applied")
    end
  end
end

--- The state at the end, when everything works again.
function Check:finished(backing, when)
  local world = self.world
  for user, is in pairs(world.service.users) do
    local rec = backing:peek(record.key(world.id, user))
    if is.ours and is.admin then self:wrong("end", "%s: %s is an admin", when, user) end
    if not rec then
      -- Else it is somebody else's.
      if is.ours or world.profile.scenario == "managed" then self:wrong("end", "%s: %s has no record", when, user) end
    elseif rec.state ~= "idle" then
      -- An old stage is not sent to a user whose password somebody else has set.
      local old = world.meddled and rec.staged and rec.staged.created_at < world:wall() - 86400
      if not old then self:wrong("end", "%s: %s is %s", when, user, rec.state) end
    else
      local current = world:label(rec.current.password)
      if current ~= is.label and not world.outsider then
        self:wrong("end", "%s: %s is live for %s, the store says %s", when, is.label, user, current)
      end
      for name, held in pairs(world.sinks) do
        -- Where clocks stand still, a plain sink cannot be kept from a writer of the past.
        local sure = held.kind == "epoch" or world.profile.freeze_kind ~= "vm"
        if sure and name:match ":(.*)$" == user and held.epoch and held.label ~= current and not world.private_stores then
          self:wrong("end", "%s: sink %s holds %s, current is %s", when, name, held.label, current)
        end
      end
    end
  end
end

return M
