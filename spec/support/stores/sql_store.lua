--- A database of its own in the shared sandbox for a SQL store.

local core = require "crdbcloud.core"
local record = require "crdbcloud.record"
local sandbox = require "spec.support.sandbox"
local store = require "crdbcloud.store"
local temp = require "spec.support.temp"

local M = {}

M.CLUSTER = "1b6fee85-c1ae-42da-bb4f-e3f8a89fdd25"
M.KEY = M.CLUSTER .. "/app"

--- A record of app, or of another user.
function M.example(text, user)
  return record.new {
    cluster_id = M.CLUSTER, user = user or "app", state = "idle", epoch = 3, owner = "team@example.com", by = "host-a:17",
    current = { epoch = 3, password = core.secret(text or "correct-horse-battery"), set_at = 1700000000 },
  }
end

--- Records with which states a handle's statements end from here on.
function M.watched(handle)
  local seen = {}
  local sql = handle.session.sql
  local query = sql.query
  sql.query = function(self, ...)
    local rows, err = query(self, ...)
    seen[#seen + 1] = err and (err.sqlstate or err.kind) or "ok"
    return rows, err
  end
  return seen
end

local Place = {}
Place.__index = Place

--- Makes the database, with the store's tables unless `tables = false`.
---@param options? { tables: boolean?, sandbox: table? }
function M.new(options)
  local s = options and options.sandbox or sandbox.shared()
  local name = "store_" .. core.random_hex(6)
  s:psql("CREATE DATABASE " .. name .. " OWNER sandbox_admin")
  local place = setmetatable({ sandbox = s, dbname = name, handles = {}, dir = temp.dir() }, Place)
  place.password = temp.read(s.pgpassfile):match ":sandbox_admin:([^\n]+)"
  place.key_file = place:key()
  if not options or options.tables ~= false then assert(store.init(place:url(), { ca_file = s.ca_file })) end
  return place
end

--- The store's URL with the password in it, as a program may give it.
---@param changes? { user: string?, password: string?, port: integer?, query: string? }
function Place:url(changes)
  changes = changes or {}
  return ("postgresql://%s:%s@127.0.0.1:%d/%s?sslmode=verify-full%s"):format(changes.user or "sandbox_admin",
    changes.password or self.password, changes.port or self.sandbox.pg.port, self.dbname, changes.query or "")
end

--- The same without a password, for the command.
function Place:bare_url()
  return ("postgresql://sandbox_admin@127.0.0.1:%d/%s?sslmode=verify-full"):format(self.sandbox.pg.port, self.dbname)
end

--- A new file with one key, and further lines.
---@param ... string
---@return string path
function Place:key(...)
  local path = ("%s/key-%s"):format(self.dir, core.random_hex(4))
  temp.run(("umask 077; openssl rand -hex 32 > %s"):format(path))
  for _, line in ipairs { ... } do temp.run(("cat %s >> %s"):format(line, path)) end
  return path
end

--- A handle of the store; sealed unless `plaintext`.
---@param options? table of store.open, and url
function Place:open(options)
  local given = { ca_file = self.sandbox.ca_file, store_key_file = self.key_file }
  for name, value in pairs(options or {}) do given[name] = value or nil end
  local url = given.url or self:url()
  given.url = nil
  local handle = assert(store.open(url, given))
  self.handles[#self.handles + 1] = handle
  return handle
end

--- SQL as the superuser.
function Place:psql(text)
  return self.sandbox:psql(text, self.dbname)
end

--- All leases end now, as if their time had passed. Only the database's clock counts for whoever takes one.
function Place:end_leases()
  self:psql "UPDATE crdbcloud_leases SET ends_at = now() - INTERVAL '1 minute'"
end

--- The server ends the sessions of a handle, as an operator or a failover does.
function Place:end_sessions()
  self:psql(("SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE datname = '%s' AND pid <> pg_backend_pid()"):format(self.dbname))
end

function Place:close()
  for _, handle in ipairs(self.handles) do handle:close() end
  self.sandbox:psql(("DROP DATABASE %s WITH (FORCE)"):format(self.dbname))
end

return M
