-- The hostile cases of the protocol that the engine decides by itself, on a simulated
-- cluster, store and clock. Those that need a real server, store or process stand in
-- hostile_spec.lua, the first half of these in hostile_sim_spec.lua: A5, A12 (real codes), A19, A22, A33, A36, A39 to A43, A45.

local record = require "crdbcloud.record"
local scene = require "spec.sim.scene"
local selection = require "crdbcloud.run.selection"

local s

local function open(fields)
  s = scene.open(fields)
  return s
end

-- The same thing for the first so many requests.
local function times(n, step)
  local list = {}
  for i = 1, n do list[i] = step end
  return list
end

local function nobody_logs_in() return "network" end

-- A store that fails from the moment at which `when` first says so.
local function failing(how, when)
  return function(what, rec)
    if when(what, rec) then return how end
  end
end

local function writes(state)
  return function(what, rec) return what == "put" and rec.state == state end
end

describe("hostile cases of the engine:", function()
  after_each(function() s:close() end)

  describe("several rotators", function()
    it("A20: on one host: the second run is told that it is busy", function()
      open { shared = false }
      local first, second = s:begin(0, "rotate_all"), s:begin(0.5, "rotate_all", nil, "B")
      s:run()
      assert.is_truthy(first.report)
      assert.are.same({ "busy", 7, "not_sent" }, { second.err.kind, second.err.exit, second.err.outcome })
      s:assert_settled()
    end)

    it("A21: on two hosts with one store make one stage and never two passwords of an epoch", function()
      for offset = 0, 12 do
        if s then s:close() end
        open { script = { { "lost", answer = "timeout" } } }
        s:begin(0, "rotate_all")
        s:begin(offset, "rotate_all", nil, "B")
        s:run()
        assert(s:job("resume"))
        assert.is_true(s:distinct() <= s:rec().epoch - 1)
        s:assert_settled()
      end
    end)

    it("A25: one that was stopped after its INTENT, and overtaken, sends nothing when it goes on", function()
      for _, kind in ipairs { "stop", "suspend", "vm" } do
        if s then s:close() end
        open { freeze_kind = kind }
        s:freeze("A", "intent", 400)
        local first, second = s:begin(0, "rotate_all"), s:begin(200, "rotate_all", nil, "B")
        s:run()
        assert.is_truthy(second.report)
        assert.is_truthy(first.ended > 400)
        for _, request in ipairs(s.world.service.requests) do assert.is_true(request.sent_at < 300) end
        s:assert_settled()
      end
    end)

    it("A25: one that was stopped before it publishes leaves the newer password in the sinks", function()
      open()
      s:freeze("A", "promoted", 400)
      s:begin(0, "rotate")
      s:begin(200, "resume", nil, "B")
      s:begin(250, "rotate", nil, "B")
      s:run()
      assert.are.equal(s:live(), s.world.sinks["plain:app_1"].label)
      s:assert_settled()
    end)
  end)

  describe("somebody else", function()
    -- Sets another password whenever ours has just been tried.
    local function meddle()
      s.world.outsider = true
      s.world.login = function() s.world.service:put_user(scene.USER, "outside") end
    end

    it("A23: who sets the password at the same time is told, not fought", function()
      open()
      meddle()
      local _, err, row = s:job("rotate")
      assert.are.same({ "applied", 6, "unpublished" }, { err.outcome, err.exit, row.result })
      assert.is_true(s:rec().flags.contested)
      assert.is_nil(next(s:rec().published))
      assert.is_true(#s:sent() <= 2)
      assert.are.equal("outside", s:live())
    end)

    it("A24: who sets it again and again is met twice an hour at most", function()
      open()
      meddle()
      s:job("rotate")
      for _ = 1, 5 do s:job("resume") end
      local sent = #s:sent()
      assert.is_true(sent <= 4, sent .. " sends")
      assert.are.equal(1, s:distinct())
      s.world.login = nil
      s:wait(3700)
      assert(s:job("resume"))
      s:assert_settled()
    end)

    it("A32: who deletes the user in the middle finds it marked as gone, and never made again", function()
      open()
      s.world.store_script = function(what, rec)
        if what == "put" and rec.state == "intent" then s.world.service.users[scene.USER] = nil end
      end
      local _, err = s:job("rotate")
      assert.are.same({ "not_found", "rejected" }, { err.kind, err.outcome })
      assert.is_true(s:rec().flags.gone)
      for _ = 1, 2 do
        s:job("rotate")
        s:job("resume")
      end
      assert.is_nil(s.world.service.users[scene.USER])
      assert.are.equal("", s:problems())
    end)
  end)

  describe("clocks", function()
    it("A26: that jump back keep the previous password for longer, never for less", function()
      open { keep_previous = 3600 }
      assert(s:job("rotate"))
      s:host("A").skew = -86400
      s:wait(3700)
      s:job("resume")
      assert.is_truthy(s:rec().previous)
      s:host("A").skew = 0
      s:job("resume")
      assert.is_nil(s:rec().previous)
    end)

    it("A26: that differ by days do not end the lease of another host", function()
      open()
      s:host("B").skew = 10 * 86400
      s:freeze("A", "intent", 20)
      local first, second = s:begin(0, "rotate"), s:begin(15, "rotate", nil, "B")
      s:run()
      assert.is_truthy(first.report)
      assert.are.equal("busy", second.rows[1].kind)
      s:assert_settled()
    end)
  end)

  describe("an API", function()
    local function five()
      for i = 2, 5 do s:add("app_" .. i) end
    end

    local function results(err)
      local list = {}
      for i, row in ipairs(err.report.rows) do list[i] = row.result end
      return list
    end

    it("A27: that cannot be reached stops the run after three users", function()
      open { script = times(99, { "refused", answer = "connect" }) }
      five()
      local _, err = s:job("rotate_all")
      assert.are.same({ "failed", "failed", "failed", "untouched", "untouched" }, results(err))
      s.world.script = {}
      assert(s:job("rotate_all"))
      for i = 1, 5 do
        s:assert_settled("app_" .. i)
        assert.are.equal(1, s:distinct("app_" .. i))
      end
    end)

    it("A30: that no longer takes the key stops the run and says what became of each user", function()
      open { script = { "plain", { "refused", answer = "unauthenticated" }, { "refused", answer = "unauthenticated" } } }
      five()
      local _, err = s:job("rotate_all")
      assert.are.same({ "done", "failed", "untouched", "untouched", "untouched" }, results(err))
      assert.are.equal("unauthenticated", err.report.rows[2].kind)
    end)

    it("A31: that does not allow it on this cluster ends the work on this cluster", function()
      open { script = { { "refused", answer = "permission_denied" } } }
      five()
      local _, err = s:job("rotate_all")
      assert.are.same({ "failed", "untouched", "untouched", "untouched", "untouched" }, results(err))
      assert.are.equal(4, err.exit)
    end)

    it("A34: whose limit others use up makes no user a failure", function()
      open { script = times(6, { "refused", answer = "rate_limited", retry_after = 2 }) }
      five()
      local report = assert(s:job("rotate_all"))
      for _, row in ipairs(report.rows) do assert.are.equal("done", row.result) end
    end)

    it("A35: that asks to wait for a day is not waited for", function()
      open { script = times(9, { "refused", answer = "rate_limited", retry_after = 86400 }) }
      local _, err = s:job("rotate_all")
      assert.are.equal("not_sent", err.report.rows[1].outcome)
      assert.is_true(s.world.scheduler.now < 600)
    end)

    it("A44: that refuses a password gets a stricter one in a new epoch", function()
      open { script = { { "refused", answer = "password_refused" } } }
      assert(s:job("rotate"))
      assert.are.equal(2, s:distinct())
      assert.are.equal(3, s:assert_settled().epoch)
    end)

    it("A44: that refuses every password is tried a few times; the present one stays", function()
      open { script = times(99, { "refused", answer = "password_refused" }) }
      local before = s:live()
      local _, err = s:job("rotate")
      assert.are.equal("rejected", err.outcome)
      assert.is_true(s:distinct() <= 4)
      assert.are.equal(before, s:label(s:assert_settled().current))
    end)

    it("A44: that refuses a password after an unanswered send of it gets no other one", function()
      open { script = { { "lost", answer = "timeout" }, { "refused", answer = "password_refused" } } }
      s.world.login = nobody_logs_in
      local _, err = s:job("rotate")
      assert.are.equal("unknown", err.outcome)
      assert.are.equal(1, s:distinct())
      s.world.login = nil
      assert(s:job("resume"))
      s:assert_settled()
    end)
  end)

  describe("a record or cluster from the past:", function()
    it("A37: a cluster that was restored from a backup makes every older password due", function()
      open()
      local rec = s:rec()
      local known = record.set_at(rec)
      local o = { user = "app", rec = rec, listed = true, max_age = 86400, now = known + 10 }
      assert.are.equal("skip", (selection.decide(o)))
      o.restored_at = known + 5
      assert.are.equal("rotate", (selection.decide(o)))
    end)

    it("A38: a stage of long ago is not sent when neither it nor the current password logs in", function()
      open()
      s.world.store_script = failing("down", writes "intent")
      s:job("rotate")
      s.world.store_script = nil
      s.world.service:put_user(scene.USER, "restored")
      s:wait(2 * 86400)
      local _, err = s:job("resume")
      assert.are.same({ "stale_stage", "not_sent" }, { err.report.rows[1].reason or "stale_stage", err.report.rows[1].outcome })
      assert.are.same({}, s:sent())
    end)

    it("A38: a stage of long ago is sent when the current password still logs in", function()
      open()
      s.world.store_script = failing("down", writes "intent")
      s:job("rotate")
      s.world.store_script = nil
      s:wait(2 * 86400)
      assert(s:job("resume"))
      s:assert_settled()
    end)
  end)
end)
