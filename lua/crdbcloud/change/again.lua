--- The same creation once more: everything that was made then is looked at now. What is ours to mend is mended (access, sinks);
--- anything else is told, and nothing is changed.

local errors = require "crdbcloud.errors"
local pair = require "crdbcloud.change.pair"
local privileges = require "crdbcloud.privileges"
local proof = require "crdbcloud.change.proof"
local record = require "crdbcloud.record"
local rules = require "crdbcloud.change.pair.rules"

local M = {}

local AS_ASKED, MENDED, UNSEEN = "as asked", "mended", "?"

-- The item of the proof that a finding is about.
local ITEM = {
  gone = "existence", made_anew = "existence", is_admin = "admin", has_power = "admin", no_login = "login", expired = "login",
}

---@class crdbcloud.proof what was found of each item: "as asked", "mended", "?" where nobody could look, else the finding
---@field existence string
---@field admin string
---@field login string
---@field access string
---@field password string
---@field sinks table<string, string> by the name of the sink

--- Pure: what was found, item by item, and what follows.
---@param seen { finding: table|nil, disabled: boolean|nil, missing: string[], verdict: string, sinks: { name: string, holds: boolean|nil }[] }
---@return crdbcloud.proof
---@return { reason: string, text: string }|nil problem what is not ours to mend
---@return { access: boolean, sinks: string[] } mend
function M.judge(seen)
  local items = { existence = AS_ASKED, admin = AS_ASKED, login = AS_ASKED, access = AS_ASKED, password = UNSEEN, sinks = {} }
  local problem, mend = seen.finding, { access = #seen.missing > 0, sinks = {} }
  if problem then items[ITEM[problem.reason]] = problem.text end
  if seen.verdict == "accepted" then
    items.password = AS_ASKED
  elseif seen.verdict == "wrong_password" then
    items.password = "the password of the store does not log in: somebody else has set another"
    problem = problem or { reason = "wrong_password", text = items.password }
  elseif seen.disabled then
    items.login = "taken away by disable_user"
    problem = problem or { reason = "disabled", text = "may not log in: " .. items.login }
  end
  if mend.access then items.access = MENDED end
  for _, sink in ipairs(seen.sinks) do
    items.sinks[sink.name] = sink.holds == nil and UNSEEN or sink.holds and AS_ASKED or MENDED
    if sink.holds == false then mend.sinks[#mend.sinks + 1] = sink.name end
  end
  if problem then
    -- Nothing is mended beside a finding.
    if mend.access then items.access = "lacks " .. table.concat(seen.missing, ", ") end
    for _, name in ipairs(mend.sinks) do items.sinks[name] = "does not hold it" end
    mend = { access = false, sinks = {} }
  end
  return items, problem, mend
end

local HINTS = {
  wrong_password = "`crdbcloud user passwd %s` sets a new password and publishes it",
  disabled = "`crdbcloud user enable %s` lets it log in again",
}

--- The error of what is not ours to mend.
---@param user string
---@param problem { reason: string, text: string }
---@return crdbcloud.error
function M.error(user, problem)
  local hint = HINTS[problem.reason]
  if not hint then return proof.error(user, problem, "refuse", "again") end
  return errors.new {
    kind = "conflict", reason = problem.reason, outcome = "not_sent", operation = "create_app_user",
    message = ("%s: %s"):format(user, problem.text), hint = hint:format(user),
  }
end

-- Who has which access by the record: the user itself, or the role of a pair and its two members.
local function grantees(rec, users)
  if not rec.pair then return { { user = rec.user, access = rec.access or {}, roles = rec.roles or {} } } end
  local list = { { user = rec.pair.role, access = rec.access or {}, roles = rec.roles or {} } }
  for _, user in ipairs(users) do list[#list + 1] = { user = user, access = {}, roles = { rec.pair.role } } end
  return list
end

-- What the record's access lacks on the server, in words, and whose it is.
local function missing(sql, rec, users)
  local words, lacking = {}, {}
  for _, one in ipairs(grantees(rec, users)) do
    local lacks, err = privileges.lacks(sql, one.access, { user = one.user, roles = one.roles })
    if not lacks then return nil, err end
    if #lacks > 0 then lacking[#lacking + 1] = one end
    for _, grant in ipairs(lacks) do words[#words + 1] = privileges.describe(grant) end
  end
  return words, lacking
end

-- The record of the user whose password consumers have, and those of all users of the record.
local function members(ctx, rec)
  if not rec.pair then return rec, { rec } end
  local partner, err = ctx.store:get(record.key(ctx.id, rec.pair.partner))
  if not partner and err then return nil, err end
  local active = rules.member(rec, partner, rec.pair.active)
  if partner and (record.is_creating(partner) or not partner.current) then partner = nil end
  return active, { rec, partner }
end

--- Looks at everything that the record of a held user says. Reads only.
---@param ctx table
---@param entry crdbcloud.entry
---@return { proof: crdbcloud.proof, problem: table|nil, mend: table, verdict: string, lacking: table[],
---  role_id: string|nil }|nil
---@return crdbcloud.error|nil
function M.look(ctx, entry)
  local rec = entry.rec
  local active, all = members(ctx, rec)
  if not active then return nil, all end
  local finding_of, err = proof.survey(ctx.cluster, "create_app_user")
  if not finding_of then return nil, err end
  local seen, users = { missing = {}, sinks = {}, verdict = "not tried" }, {}
  for i, one in ipairs(all) do
    local finding, id = finding_of(one)
    seen.finding, seen.role_id = seen.finding or finding, seen.role_id or id -- the record's own comes first
    users[i] = one.user
  end
  local lacking = {}
  if not seen.finding or seen.finding.reason ~= "gone" then
    local sql = ctx:sql()
    seen.missing, lacking = missing(sql, rec, users)
    if not seen.missing then return nil, lacking end
    if ctx.verify ~= false then seen.verdict = ctx:probe(active, active.current.password) end
  end
  seen.disabled = rec.disabled and seen.verdict == "no_login"
  local list
  list, err = ctx:sinks_of(rec.user, rec), nil
  if rec.pair then list, err = pair.sinks(ctx, rec) end
  if not list then return nil, err end
  local credential = #list > 0 and ctx:credential(rec, active.current, rec.pair and { user = active.user, epoch = rec.pair.epoch } or nil)
  for i, sink in ipairs(list) do
    local holds
    if sink.holds then holds = sink:holds(credential) end
    seen.sinks[i] = { name = sink.name, holds = holds }
  end
  local items, problem, mend = M.judge(seen)
  return { proof = items, problem = problem, mend = mend, verdict = seen.verdict, lacking = lacking, role_id = seen.role_id }
end

--- Gives the access again that is missing.
---@param sql table
---@param lacking table[] of M.look
---@return true|nil
---@return crdbcloud.error|nil
function M.mend_access(sql, lacking)
  for _, one in ipairs(lacking) do
    local ok, err = privileges.apply(sql, one.access, { user = one.user, roles = one.roles })
    if not ok then return nil, errors.partly(err) end
  end
  return true
end

--- Adds to the changes of a record that these sinks, which do not hold the credential any more, are written like new ones.
---@param rec table
---@param changes table
---@param lost string[] names of sinks
function M.publish(rec, changes, lost)
  if #lost == 0 then return end
  changes.published = record.copy(rec.published)
  for _, name in ipairs(lost) do changes.published[name] = nil end
  if not rec.pair then
    changes.flags = { unpublished = true }
  elseif not changes.pair then
    changes.pair = record.copy(rec.pair)
    changes.pair.epoch, changes.pair.switching = rec.pair.epoch + 1, { phase = "publishing", to = rec.pair.active }
  end
end

--- The words of a row whose record was there: what was changed as asked, and what was mended.
---@param changed string[]
---@param mend { access: boolean, sinks: string[] }
---@return string
function M.note(changed, mend)
  local note = #changed > 0 and table.concat(changed, ", ") .. " changed, access as before" or "unchanged"
  if not mend.access and #mend.sinks == 0 then return note end
  local mended = record.copy(mend.sinks)
  if mend.access then table.insert(mended, 1, "access") end
  return (#changed > 0 and table.concat(changed, ", ") .. " changed; " or "") .. "mended: " .. table.concat(mended, ", ")
end

return M
