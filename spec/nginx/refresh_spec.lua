-- Tests lua/crdbcloud/nginx/refresh_job.lua.
--
-- A shared dictionary that follows the store.
local cjson = require "cjson"
local command = require "spec.support.command"
local nginx = require "spec.support.servers.nginx"
local sandbox = require "spec.support.sandbox"
local scenes = require "spec.support.scene"
local temp = require "spec.support.temp"

local CALL = "update_sql_user_password"

describe("credentials that a shared dictionary keeps", function()
  local s, scene, web

  setup(function()
    s = sandbox.shared()
    s:reset()
  end)

  before_each(function()
    scene = scenes.open()
    assert(scene.cluster:rotate_passwords { users = { "app_user_001", "app_user_002", "app_user_003" } })
    s:clear()
  end)

  after_each(function()
    s:clear()
    nginx.stop_all()
    temp.clean()
  end)

  local LOCATIONS = {
    ["/status"] = [[ngx.say(require("cjson").encode(assert(crdbcloud.keep_status("crdbcloud"))))]],
    ["/credential"] = [[
      local credential, err = crdbcloud.credential("crdbcloud", ngx.var.arg_user)
      if not credential then return ngx.say(err:json()) end
      local shown = { epoch = credential.epoch, pool_name = credential.pool_name, host = credential.host, candidates = {} }
      for i, one in ipairs(credential.candidates) do
        shown.candidates[i] = { source = one.source, password = one.password:reveal() }
      end
      shown.password = credential.password:reveal()
      ngx.say(require("cjson").encode(shown))]],
  }

  local function start(options, name)
    web = nginx.start {
      http = "lua_shared_dict crdbcloud 1m;", workers = 2, locations = LOCATIONS,
      init = ([[
        crdbcloud = require "crdbcloud.nginx"
        cloud = crdbcloud.new { base_url = %q, ca_file = %q, api_key_file = %q, rate = 0 }
        cluster = cloud:cluster(%q, { store = %q, sql = false })]]):format(s.url, s.ca_file, s.keys.admin, name or s.cluster_id, scene.store_url),
      init_worker = "crdbcloud.keep_credentials { cluster = cluster, dict = 'crdbcloud', every = '500ms'" .. (options or "") .. " }",
    }
  end

  local function ask(path) return cjson.decode((select(2, web:get(path)))) end

  local function credential(user) return ask("/credential?user=" .. user) end

  local function wait_for(user, is_so)
    local found
    web:wait(function()
      found = credential(user)
      return is_so(found)
    end, "the credential of " .. user)
    return found
  end

  local function there(found) return found.password ~= nil end

  it("are there soon after the start, without a request to the API", function()
    start()
    local found = wait_for("app_user_002", there)
    assert.equal(1, found.epoch)
    assert.equal(scene:record("app_user_002").current.password:reveal(), found.password)
    assert.equal(("%s/app_user_002/1"):format(s.cluster_id), found.pool_name)
    assert.equal("127.0.0.1", found.host)
    assert.same({}, s:log())
    local status = ask "/status"
    assert.equal(3, status.users)
    assert.is_nil(status.known)
    assert.is_nil(status.error)
    assert.is_true(os.time() - status.read_at <= 5)
    assert.same({}, web:errors())
  end)

  it("are found by the cluster's name as well", function()
    start("", s.cluster_name)
    wait_for("app_user_002", there)
    assert.same({}, s:log())
  end)

  it("follow a rotation elsewhere, with the password before it among the candidates", function()
    start()
    local before = wait_for("app_user_001", there)
    assert(scene.cluster:rotate_password { user = "app_user_001" })
    local after = wait_for("app_user_001", function(found) return found.epoch == 2 end)
    assert.not_equal(before.password, after.password)
    assert.equal("accepted", scene:login("app_user_001", after.password))
    assert.equal("current", after.candidates[1].source)
    assert.equal("previous", after.candidates[2].source)
    assert.equal(before.password, after.candidates[2].password)
    assert.not_equal(before.pool_name, after.pool_name)
  end)

  it("have the password that may be live when a rotation broke off between change and publication", function()
    start()
    local before = wait_for("app_user_001", there)
    -- Applied, and the one who would have heard of it is dead.
    s:fault { op = CALL, what = "delay", seconds = 3600 }
    local env = {}
    for name, value in pairs(s.env) do env[name] = value end
    env.HOME, env.CRDBCLOUD_STORE = scene.dir, scene.store_url
    local run = command.start({ "rotate", "run", "--user", "app_user_001", "--yes" }, env)
    web:wait(function() return #scene:requests(CALL) == 1 end, "the change")
    temp.run(("kill -KILL %d"):format(run.pid))
    run.wait()
    local found = wait_for("app_user_001", function(one) return #one.candidates >= 2 end)
    assert.equal(1, found.epoch)
    assert.equal(before.password, found.candidates[1].password)
    assert.equal("staged", found.candidates[2].source)
    assert.equal("accepted", scene:login("app_user_001", found.candidates[2].password))
  end)

  it("stay as they are while the store fails, and the status says so", function()
    start()
    local before = wait_for("app_user_001", there)
    temp.run(("mv %s/store %s/away && touch %s/store"):format(scene.dir, scene.dir, scene.dir))
    local status
    web:wait(function()
      status = ask "/status"
      return status.error ~= nil
    end, "a failure")
    assert.equal("store", status.error.kind)
    assert.is_number(status.failing_since)
    assert.same(before, credential "app_user_001")
    temp.run(("rm %s/store && mv %s/away %s/store"):format(scene.dir, scene.dir, scene.dir))
    web:wait(function() return ask("/status").error == nil end, "the store to answer again")
    assert.same(before, credential "app_user_001")
    -- Once, however often it fails.
    assert.equal(1, #web:errors())
  end)

  it("go with the user", function()
    start()
    wait_for("app_user_003", there)
    temp.run(("rm %s/store/*/app_user_003.rec"):format(scene.dir))
    assert.equal("not_found", wait_for("app_user_003", function(found) return not there(found) end).kind)
    assert.is_true(there(credential "app_user_001"))
  end)

  for user, name in pairs { app_user_003 = false, app_user_001 = "sandbox-one" } do
    it("keep what they had of a record that is torn, and name it: " .. user, function()
      start(nil, name or nil)
      local before = wait_for(user, there)
      temp.run(("echo torn >$(echo %s/store/*/%s.rec)"):format(scene.dir, user))
      local status
      web:wait(function()
        status = ask "/status"
        return status.problems ~= nil
      end, "the problem")
      assert.equal(user, status.problems[1].user)
      assert.same(before, credential(user))
    end)
  end

  it("are kept when no record can be read, also where the cluster is named by its name", function()
    start(nil, "sandbox-one")
    local before = wait_for("app_user_001", there)
    temp.run(("for f in %s/store/*/*.rec; do echo torn >$f; done"):format(scene.dir))
    local status
    web:wait(function()
      status = ask "/status"
      return status.error ~= nil
    end, "the error")
    assert.equal("store", status.error.kind)
    assert.same(before, credential "app_user_001")
  end)

  it("are those of the named users alone", function()
    start ", users = { 'App_User_001', 'nobody_here' }"
    wait_for("app_user_001", there)
    assert.equal("not_found", credential("app_user_002").kind)
    assert.same({ { user = "nobody_here", problem = "the store holds no record of this user" } }, ask("/status").problems)
  end)

  it("are read on when the worker that read them is killed", function()
    start()
    wait_for("app_user_001", there)
    local first = ask("/status").worker
    temp.run(("kill -KILL %d"):format(first))
    assert(scene.cluster:rotate_password { user = "app_user_001" })
    wait_for("app_user_001", function(found) return found.epoch == 2 end)
  end)

  describe("that are set up wrongly raise at the caller's line", function()
    local CASES = {
      { "cluster = cluster, dict = 'crdbcloud', user = 'x'", 'did you mean "users"?' },
      { "cluster = cluster, dict = 'crdbcloud', every = '10ms'", "every must be 500ms or more" },
      { "cluster = cluster, dict = 'nowhere'", "lua_shared_dict nowhere 1m;" },
      { "cluster = cluster", "dict is missing" },
      { "dict = 'crdbcloud'", "cluster must be a handle" },
      { "cluster = cluster, dict = 'crdbcloud', users = {}", "empty list" },
      { "cluster = cluster, dict = 'crdbcloud', users = { 7 }", "users[1] must be a name" },
      { "cluster = cluster, dict = 'crdbcloud', users = print", "users is a function" },
    }

    it("for " .. #CASES .. " ways to be wrong", function()
      local lines = { "results = {}", "local function try(f) local ok, text = pcall(f) results[#results + 1] = ok and 'no error' or text end" }
      for _, case in ipairs(CASES) do lines[#lines + 1] = ("try(function() crdbcloud.keep_credentials { %s } end)"):format(case[1]) end
      web = nginx.start {
        http = "lua_shared_dict crdbcloud 1m;", init_worker = table.concat(lines, "\n"),
        init = ("crdbcloud = require 'crdbcloud.nginx' cluster = crdbcloud.new { base_url = 'https://127.0.0.1' }:cluster('x', { store = %q })"):format(
          scene.store_url),
        locations = { ["/results"] = "ngx.say(require('cjson').encode(results))" },
      }
      local results = ask "/results"
      for i, case in ipairs(CASES) do
        assert.truthy(results[i]:find("init_worker.lua:" .. i + 2 .. ": ", 1, true), results[i])
        assert.truthy(results[i]:find(case[2], 1, true), case[2] .. "\n" .. results[i])
      end
    end)
  end)
end)
