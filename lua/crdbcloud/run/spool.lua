--- The spool: where an emergency keeps what it sends while the store is down.
--
-- It is a file store under the user's state directory, durable before the send like any other. Its epochs begin at the
-- clock's seconds, so that a sink takes them for newer than any of the store. `resume` and every run that writes merge it
-- into the store as the newest epoch, and remove it.

local codecs = require "crdbcloud.store.codec"
local errors = require "crdbcloud.errors"
local record = require "crdbcloud.record"

local M = {}

--- The spool's directory.
---@return string|nil
function M.directory()
  local state = os.getenv "XDG_STATE_HOME"
  if state and state:sub(1, 1) == "/" then return state .. "/crdbcloud/spool" end
  local home = os.getenv "HOME"
  return home and home:sub(1, 1) == "/" and home .. "/.local/state/crdbcloud/spool" or nil
end

--- Opens the spool as a store, with the keys that the run's own store has: a password in it is sealed as there.
---@param cluster table the handle
---@return table|nil store
---@return crdbcloud.error|nil
function M.open(cluster)
  local directory = M.directory()
  if not directory then
    return nil, errors.new {
      kind = "store", outcome = "not_sent", message = "the store is down and there is no place for a spool",
      hint = "set HOME or XDG_STATE_HOME",
    }
  end
  -- What an emergency of an earlier version left in the clear is read too; the directory is ours alone.
  local codec, err = codecs.new { store_key_file = cluster.store_options.store_key_file, plaintext = true }
  if not codec then return nil, err end
  return require("crdbcloud.store.file").open("file:" .. directory, codec)
end

-- Whether the store of a run can be read, and also written, as it may be full or read-only.
local function store_works(ctx)
  local keys, err = ctx.store:list(ctx.id .. "/")
  if not keys then return nil, err end
  if ctx.dry_run then return true end
  local lock
  lock, err = ctx.store:lock(ctx.id .. "/@emergency", ctx.run_id)
  if lock then lock.close() end
  if lock or err.kind == "busy" then return true end
  return nil, err
end

--- Puts the spool in the place of a store that is down. Only an emergency goes on without its store.
---@param ctx table
---@param err crdbcloud.error|nil why the store could not be opened
---@return true|nil
---@return crdbcloud.error|nil
function M.use_if_needed(ctx, err)
  if not ctx.emergency then return true end
  local usable
  if ctx.store then usable, err = store_works(ctx) end
  if usable then return true end
  local spool, spool_err = M.open(ctx.cluster)
  if not spool then return nil, spool_err end
  ctx.store, ctx.spooling = spool, true
  ctx:warn(("the store is down (%s); this emergency is kept in %s until `crdbcloud rotate resume`"):format(
    err and err.message or "?", spool.url))
  return true
end

local function keep(list, holder)
  if holder then list[#list + 1] = { epoch = holder.epoch, password = holder.password } end
end

-- A cut creation goes on from the state in which the user may be an admin. The spooled password may have been an
-- admin's, so it is kept as evidence and nobody gets it.
local function created_again(out, spooled, candidates)
  for _, holder in ipairs { spooled.current or false, spooled.staged or false } do
    if holder then candidates[#candidates + 1] = { epoch = out.epoch, password = holder.password } end
  end
  for _, c in ipairs(candidates) do c.withheld = true end
  out.candidates = candidates
  out.state, out.staged, out.demote = "demoted", nil, true
  return out
end

--- Pure: what the store's record becomes when a spooled one is merged into it. The
--- spooled password is the newest epoch; what the store holds stays as previous or as
--- candidates. Other hosts may have sent theirs since, so it is sent once more when
--- nothing of them can still arrive. A user that was being created is demoted and
--- gets a password of its own.
---@param main table|nil the store's record
---@param spooled table
---@param now crdbcloud.instant
---@return table
function M.merged(main, spooled, now)
  -- A creation that has sent nothing made nothing: the user is somebody's that the emergency took over.
  if not main or main.state == "planned" then
    local out = record.copy(spooled)
    out.spooled = true
    return out
  end
  local creating = record.is_creating(main)
  -- The emergency has changed nothing, so a login can still tell whose the user is.
  if creating and not spooled.current and not record.may_be_live(spooled) then return record.copy(main) end
  local out = record.copy(main)
  local epoch = math.max(main.epoch, spooled.epoch) + 1
  local function renumbered(holder)
    local new = record.copy(holder)
    if not new then return nil end
    new.epoch = epoch
    -- The clock of this host may have been wrong when it was staged.
    local age = new.created_at and record.stage_age(new, now)
    if age then new.created_at = math.floor(now.time - age) end
    return new
  end
  local candidates = record.copy(main.candidates or {})
  for _, c in ipairs(spooled.candidates or {}) do candidates[#candidates + 1] = record.copy(c) end
  keep(candidates, main.staged)
  keep(candidates, spooled.previous)
  local sends = {}
  for _, send in ipairs(main.sends) do sends[#sends + 1] = record.copy(send) end
  for _, send in ipairs(spooled.sends) do
    local one = record.copy(send)
    one.epoch, one.n = send.epoch == spooled.epoch and epoch or send.epoch, #sends + 1
    sends[#sends + 1] = one
  end
  out.epoch, out.sends, out.spooled, out.asked = epoch, sends, true, spooled.asked
  if creating then return created_again(out, spooled, candidates) end
  if spooled.staged then
    -- An answer to the emergency is out of date by now, so its password is sent again.
    out.state, out.staged = spooled.state == "staged" and "staged" or "intent", renumbered(spooled.staged)
    keep(candidates, spooled.current)
  else
    keep(candidates, main.previous)
    out.state = "idle"
    out.staged = nil
    out.previous = main.current and {
      epoch = main.current.epoch, password = main.current.password, keep_until = math.floor(now.time) + 86400,
    } or nil
    out.current = renumbered(spooled.current)
    out.resend_at = math.floor(now.time + (record.unsettled(out, now) or 0))
    out.sessions_due = spooled.sessions_due
    out.flags = { unpublished = true }
  end
  out.candidates = #candidates > 0 and candidates or nil
  if out.pair then
    -- The sinks of a pair have this user's credential now, so the active one is published again.
    out.pair.epoch = math.max(out.pair.epoch, spooled.epoch) + 1
    out.pair.switching = out.pair.switching or { phase = "publishing", to = out.pair.active }
  end
  return out
end

-- Returns "merged", or "demoted" where a creation goes on. The spool's copy is removed once the store has it.
local function move(ctx, spool, key, user)
  local spooled, version = spool:get(key)
  if not spooled then
    if version then return nil, version end
    return "merged" -- another run was faster
  end
  local rec, err = ctx:with(user, function(entry)
    local ok, why = entry:save(M.merged(entry.rec, spooled, entry:instant()))
    return ok and entry.rec, why
  end)
  if not rec then return nil, err end
  local ok
  ok, err = spool:remove(key, version)
  if not ok then return nil, err end
  return rec.demote and "demoted" or "merged"
end

local function merge_one(ctx, spool, user)
  local key = record.key(ctx.id, user)
  local lock, err = spool:lock(key, ctx.run_id)
  if not lock then return nil, err end
  local called, result, problem = pcall(move, ctx, spool, key, user)
  lock.close()
  if not called then error(result, 0) end
  return result, problem
end

--- Merges what an emergency left in the spool for this cluster.
---@param ctx table
---@return integer merged count
function M.merge(ctx)
  local directory = M.directory()
  if ctx.spooling or not directory or not require("crdbcloud.core").stat(directory) then return 0 end
  local spool, err = M.open(ctx.cluster)
  local keys
  if spool then keys, err = spool:list(ctx.id .. "/") end
  if not keys then ctx:warn("what an emergency may have kept in the spool is not in the store: " .. err.message) end
  local n = 0
  for _, key in ipairs(keys or {}) do
    local user = key:match("/([^/]+)$")
    local result, problem = merge_one(ctx, spool, user)
    if result then
      n = n + 1
      ctx:warn(("%s: what an emergency kept in the spool is in the store now"):format(user))
    else
      ctx:warn(("%s: the spool could not be merged: %s"):format(user, problem.message))
    end
    if result == "demoted" then
      ctx:warn(("security: %s was being created; it may have been an admin with the password of the emergency, or somebody else's user"):format(user))
    end
  end
  if spool then spool:close() end
  return n
end

return M
