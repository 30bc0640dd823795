local cjson = require "cjson"
local native = require "spec.support.native"
local temp = require "spec.support.temp"

teardown(temp.clean)

local program, input

setup(function()
  local dir = temp.dir()
  program = native.program("json_scan", { "base/json_scan", "base/buffer", "base/secret" }, "-fsanitize=address,undefined")
  input = dir .. "/input"
end)

-- Shape, members as {key, kind, value}, and how many proper prefixes pass for whole documents.
local function scan(text)
  temp.write(input, text)
  local output, status = temp.run(temp.quote(program) .. " <" .. temp.quote(input))
  assert(status == 0, output)
  local lines = {}
  for line in output:gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
  local members = {}
  for i = 2, #lines - 1 do members[#members + 1] = { lines[i]:match "^([^\t]*)\t(%a+)\t(.*)$" } end
  return lines[1], members, tonumber(lines[#lines])
end

describe("the JSON scanner", function()
  it("finds the members of an object at the top and at no other level", function()
    local shape, members = scan '{"code": 5,"message":"no \\"x\\"","details":[{"name":"inner","code":1}],"deep":{"a":{"name":"b"}},"n":null}\n'
    assert.equal("object", shape)
    assert.same({
      { "code", "other", "5" }, { "message", "string", 'no "x"' }, { "details", "other", '[{"name":"inner","code":1}]' },
      { "deep", "other", '{"a":{"name":"b"}}' }, { "n", "other", "null" },
    }, members)
  end)

  it("decodes strings as cjson does", function()
    for _, text in ipairs {
      [["plain"]], [["\"\\\/\b\f\r\t"]], [["\u0041\u00e9\u20ac"]], [["\ud834\udd1e"]], [["a\u005cb"]], '"\195\169\226\130\172"', '""',
    } do
      local _, members = scan('{"k":' .. text .. "}")
      assert.same({ { "k", "string", cjson.decode("[" .. text .. "]")[1] } }, members)
    end
  end)

  it("puts a mark in the place of a lone surrogate", function()
    local mark = "\239\191\189"
    for text, expected in pairs { ["\\ud834"] = mark, ["\\udd1ex"] = mark .. "x", ["\\ud834\\u0041"] = mark .. "A" } do
      assert.same({ { "k", "string", expected } }, (select(2, scan('{"k":"' .. text .. '"}'))))
    end
  end)

  it("does not decode escapes that are none", function()
    for _, text in ipairs { "\\x", "\\u12", "\\u12g4", "\\0" } do
      assert.same({ { "k", "malformed", "" } }, (select(2, scan('{"k":"' .. text .. '"}'))))
    end
  end)

  it("calls no part of an object a whole one", function()
    for _, text in ipairs {
      '{"users":[{"name":"a"},{"name":"b"}],"pagination":{"next_page":"x"}}', '{"a":{"b":[[],{}]}}', '{ "a" : -1.5e+3 , "b" : true }',
      [[{"a":"\\","b":"\"}"}]],
    } do
      local shape, _, prefixes = scan(text)
      assert.equal("object", shape)
      assert.equal(0, prefixes, text)
      assert.truthy(cjson.decode(text))
    end
  end)

  it("tells whole documents that are no object apart", function()
    for _, text in ipairs { "[]", "[1,[2,{}]]", '"x"', "0", "-7.5", "true", " null " } do assert.equal("other", (scan(text)), text) end
  end)

  it("calls everything else broken", function()
    for _, text in ipairs {
      "", " ", "{", "}", "[", "]", "{]", "[}", '{"a"}', '{"a":}', '{"a":1,}', "[1,]", "[,1]", '{"a" 1}', "{a:1}", '{"a":1}}', "{} {}", "[1 2]",
      "nul", "truex", '"', '"\\"', "<html>", "{1:2}", '{"a":1"b":2}', "-", "+1", ".5", '{"a":[}', ("["):rep(600) .. ("]"):rep(600),
    } do
      assert.equal("broken", (scan(text)), text)
    end
  end)

  it("goes 512 levels deep", function()
    assert.equal("other", (scan(("["):rep(512) .. ("]"):rep(512))))
    assert.equal("broken", (scan(("["):rep(513) .. ("]"):rep(513))))
  end)

  it("gives the members before a break", function()
    local shape, members = scan '{"code":13,"message":"lost","det'
    assert.equal("broken", shape)
    assert.same({ { "code", "other", "13" }, { "message", "string", "lost" } }, members)
  end)
end)
