--- Decides how a server is reached: reads a URL, sets what was left out, refuses what would send a password into the
--- open. No I/O but the look for the system's certificate bundle.

local errors = require "crdbcloud.errors"
local options = require "crdbcloud.base.options"
local urls = require "crdbcloud.base.urls"

local M = {}

local MODES = { disable = 1, allow = 2, prefer = 3, require = 4, ["verify-ca"] = 5, ["verify-full"] = 6 }
local MODE_NAMES = "disable, allow, prefer, require, verify-ca, verify-full"

-- Debian and its like first; then Fedora, openSUSE, Alpine and the BSDs.
local BUNDLES = {
  "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
}

--- What sql.connect takes; libpq knows more, and a URL may carry those.
M.FIELDS = {
  host = "text", hostaddr = "text", port = "text|integer", dbname = "text", user = "text",
  password = "text|secret", sslmode = "text", sslrootcert = "text", sslcert = "text", sslkey = "text",
  options = "text", application_name = "text", passfile = "text",
  connect_timeout = "limit", deadline = "limit", insecure = "boolean", ca_file = "text",
}

-- Ours, not libpq's.
M.OWN = { connect_timeout = true, deadline = true, insecure = true, ca_file = true }

local function refused(message, hint)
  return nil, errors.new {
    kind = "invalid_argument", operation = "sql.connect", message = message, hint = hint, outcome = "not_sent",
  }
end

local function is_local_address(host)
  return host:match "^127%.%d+%.%d+%.%d+$" ~= nil or host == "::1"
end

--- True when each of the hosts (a list with commas is one, as in libpq) is this machine.
---@param host string
---@param hostaddr string|nil where the connection really goes
function M.is_local(host, hostaddr)
  local function every(list, test)
    for one in (list .. ","):gmatch "([^,]*)," do
      if not test(one) then return false end
    end
    return true
  end
  if hostaddr and hostaddr ~= "" then return every(hostaddr, is_local_address) end
  return every(host, function(one)
    return one:sub(1, 1) == "/" or one:sub(1, 1) == "@" or one:lower() == "localhost" or is_local_address(one)
  end)
end

local function is_socket(host)
  return host:sub(1, 1) == "/" or host:sub(1, 1) == "@"
end

local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

local function system_bundle()
  for _, path in ipairs(BUNDLES) do
    if exists(path) then return path end
  end
  return nil
end

local ENCODE = 'write postgresql://USER@HOST:PORT/DATABASE; in user and password write "%40" for "@", "%2F" for "/", "%3F" for "?", "%23" for "#"'

-- An "@" begins the name of an abstract socket, and may stand in a path; in a host's name it is left of a password.
local function is_host(host)
  return host:sub(1, 1) == "/" or not host:find "[^,]@"
end

-- What a password that is not encoded leaves in other parts of a URL, as libpq reads it; nil when there is none.
local function stray_part(text, fields)
  local rest = text:match "^postgres%l*://(.*)$"
  if not rest then return nil end
  local after = rest:match "^[^@/]*@(.*)$" or rest
  if after:gsub("%?.*$", ""):find("@", 1, true) then return 'an "@" after the host begins' end
  if fields.host and not is_host(fields.host) then return 'an "@" in the host' end
  if fields.port and fields.port:find "[^%d,]" then return "a port that is no number from 1 to 65535" end
  return nil
end

--- Reads a URL (postgresql://…) or a connection string of libpq.
---@param url string|userdata a string or a secret
---@return table|nil fields the password among them is a secret
---@return crdbcloud.error|nil
function M.parse(url)
  local fields, problem = require("crdbcloud.pq").parse(url)
  if not fields then
    return refused("the URL of the SQL server is not valid: " .. problem .. " (the rest is not shown: it may be a password)", ENCODE)
  end
  local stray = stray_part(urls.text(url), fields)
  if stray then return refused(("the URL of the SQL server has %s (not shown: it may be a piece of a password)"):format(stray), ENCODE) end
  if fields.connect_timeout then
    local seconds = tonumber(fields.connect_timeout)
    if not seconds or seconds < 0 or seconds > 600 then
      return refused('connect_timeout of the URL must be seconds up to 600, got ' .. errors.shown(fields.connect_timeout))
    end
    fields.connect_timeout = seconds > 0 and seconds or nil
  end
  return fields
end

--- A URL or fields as checked fields.
---@param what string|userdata|table
---@param overrides table|nil fields that win
---@return table|nil fields
---@return crdbcloud.error|nil
function M.read(what, overrides)
  local fields, err
  if type(what) == "table" then
    fields = options.check(M.FIELDS, what, "sql.connect")
  else
    fields, err = M.parse(what)
    if not fields then return nil, err end
  end
  for name, value in pairs(options.check(M.FIELDS, overrides, "sql.connect")) do fields[name] = value end
  return fields
end

local function check_port(port)
  local n = tonumber(port)
  if not options.is_integer(n) or n < 1 or n > 65535 then return nil end
  return ("%d"):format(n)
end

local function check_ports(list)
  local ports = {}
  for one in (list .. ","):gmatch "([^,]*)," do
    ports[#ports + 1] = check_port(one)
    if not ports[#ports] or #ports == 0 then return nil end
  end
  local count = select(2, list:gsub(",", ",")) + 1
  return #ports == count and table.concat(ports, ",") or nil
end

--- Fills in and checks. Defaults: port 26257, sslmode "verify-full" (on a Unix socket "disable": there is no TLS), the
--- root certificate from ca_file, CRDBCLOUD_CA_FILE or the system's bundle.
---@param given table fields as in FIELDS, and any others of libpq
---@return table|nil params for crdbcloud.pq, with strings and the password
---@return crdbcloud.error|nil
function M.resolve(given)
  local params = {}
  for name, value in pairs(given) do
    if not M.OWN[name] then params[name] = value end
  end
  if not params.host or params.host == "" then
    return refused("host is missing", "write postgresql://USER@HOST:PORT/DATABASE, or host = ...")
  end
  if not params.user or params.user == "" then
    return refused("user is missing", "write postgresql://USER@HOST:PORT/DATABASE, or user = ...")
  end
  if not is_host(params.host) then
    return refused('host holds an "@" (it is not shown: it may be a piece of a password)', ENCODE)
  end
  local port = params.port == nil and "26257" or check_ports(tostring(params.port))
  if not port then return refused("port must be a number from 1 to 65535, got " .. errors.shown(params.port)) end
  params.port = port

  local mode = params.sslmode or (is_socket(params.host) and "disable" or "verify-full")
  if not MODES[mode] then
    return refused("sslmode must be one of " .. MODE_NAMES .. ", got " .. errors.shown(mode))
  end
  if mode ~= "verify-full" and not given.insecure and not M.is_local(params.host, params.hostaddr) then
    return refused(('sslmode "%s" does not prove who the server is; %s is not this machine'):format(mode, params.host),
      'use sslmode "verify-full" (with sslrootcert for a certificate authority of your own), or insecure = true')
  end
  params.sslmode = mode
  -- A server may ask for the password itself and try it elsewhere; SCRAM does not show it. On a Unix socket it is this
  -- machine's.
  params.scram = not given.insecure and not is_socket(params.host)
  if params.sslrootcert == "system" then params.sslrootcert = nil end -- the word is known to libpq 16 and later only
  if MODES[mode] >= MODES["verify-ca"] and not params.sslrootcert then
    local from_environment = os.getenv "CRDBCLOUD_CA_FILE"
    if from_environment == "" then from_environment = nil end
    params.sslrootcert = given.ca_file or from_environment or system_bundle()
    if not params.sslrootcert then
      return refused("no bundle of certificate authorities was found", "give sslrootcert, or CRDBCLOUD_CA_FILE")
    end
  end
  if params.sslrootcert and not exists(params.sslrootcert) then
    return nil, errors.new {
      kind = "tls", operation = "sql.connect", outcome = "not_sent",
      message = "cannot read the root certificate " .. errors.shown(params.sslrootcert),
    }
  end
  return params
end

return M
