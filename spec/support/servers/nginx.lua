--- A small nginx for specs: Debian's own, with Lua code in its locations, on a unix socket in a directory of its own.
--
--   local web = nginx.start { init = "crdbcloud = require 'crdbcloud.nginx'", locations = { ["/x"] = "ngx.say(1)" } }
--   local status, body = web:get "/x"
--   web:stop()

local temp = require "spec.support.temp"
local wait_for = require "spec.support.wait"

local M = {}

local running = {}

local Nginx = {}
Nginx.__index = Nginx

local MODULES = "/usr/lib/nginx/modules/"

local CONFIG = [[
%(user)
load_module %(modules)ndk_http_module.so;
load_module %(modules)ngx_http_lua_module.so;
daemon off;
worker_processes %(workers);
worker_shutdown_timeout %(shutdown);
error_log %(dir)/error.log %(level);
pid %(dir)/pid;
%(pool)
%(env)
%(main)
events { worker_connections 1024; }
http {
  access_log %(dir)/access.log;
  client_body_buffer_size 1m;
  client_body_temp_path %(dir)/body; proxy_temp_path %(dir)/proxy; fastcgi_temp_path %(dir)/fastcgi;
  uwsgi_temp_path %(dir)/uwsgi; scgi_temp_path %(dir)/scgi;
  lua_package_path "%(root)/lua/?.lua;%(root)/lua/?/init.lua;;";
  lua_package_cpath "%(cpath);;";
  %(http)
  %(init)
  %(init_worker)
  server {
    listen unix:%(dir)/socket;
    location = /-/pid { content_by_lua_block { ngx.say(ngx.worker.pid()) } }
    location = /-/run { content_by_lua_file %(dir)/run.lua; }
    %(server)
    %(locations)
  }
}
]]

-- Runs the code that was posted: what it says is the answer, what it raises is the answer of a 500.
local RUN = [[
ngx.req.read_body()
local code, problem = loadstring(ngx.req.get_body_data() or "", "=spec")
local lines = {}
local function say(...)
  local words = { n = select("#", ...), ... }
  for i = 1, words.n do words[i] = tostring(words[i]) end
  lines[#lines + 1] = table.concat(words, " ")
end
local ok = code ~= nil
if ok then
  setfenv(code, setmetatable({ say = say }, { __index = _G }))
  ok, problem = pcall(code)
end
if not ok then
  ngx.status = 500
  say(problem)
end
ngx.print(table.concat(lines, "\n"))
]]

local function block(directive, dir, name, code)
  if not code then return "" end
  local path = ("%s/%s.lua"):format(dir, name)
  temp.write(path, code)
  return ("%s %s;"):format(directive, path)
end

local function locations(dir, list)
  local parts, i = {}, 0
  for path, code in pairs(list or {}) do
    i = i + 1
    -- "/x" = code, or "/x" = { access = code, content = code, extra = "directives" }
    local phases = type(code) == "table" and code or { content = code }
    local lines = { ("location = %s {"):format(path) }
    for phase, text in pairs(phases) do
      if phase == "extra" then
        lines[#lines + 1] = text
      else
        lines[#lines + 1] = block(phase .. "_by_lua_file", dir, ("%s_%d"):format(phase, i), text)
      end
    end
    parts[#parts + 1] = table.concat(lines, "\n") .. "\n}"
  end
  return table.concat(parts, "\n")
end

local function environment(names)
  local lines = {}
  for name in pairs(names or {}) do lines[#lines + 1] = ("env %s;"):format(name) end
  return table.concat(lines, "\n")
end

-- LuaJIT's build, and the plain one: a sanitizer would have to be preloaded.
local function places()
  local root = temp.run("pwd"):gsub("%s+$", "")
  local cpath = package.cpath:match "[^;]*/build[^;]*/5%.%d/%?%.so" or root .. "/build/5.1/?.so"
  return root, (cpath:gsub("/build/[^/;]+/(5%.%d/)", "/build/%1"):gsub("/5%.%d/%?%.so", "/5.1/?.so"))
end

--- Starts one and waits until it serves.
---@param options { main: string?, http: string?, server: string?, init: string?, init_worker: string?, locations: table?,
---  workers: integer?, pool: string?, shutdown: string?, env: table<string, string>?, hidden: table<string, string>?,
---  level: string?, cpath: string?, wrapper: string? }
---  locations: path -> content code or { access = code, content = code, extra = directives }; pool: in place of
---  "thread_pool crdbcloud threads=16;"; shutdown: worker_shutdown_timeout (20s); env: variables that nginx passes on to its
---  workers; hidden: such as it does not pass on; level of the log (notice); wrapper: words before the program
---@return table nginx dir, socket, pid
function M.start(options)
  local dir = temp.dir()
  temp.run("chmod 755 " .. dir)
  local root, cpath = places()
  local values = {
    user = temp.run("id -u"):match "^0" and "user root;" or "", modules = MODULES, dir = dir, root = root, cpath = options.cpath or cpath,
    workers = options.workers or 1, level = options.level or "notice", pool = options.pool or "thread_pool crdbcloud threads=16;",
    main = options.main or "", http = options.http or "", server = options.server or "", shutdown = options.shutdown or "20s",
    env = environment(options.env), init = block("init_by_lua_file", dir, "init", options.init),
    init_worker = block("init_worker_by_lua_file", dir, "init_worker", options.init_worker), locations = locations(dir, options.locations),
  }
  -- Newer releases of the Lua module have Lua states for 10 threads unless told.
  if not values.http:find("lua_worker_thread_vm_pool_size", 1, true) then
    values.http = "lua_worker_thread_vm_pool_size 100;\n" .. values.http
  end
  temp.write(dir .. "/run.lua", RUN)
  temp.write(dir .. "/nginx.conf", (CONFIG:gsub("%%%(([%a_]+)%)", function(name) return tostring(values[name]) end)))
  local words = { "env -u LD_PRELOAD -u LUA_PATH -u LUA_CPATH" }
  for _, list in ipairs { options.env or {}, options.hidden or {} } do
    for name, value in pairs(list) do words[#words + 1] = name .. "=" .. temp.quote(value) end
  end
  words[#words + 1] = options.wrapper
  words[#words + 1] = ("nginx -p %s -e %s/error.log -c %s/nginx.conf"):format(dir, dir, dir)
  temp.run(("%s >%s/output 2>&1 & echo $! >%s/started"):format(table.concat(words, " "), dir, dir))
  local self = setmetatable({ dir = dir, socket = dir .. "/socket", pid = temp.read(dir .. "/started"):match "%d+" }, Nginx)
  running[self] = true
  if not self:_until(function() return self:worker() ~= nil end) then
    local log = (temp.read(dir .. "/output") or "") .. (temp.read(dir .. "/error.log") or "")
    self:stop()
    error("nginx did not start: " .. log, 2)
  end
  return self
end

local function lives(pid) return select(2, temp.run("kill -0 " .. pid)) == 0 end

-- Asks again until it is so, for up to two minutes; once more when nginx is gone.
function Nginx:_until(is_so)
  for _ = 1, 2400 do
    local serves = lives(self.pid)
    if is_so() then return true end
    if not serves then return false end
    temp.run "sleep 0.05"
  end
  return false
end

--- Waits until it is so; fails the case otherwise.
---@param is_so fun(): boolean
---@param what string
function Nginx:wait(is_so, what)
  if not self:_until(is_so) then error("nginx: waited in vain for: " .. what, 2) end
end

--- The command line of a request.
---@param path string
---@param options { method: string?, body: string?, file: string?, headers: string[]?, time: number? }|nil file: of a body;
---  time: seconds, 60
function Nginx:curl(path, options)
  options = options or {}
  local words = {
    "env -u LD_PRELOAD curl -sS --noproxy '*' -m", tostring(options.time or 60), "--unix-socket", temp.quote(self.socket),
    "-w", temp.quote "\n%{http_code}",
  }
  if options.method then words[#words + 1] = "-X " .. options.method end
  for _, header in ipairs(options.headers or {}) do words[#words + 1] = "-H " .. temp.quote(header) end
  if options.file then words[#words + 1] = "--data-binary @" .. temp.quote(options.file) end
  if options.body then words[#words + 1] = "--data-binary " .. temp.quote(options.body) end
  words[#words + 1] = temp.quote("http://nginx" .. path)
  return table.concat(words, " ")
end

--- One request.
---@return integer status 0: no answer
---@return string body without the newline at its end
function Nginx:get(path, options)
  local output = temp.run(self:curl(path, options))
  local body, status = output:match "^(.*)\n(%d%d%d)%s*$"
  return tonumber(status or 0), ((body or output):gsub("\n$", ""))
end

--- Runs Lua code in a request of its own and gives back what it has told the function `say`; what it raises fails the case.
---@param code string
---@return string
function Nginx:run(code)
  local path = self.dir .. "/code"
  temp.write(path, code)
  local status, body = self:get("/-/run", { file = path })
  if status ~= 200 then error(("nginx: %s: %s"):format(status, body), 2) end
  return body
end

--- Starts a request; the result's wait() gives status and body, abort() hangs up.
function Nginx:begin(path, options)
  local dir = temp.dir()
  temp.run(("(%s >%s/out 2>&1 & echo $! >%s/pid; wait; echo >%s/ended) >/dev/null 2>&1 & until [ -s %s/pid ]; do sleep 0.01; done")
    :format(self:curl(path, options), dir, dir, dir, dir))
  -- Nginx may be gone before curl, which has a time limit of its own.
  local function wait(what)
    wait_for(what, function() return temp.read(dir .. "/ended") end)
  end
  return {
    wait = function()
      wait(path)
      local body, status = temp.read(dir .. "/out"):match "^(.*)\n(%d%d%d)%s*$"
      return tonumber(status or 0), ((body or temp.read(dir .. "/out")):gsub("\n$", ""))
    end,
    abort = function()
      temp.run("kill " .. temp.read(dir .. "/pid"))
      wait "the end of curl"
    end,
  }
end

--- The process id of a worker that serves, or nil.
function Nginx:worker()
  local status, body = self:get("/-/pid", { time = 5 })
  return status == 200 and body or nil
end

--- Process ids of the workers, those that are leaving too.
---@return string[]
function Nginx:workers()
  local pids = {}
  for pid in temp.run("cat /proc/" .. self.pid .. "/task/*/children"):gmatch "%d+" do pids[#pids + 1] = pid end
  return pids
end

--- Sends a signal to the master.
function Nginx:signal(name) temp.run(("kill -%s %s"):format(name, self.pid)) end

--- Loads the configuration anew and waits until new workers serve.
function Nginx:reload()
  local old = {}
  for _, pid in ipairs(self:workers()) do old[pid] = true end
  self:signal "HUP"
  self:wait(function()
    local pid = self:worker()
    return pid ~= nil and not old[pid]
  end, "new workers")
end

--- What each piece of code raises, as text; at its own line.
---@param cases table<string, string> code -> part of the message
function Nginx:raises(cases)
  for code, message in pairs(cases) do
    local text = self:run(("local ok, problem = pcall(function() return %s end) say(ok, problem)"):format(code))
    assert(text:find "^false spec:1: " and text:find(message, 1, true), ("%s: expected %s, got %s"):format(code, message, text))
  end
end

local QUIET = { notice = true, info = true, debug = true }

--- Lines of the log at warn and above, without those that match a pattern.
---@param allowed string|nil
---@return string[]
function Nginx:errors(allowed)
  local found = {}
  for line in (temp.read(self.dir .. "/error.log") or ""):gmatch "[^\n]+" do
    local level = line:match "^[%d/]+ [%d:]+ %[(%a+)%]"
    if level and not QUIET[level] and not (allowed and line:find(allowed)) then found[#found + 1] = line end
  end
  return found
end

--- All of the log.
function Nginx:log() return temp.read(self.dir .. "/error.log") or "" end

--- Stops it and waits until it is gone.
---@param signal string|nil QUIT: gracefully; default TERM
function Nginx:stop(signal)
  if not running[self] then return end
  running[self] = nil
  self:signal(signal or "TERM")
  local _, gone = temp.run(("n=0; while kill -0 %s; do [ $n -lt 2400 ] || exit 1; n=$((n+1)); sleep 0.05; done"):format(self.pid))
  if gone ~= 0 then
    temp.run("kill -KILL " .. self.pid)
    error("nginx did not stop", 2)
  end
end

--- Stops those that a failed case left running.
function M.stop_all()
  for web in pairs(running) do web:stop() end
end

return M
