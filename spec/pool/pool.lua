--- The pool test: programs that keep opening new connections while the passwords they use are rotated, by processes of
--- which some are killed in the middle of a request and finished by `resume`.
--
-- Three kinds of programs must never fail: with connect_with and the store, for a plain user and for a pair; and with
-- nothing but the json sink of a pair. A fourth is the control: it reads only the json sink of the plain user, which
-- holds a dead password from the change until it is written. It must fail, or the test proves nothing.

local core = require "crdbcloud.core"
local crash = require "spec.support.crash.sweep"
local record = require "crdbcloud.record"
local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

local M = {}

local ACCESS = { database = "shop", tables = { "orders" }, privileges = { "SELECT" } }
local PUT = "update_sql_user_password"
local WAIT = 60 -- seconds for the slowest program's next connection
local LUA = rawget(_G, "jit") and "luajit" or "lua5.4"

-- How the process of a turn ends: on its own, killed when the change is made, killed when half of the request is out.
local ENDS = { "whole", "after", "half" }

local Pool = {}
Pool.__index = Pool

-- Groups in the order of the report; `user` is filled in.
local function groups()
  return {
    { name = "plain user, connect_with on the store", how = "connect_with", whose = "plain", count = 2 },
    { name = "pair, json sink only", how = "plain", whose = "pair", sink = true, count = 2 },
    { name = "pair, connect_with on the store", how = "connect_with", whose = "pair", count = 1 },
    { name = "control: plain user, json sink only", how = "plain", whose = "plain", sink = true, count = 1, control = true },
  }
end

local function start_client(self, group, n)
  local log = ("%s/client_%d"):format(self.dir, n)
  local words = {
    "spec/pool/client.lua", log, self.stop, ("%d"):format(core.pid()), group.how,
    group.sink and "json:" .. self.files[group.whose] or self.scene.store_url, self.users[group.whose], self.scene.sandbox.ca_file,
  }
  for i, word in ipairs(words) do words[i] = temp.quote(word) end
  local cpath = package.cpath:gsub("/build/[^/;]+/(5%.%d/)", "/build/%1")
  temp.run(("LUA_PATH=%s LUA_CPATH=%s %s %s </dev/null >%s.out 2>&1 &"):format(temp.quote(package.path), temp.quote(cpath), LUA,
    table.concat(words, " "), log))
  return { group = group, log = log }
end

-- What a program has written so far.
local function read(client)
  local found = { opened = 0, failed = 0, ended = false }
  for line in (temp.read(client.log) or ""):gmatch "[^\n]+\n" do
    if line:find "^ok " then
      found.opened = found.opened + 1
    elseif line:find "^failed " then
      found.failed = found.failed + 1
      found.first = found.first or line:sub(8, -2)
    else
      found.ended = true
    end
  end
  return found
end

-- Waits until `done(found)` is true of every program.
local function wait_for(self, what, done)
  local give_up = core.monotonic() + WAIT
  for _, client in ipairs(self.clients) do
    while not done(client, read(client)) do
      if core.monotonic() > give_up then
        error(("%s: a program did not come so far: %s"):format(what, temp.read(client.log .. ".out") or ""))
      end
      core.sleep(0.02)
    end
  end
end

-- Every program opens two more connections from here: whatever it had read before is used up.
local function more(self)
  for _, client in ipairs(self.clients) do
    local now = read(client)
    client.mark = now.opened + now.failed
  end
  wait_for(self, "two more connections", function(client, found) return found.opened + found.failed >= client.mark + 2 end)
end

-- As if the time that a plan keeps between two rotations had passed.
local function rest(self)
  local store = assert(self.scene.cluster:open_store "pool")
  for _, user in ipairs { self.users.plain, self.users.pair, self.users.pair .. "_b" } do
    local key = record.key(self.scene.id, user)
    local rec, version = store:get(key)
    if rec then
      rec.sends = {}
      if rec.pair then rec.pair.switched_at = rec.pair.switched_at and rec.pair.switched_at - 90000 end
      assert(store:put(key, rec, version))
    end
  end
end

local function checked(run, what)
  assert(run.code == 0, ("%s ended with %d:\n%s"):format(what, run.code, run.out))
end

local function applied(self)
  local n = 0
  for _, entry in ipairs(self.scene:requests(PUT)) do n = n + (entry.applied and 1 or 0) end
  return n
end

-- One rotation of one user, finished by resume when it was killed.
local function turn(self, user, how)
  local job = { calls = { { "rotate_password", { user = user } } } }
  local before = applied(self)
  local run
  if how == "after" then
    -- From the change to the kill its answer is held back: the control has a dead password.
    self.scene.sandbox:fault { op = PUT, what = "delay", seconds = 20 }
    run = crash.run_until(self.scene, job, function() return applied(self) > before end)
  else
    run = crash.run(self.scene, job, how == "half" and { mark = "send", only = "send", at = 1, how = how } or nil)
  end
  self.figures.rotations = self.figures.rotations + 1
  if how == "whole" then
    checked(run, "the rotation")
  else
    assert(run.killed, "the rotation was not killed: " .. run.out)
    self.figures.kills = self.figures.kills + 1
    more(self)
    checked(crash.run(self.scene, { calls = { { "resume" } } }), "resume")
  end
  more(self)
end

local function setup(options)
  local self = setmetatable({ scene = scene.open(), clients = {}, figures = { rotations = 0, kills = 0 } }, Pool)
  self.dir = temp.dir()
  self.stop = self.dir .. "/stop"
  local suffix = core.random_hex(4)
  self.users = { plain = "pool_plain_" .. suffix, pair = "pool_pair_" .. suffix }
  self.files = { plain = self.dir .. "/plain.json", pair = self.dir .. "/pair.json" }
  for whose, user in pairs(self.users) do
    assert(self.scene.cluster:create_app_user {
      name = user, access = ACCESS, pair = whose == "pair", sinks = { "json:" .. self.files[whose] },
    })
  end
  for _, group in ipairs(groups()) do
    for _ = 1, group.count * (options.pools or 1) do
      self.clients[#self.clients + 1] = start_client(self, group, #self.clients + 1)
    end
  end
  return self
end

local function collect(self)
  local list = {}
  for _, client in ipairs(self.clients) do
    local group, found = client.group, read(client)
    if not group.opened then
      group.opened, group.failed = 0, 0
      list[#list + 1] = group
    end
    group.opened, group.failed = group.opened + found.opened, group.failed + found.failed
    group.first = group.first or found.first
  end
  return list
end

-- Stops the programs, counts, and takes the users away.
local function close(self)
  temp.write(self.stop, "")
  local ok, why = pcall(wait_for, self, "the end", function(_, found) return found.ended end)
  self.figures.groups = collect(self)
  for _, user in pairs(self.users) do
    local gone, err = self.scene.cluster:remove_app_user(user)
    if not gone and ok then ok, why = false, tostring(err) end
  end
  self.scene:close()
  temp.clean()
  return ok, why
end

--- Runs the test.
---@param options { turns: integer, pools: integer|nil, progress: fun(text: string)|nil } turns of each user; pools: times
---  as many programs
---@return table figures { rotations, kills, seconds, groups = { { name, opened, failed, first, control } … } }
function M.run(options)
  local self = setup(options)
  local started = core.monotonic()
  local ok, why = pcall(function()
    wait_for(self, "the first connection", function(_, found) return found.opened > 0 end)
    for i = 1, options.turns do
      local how = ENDS[(i - 1) % #ENDS + 1]
      for _, whose in ipairs { "plain", "pair" } do
        rest(self)
        turn(self, self.users[whose], how)
      end
      if options.progress then options.progress(("turn %d of %d (%s)"):format(i, options.turns, how)) end
    end
  end)
  self.figures.seconds = core.monotonic() - started
  local closed, close_error = close(self)
  if not ok then error(why, 0) end
  if not closed then error(close_error, 0) end
  return self.figures
end

--- What is wrong with the figures; nil when everything holds.
---@return string|nil
function M.problem(figures)
  for _, group in ipairs(figures.groups) do
    if not group.control and group.failed > 0 then return ("%s: %d failures, the first: %s"):format(group.name, group.failed, group.first) end
    if group.control and group.failed == 0 then return "the control saw no failure, so nothing is proved" end
    if group.opened == 0 then return group.name .. ": nothing was opened" end
  end
  return nil
end

--- The figures for people.
---@return string
function M.text(figures)
  local lines = {
    ("%d rotations in %.0f s, %d of them killed in mid-send and finished by resume"):format(figures.rotations, figures.seconds, figures.kills),
  }
  local opened, failed = 0, 0
  for _, group in ipairs(figures.groups) do
    lines[#lines + 1] = ("  %-42s %6d opened  %4d failures"):format(group.name, group.opened, group.failed)
    if not group.control then opened, failed = opened + group.opened, failed + group.failed end
  end
  lines[#lines + 1] = ("connections opened during the rotations: %d, failures: %d"):format(opened, failed)
  return table.concat(lines, "\n")
end

return M
