local clients = require "crdbcloud.nginx.clients"
local core = require "crdbcloud.core"
local nginx = require "spec.support.servers.nginx"
local places = require "spec.support.stores.sql_store"
local sandbox = require "spec.support.sandbox"
local temp = require "spec.support.temp"

describe("the accounts that a thread keeps open", function()
  local s
  setup(function() s = sandbox.shared() end)
  before_each(function() s:clear() end)
  after_each(function()
    nginx.stop_all()
    temp.clean()
  end)

  it("are told apart by everything that they are made with, by secrets through a fingerprint", function()
    local specs = {
      {}, { a = 1 }, { a = "1" }, { a = true }, { a = "true" }, { b = 1 }, { a = 1, b = 1 }, { a = { b = 1 } }, { ["a\nstring 1 b"] = 1 },
      { a = core.secret "x" }, { a = "x" }, { a = core.secret "y" }, { 1 }, { "1" }, { [1] = { 1 } }, { { 1 }, 2 }, { a = "" }, { a = {} },
      { a = "secret " .. core.fingerprint "x" },
    }
    local seen = {}
    for i, spec in ipairs(specs) do
      local identity = clients.identity(spec)
      assert.is_nil(seen[identity], ("%d and %s"):format(i, tostring(seen[identity])))
      seen[identity] = i
    end
    assert.equal(clients.identity { b = { 2, 1 }, a = core.secret "x" }, clients.identity { a = core.secret "x", b = { 2, 1 } })
    assert.matches("^" .. ("%x"):rep(64) .. "$", clients.identity { a = core.secret "x" })
  end)

  it("are used again with their connections, and never for another key", function()
    local web = nginx.start { pool = "thread_pool crdbcloud threads=1;", init = ([[
      crdbcloud = require "crdbcloud.nginx"
      settings = { base_url = %q, ca_file = %q, api_key_file = %q, rate = 0, max_calls = 1 }
    ]]):format(s.url, s.ca_file, s.keys.admin) }
    assert.equal("permission_denied", web:run(([[
      local id, a, b = %q, crdbcloud.new(settings), crdbcloud.new(settings)
      for _ = 1, 5 do assert(a:get_cluster(id) and b:get_cluster(id)) end
      settings.api_key_file = %q
      local _, err = crdbcloud.new(settings):create_sql_user(id, "x_user", "correct-horse-battery-9")
      say(err.kind)
    ]]):format(s.cluster_id, s.keys.readonly)))
    local connections, first = {}, s:log()[1].connection
    for i, entry in ipairs(s:log()) do
      connections[entry.connection] = true
      assert.equal(i <= 10, entry.connection == first)
    end
    assert.is_truthy(next(connections, (next(connections))))
    assert.same({}, web:errors())
  end)

  it("begin with a new SQL connection and store session when the server has ended the old ones, also in the middle of work", function()
    local root, place = temp.run("pwd"):gsub("%s+$", ""), places.new()
    local web = nginx.start { pool = "thread_pool crdbcloud threads=1;", env = { PGPASSFILE = s.pgpassfile }, init = ([[
      package.path = %q .. package.path
      crdbcloud = require "crdbcloud.nginx"
      cluster = crdbcloud.new { base_url = %q, ca_file = %q, api_key_file = %q, rate = 0, max_calls = 1 }:cluster(%q, {
        store = %q, plaintext = true, sql = %q })
    ]]):format(root .. "/spec/nginx/?.lua;", s.url, s.ca_file, s.keys.admin, s.cluster_id, place:url(), s.sql_url) }
    web:run [[
      assert(cluster:create_app_user { name = "webapp", owner = "o", access = { database = "shop", tables = "*", privileges = { "SELECT" } } })
    ]]
    s:clear()
    local STATE = "say(cluster:access('webapp').admin, cluster:credential('webapp').epoch)"
    assert.equal("false 1", web:run(STATE))
    s:psql "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = 'sandbox_admin'"
    assert.equal("false 1", web:run(STATE))
    assert.equal("57P01 false 1", web:run([[
      local err = cluster:in_thread("echo_job", "lose_sql")
      local said = say
      local function say(...) said(err.sqlstate, ...) end
    ]] .. STATE))
    s:psql "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = 'sandbox_admin'"
    assert.equal("2", web:run "say(assert(cluster:rotate_password { user = 'webapp' }).rows[1].epoch)")
    local sent = 0
    for _, entry in ipairs(s:log()) do sent = sent + (entry.op == "update_sql_user_password" and 1 or 0) end
    assert.equal(1, sent)
    assert.same({}, web:errors())
    web:stop()
    place:close()
    s:reset()
  end)

  it("are bounded, and closed when they were idle", function()
    local root = temp.run("pwd"):gsub("%s+$", "")
    local web = nginx.start { pool = "thread_pool crdbcloud threads=1;", init = ([[
      package.path = %q .. package.path
      crdbcloud = require "crdbcloud.nginx"
      function account(i)
        return crdbcloud.new { base_url = %q, ca_file = %q, api_key_file = %q, rate = 0, max_calls = 1, username = "u" .. i }
      end
      function count(...) return account(1):cluster(%q):in_thread("echo_job", "count", ...) end
    ]]):format(root .. "/spec/nginx/?.lua;", s.url, s.ca_file, s.keys.admin, s.cluster_id) }
    assert.equal("8 1\n8 8", web:run(([[
      for i = 20, 1, -1 do assert(account(i):get_cluster(%q)) end
      say(count())
      for i = 1, 20 do assert(account(1):cluster(%q, { store = "file:%s/" .. i }):get_cluster()) end
      say(count())
    ]]):format(s.cluster_id, s.cluster_id, temp.dir())))
    local before = tonumber((temp.run(("ls /proc/%s/fd | wc -l"):format(web:worker())):match "%d+"))
    web:run "count(-1)"
    assert.equal("1 1", web:run "say(count())")
    local after = tonumber((temp.run(("ls /proc/%s/fd | wc -l"):format(web:worker())):match "%d+"))
    assert.is_true(after <= before - 7, ("%d, then %d descriptors"):format(before, after))
  end)
end)
