local core = require "crdbcloud.core"
local events = require "crdbcloud.api.events"

describe("events", function()
  it("hold the fields of the list and nothing else", function()
    local event = events.new {
      event = "answer", operation = "create_sql_user", user = "app", password = "hunter2hunter2", body = "{}", status = 200,
      headers = { a = 1 }, message = core.secret "hidden", path = "/api", Authorization = "Bearer x",
    }
    local plain = {}
    for name, value in pairs(event) do plain[name] = value end
    assert.same({ event = "answer", operation = "create_sql_user", user = "app", status = 200, path = "/api" }, plain)
  end)

  it("print on one line in a fixed order", function()
    local event = events.new { wait = 0.25, user = "app", event = "retry", attempt = 2, why = "a read\nmay be repeated" }
    assert.equal('retry user=app attempt=2 wait=0.250 why="a read may be repeated"', tostring(event))
    assert.equal("answer new_connection=false", tostring(events.new { event = "answer", new_connection = false }))
  end)

  it("go nowhere without a listener", function()
    assert.has_no_error(function() events.emitter(nil) { event = "x" } end)
  end)

  it("reach the listener", function()
    local got
    events.emitter(function(event) got = event end) { event = "x", user = "u" }
    assert.equal("u", got.user)
  end)

  it("survive a listener that raises, who is warned once", function()
    local seen = {}
    local emit = events.emitter(function(event)
      seen[#seen + 1] = tostring(event)
      error "broken"
    end)
    for _ = 1, 3 do emit { event = "answer" } end
    assert.equal(4, #seen)
    assert.truthy(seen[2]:find "^warning message=.*on_event raised an error: .*broken")
    for _, i in ipairs { 1, 3, 4 } do assert.equal("answer", seen[i]) end
  end)
end)
