--- Workflows of pairs that are killed at every boundary (spec.support.crash.sweep). At each of them the credential in the
--- store and the one in the sink must log in: that is what a pair is for.

local checks = require "spec.support.crash.checks"
local core = require "crdbcloud.core"
local json_sink = require "crdbcloud.sinks.json"
local privileges = require "crdbcloud.privileges"
local record = require "crdbcloud.record"
local temp = require "spec.support.temp"

local M = {}

local ACCESS = { database = "shop", tables = { "orders", "customers" }, privileges = { "SELECT", "INSERT" } }
local add = checks.add

local Case = {}
Case.__index = Case

function Case:rewrite(user, change)
  local store = assert(self.scene.cluster:open_store "spec")
  local key = record.key(self.scene.id, user)
  local rec, version = store:get(key)
  change(rec)
  assert(store:put(key, rec, version))
end

-- As if the other user had rested long enough, and what was sent had settled.
function Case:rest()
  for _, user in ipairs { self.user, self.partner } do
    if self.scene:record(user) then
      self:rewrite(user, function(rec)
        rec.sends, rec.previous = {}, nil
        if rec.pair then rec.pair.switched_at = nil end
      end)
    end
  end
end

function Case:drop()
  if not self.user then return end
  for _, name in ipairs { self.user, self.partner, self.user .. "_role" } do
    self.scene.sandbox:psql(("DO $$ BEGIN IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '%s') THEN "
      .. "EXECUTE 'DROP OWNED BY %s'; EXECUTE 'DROP ROLE %s'; END IF; END $$;"):format(name, name, name))
  end
  temp.run("rm -rf " .. self.scene.dir .. "/store/* " .. self.json)
end

-- A new pair of a new name, with a json sink.
function Case:new_pair()
  self:drop()
  self.user = "pair_" .. core.random_hex(6)
  self.partner = self.user .. "_b"
  self.options = { name = self.user, pair = true, access = ACCESS, sinks = { "json:" .. self.json } }
end

function Case:prepare()
  if self.fresh or not self.user then
    self:new_pair()
    if not self.creation then assert(self.scene.cluster:create_app_user(self.options)) end
    if not self.fresh then assert(self.scene.cluster:rotate_password(self.user)) end
  end
  if not self.creation then self:rest() end
  self.scene.sandbox:clear()
  self.seen = {}
  local rec = self.scene:record(self.user)
  self.before = rec and rec.pair
end

function Case:job()
  if self.creation then return { calls = { { "create_app_user", self.options } } } end
  if self.emergency then return { calls = { { "rotate_passwords", { emergency = { self.user } } } } } end
  return { calls = { { "rotate_password", { user = self.user } } } }
end

-- A second call after a turn that is over is another turn, which its spacing refuses.
function Case:is_over()
  local rec = not self.creation and self.scene:record(self.user)
  return rec and not rec.pair.switching and rec.pair.epoch > self.before.epoch
end

function Case:recovery(kind)
  return (kind == "resume" or self:is_over()) and { calls = { { "resume" } } } or self:job()
end

function Case:remember()
  for _, user in ipairs { self.user, self.partner } do
    local rec = self.scene:record(user)
    for _, holder in ipairs { "bootstrap", "current", "staged", "previous" } do
      if rec and rec[holder] then self.seen[checks.hash(self, rec[holder].password)] = true end
    end
  end
end

-- Every password that was sent is in the store; the throwaway of a creation until the user is made.
function Case:sent_is_stored(problems)
  for _, entry in ipairs(self.scene.sandbox:log()) do
    local rec = entry.password_hash and self.scene:record(entry.user)
    local wiped = entry.op == "create_sql_user" and rec and not record.is_creating(rec)
    if entry.password_hash and not wiped and not self.seen[entry.password_hash] then
      add(problems, "%s of %s sent a password that the store does not have", entry.op, entry.user)
    end
  end
end

local function logs_in(self, problems, what, user, password)
  local verdict = self.scene:login(user, password)
  if verdict ~= "accepted" then add(problems, "%s does not log in as %s (%s)", what, user, verdict) end
end

-- What consumers have right now.
function Case:consumers(problems)
  local credential, err = self.scene.cluster:credential(self.user)
  if credential then
    logs_in(self, problems, "the store's credential", credential.user, credential.password)
  elseif not self.creation then
    add(problems, "no credential: %s", tostring(err))
  end
  local fields, why = json_sink.read(self.json)
  if fields then
    logs_in(self, problems, "the sink's credential", fields.user, fields.password)
    if self.before and fields.epoch < self.before.epoch then add(problems, "the sink went back to epoch %d", fields.epoch) end
  elseif not self.creation then
    add(problems, "the sink cannot be read: %s", why)
  end
  return credential, fields
end

function Case:limited(problems, user)
  local found = privileges.inspect(assert(self.scene.cluster:open_sql "spec"), user)
  if not found or not found.exists then
    add(problems, "%s does not exist", user)
  elseif found.admin or found.createrole or found.roles[1] ~= self.user .. "_role" or #found.roles ~= 1 then
    add(problems, "%s has the roles %s", user, table.concat(found.roles, ", "))
  end
end

function Case:after_kill()
  local problems = {}
  self:remember()
  self:sent_is_stored(problems)
  self:consumers(problems)
  return problems
end

function Case:at_end(run, kind)
  local problems = {}
  self:remember()
  if run.code ~= 0 then add(problems, "exit %d", run.code) end
  local rec = self.scene:record(self.user)
  if not rec then
    if kind ~= "resume" or not self.creation then add(problems, "there is no record") end
    return problems
  end
  self:sent_is_stored(problems)
  local credential, fields = self:consumers(problems)
  if not credential or not fields then return problems end
  local partner = self.scene:record(self.partner)
  for _, one in ipairs { rec, partner } do
    if record.is_open(one) or record.is_creating(one) then add(problems, "%s is %s", one.user, one.state) end
    self:limited(problems, one.user)
    if one.current then logs_in(self, problems, "the stored password", one.user, one.current.password) end
  end
  if fields.user ~= rec.pair.active or fields.epoch ~= rec.pair.epoch or credential.epoch ~= fields.epoch then
    add(problems, "the sink has epoch %d of %s", fields.epoch, fields.user)
  end
  self:turned(problems, rec, kind)
  checks.tidy(problems, { self.scene.dir .. "/store" })
  return problems
end

-- One turn is one switch, and a recovery does not make it two.
function Case:turned(problems, rec, kind)
  if self.creation then return end
  local n = rec.pair.epoch - self.before.epoch
  if n > 1 or n < 1 and kind ~= "resume" then add(problems, "%d switches", n) end
  if n == 1 and rec.pair.active == self.before.active then add(problems, "no switch") end
end

function Case:finish() self:drop() end

local function new(scene, name, fields)
  local case = setmetatable({ scene = scene, name = name, recoveries = { "resume", "again" }, json = scene.dir .. "/pair.json" }, Case)
  for field, value in pairs(fields or {}) do case[field] = value end
  return case
end

--- The creation of a pair: its first user and the role.
function M.creation(scene) return new(scene, "creation of a pair", { creation = true, fresh = true }) end

--- The first rotation, which makes the partner.
function M.first_turn(scene) return new(scene, "first turn of a pair", { fresh = true }) end

--- A turn of a pair that has both its users.
function M.turn(scene) return new(scene, "turn of a pair", { recoveries = { "resume" } }) end

--- An emergency: both users.
function M.emergency(scene) return new(scene, "emergency of a pair", { emergency = true, recoveries = { "resume" } }) end

return M
