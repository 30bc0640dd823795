-- Tests lua/crdbcloud/run/clock.lua, lua/crdbcloud/change/held.lua.
--- Clocks that jump: ahead and back, by an hour and by 400 days. No wait is longer than the settle time from now, none is
--- silent, and none is skipped.

local clock = require "crdbcloud.run.clock"
local core = require "crdbcloud.core"
local record = require "crdbcloud.record"
local scene = require "spec.support.scene"
local simulation = require "spec.sim.simulation"
local temp = require "spec.support.temp"

local PUT = "update_sql_user_password"
local USER = "app_user_001"
local NOW, HOUR, YEAR = 1700000000, 3600, 400 * 86400

local function rec(send)
  send.n, send.op, send.epoch = 1, PUT, 2
  send.deadline = send.at + 45
  return record.new { cluster_id = "c", user = "app", state = "idle", epoch = 2, sends = { send } }
end

describe("the time until a change has settled", function()
  -- What was sent when, seen now, and the seconds that are left.
  for _, case in ipairs {
    { "another machine's, just now", { at = NOW }, { time = NOW }, 165 },
    { "another machine's, a while ago", { at = NOW - 100 }, { time = NOW }, 65 },
    { "another machine's, long ago", { at = NOW - 165 }, { time = NOW }, nil },
    { "a moment ahead", { at = NOW + 30 }, { time = NOW }, 165 },
    { "an hour ahead", { at = NOW + HOUR }, { time = NOW, boot = 50, boot_id = "b" }, 165 },
    { "400 days ahead", { at = NOW + YEAR }, { time = NOW, boot = 50, boot_id = "b" }, 165 },
    { "400 days ahead, seen a while ago", { at = NOW + YEAR, seen = { b = 50 } }, { time = NOW, boot = 150, boot_id = "b" }, 65 },
    { "400 days ahead, seen long ago", { at = NOW + YEAR, seen = { b = 50 } }, { time = NOW, boot = 250, boot_id = "b" }, nil },
    { "400 days ahead, seen by another machine", { at = NOW + YEAR, seen = { a = 50 } }, { time = NOW, boot = 250, boot_id = "b" }, 165 },
    { "this machine's, whose clock went ahead since", { at = NOW, boot = 10, boot_id = "b" }, { time = NOW + YEAR, boot = 15, boot_id = "b" }, 160 },
    { "this machine's, whose clock went back since", { at = NOW, boot = 10, boot_id = "b" }, { time = NOW - YEAR, boot = 175, boot_id = "b" }, nil },
    { "this machine's, before it was started again", { at = NOW - 200, boot = 1e6, boot_id = "a" }, { time = NOW, boot = 10, boot_id = "b" }, nil },
    { "of a clock that ran backwards", { at = NOW, boot = 100, boot_id = "b" }, { time = NOW, boot = 50, boot_id = "b" }, 165 },
    { "with a deadline that nobody gives", { at = NOW, deadline = NOW + YEAR }, { time = NOW }, record.LONGEST_SEND + record.SETTLE },
  } do
    it(case[1], function()
      local deadline = case[2].deadline
      local r = rec(case[2])
      r.sends[1].deadline = deadline or r.sends[1].deadline
      assert.are.equal(case[4], record.unsettled(r, case[3]))
      r.sends[1].outcome = "applied"
      assert.is_nil(record.unsettled(r, case[3]))
    end)
  end

  it("is known of this machine in every process until it is started again", function()
    assert.are.equal(36, #clock.boot_id())
    assert.are.equal(clock.boot_id() .. "\n", (temp.run "cat /proc/sys/kernel/random/boot_id"))
    assert.are.equal(core.boottime, clock.boottime)
  end)
end)

describe("a change that went unanswered while the clock was ahead", function()
  local sc

  before_each(function() sc = scene.open() end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  -- As another machine left it.
  local function leave(ahead)
    assert(sc.cluster:rotate_password(USER))
    local kept, version = sc:record(USER)
    local at = core.time() + ahead
    kept.sends = { { n = 1, op = PUT, epoch = kept.epoch, at = at, deadline = at + 20 } }
    sc:put(kept, version)
    sc.sandbox:clear()
  end

  for _, ahead in ipairs { HOUR, YEAR } do
    it(("by %d s is told, and the next one may start within the settle time"):format(ahead), function()
      leave(ahead)
      local report, err = sc.cluster:rotate_password(USER)
      assert.is_nil(report)
      local row = err.report.rows[1]
      assert.are.equal(3, err.exit)
      local left = tonumber(row.error:match "may start in (%d+) s")
      assert.is_true(left > 0 and left <= 20 + record.SETTLE, row.error)
      assert.truthy(table.concat(err.report.warnings, "\n"):find("lies in the future: a clock was wrong", 1, true))
      assert.are.equal(0, #sc:requests(PUT, USER))
      -- What this machine has seen is known to the next process.
      local kept, version = sc:record(USER)
      assert.is_true(kept.sends[1].seen[clock.boot_id()] <= core.boottime())
      kept.sends[1].seen[clock.boot_id()] = core.boottime() - 20 - record.SETTLE
      sc:put(kept, version)
      assert(sc.cluster:rotate_password(USER))
      sc:assert_settled(USER)
    end)
  end

  it("does not stop a rollback for longer, nor an emergency at all", function()
    leave(YEAR)
    local report, err = sc.cluster:rollback_password(USER)
    assert.is_nil(report)
    assert.is_true((tonumber(tostring(err):match "try again in (%d+) s") or 0) <= 20 + record.SETTLE, tostring(err))
  end)

  it("is waited for by a run of many with words that say for how long", function()
    leave(YEAR)
    local kept, version = sc:record(USER)
    kept.sends[1].seen = { [clock.boot_id()] = core.boottime() - 20 - record.SETTLE + 3 }
    sc:put(kept, version)
    local told = {}
    assert(sc.cluster:rotate_passwords { users = { USER }, on_progress = function(e)
      if e.step == "wait" then told[#told + 1] = e end
    end })
    assert.are.equal(1, #told)
    assert.is_true(told[1].wait > 0 and told[1].wait <= 4)
    assert.truthy(told[1].text:find("tried again in %d s", 1, false), told[1].text)
    sc:assert_settled(USER)
  end)
end)

describe("simulated machines whose clocks jump at any moment", function()
  it("break no rule", function()
    local totals = simulation.many(1, 400, { profile = simulation.JUMPS })
    local first = totals.first[1]
    assert.are.equal(0, totals.wrong, first and simulation.describe(first))
    assert.is_true(totals.sends > 400 and totals.crashes > 100)
  end)

  it("break some where waits are counted by the wall clock alone, or are left out", function()
    local right = record.unsettled
    local function wrong(fn)
      record.unsettled = fn
      local ok, totals = pcall(simulation.many, 1, 400, { profile = simulation.JUMPS })
      record.unsettled = right
      assert(ok, totals)
      return totals.wrong
    end
    assert.is_true(wrong(function(r, now, op, but) return right(r, { time = now.stamp }, op, but) end) > 0)
    assert.is_true(wrong(function() return nil end) > 0)
  end)
end)
