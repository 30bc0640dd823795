-- A sandbox for specs: started by the process that runs them and gone with it, however it ends.
-- The guard process below holds the read end of a pipe and stops the sandbox when the pipe closes.

local cjson = require "cjson"

local M = {}

local Sandbox = {}
Sandbox.__index = Sandbox

local SHARED = "crdbcloud.spec.sandbox"
local COMMAND = "examples/sandbox/sandbox"

local function quote(text) return "'" .. tostring(text):gsub("'", "'\\''") .. "'" end

-- Shell words that run a program without what the specs' own interpreter needs (a preloaded sanitizer).
local CLEAN = "env -u LD_PRELOAD -u ASAN_OPTIONS -u LSAN_OPTIONS -u UBSAN_OPTIONS "

local function read_all(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local function write_all(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

-- Output of a shell command, and whether it ended with 0. The status travels in the output,
-- because Lua 5.1 does not tell it.
local function capture(command)
  local pipe = assert(io.popen(command .. "; printf '\\n%d\\n' $?", "r"))
  local text = pipe:read("*a")
  pipe:close()
  local output, status = text:match("^(.*)\n(%d+)\n$")
  return output, status == "0"
end

local function checked(command)
  local output, ok = capture(command .. " 2>&1")
  if not ok then error("sandbox: " .. output, 3) end
  return output
end

-- NAME='value' lines as `sandbox start` prints them.
local function parse_exports(text)
  local env = {}
  for name, value in text:gmatch("export ([%w_]+)='(.-)'\n") do env[name] = value:gsub("'\\''", "'") end
  return env
end

-- One SQL side, as `psql` takes it.
local function side(sql, socket)
  return { host = "127.0.0.1", port = tonumber(("%d"):format(sql.port)), socket = socket, dbname = "shop", admin = "sandbox_admin" }
end

local OPTIONS = { users = "--users", latency = "--latency", rate = "--rate", page_cap = "--page-cap" }

--- Starts a sandbox of its own. Stop it by `s:stop()`.
--- @param options table|nil `{ users, latency, rate, page_cap }`
function M.start(options)
  local words = { COMMAND, "guard" }
  for name, value in pairs(options or {}) do
    words[#words + 1] = assert(OPTIONS[name], "unknown option " .. tostring(name)) .. " " .. quote(value)
  end
  local fifo = checked("d=$(mktemp -d) && mkfifo $d/out && echo $d/out"):gsub("%s+$", "")
  local guard = assert(io.popen(("exec >%s 2>&1; exec %ssetsid --wait %s"):format(quote(fifo), CLEAN, table.concat(words, " ")), "w"))
  local output = read_all(fifo)
  os.remove(fifo)
  os.remove((fifo:gsub("/out$", "")))
  local env = parse_exports(output)
  if not env.CRDBCLOUD_SANDBOX then
    guard:close()
    error("the sandbox did not start: " .. output, 2)
  end
  local dir = env.CRDBCLOUD_SANDBOX
  local keys = {}
  for _, name in ipairs { "admin", "other", "creator", "developer", "readonly", "org_admin", "invalid", "jwt" } do
    keys[name] = dir .. "/keys/" .. name
  end
  local settings = cjson.decode(read_all(dir .. "/settings.json"))
  return setmetatable({
    guard = guard,
    dir = dir,
    env = env,
    url = env.COCKROACH_SERVER,
    http_url = ("http://127.0.0.1:%d"):format(settings.http_port), -- the same service without TLS
    ca_file = env.CRDBCLOUD_CA_FILE,
    key_file = env.COCKROACH_API_KEY_FILE,
    keys = keys,
    cluster_id = env.CRDBCLOUD_CLUSTER,
    cluster_name = "sandbox-one",
    clusters = settings.clusters,
    sql_url = env.CRDBCLOUD_SQL,
    pgpassfile = env.PGPASSFILE,
    pg = side(settings.sql.one, dir .. "/pg"),
    two = side(settings.sql.two, dir .. "/pg-two"), -- the SQL side of sandbox-two
    two_url = env.CRDBCLOUD_SANDBOX_SQL_TWO,
    store_dir = dir .. "/store",
  }, Sandbox)
end

-- What there is in the databases and who may use it; not the passwords, which nearly every case changes.
local SHAPE = [[
SELECT md5(string_agg(line, E'\n' ORDER BY line)) FROM (
  SELECT concat_ws('|', 'role', rolname, rolsuper, rolcreaterole, rolcreatedb, rolcanlogin, rolconnlimit, rolvaliduntil, rolconfig) FROM pg_roles
  UNION ALL SELECT concat_ws('|', 'member', roleid::regrole, member::regrole, admin_option) FROM pg_auth_members
  UNION ALL SELECT concat_ws('|', 'database', datname, datacl) FROM pg_database
  UNION ALL SELECT concat_ws('|', 'schema', nspname, nspacl) FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)'
  UNION ALL SELECT concat_ws('|', 'default', defaclrole::regrole, defaclnamespace::regnamespace, defaclacl) FROM pg_default_acl
  UNION ALL SELECT concat_ws('|', 'relation', oid::regclass, relowner::regrole, relkind, relacl) FROM pg_class
    WHERE relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
) AS state (line)]]

--- The one sandbox that all specs of this process share (10 requests a second would only slow
--- them down, so it has no limit; set one by `s:set{ rate = 10 }`).
function M.shared()
  -- In the registry, because busted loads modules anew for each spec file.
  local registry = debug.getregistry()
  if not registry[SHARED] or not registry[SHARED].guard then
    registry[SHARED] = M.start { rate = 0, users = 5 }
    registry[SHARED].shape = registry[SHARED]:psql(SHAPE)
  end
  return registry[SHARED]
end

-- One command on the control socket. The body goes through a file in a private directory, so
-- that no password is ever in an argument.
local function control(self, command, body)
  local file = self.dir .. "/control/request"
  write_all(file, body or "")
  local output, ok = capture(("%scurl -sS --noproxy '*' --max-time 60 --fail-with-body --unix-socket %s --data-binary @%s http://sandbox/%s 2>&1")
    :format(CLEAN, quote(self.dir .. "/control/socket"), quote(file), command))
  os.remove(file)
  output = output:gsub("\n$", "")
  if not ok then error(("sandbox: %s: %s"):format(command, output), 3) end
  return output
end

--- Adds a fault: `{ op, what, user, nth, count, seconds, status, code, message, form, … }`.
function Sandbox:fault(fault) control(self, "fault", cjson.encode(fault)) end

--- Changes settings: `{ latency, rate, page_cap, page_end, must_differ, details, reserved, state }`.
function Sandbox:set(settings) control(self, "settings", cjson.encode(settings)) end

--- Forgets all faults and the log.
function Sandbox:clear() control(self, "clear") end

--- The requests since the start or the last `clear`, oldest first.
function Sandbox:log() return cjson.decode(control(self, "log")) end

--- The keyed hash that the log has in the place of this password (a string or a secret).
function Sandbox:hash(password)
  if type(password) ~= "string" then password = password:reveal() end
  return control(self, "hash", password)
end

--- Runs SQL as the superuser and returns what psql prints: rows as lines, columns parted by "|".
--- @param pg table|nil the SQL side: s.pg (default) or s.two
function Sandbox:psql(text, dbname, pg)
  pg = pg or self.pg
  local file = self.dir .. "/control/sql"
  write_all(file, text)
  local psql = "%sPGOPTIONS='-c client_min_messages=warning' PGPASSFILE=%s psql -X -q -A -t -v ON_ERROR_STOP=1 -h %s -p %d -U root -d %s -f %s"
  local output = checked(psql:format(CLEAN, quote(self.dir .. "/root.pgpass"), quote(pg.socket), pg.port, quote(dbname or "shop"), quote(file)))
  os.remove(file)
  return (output:gsub("%s+$", ""))
end

--- Passwords of the users that were there at the start, by name.
function Sandbox:passwords()
  local found = {}
  for name, password in read_all(self.dir .. "/passwords"):gmatch("([^\t\n]+)\t([^\n]+)") do found[name] = password end
  return found
end

--- Runs a sandbox command, e.g. "status". Returns its output and whether it ended with 0.
function Sandbox:command(words) return capture(CLEAN .. COMMAND .. " " .. words .. " --dir " .. quote(self.dir) .. " 2>&1") end

--- Back to the state after the start: users, passwords, tables, settings, faults, log, store.
function Sandbox:reset() checked(CLEAN .. COMMAND .. " reset --dir " .. quote(self.dir)) end

--- The state after the start but for the passwords; a reset, which takes a second, only where that is needed.
function Sandbox:fresh()
  self:clear()
  if self.shape ~= self:psql(SHAPE) then
    self:reset()
    self.shape = self:psql(SHAPE)
  end
end

--- Stops the sandbox and waits until it is gone.
function Sandbox:stop()
  local guard = self.guard
  self.guard = nil
  if guard then guard:close() end
end

return M
