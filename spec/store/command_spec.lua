-- Tests lua/crdbcloud/cli/store.lua.

local cjson = require "cjson"
local command = require "spec.support.command"
local core = require "crdbcloud.core"
local record = require "crdbcloud.record"
local sql_store = require "spec.support.stores.sql_store"
local store = require "crdbcloud.store"
local temp = require "spec.support.temp"
local wait = require "spec.support.wait"

local CLUSTER = sql_store.CLUSTER

local function key_id(path)
  local keys = core.seal_keys((core.secret_from_file(path)))
  return core.seal_key_id(keys[1])
end

describe("the command's store", function()
  local case = command.case()
  local env, home
  before_each(function() env, home = case.before() end)
  after_each(case.after)
  local run, ok, shows = case.run, case.ok, case.shows

  local function new_key(...)
    local path = home .. "/key-" .. core.random_hex(4)
    temp.run(("umask 077; openssl rand -hex 32 > %s"):format(path))
    for _, other in ipairs { ... } do temp.run(("cat %s >> %s"):format(other, path)) end
    return path
  end

  local function fill(handle, count)
    for i = 1, count do
      local user = ("user_%02d"):format(i)
      assert(handle:put(CLUSTER .. "/" .. user, record.new {
        cluster_id = CLUSTER, user = user, state = "idle", epoch = 1, by = "spec",
        current = { epoch = 1, password = core.secret("password-of-" .. user), set_at = 1700000000 },
      }))
    end
  end

  local function verify(...)
    local r = run("store", "verify", "-o", "json", ...)
    return cjson.decode(r.out), r.code, r
  end

  it("works without an API key", function()
    env.COCKROACH_API_KEY_FILE, env.COCKROACH_API_KEY = false, false
    ok("store", "init")
    assert.same({}, (verify()))
  end)

  it("needs a store that was named", function()
    env.CRDBCLOUD_STORE = false
    for _, words in ipairs { { "init" }, { "verify" }, { "rekey", "--store-key-file", new_key() } } do
      local r = run("store", (unpack or table.unpack)(words))
      assert.equal(2, r.code)
      shows("no store was named", r.err)
    end
    local r = run("store")
    assert.equal(2, r.code)
  end)

  it("takes no key and no password from an argument", function()
    local r = run("store", "verify", "--store", "postgresql://u:not-a-real-password@127.0.0.1/db")
    assert.equal(2, r.code)
    shows("is not taken from an argument", r.err)
    assert.is_nil(r.err:find("not-a-real-password", 1, true))
  end)

  it("init makes the directory of a file: store", function()
    local r = ok("store", "init")
    shows("crdbcloud.store file:" .. home .. "/store is ready", r.out)
    assert.equal(448, core.stat(home .. "/store").mode % 512)
    ok("store", "init")
  end)

  describe("of files", function()
    local function open(key_file) return assert(store.open(env.CRDBCLOUD_STORE, { store_key_file = key_file })) end

    it("verify reads every record and names those that are refused", function()
      fill(open(), 3)
      local rows, code = verify()
      assert.equal(0, code)
      assert.equal(3, #rows)
      assert.same({ CLUSTER .. "/user_01", "ok", "idle", 1, "clear" },
        { rows[1].record, rows[1].status, rows[1].state, rows[1].epoch, rows[1].sealed })
      temp.write(home .. "/store/" .. CLUSTER .. "/user_02.rec", "crdbcloud-record 1\ntorn")
      rows, code = verify()
      assert.equal(1, code)
      assert.equal("ok", rows[1].status)
      assert.equal("refused", rows[2].status)
      shows("cut short", rows[2].note)
      assert.equal("ok", rows[3].status)
      shows("3 records, 1 refused", run("store", "verify").err)
    end)

    it("rekey seals what was in the clear, and again with another key", function()
      fill(open(), 3)
      local first = new_key()
      local r = ok("store", "rekey", "--store-key-file", first)
      assert.equal(3, select(2, r.out:gsub("  sealed ", "")))
      shows("3 records, all sealed with key " .. key_id(first), r.err)
      assert.equal("", temp.run("grep -rl password-of " .. home .. "/store | cat"):gsub("%s", ""))
      local rows = verify("--store-key-file", first)
      assert.equal(key_id(first), rows[3].sealed)
      shows("as it was", ok("store", "rekey", "--store-key-file", first).out)

      local second = new_key(first)
      shows("all sealed with key " .. key_id(second), ok("store", "rekey", "--store-key-file", second).err)
      assert.equal(1, (select(2, verify("--store-key-file", first))))
      assert.is_true(open(second):get(CLUSTER .. "/user_02").current.password:equals "password-of-user_02")
    end)

    it("rekey leaves what it cannot open, and says so", function()
      fill(open(new_key()), 2)
      local r = run("store", "rekey", "--store-key-file", new_key())
      assert.equal(1, r.code)
      assert.equal(2, select(2, r.out:gsub("refused", "")))
      shows("2 of 2 records are not sealed with key", r.err)
    end)

    it("rekey waits for a record that a run is working on, and then tells of it", function()
      local handle = open()
      fill(handle, 2)
      local lock = assert(handle:lock(CLUSTER .. "/user_01", "run-of-a-rotation"))
      local key = new_key()
      local r = run("store", "rekey", "--store-key-file", key, "--wait", "100ms")
      assert.equal(3, r.code)
      assert.matches("user_01 +busy.*run%-of%-a%-rotation", r.out)
      assert.matches("user_02 +sealed", r.out)
      lock.close()
      shows("all sealed", ok("store", "rekey", "--store-key-file", key).err)
    end)

    it("rekey needs a file of keys", function()
      local r = run("store", "rekey")
      assert.equal(2, r.code)
      shows("give --store-key-file FILE", r.err)
      r = run("store", "rekey", "--store-key-file", home .. "/missing")
      assert.equal(1, r.code)
      shows("openssl rand -hex 32", r.err)
      r = run("store", "rekey", "--store", "memory:", "--store-key-file", new_key())
      assert.equal(2, r.code)
      shows("seals nothing", r.err)
    end)
  end)

  describe("of a database", function()
    local place
    before_each(function()
      place = sql_store.new { tables = false }
      env.CRDBCLOUD_STORE = place:bare_url()
    end)
    after_each(function() place:close() end)

    it("init makes the tables, once", function()
      local r = run("store", "verify", "--store-key-file", place.key_file)
      assert.equal(1, r.code)
      shows("crdbcloud store init --store '" .. place:bare_url():gsub("%?.*", ""), r.err)
      shows("its tables are made", ok("store", "init").out)
      shows("its tables were there", ok("store", "init").out)
      assert.same({}, (verify("--store-key-file", place.key_file)))
    end)

    it("is not used in the clear, but with --store-plaintext, which warns", function()
      ok("store", "init")
      local r = run("store", "verify")
      assert.equal(1, r.code)
      shows("--store-key-file", r.err)
      shows("passwords stand in the clear", ok("store", "verify", "--store-plaintext").err)
    end)

    it("rotates and reads credentials sealed, without the API in the end", function()
      ok("store", "init")
      ok("rotate", "run", "--user", "app_user_001", "--yes", "--store-key-file", place.key_file)
      local r = run("credential", "show", "app_user_001")
      assert.equal(1, r.code)
      env.COCKROACH_SERVER = "https://127.0.0.1:1"
      local shown = ok("credential", "show", "app_user_001", "--reveal", "-o", "json", "--store-key-file", place.key_file)
      assert.equal(32, #cjson.decode(shown.out).password)
      local rows = verify("--store-key-file", place.key_file)
      assert.equal(key_id(place.key_file), rows[1].sealed)
      assert.is_nil(place:psql("SELECT encode(record, 'escape') FROM crdbcloud_records"):find(cjson.decode(shown.out).password, 1, true))
      shows(place:bare_url():gsub("%?.*", ""), ok("rotate", "status", "--store-key-file", place.key_file, "--server", case.sandbox.url).out)
    end)

    it("rekey may be killed anywhere: every record opens with the old key or the new", function()
      ok("store", "init")
      local handle = place:open()
      fill(handle, 30)
      -- Each record takes a while, so that the kill comes between two of them.
      place:psql [[CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END $$;
        CREATE TRIGGER slow BEFORE UPDATE ON crdbcloud_records FOR EACH ROW EXECUTE FUNCTION slow()]]
      local keys = new_key(place.key_file)
      local function sealed_anew()
        return tonumber(place:psql(("SELECT count(*) FROM crdbcloud_records WHERE position('%s' in encode(record, 'escape')) > 0"):format(key_id(keys))))
      end
      for wanted = 1, 12, 5 do
        local job = command.start({ "store", "rekey", "--store-key-file", keys }, env)
        wait("records that are sealed anew", function() return sealed_anew() >= wanted end)
        temp.run("kill -9 " .. job.pid)
        assert.equal(137, job.wait().code)
        place:end_leases()
        local rows, code = verify("--store-key-file", keys)
        assert.equal(0, code)
        assert.equal(30, #rows)
      end
      assert.is_true(sealed_anew() < 30)
      shows("30 records, all sealed with key " .. key_id(keys), ok("store", "rekey", "--store-key-file", keys).err)
      for i = 1, 30 do
        local user = ("user_%02d"):format(i)
        assert.is_true(place:open({ store_key_file = keys }):get(CLUSTER .. "/" .. user).current.password:equals("password-of-" .. user))
      end
    end)
  end)
end)
