-- Tests csrc/lua/pq_parse.c.

local core = require "crdbcloud.core"
local pq = require "crdbcloud.pq"

local function raised(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  return (tostring(message):gsub("^[^:]+:%d+: ", ""))
end

describe("crdbcloud.pq.parse", function()
  it("reads a URL, with the password as a secret", function()
    local fields = assert(pq.parse "postgresql://us%40er:p%2Fw%3F@db.example:26257/shop?sslmode=verify-full&application_name=x")
    assert.is_true(core.is_secret(fields.password))
    assert.is_true(fields.password:equals "p/w?")
    fields.password = nil
    assert.same({ user = "us@er", host = "db.example", port = "26257", dbname = "shop", sslmode = "verify-full", application_name = "x" }, fields)
  end)

  it("reads a connection string, and either from a secret", function()
    assert.same({ host = "h", user = "u" }, pq.parse "host=h user=u")
    assert.is_true(assert(pq.parse(core.secret "postgres://u:word@h")).password:equals "word")
  end)

  it("says what is wrong without quoting anything", function()
    for url, words in pairs {
      ["postgresql://u:hunter2@h/d?hunter2"] = "missing key/value separator",
      ["postgresql://u:hunt%er2@h/d"] = "invalid percent-encoded token",
      ["postgresql://u:hunter2@h/d?hunter2=1"] = "invalid URI query parameter",
      ["hunter2"] = "missing",
      ["postgresql://u@h/d\0"] = "it holds a NUL byte",
    } do
      local fields, problem = pq.parse(url)
      assert.is_nil(fields)
      assert.truthy(problem:find(words, 1, true), problem)
      assert.is_nil(problem:find "hunt")
    end
  end)

  it("refuses what is no text", function()
    assert.equal("url: expected a string or a secret, got table", raised(pq.parse, {}))
    assert.equal("url: expected a string or a secret, got nothing", raised(pq.parse))
  end)
end)
