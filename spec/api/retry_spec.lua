local retry = require "crdbcloud.api.retry"

local function decide(fields)
  local s = { outcome = "unknown", reason = "reset", attempt = 1, max_attempts = 4, remaining = 100, jitter = 0 }
  for k, v in pairs(fields) do s[k] = v end
  return retry.decide(s)
end

-- effect x outcome x reason -> sent again?
local READ, PUT, DELETE, CREATE = "read", "put", "delete", "create"
local ALL = { READ, PUT, DELETE, CREATE }
local yes = { [READ] = true, [PUT] = true, [DELETE] = true, [CREATE] = true }
local no = {}
local not_create = { [READ] = true, [PUT] = true, [DELETE] = true }
local TABLE = {
  { "not_sent", "resolve", yes }, { "not_sent", "connect", yes }, { "not_sent", "refused_stream", yes },
  { "not_sent", "rate_limited", yes }, { "not_sent", "timeout", yes }, { "not_sent", "tls", no },
  { "not_sent", "budget", no }, { "not_sent", "deadline", no }, { "not_sent", "interrupted", no },
  { "unknown", "timeout", not_create }, { "unknown", "reset", not_create }, { "unknown", "empty_reply", not_create },
  { "unknown", "partial_body", not_create }, { "unknown", "send_error", not_create }, { "unknown", "http2", not_create },
  { "unknown", "server", not_create }, { "unknown", "broken_body", not_create }, { "unknown", "other", not_create },
  { "unknown", "cannot_rewind", not_create },
  { "unknown", "wrong_name", no }, { "unknown", "too_large", no },
  { "rejected", "locked", yes }, { "rejected", "not_ready", yes },
  { "rejected", "conflict", no }, { "rejected", "already_exists", no }, { "rejected", "invalid_argument", no },
  { "rejected", "password_refused", no }, { "rejected", "must_differ", no }, { "rejected", "unauthenticated", no },
  { "rejected", "permission_denied", no }, { "rejected", "not_found", no }, { "rejected", "redirect", no },
  { "applied", nil, no },
}

describe("retry.decide", function()
  for _, row in ipairs(TABLE) do
    local outcome, reason, expected = row[1], row[2], row[3]
    for _, effect in ipairs(ALL) do
      it(("%s %s after %s %s"):format(expected[effect] and "repeats" or "does not repeat", effect, outcome, reason or ""), function()
        local decision = decide { effect = effect, outcome = outcome, reason = reason or false }
        assert.equal(expected[effect] == true, decision.retry)
        assert.is_string(decision.why)
      end)
    end
  end

  it("repeats whatever did not leave for a network fault without a name", function()
    assert.is_true(decide({ effect = CREATE, outcome = "not_sent", reason = "other", kind = "network" }).retry)
    assert.is_false(decide({ effect = CREATE, outcome = "not_sent", reason = "other", kind = "invalid_argument" }).retry)
  end)

  it("ends with the attempts", function()
    assert.is_true(decide({ effect = READ, attempt = 3 }).retry)
    local decision = decide { effect = READ, attempt = 4 }
    assert.is_false(decision.retry)
    assert.truthy(decision.why:find "4 of 4 attempts")
    assert.is_false(decide({ effect = READ, attempt = 1, max_attempts = 1 }).retry)
  end)

  it("waits longer each time, half of it by chance, 8 s at most", function()
    for attempt, longest in pairs { 0.5, 1, 2, 4, 8, 8, 8 } do
      assert.equal(longest / 2, retry.backoff(attempt, 0))
      assert.near(longest, retry.backoff(attempt, 0.999999), 0.001)
    end
  end)

  it("sends a refused stream again almost at once", function()
    assert.is_true(decide({ effect = CREATE, outcome = "not_sent", reason = "refused_stream" }).wait <= 0.05)
  end)

  it("waits as long as the service asks", function()
    local decision = decide { effect = CREATE, outcome = "not_sent", reason = "rate_limited", retry_after = 7 }
    assert.is_true(decision.retry)
    assert.equal(7, decision.wait)
    assert.equal(3, decide({ effect = READ, reason = "server", status = 503, retry_after = 3 }).wait)
  end)

  it("waits its own time when the service asks for less", function()
    assert.equal(0.25, decide({ effect = READ, outcome = "not_sent", reason = "rate_limited", retry_after = 0 }).wait)
  end)

  it("gives up when the service asks for more than a minute", function()
    local decision = decide { effect = READ, outcome = "not_sent", reason = "rate_limited", retry_after = 61, remaining = 1000 }
    assert.is_false(decision.retry)
    assert.truthy(decision.why:find "61 s")
    assert.is_true(decide({ effect = READ, outcome = "not_sent", reason = "rate_limited", retry_after = 60, remaining = 1000 }).retry)
  end)

  it("gives up when the wait would end past the deadline", function()
    local decision = decide { effect = READ, outcome = "not_sent", reason = "rate_limited", retry_after = 20, remaining = 20 }
    assert.is_false(decision.retry)
    assert.truthy(decision.why:find "deadline")
    assert.is_false(decide({ effect = READ, remaining = 0.2 }).retry)
    assert.is_false(decide({ effect = READ, remaining = -1 }).retry)
  end)

  it("does not ask again for what is not implemented", function()
    assert.is_false(decide({ effect = READ, reason = "server", status = 501 }).retry)
    assert.is_true(decide({ effect = READ, reason = "server", status = 500 }).retry)
  end)

  it("does not ask again where something else than the API answers", function()
    assert.is_false(decide({ effect = READ, reason = "html", status = 200 }).retry)
    assert.is_false(decide({ effect = PUT, reason = "bad_content_type", status = 200 }).retry)
    assert.is_true(decide({ effect = READ, reason = "html", status = 502 }).retry)
  end)
end)
