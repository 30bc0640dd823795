-- `make soak` for seconds, with the protocol's clocks set short.

local temp = require "spec.support.temp"

describe("two rotators that are killed and frozen at random", function()
  teardown(temp.clean)

  it("lose no password and send one for each epoch", function()
    local out, status = temp.run("SOAK_SECONDS=10 SOAK_LEAST=17 SOAK_USERS=30 SOAK_CLOCKS=short SOAK_SEED=20260501 " ..
      temp.lua "arg = {} dofile 'spec/soak/run.lua'")
    assert.equal(0, status, out)
    local killed, frozen = out:match "(%d+) killed, (%d+) freezes, 0 ended by themselves"
    local users, epochs = out:match "records: (%d+) users, (%d+) epochs, 0 open"
    assert.is_true(tonumber(killed) > 2 and tonumber(frozen) > 1, out)
    assert.is_true(tonumber(epochs) > tonumber(users), out)
    assert.truthy(out:find("epochs with two passwords: 0; passwords out of order: 0\n0 lost passwords", 1, true), out)
  end)
end)
