--- A store that others may write: commands in its records; and what an emergency leaves outside the store.

local core = require "crdbcloud.core"
local managers = require "spec.support.servers.secret_managers"
local record = require "crdbcloud.record"
local scene = require "spec.support.scene"
local store = require "crdbcloud.store"
local temp = require "spec.support.temp"
local trust = require "crdbcloud.run.trust"

local LUA = rawget(_G, "jit") and "luajit" or "lua5.4"
local USER = "app_user_001"

describe("a command in a record", function()
  local sc, dir, mark, touch

  before_each(function()
    dir = temp.dir()
    mark = dir .. "/ran"
    touch = { "touch", mark }
  end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  -- A shared store, sealed or not, in which the user has a password that logs in.
  local function open(sealed)
    if sealed then
      temp.write(dir .. "/key", ("0f"):rep(32))
      temp.run("chmod 600 " .. dir .. "/key")
    end
    local opened = assert(store.open("exec:", {
      command = managers.command(LUA, "spec/support/stores/exec_backend.lua", dir),
      store_key_file = sealed and dir .. "/key" or nil, plaintext = not sealed,
    }))
    sc = scene.open { cluster = { store = opened } }
    assert(sc.cluster:rotate_password(USER))
    return opened
  end

  -- Whoever may write to the store changes the record.
  local function plant(changes)
    local opened = assert(sc.cluster:open_store "spec")
    local rec, version = assert(opened:get(record.key(sc.id, USER)))
    assert(opened:put(rec and record.key(sc.id, USER), record.amend(rec, changes), version))
  end

  local function ran()
    local there = core.stat(mark) ~= nil
    os.remove(mark)
    return there
  end

  it("is not run after a rotation that it was not part of, and the error says why", function()
    open(false)
    plant { hook = { command = touch, run_id = "x" } }
    local report, err = sc.cluster:resume()
    assert.is_nil(report)
    assert.are.same({ "hook", 6 }, { err.kind, err.exit })
    assert.truthy(tostring(err):find("is not run", 1, true), tostring(err))
    assert.is_false(ran())
    assert(sc.cluster:resume { after = touch })
    assert.is_true(ran())
    assert.truthy(sc.cluster:resume())
    assert.is_false(ran())
  end)

  it("is not run for another command's name, nor for a longer or shorter one", function()
    open(false)
    plant { hook = { command = touch, run_id = "x" } }
    for _, after in ipairs { { "touch" }, { "touch", mark, "x" }, { "true", mark }, { "touch " .. mark } } do
      assert.is_nil((sc.cluster:resume { after = after }))
      assert.is_false(ran())
    end
  end)

  it("is not run where a cut rotation left it", function()
    open(false)
    plant { hook = nil, flags = { unpublished = true }, published = {}, asked = { hook = { command = touch, run_id = "x" } } }
    assert.is_nil((sc.cluster:resume()))
    assert.is_false(ran())
  end)

  it("is not run as a sink, of the user or of a cut rotation; the same sink in the call is", function()
    open(false)
    local sinks = { { kind = "command", command = touch }, { kind = "kubernetes", name = "x", command = touch } }
    for _, sink in ipairs(sinks) do
      for _, changes in ipairs {
        { sinks = { sink }, flags = { unpublished = true }, published = {} },
        { asked = { sinks = { sink } }, flags = { unpublished = true }, published = {} },
      } do
        plant(changes)
        local report, err = sc.cluster:resume()
        assert.is_nil(report)
        assert.are.same({ "sink", 6 }, { err.report.rows[1].kind, err.exit })
        assert.is_false(ran())
        report, err = sc.cluster:rotate_password(USER)
        assert.is_nil(report)
        assert.is_false(ran(), tostring(err))
        assert(sc:handle { cluster = { store = sc.cluster:open_store "spec", sinks = { sink } } }:resume())
        assert.is_true(ran())
        plant { sinks = record.NONE }
      end
    end
  end)

  it("is run where the store is sealed: nobody else can have written it", function()
    open(true)
    plant { hook = { command = touch, run_id = "x" } }
    assert(sc.cluster:resume())
    assert.is_true(ran())
  end)

  it("of a store that is ours alone is run as ever", function()
    sc = scene.open()
    assert(sc.cluster:rotate_password(USER))
    plant { hook = { command = touch, run_id = "x" } }
    assert(sc.cluster:resume())
    assert.is_true(ran())
  end)

  it("is trusted by what the store is, whatever it says of itself otherwise", function()
    sc = scene.open()
    for _, row in ipairs {
      { {}, true }, { { shared = true }, false }, { { shared = true, sealed = true }, true }, { { shared = true, sealed = "yes" }, false },
      { { shared = true, sealed = false }, false }, { { sealed = false }, true },
    } do
      assert.are.equal(row[2], trust.records(row[1]))
    end
  end)
end)

describe("the spool of an emergency", function()
  local sc, state

  before_each(function()
    sc = scene.open()
    state = temp.dir()
    temp.write(sc.dir .. "/key", ("0f"):rep(32))
    temp.run("chmod 600 " .. sc.dir .. "/key")
  end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  -- Runs Lua with `cluster`, whose store has a key, in a process with its own state directory.
  local function run(code, key)
    local sql = sc:sql_spec()
    local setup = ([[local crdbcloud = require "crdbcloud"
      local cloud = assert(crdbcloud.new { base_url = %q, ca_file = %q, api_key_file = %q, rate = 0, timeout = 5 })
      local cluster = assert(cloud:cluster(%q, { store = %q, store_key_file = %s, sql = {
        host = %q, port = %d, dbname = "shop", user = "sandbox_admin", password = core.secret(%q), sslmode = "verify-full", sslrootcert = %q } }))
      ]]):format(sc.sandbox.url, sc.sandbox.ca_file, sc.sandbox.keys.admin, sc.id, sc.store_url, key and ("%q"):format(key) or "nil",
      sql.host, sql.port, sql.password:reveal(), sc.sandbox.ca_file)
    return temp.run("XDG_STATE_HOME=" .. state .. " " .. temp.lua(setup .. code))
  end
  local function emergency(key)
    temp.run(("mkdir -p %s/store; chmod 755 %s/store"):format(sc.dir, sc.dir))
    local output, status = run(("print(assert(cluster:rotate_passwords{ emergency = { '%s' } }))"):format(USER), key)
    temp.run(("chmod 700 %s/store"):format(sc.dir))
    return output, status
  end
  local function spooled()
    return temp.read(("%s/crdbcloud/spool/%s/%s.rec"):format(state, sc.id, USER))
  end

  it("is sealed with the key of the run's store, and is merged with it", function()
    local output, status = emergency(sc.dir .. "/key")
    assert.are.equal(0, status, output)
    local bytes = spooled()
    assert.truthy(bytes:find(" aes-256-gcm:", 1, true))
    assert.falsy(bytes:find(" plain ", 1, true))
    output, status = run("print(assert(cluster:resume()))", sc.dir .. "/key")
    assert.are.equal(0, status, output)
    assert.is_nil(spooled())
    local keyed = sc:handle { cluster = { store_key_file = sc.dir .. "/key" } }
    local rec = assert(assert(keyed:open_store "spec"):get(record.key(sc.id, USER)))
    assert.are.equal("accepted", sc:login(USER, rec.current.password))
    local bytes_now = temp.read(("%s/store/%s/%s.rec"):format(sc.dir, sc.id, USER))
    assert.falsy(bytes_now:find(rec.current.password:reveal(), 1, true))
  end)

  it("is not written in the clear when the key is gone: nothing is sent then", function()
    local before = #sc:requests("update_sql_user_password", USER)
    os.remove(sc.dir .. "/key")
    local output, status = emergency(sc.dir .. "/key")
    assert.are_not.equal(0, status)
    assert.truthy(output:find("store_key_file", 1, true), output)
    assert.is_nil(spooled())
    assert.are.equal(before, #sc:requests("update_sql_user_password", USER))
  end)

  it("is not merged without its key, and stays", function()
    emergency(sc.dir .. "/key")
    local bytes = spooled()
    local output = run("local ok, err = cluster:resume() print(ok, err)", nil)
    assert.truthy(output:find("sealed", 1, true) or output:find("store_key_file", 1, true), output)
    assert.are.equal(bytes, spooled())
  end)

  it("that an earlier version left in the clear is merged, and sealed by that", function()
    local output, status = emergency(nil)
    assert.are.equal(0, status, output)
    assert.truthy(spooled():find(" plain ", 1, true))
    output, status = run("print(assert(cluster:resume()))", sc.dir .. "/key")
    assert.are.equal(0, status, output)
    assert.is_nil(spooled())
    assert.truthy(temp.read(("%s/store/%s/%s.rec"):format(sc.dir, sc.id, USER)):find(" aes-256-gcm:", 1, true))
  end)
end)
