-- Tests lua/crdbcloud/nginx/job.lua, lua/crdbcloud/nginx/serve.lua.

local nginx = require "spec.support.servers.nginx"
local sandbox = require "spec.support.sandbox"
local temp = require "spec.support.temp"

local s

-- Code for init_by_lua: the account of the sandbox as `cloud`, its cluster as `cluster`.
local function account(options)
  return ([[
    crdbcloud = require "crdbcloud.nginx"
    settings = { base_url = %q, ca_file = %q, api_key_file = %q, rate = 0, %s }
    cloud = crdbcloud.new(settings)
    cluster = cloud:cluster(%q)
  ]]):format(s.url, s.ca_file, s.keys.admin, options or "", s.cluster_id)
end

local function slow(seconds) s:fault { op = "get_cluster", what = "delay", seconds = seconds, count = "all" } end

-- Requests of the API that have arrived.
local function arrived(web, count)
  web:wait(function() return #s:log() >= count end, ("%d requests"):format(count))
end

local GET = "local c, err = cluster:get_cluster() ngx.print(c and c.name or tostring(err))"

describe("a call in nginx", function()
  setup(function() s = sandbox.shared() end)
  before_each(function() s:clear() end)
  after_each(function()
    nginx.stop_all()
    temp.clean()
  end)

  it("works in rewrite, access, content and timers, and says in other phases what to do", function()
    local function keep(phase) return ("notes:set('%s', tostring(select(2, cluster:get_cluster())))"):format(phase) end
    local web = nginx.start {
      http = "lua_shared_dict notes 100k;",
      init = account() .. "notes = ngx.shared.notes " .. keep "init",
      init_worker = keep "init_worker" .. " ngx.timer.at(0, function() notes:set('timer', cluster:get_cluster().name) end)",
      locations = {
        ["/x"] = {
          rewrite = "ngx.ctx.rewrite = cluster:get_cluster().name",
          access = "ngx.ctx.access = cluster:get_cluster().name",
          content = "ngx.print(ngx.ctx.rewrite, ' ', ngx.ctx.access, ' ', cluster:get_cluster().name)",
          header_filter = keep "header_filter", body_filter = keep "body_filter", log = keep "log",
        },
      },
    }
    assert.equal("sandbox-one sandbox-one sandbox-one", (select(2, web:get "/x")))
    local function note(name) return web:run(("say(notes:get %q)"):format(name)) end
    web:wait(function() return note "timer" == "sandbox-one" end, "the timer")
    for _, phase in ipairs { "init", "init_worker", "header_filter", "body_filter", "log" } do
      assert.matches(("nginx does not allow in %s_by_lua (invalid_argument, not sent); "):format(phase), note(phase), 1, true)
      assert.matches("ngx.timer.at(0, function)", note(phase), 1, true)
    end
    web:stop()
    assert.same({}, web:errors())
  end)

  it("can be made in a light thread and in a coroutine, several at once", function()
    local web = nginx.start { init = account() }
    s:fault { op = "get_cluster", what = "delay", seconds = 2, count = "all" }
    assert.equal("sandbox-one 4 true", web:run [[
      local before, threads, done = ngx.now(), {}, 0
      for i = 1, 4 do
        threads[i] = ngx.thread.spawn(function()
          if cluster:get_cluster() then done = done + 1 end
        end)
      end
      for i = 1, 4 do ngx.thread.wait(threads[i]) end
      ngx.update_time()
      local fast = ngx.now() - before < 6
      say(coroutine.wrap(function() return cluster:get_cluster().name end)(), done, fast)
    ]])
  end)

  it("is not begun where nothing can wait", function()
    local web = nginx.start { init = account() }
    for _, code in ipairs {
      "table.sort({ 2, 1 }, function(a, b) say(cluster:get_cluster()) return a < b end)",
      "string.gsub('x', 'x', function() say(cluster:get_cluster()) end)",
      "package.preload.here = function() say(cluster:get_cluster()) end require 'here'",
    } do
      assert.matches("nil get_cluster: a call has to wait, which nothing can do within require, table.sort or string.gsub (invalid_argument, not sent)",
        web:run(code), 1, true)
    end
    assert.same({}, s:log())
    assert.equal("sandbox-one", web:run "say(cluster:get_cluster().name)")
  end)

  it("waits for its turn, and is busy when that takes too long", function()
    local web = nginx.start { init = account "max_calls = 2, max_wait = '200ms'", locations = { ["/x"] = GET } }
    slow(6)
    local first, second = web:begin "/x", web:begin "/x"
    arrived(web, 2)
    local answer = web:run [[
      local c, err = cluster:get_cluster()
      say(c, err.kind, err.outcome, err.retryable, err.exit, crdbcloud.http_status(err), err)
    ]]
    assert.matches("^nil busy not_sent true 7 503 get_cluster: 2 calls of this worker are under way already", answer)
    assert.equal("sandbox-one", (select(2, first.wait())))
    assert.equal("sandbox-one", (select(2, second.wait())))
    assert.equal(2, #s:log())
    s:clear()
    assert.equal("sandbox-one", (select(2, web:get "/x")))
    assert.same({}, web:errors())
  end)

  it("gives its turn back when the client hangs up or its light thread is killed", function()
    local web = nginx.start {
      http = "lua_check_client_abort on;", init = account "max_calls = 3, max_wait = '5s'", locations = { ["/x"] = GET },
    }
    slow(1)
    local requests = {}
    for i = 1, 6 do requests[i] = web:begin "/x" end -- three of them wait for a turn
    arrived(web, 3)
    for _, request in ipairs(requests) do request.abort() end
    web:run [[
      local thread = ngx.thread.spawn(function() return cluster:get_cluster() end)
      ngx.sleep(0.05)
      ngx.thread.kill(thread)
    ]]
    s:clear()
    for _ = 1, 4 do assert.equal("sandbox-one", (select(2, web:get "/x"))) end
    -- All three turns are there.
    s:clear()
    s:fault { op = "get_cluster", what = "delay", seconds = 0.5, count = "all" }
    for i = 1, 3 do requests[i] = web:begin "/x" end
    arrived(web, 3)
    for i = 1, 3 do assert.equal("sandbox-one", (select(2, requests[i].wait()))) end
    assert.same({}, web:errors())
  end)

  it("goes on whatever becomes of its request, and in subrequests", function()
    local web = nginx.start { init = account "max_calls = 2, max_wait = '20s'", locations = {
      ["/x"] = GET,
      ["/parts"] = "local a, b = ngx.location.capture_multi { { '/x' }, { '/x' } } ngx.print(a.body, ' ', b.body)",
      ["/exec"] = { access = "cluster:get_cluster() return ngx.exec '/x'" },
      ["/exit"] = "ngx.thread.spawn(function() cluster:get_cluster() end) ngx.print 'bye' return ngx.exit(200)",
      ["/eof"] = "ngx.print 'eof' ngx.eof() ngx.log(ngx.NOTICE, 'AFTER ', cluster:get_cluster().name)",
      ["/error"] = "ngx.thread.spawn(function() cluster:get_cluster() end) error 'on purpose'",
    } }
    local expected = { ["/parts"] = "sandbox-one sandbox-one", ["/exec"] = "sandbox-one", ["/exit"] = "bye", ["/eof"] = "eof" }
    for _ = 1, 3 do
      for path, body in pairs(expected) do assert.equal(body, (select(2, web:get(path)))) end
      assert.equal(500, (web:get "/error"))
    end
    for _ = 1, 5 do assert.equal("sandbox-one", (select(2, web:get "/x"))) end
    web:wait(function() return select(2, web:log():gsub("AFTER sandbox%-one", "")) == 3 end, "what follows ngx.eof")
    web:stop "QUIT"
    assert.same({}, web:errors "on purpose")
  end)

  it("shares its turns with all handles of a pool, not with those of another", function()
    local web = nginx.start {
      pool = "thread_pool crdbcloud threads=4; thread_pool other threads=4;",
      init = account "max_calls = 1, max_wait = '100ms'" .. [[
        same = crdbcloud.new { api_key_file = settings.api_key_file, base_url = settings.base_url, ca_file = settings.ca_file,
          max_calls = 1, max_wait = "100ms", rate = 0 }
        settings.thread_pool, settings.max_calls = "other", 2
        other = crdbcloud.new(settings)
        settings.thread_pool, settings.max_calls = "crdbcloud", 5
        _, refused = pcall(function() return crdbcloud.new(settings) end)
      ]],
      locations = { ["/x"] = GET },
    }
    slow(5)
    local request = web:begin "/x"
    arrived(web, 1)
    assert.equal("busy sandbox-one", web:run(("say((select(2, same:get_cluster %q)).kind, other:get_cluster(%q).name)"):format(s.cluster_id, s.cluster_id)))
    request.wait()
    assert.matches("init.lua:10: crdbcloud.new: max_calls = 5, but thread_pool crdbcloud has max_calls = 1 already",
      web:run "say(refused)", 1, true)
  end)

  it("says which line nginx.conf lacks", function()
    local web = nginx.start { pool = "", init = account "max_calls = 7" }
    local answer = web:run [[
      local secret, all = require("crdbcloud.core").secret "password-of-no-user-1", 0
      for i = 1, 10 do -- what was lent is taken back
        local _, err = cluster:create_sql_user("u", secret)
        if i == 10 then say(err.kind, err.outcome, crdbcloud.http_status(err), err) end
      end
      local core, held = require "crdbcloud.core", {}
      repeat
        local ticket = core.lend(secret)
        held[#held + 1] = ticket
      until not ticket
      say(#held)
    ]]
    assert.matches('^invalid_argument not_sent 500 create_sql_user: nginx has no thread pool crdbcloud', answer)
    assert.matches('put "thread_pool crdbcloud threads=7;" into the main context of nginx.conf', answer, 1, true)
    assert.matches("\n1024$", answer)
    assert.same({}, s:log())
  end)

  it("is busy when nginx has no Lua state, no timer or no thread for it", function()
    local web = nginx.start { http = "lua_worker_thread_vm_pool_size 1;", init = account(), locations = { ["/x"] = GET } }
    slow(4)
    local request = web:begin "/x"
    arrived(web, 1)
    assert.equal("get_cluster: nginx has no Lua state free for another thread (busy, not sent); "
      .. 'put "lua_worker_thread_vm_pool_size 16;" into the http block of nginx.conf, or lower max_calls', (select(2, web:get "/x")))
    assert.equal("sandbox-one", (select(2, request.wait())))
    web:stop()

    web = nginx.start { http = "lua_max_running_timers 1;", init = account "max_calls = 2", locations = { ["/x"] = GET } }
    s:clear()
    slow(3.5)
    request = web:begin "/x"
    arrived(web, 1)
    assert.matches("^get_cluster: nginx runs no more timers at once %(busy, not sent%); raise lua_max_running_timers$", select(2, web:get "/x"))
    assert.equal("sandbox-one", (select(2, request.wait())))
    s:clear()
    for _ = 1, 3 do assert.equal("sandbox-one", (select(2, web:get "/x"))) end -- the turn came back
    web:stop()

    web = nginx.start { init = account() .. [[
      local core = require "crdbcloud.core"
      local lend = core.lend
      function core.lend(secret) -- as after a minute in nginx's queue
        local ticket = lend(secret)
        core.take(ticket):close()
        return ticket
      end
    ]] }
    assert.matches("^create_sql_user: no thread was free within a minute %(busy, not sent%); give the pool more threads",
      web:run "say((select(2, cluster:create_sql_user('u', 'password-of-no-user-1'))))")
  end)

  it("says that a change may have happened when the thread breaks off", function()
    local dir = temp.dir()
    temp.run(("chmod 755 %s; mkdir -p %s/crdbcloud/nginx"):format(dir, dir))
    temp.write(dir .. "/crdbcloud/nginx/job.lua", "return { run = function() error {} end }")
    local web = nginx.start { init = account() .. ("package.path = %q .. package.path"):format(dir .. "/?.lua;") }
    assert.equal("pending unknown 70 false 500", web:run [[
      local _, err = cluster:delete_sql_user("u")
      say(err.kind, err.outcome, err.exit, err.retryable, crdbcloud.http_status(err))
    ]])
    web:stop()
    web = nginx.start { init = account() .. "cloud:cluster() package.path = '/usr/share/lua/5.1/?.lua'" }
    assert.matches("^invalid_argument not_sent delete_sql_user: a thread cannot load crdbcloud: .*lua_package_path", web:run [[
      local _, err = cluster:delete_sql_user("u")
      say(err.kind, err.outcome, err)
    ]])
  end)

  it("says so too when it was made and its result cannot be handed over", function()
    local root = temp.run("pwd"):gsub("%s+$", "")
    local web = nginx.start { init = account() .. ("package.path = %q .. package.path"):format(root .. "/spec/nginx/?.lua;") }
    local words = "busy unknown false 503 secret_without_ticket: the call was made, but its result "
    local code = [[
      local _, err = cluster:in_thread("echo_job", "%s")
      say(err.kind, err.outcome, err.retryable, crdbcloud.http_status(err), err)
    ]]
    assert.matches(words .. "cannot be handed over: 1024 secrets wait", web:run(code:format "secret_without_ticket"), 1, true)
    web:stop()
    web = nginx.start { init = account() .. ("package.path = %q .. package.path"):format(root .. "/spec/nginx/?.lua;") }
    assert.matches(words:gsub("secret_.*", "") .. "echo: the call was made, but its result came too late: ", web:run [[
      local core = require "crdbcloud.core"
      local take = core.take
      function core.take(ticket) -- as a worker that was stopped for a minute
        take(ticket):close()
        return take(ticket)
      end
      local _, err = cluster:in_thread("echo_job", "echo", core.secret "x")
      say(err.kind, err.outcome, err.retryable, crdbcloud.http_status(err), err)
      core.take = take
    ]], 1, true)
  end)

  it("knows the stream subsystem, which has no threads", function()
    local web = nginx.start { init = account() }
    assert.equal("not_sent get_cluster: nginx's stream subsystem has no threads for Lua (invalid_argument, not sent); "
      .. "make the call in a server of the http block", web:run [[
      local config, thread = ngx.config, ngx.run_worker_thread
      ngx.config, ngx.run_worker_thread = { subsystem = "stream" }, nil -- as it is there
      local _, err = cluster:get_cluster()
      ngx.config, ngx.run_worker_thread = config, thread
      say(err.outcome, err)
    ]])
  end)

  it("ends and is answered when nginx reloads or quits, in requests and timers, with and without somebody who waits", function()
    local options = {
      http = "lua_shared_dict notes 100k;", init = account(),
      locations = {
        ["/x"] = GET,
        ["/timer"] = "ngx.timer.at(0, function() ngx.log(ngx.NOTICE, 'TIMER ', cluster:get_cluster().name) end)",
      },
    }
    local web = nginx.start(options)
    slow(1)
    local request = web:begin "/x"
    web:get "/timer"
    arrived(web, 2)
    web:reload()
    local status, body = request.wait()
    assert.same({ 200, "sandbox-one" }, { status, body })
    web:wait(function() return web:log():find("TIMER sandbox-one", 1, true) ~= nil end, "the timer")
    web:wait(function() return #web:workers() == 1 end, "the end of the old worker")
    s:clear()
    slow(1)
    request = web:begin "/x"
    arrived(web, 1)
    web:signal "QUIT"
    status, body = request.wait()
    assert.same({ 200, "sandbox-one" }, { status, body })
    web:stop()
    assert.same({}, web:errors())
  end)

  it("takes a key given before the fork as text, and refuses a secret of that time", function()
    local key = temp.read(s.keys.admin):gsub("%s+$", "")
    local web = nginx.start { init = account() .. ([[
      settings.api_key_file, settings.api_key = nil, %q
      text = crdbcloud.new(settings):cluster "sandbox-one"
      settings.api_key = crdbcloud.secret(settings.api_key)
      secret = crdbcloud.new(settings):cluster "sandbox-one"
      password = crdbcloud.password.generate()
    ]]):format(key), init_worker = "_, refused = pcall(function() return crdbcloud.new(settings) end)", workers = 2 }
    assert.equal("sandbox-one", web:run "say(text:get_cluster().name)")
    for _, call in ipairs { "secret:get_cluster()", "text:create_sql_user('u', password)" } do
      assert.matches("^invalid_argument not_sent [%w_]+: a secret of this call cannot be used: .*init_worker_by_lua",
        web:run(("local _, err = %s say(err.kind, err.outcome, err)"):format(call)))
    end
    assert.matches("init_worker.lua:1: crdbcloud.new: a secret of this call cannot be used: ", web:run "say(refused)")
    assert.is_nil(web:log():find(key, 1, true))
    assert.same({}, web:errors())
  end)

  it("leaves no secret behind when its result has nobody to go to", function()
    local store = temp.dir() .. "/store"
    local web = nginx.start {
      http = "lua_check_client_abort on;",
      init = account() .. ("kept = cloud:cluster(%q, { store = 'file:%s' })"):format(s.cluster_id, store),
      env = { PGPASSFILE = s.pgpassfile },
      locations = { ["/x"] = "ngx.print(tostring(kept:credential 'webapp'))" },
    }
    assert.equal("true", web:run [[say(kept:credential "app_user_001" == nil)]])
    -- Other specs have changed the password that it had at the start.
    s:psql "ALTER ROLE app_user_001 PASSWORD 'nginx-Account-4711'"
    web:run(("assert(cloud:cluster(%q, { store = 'file:%s', sql = %q }):import_credential { user = 'app_user_001', password = %q })")
      :format(s.cluster_id, store, s.sql_url, "nginx-Account-4711"))
    assert.equal("1024", web:run [[
      local thread = ngx.thread.spawn(function() return kept:credential "app_user_001" end)
      ngx.thread.kill(thread) -- it has begun
      local credential = kept:credential "app_user_001"
      assert(credential.password and #credential.candidates >= 1)
      local core, held = require "crdbcloud.core", {}
      repeat
        local ticket = core.lend(credential.password)
        held[#held + 1] = ticket
      until not ticket
      say(#held)
    ]])
    assert.is_nil(web:log():find("nginx-Account-4711", 1, true))
  end)
end)
