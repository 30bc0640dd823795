local core = require "crdbcloud.core"
local privileges = require "crdbcloud.privileges"
local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

local POST, PUT = "create_sql_user", "update_sql_user_password"
local ACCESS = { database = "shop", tables = { "orders", "customers" }, privileges = { "SELECT", "INSERT", "UPDATE" } }

local sc, name

-- A name of its own for each case, so that cases do not meet in one cluster.
local function fresh()
  return "spec_" .. core.random_hex(6)
end

local function wanted(fields)
  local o = { name = name, owner = "team@example.com", access = ACCESS }
  for k, v in pairs(fields or {}) do o[k] = v end
  return o
end

local function inspect(user)
  return assert(privileges.inspect(assert(sc.cluster:open_sql "spec"), user))
end

-- The throwaway was sent by the POST, the password in the store only by PUTs after the demotion.
local function assert_limited_and_settled(user)
  local rec = sc:assert_settled(user)
  assert.is_nil(rec.bootstrap)
  assert.is_false(inspect(user).admin)
  local hash = sc.sandbox:hash(rec.current.password)
  for _, request in ipairs(sc:requests(POST, user)) do assert.are_not.equal(hash, request.password_hash) end
  return rec
end

describe("a creation that meets faults", function()
  before_each(function()
    sc = scene.open { max_attempts = 3, timeout = 1, deadline = 20 }
    name = fresh()
  end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  for _, case in ipairs {
    { "500 after the user was made", { what = "error_after", status = 500, code = 13 } },
    { "500 before", { what = "error_before", status = 500, code = 13 } },
    { "a dropped answer", { what = "drop_after" } },
    { "a dropped request", { what = "drop_before" } },
    { "half an answer", { what = "half_body" } },
    { "a gateway's HTML page", { what = "html_502" } },
    { "429", { what = "rate_limited", form = "seconds" } },
    { "an answer that names another user", { what = "wrong_name" } },
    { "a POST that arrives late", { what = "late_apply", seconds = 1.3 } },
  } do
    it("of the POST (" .. case[1] .. ") ends limited and settled", function()
      local fault = { op = POST, user = name, nth = 1, count = 1 }
      for k, v in pairs(case[2]) do fault[k] = v end
      sc.sandbox:fault(fault)
      local report, err = sc.cluster:create_app_user(wanted())
      if not report then
        assert.are.equal("unknown", err.outcome, tostring(err))
        sc.sandbox:clear()
        assert(sc.cluster:resume())
      end
      assert_limited_and_settled(name)
      assert.are.equal(1, (sc.hashes(sc:requests(POST, name))))
      assert.are.equal(1, (sc.hashes(sc:requests(PUT, name))))
    end)
  end

  it("that never get an answer leave 'unknown' and no password given to anybody", function()
    sc.sandbox:fault { op = POST, user = name, what = "drop_before", count = 10 }
    local report, err = sc.cluster:create_app_user(wanted())
    assert.is_nil(report)
    assert.are.equal(5, err.exit)
    local credential, why = sc.cluster:credential(name)
    assert.is_nil(credential)
    assert.are.equal("pending", why.kind)
    sc.sandbox:clear()
    assert(sc.cluster:resume())
    assert_limited_and_settled(name)
  end)

  it("and a user of that name that appears meanwhile is not taken over, though our POST was answered by nothing", function()
    sc.sandbox:fault { op = POST, user = name, what = "drop_before", count = 10 }
    local made
    local report, err = sc.cluster:create_app_user(wanted {
      on_progress = function(event)
        if event.step == "wait" and not made then
          made = true
          sc.sandbox:psql(("CREATE ROLE %s LOGIN PASSWORD 'somebody-elses-1'"):format(name))
        end
      end,
    })
    assert.is_nil(report)
    assert.are.equal("already_exists", err.kind)
    assert.are.equal("accepted", sc:login(name, "somebody-elses-1"))
    assert.are.equal(0, #sc:requests(PUT, name))
    sc.cluster:resume()
    assert.are.equal("accepted", sc:login(name, "somebody-elses-1"))
    assert.are.equal(0, #sc:requests(PUT, name))
  end)

  it("and whose owner cannot be told by a login stop without a change", function()
    sc.sandbox:fault { op = POST, user = name, what = "drop_after", count = 1 }
    local report, err = sc.cluster:create_app_user(wanted {
      on_progress = function(event)
        -- The user is there, ours, but may not log in: no proof either way.
        if event.step == "wait" then sc.sandbox:psql(("ALTER ROLE %s NOLOGIN"):format(name)) end
      end,
    })
    assert.is_nil(report)
    assert.are.equal("unknown", err.outcome)
    assert.are.equal(5, err.exit)
    assert.are.equal(0, #sc:requests(PUT, name))
    sc.sandbox:psql(("ALTER ROLE %s LOGIN"):format(name))
    assert(sc.cluster:resume())
    assert_limited_and_settled(name)
  end)

  it("refuse (409) leaves no record behind when the user is somebody else's", function()
    local report, err = sc.cluster:create_app_user(wanted {
      on_progress = function(event)
        if event.step == "create" then
          sc.sandbox:psql(("CREATE ROLE %s LOGIN PASSWORD 'somebody-elses-1'"):format(name))
        end
      end,
    })
    assert.is_nil(report)
    assert.are.equal("already_exists", err.kind)
    assert.is_nil((sc:record(name)))
    assert.are.equal("accepted", sc:login(name, "somebody-elses-1"))
  end)

  it("of the PUT end with the same bytes", function()
    sc.sandbox:fault { op = PUT, user = name, what = "drop_before", count = 10 }
    local report, err = sc.cluster:create_app_user(wanted())
    assert.is_nil(report)
    assert.are.equal("unknown", err.outcome)
    assert.is_nil((sc.cluster:credential(name)))
    sc.sandbox:clear()
    assert(sc.cluster:create_app_user(wanted()))
    assert_limited_and_settled(name)
  end)

  it("403 on the POST names the role and leaves nothing behind", function()
    local cluster = sc:handle { api_key_file = sc.sandbox.keys.developer }
    local report, err = cluster:create_app_user(wanted())
    assert.is_nil(report)
    assert.are.equal(4, err.exit)
    assert.truthy(tostring(err):find("Cluster Admin or Cluster Creator", 1, true))
    assert.is_nil((sc:record(name)))
  end)
end)

describe("a user that somebody makes an admin again", function()
  local times
  before_each(function()
    name = fresh()
    sc = scene.open {
      on_event = function(event)
        if event.operation == PUT and times > 0 then
          times = times - 1
          sc.sandbox:psql(("GRANT admin TO %s"):format(name))
        end
      end,
    }
  end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  it("is demoted again and gets another password; the first is never handed out", function()
    times = 1
    local report = assert(sc.cluster:create_app_user(wanted()))
    local rec = assert_limited_and_settled(name)
    assert.are.equal(2, rec.epoch)
    assert.truthy(table.concat(report.warnings, "\n"):find("security: " .. name, 1, true))
    assert.are.equal(2, (sc.hashes(sc:requests(PUT, name))))
    for _, candidate in ipairs(require("crdbcloud.record").candidates(rec)) do
      assert.is_true(candidate.password:equals(rec.current.password))
    end
  end)

  it("again and again ends in an error, with no password published", function()
    times = 99
    local report, err = sc.cluster:create_app_user(wanted())
    assert.is_nil(report)
    assert.are.equal(3, err.exit)
    assert.is_nil((sc.cluster:credential(name)))
    times = 0
    assert(sc.cluster:resume())
    assert_limited_and_settled(name)
  end)
end)

describe("a membership that leads to admin through a role", function()
  it("is found and taken away by the creation", function()
    sc, name = scene.open(), fresh()
    sc.sandbox:psql(("CREATE ROLE %s_group; GRANT admin TO %s_group"):format(name, name))
    local once = true
    assert(sc.cluster:create_app_user(wanted {
      on_progress = function(event)
        if event.step ~= "grant" or not once then return end
        once = false
        sc.sandbox:psql(("GRANT %s_group TO %s"):format(name, name))
      end,
    }))
    assert_limited_and_settled(name)
    sc:close()
    temp.clean()
  end)
end)
