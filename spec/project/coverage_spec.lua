local temp = require "spec.support.temp"

describe("the protocol", function()
  it("has a spec for each crash point and hostile case, found by its id", function()
    local output, status = temp.run "lua5.4 spec/support/lint/coverage.lua"
    assert.are.equal(0, status, output)
    assert.truthy(output:find("69 ids, 0 without a spec", 1, true))
  end)
end)
