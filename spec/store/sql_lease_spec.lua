local sql_store = require "spec.support.stores.sql_store"
local temp = require "spec.support.temp"

local KEY = sql_store.KEY

local place

describe("a lease of a postgresql: store", function()
  before_each(function() place = sql_store.new() end)
  after_each(function()
    place:close()
    temp.clean()
  end)

  it("lends a key to one handle, and tells others when the lease ends", function()
    local a, b = place:open(), place:open()
    local lock = assert(a:lock(KEY, "run-a"))
    local other, err = b:lock(KEY, "run-b")
    assert.is_nil(other)
    assert.equal("busy", err.kind)
    assert.equal(7, err.exit)
    assert.matches("being worked on by run run-a", err.message, 1, true)
    assert.matches("its lease ends in [56]%d s", err.hint)
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
    local seen = sql_store.watched(handle)
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
    local seen = sql_store.watched(handle)
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
