local core = require "crdbcloud.core"

local function take(document, ...)
  local rest, taken = core.json_take(core.secret(document), { ... })
  if not rest then return nil, taken end
  local values = {}
  for key, secret in pairs(taken) do
    assert(core.is_secret(secret))
    values[key] = secret:reveal()
  end
  return rest, values
end

describe("taking secrets out of a JSON object", function()
  it("leaves null in their place and every other byte", function()
    local rest, values = take(' { "user" : "app",\n"password":"s3cr3t" , "n":[1,{"password":"inner"}] } ', "password")
    assert.equal(' { "user" : "app",\n"password":null , "n":[1,{"password":"inner"}] } ', rest)
    assert.same({ password = "s3cr3t" }, values)
  end)

  it("decodes what is escaped", function()
    local _, values = take([[{"a":"\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00\u0000"}]], "a")
    assert.equal('"\\/\b\f\n\r\tA\195\169\240\159\152\128\0', values.a)
    assert.same({ a = "" }, select(2, take('{"a":""}', "a")))
  end)

  it("finds a key however it is spelt", function()
    local rest, values = take([[{"p\u0061ssword":"s3cr3t"}]], "password")
    assert.equal([[{"p\u0061ssword":null}]], rest)
    assert.same({ password = "s3cr3t" }, values)
  end)

  it("takes every occurrence of a key, and the last counts", function()
    local rest, values = take('{"a":"1","b":"2","a":"3"}', "a")
    assert.equal('{"a":null,"b":"2","a":null}', rest)
    assert.same({ a = "3" }, values)
  end)

  it("takes only strings, and only keys that were named", function()
    local document = '{"a":1,"b":null,"c":["x"],"d":"kept"}'
    local rest, values = take(document, "a", "b", "c", "e")
    assert.equal(document, rest)
    assert.same({}, values)
    assert.equal(document, (take(document)))
  end)

  it("refuses what is not one whole object", function()
    for _, document in ipairs { "", "null", "[]", '"password"', '{"password":"x"', '{"password":"x"}}', '{"password":"x"} x', '{"password":"\\x"}',
      '{"password":"\\ud8"}', "{password:1}", '{"a":"1",}' } do
      local rest, message = take(document, "password")
      assert.is_nil(rest)
      assert.equal("expected one whole JSON object", message)
    end
  end)

  it("takes a string or a secret and a list of keys", function()
    local function message_of(...)
      local ok, message = pcall(core.json_take, ...)
      assert.is_false(ok)
      return message
    end
    assert.equal('{"a":null}', (core.json_take('{"a":"b"}', { "a" })))
    assert.matches("document: expected a string or a secret, got number", message_of(1, {}))
    assert.matches("keys: expected a list of strings, got string", message_of("{}", "password"))
    assert.matches("keys: expected a string, got number", message_of("{}", { 1 }))
    local many = {}
    for i = 1, 33 do many[i] = "k" .. i end
    assert.matches("keys: expected at most 32", message_of("{}", many))
  end)
end)
