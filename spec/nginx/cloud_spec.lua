-- lua/crdbcloud/nginx/cloud.lua and lua/crdbcloud/nginx/arguments.lua.

local nginx = require "spec.support.servers.nginx"
local sandbox = require "spec.support.sandbox"
local temp = require "spec.support.temp"

local s, web

local function start(options)
  options = options or {}
  options.init = ([[
    crdbcloud, core = require "crdbcloud.nginx", require "crdbcloud.core"
    settings = { base_url = %q, ca_file = %q, api_key_file = %q, rate = 0 }
    cloud, id = crdbcloud.new(settings), %q
    cluster, box = cloud:cluster(id), {}
    function raised(fn, ...) return select(2, pcall(fn, ...)) end
  ]]):format(s.url, s.ca_file, s.keys.admin, s.cluster_id) .. (options.init or "")
  web = nginx.start(options)
  return web
end

describe("an account in nginx", function()
  setup(function()
    s = sandbox.shared()
    s:reset()
  end)
  teardown(function() s:reset() end)
  before_each(function() s:clear() end)
  after_each(function()
    nginx.stop_all()
    temp.clean()
  end)

  it("has the calls of a script's, with the same results", function()
    start()
    assert.equal(table.concat({
      "true", "name\napp_user_001\n(1)", "2", "true nil", "9", "9 crdbcloud.list", "app_user_001 sandbox-one", "shop", "verify-full",
      "not_found rejected", "sandbox-one " .. s.cluster_id, "name  made_here", "name  made_here", "name  made_here", "8",
    }, "\n"), web:run [[
      local page = assert(cloud:list_sql_users(id, { limit = 1 }))
      say(page.next_page ~= nil)
      say(page.users)
      local second = assert(cloud:list_sql_users(id, { limit = 2, page = page.next_page }))
      say(#second.users)
      say(second.users[1].name ~= "app_user_001", (select(2, cloud:get_cluster(id))))
      assert(cloud:create_sql_user(id, "made_here", crdbcloud.password.generate()))
      local count = 0
      for _ in cloud:sql_users(id, { limit = 2 }) do count = count + 1 end
      say(count)
      local all = assert(cloud:all_sql_users(id))
      say(#all, getmetatable(all).__name)
      say(all[1], cloud:get_cluster(id).name)
      local found
      for database in cloud:databases(id) do found = database.name == "shop" and "shop" or found end
      say(found)
      say(cloud:get_connection_string(id, { os = "LINUX" }).params and "verify-full")
      local _, err = cloud:get_cluster "99999999-9999-4999-8999-999999999999"
      say(err.kind, err.outcome or "rejected")
      local one = assert(cloud:find_cluster "sandbox-one")
      say(one.name, one.id)
      say(cloud:update_sql_user_password(id, "made_here", "correct-horse-battery-9"))
      say(cloud:update_sql_user_password(id, "made_here", core.secret "correct-horse-battery-8"))
      say(cloud:delete_sql_user(id, "made_here"))
      say(#assert(cloud:request("GET", "/api/v1/clusters/" .. id .. "/sql-users", { query = { ["pagination.limit"] = 50 } }).users))
    ]])
    assert.same({}, web:errors())
  end)

  it("is closed, printed and used with a colon as in a script", function()
    start()
    assert.equal(("crdbcloud.nginx.cloud %s, thread pool crdbcloud, 16 calls at most for 5s"):format(s.url), web:run "say(cloud)")
    web:raises {
      ["cloud.list_clusters()"] = "cloud:list_clusters: call it with a colon, on what crdbcloud.new returned (got nothing in the place of the cloud)",
      ["cloud.sql_users(id)"] = "cloud:sql_users: call it with a colon",
      ["cloud.find_cluster('x')"] = "cloud:find_cluster: call it with a colon",
      ["cloud.request('GET', '/x')"] = "cloud:request: call it with a colon",
      ["cloud.resume {}"] = "cloud:resume: call it with a colon",
      ["cloud.close()"] = "call it with a colon",
      ["(function() local c = crdbcloud.new(settings) c:close() c:close() return c:list_clusters() end)()"] = "the account is closed",
      ["(function() local c = crdbcloud.new(settings) local h = c:cluster(id) c:close() return h:id() end)()"] = "the account is closed",
      ["(function() local c = crdbcloud.new(settings) local each = c:sql_users(id) c:close() return each() end)()"] = "the account is closed",
    }
    assert.matches("(closed)", web:run "local c = crdbcloud.new(settings) c:close() say(c)", 1, true)
    assert.same({}, s:log())
  end)

  it("raises for misuse at the caller's line, before a thread is asked", function()
    start()
    web:raises {
      ["cloud:list_sql_users()"] = "cluster_id is missing",
      ["cloud:list_sql_users(id, { limt = 1 })"] = 'unknown option "limt"; did you mean "limit"?',
      ["cloud:list_sql_users(id, {}, 1)"] = "takes at most 2 arguments",
      ["cloud:create_sql_user(id, 'u', 12)"] = "password must be a string or a secret",
      ["cloud:create_sql_user(id, 'u', print)"] = "password must be a string or a secret",
      ["cloud:all_sql_users(7)"] = "cluster_id must be a cluster id",
      ["crdbcloud.new { api_kye = 'x' }"] = 'crdbcloud.new: unknown option "api_kye"; did you mean "api_key"?',
      ["crdbcloud.new { api_key = print }"] = "api_key cannot be a function here: the call runs in a thread that has a Lua state of its own; give api_key_file",
      ["crdbcloud.new { on_event = print }"] = "on_event cannot be a function here",
      ["crdbcloud.new { thread_pool = '' }"] = "thread_pool must be a string that is not empty",
      ["crdbcloud.new { thread_pool = 'a b' }"] = 'thread_pool must be the name of a thread_pool of nginx.conf: up to 64 letters, digits, _, - and ., got',
      ["crdbcloud.new { thread_pool = ('n'):rep(65) }"] = "thread_pool must be the name",
      ["crdbcloud.new { max_calls = 0 }"] = "max_calls must be a whole number from 1",
      ["crdbcloud.new { max_wait = 5000 }"] = "max_wait = 5000 is in seconds",
      ["crdbcloud.new { base_url = 'http://example.com' }"] = "base_url",
      ["crdbcloud.new { api_key = 'a', api_jwt = 'b' }"] = "only one of",
      ["crdbcloud.new 'key'"] = "options must be a table",
    }
    assert.equal("invalid_argument not_sent", web:run "local _, err = cloud:get_cluster 'sandbox-one' say(err.kind, err.outcome)")
    assert.equal("invalid_argument not_sent", web:run "local _, err = cloud:create_sql_user(id, 'u', 'short') say(err.kind, err.outcome)")
    assert.same({}, s:log())
  end)

  it("raises at the caller's line what only the thread can see", function()
    start()
    web:raises {
      ["cloud:find_cluster(7)"] = "cloud:find_cluster: name_or_id must be a cluster's name or id, got 7",
      ["cloud:request('FETCH', '/x')"] = "cloud:request: method must be GET, POST, PUT, PATCH or DELETE",
      ["cloud:request('GET', 'x')"] = 'path must begin with "/"',
      ["cloud:request('POST', '/x', { body = { [{}] = 1 } })"] = "body cannot be encoded as JSON",
      ["cloud:rotate_passwords { userz = 1 }"] = 'unknown option "userz"; did you mean "users"?',
    }
    assert.same({}, s:log())
    assert.same({}, web:errors())
  end)

  it("refuses what belongs to one Lua state, with the place and the reason", function()
    start()
    web:raises {
      ["cluster:rotate_passwords { users = print }"] = "cluster:rotate_passwords: users cannot be a function: a function belongs to one Lua state",
      ["cluster:rotate_passwords { users = 'managed', on_progress = print }"] = "on_progress cannot be a function",
      ["cloud:cluster('prod', { sql = { host = 'h', on_notice = print } }):resume()"] = "cluster:resume: sql.on_notice cannot be a function",
      ["cloud:rotate_passwords { clusters = 'all', sql = print }"] = "sql cannot be a function",
      ["cluster:rotate_passwords { users = { 'a', { coroutine.create(function() end) } } }"] = "users[2][1] cannot be a thread",
      ["cluster:rotate_passwords { users = io.stdout }"] = "users cannot be a userdata",
      ["cluster:rotate_passwords { users = { [1] = 5LL } }"] = "users[1] cannot be a cdata: it is C data of LuaJIT",
      ["cluster:rotate_passwords { plan = setmetatable({}, { __name = 'mine' }) }"] = "plan cannot be mine: an object",
      ["cluster:credential(print)"] = "cluster:credential: argument 1 cannot be a function",
    }
    assert.same({}, s:log())
  end)

  it("takes values of every shape: cycles, depth and bytes arrive", function()
    start { init = "package.path = '" .. temp.run("pwd"):gsub("%s+$", "") .. "/spec/nginx/?.lua;' .. package.path" }
    assert.equal("true true 3000 \0x\255 7 nil 7", web:run [[
      local loop = { bytes = "\0x\255" }
      loop.self = loop
      local deep = {}
      for i = 1, 3000 do deep = { below = deep } end
      local back, down, bytes = cluster:in_thread("echo_job", "echo", loop, deep, loop.bytes)
      local depth = 0
      while down.below do down, depth = down.below, depth + 1 end
      local n, a, b = (function(...) return select("#", ...), ... end)(cluster:in_thread("echo_job", "echo", nil, 7, nil))
      say(back.self == back, back.bytes == bytes, depth, bytes, 4 + n, a, b)
    ]])
  end)

  it("gives what a function in the thread returned or raised", function()
    start { init = "package.path = '" .. temp.run("pwd"):gsub("%s+$", "") .. "/spec/nginx/?.lua;' .. package.path" }
    web:raises { ["cluster:in_thread('echo_job', 'raise', 'told so')"] = "echo_job.lua:7: told so" }
    assert.equal("true busy true", web:run [[
      local ok, err = pcall(cluster.in_thread, cluster, "echo_job", "throw", "busy")
      say(not ok, err.kind, crdbcloud.errors.is(err))
    ]])
    assert.equal("nil conflict", web:run "local a, err = cluster:in_thread('echo_job', 'refuse', 'conflict') say(a, err.kind)")
    web:raises {
      ["cluster:in_thread('no_such_job', 'run')"] = "module 'no_such_job' not found",
      ["cluster:in_thread('echo_job', 'nothing')"] = "echo_job has no function nothing",
    }
    assert.same({}, web:errors())
  end)

  it("sends no password as text: neither the message nor a log has it", function()
    start {
      level = "debug", http = "lua_shared_dict notes 1m;",
      init = [[
        local run = ngx.run_worker_thread
        function ngx.run_worker_thread(pool, module, fn, message)
          ngx.shared.notes:set("message", require("cjson").encode(message.tables))
          return run(pool, module, fn, message)
        end
      ]],
    }
    local function crossed(code)
      web:run(code)
      local message = web:run "say(ngx.shared.notes:get 'message')"
      assert.is_nil(message:find("hunter", 1, true), message)
      assert.is_nil(message:find("CCDB1_", 1, true))
    end
    crossed "cloud:create_sql_user(id, 'some_user', 'a-hunter-walks-2-far')"
    crossed "cloud:update_sql_user_password(id, 'some_user', core.secret 'a-hunter-walks-3-far')"
    crossed(("cloud:cluster(id, { store = 'file:%s' }):import_credential { user = 'some_user', password = 'a-hunter-walks-4-far' }")
      :format(temp.dir()))
    crossed "cloud:request('POST', '/api/v1/clusters/' .. id .. '/sql-users', { body = { name = 'another', password = 'a-hunter-walks-5-far' } })"
    crossed "cloud:request('PUT', '/api/v1/x', { body = '{\"password\":\"a-hunter-walks-6-far\"}' })"
    crossed "cloud:cluster(id, { sql = 'postgresql://u:hunter@127.0.0.1:1/x', store = 'postgresql://u:hunter@127.0.0.1:1/x' }):history {}"
    crossed "cloud:cluster(id, { sql = { host = '127.0.0.1', port = 1, user = 'u', password = 'hunter' } }):access 'u'"
    crossed "crdbcloud.new { base_url = settings.base_url, proxy = 'http://u:hunter@127.0.0.1:1' }:list_clusters()"
    crossed(("crdbcloud.new { base_url = settings.base_url, api_key = %q }:list_clusters()"):format((temp.read(s.keys.admin):gsub("%s+$", ""))))
    assert.is_nil(web:log():find("hunter", 1, true))
  end)

  it("has no secret in the handle for whoever prints it field by field, before a call and after", function()
    start()
    assert.equal("nothing 0\nnothing 1", web:run [[
      local one = crdbcloud.new { base_url = "https://127.0.0.1:1", api_key = "CCDB1_hunter_hunter", proxy = "http://u:hunter@127.0.0.1:1" }
      local two = one:cluster(id, { store = "postgresql://u:hunter@127.0.0.1:1/x", sql = { host = "127.0.0.1", user = "u", password = "hunter" } })
      local function walk(value, seen)
        if type(value) == "string" and value:find "hunter" then return true end
        if type(value) ~= "table" or seen[value] then return false end
        seen[value] = true
        for k, v in pairs(value) do
          if walk(k, seen) or walk(v, seen) then return true end
        end
        return walk(getmetatable(value), seen)
      end
      for i = 0, 1 do
        say(walk({ one, two }, {}) and "a secret" or "nothing", i)
        local none, err = two:id()
        assert(none == id, err)
        assert(not two:access "u")
      end
    ]])
  end)

  it("reads a key file again after a 401, in each thread", function()
    local file = temp.dir() .. "/key"
    local function put(name)
      temp.write(file, temp.read(s.keys[name]))
      temp.run("chmod 600 " .. file)
    end
    put "other"
    start()
    web:run(("settings.api_key_file = %q box.keyed = crdbcloud.new(settings) say(assert(box.keyed:get_cluster(id)).name)"):format(file))
    put "invalid"
    assert.equal("sandbox-one", web:run "say(box.keyed:get_cluster(id).name)") -- the thread still has the good one
    put "admin"
    assert.equal("sandbox-one", web:run "say(box.keyed:get_cluster(id).name)")
    put "invalid"
    web:run(("settings.api_key_file = %q settings.username = 'x' box.keyed = crdbcloud.new(settings)"):format(file))
    local answer = web:run "local _, err = box.keyed:get_cluster(id) say(err.kind, err.status, crdbcloud.http_status(err), err)"
    assert.matches("^unauthenticated 401 502 ", answer)
    put "admin"
    assert.equal("sandbox-one", web:run "say(box.keyed:get_cluster(id).name)")
  end)

  it("takes key, store and cluster from an environment that nginx passes on, and says when it does not", function()
    local variables = { COCKROACH_API_KEY_FILE = s.keys.admin, COCKROACH_SERVER = s.url, CRDBCLOUD_CA_FILE = s.ca_file, CRDBCLOUD_CLUSTER = "sandbox-one" }
    start { env = variables }
    assert.equal("sandbox-one", web:run "say(crdbcloud.new():cluster():get_cluster().name)")
    web:stop()
    start { hidden = variables }
    local answer = web:run(("local _, err = crdbcloud.new { base_url = %q }:list_clusters() say(err.kind, err.outcome, err.hint)"):format(s.url))
    assert.matches('^unauthenticated not_sent set COCKROACH_API_KEY_FILE .*nginx passes on only what the main context of nginx.conf names, '
      .. 'such as "env COCKROACH_API_KEY_FILE;"$', answer)
    assert.matches('"env CRDBCLOUD_CLUSTER;"', web:run "local _, err = cloud:cluster():get_cluster() say(err.hint)", 1, true)
  end)
end)
