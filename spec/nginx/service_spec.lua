-- The parts of examples/nginx that need no nginx: texts, checks of what came in, what the page shows.
package.path = "examples/nginx/?.lua;examples/nginx/?/init.lua;" .. package.path

local forms = require "service.forms"
local html = require "service.html"
local metrics = require "service.metrics"
local page = require "service.page"
local view = require "service.view"

describe("the texts of the nginx example", function()
  it("have no way out of an element or an attribute", function()
    assert.equal("&lt;b&gt; &amp;amp; &quot;x&quot; &#39;y&#39;", html.escape [[<b> &amp; "x" 'y']])
    assert.equal("a b c\n", html.escape "a\0b\27c\n")
    assert.equal("zażółć 7", html.escape "zażółć 7")
  end)

  it("are filled in once: what is filled in is no template", function()
    assert.equal("<i>{b} &lt;</i> <b>{a}</b>", html.fill("<i>{a}</i> {{b}}", { a = "{b} <", b = "<b>{a}</b>" }))
    assert.has_error(function() html.fill("{missing}", {}) end)
  end)

  for _, case in ipairs {
    { 0, "just now" }, { 1, "1 second" }, { 59.9, "59 seconds" }, { 60, "1 minute" }, { 7199, "1 hour" }, { 86400 * 41 + 5, "41 days" },
    { -5, "just now" },
  } do
    it(("say of %g seconds: %s"):format(case[1], case[2]), function() assert.equal(case[2], html.duration(case[1])) end)
  end

  it("say when something was or will be, with the exact time for machines", function()
    assert.equal("3 minutes ago", html.moment(820, 1000))
    assert.equal("in 2 hours", html.moment(1000 + 7200, 1000))
    assert.equal("now", html.moment(1000.4, 1000))
    assert.equal("never", html.moment(nil, 1000))
    assert.equal('<time datetime="1970-01-01T00:13:40Z" title="1970-01-01 00:13:40 UTC">3 minutes ago</time>', html.time(820, 1000))
  end)
end)

describe("what comes into the nginx example", function()
  local function user(changes)
    local given = { name = " api ", owner = "o@example.com", database = "shop", access = "readonly" }
    for name, value in pairs(changes or {}) do given[name] = value or nil end
    return given
  end

  it("becomes the options of create_app_user", function()
    assert.same({ name = "api", owner = "o@example.com", access = { database = "shop", tables = "*", preset = "readonly" } }, forms.user(user()))
    assert.same({ "orders", "customers" }, forms.user(user { tables = "orders,  customers" }).access.tables)
    assert.same({ "orders" }, forms.user(user { tables = { "orders" } }).access.tables)
    assert.equal("*", forms.user(user { tables = "  " }).access.tables)
    assert.equal("readwrite", forms.user(user { access = "readwrite", form_token = "0" }).access.preset)
  end)

  for _, case in ipairs {
    { { name = false }, "name is missing" }, { { name = "  " }, "name is missing" }, { { owner = 7 }, "owner is missing" },
    { { access = "admin" }, "access must be readonly or readwrite" }, { { tables = { 7 } }, "tables must be a list of names" },
    { { owner = "a\27[31m" }, "owner must be one line of UTF-8" }, { { owner = "\255\254" }, "owner must be one line of UTF-8" },
    { { database = "a\nb" }, "database must be one line of UTF-8" },
    { { tables = { a = "b" } }, "tables must be a list of names" }, { { roles = "admin" }, "unknown field roles" },
  } do
    it("is refused: " .. case[2], function()
      local options, problem = forms.user(user(case[1]))
      assert.is_nil(options)
      assert.equal(case[2], problem)
    end)
  end

  it("becomes the options of schedule_now", function()
    assert.same({ users = "managed" }, forms.rotation {})
    assert.same({ users = { "api" }, reason = "lost" }, forms.rotation { user = "api", reason = " lost " })
    assert.same({ users = { "a", "b" } }, forms.rotation { users = { "a", "b" } })
    for _, wrong in ipairs {
      { users = "all" }, { users = {} }, { users = { 7 } }, { user = "a", users = { "b" } }, { usr = "a" }, { reason = ("x"):rep(201) }, { reason = 7 },
    } do
      assert.is_nil((forms.rotation(wrong)))
    end
  end)
end)

describe("what the nginx example shows", function()
  local DAY = 86400

  local function shown(rows, more)
    local got = { cluster = "prod", status = { rows = rows }, listed = {} }
    for name, value in pairs(more or {}) do got[name] = value end
    return view.of(got, 90 * DAY, 1000 * DAY)
  end

  for _, case in ipairs {
    { "up to date", { state = "idle", age = 5 }, "ok" },
    { "due at the very age", { state = "idle", age = 90 * DAY }, "due" },
    { "half done", { state = "applied", open = true, age = 90 * DAY }, "open" },
    { "unanswered", { state = "intent", open = true, unanswered = true }, "unanswered" },
    { "being created", { state = "demoted", open = true }, "creating" },
    { "unreadable", { state = "refused", open = true }, "unreadable" },
    { "the partner of a pair", { state = "idle", partner_of = "shop" }, "partner" },
    { "being rotated", { state = "intent", open = true, unanswered = true }, "rotating", { user = "u" } },
    { "being rotated, by a run that has gone on since", { state = "intent", open = true, run_id = "a" }, "rotating", { user = "v", run_id = "a" } },
    { "half done, while another run goes on", { state = "intent", open = true, run_id = "b" }, "open", { user = "v", run_id = "a" } },
  } do
    it("tells a user that is " .. case[1], function()
      case[2].user = "u"
      local seen = shown({ case[2] }, { schedule = { running = true, progress = case[4] } })
      assert.equal(case[3], seen.users[1].state)
      assert.is_string(seen.users[1].label)
    end)
  end

  it("counts, and puts first who needs a look", function()
    local seen = shown({
      { user = "b_ok", state = "idle", age = 3 }, { user = "a_due", state = "idle", age = 100 * DAY },
      { user = "z_open", state = "intent", open = true, unanswered = true, age = 4 },
    }, { listed = { { name = "b_ok" }, { name = "foreign" } } })
    local order = {}
    for i, user in ipairs(seen.users) do order[i] = user.name end
    assert.same({ "z_open", "a_due", "b_ok", "foreign" }, order)
    assert.same({ 3, 1, 1, 1, 1, 1, 100 * DAY }, { seen.managed, seen.unmanaged, seen.due, seen.open, seen.stuck, seen.unanswered, seen.oldest })
  end)

  it("shows what there is when store or API do not answer", function()
    local seen = view.of({ cluster = "prod", store_error = "the store is down", listed = { { name = "x" } } }, DAY, 0)
    local body = page.main(seen, { form_token = "0" }, {})
    assert.matches('role="alert">the store is down<', body)
    assert.matches(">x<", body)
    assert.matches('crdbcloud_source_up{cluster="prod",source="store"} 0\n', metrics.text(seen))
    assert.matches('crdbcloud_source_up{cluster="prod",source="api"} 1\n', metrics.text(seen))
  end)

  it("tells of a run that failed, was cut, or goes on", function()
    local function body(schedule)
      schedule.every, schedule.failures, schedule.asked = 3600, 0, schedule.asked or 0
      return page.main(shown({ { user = "u", state = "idle", age = 1 } }, { schedule = schedule }), { form_token = "0" }, {})
    end
    local failed = body { last = { ok = false, ended = 999 * DAY, message = "no <role>", hint = "give it one" } }
    assert.matches("Last run <time[^>]*>1 day ago</time>: no &lt;role&gt;; give it one", failed)
    assert.falsy(failed:find('http-equiv="refresh"', 1, true))
    assert.matches("Every hour, passwords older than 90 days are rotated", failed)
    local cut = body { cut = true, running_since = 999 * DAY }
    assert.matches("another one goes on", cut)
    assert.matches('http%-equiv="refresh" content="2"', cut)
    local running = body { running = true, running_since = 999 * DAY, progress = { index = 3, total = 7, user = "u", text = "changing" } }
    assert.matches('<progress[^>]* value="2" max="7">', running)
    assert.matches("3 of 7: u: changing", running)
  end)

  it("escapes labels in metrics", function()
    local text = metrics.text(shown { { user = 'a"b\\c\nd', state = "idle", age = 1.5 } })
    assert.truthy(text:find([[crdbcloud_password_age_seconds{cluster="prod",user="a\"b\\c\nd"} 1.500]], 1, true))
    for line in text:gmatch "[^\n]+" do assert.truthy(line:find "^#" or line:find "^crdbcloud_[%w_]+{.*} [%d.]+$", line) end
  end)
end)
