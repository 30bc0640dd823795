local pool = require "spec.pool.pool"

describe("the pool test", function()
  it("sees no failure where programs use connect_with, or the sink of a pair", function()
    local figures = pool.run { turns = 3 }
    assert.is_nil(pool.problem(figures))
    assert.are.same({ 6, 4 }, { figures.rotations, figures.kills })
    for _, group in ipairs(figures.groups) do assert(group.opened >= 10, pool.text(figures)) end
  end)

  it("sees the failures of programs that read only the sink of a plain user, or it proves nothing", function()
    local function figures(control, others)
      return { groups = {
        { name = "others", opened = 9, failed = others, first = "why" }, { name = "control", opened = 9, failed = control, control = true },
      } }
    end
    assert.is_nil(pool.problem(figures(3, 0)))
    assert.matches("others: 1 failures, the first: why", pool.problem(figures(3, 1)), 1, true)
    assert.matches("the control saw no failure", pool.problem(figures(0, 0)), 1, true)
    assert.matches("others: nothing was opened", pool.problem { groups = { { name = "others", opened = 0, failed = 0 } } }, 1, true)
  end)
end)
