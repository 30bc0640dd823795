local durations = require "crdbcloud.base.durations"

describe("durations", function()
  describe("are read", function()
    local cases = {
      { 0, 0 }, { 30, 30 }, { 0.25, 0.25 }, { "500ms", 0.5 }, { "30s", 30 }, { "1.5s", 1.5 }, { "5m", 300 }, { "1h", 3600 },
      { "90d", 90 * 86400 }, { "2w", 14 * 86400 }, { "1h30m", 5400 }, { "1d12h", 129600 }, { "0s", 0 },
    }
    for _, case in ipairs(cases) do
      it(("from %s"):format(tostring(case[1])), function()
        assert.near(case[2], durations.parse(case[1], "x"), 1e-9)
      end)
    end
  end)

  describe("are refused, by name and with what came", function()
    local cases = {
      { "30", 'max_age needs a unit: write "30s" for seconds or "30ms" for milliseconds' },
      { "", "max_age must be a duration" }, { "soon", 'got "soon"' }, { "1x", "must be a duration" },
      { "1h 30m", "must be a duration" }, { "-1s", "must be a duration" }, { -1, "from 0 to 100 years" },
      { 1e12, "from 0 to 100 years" }, { 0 / 0, "from 0 to 100 years" }, { math.huge, "from 0 to 100 years" },
      { {}, "got a table" }, { true, "got true" }, { nil, "got nothing" },
    }
    for i = 1, #cases do
      local value, words = cases[i][1], cases[i][2]
      it(("such as %s"):format(tostring(value)), function()
        local ok, message = pcall(function() durations.parse(value, "max_age") end)
        assert.is_false(ok)
        assert.truthy(message:find(words, 1, true), message)
        assert.truthy(message:find("durations_spec.lua:", 1, true), message)
      end)
    end
    it("such as nothing at all", function()
      assert.error_matches(function() durations.parse(nil, "max_age") end, "max_age must be a duration.*got nothing")
    end)
  end)

  describe("as time limits", function()
    it("take seconds, and text however long", function()
      assert.equal(600, durations.limit(600, "timeout"))
      assert.equal(7200, durations.limit("2h", "timeout"))
    end)

    it("take a bare number above 600 for milliseconds and refuse it", function()
      local _, message = pcall(function() durations.limit(30000, "timeout") end)
      assert.truthy(message:find('timeout = 30000 is in seconds; for milliseconds write "30000ms", for seconds "30000s"', 1, true), message)
    end)

    it("are never 0", function()
      assert.error_matches(function() durations.limit(0, "timeout") end, "timeout must be a time limit above 0")
      assert.error_matches(function() durations.limit("0ms", "timeout") end, "timeout must be a time limit above 0")
    end)

    it("raise at the caller's line", function()
      local line = debug.getinfo(1, "l").currentline + 1
      local _, message = pcall(function() durations.limit("x", "timeout") end)
      assert.truthy(message:find("spec.lua:" .. line .. ": timeout", 1, true), message)
    end)
  end)

  describe("are written", function()
    local cases = {
      { 0, "0s" }, { 0.00001, "1ms" }, { 0.25, "250ms" }, { 0.9999, "1s" }, { 1.5, "1.5s" }, { 9.99, "10s" }, { 30, "30s" },
      { 90, "1m30s" }, { 3600, "1h" }, { 5400, "1h30m" }, { 5401, "1h30m" }, { 90 * 86400, "90d" }, { 129600, "1d12h" },
      { -30, "-30s" }, { 59.6, "1m" },
    }
    for _, case in ipairs(cases) do
      it("as " .. case[2], function() assert.equal(case[2], durations.format(case[1])) end)
    end
  end)

  it("say what is wrong without raising", function()
    local seconds, problem = durations.read "soon"
    assert.is_nil(seconds)
    assert.truthy(problem:find "must be a duration")
  end)
end)
