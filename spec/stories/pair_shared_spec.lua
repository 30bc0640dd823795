local core = require "crdbcloud.core"
local pairs_of = require "spec.support.pair"
local sql_store = require "spec.support.stores.sql_store"

local PUT = "update_sql_user_password"

describe("pairs in a store that several machines share", function()
  local p, place, here, there

  -- A handle as a machine of its own has it.
  local function machine()
    return p.scene:handle { timeout = 2, cluster = { store = place:url(), store_key_file = place.key_file } }
  end

  before_each(function()
    p, place = pairs_of.open(), sql_store.new()
    here, there = machine(), machine()
    p.cluster, p.scene.cluster = here, here
    assert(p:create())
  end)
  after_each(function()
    p:close()
    place:close()
  end)

  it("are turned by one of two rotators, while the other finds them busy", function()
    local busy = {}
    assert(here:rotate_password { user = p.name, on_progress = function(event)
      if event.step == "send" then
        local _, err = there:rotate_password(p.name)
        busy[#busy + 1] = err.kind
      elseif event.step == "publish" then
        local _, err = there:resume()
        busy[#busy + 1] = err and err.kind or "nothing open"
      end
    end })
    assert.are.same({ "busy", "busy" }, busy)
    p:assert_published(p.partner, 2)
    assert.are.equal(1, #p.scene:requests(PUT, p.partner))
    local report, err = there:rotate_password(p.name)
    assert.is_nil(report)
    assert.are.equal("spacing", err.reason)
    p:assert_closed()
  end)

  it("that one rotator has begun are ended by the other, with the same password", function()
    p.scene.sandbox:fault { op = PUT, what = "drop_before", count = "all" }
    assert.is_nil((here:rotate_password(p.name)))
    local seen = p.scene:requests(PUT, p.partner)
    p.scene.sandbox:clear()
    assert(there:resume())
    p:assert_published(p.partner, 2)
    assert.is_true(#seen > 0)
    assert.are.equal(seen[1].password_hash, p.scene.sandbox:hash(p:record(p.partner).current.password))
    p:assert_closed()
  end)
end)

describe("pairs among the users of a run", function()
  local p
  before_each(function()
    p = pairs_of.open()
    assert(p:create())
  end)
  after_each(function() p:close() end)

  it("are rotated by threads like others, each once, and warnings come back", function()
    p:psql("GRANT DELETE ON orders TO %s", p.name)
    local report = assert(p.cluster:rotate_passwords { users = { p.name, "app_user_001", "app_user_002" }, parallel = 2 })
    local by = {}
    for _, row in ipairs(report.rows) do by[row.user] = row end
    assert.are.same({ "done", p.partner, 2 }, { by[p.name].result, by[p.name].active, by[p.name].epoch })
    assert.are.equal("done", by.app_user_001.result)
    p:assert_published(p.partner, 2)
    assert.matches(("only %s has DELETE"):format(p.name), table.concat(report.warnings, "\n"), 1, true)
  end)

  it("run the commands around a run under the pair's name", function()
    local out = p.file .. ".hook"
    assert(p.cluster:rotate_passwords { users = { p.name }, after = { "sh", "-c", "printf %s \"$CRDBCLOUD_USERS\" > " .. out } })
    assert.are.equal(p.name, core.read_file(out, { max = 1000 }):reveal())
    p:assert_closed()
  end)
end)
