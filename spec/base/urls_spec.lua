local core = require "crdbcloud.core"
local urls = require "crdbcloud.base.urls"

describe("connection strings", function()
  -- Text, whether it has a password, how it is shown.
  local cases = {
    { "file:/var/lib/crdbcloud", false },
    { "memory:", false },
    { "postgresql://app@host:26257/db?sslmode=verify-full", false },
    { "postgresql://app:@host/db", false },
    { "postgresql://app:hidden@host:26257/db", true, "postgresql://app@host:26257/db" },
    { "postgresql://app:hid%3Aden@host/db?x=y", true, "postgresql://app@host/db" },
    { "postgresql://app@host/db?password=hidden", true, "postgresql://app@host/db" },
    { "postgresql:///db?host=h&password=hidden", true, "postgresql:…" },
    { "host=h user=u password = hidden", true, "…" },
    { "host=h sslpassword=hidden", true, "…" },
    { "http://someone:hidden@127.0.0.1:3128", true, "http://someone@127.0.0.1:3128" },
    { "exec:/usr/bin/store --file passwords", false },
  }
  for _, case in ipairs(cases) do
    it("are shown without a password: " .. case[1], function()
      assert.equal(case[2], urls.has_password(case[1]))
      assert.equal(case[3] or case[1], urls.shown(case[1]))
      assert.is_nil(urls.shown(case[1]):find("hid", 1, true))
      local kept = urls.hidden(case[1])
      assert.equal(case[2], type(kept) == "userdata" and core.is_secret(kept))
      assert.equal(case[1], urls.text(kept))
    end)
  end

  it("leave what is no string as it is", function()
    local object = {}
    assert.equal(object, urls.hidden(object))
    assert.equal(object, urls.text(object))
    assert.is_nil(urls.hidden(nil))
  end)

  it("name their user", function()
    assert.equal("an admin", urls.user "postgresql://an%20admin:x@host/db")
    assert.equal("app", urls.user "postgres://app@host")
    assert.is_nil(urls.user "host=h user=u")
  end)
end)
