local command = require "spec.support.command"
local temp = require "spec.support.temp"

describe("the systemd units", function()
  local case = command.case()
  setup(case.setup)
  before_each(case.before)
  after_each(case.after)

  local unit = temp.read "examples/systemd/crdbcloud-rotate.service"

  it("run a command that works without a terminal", function()
    case.ok("rotate", "run", "--user", "app_user_001", "--yes")
    local words = {}
    for word in unit:match("ExecStart=(%C+)"):gmatch "%S+" do words[#words + 1] = word end
    assert.equal("/usr/local/bin/crdbcloud", table.remove(words, 1))
    local r = case.ok((table.unpack or unpack)(words))
    case.shows("1 skipped", r.out)
  end)

  it("hold no secret and give the key as a credential", function()
    assert.truthy(unit:find("LoadCredential=api-key:", 1, true))
    assert.falsy(unit:find("COCKROACH_API_KEY=", 1, true))
    assert.falsy(unit:find("PGPASSWORD", 1, true))
  end)

  it("belong together", function()
    local timer = temp.read "examples/systemd/crdbcloud-rotate.timer"
    assert.truthy(timer:find("Persistent=true", 1, true))
    assert.truthy(timer:find("OnCalendar=", 1, true))
  end)
end)
