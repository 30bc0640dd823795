--- Where secrets are when nginx serves: looked for in its logs at their most talkative, in a shared dictionary, and in
--- the core file of a worker that was killed in the middle of calls.
--
-- A core file is all of a process's memory but for what this library has kept out of it. What libcurl, OpenSSL and libpq
-- have copied is in it: the bodies of requests, also of some that are over, and the header with the key. So are Lua
-- strings, and a shared dictionary. A password that nobody put there must be nowhere else in memory; what the registers of
-- a thread hold is beyond a library's reach.

local load = require "spec.nginx_load.load"
local nginx = require "spec.support.servers.nginx"
local sandbox = require "spec.support.sandbox"
local scans = require "spec.support.secrets_scan"
local scenes = require "spec.support.scene"
local temp = require "spec.support.temp"

local M = {}

local PUT = "update_sql_user_password"

local LOCATIONS = {
  ["/rotate"] = [[
    local ok, err = cluster:rotate_password { user = ngx.var.arg_user, sinks = { kept .. ngx.var.arg_user } }
    ngx.print(ok and "ok" or tostring(err))]],
  ["/published"] = "local ok, err = cluster:rotate_password { user = ngx.var.arg_user } ngx.print(ok and 'ok' or tostring(err))",
  ["/list"] = "ngx.print(tostring(assert(cluster:all_sql_users())))",
  ["/credential"] = "ngx.print(tostring(assert(cluster:credential(ngx.var.arg_user))))",
  ["/shared"] = "ngx.print(tostring(assert(crdbcloud.credential('credentials', ngx.var.arg_user))))",
  ["/change"] = "local ok, err = cluster:update_sql_user_password(ngx.var.arg_user, crdbcloud.password.generate()) ngx.print(tostring(ok or err))",
  ["/bad"] = "local ok, err = cloud:cluster('nowhere'):get_cluster() ngx.print(tostring(ok or err), tostring(err:json()))",
  ["/raise"] = "ngx.print(tostring(select(2, pcall(cluster.rotate_password, cluster, { user = 'x', passwrd = 'x' }))))",
  ["/dict"] = [[
    for _, key in ipairs(ngx.shared.credentials:get_keys(0)) do
      ngx.print(key, "\0", tostring(ngx.shared.credentials:get(key)), "\0")
    end]],
}

local function password(scene, user, which)
  local rec = assert(scene:record(user))
  return rec[which].password:reveal()
end

local BODY = '{"password":"' -- before a password in the body of a request

-- How often each secret stands in a text: all in all, and elsewhere than in the body of a request.
local function counted(text, secrets)
  local all, elsewhere = {}, {}
  for name, value in pairs(secrets) do
    local n, others, from = 0, 0, 1
    while true do
      local first, last = text:find(value, from, true)
      if not first then break end
      n, from = n + 1, last + 1
      if text:sub(first - #BODY, first - 1) ~= BODY then others = others + 1 end
    end
    all[name], elsewhere[name] = n, others
  end
  return all, elsewhere
end

-- Where the memory begins in a core file: at the first of its segments. Before it stand the registers of the threads, in
-- which the last bytes that were moved remain.
local function memory_begins(core)
  local function number(at, bytes)
    local n = 0
    for i = bytes, 1, -1 do n = n * 256 + core:byte(at + i) end
    return n
  end
  local headers, first = number(32, 8), #core
  for i = 0, number(56, 2) - 1 do
    local header = headers + i * 56
    if number(header, 4) == 1 then first = math.min(first, number(header + 8, 8)) end -- PT_LOAD
  end
  assert(core:sub(1, 4) == "\127ELF" and first < #core, "no core file")
  return first
end

-- What stands in a dictionary, by key.
local function entries(web)
  local _, body = web:get "/dict"
  local list = {}
  for key, value in body:gmatch "(%Z*)%z(%Z*)%z" do list[key] = value end
  return list
end

local function call(web, path, expected)
  local status, body = web:get(path)
  assert(status == 200 and (not expected or body == expected), path .. ": " .. body)
  return body
end

-- Kills the worker in the middle of calls and reads its core file.
local function dumped(web, s, scene, dir)
  s:fault { op = PUT, user = "app_user_003", what = "delay", seconds = 8 }
  s:fault { op = "list_sql_users", what = "delay", seconds = 8 }
  local requests = { web:begin "/rotate?user=app_user_003", web:begin "/list" }
  local before = #s:log()
  web:wait(function() return #s:log() >= before and #scene:requests(PUT, "app_user_003") == 2 end, "calls under way")
  local pid = web:worker()
  temp.run("kill -ABRT " .. pid)
  web:wait(function() return web:log():find("exited on signal 6", 1, true) ~= nil end, "the end of the worker")
  for _, request in ipairs(requests) do request.wait() end
  return temp.read(dir .. "/core") or temp.read(dir .. "/core." .. pid)
end

--- Runs it.
---@return table figures
function M.run()
  return load.guarded(function(keep)
    local s = sandbox.start { users = 3, rate = 0 }
    keep(function() s:stop() end)
    local scene = scenes.open(nil, s)
    keep(function() scene:close() end)
    local dir, root = temp.dir(), (temp.run "pwd":gsub("%s+$", ""))
    local web = nginx.start {
      main = ("worker_rlimit_core 2000m; working_directory %s;"):format(dir), level = "debug",
      http = "lua_shared_dict credentials 1m;", locations = LOCATIONS, cpath = root .. "/build/5.1/?.so",
      init = load.account(s, "", scene) .. ("\nkept = %q"):format("json:" .. dir .. "/"),
    }
    keep(function() web:stop() end)
    -- One user is published into the dictionary; the others are in a file of their own.
    call(web, "/published?user=app_user_001", "ok")
    call(web, "/rotate?user=app_user_002", "ok")
    call(web, "/rotate?user=app_user_003", "ok")
    local said = {}
    for _, path in ipairs {
      "/list", "/credential?user=app_user_001", "/credential?user=app_user_002", "/shared?user=app_user_001", "/change?user=sso_anna",
      "/bad", "/raise",
    } do said[path] = call(web, path) end
    local secrets = {
      api_key = temp.read(s.keys.admin):gsub("%s+$", ""), sql_admin = scene:sql_spec().password:reveal(),
      published = password(scene, "app_user_001", "current"), unpublished = password(scene, "app_user_002", "current"),
      over = password(scene, "app_user_003", "current"),
    }
    local listed = entries(web)
    local core = dumped(web, s, scene, dir)
    assert(core, "there is no core file: /proc/sys/kernel/core_pattern must be a name without a directory")
    secrets.under_way = password(scene, "app_user_003", "staged")
    local scan = scans.new()
    for name, value in pairs(secrets) do scan:know(name, value) end
    scan:look("error.log", web:log())
    scan:look("access.log", temp.read(web.dir .. "/access.log"))
    for path, text in pairs(said) do scan:look("answer of " .. path, text) end
    local logged = #scan.found
    for key, value in pairs(listed) do
      scan:look("key", key)
      if key:find "^crdbcloud/credential/app_user_001/" then value = value:gsub(secrets.published:gsub("%p", "%%%0"), "") end
      scan:look("entry " .. key, value)
    end
    local asked_for = 0
    for _, value in pairs(listed) do asked_for = asked_for + (counted(value, secrets)).published end
    local first = memory_begins(core)
    local copies, elsewhere = counted(core:sub(first + 1), secrets)
    local _, in_registers = counted(core:sub(1, first), secrets)
    return {
      bytes = scan.looked, found = scan.found, logged = logged, asked_for = asked_for, core = #core, copies = copies,
      elsewhere = elsewhere, registers = in_registers.unpublished + in_registers.over + in_registers.under_way, debug = web:log():find("%[debug%]") ~= nil,
    }
  end)
end

--- What is wrong with the figures; nil when everything holds.
---@return string|nil
function M.problem(figures)
  if #figures.found > 0 then return "secrets: " .. table.concat(figures.found, "; ", 1, math.min(5, #figures.found)) end
  if not figures.debug then return "the log is not as talkative as it was told to be" end
  if figures.asked_for == 0 then return "the dictionary holds nothing, so nothing is proved" end
  -- The key of a call under way is in libcurl's buffers: a core file without it is none of this worker.
  if figures.copies.api_key == 0 or figures.copies.published == 0 then return "the core file is not of this worker" end
  for _, name in ipairs { "unpublished", "over", "under_way" } do
    local n = figures.elsewhere[name]
    if n > 0 then return ("the core file holds a password (%s) %d times elsewhere than in the body of a request"):format(name, n) end
  end
  return nil
end

--- The figures for people.
---@return string
function M.text(figures)
  local c, e = figures.copies, figures.elsewhere
  return table.concat({
    ("secrets in %.1f MB of logs (debug), answers and the dictionary's listing: %d; in the dictionary by a shared: sink: %d"):format(
      figures.bytes / 1e6, #figures.found, figures.asked_for),
    ("  core file of a worker killed during calls, %.0f MB; copies of"):format(figures.core / 1e6),
    ("    passwords of two calls that are over    %d in bodies of requests, %d elsewhere"):format(
      c.unpublished + c.over - e.unpublished - e.over, e.unpublished + e.over),
    ("    a password that is on its way           %d in bodies (libcurl, HTTP/2, OpenSSL), %d elsewhere"):format(
      c.under_way - e.under_way, e.under_way),
    ("    these three in the registers of threads  %d"):format(figures.registers),
    ("    the API key                             %d (libcurl, HTTP/2)"):format(c.api_key),
    ("    the SQL password, text in the config    %d (Lua string, libpq)"):format(c.sql_admin),
    ("    a password with a shared: sink          %d (the dictionary, and Lua strings from it)"):format(c.published),
  }, "\n")
end

return M
