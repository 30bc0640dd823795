local core = require "crdbcloud.core"

describe("a member of a JSON document", function()
  local function member(text, key) return core.json_member(core.secret(text), key) end

  it("is given as it is written, unless it is a string: those may be secrets", function()
    local text = '{"a": {"b": [1, "x"]}, "n" : -1.5e3, "t":true, "z":null, "s":"secret", "l":[ {} ]}'
    assert.equal('{"b": [1, "x"]}', member(text, "a"))
    assert.equal("-1.5e3", member(text, "n"))
    assert.equal("true", member(text, "t"))
    assert.equal("null", member(text, "z"))
    assert.equal("[ {} ]", member(text, "l"))
    assert.is_nil(member(text, "s"))
    assert.is_nil(member(text, "b"))
    assert.is_nil(member(text, "missing"))
  end)

  it("is the last of that name", function()
    assert.equal("2", member('{"a":1,"a":2}', "a"))
  end)

  it("is found in whole objects only", function()
    for _, text in ipairs { "", "[]", '"a"', '{"a":1', '{"a":1}}', "{a:1}", "null" } do assert.is_nil(member(text, "a"), text) end
  end)

  it("is asked for by a string, of a string or a secret", function()
    assert.has_error(function() core.json_member({}, "a") end)
    assert.has_error(function() core.json_member("{}", 1) end)
    assert.equal("1", core.json_member('{"a":1}', "a"))
  end)
end)
