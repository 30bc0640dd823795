local answers = require "crdbcloud.api.answers"
local cjson = require "cjson"

describe("answers", function()
  it("lose every null, in objects and in lists", function()
    local document = assert(answers.decode('{"a":null,"b":{"c":null,"d":1},"e":[null,1,null,{"f":null},2]}', "op"))
    assert.same({ b = { d = 1 }, e = { 1, {}, 2 } }, document)
  end)

  it("keep false, zero and empty texts", function()
    assert.same({ a = false, b = 0, c = "", d = { false, 0 } }, answers.decode('{"a":false,"b":0,"c":"","d":[false,0]}', "op"))
  end)

  it("may be empty", function()
    assert.same({}, answers.decode(nil, "op"))
    assert.same({}, answers.decode("", "op"))
    assert.same({}, answers.decode(" \n", "op"))
  end)

  it("print as their fields", function()
    assert.equal("name    x\nstates  1, 2\nregion\n  name  y", tostring(answers.decode('{"name":"x","region":{"name":"y"},"states":[1,2]}', "op")))
  end)

  for _, text in ipairs { "{", "null", "7", '"x"', "<html>", '{"a":nan}', ("["):rep(100) .. ("]"):rep(100), "{} {}" } do
    it(("are refused when they are %s"):format(text:sub(1, 20)), function()
      local document, err = answers.decode(text, "list_sql_users")
      assert.is_nil(document)
      assert.equal("protocol", err.kind)
      assert.equal("list_sql_users", err.operation)
      assert.is_nil(err.outcome)
    end)
  end

  it("do not change how others use lua-cjson", function()
    answers.decode("{}", "op")
    assert.has_no_error(function() cjson.decode(("["):rep(100) .. ("]"):rep(100)) end)
  end)

  describe("of listings", function()
    it("give their items, or none", function()
      assert.same({ { name = "a" } }, answers.items({ users = { { name = "a" } } }, "users", "name", "op"))
      assert.same({}, answers.items({}, "users", "name", "op"))
      assert.same({}, answers.items({ users = {} }, "users", "name", "op"))
    end)

    for title, document in pairs {
      ["a text"] = { users = "a" }, ["an object"] = { users = { name = "a" } }, ["texts"] = { users = { "a" } },
      ["items without a name"] = { users = { { name = "a" }, { id = 1 } } }, ["names that are none"] = { users = { { name = 7 } } },
    } do
      it("are refused with " .. title, function()
        local items, err = answers.items(document, "users", "name", "list_sql_users")
        assert.is_nil(items)
        assert.equal("protocol", err.kind)
      end)
    end
  end)

  it("encode request bodies", function()
    assert.equal('{"name":"x"}', answers.encode { name = "x" })
    local text, problem = answers.encode { f = print }
    assert.is_nil(text)
    assert.is_string(problem)
  end)
end)
