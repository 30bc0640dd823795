-- The sandbox seen from outside: requests by curl, logins by psql.

local cjson = require "cjson"

local M = {}

function M.quote(text) return "'" .. tostring(text):gsub("'", "'\\''") .. "'" end

--- Runs a shell command. Returns its output (both streams) and exit status.
function M.run(command)
  local pipe = assert(io.popen("{ " .. command .. "\n} 2>&1; printf '\\n%d\\n' $?", "r"))
  local text = pipe:read("*a")
  pipe:close()
  local output, status = text:match("^(.*)\n(%d+)\n$")
  return output, tonumber(status)
end

function M.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

function M.write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

local function config_line(name, value) return ('%s = "%s"\n'):format(name, (value:gsub('[\\"]', "\\%0"))) end

--- One request by curl.
--- @param s table sandbox
--- @param request table { path, method = "GET", body = string|table, key = key name or false,
---   authorization, http = "1.1"|"2", headers, query, base, ca = path or false, timeout }
--- @return table answer { status, http, exit, took, body, json, headers }; exit is curl's exit status, took in seconds
function M.request(s, request)
  local dir = s.dir .. "/control/"
  local lines = { "silent\nshow-error\nnoproxy = *\ngloboff\npath-as-is\n" }
  local function add(name, value) lines[#lines + 1] = config_line(name, value) end
  add("url", (request.base or s.url) .. request.path .. (request.query and "?" .. request.query or ""))
  add("request", request.method or "GET")
  add("max-time", tostring(request.timeout or 30))
  if request.ca ~= false then add("cacert", request.ca or s.ca_file) end
  lines[#lines + 1] = (request.http == "1.1" and "http1.1" or "http2") .. "\n"
  if request.key ~= false then
    add("header", "Authorization: " .. (request.authorization or "Bearer " .. M.read(s.keys[request.key or "admin"]):gsub("\n", "")))
  end
  for _, header in ipairs(request.headers or {}) do add("header", header) end
  if request.body then
    M.write(dir .. "body", type(request.body) == "table" and cjson.encode(request.body) or request.body)
    add("data-binary", "@" .. dir .. "body")
    if not request.headers then add("header", "Content-Type: application/json") end
  end
  add("output", dir .. "answer")
  add("dump-header", dir .. "headers")
  add("write-out", "%{http_code} %{http_version} %{exitcode} %{time_total}")
  M.write(dir .. "answer", "")
  M.write(dir .. "headers", "")
  M.write(dir .. "curl.conf", table.concat(lines))
  local output = M.run("curl -q -K " .. M.quote(dir .. "curl.conf"))
  local status, http, exit, took = output:match("(%d+) ([%d.]+) (%d+) ([%d.]+)%s*$")
  local answer = {
    status = tonumber(status), http = http, exit = tonumber(exit), took = tonumber(took),
    body = M.read(dir .. "answer"), headers = {}, output = output,
  }
  for name, value in M.read(dir .. "headers"):gmatch("([%w-]+): ([^\r\n]*)") do answer.headers[name:lower()] = value end
  for _, name in ipairs { "answer", "headers", "curl.conf", "body" } do os.remove(dir .. name) end
  local ok, decoded = pcall(cjson.decode, answer.body)
  if ok and type(decoded) == "table" then answer.json = decoded end
  return answer
end

--- Tries to log in by TCP and TLS, with everything verified.
--- @return boolean in, string what psql printed
function M.login(s, user, password, sql)
  local passfile = s.dir .. "/control/pgpass"
  M.write(passfile, "*:*:*:*:" .. password:gsub("[\\:]", "\\%0") .. "\n")
  local output, status = M.run(("umask 077; chmod 600 %s; PGPASSFILE=%s psql -X -A -t -w %s -c %s"):format(
    M.quote(passfile), M.quote(passfile),
    M.quote(("host=127.0.0.1 port=%d user='%s' dbname=shop sslmode=verify-full sslrootcert=%s"):format(s.pg.port, user, s.ca_file)),
    M.quote(sql or "SELECT current_user")))
  os.remove(passfile)
  return status == 0, (output:gsub("%s+$", ""))
end

return M
