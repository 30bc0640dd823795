local cases = require "spec.support.crash.cases"
local crash = require "spec.support.crash.sweep"
local faults = require "spec.support.crash.faults"
local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

local ENOSPC, EIO, ECONNRESET = 28, 5, 104
-- The two interpreters share the work; `make torture` does all of it.
local HALF = rawget(_G, "jit") and 0 or 1

describe("a system call that fails", function()
  local sc
  before_each(function() sc = scene.open() end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  local function assert_all_right(figures, at_least)
    assert(#figures.wrong == 0, ("%d wrong; the first: %s"):format(#figures.wrong, figures.wrong[1]))
    assert(figures.failed >= at_least, ("only %d of %d runs failed"):format(figures.failed, figures.faults))
  end

  it("in the store, once, lets a rotation send nothing after it", function()
    assert_all_right(faults.sweep(cases.rotation(sc), { how = EIO, path = "/store", store = true, first = 1 + HALF, step = 2 }), 14)
  end)

  it("in the store, from then on, lets a rotation send nothing after it", function()
    assert_all_right(faults.sweep(cases.rotation(sc), { how = ENOSPC, last = "all", path = "/store", store = true, first = 2 - HALF, step = 2 }), 14)
  end)

  it("in the store lets a creation send nothing after it", function()
    assert_all_right(faults.sweep(cases.creation(sc), {
      how = HALF == 0 and EIO or ENOSPC, path = "/store", only = "openat,write,fsync,renameat,pwrite", store = true, first = 1 + HALF, step = 3,
    }), 14)
  end)

  it("by half, lets the rest be written", function()
    local figures = faults.sweep(cases.rotation(sc), { how = "short", path = "/store", only = "write" })
    assert_all_right(figures, 0)
    assert.are.equal(0, figures.failed)
    assert.is_true(figures.faults >= 5)
  end)

  it("in a sink is told as changed and not published", function()
    local figures = faults.sweep(cases.rotation(sc), { how = ENOSPC, path = "/sinks", only = "openat,write,fsync,renameat", first = 1 + HALF, step = 2 })
    assert_all_right(figures, figures.faults)
    assert.is_true(figures.faults >= 4)
  end)

  it("on the connection to the API is never told as nothing changed when something was", function()
    assert_all_right(faults.sweep(cases.rotation(sc), { how = ECONNRESET, path = crash.api(sc), only = "send,recv", mark = "send" }), 0)
    assert_all_right(faults.sweep(cases.creation(sc), { how = ECONNRESET, path = crash.api(sc), only = "send,recv", mark = "create", step = 3 }), 0)
  end)
end)
