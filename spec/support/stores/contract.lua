--- What every shared store does, as cases for a describe block.

local core = require "crdbcloud.core"
local record = require "crdbcloud.record"

local M = {}

M.CLUSTER = "1b6fee85-c1ae-42da-bb4f-e3f8a89fdd25"
M.KEY = M.CLUSTER .. "/app"

--- A record of a user with one password.
function M.example(user, text)
  return record.new {
    cluster_id = M.CLUSTER, user = user or "app", state = "idle", epoch = 3, owner = "team@example.com",
    current = { epoch = 3, password = core.secret(text or "correct-horse-battery"), set_at = 1700000000 },
  }
end

--- Defines the cases.
---@param it function of the spec file
---@param assert table of the spec file
---@param open fun(): table a store that is empty
function M.cases(it, assert, open)
  local CLUSTER, KEY, example = M.CLUSTER, M.KEY, M.example

  it("has no record at first, and says so without an error", function()
    local rec, err = open():get(KEY)
    assert.is_nil(rec)
    assert.is_nil(err)
  end)

  it("gives back what was put, password and metadata, to another handle as well", function()
    local s = open()
    local version = assert(s:put(KEY, example()))
    local rec, found = s:get(KEY)
    assert.equal(version, found)
    assert.equal("team@example.com", rec.owner)
    assert.equal(3, rec.current.epoch)
    assert.is_true(rec.current.password:equals "correct-horse-battery")
    assert.is_nil(rec.version)
  end)

  it("changes and removes a record only by its present version", function()
    local s = open()
    local v1 = assert(s:put(KEY, example()))
    local v2 = assert(s:put(KEY, example(nil, "second-password"), v1))
    assert.not_equal(v1, v2)
    local function lost(ok, err)
      assert.is_nil(ok)
      assert.equal("conflict", err.kind)
      assert.equal("version", err.reason)
    end
    lost(s:put(KEY, example(nil, "third-password"), v1))
    lost(s:put(KEY, example(nil, "third-password"), nil))
    lost(s:remove(KEY, v1))
    assert.is_true(s:get(KEY).current.password:equals "second-password")
    assert.is_true(s:remove(KEY, v2))
    assert.is_nil((s:get(KEY)))
    lost(s:put(KEY, example(), v2))
    assert(s:put(KEY, example()))
  end)

  it("makes a new version of each write, also of the same content", function()
    local s = open()
    local v1 = assert(s:put(KEY, example()))
    local v2 = assert(s:put(KEY, example(), v1))
    assert.not_equal(v1, v2)
    assert(s:remove(KEY, v2))
    local v3 = assert(s:put(KEY, example()))
    assert.is_true(v3 ~= v1 and v3 ~= v2)
  end)

  it("lists records by prefix, sorted, and no lease", function()
    local s = open()
    for _, user in ipairs { "zeta", "alpha", "alphabet", "0user.x-y", "ünïcode.name" } do
      assert(s:put(CLUSTER .. "/" .. user, example(user)))
    end
    local lock = assert(s:lock(KEY, "run"))
    assert.same({
      CLUSTER .. "/0user.x-y", CLUSTER .. "/alpha", CLUSTER .. "/alphabet", CLUSTER .. "/zeta", CLUSTER .. "/ünïcode.name",
    }, s:list(CLUSTER .. "/"))
    assert.same({ CLUSTER .. "/alpha", CLUSTER .. "/alphabet" }, s:list(CLUSTER .. "/alpha"))
    assert.equal(5, #s:list "")
    assert.same({}, s:list "another/")
    assert.equal("ünïcode.name", s:get(CLUSTER .. "/ünïcode.name").user)
    lock.close()
  end)

  it("lends a key to one holder at a time and names the other", function()
    local s = open()
    local lock = assert(s:lock(KEY, "run-one"))
    local second, err = s:lock(KEY, "run-two")
    assert.is_nil(second)
    assert.equal("busy", err.kind)
    assert.equal(7, err.exit)
    assert.truthy(err.message:find("run-one", 1, true))
    assert.is_number(tonumber((s:put(KEY, example()) and 1)))
    lock.close()
    lock:close()
    assert(s:lock(KEY, "run-two")).close()
  end)
end

return M
