local errors = require "crdbcloud.errors"
local cjson = require "cjson"

describe("errors", function()
  describe("exit codes", function()
    local cases = {
      { { kind = "cancelled" }, 130 },
      { { kind = "cancelled", outcome = "unknown" }, 130 },
      { { kind = "timeout", outcome = "unknown" }, 5 },
      { { kind = "permission_denied", outcome = "unknown" }, 5 },
      { { kind = "hook" }, 6 },
      { { kind = "sink", outcome = "applied" }, 6 },
      { { kind = "sink", outcome = "not_sent" }, 1 },
      { { kind = "pending" }, 3 },
      { { kind = "unauthenticated", outcome = "rejected" }, 4 },
      { { kind = "permission_denied", outcome = "rejected" }, 4 },
      { { kind = "busy" }, 7 },
      { { kind = "invalid_argument", outcome = "not_sent" }, 2 },
      { { kind = "server" }, 1 },
      { { kind = "network", outcome = "not_sent" }, 1 },
      { { kind = "conflict", exit = 9 }, 9 },
    }
    for _, case in ipairs(cases) do
      local fields, code = case[1], case[2]
      it(("are %d for %s %s"):format(code, fields.kind, fields.outcome or ""), function()
        assert.equal(code, errors.new(fields).exit)
      end)
    end
  end)

  it("prints on one line with what matters and the hint", function()
    local err = errors.new {
      kind = "permission_denied", operation = "create_sql_user", message = "not\nallowed\27[31m", status = 403,
      outcome = "rejected", attempts = 2, hint = "ask",
    }
    assert.equal("create_sql_user: not allowed [31m (permission_denied, HTTP 403, rejected, 2 attempts); ask", tostring(err))
  end)

  it("names the call once where the message begins with it, and lets no control through", function()
    local err = errors.new { kind = "invalid_argument", operation = "access", message = "access: unknown field \"x\"" }
    assert.equal('access: unknown field "x" (invalid_argument)', tostring(err))
    assert.equal("read: a?b (server)", tostring(errors.new { kind = "server", operation = "read", message = "a\194\155b" }))
  end)

  it("prints SQLSTATE and an outcome in words", function()
    local err = errors.new { kind = "sql", message = "no", sqlstate = "42501", outcome = "not_sent" }
    assert.equal("no (sql, SQLSTATE 42501, not sent)", tostring(err))
  end)

  it("has a message even when none was given", function()
    assert.equal("not found (not_found)", tostring(errors.new { kind = "not_found" }))
  end)

  it("concatenates on either side", function()
    local err = errors.new { kind = "busy", message = "m" }
    assert.equal("a: m (busy)", "a: " .. err)
    assert.equal("m (busy)!", err .. "!")
    assert.equal("m (busy)m (busy)", err .. err)
  end)

  it("says what is worth trying again", function()
    assert.is_true(errors.new { kind = "network", outcome = "not_sent" }.retryable)
    assert.is_true(errors.new { kind = "rate_limited", outcome = "not_sent" }.retryable)
    assert.is_false(errors.new { kind = "network", outcome = "unknown" }.retryable)
    assert.is_false(errors.new { kind = "not_found", outcome = "rejected" }.retryable)
    assert.is_true(errors.new { kind = "not_found", retryable = true }.retryable)
  end)

  it("gives JSON with all fields in a fixed order, the cause inside", function()
    local cause = errors.new { kind = "network", message = "reset" }
    local err = errors.new {
      kind = "pending", message = "later", operation = "op", status = 500, code = 13, retry_after = 2, attempts = 1,
      outcome = "unknown", reason = "server", hint = "wait", report = { run_id = "r1" }, cause = cause,
    }
    local text = err:json()
    local decoded = cjson.decode(text)
    assert.equal("pending", decoded.kind)
    assert.equal("r1", decoded.report.run_id)
    assert.equal("network", decoded.cause.kind)
    assert.equal(5, decoded.exit)
    assert.equal(500, decoded.status)
    assert.truthy(text:find '^{"kind":"pending","message":"later","operation":"op","status":500,"code":13')
  end)

  it("asks a report for its own JSON and drops one that cannot be encoded", function()
    local own = errors.new { kind = "server", report = { json = function() return '{"own":true}' end } }
    assert.is_true(cjson.decode(own:json()).report.own)
    local bad = errors.new { kind = "server", report = { f = function() end } }
    assert.is_nil(cjson.decode(bad:json()).report)
  end)

  it("keeps a cause of another kind as text", function()
    assert.equal("disk full", cjson.decode(errors.new { kind = "store", cause = "disk full" }:json()).cause)
  end)

  it("refuses fields, kinds and outcomes that do not exist", function()
    assert.has_error(function() errors.new { kind = "server", password = "x" } end, nil)
    assert.error_matches(function() errors.new { kind = "server", body = "x" } end, "unknown field body")
    assert.error_matches(function() errors.new { kind = "odd" } end, "unknown kind odd")
    assert.error_matches(function() errors.new { kind = "server", outcome = "odd" } end, "unknown outcome odd")
  end)

  it("copies the table that it was given", function()
    local fields = { kind = "server" }
    local err = errors.new(fields)
    assert.is_nil(fields.exit)
    assert.is_nil(getmetatable(fields))
    assert.equal(1, err.exit)
  end)

  it("knows its own", function()
    assert.is_true(errors.is(errors.new { kind = "server" }))
    assert.is_false(errors.is { kind = "server" })
    assert.is_false(errors.is "server")
    assert.is_false(errors.is(nil))
  end)

  it("arrives unchanged when raised", function()
    local err = errors.new { kind = "server" }
    local _, caught = pcall(error, err, 0)
    assert.equal(err, caught)
  end)

  describe("raise", function()
    it("finds the nearest line outside the library however deep it is", function()
      local options = require "crdbcloud.base.options"
      local line = debug.getinfo(1, "l").currentline + 1
      local _, message = pcall(function() options.check({ deep = function(_, n) errors.raise("%s", n) end }, { deep = 1 }, "call") end)
      assert.equal(("%s:%d: call: deep"):format(debug.getinfo(1, "S").short_src, line), message)
    end)

    it("takes a text with percent signs as it is", function()
      assert.error_matches(function() errors.raise("100%") end, "100%%$")
    end)
  end)

  it("bare takes the position off", function()
    assert.equal("a: b", errors.bare "/x/y.lua:12: a: b")
    assert.equal("plain", errors.bare "plain")
  end)

  describe("shown", function()
    it("cuts long texts, keeps to one line and never shows a userdata", function()
      assert.equal('"a b"', errors.shown "a\nb")
      assert.equal('"' .. ("x"):rep(37) .. '..."', errors.shown(("x"):rep(100)))
      assert.equal("nothing", errors.shown(nil))
      assert.equal("a table", errors.shown {})
      assert.equal("3.7", errors.shown(3.7))
      assert.equal("true", errors.shown(true))
      assert.equal("a function", errors.shown(print))
      assert.equal("a crdbcloud.secret", errors.shown(require("crdbcloud.core").secret "hidden"))
    end)
  end)
end)
