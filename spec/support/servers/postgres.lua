--- A real PostgreSQL server of its own for specs: temporary directory, free port, own certificate authority.
-- It listens on 127.0.0.1 with TLS and on a Unix socket; every login needs a scram-sha-256 password but those of the
-- role `trusted`. Works as root (the server then runs as `postgres`) and as a normal user. The server ends with
-- `server:stop()`, at the end of the process, and when the process is killed: a watchdog holds a pipe to it.

local core = require "crdbcloud.core"

local M = {}

local Server = {}
Server.__index = Server

-- Arguments: directory, port, file with the superuser's password. Prints nothing unless it fails.
local START = [[
set -eu
for fd in /proc/self/fd/*; do n=${fd##*/}; if [ "$n" -gt 2 ] && [ "$n" -lt 255 ]; then eval "exec $n>&-"; fi; done
dir=$1 port=$2
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
as() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; else "$@"; fi; }
cd "$dir"
if [ ! -d data ]; then
  chmod 755 .
  authority() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" \
    -keyout "$1.key" -out "$1.crt"; }
  authority ca 2>/dev/null; authority other 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout server.key -out server.csr 2>/dev/null
  printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' > extensions
  openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out server.crt 2>/dev/null
  mkdir -m 700 run
  if [ "$(id -u)" = 0 ]; then chown postgres server.key password run . ; fi
  as "$bin/initdb" -D "$dir/data" -U root --pwfile=password -A scram-sha-256 -N -E UTF8 --locale=C >initdb.log 2>&1 \
    || { cat initdb.log; exit 1; }
  cat >>data/postgresql.conf <<END
unix_socket_directories = '$dir/run'
fsync = off
autovacuum = off
shared_buffers = 16MB
max_connections = 40
ssl = on
ssl_cert_file = '$dir/server.crt'
ssl_key_file = '$dir/server.key'
END
  cat >data/pg_hba.conf <<END
local all all scram-sha-256
hostssl all trusted 127.0.0.1/32 trust
hostssl all clear 127.0.0.1/32 password
hostssl all all 127.0.0.1/32 scram-sha-256
hostnossl all unencrypted 127.0.0.1/32 scram-sha-256
END
fi
as "$bin/pg_ctl" -D "$dir/data" -w -l "$dir/log" -o "-p $port -c listen_addresses=127.0.0.1" start >/dev/null 2>&1
]]

local STOP = [[
dir=$1
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
as() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; else "$@"; fi; }
cd /
if [ -d "$dir/data" ]; then as "$bin/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null 2>&1; fi
]]

local function quote(s)
  return "'" .. tostring(s):gsub("'", "'\\''") .. "'"
end

local function shell(script, ...)
  local words = { "bash -c " .. quote(script) .. " postgres" }
  for i = 1, select("#", ...) do words[#words + 1] = quote((select(i, ...))) end
  return table.concat(words, " ")
end

local function succeeds(command)
  local ok = os.execute(command)
  return ok == true or ok == 0
end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  assert(file:write(text))
  file:close()
end

--- The words of a command's output, trimmed; asserts that it succeeded.
function M.output(command)
  local pipe = assert(io.popen(command .. " 2>&1; echo status:$?"))
  local text = pipe:read "*a"
  pipe:close()
  local out, status = text:match "^(.-)%s*status:(%d+)%s*$"
  assert(status == "0", out)
  return out
end

local function random_hex(bytes)
  local file = assert(io.open("/dev/urandom", "rb"))
  local hex = file:read(bytes):gsub(".", function(c) return ("%02x"):format(c:byte()) end)
  file:close()
  return hex
end

-- A port that nobody listens on now; taken by somebody else in between, the start fails and another is tried.
local function random_port()
  return 20000 + tonumber(random_hex(2), 16) % 40000
end

--- Starts a server; takes about two seconds.
function M.start()
  local self = setmetatable({
    dir = M.output "mktemp -d /tmp/crdbcloud-pg.XXXXXX", host = "127.0.0.1", user = "root", dbname = "postgres",
  }, Server)
  self.password_text = random_hex(16)
  self.password = core.secret(self.password_text)
  self.ca_file, self.other_ca_file = self.dir .. "/ca.crt", self.dir .. "/other.crt"
  self.socket, self.log_file = self.dir .. "/run", self.dir .. "/log"
  assert(succeeds("umask 077; : >" .. quote(self.dir .. "/password")))
  write(self.dir .. "/password", self.password_text)
  local watchdog = "cat >/dev/null; " .. shell(STOP, self.dir) .. "; rm -rf " .. quote(self.dir)
  self.watchdog = assert(io.popen(watchdog, "w"))
  for _ = 1, 10 do
    self.port = random_port()
    if succeeds(shell(START, self.dir, self.port)) then break end
    self.port = nil
  end
  assert(self.port, "PostgreSQL does not start: see " .. self.dir .. "/log")
  write(self.dir .. "/pgpass", ("*:*:*:root:%s\n"):format(self.password_text))
  assert(succeeds("chmod 600 " .. quote(self.dir .. "/pgpass")))
  self.pgpass = self.dir .. "/pgpass"
  return self
end

local SHARED = "crdbcloud.spec:postgres"

--- The server of this process, started at first use; busted clears loaded modules between spec files, so it is kept in
--- the registry.
function M.shared()
  local registry = debug.getregistry()
  if not registry[SHARED] then registry[SHARED] = M.start() end
  return setmetatable(registry[SHARED], Server)
end

--- Runs SQL as the superuser by psql, which knows nothing of our code, and returns its unaligned output.
function Server:psql(text, dbname)
  write(self.dir .. "/statement.sql", text)
  return M.output(("PGPASSFILE=%s psql -X -q -A -t -v ON_ERROR_STOP=1 -h %s -p %d -U root -d %s -f %s"):format(
    quote(self.pgpass), quote(self.socket), self.port, quote(dbname or "postgres"), quote(self.dir .. "/statement.sql")))
end

--- Parameters of a verified TLS login, with changes; false takes one away.
function Server:params(changes)
  local params = {
    host = self.host, port = ("%d"):format(self.port), user = self.user, dbname = self.dbname, password = self.password,
    sslmode = "verify-full", sslrootcert = self.ca_file,
  }
  for name, value in pairs(changes or {}) do
    if value == false then params[name] = nil else params[name] = value end
  end
  return params
end

--- Ends the server process and keeps its data; `start_again` starts it on the same port.
function Server:halt()
  assert(succeeds(shell(STOP, self.dir)))
end

function Server:start_again()
  assert(succeeds(shell(START, self.dir, self.port)))
end

function Server:stop()
  if self.watchdog then
    self.watchdog:close()
    self.watchdog = nil
  end
end

return M
