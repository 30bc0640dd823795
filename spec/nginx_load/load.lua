--- What the parts of the load test share: loaders, the code of nginx's account, what a process holds, figures.

local cjson = require "cjson"
local core = require "crdbcloud.core"
local temp = require "spec.support.temp"

local M = {}

local LUA = rawget(_G, "jit") and "luajit" or "lua5.4"

local Loader = {}
Loader.__index = Loader

--- Starts a loader.
---@param job { socket: string, path: string?, paths: string[]?, connections: integer?, pause: integer?, spread: integer?,
---  fresh: boolean?, seconds: number?, patience: number? } path: sent again and again; paths: each once, in this order, by
---  whichever connection is free; pause: milliseconds between an answer and the next request; spread: milliseconds
---  between the first requests of two connections; fresh: a connection for each request; seconds: sends no more after
---  them (600); patience: waits so long for the last answers (90)
---@return table loader wait(), stop()
function M.start(job)
  local dir = temp.dir()
  local full = { stop = dir .. "/stop", seconds = 600, patience = 90, parent = core.pid() }
  for name, value in pairs(job) do full[name] = value end
  temp.write(dir .. "/job", cjson.encode(full))
  local cpath = package.cpath:gsub("/build/[^/;]+/(5%.%d/)", "/build/%1")
  temp.run(("LUA_PATH=%s LUA_CPATH=%s %s spec/nginx_load/loader.lua %s/job </dev/null >%s/output 2>&1 & echo $! >%s/pid"):format(
    temp.quote(package.path), temp.quote(cpath), LUA, dir, dir, dir))
  local self = setmetatable({ dir = dir, most = full.seconds + full.patience + 10 }, Loader)
  self.pid = temp.read(dir .. "/pid"):match "%d+"
  return self
end

--- Waits for its end.
---@return { sent: integer, unanswered: integer, statuses: table, first: string?, times: number[], answers: table? }
function Loader:wait()
  local give_up = core.monotonic() + self.most
  while true do
    local text = temp.read(self.dir .. "/job.out")
    if text then return cjson.decode(text) end
    local gone = select(2, temp.run("kill -0 " .. self.pid)) ~= 0 and not temp.read(self.dir .. "/job.out")
    if gone or core.monotonic() > give_up then error("the loader: " .. (temp.read(self.dir .. "/output") or ""), 2) end
    core.sleep(0.02)
  end
end

--- Tells it to send no more, and waits.
function Loader:stop()
  temp.write(self.dir .. "/stop", "")
  return self:wait()
end

--- Ends it at once, if it still runs.
function Loader:kill() temp.run("kill -KILL " .. self.pid) end

--- Code for init_by_lua: the account of the sandbox as `cloud`, its cluster as `cluster`, with a store.
---@param s table the sandbox
---@param options string|nil more fields of crdbcloud.new
---@param scene table|nil of spec.support.scene, whose store and SQL connection the cluster has
---@return string
function M.account(s, options, scene)
  local lines = {
    'crdbcloud = require "crdbcloud.nginx"',
    ("cloud = crdbcloud.new { base_url = %q, ca_file = %q, api_key_file = %q, rate = 0, timeout = 10, %s }"):format(
      s.url, s.ca_file, s.keys.admin, options or ""),
    ("cluster = cloud:cluster(%q"):format(s.cluster_id),
  }
  if scene then
    local sql = scene:sql_spec()
    lines[#lines] = lines[#lines] .. (", { store = %q, sinks = { 'shared:credentials' }, sql = { "):format(scene.store_url)
    for _, name in ipairs { "host", "port", "dbname", "user", "sslmode", "sslrootcert" } do
      lines[#lines] = lines[#lines] .. ("%s = %q, "):format(name, tostring(sql[name]))
    end
    lines[#lines] = lines[#lines] .. ("password = %q } }"):format(sql.password:reveal())
  end
  lines[#lines] = lines[#lines] .. ")"
  return table.concat(lines, "\n")
end

--- Milliseconds below which a share of the samples lies.
---@param samples number[] sorted
---@param share number 0 to 1
---@return number
function M.quantile(samples, share)
  return samples[math.max(1, math.ceil(#samples * share))] or 0
end

--- Resident memory of a process, KiB.
---@param pid string
---@return integer
function M.rss(pid) return tonumber((temp.read(("/proc/%s/status"):format(pid)) or ""):match "VmRSS:%s*(%d+)") or 0 end

--- Open descriptors of a process by kind: sockets, files by path.
---@param pid string
---@return integer count
---@return table<string, integer> kinds
function M.descriptors(pid)
  local count, kinds = 0, {}
  for line in temp.run(("for f in /proc/%s/fd/*; do readlink $f; done"):format(pid)):gmatch "[^\n]+" do
    local kind = line:match "^(%a+):%[" or line
    count, kinds[kind] = count + 1, (kinds[kind] or 0) + 1
  end
  return count, kinds
end

--- Runs a function; whatever it started is stopped however it ends.
---@param body fun(keep: fun(stop: fun())) : any
function M.guarded(body)
  local stops = {}
  local ok, result = pcall(body, function(stop) table.insert(stops, 1, stop) end)
  local first
  for _, stop in ipairs(stops) do
    local stopped, why = pcall(stop)
    if not stopped then first = first or why end
  end
  if not ok then error(result, 0) end
  if first then error(first, 0) end
  return result
end

return M
