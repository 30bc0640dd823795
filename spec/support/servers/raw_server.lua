--- Starts spec/c/raw_server.c, the server that commits faults on order; see there for the actions.

local native = require "spec.support.native"
local temp = require "spec.support.temp"

local M = {}

local program, tls
local running = {}

local Server = {}
Server.__index = Server

local function checked(command)
  local output, status = temp.run(command)
  assert(status == 0, output)
end

--- A certificate authority with a certificate for 127.0.0.1 and localhost and one for elsewhere.invalid, and
--- another authority; made once.
---@return {ca: string, other_ca: string, cert: string, wrong_cert: string, key: string} paths
function M.tls()
  if tls then return tls end
  local dir = temp.dir()
  local function at(name) return temp.quote(dir .. "/" .. name) end
  local function authority(name)
    checked(("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=%s -keyout %s -out %s")
      :format(name, at(name .. ".key"), at(name .. ".pem")))
  end
  authority "spec-ca"
  authority "other-ca"
  checked(("openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=spec -keyout %s -out %s")
    :format(at "key.pem", at "request.pem"))
  for name, names in pairs { cert = "IP:127.0.0.1,DNS:localhost", wrong = "DNS:elsewhere.invalid" } do
    temp.write(dir .. "/names", "subjectAltName=" .. names .. "\n")
    checked(("openssl x509 -req -days 2 -in %s -CA %s -CAkey %s -CAcreateserial -extfile %s -out %s")
      :format(at "request.pem", at "spec-ca.pem", at "spec-ca.key", at "names", at(name .. ".pem")))
  end
  tls = { ca = dir .. "/spec-ca.pem", other_ca = dir .. "/other-ca.pem", cert = dir .. "/cert.pem",
    wrong_cert = dir .. "/wrong.pem", key = dir .. "/key.pem" }
  return tls
end

--- Starts a server; stop it by `server:stop()`.
---@param options {tls: boolean?, h2: boolean?, cert: string?} `h2` speaks HTTP/2 only; `cert` instead of the good one
---@param ... string actions, one for each request; the last one stays
---@return table server url, port, ca_file
function M.start(options, ...)
  program = program or native.program("raw_server", nil, "-lssl -lcrypto")
  local log = os.tmpname()
  local words = { "exec", temp.quote(program), temp.quote(log) }
  if options.tls or options.h2 then
    for _, word in ipairs { "--tls", temp.quote(options.cert or M.tls().cert), temp.quote(M.tls().key) } do words[#words + 1] = word end
  end
  if options.h2 then words[#words + 1] = "--h2" end
  for _, action in ipairs { ... } do words[#words + 1] = temp.quote(action) end
  local pipe = assert(io.popen(table.concat(words, " ")))
  local port, pid = pipe:read("*l"):match "^(%d+) (%d+)$"
  local secure = options.tls or options.h2
  local server = setmetatable({
    pipe = pipe, pid = pid, port = port, log = log, ca_file = secure and M.tls().ca or nil,
    url = (secure and "https" or "http") .. "://127.0.0.1:" .. port,
  }, Server)
  running[server] = true
  return server
end

--- An HTTP/1.1 answer as an action: "send:" keeps the connection, with `last` it is closed.
---@param status integer
---@param body string
---@param options {type: string?, headers: string?, last: boolean?}? headers: lines that end with \r\n
function M.answer(status, body, options)
  options = options or {}
  local text = ("HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n%s")
    :format(status, options.type or "application/json", #body, options.headers or "", body)
  return (options.last and "last:" or "send:") .. M.escape(text)
end

--- Bytes of an action, so that line ends and backslashes arrive.
function M.escape(text)
  return (text:gsub("\\", "\\\\"):gsub("\r", "\\r"):gsub("\n", "\\n"))
end

--- What the server saw: lines of its journal that start with `word`, without it.
---@param word "connect"|"request"|"header"|"body"|"handshake"
---@return string[]
function Server:seen(word)
  local lines = {}
  for line in (temp.read(self.log) .. "\n"):gmatch "(.-)\n" do
    if line == word then
      lines[#lines + 1] = ""
    elseif line:sub(1, #word + 1) == word .. " " then
      lines[#lines + 1] = line:sub(#word + 2)
    end
  end
  return lines
end

function Server:stop()
  if not running[self] then return end
  running[self] = nil
  temp.run("kill " .. self.pid)
  self.pipe:close()
  os.remove(self.log)
end

--- Stops the servers that a failed case left running: closing their pipe would wait for them.
function M.stop_all()
  for server in pairs(running) do server:stop() end
end

return M
