local printing = require "crdbcloud.base.printing"

describe("printing", function()
  it("counts characters, not bytes", function()
    assert.equal(3, printing.width "aéz")
    assert.equal("aé>", printing.fit("aéxyz", 3))
    assert.equal("aéxyz", printing.fit("aéxyz", 5))
    assert.equal("aéxyz", printing.fit("aéxyz", nil))
  end)

  it("lets no control character of a foreign text through", function()
    assert.equal("a?[31mb?", printing.cell "a\27[31mb\127")
    assert.equal("3", printing.cell(3.0))
    assert.equal("0.5", printing.cell(0.5))
    assert.equal("", printing.cell(nil))
    for text, expected in pairs {
      ["é漢\240\159\152\128"] = "é漢\240\159\152\128", -- letters and pictures stay
      -- No width, a hidden hyphen, a tag, half of a pair.
      ["a\226\128\139b\239\187\191"] = "a?b?", ["\194\173"] = "?", ["\243\160\128\129x"] = "?x", ["\237\160\128"] = "???",
      ["a\194\155b"] = "a?b", ["\226\128\174abc"] = "?abc", ["\226\129\166"] = "?", ["\226\128\168"] = "?", -- CSI as one character, turned text, a line's end
      ["\226\128\147"] = "\226\128\147", -- a dash
      ["\155[2J"] = "?[2J", ["é\169x"] = "é?x", ["\226\128"] = "??", ["\255"] = "?", ["\192\175"] = "??", -- no UTF-8
    } do
      assert.equal(expected, printing.harmless(text))
      assert.equal(expected, printing.cell(text))
    end
  end)

  -- lua/crdbcloud/base/unseen.lua
  it("writes JSON that a terminal does not obey, and that is the same text", function()
    local json, cjson = require "crdbcloud.base.json", require "cjson"
    for _, text in ipairs { "a\194\155b", "\226\128\174nimda", "x\226\128\139y", "\243\160\128\129", "é漢\240\159\152\128" } do
      local encoded = json.encode { text = text }
      assert.are.equal(text, cjson.decode(encoded).text)
      assert.are.equal(text, encoded:find("é", 1, true) and text or cjson.decode(encoded:match "^[ -~]+$").text)
    end
    assert.are.equal('{"text":"a\\ufffd"}', json.encode { text = "a\255" })
  end)

  it("counts things in words", function()
    assert.equal("0 users", printing.count(0, "user"))
    assert.equal("1 user", printing.count(1, "user"))
    assert.equal("2 users", printing.count(2, "user"))
  end)

  describe("of a table", function()
    local columns, rows = { "USER", "NOTE" }, { { "app", "one two three four five six" }, { "b", "" } }

    it("folds nothing where there is no terminal", function()
      assert.equal("USER  NOTE\napp   one two three four five six\nb", printing.layout(columns, rows, nil))
    end)

    it("folds the last column beside the others where there is room", function()
      assert.equal("USER  NOTE\napp   one two three four five\n      six\nb", printing.layout(columns, rows, 30))
    end)

    it("folds it below them where there is none", function()
      assert.equal("USER  NOTE\napp\n    one two three four\n    five six\nb", printing.layout(columns, rows, 24))
    end)

    it("has no heading over nothing, where that would need a line", function()
      assert.equal("USER\napp\nb", printing.layout(columns, { { "app", "" }, { "b", "" } }, 8))
      assert.equal("USER  NOTE\napp\nb", printing.layout(columns, { { "app", "" }, { "b", "" } }, 30))
      assert.equal("USER  NOTE\napp", printing.layout(columns, { { "app", "" } }, nil))
    end)

    it("keeps every word", function()
      for limit = 5, 60 do
        local text = printing.layout(columns, rows, limit)
        for word in rows[1][2]:gmatch "%S+" do assert.truthy(text:find(word, 1, true), limit) end
        for line in text:gmatch "[^\n]+" do assert.is_true(#line <= math.max(limit, 10), limit .. ": " .. line) end
      end
    end)
  end)

  describe("of fields", function()
    it("puts one a line, nested ones below", function()
      assert.equal("name   x\na      1\nempty  none\nlist   1, 2\nsub\n  id  7", printing.fields {
        name = "x", a = 1, list = { 1, 2 }, empty = {}, sub = { id = 7 }, left_out = print,
      })
      assert.equal("(empty)", printing.fields {})
      assert.equal("-\n  a  1\n-\n  a  2", printing.fields { { a = 1 }, { a = 2 } })
    end)

    it("says what a number of seconds since 1970 is", function()
      assert.equal("set_at  1790000000 (2026-09-21 14:13:20Z)", printing.fields { set_at = 1790000000 })
      assert.equal("looked_at  7", printing.fields { looked_at = 7 })
      assert.equal("size  1790000000", printing.fields { size = 1790000000 })
    end)

    it("shows no text of a field that is there for a secret", function()
      assert.equal("password  (not shown)", printing.fields { password = "Typed-By-Hand-1" })
    end)

    it("ends in a value that holds itself", function()
      local value = {}
      value.again = value
      assert.truthy(printing.fields(value):find("again …", 1, true))
    end)

    it("lets what has a text of its own print that", function()
      local thing = setmetatable({}, { __tostring = function() return "<thing>" end })
      assert.equal("field  <thing>", printing.fields { field = thing })
    end)

    it("prints a secret as a secret", function()
      local secret = require "crdbcloud.core".secret "not-to-be-shown"
      assert.equal("password  <secret 15 bytes>", printing.fields { password = secret })
    end)
  end)

  it("gives a result its text and changes nothing else", function()
    local value = { a = 1 }
    assert.equal(value, printing.printed(value))
    assert.equal("a  1", tostring(value))
    assert.same({ a = 1 }, value)
  end)
end)
