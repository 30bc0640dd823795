-- The measure of `make check-nginx`, shortened. It runs when no other spec does (spec/support/run).
local latency = require "spec.nginx_load.latency"
local nginx = require "spec.support.servers.nginx"
local temp = require "spec.support.temp"

describe("nginx", function()
  after_each(function()
    nginx.stop_all()
    temp.clean()
  end)

  it("answers other requests of a worker while 100 calls are under way there, which a blocking call does not", function()
    local figures = latency.run { seconds = 1, rounds = 5 }
    assert.is_nil(latency.problem(figures), latency.text(figures))
    -- The same measure finds fault with the control.
    local control = { quiet = figures.quiet, module = figures.control }
    control.module.refused = 0
    assert.matches("^beside calls under way", latency.problem(control))
  end)
end)
