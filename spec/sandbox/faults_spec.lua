-- Every fault of the sandbox, over both versions of HTTP: what the client sees, and whether the
-- change was made, proven by a login.

local outside = require "spec.support.servers.outside"
local sandbox = require "spec.support.sandbox"

local s, path
local attempt = 0

-- Changes the password of one user under a fault.
-- Returns curl's answer, the log's entry and the password.
local function change(http, fault, more)
  attempt = attempt + 1
  local password = ("password-number-%d"):format(attempt)
  fault.op = fault.op or "update_sql_user_password"
  s:clear()
  s:fault(fault)
  local request = { method = "PUT", path = path, body = { password = password }, http = http }
  for name, value in pairs(more or {}) do request[name] = value end
  local answer = outside.request(s, request)
  return answer, s:log()[1], password
end

local function logs_in(password) return (outside.login(s, "legacy_report", password)) end

-- Looks until the password logs in; false when it never does.
local function logs_in_later(password)
  local give_up = os.time() + 30
  while os.time() < give_up do
    if logs_in(password) then return true end
  end
  return false
end

-- curl's exit statuses for a connection that ends without an answer, is reset, or ends in the middle of one.
local NOTHING = { ["1.1"] = { [52] = true, [56] = true }, ["2"] = { [16] = true, [18] = true, [55] = true, [56] = true, [92] = true } }
local RESET = { ["1.1"] = { [56] = true }, ["2"] = { [55] = true, [56] = true } }
local CUT = { ["1.1"] = { [18] = true, [56] = true }, ["2"] = { [16] = true, [18] = true, [55] = true, [56] = true, [92] = true } }

local CASES = {
  { what = "error_before", applied = false, status = 500, code = 13, message = "internal error" },
  { what = "error_before", status = 503, code = 14, message = "unavailable", retry_after = 7, applied = false, header = { "retry-after", "7" } },
  { what = "error_after", applied = true, status = 500, code = 13, message = "internal error" },
  { what = "error_after", applied = true, status = 409, code = 10, message = "cluster lock is held" },
  { what = "html_502", applied = false, status = 502, contains = "<h1>Error: Server Error</h1>", type = "text/html; charset=UTF-8" },
  { what = "html_502", apply = true, applied = true, status = 502, contains = "<html>", type = "text/html; charset=UTF-8" },
  { what = "wrong_name", applied = true, status = 200, contains = '{"name":"somebody_else"}' },
  { what = "redirect", applied = false, status = 307, header = { "location", "/elsewhere$" } },
  { what = "broken_body", applied = true, status = 200, contains = '{"name":"legacy_report' },
  { what = "empty_body", applied = true, status = 200, contains = "" },
  { what = "rate_limited", applied = false, status = 429, code = 8, message = "rate limit exceeded", header = { "retry-after", "^1$" } },
  { what = "rate_limited", form = "date", applied = false, status = 429, code = 8, header = { "retry-after", "^%a%a%a, %d%d %a%a%a %d%d%d%d .* GMT$" } },
  { what = "rate_limited", form = "absurd", applied = false, status = 429, code = 8, header = { "retry-after", "^86400$" } },
  { what = "rate_limited", form = "none", applied = false, status = 429, code = 8, no_header = "retry-after" },
  { what = "rate_limited", form = "code8", applied = false, status = 503, code = 8, no_header = "retry-after" },
  { what = "echo_password", applied = false, status = 400, code = 3, echo = true },
  { what = "must_differ", applied = false, status = 400, code = 3, message = "must differ from the current" },
  { what = "delay", seconds = 0.05, applied = true, status = 200, contains = '{"name":"legacy_report"}' },
  { what = "delay", seconds = 0.05, form = "before", applied = true, status = 200, contains = '{"name":"legacy_report"}' },
  { what = "drop_before", applied = false, exits = NOTHING },
  { what = "drop_after", applied = true, exits = NOTHING },
  { what = "drop_before", form = "reset", applied = false, exits = RESET },
  { what = "drop_after", form = "reset", applied = true, exits = RESET },
  { what = "late_apply", seconds = 0.05, applied = true, exits = NOTHING },
  { what = "half_body", applied = true, exits = CUT, contains = '{"name":"leg', status = 200 },
}

local EXPECTATIONS = { applied = true, exits = true, contains = true, header = true, no_header = true, echo = true, type = true }

local function fault_of(case)
  local fault = {}
  for name, value in pairs(case) do
    local given = not EXPECTATIONS[name]
    -- Status, code and message are what is expected; only errors can also be told to give them.
    if name == "status" or name == "code" or name == "message" then given = case.what:find("^error_") ~= nil end
    if given then fault[name] = value end
  end
  return fault
end

local function describe_case(case)
  local words = { case.what }
  if case.form then words[#words + 1] = case.form end
  if case.what:find("^error_") then words[#words + 1] = tostring(case.status) end
  return table.concat(words, " ") .. (case.apply and " apply" or "")
end

describe("a fault of the sandbox", function()
  setup(function()
    s = sandbox.shared()
    s:reset()
    path = "/api/v1/clusters/" .. s.cluster_id .. "/sql-users/legacy_report/password"
  end)

  after_each(function() s:clear() end)

  for _, http in ipairs { "1.1", "2" } do
    for _, case in ipairs(CASES) do
      it(("does what it says: %s, HTTP/%s"):format(describe_case(case), http), function()
        local answer, entry, password = change(http, fault_of(case))
        assert.are.equal(case.applied, logs_in(password))
        assert.are.equal(case.applied, entry.applied)
        assert.are.equal(case.what, entry.fault)
        assert.are.equal(http, entry.http)
        assert.are.equal(s:hash(password), entry.password_hash)
        if case.exits then
          assert.is_true(case.exits[http][answer.exit] or false, answer.output)
          if not case.contains then
            assert.are.equal("", answer.body)
            assert.are.equal(0, answer.status)
            assert.are.equal(0, entry.status)
          end
        else
          assert.are.equal(0, answer.exit)
          assert.are.equal(case.status, entry.status)
        end
        if case.status then assert.are.equal(case.status, answer.status) end
        if case.contains then assert.is_truthy(answer.body:find(case.contains, 1, true), answer.body) end
        if case.contains == "" then assert.are.equal("", answer.body) end
        if case.code then assert.are.equal(case.code, answer.json.code) end
        if case.message then assert.is_truthy(answer.json.message:find(case.message, 1, true)) end
        if case.type then assert.are.equal(case.type, answer.headers["content-type"]) end
        if case.header then assert.is_truthy(answer.headers[case.header[1]]:find(case.header[2]), answer.headers[case.header[1]]) end
        if case.no_header then assert.is_nil(answer.headers[case.no_header]) end
        assert.are.equal(case.echo or false, answer.body:find(password, 1, true) ~= nil)
      end)
    end

    it("can apply after the client has given up, HTTP/" .. http, function()
      local answer, _, password = change(http, { what = "late_apply", seconds = 4 }, { timeout = 2 })
      assert.are.equal(28, answer.exit)
      assert.is_true(logs_in_later(password))
      assert.is_true(s:log()[1].applied)
    end)

    it("applies nothing late once the sandbox was reset, HTTP/" .. http, function()
      local answer, _, password = change(http, { what = "late_apply", seconds = 2 }, { timeout = 0.1 })
      assert.are.equal(28, answer.exit)
      s:reset()
      -- The same fault anew, due after the first one.
      local _, _, later = change(http, { what = "late_apply", seconds = 2.1 })
      assert.is_true(logs_in(later))
      assert.is_false(logs_in(password))
    end)

    it("can answer with more than a client should take, HTTP/" .. http, function()
      local answer, entry, password = change(http, { what = "huge_body", bytes = 9 * 1024 * 1024 })
      assert.are.equal(200, answer.status)
      assert.is_true(#answer.body > 9 * 1024 * 1024)
      assert.is_true(logs_in(password))
      assert.are.equal(200, entry.status)
    end)
  end

  it("can echo the password in a success", function()
    local answer, _, password = change("2", { what = "echo_password", status = 200 })
    assert.are.equal(password, answer.json.password)
    assert.is_true(logs_in(password))
  end)

  it("strikes from the nth request on, as often as it says", function()
    s:fault { op = "update_sql_user_password", what = "error_before", nth = 2, count = 2 }
    local statuses = {}
    for i = 1, 4 do statuses[i] = outside.request(s, { method = "PUT", path = path, body = { password = "password-for-all" } }).status end
    assert.are.same({ 200, 500, 500, 200 }, statuses)
  end)

  it("strikes for ever when told so, until it is cleared", function()
    s:fault { op = "*", what = "error_before", count = "all" }
    for _ = 1, 3 do assert.are.equal(500, outside.request(s, { path = "/api/v1/clusters" }).status) end
    s:clear()
    assert.are.equal(200, outside.request(s, { path = "/api/v1/clusters" }).status)
  end)

  it("strikes its operation and its user only", function()
    s:fault { op = "update_sql_user_password", what = "error_before", user = "app_user_002" }
    local function status(name)
      local of_user = path:gsub("legacy_report", name)
      return outside.request(s, { method = "PUT", path = of_user, body = { password = "password-for-all" } }).status
    end
    assert.are.equal(200, outside.request(s, { path = "/api/v1/clusters" }).status)
    assert.are.same({ 200, 500, 200 }, { status("app_user_001"), status("APP_user_002"), status("app_user_002") })
  end)

  it("can repeat a page token for ever", function()
    local users = path:gsub("/legacy_report/password", "")
    s:fault { op = "list_sql_users", what = "repeat_token", count = "all" }
    local first = outside.request(s, { path = users, query = "pagination.limit=2" }).json.pagination.next_page
    local second = outside.request(s, { path = users, query = "pagination.limit=2&pagination.page=" .. first }).json.pagination.next_page
    assert.are.equal(first, second)
  end)

  it("does not keep other requests waiting", function()
    s:fault { op = "update_sql_user_password", what = "late_apply", seconds = 6 }
    local before = #s:log()
    -- The slow request goes on in the background; the quick one is answered while it is still open.
    outside.write(s.dir .. "/control/slow.json", '{"password":"password-for-all"}')
    outside.write(s.dir .. "/control/slow.conf", table.concat({
      ('url = "%s%s"'):format(s.url, path),
      'request = "PUT"',
      ('cacert = "%s"'):format(s.ca_file),
      ('data-binary = "@%s/control/slow.json"'):format(s.dir),
      ('header = "Authorization: Bearer %s"'):format((outside.read(s.key_file):gsub("\n", ""))),
    }, "\n"))
    local slow = assert(io.popen("curl -q -s --noproxy '*' -K " .. outside.quote(s.dir .. "/control/slow.conf") .. " 2>&1", "r"))
    for _ = 1, 1000 do
      if #s:log() > before then break end
    end
    assert.are.equal(200, outside.request(s, { path = "/api/v1/clusters" }).status)
    local log = s:log()
    assert.are.same({ 0, 200 }, { log[before + 1].status, log[before + 2].status })
    assert.is_false(log[before + 1].applied)
    slow:read("*a")
    slow:close()
    assert.is_true(s:log()[before + 1].applied)
  end)

  it("is refused when it makes no sense", function()
    for _, fault in ipairs {
      { op = "nothing", what = "error_before" }, { op = "*", what = "nothing" }, { op = "*" }, { what = "error_before" },
      { op = "*", what = "error_before", nth = 0 }, { op = "*", what = "error_before", count = "some" },
      { op = "*", what = "rate_limited", form = "odd" }, { op = "*", what = "error_before", unknown = 1 },
    } do
      assert.is_false((pcall(s.fault, s, fault)))
    end
    assert.is_false((pcall(s.set, s, { unknown = 1 })))
    assert.is_false((pcall(s.set, s, { page_end = "odd" })))
    assert.are.equal(200, outside.request(s, { path = "/api/v1/clusters" }).status)
  end)

  it("can be set from a shell", function()
    local output, ok = s:command("fault op=list_clusters what=error_before status=504 code=4 'message=too slow'")
    assert.is_true(ok, output)
    local answer = outside.request(s, { path = "/api/v1/clusters" })
    assert.are.same({ 504, 4, "too slow" }, { answer.status, answer.json.code, answer.json.message })
    output, ok = s:command("fault op=list_clusters what=odd")
    assert.is_false(ok)
    assert.is_truthy(output:find("unknown fault odd", 1, true))
    output = s:command("log")
    assert.is_truthy(output:find('"op":"list_clusters"', 1, true))
  end)

  it("changes the form of details where any form can be read", function()
    local function details(form, status_path)
      s:set { details = form }
      local answer = outside.request(s, { path = status_path, method = "DELETE" })
      s:set { details = "objects" }
      return answer.json.details
    end
    local missing = path:gsub("legacy_report/password", "nobody_here")
    assert.are.equal("table", type(details("objects", missing)[1]))
    assert.are.equal("string", type(details("strings", missing)[1]))
    assert.are.same({}, details("none", missing))
  end)
end)
