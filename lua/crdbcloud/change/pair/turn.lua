--- One turn of a pair, which starts at the state of its two records: the resting user gets a new password, becomes the
-- active one, and then is published. The other keeps its password until its own turn. The first turn makes the partner.

local creation = require "crdbcloud.change.create"
local errors = require "crdbcloud.errors"
local pair_access = require "crdbcloud.change.pair.access"
local record = require "crdbcloud.record"
local rules = require "crdbcloud.change.pair.rules"
local send = require "crdbcloud.change.send"
local steps = require "crdbcloud.change.finish"

local M = {}

local MAX_STEPS = 20 -- of one call; a turn has six, an emergency two turns

--- The partner's record.
---@return table|nil
---@return crdbcloud.error|nil
function M.partner(ctx, rec)
  return ctx.store:get(record.key(ctx.id, rec.pair.partner))
end

--- Runs fn with the entry of a member; the partner is held for that time.
function M.with_member(ctx, entry, user, fn)
  if user == entry.user then return fn(entry) end
  return ctx:with(user, function(held)
    local x, y = fn(held)
    entry.effect = held.effect or entry.effect -- of the pair
    return x, y
  end)
end

---@class crdbcloud.pair_done what was done to a pair: the steps of its turn, and the sum of what its members say
---@field sessions_cancelled integer|nil
---@field sessions_left boolean|nil old sessions of a member could not be ended

--- Adds what one more step says.
---@param done crdbcloud.pair_done
---@param more crdbcloud.pair_done|crdbcloud.done
function M.add(done, more)
  if more.sessions_cancelled then done.sessions_cancelled = (done.sessions_cancelled or 0) + more.sessions_cancelled end
  done.sessions_left = done.sessions_left or more.sessions_left
end

local function set_pair(entry, pair, changes)
  changes = changes or {}
  changes.pair = pair
  return entry:save(record.amend(entry.rec, changes))
end

-- Saves the partner's record before anything is sent. From here on its creation is like any other.
local function create(ctx, entry)
  local rec = entry.rec
  local free, err = pair_access.check_partner(ctx, rec.pair)
  if not free then
    -- Nothing has been sent for this turn, so the turn ends.
    local pair = record.copy(rec.pair)
    pair.switching = nil
    local ok, store_err = set_pair(entry, pair)
    return nil, ok and err or store_err
  end
  ctx:progress { step = "pair", user = rec.user, text = ("its partner %s is made first"):format(rec.pair.partner) }
  return M.with_member(ctx, entry, rec.pair.partner, function(held)
    return held:save(record.new {
      cluster_id = ctx.id, cluster_name = ctx.name, user = held.user, state = "planned", origin = "pair", pair_of = rec.user,
      creating = true, owner = rec.owner, description = rec.description, labels = rec.labels, access = rec.access,
      roles = { rec.pair.role }, created_at = ctx:now(), bootstrap = creation.bootstrap(),
    })
  end)
end

-- An error that leaves a member with its new password, idle, and only its old sessions alive does not stop the turn:
-- they are tried again at its end.
local function carry_on(held, err)
  local rec = held.rec
  if err.exit ~= 3 or not rec or rec.state ~= "idle" or not rec.sessions_due or record.is_creating(rec) then return nil, err end
  return { sessions_left = true }
end

-- Works on a member; its old sessions are ended where the turn was begun with that option.
local function in_turn(ctx, entry, user, fn)
  local turn, asked = entry.rec.pair.switching, ctx.cancel_sessions
  ctx.cancel_sessions = asked or turn and turn.cancel
  local ok, a, b = pcall(M.with_member, ctx, entry, user, fn)
  ctx.cancel_sessions = asked
  if not ok then error(a, 0) end
  return a, b
end

local function finish(ctx, entry, user, password)
  return in_turn(ctx, entry, user, function(held)
    if not held.rec then return true end -- gone meanwhile: the next step sees it
    local done, err
    if record.is_creating(held.rec) then
      done, err = creation.finish(ctx, held, password)
    else
      done, err = steps.finish(ctx, held)
    end
    if done then return done end
    return carry_on(held, err)
  end)
end

local function rotate(ctx, entry, user, password)
  return in_turn(ctx, entry, user, function(held)
    local ok, err = steps.retire(ctx, held)
    if not ok then return nil, err end
    err = send.settling(held)
    if err then return nil, err end
    ok, err = send.stage(ctx, held, password)
    if not ok then return nil, err end
    local done
    done, err = steps.finish(ctx, held)
    if done then return done end
    return carry_on(held, err)
  end)
end

local function switch(ctx, entry)
  local rec = entry.rec
  local turn = rec.pair.switching
  local partner, read_err = M.partner(ctx, rec)
  if not partner and read_err then return nil, read_err end
  local why = rules.unusable(rules.member(rec, partner, turn.to))
  if why and not ctx.emergency then
    return nil, errors.new {
      kind = "sql", outcome = "applied", exit = 6, operation = "rotate_password", reason = why,
      message = ("%s: %s has its new password, but may not log in (%s), so it does not become the active one"):format(rec.user,
        turn.to, (why:gsub("_", " "))),
      hint = "let it log in again, then `crdbcloud rotate resume`; consumers go on as " .. rec.pair.active,
    }
  end
  if turn.epoch == 0 then
    local ok, err = pair_access.check_drift(ctx, rec, turn.to)
    if not ok then
      err.outcome, err.exit = "applied", 6
      return nil, err
    end
  end
  ctx:progress { step = "switch", user = rec.user, text = turn.to .. " becomes the active user" }
  return set_pair(entry, rules.switched(rec.pair, ctx:now(), ctx.keep_previous))
end

--- The sinks of a pair in the order in which they are written. Those that name the user come last, so that the password
--- of a published name is in all other sinks already.
---@param ctx table
---@param rec table
---@return table[]|nil
---@return crdbcloud.error|nil
function M.sinks(ctx, rec)
  local list, named = {}, {}
  for _, sink in ipairs(ctx:sinks_of(rec.user, rec)) do
    local target = sink.tells_user and named or list
    target[#target + 1] = sink
  end
  if #list > 0 and #named == 0 then
    return nil, errors.new {
      kind = "invalid_argument", reason = "sinks", outcome = "not_sent",
      message = ("%s: no sink of it tells which user to connect as, and that changes with each rotation of a pair"):format(rec.user),
      hint = "add one that does, such as json:PATH",
    }
  end
  for _, sink in ipairs(named) do list[#list + 1] = sink end
  return list
end

-- The active member's history says where its password went.
local function note_publication(ctx, entry, active, at, names)
  if #names == 0 then return true end
  return M.with_member(ctx, entry, active, function(held)
    local history = record.copy(held.rec and held.rec.history or {})
    local last = history[#history]
    if not last then return true end
    last.published_at, last.sinks = at, names
    return held:save(record.amend(held.rec, { history = history }))
  end)
end

--- Publishes the active member, and ends the turn or begins that of the other member.
function M.publish(ctx, entry)
  local rec = entry.rec
  local partner, err = M.partner(ctx, rec)
  if not partner and err then return nil, err end
  local active = rules.member(rec, partner, rec.pair.active)
  local list
  list, err = M.sinks(ctx, rec)
  if not list then
    err.outcome, err.exit = "applied", 6
    return nil, err
  end
  local done
  done, err = steps.write_sinks(ctx, entry, active, list, rec.pair.epoch, function()
    return ctx:credential(rec, active.current, { user = active.user, epoch = rec.pair.epoch })
  end)
  if not done then return nil, err end
  local ok
  ok, err = set_pair(entry, rules.published(rec, partner), {
    published = done.marks, flags = {}, hook = ctx:hook_mark(rec),
  })
  if not ok then
    err.outcome, err.exit = "applied", 6
    return nil, err
  end
  if done.wrote then note_publication(ctx, entry, active.user, ctx.clock.time(), done.names) end -- only for reading
  return true
end

local function finished(_, entry)
  local pair = record.copy(entry.rec.pair)
  pair.switching = nil
  return set_pair(entry, pair)
end

local function republish(_, entry)
  local pair = record.copy(entry.rec.pair)
  pair.epoch, pair.switching = pair.epoch + 1, { phase = "publishing", to = pair.active }
  return set_pair(entry, pair)
end

local STEPS = {
  create = create, finish = finish, rotate = rotate, switch = switch, publish = M.publish, ["end"] = finished, republish = republish,
}

-- Ends a turn whose given password was refused before it was sent. Returns the error as given.
local function end_refused(ctx, entry, err)
  local turn = entry.rec.pair.switching
  if turn and turn.given and (err.outcome == "rejected" or err.outcome == "not_sent") then
    local partner, unreadable = M.partner(ctx, entry.rec)
    local untouched = (partner or not unreadable) and rules.next(entry.rec, partner)
    if untouched == "rotate" or untouched == "create" then finished(ctx, entry) end
  end
  return err
end

-- A given password is durable only once it is staged. A turn that was begun with one cannot go on without it.
local function is_without(step, turn, password)
  return turn and turn.given and not password and (step == "rotate" or step == "create")
end

--- Takes the steps of a pair until its two passwords and its sinks have nothing open.
---@param ctx table
---@param entry crdbcloud.entry held, with the pair's record
---@param password? userdata the caller's own for the member whose turn it is
---@return crdbcloud.pair_done|nil
---@return crdbcloud.error|nil
function M.advance(ctx, entry, password)
  local done = {}
  for _ = 1, MAX_STEPS do
    local partner, err = M.partner(ctx, entry.rec)
    if not partner and err then return nil, err end
    local step, user = rules.next(entry.rec, partner)
    if step == "rest" then return done end
    if is_without(step, entry.rec.pair.switching, password) then step = "end" end
    local result
    result, err = STEPS[step](ctx, entry, user, password)
    if not result then return nil, end_refused(ctx, entry, err) end
    done[#done + 1] = step
    if result ~= true then M.add(done, result) end
  end
  return nil, errors.new {
    kind = "pending", outcome = "not_sent", exit = 3, message = entry.user .. ": somebody else changes the pair at the same time",
  }
end

return M
