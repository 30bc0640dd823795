-- Tests lua/crdbcloud/nginx/shared_sink.lua.

local account = require "spec.support.account"
local clusters = require "crdbcloud.cluster"
local clouds = require "crdbcloud.cloud"
local nginx = require "spec.support.servers.nginx"
local sandbox = require "spec.support.sandbox"
local temp = require "spec.support.temp"

local s, web, home

local function start(options)
  options = options or {}
  home = temp.dir()
  options.http = "lua_shared_dict creds 1m;" .. (options.http or "")
  options.env = { PGPASSFILE = s.pgpassfile }
  options.init = ([[
    crdbcloud = require "crdbcloud.nginx"
    settings = { base_url = %q, ca_file = %q, api_key_file = %q, rate = 0 }
    cloud, id, home = crdbcloud.new(settings), %q, %q
    place = { store = "file:" .. home .. "/store", sql = %q }
    cluster = cloud:cluster(id, place)
    SHOP = { database = "shop", tables = { "orders" }, privileges = { "SELECT" } }
  ]]):format(s.url, s.ca_file, s.keys.admin, s.cluster_id, home, s.sql_url) .. (options.init or "")
  web = nginx.start(options)
end

describe("a cluster in nginx", function()
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

  it("has every method of a script's, but those that are for the library alone", function()
    local own = {
      knows = true, open_store = true, open_sql = true, has_sql = true, sql_account = true, probe_target = true,
      has_store = true, sql_place = true, same_cluster = true, string_params = true,
      once = true, event = true, account = true,
    }
    local here = {
      [clusters.CLASS] = getmetatable(require("crdbcloud.nginx").new { base_url = "https://example.com" }:cluster "x"),
      [clouds.CLASS] = getmetatable(require("crdbcloud.nginx").new { base_url = "https://example.com" }),
    }
    for script, nginx_class in pairs(here) do
      for name, value in pairs(script) do
        if type(value) == "function" and not name:find "^_" and not own[name] then assert.is_function(rawget(nginx_class, name), name) end
      end
    end
  end)

  it("runs the workflows, whose reports and plans are those of a script", function()
    start()
    local out = web:run [[
      say(assert(cluster:create_app_user { name = "webapp", owner = "o", access = SHOP }))
      local plan = assert(cluster:plan_rotation { users = "managed" })
      say(getmetatable(plan) == require("crdbcloud.base.classes").of "run.report", plan.rows[1].user)
      local report = assert(cluster:rotate_passwords { plan = plan })
      say(report.rows[1].result, report.rows[1].epoch, report.run_id == plan.run_id)
      say(assert(cluster:rotate_password { user = "webapp", password = "a-chosen-one-for-once-7" }).rows[1].epoch)
      say(cluster:credential "webapp".password:equals "a-chosen-one-for-once-7", cluster:credential "webapp")
      say(cluster:rollback_password { user = "webapp" } ~= nil, #cluster:history {}.rows, cluster:rotation_status().open)
      say(cluster:access "webapp".admin, assert(cluster:set_access { user = "webapp", access = SHOP }) ~= nil)
      local again, err = cluster:update_sql_user_password("webapp", "behind-its-record-9")
      say(again, err.kind, err.hint)
      say(assert(cluster:remove_app_user { user = "webapp" }).rows[1].result)
      local none, why = cluster:credential "webapp"
      say(none, why.kind)
      local failed
      failed, why = cluster:rotate_passwords { users = { "nobody" } }
      say(failed, why.kind, why.report.rows[1].user, require("cjson").decode(why:json()).report.operation)
    ]]
    assert.matches("^create_app_user on sandbox%-one, run %x+: 1 done", out)
    assert.matches("\ntrue webapp\ndone 2 true\n3\ntrue crdbcloud.credential webapp@127.0.0.1:%d+ epoch 3\ntrue 4 0\nfalse true\n", out)
    assert.matches("\nnil conflict cluster:rotate_password{ user = NAME } does it", out, 1, true)
    assert.matches("\nnil not_found\nnil not_found nobody rotate_passwords$", out)
    assert.same({}, web:errors())
  end)

  it("writes a shared dictionary as its sink, also with many threads asked for", function()
    start()
    local out = web:run [[
      local sunk = cloud:cluster(id, { store = place.store, sql = place.sql, sinks = "shared:creds" })
      for i = 1, 3 do
        assert(sunk:create_app_user { name = "user_" .. i, owner = "o", access = SHOP })
      end
      local report = assert(sunk:rotate_passwords { users = "managed", parallel = 4 })
      for _, text in ipairs(report.warnings) do
        if text:find "one by one" or text:find "shared" then say(text) end
      end
      for i = 1, 3 do
        local kept, read = sunk:credential("user_" .. i), crdbcloud.credential("creds", "user_" .. i)
        say(read, read.password:equals(kept.password), #read.candidates == #kept.candidates, read.pool_name == kept.pool_name)
      end
      local _, err = cloud:cluster(id, { store = place.store, sql = place.sql }):rotate_passwords { users = { "user_1" }, sinks = "shared:nope" }
      say(err.kind, err.outcome, err)
    ]]
    for i = 1, 3 do
      assert.matches(("crdbcloud.credential user_%d@127.0.0.1:%%d+ epoch 2 true true true"):format(i), out)
    end
    assert.matches("only nginx's own threads see its shared dictionaries", out, 1, true)
    assert.matches("nginx has no shared dictionary nope", out, 1, true)
    assert.same({}, web:errors())
  end)

  it("runs hooks and programs of sinks, whose exit status nginx does not take", function()
    start()
    local out = web:run [[
      local sunk = cloud:cluster(id, { store = place.store, sql = place.sql,
        sinks = { { "command", command = { "sh", "-c", "cat >" .. home .. "/published" } } } })
      assert(sunk:create_app_user { name = "hooked", owner = "o", access = SHOP })
      for i = 1, 15 do
        local report, err = sunk:rotate_passwords { users = { "hooked" }, before = { "/bin/true" }, after = { "/bin/true" } }
        if not report then say(err) end
      end
      say((select(2, sunk:rotate_passwords { users = { "hooked" }, after = { "/bin/false" } })))
      say(sunk:credential "hooked".epoch)
    ]]
    assert.matches("^after: the after command `/bin/false` ended with 1 %(hook, applied%)[^\n]*\n17$", out)
    local password = web:run "say(cluster:credential 'hooked'.password:reveal())"
    assert.matches(password, temp.read(home .. "/published"), 1, true)
    assert.same({}, web:errors())
  end)

  it("says outside nginx that a shared dictionary is nginx's", function()
    local scene = require("spec.support.scene").open { cluster = { sinks = "shared:creds" } }
    local _, err = scene.cluster:create_app_user { name = "webapp", owner = "o", access = { database = "shop", preset = "readonly" } }
    assert.same({ "sink", "not_sent" }, { err.kind, err.outcome })
    assert.matches("shared dictionaries exist in nginx only, in its workers and their threads", tostring(err), 1, true)
    scene:close()
    assert.equal(0, #account.sent(s, "create_sql_user"))
  end)

  it("connects in the event loop with what a thread has read", function()
    start()
    assert.equal("true current 1 true", web:run [[
      assert(cluster:create_app_user { name = "connecting", owner = "o", access = SHOP })
      local tries, where = 0
      local conn = assert(cluster:connect_with("connecting", function(credential)
        tries, where = tries + 1, ngx.get_phase()
        local tcp = ngx.socket.tcp() -- a cosocket works here
        assert(tcp:connect(credential.host, credential.port))
        tcp:close()
        return { user = credential.user }
      end, { deadline = "2s" }))
      say(conn.user == "connecting", "current", tries, where == "content")
    ]])
    web:raises {
      ["cluster:connect_with('connecting')"] = "expected a function that takes a credential",
      ["cluster:connect_with('connecting', print, { dealine = 1 })"] = 'unknown option "dealine"; did you mean "deadline"?',
    }
  end)

  it("refuses what a thread could not have, when the handle is made", function()
    start()
    web:raises {
      ["cloud:cluster(id, { store = { get = print } })"] = "store cannot be an object: it belongs to one Lua state, "
        .. "and the calls run in threads that have their own; give its URL",
      ["cloud:cluster(id, { store = 'memory:' })"] = "store cannot be in memory",
      ["cloud:cluster(id, { sql = function() end })"] = "sql cannot be a connection or function",
      ["cloud:cluster(id, { sql = { query = print } })"] = "sql cannot be a connection or function",
      ["cloud:cluster(id, { sinks = 'shared' })"] = 'expected "KIND:PATH"',
      ["cloud:cluster(id, { sink = 'json:/x' })"] = 'unknown option "sink"; did you mean "sinks"?',
      ["cloud:cluster(7)"] = "expected the name or id of a cluster, got 7",
      ["cluster.resume {}"] = "cluster:resume: call it with a colon",
      ["cluster.close()"] = "call it with a colon",
      ["cluster:resume({}, 1)"] = "cluster:resume{...} takes one table, got 2 arguments",
      ["cluster:list_sql_users('x')"] = "options must be a table",
      ["cluster:create_sql_user('u')"] = "password is missing",
      ["(function() local c = cloud:cluster(id) c:close() return c:id() end)()"] = "the cluster is closed",
    }
    assert.same({}, s:log())
  end)

  it("is found by its name once, and prints", function()
    start()
    assert.equal("crdbcloud.nginx.cluster sandbox-one " .. s.cluster_id .. " true crdbcloud.nginx.cluster of CRDBCLOUD_CLUSTER", web:run [[
      local named = cloud:cluster "sandbox-one"
      local count = 0
      for _ in named:sql_users() do count = count + 1 end
      for _ in named:sql_users() do end
      say(named, named:id(), count == #assert(named:all_sql_users()), cloud:cluster())
    ]])
    assert.equal(1, #account.sent(s, "list_clusters"))
    assert.matches("not_found", web:run "local ok, err = pcall(function() for _ in cloud:cluster 'nope':sql_users() do end end) say(err)", 1, true)
  end)

  it("rotates clusters of an account together", function()
    start()
    local out = web:run [[
      assert(cluster:create_app_user { name = "together", owner = "o", access = SHOP })
      say(assert(cloud:rotate_passwords { clusters = { "sandbox-one" }, users = "managed", store = place.store }))
      say(assert(cloud:rotation_status { clusters = { "sandbox-one" }, store = place.store }))
    ]]
    assert.matches("sandbox%-one +together +done +2", out)
    assert.matches("together +idle +2", out)
  end)
end)
