-- Rotations whose records are behind a command and whose sinks are of every kind.

local cjson = require "cjson"
local core = require "crdbcloud.core"
local managers = require "spec.support.servers.secret_managers"
local readers = require "spec.support.env_readers"
local scene = require "spec.support.scene"
local store = require "crdbcloud.store"
local temp = require "spec.support.temp"

local PUT = "update_sql_user_password"
local LUA = rawget(_G, "jit") and "luajit" or "lua5.4"
local USERS = { "app_user_001", "app_user_002", "app_user_003" }

describe("a rotation in an exec: store", function()
  local sc, dir

  local function open(lease)
    return assert(store.open("exec:", {
      command = managers.command(LUA, "spec/support/stores/exec_backend.lua", dir), store_key_file = dir .. "/key", lease = lease,
    }))
  end

  local function command(...) return managers.command("sh", "-c", ...) end

  before_each(function()
    dir = temp.dir()
    temp.write(dir .. "/key", ("0f"):rep(32))
    temp.run("chmod 600 " .. dir .. "/key")
    sc = scene.open { cluster = { store = open() } }
  end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  it("keeps every password sealed, publishes it to every kind of sink, and gives its leases back", function()
    local report = assert(sc.cluster:rotate_passwords {
      users = USERS,
      sinks = {
        "json:" .. dir .. "/{user}.json", "file:" .. dir .. "/{user}.password", "pgpass:" .. dir .. "/pgpass",
        { "dotenv", path = dir .. "/all.env", key = "DB_{USER}", dialect = "docker" },
        { "kubernetes", name = "{cluster}-x", namespace = "shop", command = command("cat >" .. dir .. "/{user}.secret") },
        { "command", command = command("cat >" .. dir .. "/$CRDBCLOUD_USER.$CRDBCLOUD_EPOCH") },
      },
    })
    assert.equal(3, #report.rows)
    for _, user in ipairs(USERS) do
      local password = sc:assert_settled(user).current.password:reveal()
      assert.equal(password, cjson.decode(temp.read(dir .. "/" .. user .. ".json")).password)
      assert.equal(password, temp.read(dir .. "/" .. user .. ".password"))
      assert.truthy(temp.read(dir .. "/pgpass"):find(":" .. user .. ":" .. password .. "\n", 1, true))
      assert.equal(password, readers.docker(temp.read(dir .. "/all.env"), true)["DB_" .. user:upper()])
      assert.equal(core.secret(password):encode("base64"):reveal(), cjson.decode(temp.read(dir .. "/" .. user .. ".secret")).data.password)
      assert.equal(password, temp.read(dir .. "/" .. user .. ".1"))
      for key, entry in pairs(cjson.decode(temp.read(dir .. "/values"))) do
        assert.falsy(key:find "^leases/", key)
        assert.falsy(core.secret(entry.value):decode("base64"):reveal():find(password, 1, true))
      end
    end
  end)

  it("ends with exit 6 when a program fails, and is finished by resume", function()
    local sinks = { { "command", command = command("cat >" .. dir .. "/got; [ -e " .. dir .. "/works ]") } }
    local cluster = sc:handle { cluster = { store = open(), sinks = sinks } }
    local report, err = cluster:rotate_password(USERS[1])
    assert.is_nil(report)
    assert.equal(6, err.exit)
    assert.equal("applied", err.outcome)
    local password = sc:record(USERS[1]).current.password
    assert.falsy((tostring(err) .. err:json()):find(password:reveal(), 1, true))
    temp.write(dir .. "/works", "")
    assert(cluster:resume())
    assert.is_true(sc:assert_settled(USERS[1]).current.password:equals(temp.read(dir .. "/got")))
    assert.equal(1, #sc:requests(PUT))
  end)

  it("refuses before staging what a sink cannot do", function()
    local report, err = sc.cluster:rotate_password { user = USERS[1], sinks = { "command:no-such-program" } }
    assert.is_nil(report)
    assert.equal("not_sent", err.outcome)
    assert.truthy(tostring(err):find("there is no program no-such-program in PATH", 1, true))
    assert.equal(0, #sc:requests(PUT))
    assert.is_nil((sc:record(USERS[1])))
  end)

  for _, what in ipairs { "unwritten", "word:full", "forgotten" } do
    it("sends nothing when the store does not keep what is written: " .. what, function()
      local cluster = sc:handle { cluster = { store = open() } }
      local kept = assert(cluster:open_store "spec")
      local lock = kept.lock
      kept.lock = function(...) -- leases are written, records are not
        local taken, why = lock(...)
        temp.write(dir .. "/fault", "put " .. what .. " always")
        return taken, why
      end
      local report, err = cluster:rotate_password(USERS[1])
      assert.is_nil(report)
      assert.equal("not_sent", err.outcome)
      assert.equal(0, #sc:requests(PUT))
      os.remove(dir .. "/fault")
    end)
  end

  it("waits for the lease of a run that has died, and goes on where that one stood", function()
    local dead = open(1)
    assert(dead:lock(sc.id .. "/" .. USERS[1], "dead-run"))
    assert(sc.cluster:rotate_password(USERS[1]))
    sc:assert_settled(USERS[1])
  end)

  it("is told who is at work when that one is alive", function()
    local alive = open(60)
    local lock = assert(alive:lock(sc.id .. "/" .. USERS[1], "run-of-another-host"))
    local kept = assert(sc.cluster:open_store "spec")
    local get, looks = kept.call.get, 0
    kept.call.get = function(self, key)
      if key:find "^leases/" then
        looks = looks + 1
        if looks % 2 == 0 then assert(lock.ensure(60 + looks * 30)) end
      end
      return get(self, key)
    end
    local report, err = sc.cluster:rotate_password(USERS[1])
    assert.is_nil(report)
    assert.equal(7, err.exit)
    assert.truthy(tostring(err):find("run-of-another-host", 1, true))
    assert.equal(0, #sc:requests(PUT))
  end)
end)
