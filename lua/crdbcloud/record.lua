--- Credential records: their shape, states and allowed moves. Pure.
--- One record exists per (cluster, user). It is the only journal: what recovery needs is in it before the first byte is sent.
--- Workflows change it only through `record.move` and `record.amend`, which return a changed copy; a store keeps it by
--- compare-and-swap. Times are wall-clock seconds since 1970, durations seconds. A password is always a `crdbcloud.secret`
--- in a field named `password`.

local json = require "crdbcloud.base.json"

local M = {}

M.SCHEMA = 1

--- Seconds after which an unanswered request can no longer be applied.
M.SETTLE = 120

--- Seconds by which clocks of hosts may differ; a time further ahead was written by a clock that was wrong.
M.SKEW = 60

M.LONGEST_SEND = 660 -- seconds from INTENT to deadline, of the longest time limit there is
M.MOST_SEEN = 8 -- machines that note when they saw a time in the future

--- The passwords of a record by the name under which they are stored.
local HOLDERS = { "bootstrap", "current", "previous", "staged" }

--- From each state to those that may follow it. A state may be written again
--- (another attempt, another mark) unless noted in `record.move`.
M.moves = {
  -- creation: nobody gets a password before `promoted`
  planned = { "posting", "posted" }, -- posted at once: adopted, or made by SQL
  posting = { "posting", "posted" },
  posted = { "demoted" },
  demoted = { "demoted", "granted" },
  granted = { "demoted", "granted", "staged" },
  -- rotation
  idle = { "idle", "staged", "posted" }, -- posted: taken over by create_app_user
  staged = { "intent", "idle", "granted" }, -- without INTENT a stage may be discarded
  intent = { "intent", "applied", "staged", "idle", "granted" }, -- the last three: the password was refused
  applied = { "applied", "intent", "verified", "promoted", "demoted", "idle" }, -- idle: rolled back, kept as a candidate
  verified = { "verified", "promoted", "demoted" },
  promoted = { "promoted", "idle" },
  -- a user whose password is not ours: the record is there for the work that it journals, and goes with it
  unmanaged = {},
}

local function copy(value)
  if type(value) ~= "table" then return value end
  local out = {}
  for k, v in pairs(value) do out[k] = copy(v) end
  return out
end

M.copy = copy

--- The key of a user's record in a store.
---@param cluster_id string
---@param user string folded name
---@return string
function M.key(cluster_id, user)
  return cluster_id .. "/" .. user
end

--- A new record.
---@param fields table cluster_id, user, state ("planned" or "idle"), and any metadata
---@return table record
function M.new(fields)
  local rec = copy(fields)
  rec.schema = M.SCHEMA
  rec.epoch = rec.epoch or 0
  rec.flags = rec.flags or {}
  rec.sends = rec.sends or {}
  rec.published = rec.published or {}
  return rec
end

--- True when `to` may follow `from`.
function M.can(from, to)
  for _, state in ipairs(M.moves[from] or {}) do
    if state == to then return true end
  end
  return false
end

local function apply(rec, changes)
  local out = copy(rec)
  for k, v in pairs(changes or {}) do
    if v == M.NONE then out[k] = nil else out[k] = copy(v) end
  end
  return out
end

--- Stands in `changes` for "remove this field".
M.NONE = setmetatable({}, { __tostring = function() return "record.NONE" end })

--- A copy in state `to` with `changes` applied. Raises when the move is not
--- allowed, or would break an invariant: a stage is written once per epoch, and
--- one that may have been sent is not discarded.
---@param rec table
---@param to string
---@param changes? table fields to set; `record.NONE` removes one
---@return table
function M.move(rec, to, changes)
  if not M.can(rec.state, to) then
    error(("record of %s: no move from %s to %s"):format(rec.user, rec.state, to), 2)
  end
  local out = apply(rec, changes)
  out.state = to
  local old, new = rec.staged, out.staged
  if old and new and old.epoch == new.epoch and old.password ~= new.password then
    error(("record of %s: the stage of epoch %d is written once"):format(rec.user, old.epoch), 2)
  end
  local dropped = old and (not new or new.epoch ~= old.epoch)
  if dropped and to ~= "promoted" and M.may_be_live(rec) and not M.is_candidate(out, old) then
    error(("record of %s: epoch %d may have been sent and must be kept"):format(rec.user, old.epoch), 2)
  end
  return out
end

--- A copy in the same state with `changes` applied (metadata, flags, marks).
function M.amend(rec, changes)
  local out = apply(rec, changes)
  if (rec.staged and rec.staged.epoch) ~= (out.staged and out.staged.epoch) then
    error(("record of %s: a stage changes only with a move"):format(rec.user), 2)
  end
  return out
end

--- True when the record is in the middle of something that `resume` finishes.
function M.is_open(rec)
  return rec.state ~= "idle" and rec.state ~= "unmanaged" or rec.flags.unpublished == true or rec.resend_at ~= nil or rec.hook ~= nil
    or rec.sessions_due == true or (rec.pair ~= nil and rec.pair.switching ~= nil)
end

--- True when access is to be changed, or the user removed, and that is not finished. `resume` finishes it, too.
--- removing: { reassign_to, clean_sinks }; access_due: { access, roles, exact, admin } as asked for.
function M.is_due(rec)
  return rec.removing ~= nil or rec.access_due ~= nil
end

--- The epoch that consumers see: of a pair it counts its switches.
---@param rec table
---@return integer
function M.public_epoch(rec)
  return rec.pair and rec.pair.epoch or rec.epoch
end

--- When the password that consumers have was set; nil when it is not known.
---@param rec table|nil
---@return integer|nil
function M.set_at(rec)
  if not rec then return nil end
  return rec.pair and rec.pair.switched_at or rec.current and rec.current.set_at
end

--- True from "planned" until the password of a created (or adopted) user has been promoted.
function M.is_creating(rec)
  return rec.creating == true
end

--- True when the staged password may have left this machine (INTENT was written
--- and some send of the epoch was not definitely refused or unsent).
function M.may_be_live(rec)
  if not rec.staged then return false end
  for _, send in ipairs(rec.sends) do
    if send.epoch == rec.staged.epoch and send.op == "update_sql_user_password"
      and (send.outcome == nil or send.outcome == "unknown" or send.outcome == "applied") then
      return true
    end
  end
  return false
end

local function is_open_send(send)
  return send.outcome == nil or send.outcome == "unknown"
end

--- Number of sends of an epoch whose answer is not known (an open one counts).
function M.unknown_sends(rec, epoch, op)
  local n = 0
  for _, send in ipairs(rec.sends) do
    if send.epoch == epoch and (not op or send.op == op) and is_open_send(send) then n = n + 1 end
  end
  return n
end

---@class crdbcloud.instant what the clocks say at one moment
---@field time number wall-clock seconds
---@field stamp number the same for what is written down: the latest that it may be
---@field boot number|nil seconds of a clock that only goes forward
---@field boot_id string|nil which start of the machine that clock belongs to

-- Seconds that a send takes to settle.
local function lasts(send)
  return math.max(0, math.min((send.deadline or send.at) - send.at, M.LONGEST_SEND)) + M.SETTLE
end

-- Seconds since a send or a stage, by the clock that only goes forward; nil where that is another machine's, or of another start.
local function elapsed(send, now)
  if not send.boot_id or send.boot_id ~= now.boot_id or send.boot > now.boot then return nil end
  return now.boot - send.boot
end

local function is_future(send, now)
  return is_open_send(send) and not elapsed(send, now) and send.at > now.time + M.SKEW
end

-- Seconds until a send has settled, never more than it lasts. The wall clock counts only where no better one does.
local function left_of(send, now)
  local seconds = lasts(send)
  local since = elapsed(send, now)
  if not since and is_future(send, now) then
    -- Some clock was wrong, so the time counts from when this machine first saw it.
    local seen = (send.seen or {})[now.boot_id or ""]
    since = seen and seen <= now.boot and now.boot - seen or 0
  end
  return math.min(seconds, seconds - (since or now.time - send.at))
end

--- Seconds until the last unanswered send of any epoch has settled; nil when none is open, or all have.
---@param rec table
---@param now crdbcloud.instant
---@param op? string only sends of this operation
---@param but? integer only sends of other epochs than this
---@return number|nil
function M.unsettled(rec, now, op, but)
  local left = 0
  for _, send in ipairs(rec.sends) do
    if is_open_send(send) and (not op or send.op == op) and send.epoch ~= but then
      left = math.max(left, left_of(send, now))
    end
  end
  return left > 0 and left or nil
end

--- Seconds until the current password is to be sent once more: when no earlier request can arrive any more. Nil when it
--- is not to be.
---@param rec table
---@param now crdbcloud.instant
---@return number|nil
function M.resend_left(rec, now)
  if not rec.resend_at then return nil end
  return M.unsettled(rec, now, "update_sql_user_password", rec.current and rec.current.epoch) or 0
end

--- Whether an unanswered send lies in the future, so that a clock was wrong; and what the record is to remember of it.
---@param rec table
---@param now crdbcloud.instant
---@return number|nil at the latest such time
---@return table|nil sends with a note of when this machine first saw those; nil when nothing is to be noted
function M.from_future(rec, now)
  local at, sends
  for i, send in ipairs(rec.sends) do
    if is_future(send, now) then
      at = math.max(at or 0, send.at)
      if now.boot_id and not (send.seen or {})[now.boot_id] then
        sends = sends or copy(rec.sends)
        local seen, n = sends[i].seen or {}, 0
        for _ in pairs(seen) do n = n + 1 end
        sends[i].seen = n < M.MOST_SEEN and seen or {}
        sends[i].seen[now.boot_id] = now.boot
      end
    end
  end
  return at, sends
end

--- Seconds since a password was staged.
---@param staged table
---@param now crdbcloud.instant
---@return number|nil nil when it is not known
function M.stage_age(staged, now)
  return elapsed(staged, now) or staged.created_at and now.time - staged.created_at
end

--- Appends the send that is about to happen. `sends` keeps those of this epoch
--- and the still unsettled ones of earlier epochs.
---@param rec table
---@param send table { op, epoch, at, deadline, boot, boot_id }
---@return table sends
function M.add_send(rec, send)
  local sends, n = {}, 0
  local now = { time = send.at, boot = send.boot, boot_id = send.boot_id }
  for _, s in ipairs(rec.sends) do
    n = math.max(n, s.n)
    if s.epoch == send.epoch or (is_open_send(s) and left_of(s, now) > 0) then sends[#sends + 1] = copy(s) end
  end
  local new = copy(send)
  new.n = n + 1
  sends[#sends + 1] = new
  return sends
end

--- The sends with the last one's outcome filled in.
function M.answer_send(rec, outcome, reason)
  local sends = copy(rec.sends)
  sends[#sends].outcome = outcome
  sends[#sends].reason = reason
  return sends
end

--- True when a stage of this record is kept as a candidate.
function M.is_candidate(rec, stage)
  for _, c in ipairs(rec.candidates or {}) do
    if c.epoch == stage.epoch then return true end
  end
  return false
end

--- The passwords that may log in, best first: current, then staged once its
--- INTENT is recorded, then kept candidates, then previous. None while a user is
--- being created.
---@return { epoch: integer, password: userdata, source: string }[]
function M.candidates(rec)
  local list = {}
  if rec.removing then return list end
  if M.is_creating(rec) then
    -- A user that is taken over keeps the password that it was known by until the end.
    if rec.current then list[1] = { epoch = rec.current.epoch, password = rec.current.password, source = "current" } end
    return list
  end
  local function add(holder, source)
    if holder and holder.password then
      list[#list + 1] = { epoch = holder.epoch, password = holder.password, source = source }
    end
  end
  add(rec.current, "current")
  if rec.staged and rec.state ~= "staged" and not rec.flags.withheld then add(rec.staged, "staged") end
  for i = #(rec.candidates or {}), 1, -1 do
    -- withheld: was an admin's for a moment; kept as evidence, given to nobody
    if not rec.candidates[i].withheld then add(rec.candidates[i], "candidate") end
  end
  add(rec.previous, "previous")
  return list
end

-- The password that a state cannot be without, and what is said of a record that lacks it.
local NEEDS = {
  staged = "staged", intent = "staged", applied = "staged", verified = "staged", idle = "current", promoted = "current",
  planned = "bootstrap", posting = "bootstrap",
}
local LACKS = { staged = "no password is staged", current = "no password is current", bootstrap = "the throwaway password is missing" }

-- What holds a password in a record: { name, holder } each.
local function holders(rec)
  local list = {}
  for _, name in ipairs(HOLDERS) do
    if rec[name] then list[#list + 1] = { name, rec[name] } end
  end
  for i, candidate in ipairs(rec.candidates or {}) do list[#list + 1] = { "candidate_" .. i, candidate } end
  return list
end

--- Splits a record into metadata without any password and the passwords.
---@param rec table
---@return table meta
---@return table<string, userdata> secrets
function M.split(rec)
  local meta, secrets = copy(rec), {}
  for _, held in ipairs(holders(meta)) do
    secrets[held[1]], held[2].password = held[2].password, nil
  end
  return meta, secrets
end

--- Puts a record together again and checks it.
---@param meta table
---@param secrets table<string, userdata>
---@return table|nil record
---@return string|nil problem what is wrong with it
---@return string|nil code "newer" or "foreign"
function M.join(meta, secrets)
  if type(meta) ~= "table" or type(meta.schema) ~= "number" then return nil, "it has no schema number", "foreign" end
  if meta.schema > M.SCHEMA then
    return nil, ("its schema is %d, this version knows up to %d"):format(meta.schema, M.SCHEMA), "newer"
  end
  if type(meta.cluster_id) ~= "string" or type(meta.user) ~= "string" then
    return nil, "it names no cluster or no user", "foreign"
  end
  if not M.moves[meta.state] then return nil, "its state is unknown: " .. tostring(meta.state), "foreign" end
  local rec = json.clean(meta)
  for _, field in ipairs { "flags", "sends", "published" } do
    rec[field] = rec[field] or {}
    if type(rec[field]) ~= "table" then return nil, "its field " .. field .. " is no table", "foreign" end
  end
  local used = 0
  for _, held in ipairs(holders(rec)) do
    local name, holder = held[1], held[2]
    if type(holder) ~= "table" or not secrets[name] then return nil, "its " .. name .. " password is missing", "foreign" end
    holder.password = secrets[name]
    used = used + 1
  end
  for name in pairs(secrets) do
    used = used - 1
    if used < 0 then return nil, "it holds a password that nothing refers to: " .. name, "foreign" end
  end
  local needed = NEEDS[rec.state]
  if needed and not rec[needed] then return nil, ("its state is %s but %s"):format(rec.state, LACKS[needed]), "foreign" end
  return rec
end

return M
