-- Names, hosts, ports, databases and ids that an API sends and a store holds. The table of spec/hostile/README.md names these.
-- What a record may be stands in lua/crdbcloud/store/shape.lua,
-- how the work on one user ends in lua/crdbcloud/run/user_row.lua.

local api = require "spec.hostile.api"
local cjson = require "cjson"
local core = require "crdbcloud.core"
local record = require "crdbcloud.record"
local temp = require "spec.support.temp"

local BAD = {
  "..", ".", "a/b", "", "a\0b", "\27[31mred", ("x"):rep(4000), "\255\254", "\194\155m", "\226\128\174nimda", "-rf", "a b", "'; DROP", "../../x",
}

local function by_user(report)
  local rows = {}
  for _, row in ipairs(report.rows) do rows[row.user] = row end
  return rows
end

describe("what an API names wrongly", function()
  local scene
  before_each(function() scene = api.open "app" end)
  after_each(function()
    scene:close()
    temp.clean()
  end)

  it("is the error of that user's row, and the others are changed", function()
    for _, bad in ipairs(BAD) do
      scene:answer("list_sql_users", 200, cjson.encode { users = { { name = bad }, { name = "app" } } })
      local report, err = scene:cluster():rotate_passwords { users = "all", verify = false }
      assert.is_nil(report)
      local rows = by_user(err.report)
      assert.are.equal("done", rows.app.result, bad)
      local row = rows[bad:lower()]
      assert.are.equal("failed", row.result, bad)
      assert.are.equal("protocol", row.kind)
      assert.are.equal("not_sent", row.outcome)
      assert.are.equal(3, err.exit)
      for _, text in ipairs { tostring(err.report), tostring(err), err:json(), err.report:json() } do
        assert.is_nil(text:find("[%z\1-\9\11-\31\127]"), text)
        assert.is_nil(text:find("\194\155", 1, true) or text:find("\226\128\174", 1, true), text)
      end
      assert.is_table(cjson.decode(err:json()))
    end
    assert.are.equal(#BAD, scene:requests "PUT")
    -- A later run against an honest server has nothing to mend.
    scene:honest()
    assert.are.equal("done", (assert(scene:cluster():rotate_passwords { users = "all", verify = false })).rows[2].result)
    assert(scene:cluster():resume())
  end)

  it("as the address of the cluster keeps a publication from being begun", function()
    local out = temp.dir()
    for _, params in ipairs {
      '{"Host":"h","Port":"12.5"}', '{"Host":"h","Port":99999999999}', '{"Host":"a\\u0000b","Port":"1"}', '{"Host":"x/../y"}',
      '{"Host":"h","Port":{}}', '{"Host":["h"],"Port":"1"}', '{"Host":"h","Port":"1","Database":"a\\nb"}', '{"Host":"h","Database":[]}',
      '{"Host":"h","Port":1e999}', ('{"Host":"%s"}'):format(("x"):rep(4000)),
    } do
      scene:answer("get_connection_string", 200, '{"connection_string":"x","params":' .. params .. "}")
      local none, err = scene:cluster():rotate_passwords { users = { "app" }, verify = false, sinks = "json:" .. out .. "/app.json" }
      assert.is_nil(none, params)
      assert.are.equal("not_sent", err.report and err.report.rows[1].outcome or err.outcome, params)
      assert.are.equal(1, err.exit, params)
    end
    assert.are.equal(0, scene:requests "PUT")
    -- Where nothing needs the address, the change is made; an honest answer completes the record.
    assert(scene:cluster():rotate_passwords { users = { "app" }, verify = false })
    scene:honest()
    assert(scene:cluster():rotate_passwords { users = { "app" }, verify = false, sinks = "json:" .. out .. "/app.json" })
    assert.are.equal("127.0.0.1", cjson.decode(temp.read(out .. "/app.json")).host)
  end)

  it("as a cluster is that cluster's error, and the next has its turn", function()
    local clusters = {
      { id = "../../x", name = "one" }, { id = "", name = "two" }, { id = "a\27[2Jb", name = "three" }, { id = api.CLUSTER:upper(), name = "four" },
      { id = api.CLUSTER, name = "prod-eu" },
    }
    scene:answer("list_clusters", 200, cjson.encode { clusters = clusters })
    local report, err = scene:cloud():rotate_passwords { clusters = "all", users = "all", verify = false, store = scene.store_url, sql = false }
    assert.is_nil(report)
    local results = {}
    for _, row in ipairs(err.report.rows) do results[row.cluster] = row.result end
    assert.are.equal("done", results["prod-eu"])
    for _, name in ipairs { "one", "two", "three", "four" } do assert.are.equal("failed", results[name], name) end
    -- By its name alone, too.
    local none, why = scene:cloud():find_cluster "one"
    assert.is_nil(none)
    assert.are.equal("protocol", why.kind)
    -- Another cluster than was asked for is none.
    scene:answer("get_cluster", 200, '{"id":"00000000-0000-4000-8000-000000000000","name":"prod-eu"}')
    none, why = scene:cluster():rotate_passwords { users = "all", verify = false }
    assert.is_nil(none)
    assert.are.equal("protocol", why.kind)
  end)

  it("in a list that is too long ends the call before anything is sent", function()
    local users = {}
    for i = 1, 501 do users[i] = { name = "app" .. i } end
    scene:answer("list_sql_users", 200, cjson.encode { users = users })
    for _, call in ipairs {
      function(cluster) return cluster:all_sql_users() end,
      function(cluster) return cluster:rotate_passwords { users = "all", verify = false } end,
      function(cluster) return cluster:rotate_password { user = "nobody", verify = false } end,
      function(cluster) return cluster:plan_rotation { users = { "nobody" } } end,
    } do
      local none, err = call(scene:cluster({}, { max_items = 500 }))
      assert.is_nil(none)
      assert.are.equal("protocol", err.kind)
      assert.are.equal(1, err.exit)
    end
    assert.are.equal(501, #assert(scene:cluster():all_sql_users()))
    assert.are.equal(0, scene:requests "PUT")
  end)

  it("as a cluster's name leads no sink out of its directory", function()
    local out = temp.dir()
    for _, name in ipairs { "x/../../../traversed/pwn", "..", "/etc", "-o", "a/b", "x..y" } do
      scene:answer("get_cluster", 200, cjson.encode { id = api.CLUSTER, name = name })
      for _, sink in ipairs { "json:" .. out .. "/{cluster}.json", { "dotenv", path = out .. "/{cluster}/app.env" }, "command:/bin/true {cluster}",
        { "kubernetes", name = "{cluster}", path = out .. "/k.json" } } do
        local none, err = scene:cluster():rotate_passwords { users = { "app" }, verify = false, sinks = { sink } }
        assert.is_nil(none)
        assert.are.equal("sink", err.report.rows[1].kind, name)
        assert.are.equal("not_sent", err.report.rows[1].outcome, name)
        assert.truthy(err.report.rows[1].error:find("{cluster} stands for", 1, true))
      end
    end
    -- What is not seen is no name: the cluster is called by its id.
    scene:answer("get_cluster", 200, '{"id":"' .. api.CLUSTER .. '","name":"a\\u202eb"}')
    assert(scene:cluster():rotate_passwords { users = { "app" }, verify = false, sinks = { "json:" .. out .. "/{cluster}.json" } })
    assert.truthy(core.stat(out .. "/" .. api.CLUSTER .. ".json"))
  end)
end)

describe("a store that holds what can be no record", function()
  local scene, store
  local function put(user, change)
    local rec = record.new {
      cluster_id = api.CLUSTER, user = user, state = "idle", epoch = 1, created_at = 1,
      current = { epoch = 1, set_at = 1, password = core.secret "A-Password-Of-A-Spec-1" },
    }
    for name, value in pairs(change or {}) do rec[name] = value end
    assert(store:put(record.key(api.CLUSTER, user), rec))
  end
  before_each(function()
    scene = api.open "app"
    store = assert(require "crdbcloud.store".open(scene.store_url))
  end)
  after_each(function()
    store:close()
    scene:close()
    temp.clean()
  end)

  it("is read, told, and works for all others", function()
    put "app"
    local bad = {
      epoch = { epoch = "7" }, sends = { sends = { "x" } }, sends_at = { sends = { { n = 1, op = "x", epoch = 1, at = "soon" } } },
      sinks = { sinks = "json:/x" }, sink = { sinks = { { path = "/x" } } }, hook = { hook = { command = "rm" } }, pair = { pair = 1 },
      access = { access = { "x" } }, asked = { asked = { sinks = 7 } },
      previous = { previous = { epoch = 0, password = core.secret "A-Password-Of-A-Spec-0" } },
    }
    local count = 0
    for name, change in pairs(bad) do
      put("bad_" .. name, change)
      count = count + 1
    end
    for _, user in ipairs { "...", "-x", "A", "a b" } do -- keys that no user has
      put(user)
      count = count + 1
    end
    local function check(report, err, done)
      report = report or err.report
      assert.truthy(report, tostring(err))
      local failed = 0
      for _, row in ipairs(report.rows) do
        if row.result == "failed" or row.state == "refused" then failed = failed + 1 end
        if row.user == "app" then assert.are.equal(done, row.result) end
      end
      assert.are.equal(count, failed)
    end
    local report, err = scene:cluster():rotate_passwords { users = "managed", verify = false }
    check(report, err, "done")
    report, err = scene:cluster():resume()
    check(report, err, nil)
    check(scene:cluster():rotation_status())
    local history = assert(scene:cluster():history())
    assert.are.equal(count, #history.warnings)
    err = select(2, scene:cluster():rotate_passwords { emergency = "all", verify = false })
    assert.are.equal("incomplete", by_user(err.report).app.result) -- no SQL, so no sessions are ended
  end)

  it("looks an address up again that is none", function()
    for i, address in ipairs { { host = "h", port = 12.5 }, { host = "a\nb", port = 1 }, { host = 7 }, "x", { port = 1 } } do
      local user = "app" .. i
      put(user, { address = address })
      scene:answer("list_sql_users", 200, cjson.encode { users = { { name = user } } })
      scene:answer("update_sql_user_password", 200, cjson.encode { name = user })
      assert(scene:cluster():rotate_passwords { users = { user }, verify = false })
      assert.are.equal("127.0.0.1", (store:get(record.key(api.CLUSTER, user))).address.host)
    end
  end)
end)
