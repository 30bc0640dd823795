local core = require "crdbcloud.core"
local crdbcloud = require "crdbcloud"
local account = require "spec.support.account"

describe("crdbcloud.secret", function()
  it("makes a secret of a text", function()
    local secret = crdbcloud.secret "swordfish"
    assert.equal("<secret 9 bytes>", tostring(secret))
    assert.equal("swordfish", secret:reveal())
    assert.is_true(crdbcloud.secret.is(secret))
    assert.is_false(crdbcloud.secret.is "swordfish")
  end)

  it("raises for what is no text, at the caller's line", function()
    for _, value in ipairs { 7, true, {} } do
      local _, message = pcall(function() crdbcloud.secret(value) end)
      assert.truthy(message:find "secrets_spec.lua:%d+: crdbcloud.secret: text must be a string, got ", message)
    end
    assert.has_error(function() crdbcloud.secret() end)
  end)

  describe("from_file", function()
    local path
    before_each(function() path = os.tmpname() end)
    after_each(function() os.remove(path) end)

    it("drops one newline at the end", function()
      assert(core.write_file(path, "swordfish\n\n"))
      assert.equal("swordfish\n", assert(crdbcloud.secret.from_file(path)):reveal())
    end)

    it("refuses a file that others can read, and says how to mend it", function()
      assert(core.write_file(path, "swordfish", { mode = 420 }))
      local secret, err = crdbcloud.secret.from_file(path)
      assert.is_nil(secret)
      assert.equal("invalid_argument", err.kind)
      assert.equal("mode", err.reason)
      assert.truthy(err.hint:find("chmod 600 " .. path, 1, true))
      assert.is_nil(tostring(err):find("swordfish", 1, true))
    end)

    it("says which file is missing", function()
      local secret, err = crdbcloud.secret.from_file(path .. ".none")
      assert.is_nil(secret)
      assert.equal("ENOENT", err.reason)
      assert.truthy(err.message:find(path .. ".none", 1, true), err.message)
    end)

    it("raises without a path", function()
      assert.error_matches(function() crdbcloud.secret.from_file() end, "path must be a string that is not empty, got nothing")
      assert.error_matches(function() crdbcloud.secret.from_file "" end, "path must be a string that is not empty")
    end)
  end)

  it("comes from the environment", function()
    local output = account.run([[
      local secret = require "crdbcloud".secret
      print(assert(secret.from_env "SPEC_SECRET"):reveal())
      print(select(2, secret.from_env "SPEC_NO_SECRET"))
    ]], { SPEC_SECRET = "swordfish" })
    assert.truthy(output:find "^swordfish\n", output)
    assert.truthy(output:find("SPEC_NO_SECRET", 1, true), output)
  end)

  it("needs a terminal to be asked for", function()
    local pipe = assert(io.popen("setsid true 2>/dev/null && echo yes"))
    local can_detach = pipe:read "*l" == "yes"
    pipe:close()
    assert.is_true(can_detach)
    local file = os.tmpname()
    local handle = assert(io.open(file, "w"))
    handle:write [[local s, err = require "crdbcloud".secret.prompt "Key: " print(s, err.kind, err.hint)]]
    handle:close()
    local run = assert(io.popen(("setsid -w %s %s 2>&1 </dev/null"):format(rawget(_G, "jit") and "luajit" or "lua5.4", file)))
    local output = run:read "*a"
    run:close()
    os.remove(file)
    assert.truthy(output:find("nil\tinvalid_argument\twithout a terminal", 1, true), output)
  end)

  it("of() copies a string and passes a secret on", function()
    local secret = crdbcloud.secret "swordfish"
    assert.equal(secret, crdbcloud.secret.of(secret, "key"))
    assert.is_true(crdbcloud.secret.of("swordfish", "key"):equals(secret))
    assert.error_matches(function() crdbcloud.secret.of(7, "key") end, "key must be a string or a secret, got 7")
  end)
end)
