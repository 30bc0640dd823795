local errors = require "crdbcloud.errors"
local http_status = require "crdbcloud.nginx.http_status"

local function status(kind, outcome, reason)
  return http_status.of(errors.new { kind = kind, outcome = outcome, reason = reason })
end

describe("the HTTP status of an error", function()
  local EXPECTED = {
    invalid_argument = 400, not_found = 404, already_exists = 409, conflict = 409, unauthenticated = 502, permission_denied = 502,
    network = 502, tls = 502, protocol = 502, server = 502, sql = 502, rate_limited = 503, busy = 503, unavailable = 503,
    pending = 503, cancelled = 503, timeout = 504, store = 500, sink = 500, hook = 500,
  }

  it("follows its kind; a refusal of our key is not the client's", function()
    for kind, expected in pairs(EXPECTED) do
      assert.equal(expected, status(kind, "rejected"), kind)
      assert.equal(expected, status(kind), kind)
    end
  end)

  it("is never 4xx when something happened or may have", function()
    for kind, expected in pairs(EXPECTED) do
      for outcome, instead in pairs { unknown = 502, applied = 500 } do
        assert.equal(expected < 500 and instead or expected, status(kind, outcome), kind .. " " .. outcome)
      end
    end
  end)

  it("is 500 for what is wrong with nginx.conf or our own settings, and for errors of others", function()
    for _, reason in ipairs { "context", "thread_pool", "thread", "secret", "dict" } do
      assert.equal(500, status("invalid_argument", "not_sent", reason))
    end
    assert.equal(500, status("unauthenticated", "not_sent", "api_key"))
    assert.equal(500, http_status.of "FATAL: no pg_hba.conf entry")
    assert.equal(500, http_status.of { kind = "not_found" })
  end)

  it("needs an error", function()
    assert.matches("http_status_spec.lua:%d+: http_status: expected an error, got nothing", select(2, pcall(function() return http_status.of(nil) end)))
  end)
end)
