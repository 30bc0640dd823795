-- Tests lua/crdbcloud/base/keywords.lua.

local names = require "crdbcloud.names"

describe("names", function()
  describe("that are valid come back folded", function()
    local cases = {
      { "app", "app" }, { "App_User", "app_user" }, { "payment-service.v2", "payment-service.v2" }, { "_x", "_x" },
      { "7", "7" }, { "12345", "12345" }, { "a", "a" },
      { "\195\132RGER", "\195\164rger" }, -- upper-case umlaut
      { "a\204\136", "\195\164" }, -- decomposed umlaut to NFC
      { ("x"):rep(63), ("x"):rep(63) },
      { ("\195\164"):rep(31), ("\195\164"):rep(31) }, -- 62 bytes
      { "\196\176stanbul", "istanbul" }, -- Turkish capital dotted I
      { "pg", "pg" }, { "pgadmin", "pgadmin" }, { "rooter", "rooter" }, { "sso_eve", "sso_eve" },
      { "\209\142\209\128\208\184\208\185", "\209\142\209\128\208\184\208\185" }, -- Cyrillic lower case
    }
    for _, case in ipairs(cases) do
      it(("%s"):format(case[1]), function() assert.equal(case[2], names.check(case[1])) end)
    end
  end)

  describe("that are refused say why", function()
    local cases = {
      { "", "user name is empty" },
      { "my user", 'user name "my user" must not contain a space' },
      { " app", 'must not start with a space' },
      { "app ", "must not contain a space" },
      { "app\n", "must not contain the control character 0x0a" },
      { "a\0b", "must not contain the control character 0x00" },
      { "a$b", 'must not contain "$"' },
      { "a@b.com", 'must not contain "@"' },
      { "a/b", 'must not contain "/"' },
      { 'a"b', 'must not contain """' },
      { "a;b", 'must not contain ";"' },
      { "-a", 'must not start with "-"' },
      { ".a", 'must not start with "."' },
      { "\195\159\226\130\172", 'must not contain "\226\130\172"' }, -- sharp s is lower case, the euro sign no letter
      { "\231\148\168\230\136\183", 'must not start with "\231\148\168"' }, -- no lower-case letters in Han
      { ("x"):rep(64), "is 64 bytes long; the limit is 63" },
      { ("\195\164"):rep(32), "is 64 bytes long; the limit is 63" },
      { "a\255", "is not valid UTF-8" },
      { "root", 'user name "root" is reserved' }, { "admin", "reserved" }, { "Admin", "reserved" },
      { "PUBLIC", "reserved" }, { "none", "reserved" }, { "node", "reserved" },
      { "pg_monitor", "names that start with pg_ or crdb_internal" }, { "PG_x", "reserved" },
      { "crdb_internal_region", "names that start with pg_ or crdb_internal" }, { "crdb_internal", "reserved" },
    }
    for _, case in ipairs(cases) do
      it(("%q"):format(case[1]), function()
        local folded, err = names.check(case[1])
        assert.is_nil(folded)
        assert.equal("invalid_argument", err.kind)
        assert.equal("not_sent", err.outcome)
        assert.equal(2, err.exit)
        assert.truthy(err.hint)
        assert.truthy(err.message:find(case[2], 1, true), err.message)
        assert.is_nil(tostring(err):find "%c")
      end)
    end
  end)

  it("raise when they are no string, at the caller's line", function()
    for _, value in ipairs { 7, true, {} } do
      local ok, message = pcall(function() names.check(value) end)
      assert.is_false(ok)
      assert.truthy(message:find "names_spec.lua:%d+: user name must be a string, got ", message)
    end
    assert.has_error(function() names.check(nil) end)
  end)

  describe("fold", function()
    it("makes equal what the cluster takes for one user", function()
      assert.equal(names.fold "\195\132pp", names.fold "A\204\136PP")
    end)
    it("never fails", function()
      assert.equal("a\255b", names.fold "A\255B")
      assert.equal("", names.fold "")
    end)
  end)

  it("know what is protected", function()
    for _, name in ipairs { "root", "admin", "public", "none", "node", "pg_x", "crdb_internal", "crdb_internal_x" } do
      assert.is_true(names.is_protected(name), name)
    end
    for _, name in ipairs { "app", "rooty", "pg", "administrator", "crdb" } do assert.is_false(names.is_protected(name), name) end
  end)

  it("know users of single sign-on", function()
    assert.is_true(names.is_sso "sso_eve")
    assert.is_false(names.is_sso "ssoeve")
    assert.is_false(names.is_sso "app_sso_")
  end)

  it("note keywords of all three sets, which are allowed all the same", function()
    for _, word in ipairs { "select", "user", "current_user", "left", "between", "virtual", "string" } do
      assert.equal(word, names.check(word))
      assert.truthy(names.note(word):find(('"%s" is an SQL keyword'):format(word), 1, true))
    end
    for _, word in ipairs { "app", "selects", "password", "reporting" } do assert.is_nil(names.note(word)) end
  end)
end)
