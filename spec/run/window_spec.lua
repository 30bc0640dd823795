local window = require "crdbcloud.run.window"

describe("a window", function()
  for _, case in ipairs {
    { "02:00-04:00", 2, 0, true }, { "02:00-04:00", 3, 59, true }, { "02:00-04:00", 4, 0, false },
    { "02:00-04:00", 1, 59, false }, { "22:00-04:00", 23, 30, true }, { "22:00-04:00", 0, 0, true },
    { "22:00-04:00", 3, 59, true }, { "22:00-04:00", 4, 0, false }, { "22:00-04:00", 12, 0, false },
    { "00:00-23:59", 23, 59, false }, { "00:00-23:59", 0, 0, true },
  } do
    it(("%s is %s at %02d:%02d"):format(case[1], case[4] and "open" or "closed", case[2], case[3]), function()
      assert.are.equal(case[4], window.is_open(window.rule(case[1], "window", 1), case[2], case[3]))
    end)
  end

  for _, bad in ipairs { "2-4", "02:00", "25:00-26:00", "02:60-03:00", "02:00-02:00", 7, {} } do
    it("is refused: " .. tostring(bad), function()
      local ok, err = pcall(window.rule, bad, "window", 1)
      assert.is_false(ok)
      assert.truthy(err:find('window must be hours of the day such as "22:00-04:00", got ', 1, true))
    end)
  end
end)
