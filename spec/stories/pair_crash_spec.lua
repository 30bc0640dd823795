local cases = require "spec.support.crash.pair_cases"
local crash = require "spec.support.crash.sweep"
local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

-- `make torture` kills at every boundary. Here the two interpreters take every so-manieth, each others.
local JIT = rawget(_G, "jit") ~= nil

describe("a pair whose process is killed", function()
  local sc
  before_each(function() sc = scene.open() end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  local function assert_no_wrong_end(case, options, at_least)
    options.first = JIT and 1 + options.step / 2 or 1
    local figures = crash.sweep(case, options)
    assert(#figures.wrong == 0, ("%d wrong ends; the first: %s"):format(#figures.wrong, figures.wrong[1]))
    assert(figures.kills >= at_least, ("only %d kills"):format(figures.kills))
  end

  it("in a turn always has a credential that logs in, in the store and in its sink", function()
    assert_no_wrong_end(cases.turn(sc), { only = "renameat,send", mark = "turn", step = 4 }, 4)
  end)

  it("while its partner is made has none of an admin's, and ends with one switch", function()
    assert_no_wrong_end(cases.first_turn(sc), { only = "renameat,send", mark = "turn", step = 10, alternate = true }, 5)
  end)

  it("while it is created ends with a user and a role that are its own", function()
    assert_no_wrong_end(cases.creation(sc), { only = "renameat,send", mark = "create", step = 12, alternate = true }, 4)
  end)

  it("in an emergency ends with two new passwords", function()
    local case = cases.emergency(sc)
    local turned = case.turned
    function case:turned(problems, rec, kind)
      turned(self, problems, rec, kind)
      local changed = {}
      for _, entry in ipairs(self.scene.sandbox:log()) do
        if entry.op == "update_sql_user_password" and entry.user then changed[entry.user] = true end
      end
      if rec.pair.epoch > self.before.epoch and not (changed[self.user] and changed[self.partner]) then
        problems[#problems + 1] = "only one of the two was changed"
      end
    end
    assert_no_wrong_end(case, { only = "renameat,send", mark = "turn", step = 12 }, 3)
  end)
end)
