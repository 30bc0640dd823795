local sql_proxy = require "spec.support.servers.sql_proxy"
local sql_store = require "spec.support.stores.sql_store"
local temp = require "spec.support.temp"
local wait = require "spec.support.wait"

local KEY, example = sql_store.KEY, sql_store.example

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
      DO $$ BEGIN FOR i IN 1..20000 LOOP
        PERFORM pg_stat_clear_snapshot();
        EXIT WHEN EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock');
        PERFORM pg_sleep(0.005);
      END LOOP; END $$;
      COMMIT;]])
    temp.run(("PGPASSFILE=%s psql -X -q -h %s -p %d -U root -d %s -f %s/hold.sql >/dev/null 2>&1 &"):format(
      place.sandbox.dir .. "/root.pgpass", place.sandbox.pg.socket, place.sandbox.pg.port, place.dbname, place.dir))
    wait("the lock", function()
      return place:psql "SELECT count(*) FROM pg_locks WHERE relation = 'crdbcloud_records'::regclass AND mode = 'RowExclusiveLock'" ~= "0"
    end)
    local seen = sql_store.watched(handle)
    assert.equal(v + 1, assert(handle:put(KEY, example "second", v)))
    assert.same({ "40001", "ok" }, seen)
    assert.equal("second", current(handle))
  end)
end)
