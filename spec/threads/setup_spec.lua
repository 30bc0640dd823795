local account = require "spec.support.account"
local core = require "crdbcloud.core"
local cjson = require "cjson"
local crdbcloud = require "crdbcloud"
local sandbox = require "spec.support.sandbox"
local setups = require "crdbcloud.threads.setup"
local temp = require "spec.support.temp"
local worker = require "crdbcloud.threads.worker"

local function nothing() end

describe("an account that goes into another thread", function()
  local s
  before_each(function()
    s = sandbox.shared()
    s:clear()
  end)

  local function new(options)
    local all = { base_url = s.url, ca_file = s.ca_file, rate = 0 }
    for k, v in pairs(options) do all[k] = v end
    local cloud = assert(crdbcloud.new(all))
    finally(function() cloud:close() end)
    return cloud
  end

  -- Packs, as text on its way, and opens.
  local function carried(cloud, on_event, ask)
    local data = assert(setups.pack_account(cloud._account))
    local text = cjson.encode(data)
    local copy = worker.open_account(cjson.decode(text), on_event or nothing, ask or nothing)
    finally(function() copy:close() end)
    return copy, text
  end

  it("is the same account, with the same budget and limits", function()
    local cloud = new {
      api_key_file = s.keys.admin, timeout = "11s", connect_timeout = 0.25, deadline = "20m", max_attempts = 2, rate = 7.5,
      user_agent = "spec", account = "mine",
    }
    local copy = carried(cloud)
    assert.equal(tostring(cloud), tostring(copy))
    assert.equal("mine", copy:account())
    for name, value in pairs(cloud.config) do assert.equal(value, copy.config[name], name) end
    assert(copy:get_cluster(s.cluster_id))
  end)

  it("has its secrets in tickets, not in the data", function()
    local key = (temp.read(s.keys.admin):gsub("%s+$", ""))
    local cloud = new { api_key = key, proxy = "http://me:hidden@127.0.0.1:9" }
    local copy, text = carried(cloud)
    assert.is_nil(text:find(key:match "[^_]+$", 1, true))
    assert.is_nil(text:find("hidden", 1, true))
    assert.equal(cloud.config.proxy, copy.config.proxy)
    assert.has_error(function() worker.open_account(cjson.decode(text), nothing, nothing) end) -- a ticket is good once
  end)

  it("says of a refused key where it first came from", function()
    local copy = carried(new { api_key_file = s.keys.invalid }, nil, function() return core.secret_from_file(s.keys.invalid) end)
    local _, err = copy:get_cluster(s.cluster_id)
    assert.equal("unauthenticated", err.kind)
    assert.matches(s.keys.invalid, tostring(err), 1, true)
  end)

  it("asks for another key after a 401 where the first could be read again", function()
    local asked = 0
    local copy = carried(new { api_key = function() return core.secret_from_file(s.keys.invalid) end }, nil, function()
      asked = asked + 1
      return core.secret_from_file(s.keys.admin)
    end)
    assert(copy:get_cluster(s.cluster_id))
    assert.equal(1, asked)
    asked = 0
    copy = carried(new { api_key = assert(core.secret_from_file(s.keys.invalid)) }, nil, function() asked = asked + 1 end)
    assert.equal("unauthenticated", (select(2, copy:get_cluster(s.cluster_id))).kind)
    assert.equal(0, asked)
  end)

  it("has its key read again once for all threads that were refused with the same one", function()
    local calls, names = 0, { "admin", "other", "creator" }
    local cloud = new {
      api_key = function()
        calls = calls + 1
        return core.secret_from_file(s.keys[names[calls]])
      end,
    }
    local function renewed(seen)
      local ticket, times = assert(setups.renew(cloud._account, seen))
      return assert(core.take(ticket)), times
    end
    local other = assert(core.secret_from_file(s.keys.other))
    for _ = 1, 3 do -- three threads, all with the first key
      local key, times = renewed(0)
      assert.is_true(key:equals(other))
      assert.equal(1, times)
    end
    assert.equal(2, calls)
    assert.equal(2, (select(2, renewed(1))))
    assert.equal(3, calls)
    local ticket, err = setups.renew(cloud._account, 2) -- the function has no more
    assert.is_nil(ticket)
    assert.equal("unauthenticated", err.kind)
  end)

  it("tells events only where somebody listens", function()
    local heard = {}
    local function hear(event) heard[#heard + 1] = event.operation end
    carried(new { api_key_file = s.keys.admin }, hear):get_cluster(s.cluster_id)
    assert.same({}, heard)
    carried(new { api_key_file = s.keys.admin, on_event = nothing }, hear):get_cluster(s.cluster_id)
    assert.same({ "get_cluster" }, heard)
    assert.equal(2, #account.sent(s, "get_cluster"))
  end)
end)
