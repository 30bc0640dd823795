local core = require "crdbcloud.core"
local record = require "crdbcloud.record"
local sql_proxy = require "spec.support.sql_proxy"
local sql_store = require "spec.support.sql_store"
local store = require "crdbcloud.store"
local temp = require "spec.support.temp"

local CLUSTER = "1b6fee85-c1ae-42da-bb4f-e3f8a89fdd25"
local KEY = CLUSTER .. "/app"

local function example(text, user)
  return record.new {
    cluster_id = CLUSTER, user = user or "app", state = "idle", epoch = 3, owner = "team@example.com", by = "host-a:17",
    current = { epoch = 3, password = core.secret(text or "correct-horse-battery"), set_at = 1700000000 },
  }
end

-- Records which states a handle's statements end with.
local function watched(handle)
  local seen = {}
  local sql = handle.session.sql
  local query = sql.query
  sql.query = function(self, ...)
    local rows, err = query(self, ...)
    seen[#seen + 1] = err and (err.sqlstate or err.kind) or "ok"
    return rows, err
  end
  return seen
end

local place

-- The record's row, as psql sees it.
local function row(columns)
  return place:psql(("SELECT %s FROM crdbcloud_records WHERE key = '%s'"):format(columns, KEY))
end

local function current(handle)
  return assert(handle:get(KEY)).current.password:reveal()
end

describe("a postgresql: store", function()
  before_each(function() place = sql_store.new() end)
  after_each(function()
    place:close()
    temp.clean()
  end)

  describe("that is opened", function()
    local function refused(options)
      local given = { ca_file = place.sandbox.ca_file, store_key_file = place.key_file }
      for name, value in pairs(options) do given[name] = value or nil end
      local url = given.url or place:url()
      given.url = nil
      local handle, err = store.open(url, given)
      assert.is_nil(handle)
      assert.equal("store", err.kind)
      assert.equal("not_sent", err.outcome)
      assert.is_nil(tostring(err):find(place.password, 1, true))
      return err
    end

    it("refuses to hold clear passwords, and says how a key is made", function()
      local err = refused { store_key_file = false }
      assert.equal("clear", err.reason)
      assert.matches("would hold the passwords in the clear", err.message, 1, true)
      for _, words in ipairs { "store_key_file", "openssl rand -hex 32", "plaintext = true" } do
        assert.truthy(err.hint:find(words, 1, true))
      end
      refused { store_key_file = false, plaintext = false }
    end)

    it("holds them with plaintext = true, and warns of it", function()
      local handle = place:open { store_key_file = false, plaintext = true }
      handle:put(KEY, example())
      assert.equal("t", row "position('correct-horse-battery' in encode(record, 'escape')) > 0")
      assert.truthy(table.concat(handle:warnings(), "\n"):find("passwords stand in the clear", 1, true))
      assert.equal("clear", (select(3, handle:get(KEY))))
    end)

    it("refuses clear records where it has a key, unless plaintext = true", function()
      place:open({ store_key_file = false, plaintext = true }):put(KEY, example())
      local rec, err = place:open():get(KEY)
      assert.is_nil(rec)
      assert.equal("clear", err.reason)
      assert.truthy(err.hint:find("crdbcloud store rekey", 1, true))
      assert.equal("correct-horse-battery", current(place:open { plaintext = true }))
    end)

    it("names `crdbcloud store init` when its tables are missing", function()
      local bare = sql_store.new { tables = false }
      finally(function() bare:close() end)
      local err = refused { url = bare:url() }
      assert.equal("42P01", err.sqlstate)
      assert.matches("its tables are missing", err.message, 1, true)
      assert.truthy(err.hint:find("^crdbcloud store init %-%-store 'postgresql://sandbox_admin@127"))
    end)

    it("refuses tables that are not marked, or of a later version", function()
      place:psql "UPDATE crdbcloud_store SET version = 2"
      assert.matches("its tables are of version 2, this program knows 1", refused({}).message, 1, true)
      place:psql "DELETE FROM crdbcloud_store"
      local err = refused {}
      assert.equal("no_tables", err.reason)
      assert.truthy(err.hint:find("crdbcloud store init", 1, true))
    end)

    it("never shows the password of its URL", function()
      local handle = place:open()
      for _, text in ipairs { handle.url, tostring(handle), table.concat(handle:warnings(), "\n") } do
        assert.is_nil(text:find(place.password, 1, true))
        assert.truthy(text:find("postgresql://sandbox_admin@127.0.0.1:", 1, true))
      end
      assert.equal("28P01", refused({ url = place:url { password = "not-the-password" } }).sqlstate)
    end)

    it("says what is wrong with a URL that reaches no server", function()
      assert.equal("network", refused({ url = place:url { port = 1 } }).cause.kind)
      local handle, err = store.open("postgresql://127.0.0.1/db", { store_key_file = place.key_file })
      assert.is_nil(handle)
      assert.equal("invalid_argument", err.kind)
      assert.matches("user is missing", err.message, 1, true)
    end)

    it("is durable also where the server would call a transaction committed too early", function()
      place:psql(("ALTER DATABASE %s SET synchronous_commit = off"):format(place.dbname))
      local handle = place:open { url = place:url { query = "&options=-c%20statement_timeout%3D7s" } }
      local function settings()
        local found = assert(handle.session.sql:query "SELECT current_setting('synchronous_commit') AS c, current_setting('statement_timeout') AS t")
        return { found[1].c, found[1].t }
      end
      assert.same({ "on", "7s" }, settings())
      place:end_sessions()
      assert(handle:list "")
      assert.same({ "on", "7s" }, settings())
    end)

    it("warns of a server that does not write to its disk", function()
      assert.truthy(table.concat(place:open():warnings(), "\n"):find("fsync = off", 1, true))
    end)

    it("can be read by an account that may only read, and says what writing takes", function()
      place:open():put(KEY, example())
      place.sandbox:psql "DROP ROLE IF EXISTS store_reader; CREATE ROLE store_reader LOGIN PASSWORD 'reader-password-of-a-spec'"
      place:psql "GRANT SELECT ON crdbcloud_store, crdbcloud_records TO store_reader"
      finally(function()
        place:psql "DROP OWNED BY store_reader"
        place.sandbox:psql "DROP ROLE store_reader"
      end)
      local reader = place:open { url = place:url { user = "store_reader", password = "reader-password-of-a-spec" } }
      assert.equal("correct-horse-battery", current(reader))
      local ok, err = reader:put(KEY, example "another-password", 1)
      assert.is_nil(ok)
      assert.equal("42501", err.sqlstate)
      assert.truthy(err.hint:find("INSERT and UPDATE on crdbcloud_records", 1, true))
    end)
  end)

  describe("that is made", function()
    it("keeps what is there when it is made again", function()
      place:open():put(KEY, example())
      local text = assert(store.init(place:url(), { ca_file = place.sandbox.ca_file }))
      assert.matches("its tables were there", text, 1, true)
      assert.equal("correct-horse-battery", current(place:open()))
    end)

    it("is made once by many at once", function()
      local bare = sql_store.new { tables = false }
      finally(function() bare:close() end)
      temp.write(bare.dir .. "/url", bare:url())
      local code = ([[local url = io.open("%s/url"):read("*a")
        print(require("crdbcloud.store").init(url, { ca_file = "%s" }))]]):format(bare.dir, bare.sandbox.ca_file)
      local line = temp.lua(code)
      local out = temp.run(("(%s) & (%s) & (%s) & (%s) & wait"):format(line, line, line, line))
      assert.equal(4, select(2, out:gsub("its tables [wa]%a+ %a+", "")), out)
      assert(bare:open():put(KEY, example()))
      assert.equal("1", bare:psql "SELECT count(*) FROM crdbcloud_store")
    end)
  end)

  describe("as records", function()
    it("shows people what it holds, and nobody a password", function()
      local handle = place:open()
      handle:put(KEY, example())
      assert.equal("1|idle|3|host-a:17|t", row "version, state, epoch, holder, updated_at > now() - INTERVAL '1 minute'")
      local everything = place:psql "SELECT encode(record, 'escape') FROM crdbcloud_records"
      assert.truthy(everything:find("team@example.com", 1, true))
      assert.truthy(everything:find("aes-256-gcm:" .. handle.codec.key_id, 1, true))
      assert.is_nil(everything:find("correct-horse", 1, true))
    end)

    it("is changed by one of two handles that read the same version", function()
      local a, b = place:open(), place:open()
      local v = assert(a:put(KEY, example()))
      local won = assert(b:put(KEY, example "from-b", v))
      local ok, err = a:put(KEY, example "from-a", v)
      assert.is_nil(ok)
      assert.equal("conflict", err.kind)
      assert.equal("version", err.reason)
      assert.is_nil((a:put(KEY, example "from-a")))
      assert.is_nil((a:remove(KEY, v)))
      assert.equal("from-b", current(a))
      assert.equal(won, (select(2, a:get(KEY))))
    end)

    it("never counts from the start again after a record was removed", function()
      local a, b = place:open(), place:open()
      local v = assert(a:put(KEY, example "old"))
      assert(b:remove(KEY, v))
      assert.equal("t|removed|t", row "record IS NULL, state, epoch IS NULL")
      local later = assert(b:put(KEY, example "new"))
      assert.is_true(later > v)
      assert.is_nil((a:put(KEY, example "of-a-sleeper", v)))
      assert.equal("new", current(a))
    end)

    it("refuses by name what was damaged, or moved to another user", function()
      local handle = place:open()
      handle:put(KEY, example())
      place:psql(("INSERT INTO crdbcloud_records SELECT '%s/other', version, 'x', record, state, epoch, holder, now() FROM crdbcloud_records"):format(CLUSTER))
      local rec, err = handle:get(CLUSTER .. "/other")
      assert.is_nil(rec)
      assert.equal("store", err.kind)
      assert.equal("not_sent", err.outcome)
      assert.matches("record .*/other was refused: it belongs to .*/app", err.message)
      place:psql "UPDATE crdbcloud_records SET record = set_byte(record, 60, 33)"
      rec, err = handle:get(KEY)
      assert.is_nil(rec)
      assert.equal("torn", err.reason)
      place:psql "UPDATE crdbcloud_records SET record = ''"
      rec = handle:get(KEY)
      assert.is_nil(rec)
    end)

    it("keeps a name in any letters, and passwords of any bytes", function()
      local handle = place:open()
      local user, text = "ünïcode_ж.x-1", "it's \\x00 $1 \"quoted\" ü " .. ("x"):rep(4000)
      assert(handle:put(CLUSTER .. "/" .. user, example(text, user)))
      assert.equal(text, handle:get(CLUSTER .. "/" .. user).current.password:reveal())
      assert.same({ CLUSTER .. "/" .. user }, handle:list(CLUSTER .. "/ünïcode_ж"))
    end)
  end)

  describe("on a connection that breaks", function()
    local proxy, handle
    before_each(function()
      proxy = sql_proxy.start(place.sandbox.pg.port, place.dir)
      handle = place:open { url = place:url { port = proxy.port } }
    end)
    after_each(function() proxy:stop() end)

    it("goes on when the server ends the session between two statements", function()
      local v = assert(handle:put(KEY, example()))
      place:end_sessions()
      assert.equal("correct-horse-battery", current(handle))
      place:end_sessions()
      assert.equal(v + 1, assert(handle:put(KEY, example "second", v)))
      assert.equal("second", current(handle))
    end)

    it("knows its own write when the answer to it is lost", function()
      proxy:lose_answer()
      local v = assert(handle:put(KEY, example()))
      assert.equal(1, v)
      proxy:lose_answer()
      v = assert(handle:put(KEY, example "second", v))
      assert.equal(2, v)
      assert.equal("2", row "version")
      proxy:lose_answer()
      assert.is_true(assert(handle:remove(KEY, v)))
      assert.is_nil((handle:get(KEY)))
    end)

    it("writes once when the statement itself is lost", function()
      proxy:lose_request()
      local v = assert(handle:put(KEY, example()))
      proxy:lose_request()
      assert.equal(2, assert(handle:put(KEY, example "second", v)))
      assert.equal("2", row "version")
      assert.equal("second", current(handle))
    end)

    it("hears of the other's write when that came after its own unanswered one", function()
      local other = place:open()
      local v = assert(handle:put(KEY, example()))
      -- The other's write follows ours at once, by the database itself.
      place:psql [[
        CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          NEW.version := NEW.version + 1; NEW.write_id := 'of-another'; RETURN NEW; END $$;
        CREATE TRIGGER follow BEFORE UPDATE ON crdbcloud_records FOR EACH ROW EXECUTE FUNCTION follow()]]
      proxy:lose_answer()
      local ok, err = handle:put(KEY, example "second", v)
      assert.is_nil(ok)
      assert.equal("conflict", err.kind)
      assert.equal(3, (select(2, other:get(KEY))))
    end)

    it("waits for a server that comes back", function()
      local v = assert(handle:put(KEY, example()))
      proxy:sever(3)
      assert.equal(2, assert(handle:put(KEY, example "second", v)))
      proxy:sever(3)
      assert.equal("second", current(handle))
    end)

    it("gives up in the end and says that the write may or may not be there", function()
      local v = assert(handle:put(KEY, example()))
      handle.session.limit = 0.3
      proxy:lose_answer()
      local sql = handle.session.sql
      local query = sql.query
      sql.query = function(...)
        local rows, err = query(...)
        proxy:sever(1000)
        return rows, err
      end
      local ok, err = handle:put(KEY, example "second", v)
      assert.is_nil(ok)
      assert.equal("store", err.kind)
      assert.equal("not_sent", err.outcome)
      assert.matches("writing record .*, which may or may not have happened, in store", err.message)
      assert.equal("2", row "version")
    end)

    it("finds its own lease when the answer to taking it is lost", function()
      proxy:lose_answer()
      local lock = assert(handle:lock(KEY, "run-a"))
      local _, err = place:open():lock(KEY, "run-b")
      assert.matches("worked on by run run-a", err.message, 1, true)
      proxy:lose_answer()
      assert.is_true(assert(lock.ensure(300)))
      lock.close()
      assert(place:open():lock(KEY, "run-b")).close()
    end)

    it("leaves a lease to end by itself when giving it back fails", function()
      local lock = assert(handle:lock(KEY, "run-a"))
      proxy:sever(1000)
      lock.close()
      local other = place:open()
      assert.equal("busy", (select(2, other:lock(KEY, "run-b"))).kind)
      place:end_leases()
      assert(other:lock(KEY, "run-b")).close()
    end)
  end)

  it("sends a statement again after a serialization failure", function()
    local handle = place:open { url = place:url { query = "&options=-c%20default_transaction_isolation%3Dserializable" } }
    local v = assert(handle:put(KEY, example()))
    -- Another transaction changes the row and ends once somebody waits for it.
    temp.write(place.dir .. "/hold.sql", [[
      BEGIN;
      UPDATE crdbcloud_records SET holder = 'somebody';
      DO $$ BEGIN FOR i IN 1..2000 LOOP
        PERFORM pg_stat_clear_snapshot();
        EXIT WHEN EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock');
        PERFORM pg_sleep(0.005);
      END LOOP; END $$;
      COMMIT;]])
    temp.run(("PGPASSFILE=%s psql -X -q -h %s -p %d -U root -d %s -f %s/hold.sql >/dev/null 2>&1 &"):format(
      place.sandbox.dir .. "/root.pgpass", place.sandbox.pg.socket, place.sandbox.pg.port, place.dbname, place.dir))
    local give_up = core.monotonic() + 10
    repeat
      local held = place:psql "SELECT count(*) FROM pg_locks WHERE relation = 'crdbcloud_records'::regclass AND mode = 'RowExclusiveLock'"
    until held ~= "0" or core.monotonic() > give_up
    local seen = watched(handle)
    assert.equal(v + 1, assert(handle:put(KEY, example "second", v)))
    assert.same({ "40001", "ok" }, seen)
    assert.equal("second", current(handle))
  end)

  describe("as leases", function()
    it("lends a key to one handle, and tells others when the lease ends", function()
      local a, b = place:open(), place:open()
      local lock = assert(a:lock(KEY, "run-a"))
      local other, err = b:lock(KEY, "run-b")
      assert.is_nil(other)
      assert.equal("busy", err.kind)
      assert.equal(7, err.exit)
      assert.matches("being worked on by run run-a", err.message, 1, true)
      assert.matches("its lease ends in 6[01] s", err.hint)
      lock.close()
      assert(b:lock(KEY, "run-b")).close()
      assert.equal("0", place:psql "SELECT count(*) FROM crdbcloud_leases")
    end)

    it("gives a lease that has ended to the next, and the first hears of it before it sends", function()
      local a, b = place:open(), place:open()
      local first = assert(a:lock(KEY, "run-a"))
      place:end_leases()
      local second = assert(b:lock(KEY, "run-b"))
      local ok, err = first.ensure(120)
      assert.is_nil(ok)
      assert.equal("busy", err.kind)
      assert.equal("lease", err.reason)
      assert.equal("not_sent", err.outcome)
      assert.is_nil((first.ensure(1)))
      first.close()
      assert.equal("run-b", place:psql "SELECT holder FROM crdbcloud_leases")
      assert.is_true(assert(second.ensure(120)))
      second.close()
    end)

    it("keeps a lease that ended when nobody has taken it", function()
      local handle = place:open()
      local lock = assert(handle:lock(KEY, "run-a"))
      place:end_leases()
      assert.is_true(assert(lock.ensure(120)))
      assert.equal("t", place:psql "SELECT ends_at > now() + INTERVAL '119 seconds' FROM crdbcloud_leases")
      lock.close()
    end)

    it("asks the database only when the lease would end too early", function()
      local handle = place:open()
      local lock = assert(handle:lock(KEY, "run-a"))
      local seen = watched(handle)
      assert.is_true(lock.ensure(45))
      assert.same({}, seen)
      assert.is_true(lock.ensure(61))
      assert.same({ "ok" }, seen)
      assert.is_true(lock.ensure(61))
      assert.same({ "ok" }, seen)
      lock.close()
    end)

    it("counts a lease from before the statement, so that it ends here before it ends there", function()
      local handle = place:open()
      place:psql [[CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.3); RETURN NEW; END $$;
        CREATE TRIGGER wait BEFORE INSERT ON crdbcloud_leases FOR EACH ROW EXECUTE FUNCTION wait()]]
      local lock = assert(handle:lock(KEY, "run-a"))
      local seen = watched(handle)
      assert.is_true(lock.ensure(59.8))
      assert.same({ "ok" }, seen)
      lock.close()
    end)

    it("takes a dead holder's lease over once, however many want it", function()
      local a = place:open()
      assert(a:lock(KEY, "run-dead"))
      place:end_leases()
      local taken = 0
      for i = 1, 4 do
        if place:open():lock(KEY, "run-" .. i) then taken = taken + 1 end
      end
      assert.equal(1, taken)
    end)
  end)
end)
