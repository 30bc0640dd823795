--- A cluster handle on the shared sandbox with a store of its own, and the
--- questions that workflow specs ask: who can log in, what was sent.

local core = require "crdbcloud.core"
local crdbcloud = require "crdbcloud"
local probe = require "crdbcloud.sql.probe"
local record = require "crdbcloud.record"
local sandbox = require "spec.support.sandbox"
local temp = require "spec.support.temp"

local M = {}

local Scene = {}
Scene.__index = Scene

--- Opens a scene: the sandbox as it was at the start (passwords may be others), an empty store.
---@param options? table for crdbcloud.new; `cluster` for cloud:cluster
---@param own? table a sandbox of the caller's instead of the shared one
function M.open(options, own)
  local s = own or sandbox.shared()
  s:fresh()
  local scene = setmetatable({ sandbox = s, id = s.cluster_id, dir = temp.dir(), handles = {} }, Scene)
  scene.store_url = "file:" .. scene.dir .. "/store"
  scene.cluster = scene:handle(options)
  return scene
end

--- Another handle on the same store.
function Scene:handle(options)
  local new = {
    base_url = self.sandbox.url, ca_file = self.sandbox.ca_file, api_key_file = self.sandbox.keys.admin, rate = 0,
    timeout = 5,
  }
  local cluster = { store = self.store_url, sql = self:sql_spec() }
  for k, v in pairs(options or {}) do
    if k == "cluster" then
      for name, value in pairs(v) do cluster[name] = value or nil end
    else
      new[k] = v
    end
  end
  local cloud = assert(crdbcloud.new(new))
  local handle = assert(cloud:cluster(self.id, cluster))
  self.handles[#self.handles + 1] = handle
  return handle
end

--- The admin's SQL connection as a table (the password is read from the sandbox's password file).
function Scene:sql_spec()
  local password = temp.read(self.sandbox.pgpassfile):match(":sandbox_admin:([^\n]+)")
  return {
    host = self.sandbox.pg.host, port = self.sandbox.pg.port, dbname = "shop", user = "sandbox_admin",
    password = core.secret(password), sslmode = "verify-full", sslrootcert = self.sandbox.ca_file,
  }
end

--- What a login with a password says, as of crdbcloud.sql.probe.
function Scene:login(user, password)
  return (probe.login {
    host = self.sandbox.pg.host, port = self.sandbox.pg.port, dbname = "shop", user = user,
    password = type(password) == "string" and core.secret(password) or password,
    sslmode = "verify-full", sslrootcert = self.sandbox.ca_file, timeout = 10,
  })
end

--- The record of a user as the store has it.
function Scene:record(user)
  local store = assert(self.cluster:open_store("spec"))
  return store:get(record.key(self.id, user))
end

--- Puts a record into the store.
function Scene:put(rec, version)
  local store = assert(self.cluster:open_store("spec"))
  return assert(store:put(record.key(self.id, rec.user), rec, version))
end

--- Requests of one operation since the scene was opened.
function Scene:requests(op, user)
  local found = {}
  for _, entry in ipairs(self.sandbox:log()) do
    if entry.op == op and (not user or entry.user == user) then found[#found + 1] = entry end
  end
  return found
end

--- The distinct password hashes among requests.
function Scene.hashes(requests)
  local seen, n = {}, 0
  for _, entry in ipairs(requests) do
    if entry.password_hash and not seen[entry.password_hash] then
      seen[entry.password_hash] = true
      n = n + 1
    end
  end
  return n, seen
end

--- The stored password logs in; the record is idle.
function Scene:assert_settled(user)
  local rec, err = self:record(user)
  assert(rec, tostring(err))
  assert(rec.state == "idle", user .. " is " .. rec.state)
  assert(self:login(user, rec.current.password) == "accepted", user .. ": the stored password does not log in")
  return rec
end

-- Users and roles that specs made are no part of the sandbox that others share.
local DROP_OWN = [[
DO $$ DECLARE r text; BEGIN
  FOR r IN SELECT rolname FROM pg_roles WHERE rolname LIKE 'spec\_%' OR rolname LIKE 'cli\_grant\_%' LOOP
    BEGIN EXECUTE format('DROP OWNED BY %I', r); EXECUTE format('DROP ROLE %I', r);
    EXCEPTION WHEN OTHERS THEN RAISE NOTICE 'kept %', r; END;
  END LOOP;
END $$]]

function Scene:close()
  for _, handle in ipairs(self.handles) do
    handle:close()
    handle.cloud:close()
  end
  self.sandbox:clear()
  self.sandbox:psql(DROP_OWN)
end

return M
