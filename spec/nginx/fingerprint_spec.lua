local core = require "crdbcloud.core"
local temp = require "spec.support.temp"

describe("a fingerprint", function()
  it("is the same for the same bytes, as text and as a secret, and differs for others", function()
    local print = core.fingerprint "abc"
    assert.matches("^" .. ("%x"):rep(64) .. "$", print)
    assert.equal(print, core.fingerprint(core.secret "abc"))
    for _, other in ipairs { "", "ab", "abcd", "abc\0", "\0abc" } do assert.are_not.equal(print, core.fingerprint(other)) end
    assert.equal(core.fingerprint(("x"):rep(100000)), core.fingerprint(core.secret(("x"):rep(100000))))
  end)

  it("means nothing in another process", function()
    local other = temp.run(temp.lua "io.write(core.fingerprint 'abc')")
    assert.equal(64, #other)
    assert.are_not.equal(other, core.fingerprint "abc")
  end)

  it("is of a string or a secret that can be read", function()
    local function message_of(...) return select(2, pcall(core.fingerprint, ...)) end
    local closed = core.secret "x"
    closed:close()
    assert.matches("secret is closed", message_of(closed))
    assert.matches("fingerprint: expected a string or a secret, got number", message_of(1))
    assert.matches("fingerprint: expected", message_of())
    assert.matches("too many arguments", message_of("a", "b"))
  end)
end)
