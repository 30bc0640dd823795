-- A short run of the simulation; `make simulate` runs 20,000 interleavings and more.

local simulation = require "spec.sim.simulation"
local variants = require "spec.sim.variants"

local RUNS = 2000

local function described(totals)
  local lines = { simulation.summary(totals) }
  for _, result in ipairs(totals.first) do lines[#lines + 1] = simulation.describe(result) end
  return table.concat(lines, "\n")
end

describe("rotators that are killed, stopped and overtaken, with lost, late and wrong answers,", function()
  it(("end with the live password in the store and break no rule on the way, in %d interleavings"):format(RUNS), function()
    local totals = simulation.many(1, RUNS)
    assert.are.equal(0, totals.wrong, described(totals))
    -- They did something.
    assert.is_true(totals.sends > 2 * RUNS)
    assert.is_true(totals.crashes > RUNS)
  end)
end)

describe("the simulation", function()
  it("gives the same interleaving for the same seed", function()
    for seed = 1, 20 do
      local first = simulation.one(seed, { trace = true })
      local second = simulation.one(seed, { trace = true })
      assert.is_true(#first.lines > 0)
      assert.are.same(first.lines, second.lines)
    end
  end)

  for _, variant in ipairs(variants.list) do
    if not variant.rare then
      it(("finds an engine in which %s"):format(variant.what), function()
        local totals = simulation.many(1, variant.runs or 150, { variant = variant.name })
        assert.is_true(totals.wrong > 0, simulation.summary(totals, variant.name))
        assert.is_truthy(totals.by_id[variant.breaks], simulation.summary(totals, variant.name))
      end)
    end
  end

  it("puts the engine back after a wrong one", function()
    assert.are.equal(0, simulation.many(1, 50).wrong)
  end)
end)
