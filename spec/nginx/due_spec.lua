local due = require "crdbcloud.nginx.due"

describe("when a scheduled rotation runs", function()
  local HOUR = 3600

  for _, case in ipairs {
    { "waits while a heartbeat is fresh", { alive = true, running_since = 900, next_due = 0, asked = true }, "wait" },
    { "waits for a worker that has just taken the run", { alive = true }, "wait" },
    { "takes over when a run began and nobody's heart beats", { running_since = 900, next_due = 9999 }, "take_over", 0 },
    { "takes over before it does what is asked for", { running_since = 900, asked = true }, "take_over", 0 },
    { "runs when nothing is known yet", {}, "run", 0 },
    { "runs at the very second", { next_due = 1000 }, "run", 0 },
    { "runs late rather than never", { next_due = 10 }, "run", 0 },
    { "waits as long as is left", { next_due = 1250 }, "wait", 250 },
    { "runs at once when somebody asks", { next_due = 1250, asked = true }, "run", 0 },
    { "waits a whole period and its jitter", { next_due = 1000 + HOUR + 360 }, "wait", HOUR + 360 },
    { "runs when the clock was set back beyond that", { next_due = 1000 + HOUR + 361 }, "run", 0 },
  } do
    it(case[1], function()
      local action, seconds = due.decide(1000, case[2], HOUR, 360)
      assert.equal(case[3], action)
      if case[4] then assert.equal(case[4], seconds) end
    end)
  end

  it("begins soon after a start, spread over ten seconds or the jitter where that is less", function()
    assert.equal(1000, due.first(1000, 360, 0))
    assert.equal(1005, due.first(1000, 360, 0.5))
    assert.equal(1001, due.first(1000, 2, 0.5))
    assert.equal(1000, due.first(1000, 0, 1))
  end)

  for _, case in ipairs {
    { "success forgets failures", 4, { ok = true }, 0 },
    { "a failure counts", 0, { ok = false, kind = "network" }, 1 },
    { "one more counts on", 4, { ok = false, kind = "store" }, 5 },
    { "a lock held by another run is none", 4, { ok = false, kind = "busy" }, 4 },
  } do
    it(case[1], function() assert.equal(case[4], due.failures(case[2], case[3])) end)
  end

  for _, case in ipairs {
    { "a period later when all went well", { ok = true }, 0, HOUR, 0, 1000 + HOUR },
    { "with jitter", { ok = true }, 0, HOUR, 0.5, 1000 + HOUR + 180 },
    { "a minute after the first failure", { ok = false, kind = "network" }, 1, HOUR, 0, 1060 },
    { "twice as long after each further one", { ok = false, kind = "network" }, 4, HOUR, 0, 1480 },
    { "never later than a period after a failure", { ok = false, kind = "network" }, 40, HOUR, 0, 1000 + HOUR },
    { "never later than a short period", { ok = false, kind = "network" }, 1, 5, 0, 1005 },
    { "with half the pause as jitter at most", { ok = false, kind = "network" }, 1, HOUR, 1, 1090 },
    { "soon when another run holds the lock", { ok = false, kind = "busy" }, 0, HOUR, 0, 1010 },
  } do
    it("is due " .. case[1], function()
      assert.equal(case[6], due.next(1000, case[2], case[3], case[4], 360, case[5]))
    end)
  end

  it("does once more what was asked for when that may help, but not for longer than an hour", function()
    local asked = { { at = 5000 }, { at = 1000 } }
    assert.same({}, due.left(asked, { ok = true }, 5010))
    assert.same({}, due.left(asked, { ok = false, retryable = false }, 5010))
    assert.same({ { at = 5000 } }, due.left(asked, { ok = false, retryable = true }, 5010))
  end)
end)
