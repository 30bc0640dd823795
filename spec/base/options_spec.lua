local options = require "crdbcloud.base.options"
local core = require "crdbcloud.core"

describe("options", function()
  local allowed = {
    timeout = "limit", max_age = "duration", rate = "number", count = "count", level = "integer", api_key = "text|secret",
    flag = "boolean", list = "table", on_event = "function", any = true, token = "secret", note = "string", reason = "line",
  }
  local function check(given) return options.check(allowed, given, "cloud:call") end

  it("come back as a copy with durations in seconds", function()
    local given = { timeout = "5s", max_age = "90d", any = 1, flag = false, reason = "caf\195\169" }
    local copy = check(given)
    assert.same({ timeout = 5, max_age = 90 * 86400, any = 1, flag = false, reason = "caf\195\169" }, copy)
    assert.equal("5s", given.timeout)
  end)

  it("may be left out", function()
    assert.same({}, check(nil))
    assert.same({}, check {})
  end)

  local refused = {
    ["a slip"] = { { time_out = 1 }, 'cloud:call: unknown option "time_out"; did you mean "timeout"?' },
    ["a swap"] = { { tiemout = 1 }, 'did you mean "timeout"?' },
    ["a dash"] = { { ["max-age"] = 1 }, 'did you mean "max_age"?' },
    ["a part"] = { { key = "x" }, 'did you mean "api_key"?' },
    ["capitals"] = { { Timeout = 1 }, 'did you mean "timeout"?' },
    ["something else"] = { { zzzzzzzz = 1 }, "valid: any, api_key, count" },
    ["a position"] = { { "x" }, "options have names, got [1]" },
    ["a text for options"] = { "x", 'cloud:call: options must be a table, got a string' },
    ["a wrong type"] = { { flag = "yes" }, 'cloud:call: flag must be true or false, got "yes"' },
    ["an empty text"] = { { api_key = "" }, "api_key must be a string that is not empty or a secret, got a string" },
    ["two lines"] = { { reason = "a\nb" }, "reason must be one line of UTF-8 text, at most 1000 bytes, got " },
    ["bytes that are no UTF-8"] = { { reason = "caf\233" }, "reason must be one line of UTF-8 text" },
    ["a very long line"] = { { reason = ("x"):rep(1001) }, "reason must be one line of UTF-8 text" },
    ["a fraction"] = { { level = 3.7 }, "level must be a whole number, got 3.7" },
    ["zero for a count"] = { { count = 0 }, "count must be a whole number from 1, got 0" },
    ["not a number"] = { { rate = 0 / 0 }, "rate must be a number" },
    ["a table for a function"] = { { on_event = {} }, "on_event must be a function, got a table" },
    ["milliseconds"] = { { timeout = 30000 }, "cloud:call: timeout = 30000 is in seconds" },
  }
  for title, case in pairs(refused) do
    it("refuse " .. title .. " at the caller's line", function()
      local line = debug.getinfo(1, "l").currentline + 1
      local ok, message = pcall(function() check(case[1]) end)
      assert.is_false(ok)
      assert.truthy(message:find(case[2], 1, true), message)
      assert.truthy(message:find(("options_spec.lua:%d: "):format(line), 1, true), message)
    end)
  end

  it("never show a string that came in the place of a secret", function()
    local _, message = pcall(check, { token = "hunter2hunter2" })
    assert.truthy(message:find("token must be a secret, got a string", 1, true), message)
    assert.is_nil(message:find("hunter2", 1, true))
  end)

  it("take a secret where one is allowed", function()
    local secret = core.secret "hidden"
    assert.equal(secret, check { api_key = secret }.api_key)
    assert.equal("key", check { api_key = "key" }.api_key)
  end)

  it("take an error object for the mistake it is", function()
    local err = require("crdbcloud.errors").new { kind = "server" }
    assert.error_matches(function() check(err) end, "options must be a table, got a table")
  end)

  it("let a rule be a function that returns the value to use", function()
    local rule = function(value) return value * 2 end
    assert.equal(4, options.check({ n = rule }, { n = 2 }, "f").n)
  end)

  describe("nearest", function()
    it("answers only with what is much alike", function()
      assert.equal("exclude", options.nearest("exlcude", { "users", "exclude" }))
      assert.is_nil(options.nearest("parallel", { "users", "exclude" }))
      assert.is_nil(options.nearest("x", { "users", "exclude" }))
    end)
  end)

  describe("is_integer", function()
    it("is the same on both interpreters", function()
      assert.is_true(options.is_integer(3))
      assert.is_true(options.is_integer(3.0))
      assert.is_true(options.is_integer(-3))
      assert.is_false(options.is_integer(3.7))
      assert.is_false(options.is_integer(2 ^ 53))
      assert.is_false(options.is_integer(math.huge))
      assert.is_false(options.is_integer(0 / 0))
      assert.is_false(options.is_integer "3")
    end)
  end)
end)
