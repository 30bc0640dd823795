--- Workers, and all of nginx, stopped in the middle of scheduled rotations: the schedule of the worker that is left, or
--- of the next nginx, finishes what was begun; no password is lost, and no epoch has two.

local cjson = require "cjson"
local core = require "crdbcloud.core"
local load = require "spec.nginx_load.load"
local nginx = require "spec.support.servers.nginx"
local record = require "crdbcloud.record"
local scenes = require "spec.support.scene"
local sandbox = require "spec.support.sandbox"
local temp = require "spec.support.temp"

local M = {}

local USERS = 6
local PUT = "update_sql_user_password"
local FAR = 40 -- milliseconds of a request: time to be killed in

--- The ways to go: signals of the worker that rotates, "stop" (nginx -s stop) and "all" (SIGKILL of every process).
M.WAYS = { "KILL", "TERM", "stop", "all" }

local LOCATIONS = {
  ["/status"] = [[ngx.print(require("cjson").encode(assert(crdbcloud.schedule_status "credentials")))]],
  ["/now"] = [[ngx.print(tostring(crdbcloud.schedule_now "credentials"))]],
}

local Crash = {}
Crash.__index = Crash

function Crash:start()
  self.web = nginx.start {
    http = "lua_shared_dict credentials 1m;", workers = 2, shutdown = "60s", locations = LOCATIONS,
    init = load.account(self.sandbox, "", self.scene),
    init_worker = "crdbcloud.schedule { cluster = cluster, dict = 'credentials', every = '1h', max_age = '1d', jitter = 0 }",
  }
  self:ended(nil)
end

function Crash:status() return cjson.decode((select(2, self.web:get "/status"))) end

-- The status once a run has ended that is not the one before.
function Crash:ended(before)
  local found
  self.web:wait(function()
    found = self:status()
    return found.last ~= nil and not found.running and not found.cut and found.asked == 0
      and (not before or found.last.started ~= before.started or found.last.worker ~= before.worker)
  end, "the end of a run")
  return found.last
end

-- As if the time had passed that a change without an answer keeps from the next epoch.
function Crash:rest(users)
  local store = assert(self.scene.cluster:open_store "spec")
  for _, user in ipairs(users) do
    local key = record.key(self.scene.id, user)
    local rec, version = assert(store:get(key))
    rec.sends = {}
    assert(store:put(key, rec, version))
  end
end

local function all_processes(web)
  return web.pid .. " " .. table.concat(web:workers(), " ")
end

-- What nginx is told to say of a death, and what a schedule says that takes over.
local EXPECTED = { "exited on signal 9", "open socket #%d+ left in connection", "%[alert%].*aborting", "was cut; this worker goes on" }

-- Keeps what nginx has written from a byte on, but for what is expected.
function Crash:keep_log(from)
  for line in self.web:log():sub(from + 1):gmatch "[^\n]+" do
    local known = not line:find "%[%l+%]" or line:find "%[notice%]"
    for _, pattern in ipairs(EXPECTED) do known = known or line:find(pattern) ~= nil end
    if not known then table.insert(self.figures.log, line) end
  end
end

-- Starts a rotation of all users and ends it, in the way given, while the nth change is under way.
function Crash:cut(way, nth, form)
  local before = self:ended(nil)
  self.sandbox:clear()
  self.sandbox:set { latency = FAR }
  -- The clock of the runs has whole seconds.
  core.sleep(1.1)
  self.sandbox:fault { op = PUT, what = "delay", seconds = 4, nth = nth, form = form }
  self.web:get "/now"
  self.web:wait(function() return #self.scene:requests(PUT) >= nth end, "the change that is to be cut")
  local status = self:status()
  assert(status.running, "the rotation was over before it could be cut")
  if way == "stop" then
    self.web:stop "TERM"
    self:keep_log(0)
    self:start()
  elseif way == "all" then
    temp.run("kill -KILL " .. all_processes(self.web))
    nginx.stop_all()
    self:keep_log(0)
    self:start()
  else
    local from = #self.web:log()
    temp.run(("kill -%s %d"):format(way, status.worker))
    local last = self:ended(before)
    assert(last.ok, cjson.encode(last))
    self:keep_log(from)
  end
  self.sandbox:set { latency = 0 }
  for _, entry in ipairs(self.scene:requests(PUT)) do
    if entry.password_hash then self.hashes[entry.user .. entry.password_hash] = entry.user end -- else a kill cut its body
  end
end

local function judge(self, users)
  local figures = self.figures
  local sent = {}
  for _, user in pairs(self.hashes) do sent[user] = (sent[user] or 0) + 1 end
  for _, user in ipairs(users) do
    local rec = assert(self.scene:record(user))
    if rec.state ~= "idle" then figures.open = figures.open + 1 end
    if self.scene:login(user, rec.current.password) ~= "accepted" then figures.lost = figures.lost + 1 end
    -- The first epoch was made before anything was cut.
    local epochs = rec.epoch - 1
    figures.epochs = figures.epochs + epochs
    if (sent[user] or 0) > epochs then figures.two_passwords = figures.two_passwords + 1 end
  end
end

--- Runs it.
---@param options { rounds: integer, ways: string[]? }
---@return table figures
function M.run(options)
  return load.guarded(function(keep)
    local s = sandbox.start { users = USERS, rate = 0 }
    keep(function() s:stop() end)
    local self = setmetatable({ sandbox = s, scene = scenes.open(nil, s), hashes = {} }, Crash)
    keep(function() self.scene:close() end)
    self.figures = { cuts = {}, rounds = 0, open = 0, lost = 0, two_passwords = 0, epochs = 0, log = {} }
    local users = {}
    for i = 1, USERS do users[i] = ("app_user_%03d"):format(i) end
    assert(self.scene.cluster:rotate_passwords { users = users })
    keep(nginx.stop_all)
    self:start()
    local started = core.monotonic()
    local ways = options.ways or M.WAYS
    for round = 1, options.rounds do
      local way = ways[(round - 1) % #ways + 1]
      self:rest(users)
      self:cut(way, round % USERS + 1, round % 3 == 0 and "before" or nil)
      self.figures.rounds = round
      self.figures.cuts[way] = (self.figures.cuts[way] or 0) + 1
    end
    self.figures.seconds = core.monotonic() - started
    judge(self, users)
    return self.figures
  end)
end

--- What is wrong with the figures; nil when everything holds.
---@return string|nil
function M.problem(figures)
  for _, name in ipairs { "open", "lost", "two_passwords" } do
    if figures[name] > 0 then return ("%s: %d"):format(name, figures[name]) end
  end
  if figures.epochs == 0 then return "nothing was rotated" end
  if #figures.log > 0 then return "nginx wrote: " .. figures.log[1] end
  return nil
end

--- The figures for people.
---@return string
function M.text(figures)
  local parts = {}
  for _, way in ipairs(M.WAYS) do
    if figures.cuts[way] then parts[#parts + 1] = ("%s %d"):format(way, figures.cuts[way]) end
  end
  return ("%d rotations cut in %.0f s (%s): %d epochs, left open %d, passwords lost %d, users with two passwords of one epoch %d"):format(
    figures.rounds, figures.seconds, table.concat(parts, ", "), figures.epochs, figures.open, figures.lost, figures.two_passwords)
end

return M
