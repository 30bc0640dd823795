-- A program of a pool: it opens a new connection again and again until it is told to stop, and writes a line for each.
--   client.lua LOG STOP PARENT HOW SOURCE USER CA_FILE
-- HOW: "connect_with" tries what the source offers; "plain" takes the one password that it reads, once.
-- Lines: "ok USER", "failed WHY", and at last "end". It stops when the file STOP is there or the process PARENT is gone.

local core = require "crdbcloud.core"
local crdbcloud = require "crdbcloud"

local log_path, stop, parent, how, source, user, ca_file = (unpack or table.unpack)(arg)
local PAUSE = 0.1 -- seconds between two connections
local LONGEST = 900 -- seconds

local log = assert(io.open(log_path, "a"))
log:setvbuf "line"

local function connect(c)
  local conn, err = crdbcloud.sql.connect {
    host = c.host, port = c.port, dbname = c.database, user = c.user, password = c.password, sslmode = "verify-full",
    sslrootcert = ca_file, connect_timeout = "10s",
  }
  if not conn then return nil, err end
  local rows
  rows, err = conn:query "SELECT session_user AS name"
  conn:close()
  return rows and rows[1].name, err
end

local credentials = assert(crdbcloud.credentials { source = source, user = user })

local function once()
  if how == "connect_with" then return credentials:connect_with(connect, { deadline = "10s" }) end
  local c, err = credentials:get()
  if not c then return nil, err end
  return connect(c)
end

local give_up = core.monotonic() + LONGEST
while not core.stat(stop) and core.stat("/proc/" .. parent) and core.monotonic() < give_up do
  local name, err = once()
  log:write(name and "ok " .. name or "failed " .. tostring(err):gsub("\n", " "), "\n")
  core.sleep(PAUSE)
end
log:write "end\n"
log:close()
credentials:close()
