local decide = require "crdbcloud.change.decide"

describe("after one send of a password", function()
  for _, case in ipairs {
    -- outcome, reason, kind, earlier, unknown -> action
    { "applied", nil, nil, false, false, "applied" },
    { "unknown", "timeout", "timeout", false, true, "again" },
    { "unknown", "server", "server", true, true, "again" },
    { "unknown", "wrong_name", "protocol", false, true, "again" },
    { "not_sent", "rate_limited", "rate_limited", false, false, "again" },
    { "not_sent", "connect", "network", true, true, "again" },
    { "not_sent", "tls", "tls", false, false, "stop_run" },
    { "rejected", "must_differ", "conflict", true, true, "applied" },
    { "rejected", "must_differ", "conflict", false, false, "probe" },
    { "rejected", "password_refused", "invalid_argument", false, false, "restage" },
    -- I4: while a send of this stage is unknown, only the same bytes may be sent
    { "rejected", "password_refused", "invalid_argument", true, true, "fail" },
    { "rejected", "password_refused", "invalid_argument", true, false, "fail" }, -- was applied before
    { "rejected", "locked", "conflict", false, false, "again" },
    { "rejected", "not_ready", "unavailable", false, false, "again" },
    { "rejected", "unauthenticated", "unauthenticated", false, false, "stop_run" },
    { "rejected", "redirect", "protocol", false, false, "stop_run" },
    { "rejected", "permission_denied", "permission_denied", false, false, "stop_cluster" },
    { "rejected", "not_found", "not_found", false, false, "gone" },
    { "rejected", "invalid_argument", "invalid_argument", false, false, "fail" },
  } do
    it(("%s (%s)%s%s leads to %s"):format(case[1], case[2] or "2xx", case[4] and ", sent before" or "",
      case[5] and ", unknown" or "", case[6]), function()
      assert.are.equal(case[6], decide.after_send {
        outcome = case[1], reason = case[2], kind = case[3], earlier = case[4], unknown = case[5],
      })
    end)
  end
end)

describe("after a login with the new password", function()
  local verdicts = {
    "network", "tls", "paused", "too_many_connections", "expired", "no_login", "not_asked", "other",
  }
  it("counts only an accepted password as proof", function()
    for _, policy in ipairs { "auto", "require" } do
      assert.are.equal("accepted", decide.after_login("accepted", policy))
      assert.are.equal("wrong", decide.after_login("wrong_password", policy))
    end
  end)

  it("takes nothing but a wrong password as speaking against it", function()
    for _, verdict in ipairs(verdicts) do
      assert.are.equal("unreachable", decide.after_login(verdict, "auto"), verdict)
      assert.are.equal("wait", decide.after_login(verdict, "require"), verdict)
    end
  end)

  it("says whose a user is only on a definite answer", function()
    assert.are.equal("ours", decide.whose "accepted")
    assert.are.equal("theirs", decide.whose "wrong_password")
    for _, verdict in ipairs(verdicts) do assert.are.equal("unknown", decide.whose(verdict), verdict) end
  end)
end)

describe("the exit code of a run", function()
  local function row(result, kind, exit) return { result = result, kind = kind, exit = exit } end
  for _, case in ipairs {
    { "nothing to do", {}, nil, 0 },
    { "all done", { row "done", row "done" }, nil, 0 },
    { "skipped is not failed", { row "done", row "skipped" }, nil, 0 },
    { "all failed", { row "failed", row "failed" }, nil, 1 },
    { "partly done", { row "done", row("failed", "server") }, nil, 3 },
    { "stopped before some", { row "done", row "untouched" }, nil, 3 },
    { "unknown before all else", { row "done", row "unknown", row "unpublished", row "failed" }, nil, 5 },
    { "unpublished before partly", { row "done", row "unpublished", row "failed" }, nil, 6 },
    { "sessions left", { row("incomplete", "sql", 3) }, nil, 3 },
    { "has to settle first", { row("failed", "pending", 3) }, nil, 3 },
    { "an old stage fits no more", { row("failed", "conflict", 3) }, nil, 3 },
    { "one has to settle, one is refused", { row("failed", "server", 1), row("failed", "pending", 3) }, nil, 3 },
    { "unknown before what has to settle", { row("failed", "pending", 3), row("unknown", "pending", 5) }, nil, 5 },
    { "not allowed", { row("failed", "permission_denied"), row "untouched" }, nil, 4 },
    { "a bad key", { row("failed", "unauthenticated") }, nil, 4 },
    { "partly done comes before not allowed", { row "done", row("failed", "permission_denied") }, nil, 3 },
    { "all busy", { row("failed", "busy"), row("failed", "busy") }, nil, 7 },
    { "some busy, some failed", { row("failed", "busy"), row("failed", "server") }, nil, 1 },
    { "interrupted", { row "done", row "untouched" }, 2, 130 },
    { "terminated", { row "untouched" }, 15, 143 },
    { "interrupted after the last user", { row "done" }, 2, 0 },
  } do
    it("is " .. case[4] .. ": " .. case[1], function()
      assert.are.equal(case[4], decide.exit(case[2], case[3]))
    end)
  end
end)

describe("a stage that is older than a day", function()
  for _, case in ipairs {
    { "accepted", "wrong_password", "live" }, { "accepted", nil, "live" }, { "wrong_password", "accepted", "fits" },
    { "network", "accepted", "fits" }, { "wrong_password", nil, "fits" }, { "network", nil, "fits" },
    { "wrong_password", "wrong_password", "stale" }, { "network", "wrong_password", "unknown" },
    { "wrong_password", "network", "unknown" }, { "no_login", "no_login", "unknown" },
  } do
    it(("that says %s, with a current one that says %s, is %s"):format(case[1], tostring(case[2]), case[3]), function()
      assert.are.equal(case[3], decide.old_stage(case[1], case[2]))
    end)
  end
end)
