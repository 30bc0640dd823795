-- The load test of `make check-nginx`, shortened.
local nginx = require "spec.support.servers.nginx"
local temp = require "spec.support.temp"

describe("nginx under load", function()
  after_each(function()
    nginx.stop_all()
    temp.clean()
  end)

  local function holds(part, options)
    local module = require("spec.nginx_load." .. part)
    local figures = module.run(options)
    assert.is_nil(module.problem(figures), module.text(figures))
  end

  it("answers every call of a faulty service, and holds in the end what it held before", function()
    holds("mixed", { calls = 500 })
  end)

  it("answers every call across reloads, sends each once and loses no password", function()
    holds("reload", { calls = 24, reloads = 3 })
  end)

  it("writes no secret into its logs, and into a shared dictionary only where a sink asks for it", function()
    holds("secrets", {})
  end)

  it("finishes what was stopped in the middle of a rotation with the next start", function()
    holds("crash", { rounds = 1, ways = { "stop" } })
  end)
end)
