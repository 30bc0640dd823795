-- The hostile cases of the protocol that the engine decides by itself, on a simulated
-- cluster, store and clock. Those that need a real server, store or process stand in
-- hostile_spec.lua: A5, A12 (real codes), A19, A22, A33, A36, A39 to A43, A45.

local record = require "crdbcloud.record"
local scene = require "spec.sim.scene"

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

  describe("a send that is not answered", function()
    for id, case in pairs {
      A1 = { "A1: a timeout after the request was sent", "lost", "timeout" },
      A2 = { "A2: a failure of the server after it applied the change", "lost", "server" },
      A3 = { "A3: a failure of the server that applied nothing", "dropped", "server" },
    } do
      it(case[1] .. " is followed by the same bytes, never by a new password", function()
        open { script = { { case[2], answer = case[3] } } }
        local report = assert(s:job("rotate"))
        assert.are.equal("done", report.rows[1].result, id)
        assert.are.equal(2, #s:sent())
        assert.are.equal(1, s:distinct())
        s:assert_settled()
      end)

      it(case[1] .. ", again and again, ends as unknown and is settled later with the same bytes", function()
        open { script = times(9, { case[2], answer = case[3] }) }
        s.world.login = nobody_logs_in
        local report, err, row = s:job("rotate")
        assert.is_nil(report)
        assert.are.same({ "unknown", 5, "unknown" }, { err.outcome, err.exit, row.result })
        assert.are.equal("intent", s:rec().state)
        s.world.script, s.world.login = {}, nil
        assert(s:job("resume"))
        assert.are.equal(1, s:distinct())
        s:assert_settled()
      end)
    end
  end)

  describe("a refusal because the password is the present one", function()
    it("A4: counts as applied when a gateway sent ours twice and a login shows it", function()
      open { must_differ = true, script = { "twice" } }
      assert(s:job("rotate"))
      assert.are.equal("login", s:assert_settled().current.evidence)
    end)

    it("A4: counts as applied after a send that was not answered, without a login", function()
      open { must_differ = true, script = { "lost" } }
      s.world.login = nobody_logs_in
      assert(s:job("rotate"))
      assert.are.equal("answer", s:assert_settled().current.evidence)
    end)

    it("A8: counts as applied, with its evidence kept, when we never sent it", function()
      open { must_differ = true, script = { { "lost", answer = "connect" } } } -- somebody else sets our staged value
      assert(s:job("rotate", { verify = "require" }))
      local rec = s:assert_settled()
      assert.are.equal("login", rec.current.evidence)
      assert.are.equal(1, s:distinct())
    end)

    it("A9: is unknown at the first recorded send when no login is possible", function()
      open { must_differ = true, script = { "twice" } }
      s.world.login = nobody_logs_in
      local _, err = s:job("rotate")
      assert.are.equal("unknown", err.outcome)
      s.world.login = nil
      assert(s:job("resume"))
      assert.are.equal(1, s:distinct())
      s:assert_settled()
    end)
  end)

  describe("a late request", function()
    it("A6: of the same stage does no harm after a retry", function()
      open { script = { { "late", answer = "timeout", after = 60 } } }
      assert(s:job("rotate"))
      assert.are.equal(2, #s:sent())
      assert.are.equal(1, s:distinct())
      s:assert_settled()
    end)

    it("A7: of an earlier epoch is found by the login and met with the same bytes again", function()
      open()
      assert(s:job("rotate"))
      local old = s:live()
      local landed = false
      s.world.login = function()
        if landed then return nil end
        landed = true
        s.world.service:put_user(scene.USER, old)
      end
      assert(s:job("rotate"))
      local sent = s:sent()
      assert.are.equal(3, #sent)
      assert.are.equal(sent[2], sent[3])
      s:assert_settled()
    end)

    it("A7: keeps the next password from being staged until it can no longer arrive", function()
      open { script = { { "late", answer = "timeout", after = 100 }, "plain" } }
      local first = s:begin(0, "rotate")
      local second = s:begin(40, "rotate", nil, "B")
      s:run()
      assert.is_truthy(first.report)
      assert.are.same({ "pending", "not_sent" }, { second.rows[1].kind, second.rows[1].outcome })
      assert.are.equal(1, s:distinct())
      s:wait(record.SETTLE)
      assert(s:job("rotate"))
      s:assert_settled()
    end)
  end)

  describe("a login with the new password", function()
    it("A10: that is refused although the change was answered promotes nothing and publishes nothing", function()
      open()
      local staged
      s.world.login = function(label)
        staged = s:label(s:rec().staged) or staged
        if label == staged then return "wrong_password" end
      end
      local _, err, row = s:job("rotate", { cancel_sessions = true })
      assert.are.same({ "applied", 6, "unpublished" }, { err.outcome, err.exit, row.result })
      local rec = s:rec()
      assert.are.equal("applied", rec.state)
      assert.is_true(rec.flags.verify_failed)
      assert.is_nil(next(rec.published))
      assert.is_nil(s:trace():find("cancel sessions", 1, true))
      assert.are.equal(1, s:distinct())
      s.world.login = nil
      assert(s:job("resume"))
      s:assert_settled()
    end)

    for _, verdict in ipairs { "network", "too_many_connections", "paused", "expired", "tls", "no_login" } do
      it(("A11, A12, A29: that meets %s says nothing against it: promoted on the answer, and it is told"):format(verdict),
        function()
          open()
          s.world.login = function() return verdict end
          local report = assert(s:job("rotate"))
          assert.are.equal(verdict, report.rows[1].verified)
          local rec = s:assert_settled()
          assert.are.equal(verdict, rec.current.verified)
          assert.is_nil(rec.flags.verify_failed)
        end)

      it(("A11, A12, A29: that meets %s leaves it unpublished where a login is required"):format(verdict), function()
        open { verify = "require" }
        s.world.login = function() return verdict end
        local _, err = s:job("rotate")
        assert.are.same({ "applied", 6 }, { err.outcome, err.exit })
        assert.are.equal("applied", s:rec().state)
        assert.is_nil(s:rec().flags.verify_failed)
        s.world.login = nil
        assert(s:job("resume"))
        s:assert_settled()
      end)
    end
  end)

  describe("a store that fails", function()
    for _, case in ipairs {
      { "A13: is down before the stage", "down", "staged" },
      { "A15: says that it has kept the stage and has not", "forgotten", "staged" },
      { "A15: says that it has kept the INTENT and has not", "forgotten", "intent" },
      { "A16: is full at the stage", "down", "staged" },
      { "A16: is full at the INTENT", "down", "intent" },
      { "A18: may or may not have kept the stage", "lost", "staged" },
      { "A18: may or may not have kept the INTENT", "lost", "intent" },
    } do
      it(case[1] .. ": nothing is sent", function()
        open()
        -- "lost" is found out about in half of the cases; what it says then is the truth.
        s.world.store_script = failing(case[2], writes(case[3]))
        local report, err, row = s:job("rotate")
        if not report then
          assert.are.same({}, s:sent())
          assert.are.equal("failed", row.result)
          assert.is_true(err.exit == 1)
        end
        s.world.store_script = nil
        assert(s:job("rotate"))
        assert.are.equal(1, s:distinct())
        s:assert_settled()
      end)
    end

    for _, state in ipairs { "applied", "promoted", "idle" } do
      it(("A14, A17: is down or full when the state should become %s: the sinks get it, the run says 6 and stops"):format(state),
        function()
          open()
          s:add("app_2")
          local failed = false
          s.world.store_script = failing("down", function(what, rec)
            failed = failed or writes(state)(what, rec)
            return failed
          end)
          local report, err = s:job("rotate_all")
          assert.is_nil(report)
          assert.are.equal(6, err.exit)
          local rows = err.report.rows
          assert.are.same({ "unpublished", "untouched" }, { rows[1].result, rows[2].result })
          assert.are.same({}, s:sent("app_2"))
          assert.are.equal(s:live(), s.world.sinks["epoch:app_1"].label)
          s.world.store_script = nil
          assert(s:job("resume"))
          assert.are.equal(1, s:distinct())
          s:assert_settled()
        end)
    end

    it("A28: cannot be reached before the change: nothing is sent; during it: the same bytes settle it", function()
      for _, at in ipairs { 0, 2 } do
        if s then s:close() end
        open { outage = { at, at + 400 }, script = { { "lost", answer = "timeout" } } }
        s:job("rotate")
        if at == 0 then assert.are.same({}, s:sent()) end
        s:wait(400)
        assert(s:job("resume"))
        assert(s:job("rotate"))
        s:assert_settled()
      end
    end)
  end)
end)
