-- The table of an account's settings showed the password of a proxy's URL.

local crdbcloud = require "crdbcloud"

describe("the settings of an account", function()
  it("show a proxy without its password", function()
    local cloud = assert(crdbcloud.new {
      api_key = "CCDB1_0123456789abcdefghijkl_0123456789abcdefghijklmnopqrstuvwxyzABCD",
      proxy = "http://me:my-proxy-password@127.0.0.1:3128",
    })
    assert.are.equal("http://127.0.0.1:3128", cloud.config.proxy)
    for _, value in pairs(cloud.config) do
      assert.is_nil(tostring(value):find("my-proxy-password", 1, true))
    end
    cloud:close()
  end)
end)
