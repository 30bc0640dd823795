local versions = require "crdbcloud.privileges.versions"

describe("crdbcloud.privileges.versions", function()
  it("knows what came to older series later", function()
    for _, case in ipairs {
      { "22.2.19", false }, { "23.1.28", false }, { "23.1.29", true }, { "23.2.15", false }, { "23.2.16", true }, { "24.1.6", false },
      { "24.1.7", true }, { "24.2.4", false }, { "24.2.5", true }, { "24.3.0", true }, { "25.1.0", true }, { "26.1.0-alpha.1", true },
    } do
      local answer = ("CockroachDB CCL v%s (x86_64-pc-linux-gnu, built 2025/06/01)"):format(case[1])
      assert.equal(case[2], versions.since(answer, versions.ADMIN_FOR_ROLE), case[1])
    end
  end)

  it("knows nothing of a version that it cannot read", function()
    assert.is_nil(versions.since("CockroachDB CCL unknown", versions.SHOWS_PUBLIC))
    assert.is_nil(versions.since("PostgreSQL 15.4", versions.SHOWS_PUBLIC))
    assert.is_nil(versions.since(nil, versions.SHOWS_PUBLIC))
  end)

  it("names the version as the server does", function()
    assert.equal("v25.2.1", versions.of "CockroachDB CCL v25.2.1 (x86_64-pc-linux-gnu)")
  end)
end)
