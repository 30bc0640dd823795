local address = require "crdbcloud.base.address"

describe("the address of a cluster", function()
  it("is taken as the API gives it", function()
    assert.are.same({ host = "free-tier.aws.cockroachlabs.cloud", port = 26257, database = "defaultdb", sslmode = "verify-full" },
      address.of_params { Host = "free-tier.aws.cockroachlabs.cloud", Port = "26257" })
    for _, host in ipairs { "localhost", "127.0.0.1", "::1", "fe80::1%eth0", "a-b.c_d" } do
      assert.are.equal(host, (assert(address.of_params { Host = host, Port = 5432, Database = "shop" })).host)
    end
    assert.are.equal(5432, (assert(address.of_params { Host = "h", Port = 5432.0, Database = "größe" })).port)
  end)

  it("is none with a host, port or database that cannot be one", function()
    for _, host in ipairs { "", "a b", "a/b", "..", "a..b", "h\0x", "h\27[2J", "h:5432:x y", "-o", "user@host", "/run/postgresql",
      ("x"):rep(4000), "h\226\128\174", "\255", 12, true, {} } do
      assert.is_nil((address.of_params { Host = host, Port = "26257" }), tostring(host))
    end
    assert.is_nil((address.of_params { Port = "26257" }))
    for _, port in ipairs { "12.5", 12.5, "99999999999", 99999999999, 0, "0", "-1", 65536, "0x10", " 26257", "1e3", "", {}, true, 0 / 0, math.huge } do
      assert.is_nil((address.of_params { Host = "h", Port = port }), tostring(port))
    end
    for _, database in ipairs { "", "a\nb", "a\0b", "\226\128\174", ("x"):rep(4000), "\255", 7, {}, true } do
      assert.is_nil((address.of_params { Host = "h", Port = 1, Database = database }), tostring(database))
    end
  end)

  it("of a record may be a directory of sockets, and is plain text", function()
    assert.is_nil(address.problem { host = "/run/postgresql", port = 5432, database = "shop", sslmode = "disable" })
    assert.truthy(address.problem { host = "/run\n", port = 5432 })
    assert.truthy(address.problem { host = "h", port = "5432" })
    assert.truthy(address.problem { host = "h", port = 1, sslmode = "verify-full&host=x" })
  end)
end)
