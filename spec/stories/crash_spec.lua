local cases = require "spec.support.crash.cases"
local crash = require "spec.support.crash.sweep"
local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

-- `make torture` kills at every boundary and recovers in every way. Here the two interpreters share the work: one takes
-- the odd boundaries, the other the even ones, or each its own of every STEP.
local HALF = rawget(_G, "jit") and 0 or 1

describe("a process killed at a boundary", function()
  local sc
  before_each(function() sc = scene.open() end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  local function assert_no_wrong_end(figures, at_least)
    assert(#figures.wrong == 0, ("%d wrong ends; the first: %s"):format(#figures.wrong, figures.wrong[1]))
    assert(figures.kills >= at_least, ("only %d kills"):format(figures.kills))
  end

  -- Where the store has been written once and until it is written last, all that is not mere reading.
  it("of a rotation from its first write to its last leaves a password that logs in", function()
    assert_no_wrong_end(crash.sweep(cases.rotation(sc), {
      mark = "stage", only = "openat,write,fsync,renameat,send,connect", first = 2 - HALF, step = 2, alternate = true,
    }), 20)
  end)

  it("in the middle of its bytes leaves a password that logs in", function()
    assert_no_wrong_end(crash.sweep(cases.rotation(sc), { how = "half", only = "write,send", first = 2 - HALF, step = 2, alternate = true }), 10)
  end)

  it("of a creation leaves a limited user, and none that an admin's password was handed out of", function()
    assert_no_wrong_end(crash.sweep(cases.creation(sc), {
      mark = "create", only = "openat,renameat,fsync,send,recv", first = 1 + 4 * HALF, step = 8, alternate = true,
    }), 20)
  end)

  it("of the adoption of somebody's admin leaves a limited user", function()
    assert_no_wrong_end(crash.sweep(cases.adoption(sc), { only = "renameat,send", mark = "create_app_user", first = 1 + HALF, step = 6, alternate = true }), 8)
  end)

  it("of a publication leaves sinks that all hold the present password", function()
    assert_no_wrong_end(crash.sweep(cases.publication(sc), { path = "/sinks", first = 2 - HALF, step = 2 }), 7)
  end)

  it("of a recovery leaves what the recovery would have left", function()
    assert_no_wrong_end(crash.sweep(cases.recovery(sc), { only = "openat,renameat,send", first = 2 - HALF, step = 3 }), 7)
  end)

  it("of a removal leaves the user gone with all that it had, or untouched", function()
    assert_no_wrong_end(crash.sweep(cases.removal(sc), {
      only = "renameat,unlinkat,send", mark = "remove_app_user", first = 1 + 5 * HALF, step = 10, alternate = true,
    }), 4)
  end)

  it("of a change of access leaves what was asked for, or what was there before, and the record says which", function()
    for name, options in pairs { access = { first = 1 + 6 * HALF, step = 12 }, access_unmanaged = { first = 4 + 6 * HALF, step = 12 } } do
      options.only, options.mark, options.alternate = "renameat,unlinkat,send", "set_access", true
      assert_no_wrong_end(crash.sweep(cases[name](sc), options), 2)
    end
  end)

  it("of a first rotation leaves a record or none, and nothing sent that is not in it", function()
    assert_no_wrong_end(crash.sweep(cases.first_rotation(sc), {
      only = "openat,renameat,send", first = 2 - HALF, step = 3, alternate = true,
    }), 6)
  end)
end)

describe("the sweep over boundaries", function()
  local sc
  before_each(function() sc = scene.open() end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  it("finds a rotation that sends before it writes", function()
    local case = cases.rotation(sc)
    case.job = function(self) return { calls = { { "careless_rotation", { user = self.user } } } } end
    case.recoveries = { "resume" }
    local figures = crash.sweep(case, { only = "openat", path = ".rec.tmp", stop = 1 })
    assert.are.equal(1, figures.kills)
    assert.are.equal(1, #figures.wrong)
    assert.matches("sent a password that the store does not have", figures.wrong[1], 1, true)
    assert.matches("none of the 1 candidates in the store logs in", figures.wrong[1], 1, true)
    assert.matches("the stored password does not log in", figures.wrong[1], 1, true)
  end)

  it("numbers the same calls in each run", function()
    local case = cases.publication(sc)
    local counts = {}
    for i = 1, 2 do
      case:prepare(i)
      local run = crash.run(sc, case:job(), { only = "openat,write,fsync,renameat,flock,connect" })
      assert.are.equal(0, run.code)
      counts[i] = run.trace.calls
    end
    assert.is_true(counts[1] > 20)
    assert.are.equal(counts[1], counts[2])
  end)
end)
