local kill_many = require "spec.support.crash.many"

describe("a rotation of many users", function()
  -- `make torture` does it with 200 users and 40 kills, and another seed each time.
  it("killed again and again leaves every user with the password that is in the store", function()
    local options = { users = 30, kills = 8, seed = rawget(_G, "jit") and 20 or 10 }
    local figures = kill_many.run(options)
    assert(#figures.problems == 0, kill_many.text(figures, options))
    assert.are.equal(8, figures.kills)
    assert.is_true(figures.puts >= 30)
  end)
end)
