local core = require "crdbcloud.core"
local passwords = require "crdbcloud.passwords"

local function code(err) return err and err.reason end

describe("passwords", function()
  describe("generate", function()
    it("makes a secret of 32 letters and digits that starts with a letter", function()
      local seen = {}
      for _ = 1, 50 do
        local password = passwords.generate()
        assert.is_true(core.is_secret(password))
        assert.equal("<secret 32 bytes>", tostring(password))
        local text = password:reveal()
        assert.truthy(text:match "^%a%w+$", "not base62")
        assert.is_nil(seen[text])
        seen[text] = true
        assert.is_true(passwords.check(password))
      end
    end)

    it("takes a length and an alphabet", function()
      local text = passwords.generate({ length = 12, alphabet = "ab" }):reveal()
      assert.truthy(text:match "^[ab]+$")
      assert.equal(12, #text)
      assert.equal(500, #passwords.generate { length = 500 })
    end)

    it("meets every class", function()
      for _ = 1, 30 do
        local text = passwords.generate({
          length = 12, alphabet = passwords.LOWER .. passwords.UPPER .. passwords.DIGITS .. "-_",
          classes = { passwords.LOWER, passwords.UPPER, passwords.DIGITS, "-_" },
        }):reveal()
        assert.truthy(text:match "%l" and text:match "%u" and text:match "%d" and text:match "[-_]")
        assert.truthy(text:match "^%a")
      end
    end)

    it("says at once that classes cannot be met", function()
      local password, err = passwords.generate { classes = { "$%" } }
      assert.is_nil(password)
      assert.equal("invalid_argument", err.kind)
      assert.equal("impossible", err.reason)
    end)

    local misuse = {
      ["too short"] = { { length = 11 }, "length must be a whole number from 12 to 500, got 11" },
      ["too long"] = { { length = 501 }, "length must be a whole number from 12 to 500, got 501" },
      ["a fraction"] = { { length = 20.5 }, "length must be a whole number" },
      ["a slip"] = { { lenght = 20 }, 'unknown option "lenght"; did you mean "length"?' },
      ["one character"] = { { alphabet = "a" }, "alphabet must be a string of at least 2 characters" },
      ["a repeated character"] = { { alphabet = "aba" }, 'alphabet holds "a" twice' },
      ["a space"] = { { alphabet = "a b" }, "printable ASCII characters other than space, got byte 0x20" },
      ["an umlaut"] = { { alphabet = "a\195\164" }, "printable ASCII" },
      ["classes as text"] = { { classes = "abc" }, "classes must be a list of strings" },
      ["an empty class"] = { { classes = { "" } }, "classes[1] must be a string of characters" },
      ["named classes"] = { { classes = { upper = "A" } }, "classes must be a list of strings, got the key upper" },
    }
    for title, case in pairs(misuse) do
      it("raises for " .. title, function()
        local ok, message = pcall(function() passwords.generate(case[1]) end)
        assert.is_false(ok)
        assert.truthy(message:find(case[2], 1, true), message)
        assert.truthy(message:find("passwords_spec.lua:", 1, true), message)
      end)
    end
  end)

  describe("check", function()
    local good = {
      "gX7mZp0QeR2t", "correct horse battery staple", "wobbly-kayak-sings-nightly", "aB3dE6gH9jKl", "x1!x2?x3#x4%zz",
      "\195\164\195\182\195\188\195\159\226\130\172kz",
      ("gX7mZp0QeR"):rep(50),
    }
    for _, text in ipairs(good) do
      it(("takes %s"):format(text:sub(1, 40)), function()
        assert.is_true(passwords.check(text))
        assert.is_true(passwords.check(core.secret(text)))
      end)
    end

    local bad = {
      { "", "empty" }, { "short", "short" }, { "gX7mZp0QeR2", "short" }, { ("gX7mZp0Qe"):rep(56), "long" },
      { "gX7mZp0QeR2t\n", "control" }, { "gX7mZp0Q\0eR2t", "control" }, { "gX7mZp0QeR2\255", "utf8" },
      { "SCRAM-SHA-256$10610:abc$def:ghi", "hash" }, { "scram-sha-256$x-x-x-x", "hash" },
      { "CRDB-BCRYPT$2a$10$abcdef", "hash" }, { "$2b$10$abcdefghijkl", "hash" },
      { "md5" .. ("0f"):rep(16), "hash" }, { "MD5" .. ("0F"):rep(16), "hash" },
      { "password1234", "common" }, { "Password2024!", "common" }, { "P@ssw0rd12345", "common" },
      { "passwordpassword", "common" }, { "cockroachdb!1", "common" }, { "letmeinletmein", "common" },
      { "qwertyuiop123", "common" }, { "asdfghjkl;12", "common" }, { "1q2w3e4r5t6y", "common" }, { "zaq12wsxcde3", "common" },
      { "aaaaaaaaaaaa", "common" }, { "123456789012", "common" }, { "098765432109", "common" }, { "abcdefghijkl", "common" },
      { "Admin@123456", "common" }, { "changeme-changeme", "common" }, { "correcthorsebatterystaple", "common" },
      { "production-password", "common" }, { "thisisapassword!", "common" }, { "!!!!!!!!!!!!", "common" },
    }
    for _, case in ipairs(bad) do
      it(("refuses %q as %s, as text and as secret"):format(case[1]:sub(1, 40), case[2]), function()
        for _, password in ipairs { case[1], core.secret(case[1]) } do
          local ok, err = passwords.check(password)
          assert.is_nil(ok)
          assert.equal(case[2], code(err))
          assert.equal("invalid_argument", err.kind)
          assert.equal("not_sent", err.outcome)
          if #case[1] > 5 then assert.is_nil((tostring(err) .. err:json()):find(case[1], 1, true)) end
        end
      end)
    end

    it("refuses the user's name in any case, alone or with digits and signs behind it", function()
      local user = "xenomorph_relay"
      for text, reason in pairs {
        xenomorph_relay = "name", Xenomorph_Relay = "common", xenomorph_relay1 = "common", ["xenomorph_relay-2024!"] = "common",
      } do
        for _, password in ipairs { text, core.secret(text) } do
          local ok, err = passwords.check(password, { user = user })
          assert.is_nil(ok)
          assert.equal(reason, code(err))
        end
      end
      for _, text in ipairs { "xenomorph_relay2x", "a-xenomorph_relay", "xenomorph_rela", "xenomorph_relay\195\164" } do
        assert.is_true(passwords.check(text, { user = user }), text)
      end
      assert.equal("name", code(select(2, passwords.check("administrator", { user = "administrator" }))))
    end)

    it("refuses words of the caller's in the same way", function()
      assert.is_true(passwords.check "quetzalcoatl-42")
      local _, err = passwords.check("quetzalcoatl-42", { words = { "tlaloc", "quetzalcoatl" } })
      assert.equal("common", code(err))
      assert.is_true(passwords.check("quetzalcoatl-42", { words = { "", "quetzal" } }))
    end)

    it("does not look at what the generator made, wherever it went since", function()
      local generated = passwords.generate { length = 12, alphabet = "aA", classes = { "a" } }
      local text = generated:reveal()
      assert.equal("name", code(select(2, passwords.check(text, { user = text }))))
      assert.is_true(passwords.check(generated, { user = text, words = { text } }))
      assert.is_true(passwords.check(core.take(core.lend(generated)), { user = text }))
      assert.equal("name", code(select(2, passwords.check(core.secret(text), { user = text }))), "a copy is not the generator's")
    end)

    it("raises for what is neither a string nor a secret, and does not show it", function()
      local ok, message = pcall(function() passwords.check(123456789012) end)
      assert.is_false(ok)
      assert.truthy(message:find("password must be a string or a secret, got a number", 1, true), message)
      assert.error_matches(function() passwords.check(nil) end, "got nothing")
      assert.error_matches(function() passwords.check("x", { usr = "a" }) end, 'did you mean "user"')
    end)
  end)
end)
