--- The workflows that are killed at every boundary, each with the state it starts from, its ways of recovery, and what
--- must be true. A case is used by spec.support.crash.sweep: prepare, job, after_kill, recovery, at_end, finish.

local checks = require "spec.support.crash.checks"
local core = require "crdbcloud.core"
local json_sink = require "crdbcloud.sinks.json"
local record = require "crdbcloud.record"
local temp = require "spec.support.temp"

local M = {}

local ACCESS = { database = "shop", tables = { "orders", "customers" }, privileges = { "SELECT", "INSERT" } }
local NEIGHBOUR = "127.0.0.1:1:*:somebody_else:not-ours\n"

local Case = {}

-- A case starts from `prepare`, looks with `look`, and keeps all passwords that it ever saw in the store in `seen`.
local function new(scene, name, class, fields)
  local case = setmetatable({ scene = scene, name = name, recoveries = { "resume", "again" }, seen = {} }, { __index = class })
  for field, value in pairs(fields or {}) do case[field] = value end
  case.out = scene.dir .. "/sinks"
  temp.run("mkdir -m 700 -p " .. case.out)
  case.json, case.pgpass = case.out .. "/credential.json", case.out .. "/pgpass"
  if case.begin then case:begin() end
  return case
end

local function class(parent) return setmetatable({}, { __index = parent }) end

function Case:clear()
  self.seen = {}
  self.scene.sandbox:clear()
end

-- A pgpass file of somebody else's and no json file, as before the first publication.
function Case:empty_sinks()
  temp.run(("rm -f %s/* %s/.*.tmp.*"):format(self.out, self.out))
  temp.write(self.pgpass, NEIGHBOUR)
  temp.run("chmod 600 " .. self.pgpass)
end

-- Puts the record back with changes, as another run would: a new version.
function Case:rewrite(change)
  local store = assert(self.scene.cluster:open_store "spec")
  local key = record.key(self.scene.id, self.user)
  local rec, version = store:get(key)
  change(rec)
  assert(store:put(key, rec, version))
  return rec
end

function Case:recovery(kind) return kind == "resume" and { calls = { { "resume" } } } or self:job() end

-- What ends every case: settled, everything sent was in the store, nothing left behind.
function Case:settled(run)
  local problems = {}
  self.log = self.scene.sandbox:log()
  if run.code ~= 0 then checks.add(problems, "exit %d", run.code) end
  local rec = checks.settled(problems, self)
  checks.sent_is_stored(problems, self, rec)
  checks.tidy(problems, { self.scene.dir .. "/store", self.out })
  return problems, rec
end

function Case:published(problems, rec)
  checks.json_holds(problems, self.json, self.user, rec.current)
  checks.pgpass_holds(problems, self.pgpass, self.user, rec.current, NEIGHBOUR)
end

-- Killed before it had written anything, with nothing to resume.
function Case:never_began(run)
  local problems = {}
  self.log = self.scene.sandbox:log()
  if run.code ~= 0 then checks.add(problems, "exit %d", run.code) end
  checks.never_was(problems, self)
  return problems
end

function Case.finish() end

local rotation = class(Case)

function rotation:begin()
  self.user = "app_user_001"
  self:empty_sinks()
  assert(self.scene.cluster:rotate_password(self.user))
  self:rewrite(function(rec)
    rec.sinks = { { kind = "json", path = self.json }, { kind = "pgpass", path = self.pgpass } }
    rec.flags.unpublished = true
  end)
  assert(self.scene.cluster:resume())
end

-- As if the settle time of the last round had passed, so that the same user can be rotated again.
function rotation:prepare()
  self:clear()
  self.before = self:rewrite(function(rec) rec.sends, rec.previous = {}, nil end)
end

function rotation:job() return { calls = { { "rotate_password", { user = self.user } } } } end

function rotation:after_kill()
  local problems = {}
  self.log = self.scene.sandbox:log()
  local rec = checks.record(problems, self)
  if not rec then
    checks.add(problems, "the record is gone")
    return problems
  end
  checks.sent_is_stored(problems, self, rec)
  checks.somebody_logs_in(problems, self, rec)
  local fields, why = json_sink.read(self.json)
  if not fields then checks.add(problems, "the json sink is torn: %s", why) end
  return problems
end

function rotation:at_end(run)
  local problems, rec = self:settled(run)
  if not rec then return problems end
  checks.one_password_an_epoch(problems, self, checks.PUT, rec.epoch - self.before.epoch)
  if rec.epoch > self.before.epoch and self.scene:login(self.user, self.before.current.password) ~= "wrong_password" then
    checks.add(problems, "the old password still logs in")
  end
  self:published(problems, rec)
  return problems
end

--- The rotation of one user that has a record and two sinks.
function M.rotation(scene) return new(scene, "rotation", rotation) end

local in_sql = class(rotation)

function in_sql:job()
  local job = rotation.job(self)
  job.cluster = { plaintext = true }
  return job
end

function in_sql:recovery(kind)
  local job = rotation.recovery(self, kind)
  job.cluster = { plaintext = true }
  return job
end

-- The killed run's lease goes on; here its time is over at once.
function in_sql:after_kill()
  self.place:end_leases()
  return rotation.after_kill(self)
end

--- The same with the record in a SQL store.
---@param scene table opened with that store
---@param place table of spec.support.stores.sql_store
function M.in_sql(scene, place)
  temp.run("mkdir -m 700 -p " .. scene.dir .. "/store")
  scene.store_url = place:url()
  return new(scene, "rotation with a SQL store", in_sql, { place = place })
end

local publication = class(rotation)

-- Promoted, and the sinks still have the epoch before.
function publication:prepare()
  self:clear()
  self.before = self:rewrite(function(rec)
    rec.sends, rec.previous, rec.state, rec.epoch = {}, nil, "promoted", rec.epoch + 1
    rec.current.epoch = rec.epoch
  end)
end

function publication.job() return { calls = { { "resume" } } } end

--- `resume` of a user that was promoted before its sinks were written.
function M.publication(scene) return new(scene, "publication", publication, { recoveries = { "resume" } }) end

local recovery = class(rotation)

-- The change has been sent and not answered; every second one was applied.
function recovery:prepare(n)
  local api = self.scene.cluster.cloud
  self.before = self:rewrite(function(rec)
    local now = math.floor(core.time())
    rec.previous, rec.state, rec.epoch = nil, "intent", rec.epoch + 1
    rec.staged = { epoch = rec.epoch, password = core.password(32), policy = "generated", created_at = now }
    rec.sends = { { n = 1, op = checks.PUT, epoch = rec.epoch, at = now, deadline = now + 20 } }
  end)
  self.before.epoch = self.before.epoch - 1
  if n % 2 == 0 then assert(api:update_sql_user_password(self.scene.id, self.user, self.before.staged.password)) end
  self:clear()
end

recovery.job = publication.job

--- `resume` of a change that was sent and not answered.
function M.recovery(scene) return new(scene, "recovery", recovery, { recoveries = { "resume" } }) end

local first = class(rotation)

function first.begin() end

-- A user without a record; nothing of it is known but that it is there.
function first:prepare()
  temp.run("rm -rf " .. self.scene.dir .. "/store/*")
  self:empty_sinks()
  self:clear()
end

function first:job()
  return { calls = { { "rotate_password", { user = self.user, sinks = { "json:" .. self.json, "pgpass:" .. self.pgpass } } } } }
end

function first:after_kill()
  local problems = {}
  self.log = self.scene.sandbox:log()
  checks.sent_is_stored(problems, self, checks.record(problems, self))
  return problems
end

function first:at_end(run, kind)
  if kind == "resume" and not self.scene:record(self.user) then return self:never_began(run) end
  local problems, rec = self:settled(run)
  if rec then checks.one_password_an_epoch(problems, self, checks.PUT, rec.epoch) end
  if rec then self:published(problems, rec) end
  return problems
end

--- The first rotation of a user that has no record, with sinks that only this call names.
function M.first_rotation(scene)
  return new(scene, "first rotation", first, { user = "app_user_002", exists = true })
end

local creation = class(Case)

function creation:drop()
  if not self.user then return end
  self.scene.sandbox:psql(("DO $$ BEGIN IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '%s') THEN "
    .. "EXECUTE 'DROP OWNED BY %s'; EXECUTE 'DROP ROLE %s'; END IF; END $$;"):format(self.user, self.user, self.user))
end

-- A name of its own each time, so that no late request can meet the next round.
function creation:prepare()
  self:drop()
  self.user = "crash_" .. core.random_hex(6)
  if self.adopt then
    self.scene.sandbox:psql(("CREATE ROLE %s LOGIN PASSWORD 'known-to-somebody-1'; GRANT admin TO %s;"):format(self.user, self.user))
  end
  temp.run("rm -rf " .. self.scene.dir .. "/store/*")
  self:empty_sinks()
  self:clear()
end

function creation:job()
  return { calls = { { "create_app_user", {
    name = self.user, owner = "team@example.com", access = ACCESS, adopt = self.adopt,
    sinks = { "json:" .. self.json, "pgpass:" .. self.pgpass },
  } } } }
end

function creation:after_kill()
  local problems = {}
  self.log = self.scene.sandbox:log()
  local rec = checks.record(problems, self)
  checks.sent_is_stored(problems, self, rec)
  local limited = checks.nothing_handed_out(problems, self, rec, { self.json, self.pgpass })
  if limited and record.is_creating(rec or {}) and self.scene.cluster:credential(self.user) then
    checks.add(problems, "credential() gives a password that is not proven")
  end
  return problems
end

function creation:at_end(run, kind)
  if kind == "resume" and not self.scene:record(self.user) then return self:never_began(run) end
  local problems, rec = self:settled(run)
  if not rec then return problems end
  checks.one_password_an_epoch(problems, self, checks.POST, 1)
  checks.one_password_an_epoch(problems, self, checks.PUT, rec.epoch)
  local final = checks.hash(self, rec.current.password)
  for _, entry in ipairs(checks.requests(self, checks.POST)) do
    if entry.password_hash == final then checks.add(problems, "the user was created with the password that is handed out") end
  end
  checks.limited(problems, self, { "orders", "customers" }, { "payments" })
  self:published(problems, rec)
  return problems
end

function creation:finish() self:drop() end

local removal = class(creation)

function removal:prepare(n)
  creation.prepare(self, n)
  assert(self.scene.cluster:create_app_user { name = self.user, owner = "team@example.com", access = ACCESS, sinks = { "json:" .. self.json } })
  -- Everything of a kind that is in the way in a way of its own.
  self.scene.sandbox:psql(("CREATE TYPE t_%s AS ENUM ('a'); ALTER TYPE t_%s OWNER TO %s"):format(self.user, self.user, self.user))
  self.scene.sandbox:psql(("ALTER DEFAULT PRIVILEGES FOR ROLE %s GRANT SELECT ON TABLES TO sso_anna"):format(self.user))
  self:clear()
end

function removal:job()
  return { calls = { { "remove_app_user", { user = self.user, reassign_to = "sandbox_admin", clean_sinks = true } } } }
end

-- A record goes only when the user is known to be gone.
function removal:after_kill()
  local problems = {}
  local rec = checks.record(problems, self)
  if not rec and checks.exists(self) then checks.add(problems, "the record is gone and the user is there") end
  return problems
end

-- Killed before the record told of it, everything is as before.
function removal:untouched(problems)
  local rec = checks.settled(problems, self)
  checks.limited(problems, self, { "orders", "customers" }, { "payments" })
  if rec then checks.json_holds(problems, self.json, self.user, rec.current) end
end

function removal:at_end(run, kind)
  local problems = {}
  if run.code ~= 0 then checks.add(problems, "exit %d", run.code) end
  if kind == "resume" and checks.exists(self) then
    self:untouched(problems)
  else
    if checks.exists(self) then checks.add(problems, "the user is still there") end
    if checks.record(problems, self) then checks.add(problems, "the record is still there") end
    if temp.read(self.json) then checks.add(problems, "the json sink is still there") end
  end
  checks.tidy(problems, { self.scene.dir .. "/store", self.out })
  return problems
end

function removal:drop()
  if not self.user then return end
  self.scene.sandbox:psql(("DO $$ BEGIN IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '%s') THEN EXECUTE "
    .. "'REASSIGN OWNED BY %s TO sandbox_admin'; END IF; END $$; DROP TYPE IF EXISTS t_%s;"):format(self.user, self.user, self.user))
  creation.drop(self)
end

--- The removal of a limited user that owns something and is published.
function M.removal(scene) return new(scene, "removal", removal) end

local access = class(creation)

function access:prepare(n)
  creation.prepare(self, n)
  assert(self.scene.cluster:create_app_user { name = self.user, owner = "team@example.com", access = ACCESS })
  if self.unmanaged then temp.run("rm -rf " .. self.scene.dir .. "/store/*") end
  self:clear()
end

function access:job()
  return { calls = { { "set_access", {
    user = self.user, exact = true, access = { database = "shop", tables = { "payments" }, privileges = { "SELECT" } },
  } } } }
end

function access.after_kill() return {} end

-- What was asked for, whole; without the record having told of it, what was there before.
function access:at_end(run, kind)
  local problems = {}
  if run.code ~= 0 then checks.add(problems, "exit %d", run.code) end
  local wrong = {}
  checks.limited(wrong, self, { "payments" }, { "orders", "customers" })
  if kind == "resume" and #wrong > 0 then
    wrong = {}
    checks.limited(wrong, self, { "orders", "customers" }, { "payments" })
  end
  for _, problem in ipairs(wrong) do problems[#problems + 1] = problem end
  local rec = checks.record(problems, self)
  if self.unmanaged then
    if rec then checks.add(problems, "a record is left of a user that had none") end
  elseif not rec or record.is_due(rec) or record.is_open(rec) then
    checks.add(problems, "the record is not settled")
  elseif rec.access[1].tables[1] ~= (checks.may(self, "payments") and "payments" or "customers") then
    checks.add(problems, "the record tells of other access than the user has")
  end
  checks.tidy(problems, { self.scene.dir .. "/store" })
  return problems
end

--- A change of what a user may do, to exactly this.
function M.access(scene) return new(scene, "access", access) end

--- The same of a user that has no record.
function M.access_unmanaged(scene) return new(scene, "access without a record", access, { unmanaged = true }) end

--- A new user with limited access and two sinks.
function M.creation(scene) return new(scene, "creation", creation) end

--- A user of somebody else's that is an admin and is taken over.
function M.adoption(scene) return new(scene, "adoption", creation, { adopt = true, exists = true }) end

return M
