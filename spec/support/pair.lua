--- A pair of a name of its own on the shared sandbox, and what specs ask of it.

local core = require "crdbcloud.core"
local json_sink = require "crdbcloud.sinks.json"
local privileges = require "crdbcloud.privileges"
local record = require "crdbcloud.record"
local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

local M = {}

M.ACCESS = { database = "shop", tables = { "orders" }, privileges = { "SELECT", "INSERT" } }

local Pair = {}
Pair.__index = Pair

--- Opens a scene; nothing is created yet. Fields: scene, name, partner, file (of its json sink).
function M.open()
  local self = setmetatable({ scene = scene.open { timeout = 2, max_attempts = 2 }, name = "pair_" .. core.random_hex(6) }, Pair)
  self.partner, self.file, self.cluster = self.name .. "_b", temp.dir() .. "/credential.json", self.scene.cluster
  return self
end

function Pair:create(fields)
  local o = { name = self.name, pair = true, access = M.ACCESS, sinks = { "json:" .. self.file } }
  for k, v in pairs(fields or {}) do o[k] = v end
  return self.cluster:create_app_user(o)
end

function Pair:record(user) return self.scene:record(user or self.name) end

--- Changes a record in the store.
function Pair:rewrite(user, change)
  local store = assert(self.cluster:open_store "spec")
  local rec, version = store:get(record.key(self.scene.id, user))
  change(rec)
  assert(store:put(record.key(self.scene.id, user), rec, version))
end

--- As if the time between two turns had passed.
function Pair:rest()
  for _, user in ipairs { self.name, self.partner } do
    if self:record(user) then self:rewrite(user, function(rec) rec.sends = {} end) end
  end
  self:rewrite(self.name, function(rec) rec.pair.switched_at = rec.pair.switched_at and rec.pair.switched_at - 90000 end)
end

--- The credential of the store and that of the sink are the same, of this user and epoch, and log in.
function Pair:assert_published(user, epoch)
  local credential = assert(self.cluster:credential(self.name))
  local fields = assert(json_sink.read(self.file))
  for what, c in pairs { store = credential, sink = fields } do
    assert(c.user == user and c.pair == self.name and c.epoch == epoch,
      ("%s: epoch %s of %s, not %d of %s"):format(what, tostring(c.epoch), c.user, epoch, user))
  end
  assert(fields.pool_name == ("%s/%s/%d"):format(self.scene.id, self.name, epoch), fields.pool_name)
  assert(credential.password:equals(fields.password), "store and sink have different passwords")
  assert(self.scene:login(user, fields.password) == "accepted", user .. ": what is published does not log in")
  return credential
end

--- Neither of the two users has anything left to do.
function Pair:assert_closed()
  for _, user in ipairs { self.name, self.partner } do
    local rec = self:record(user)
    assert(not rec or not record.is_open(rec), user .. " is open")
  end
end

function Pair:inspect(user)
  return assert(privileges.inspect(assert(self.cluster:open_sql "spec"), user or self.name, { databases = { "shop" } }))
end

function Pair:psql(text, ...) return self.scene.sandbox:psql(text:format(...)) end

function Pair:close()
  for _, user in ipairs { self.name, self.partner, self.name .. "_role" } do
    self:psql("DO $$ BEGIN IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '%s') THEN "
      .. "EXECUTE 'DROP OWNED BY %s'; EXECUTE 'DROP ROLE %s'; END IF; END $$;", user, user, user)
  end
  self.scene:close()
  temp.clean()
end

return M
