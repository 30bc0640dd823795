-- Tests lua/crdbcloud/store/sql_schema.lua.

local sql_store = require "spec.support.stores.sql_store"
local store = require "crdbcloud.store"
local temp = require "spec.support.temp"

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
      place:psql(("INSERT INTO crdbcloud_records SELECT '%s/other', version, 'x', record, state, epoch, holder, now() FROM crdbcloud_records")
        :format(sql_store.CLUSTER))
      local rec, err = handle:get(sql_store.CLUSTER .. "/other")
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
      assert(handle:put(sql_store.CLUSTER .. "/" .. user, example(text, user)))
      assert.equal(text, handle:get(sql_store.CLUSTER .. "/" .. user).current.password:reveal())
      assert.same({ sql_store.CLUSTER .. "/" .. user }, handle:list(sql_store.CLUSTER .. "/ünïcode_ж"))
    end)
  end)
end)
