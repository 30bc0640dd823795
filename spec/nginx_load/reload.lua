--- Reloads of nginx while calls are under way: each call is answered, by the worker that began it or by the next, none
--- reaches the service twice, and no password is lost.

local core = require "crdbcloud.core"
local load = require "spec.nginx_load.load"
local nginx = require "spec.support.servers.nginx"
local scenes = require "spec.support.scene"
local sandbox = require "spec.support.sandbox"

local M = {}

local CONNECTIONS = 8
local SLOW = 200 -- milliseconds of each request of the API

-- Every other call is a rotation, through the record; the others change the password of a user without one.
local CALL = [[
  local user, ok, err = ngx.var.arg_user, nil, nil
  if ngx.var.arg_op == "rotate" then
    ok, err = cluster:rotate_password { user = user }
  else
    ok, err = cluster:update_sql_user_password(user, crdbcloud.password.generate())
  end
  ngx.print(ok and "ok" or tostring(err))
]]

-- Requests of a user's password, and the distinct passwords among them.
local function sent_of(log)
  local of = {}
  for _, entry in ipairs(log) do
    if entry.op == "update_sql_user_password" then
      local found = of[entry.user] or { count = 0, hashes = {}, passwords = 0 }
      found.count = found.count + 1
      if not found.hashes[entry.password_hash] then
        found.hashes[entry.password_hash], found.passwords = true, found.passwords + 1
      end
      of[entry.user] = found
    end
  end
  return of
end

local function judge(figures, scene, users, log)
  local of = sent_of(log)
  for i, user in ipairs(users) do
    local sent = of[user] or { count = 0, passwords = 0 }
    if sent.count > 1 then figures.doubled = figures.doubled + 1 end
    if sent.count == 0 then figures.missing = figures.missing + 1 end
    if i % 2 == 0 then
      local rec = scene:record(user)
      local live = rec and rec.state == "idle" and scene:login(user, rec.current.password) == "accepted"
      if not live then figures.lost = figures.lost + 1 end
    end
  end
end

--- Runs it.
---@param options { calls: integer, reloads: integer }
---@return table figures
function M.run(options)
  return load.guarded(function(keep)
    local s = sandbox.start { users = options.calls, rate = 0 }
    keep(function() s:stop() end)
    local scene = scenes.open(nil, s)
    keep(function() scene:close() end)
    local web = nginx.start {
      http = "lua_shared_dict credentials 1m;", shutdown = "60s", init = load.account(s, "max_calls = 16, max_wait = '60s'", scene),
      locations = { ["/call"] = CALL },
    }
    keep(function() web:stop() end)
    local users, urls = {}, {}
    for i = 1, options.calls do
      users[i] = ("app_user_%03d"):format(i)
      urls[i] = ("/call?op=%s&user=%s"):format(i % 2 == 0 and "rotate" or "change", users[i])
    end
    s:set { latency = SLOW }
    local figures = { calls = options.calls, reloads = 0, doubled = 0, missing = 0, lost = 0, refused = 0, workers = 0 }
    local seen, started = {}, core.monotonic()
    local function look() for _, pid in ipairs(web:workers()) do seen[pid] = true end end
    look()
    -- A new connection for each call: nginx answers what was accepted, and says nothing of connections that idle.
    local loader = load.start { socket = web.socket, paths = urls, connections = CONNECTIONS, fresh = true, seconds = 300 }
    keep(function() loader:kill() end)
    for i = 1, options.reloads do
      -- As far apart as the calls last: the last reload falls among the last calls.
      web:wait(function() return #s:log() >= i * options.calls / (options.reloads + 1) end, "calls under way")
      web:reload()
      figures.reloads = figures.reloads + 1
      look()
    end
    local found = loader:wait()
    figures.seconds = core.monotonic() - started
    s:set { latency = 0 }
    for _ in pairs(seen) do figures.workers = figures.workers + 1 end
    figures.unanswered, figures.first = found.unanswered, found.first
    for _, answer in ipairs(found.answers) do
      if answer.body ~= "ok" then
        figures.refused = figures.refused + 1
        figures.first = figures.first or answer.body
      end
    end
    judge(figures, scene, users, s:log())
    web:wait(function() return #web:workers() == 1 end, "the end of the old workers")
    figures.log = web:errors()
    return figures
  end)
end

--- What is wrong with the figures; nil when everything holds.
---@return string|nil
function M.problem(figures)
  if figures.unanswered + figures.refused > 0 then return "a call was not answered: " .. tostring(figures.first) end
  for _, name in ipairs { "doubled", "missing", "lost" } do
    if figures[name] > 0 then return ("%s: %d"):format(name, figures[name]) end
  end
  if figures.workers <= figures.reloads then return "nginx was not reloaded" end
  if #figures.log > 0 then return "nginx wrote: " .. figures.log[1] end
  return nil
end

--- The figures for people.
---@return string
function M.text(figures)
  return ("%d reloads during %d calls in %.0f s: unanswered %d, failed %d, sent twice %d, never sent %d, passwords lost %d, workers %d"):format(
    figures.reloads, figures.calls, figures.seconds, figures.unanswered, figures.refused, figures.doubled, figures.missing, figures.lost,
    figures.workers)
end

return M
