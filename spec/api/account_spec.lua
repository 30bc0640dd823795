local account = require "spec.support.account"
local accounts = require "crdbcloud.api.account"
local sandbox = require "spec.support.sandbox"

describe("an API account", function()
  local s, cloud, id

  setup(function()
    s = sandbox.shared()
    id = s.cluster_id
  end)
  before_each(function()
    s:clear()
    cloud = account.open(s)
  end)
  after_each(function() cloud:close() end)

  it("prints server and key id, never the secret part", function()
    local handle = assert(io.open(s.keys.admin))
    local key = handle:read "*l"
    handle:close()
    local shown = tostring(cloud)
    assert.equal(("crdbcloud.cloud %s %s"):format(s.url, key:match "^(CCDB1_%w+)_"), shown)
    assert.is_nil(shown:find(key:match "_(%w+)$", 1, true))
  end)

  it("holds no secret as a string", function()
    for _, value in pairs(cloud._account) do assert.is_true(type(value) ~= "string" or not value:find "CCDB1_%w+_%w") end
    for _, value in pairs(cloud.config) do assert.is_true(type(value) ~= "string" or not value:find "CCDB1_%w+_%w") end
  end)

  it("closes twice, and says so when it is used afterwards", function()
    cloud:close()
    cloud:close()
    assert.truthy(tostring(cloud):find "%(closed%)$")
    local _, message = pcall(function() cloud:list_sql_users(id) end)
    assert.truthy(message:find "account_spec.lua:%d+: .*the account is closed", message)
  end)

  it("shares a budget with what has the same server and key", function()
    local other = account.open(s)
    assert.equal(cloud:account(), other:account())
    assert.not_equal(cloud:account(), account.open(s, { key = "other" }):account())
    assert.equal("mine", account.open(s, { account = "mine" }):account())
    other:close()
  end)

  it("takes a JWT with the name of its organization", function()
    local handle = assert(io.open(s.keys.jwt))
    local token = handle:read "*l"
    handle:close()
    local jwt = account.open(s, { api_jwt = token, vanity_name = "sandbox-org" })
    assert(jwt:list_sql_users(id))
    jwt:close()
  end)

  it("has its defaults in one table", function()
    local plain = assert(accounts.new { api_key = "CCDB1_x_y" })
    local wanted = {
      base_url = "https://cockroachlabs.cloud", api_version = "2024-09-16", timeout = 30, connect_timeout = 10,
      deadline = 120, max_attempts = 4, rate = 10,
    }
    for name, value in pairs(wanted) do assert.equal(value, plain.config[name]) end
    plain:close()
  end)
end)
