local account = require "spec.support.account"
local core = require "crdbcloud.core"
local crdbcloud = require "crdbcloud"

-- Opens an account in a process of its own and prints it, or the error.
local function open(environment, options)
  return account.run(([[
    local crdbcloud = require "crdbcloud"
    local cloud, err = crdbcloud.new(%s)
    if cloud then
      print(cloud, cloud.config.ca_file, cloud.config.vanity_name, cloud.config.username)
    else
      print(err, err.exit, err.outcome)
    end
  ]]):format(options or ""), environment)
end

describe("the API key", function()
  local path

  before_each(function()
    path = os.tmpname()
    assert(core.write_file(path, "CCDB1_file_secret3\n"))
  end)
  after_each(function() os.remove(path) end)

  it("comes from COCKROACH_API_KEY", function()
    assert.truthy(open({ COCKROACH_API_KEY = "CCDB1_env_secret1" }):find("CCDB1_env%s"))
  end)

  it("comes from the file of COCKROACH_API_KEY_FILE", function()
    assert.truthy(open({ COCKROACH_API_KEY_FILE = path }):find("CCDB1_file%s"))
  end)

  it("comes from COCKROACH_API_JWT, with its organization and identity", function()
    local output = open { COCKROACH_API_JWT = "a.b.c", COCKROACH_VANITY_NAME = "acme", COCKROACH_USERNAME = "eve@example.com" }
    assert.truthy(output:find("\tacme\teve@example.com", 1, true), output)
  end)

  it("comes from an option rather than from the environment", function()
    local output = open({ COCKROACH_API_KEY = "CCDB1_env_secret1" }, '{ api_key = "CCDB1_option_secret2" }')
    assert.truthy(output:find "CCDB1_option%s", output)
    output = open({ COCKROACH_API_KEY = "CCDB1_env_secret1" }, ('{ api_key_file = "%s" }'):format(path))
    assert.truthy(output:find "CCDB1_file%s", output)
  end)

  it("may be a secret or a function that gives one", function()
    for _, key in ipairs {
      crdbcloud.secret "CCDB1_given_secret4", function() return "CCDB1_given_secret4" end,
      function() return crdbcloud.secret "CCDB1_given_secret4" end,
    } do
      local cloud = assert(crdbcloud.new { api_key = key })
      assert.truthy(tostring(cloud):find "CCDB1_given$")
      cloud:close()
    end
  end)

  it("is wiped when the account is closed, unless it is the caller's own secret", function()
    local given = crdbcloud.secret "CCDB1_given_secret4"
    for _, key in ipairs { given, "CCDB1_given_secret4", function() return "CCDB1_given_secret4" end, function() return given end } do
      local cloud = assert(crdbcloud.new { api_key = key })
      local held = cloud._account.secret
      cloud:close()
      assert.equal(rawequal(held, given), (pcall(held.reveal, held)))
    end
    assert.equal("CCDB1_given_secret4", given:reveal())
    local cloud = assert(crdbcloud.new { api_key_file = path })
    local old = cloud._account.secret
    assert(core.write_file(path, "CCDB1_file_secret9\n"))
    assert.is_true(cloud._account:read_key_again())
    assert.is_false((pcall(old.reveal, old)))
    assert.truthy(tostring(cloud):find("CCDB1_file", 1, true))
    cloud:close()
  end)

  it("is never shown beyond its id", function()
    for _, environment in ipairs { { COCKROACH_API_KEY = "CCDB1_env_secret1" }, { COCKROACH_API_KEY = "some secret1 with spaces" } } do
      assert.is_nil(open(environment):find("secret1", 1, true))
    end
  end)

  it("is missed with a hint", function()
    local output = open {}
    assert.truthy(output:find("no API key (unauthenticated, not sent)", 1, true), output)
    assert.truthy(output:find("COCKROACH_API_KEY_FILE", 1, true), output)
    assert.truthy(output:find("\t4\tnot_sent", 1, true), output)
    assert.truthy(open({ COCKROACH_API_KEY = "", COCKROACH_API_KEY_FILE = "" }):find "no API key")
  end)

  it("is explained when its file cannot be used", function()
    local missing = open { COCKROACH_API_KEY_FILE = path .. ".none" }
    assert.truthy(missing:find("cannot read the API key from " .. path .. ".none (COCKROACH_API_KEY_FILE)", 1, true), missing)
    assert(core.write_file(path, "CCDB1_file_secret3\n", { mode = 420 }))
    local open_to_all = open { COCKROACH_API_KEY_FILE = path }
    assert.truthy(open_to_all:find("chmod 600 " .. path, 1, true), open_to_all)
    assert.is_nil(open_to_all:find("secret3", 1, true))
  end)

  it("is explained when it cannot be one", function()
    local output = open { COCKROACH_API_KEY = "two words" }
    assert.truthy(output:find("the API key from COCKROACH_API_KEY cannot be one", 1, true), output)
    assert.truthy(output:find("\t4\tnot_sent", 1, true), output)
  end)

  it("is explained when its function fails", function()
    for words, fn in pairs {
      ["the vault is sealed"] = function() error "the vault is sealed" end,
      ["not today"] = function() return nil, "not today" end,
      ["it returned nothing"] = function() end,
      ["it must return a string or a secret, got 7"] = function() return 7 end,
      ["it is empty"] = function() return "" end,
    } do
      local cloud, err = crdbcloud.new { api_key = fn }
      assert.is_nil(cloud)
      assert.equal("unauthenticated", err.kind)
      assert.truthy(err.message:find("cannot read the API key from the function api_key", 1, true), err.message)
      assert.truthy(err.message:find(words, 1, true), err.message)
    end
  end)

  it("is given in one way only", function()
    local _, message = pcall(function() crdbcloud.new { api_key = "x", api_key_file = "/y" } end)
    assert.truthy(message:find "keys_spec.lua:%d+: crdbcloud.new: give only one of api_key, api_key_file", message)
  end)
end)

describe("the surroundings", function()
  local key = "CCDB1_env_secret1"

  it("name the server and its authorities", function()
    local path = os.tmpname()
    local output = open { COCKROACH_API_KEY = key, COCKROACH_SERVER = "http://127.0.0.1:4000", CRDBCLOUD_CA_FILE = path }
    os.remove(path)
    assert.truthy(output:find("crdbcloud.cloud http://127.0.0.1:4000 CCDB1_env\t" .. path, 1, true), output)
  end)

  it("are blamed by name for what cannot be used", function()
    local output = open { COCKROACH_API_KEY = key, COCKROACH_SERVER = "http://example.com" }
    assert.truthy(output:find("base_url comes from COCKROACH_SERVER", 1, true), output)
    assert.truthy(output:find("\t2\tnot_sent", 1, true), output)
    output = open { COCKROACH_API_KEY = key, CRDBCLOUD_CA_FILE = "/nowhere/ca.pem" }
    assert.truthy(output:find("/nowhere/ca.pem", 1, true), output)
    assert.truthy(output:find("\t2\tnot_sent", 1, true), output)
  end)

  it("do not choose a proxy", function()
    local output = account.run([[
      local cloud = require "crdbcloud".new { max_attempts = 1 }
      local _, err = cloud:get_cluster("35c4abb2-bb66-46d7-afed-25ebef5ed2aa")
      print(err.kind, err.reason)
    ]], {
      COCKROACH_API_KEY = key, COCKROACH_SERVER = "https://127.0.0.1:1", https_proxy = "http://127.0.0.1:2", HTTPS_PROXY = "http://127.0.0.1:2",
      ALL_PROXY = "http://127.0.0.1:2",
    })
    assert.equal("network\tconnect\n", output)
  end)
end)
