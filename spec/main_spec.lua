local temp = require "spec.support.temp"

local function run(body)
  return temp.run(temp.lua("local crdbcloud = require 'crdbcloud'; local errors = crdbcloud.errors; crdbcloud.main(function() "
    .. body .. " end)"))
end

describe("crdbcloud.main", function()
  it("ends with 0 when the function returns", function()
    local output, status = run "print('done')"
    assert.are.equal("done\n", output)
    assert.are.equal(0, status)
  end)

  for kind, code in pairs { permission_denied = 4, busy = 7, invalid_argument = 2, server = 1, cancelled = 130 } do
    it(("ends with %d for an error of kind %s, which it prints"):format(code, kind), function()
      local output, status = run(("assert(nil, errors.new{ kind = '%s', message = 'it went wrong' })"):format(kind))
      assert.are.equal(code, status)
      assert.truthy(output:find("it went wrong", 1, true))
    end)
  end

  it("ends with 5 when a write is unanswered", function()
    local _, status = run "error(errors.new{ kind = 'timeout', outcome = 'unknown' })"
    assert.are.equal(5, status)
  end)

  it("prints the report of an error", function()
    local output, status = run [[
      local report = require("crdbcloud.run.report").new{ operation = "x", run_id = "1", cluster = "c", store = "s",
        rows = { { user = "app", result = "unknown" } } }
      error(errors.new{ kind = "pending", outcome = "unknown", report = report })]]
    assert.are.equal(5, status)
    assert.truthy(output:find("1 unknown", 1, true))
  end)

  it("ends with 70 for any other error, never with 1, and says that something may be half done", function()
    local output, status = run "local t = nil; print(t.field)"
    assert.are.equal(70, status)
    assert.truthy(output:find("attempt to index", 1, true))
    assert.truthy(output:find("rotate resume", 1, true))
    assert.truthy(output:find("stack traceback", 1, true))
  end)

  it("ends with 70 for a raised table that is no error of ours", function()
    local _, status = run "error({})"
    assert.are.equal(70, status)
  end)

  it("ends with 130 when the interpreter is interrupted", function()
    local _, status = run "error('interrupted!')"
    assert.are.equal(130, status)
  end)

  it("raises when it gets no function", function()
    local crdbcloud = require "crdbcloud"
    local ok, err = pcall(crdbcloud.main, 7)
    assert.is_false(ok)
    assert.truthy(err:find("crdbcloud.main: expected a function, got 7", 1, true))
  end)
end)
