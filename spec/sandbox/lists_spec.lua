-- Lists, clusters, the audit log and the rate limit of the sandbox, by curl.

local outside = require "spec.support.servers.outside"
local sandbox = require "spec.support.sandbox"

local s, users
local CLUSTERS = "/api/v1/clusters"

local function get(path, query, more)
  local request = { path = path, query = query }
  for name, value in pairs(more or {}) do request[name] = value end
  return outside.request(s, request)
end

local function escape(text)
  return (text:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local function names(answer, member)
  local found = {}
  for i, item in ipairs(answer.json[member or "users"]) do found[i] = item.name end
  return found
end

local function assert_invalid(answer, message)
  assert.are.equal(400, answer.status)
  assert.are.equal(3, answer.json.code)
  assert.is_truthy(answer.json.message:find(message, 1, true), answer.json.message)
end

-- All pages of a list, by following next_page. Returns the names and the number of pages.
local function follow(path, query, member)
  local all, count, page = {}, 0, ""
  repeat
    local answer = get(path, query .. "&pagination.page=" .. escape(page))
    assert.are.equal(200, answer.status)
    for _, name in ipairs(names(answer, member)) do all[#all + 1] = name end
    count = count + 1
    page = answer.json.pagination and answer.json.pagination.next_page or ""
  until page == "" or count == 50
  return all, count
end

local function reversed(list)
  local result = {}
  for i = #list, 1, -1 do result[#result + 1] = list[i] end
  return result
end

describe("lists of the sandbox", function()
  setup(function()
    s = sandbox.shared()
    s:reset()
    users = CLUSTERS .. "/" .. s.cluster_id .. "/sql-users"
    s:psql("DO $$ BEGIN FOR n IN 1..120 LOOP EXECUTE format('CREATE ROLE many_%s LOGIN', lpad(n::text, 3, '0')); END LOOP; END $$")
  end)

  before_each(function() s:clear() end)

  it("come in pages of 100 when no limit is given, and the first page is also that of an empty token", function()
    local first = get(users)
    assert.are.equal(100, #first.json.users)
    assert.are.same(names(first), names(get(users, "pagination.page=")))
    assert.are.same(names(first), names(get(users, "pagination.page=&pagination.limit=100")))
  end)

  it("are whole and in order, whatever the size of a page", function()
    local whole = names(get(users, "pagination.limit=500"))
    assert.are.equal(128, #whole)
    local sorted = reversed(whole)
    table.sort(sorted)
    assert.are.same(sorted, whole)
    local all, count = follow(users, "pagination.limit=50")
    assert.are.same(whole, all)
    assert.are.equal(3, count)
    assert.are.same(reversed(whole), (follow(users, "pagination.limit=60&pagination.sort_order=DESC")))
    s:set { page_cap = 40 }
    all, count = follow(users, "pagination.limit=500")
    s:set { page_cap = 500 }
    assert.are.same(whole, all)
    assert.are.equal(4, count)
  end)

  it("have no further page when the last one is just full", function()
    local answer = get(users, "pagination.limit=128")
    assert.are.equal(128, #answer.json.users)
    assert.is_nil(answer.json.pagination.next_page)
  end)

  it("can be followed back", function()
    local first = get(users, "pagination.limit=10")
    local second = get(users, "pagination.limit=10&pagination.page=" .. first.json.pagination.next_page)
    local back = get(users, "pagination.limit=10&pagination.page=" .. second.json.pagination.previous_page)
    assert.are.same(names(first), names(back))
    assert.is_nil(first.json.pagination.previous_page)
    assert.is_nil(back.json.pagination.previous_page)
    local again = get(users, "pagination.limit=10&pagination.page=" .. back.json.pagination.next_page)
    assert.are.same(names(second), names(again))
  end)

  it("refuse limits, orders, times and tokens that are none", function()
    for _, limit in ipairs { "0", "-1", "501", "ten", "1.5" } do assert_invalid(get(users, "pagination.limit=" .. limit), "pagination.limit") end
    assert_invalid(get(users, "pagination.sort_order=UP"), "sort_order")
    for _, time in ipairs { "yesterday", "2026-01-01", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00", "2226-01-01T00:00:00Z", "" } do
      assert_invalid(get(users, "pagination.as_of_time=" .. time), "as_of_time")
    end
    local token = get(users, "pagination.limit=10").json.pagination.next_page
    assert.are.equal(200, get(users, "pagination.limit=20&pagination.page=" .. token).status)
    for _, bad in ipairs { "nonsense", token .. "x", token:sub(2), token:reverse() } do
      assert_invalid(get(users, "pagination.page=" .. escape(bad)), "token")
    end
    assert_invalid(get(users, "pagination.sort_order=DESC&pagination.page=" .. token), "token")
    assert_invalid(get(CLUSTERS .. "/" .. s.cluster_id .. "/databases", "pagination.page=" .. token), "token")
  end)

  it("end in each of the five forms", function()
    local forms = {
      no_pagination = '^{"users":%[', null_pagination = '^{"pagination":null,', no_next = '^{"pagination":{},',
      null_next = '^{"pagination":{"next_page":null},', empty_next = '^{"pagination":{"next_page":""},',
    }
    for form, pattern in pairs(forms) do
      s:set { page_end = form }
      local body = get(users, "pagination.limit=500").body
      s:set { page_end = "no_next" }
      assert.is_truthy(body:find(pattern), form)
    end
  end)

  it("show the users of an earlier time", function()
    local function post(method, path, body) return outside.request(s, { method = method, path = path, body = body }).status end
    assert.are.equal(200, post("POST", users, { name = "zz_before", password = "first-password-1" }))
    -- The time of a request between the two changes, in milliseconds as the sandbox counts them.
    get(users)
    local between = math.floor(s:log()[2].time * 1000 + 0.5)
    local now = os.date("!%Y-%m-%dT%H:%M:%S", math.floor(between / 1000)) .. (".%03dZ"):format(between % 1000)
    assert.are.equal(200, post("DELETE", users .. "/zz_before"))
    assert.are.equal(200, post("POST", users, { name = "zz_later", password = "first-password-1" }))
    local query = "pagination.limit=3&pagination.sort_order=DESC"
    assert.are.same({ "zz_later", "sso_anna", "sandbox_admin" }, names(get(users, query)))
    assert.are.same({ "zz_before", "sso_anna", "sandbox_admin" }, names(get(users, query .. "&pagination.as_of_time=" .. now)))
    assert.are.equal(200, post("DELETE", users .. "/zz_later"))
  end)

  it("name the databases, with the number of tables as a text", function()
    local answer = get(CLUSTERS .. "/" .. s.cluster_id .. "/databases")
    assert.are.same({ "analytics", "defaultdb", "postgres", "shop" }, names(answer, "databases"))
    assert.are.equal("3", answer.json.databases[4].table_count)
    local all, count = follow(CLUSTERS .. "/" .. s.cluster_id .. "/databases", "pagination.limit=1", "databases")
    assert.are.same({ "analytics", "defaultdb", "postgres", "shop" }, all)
    assert.are.equal(4, count)
  end)

  it("name the clusters, the deleted one only on request", function()
    local active = { "sandbox-new", "sandbox-one", "sandbox-twin", "sandbox-twin", "sandbox-two" }
    assert.are.same(active, names(get(CLUSTERS), "clusters"))
    assert.are.same(active, (follow(CLUSTERS, "pagination.limit=2", "clusters")))
    assert.are.same({ "sandbox-new", "sandbox-old", "sandbox-one", "sandbox-twin", "sandbox-twin", "sandbox-two" },
      names(get(CLUSTERS, "show_inactive=true"), "clusters"))
    assert.are.equal(200, get(CLUSTERS, "pagination.sort_by=CREATED_AT").status)
    assert_invalid(get(CLUSTERS, "pagination.sort_by=SIZE"), "sort_by")
    assert_invalid(get(CLUSTERS, "show_inactive=maybe"), "show_inactive")
  end)
end)

describe("clusters of the sandbox", function()
  it("are found by their id, in either case", function()
    local answer = get(CLUSTERS .. "/" .. s.cluster_id:upper())
    assert.are.equal("sandbox-one", answer.json.name)
    assert.are.equal("127.0.0.1", answer.json.sql_dns)
    assert.are.equal("CREATED", answer.json.state)
    assert.are.equal("funky-skunk-123", answer.json.config.serverless.routing_id)
    assert.are.equal("DELETED", get(CLUSTERS .. "/" .. s.clusters.old).json.state)
  end)

  it("are unknown by anything else", function()
    for _, id in ipairs { "00000000-0000-4000-8000-000000000000", "sandbox-one", "funky-skunk-123" } do
      for _, rest in ipairs { "", "/sql-users", "/databases", "/connection-string", "/cert" } do
        local answer = get(CLUSTERS .. "/" .. id .. rest)
        if rest == "/cert" then answer = get("/clusters/" .. id .. rest) end
        assert.are.equal(404, answer.status)
        assert.are.equal(5, answer.json.code)
      end
    end
  end)

  it("have no users before they are made and after they are deleted", function()
    assert.are.equal(404, get(CLUSTERS .. "/" .. s.clusters.old .. "/sql-users").status)
    local answer = get(CLUSTERS .. "/" .. s.clusters.new .. "/sql-users")
    assert.are.equal(404, answer.status)
    assert.is_truthy(answer.json.message:find("internal call failed: cluster '" .. s.clusters.new, 1, true))
  end)

  it("refuse work while they are paused or locked", function()
    local expected = { paused = { 400, 9 }, locked = { 409, 10 }, creating = { 404, 5 } }
    for state, codes in pairs(expected) do
      s:set { state = state }
      local answer = get(users)
      s:set { state = "running" }
      assert.are.same(codes, { answer.status, answer.json.code }, state)
    end
  end)

  it("keep their users apart", function()
    local second = CLUSTERS .. "/" .. s.clusters.two .. "/sql-users"
    local function send(method, path, body) return outside.request(s, { method = method, path = path, body = body }).status end
    assert.are.equal(200, send("POST", second, { name = "only_here", password = "first-password-1" }))
    assert.are.equal(409, send("POST", second, { name = "only_here", password = "first-password-1" }))
    assert.are.equal(200, send("PUT", second .. "/only_here/password", { password = "second-password-2" }))
    assert.are.same({ "legacy_report", "only_here", "sandbox_admin", "sso_anna" }, names(get(second)))
    assert.are.equal("0", s:psql "SELECT count(*) FROM pg_roles WHERE rolname = 'only_here'")
    assert.are.equal("1", s:psql("SELECT count(*) FROM pg_roles WHERE rolname = 'only_here'", "shop", s.two))
    assert.are.equal(404, send("DELETE", users .. "/only_here"))
    assert.are.equal(200, send("DELETE", second .. "/only_here"))
    assert.are.equal(404, send("DELETE", second .. "/only_here"))
  end)

  it("keep the users of those without a SQL side in memory", function()
    local twin = CLUSTERS .. "/" .. s.clusters.twin_a .. "/sql-users"
    local function send(method, path, body) return outside.request(s, { method = method, path = path, body = body }).status end
    assert.are.equal(200, send("POST", twin, { name = "only_here", password = "first-password-1" }))
    assert.are.equal(409, send("POST", twin, { name = "only_here", password = "first-password-1" }))
    assert.are.equal(200, send("PUT", twin .. "/only_here/password", { password = "second-password-2" }))
    assert.are.same({ "only_here" }, names(get(twin)))
    assert.are.equal(200, send("DELETE", twin .. "/only_here"))
    assert.are.equal(404, send("DELETE", twin .. "/only_here"))
  end)

  it("are two servers, each with its own identifier, administrator and passwords", function()
    local function identifier(pg) return s:psql("SELECT system_identifier FROM pg_control_system()", "shop", pg) end
    assert.are_not.equal(identifier(s.pg), identifier(s.two))
    local function hash(pg) return s:psql("SELECT rolpassword FROM pg_authid WHERE rolname = 'sandbox_admin'", "shop", pg) end
    assert.are_not.equal(hash(s.pg), hash(s.two))
    for name, password in pairs(s:passwords()) do
      assert.is_false((outside.login({ pg = s.two, dir = s.dir, ca_file = s.ca_file }, name, password)), name)
    end
    assert.are.equal("postgresql://sandbox_admin@127.0.0.1:" .. s.two.port .. "/shop?sslmode=verify-full&sslrootcert=" .. s.ca_file, s.two_url)
  end)

  it("say where their SQL side is, with names in capitals and without a password", function()
    local path = CLUSTERS .. "/" .. s.cluster_id .. "/connection-string"
    local port = tostring(s.pg.port)
    assert.are.same({ Host = "127.0.0.1", Port = port, Database = "defaultdb" }, get(path).json.params)
    local answer = get(path, "database=shop&sql_user=legacy_report&os=LINUX")
    assert.are.same({ Host = "127.0.0.1", Port = port, Database = "shop", Username = "legacy_report" }, answer.json.params)
    assert.are.equal("postgresql://legacy_report@127.0.0.1:" .. port .. "/shop?sslmode=verify-full", answer.json.connection_string)
    assert_invalid(get(path, "os=BEOS"), "os must be")
    local advanced = CLUSTERS .. "/" .. s.clusters.two .. "/connection-string"
    assert_invalid(get(advanced), "os is required")
    assert.is_truthy(get(advanced, "os=MAC").json.connection_string:find("sslrootcert=", 1, true))
    assert.are.equal(tostring(s.two.port), get(advanced, "os=MAC").json.params.Port)
    local twin = get(CLUSTERS .. "/" .. s.clusters.twin_a .. "/connection-string").json.params
    assert.are.same({ "sandbox-twin.sandbox.invalid", "26257" }, { twin.Host, twin.Port })
  end)

  it("give their certificate to anyone", function()
    local answer = get("/clusters/" .. s.cluster_id .. "/cert", nil, { key = false })
    assert.are.equal(200, answer.status)
    assert.are.equal(outside.read(s.ca_file), answer.body)
  end)

  it("write changes to the audit log, which goes on where it was left", function()
    s:reset()
    local function send(method, path, body) return outside.request(s, { method = method, path = path, body = body }).status end
    assert.are.equal(200, send("POST", users, { name = "audited", password = "never-in-the-log-1" }))
    assert.are.equal(409, send("POST", users, { name = "audited", password = "never-in-the-log-1" }))
    assert.are.equal(200, send("PUT", users .. "/audited/password", { password = "never-in-the-log-2" }))
    assert.are.equal(200, send("DELETE", users .. "/audited"))
    local function events(query) return get("/api/v1/auditlogevents", query, { key = "org_admin" }) end
    local all = events("")
    local actions = {}
    for i, entry in ipairs(all.json.entries) do actions[i] = entry.action:gsub("AUDIT_LOG_ACTION_", "") end
    assert.are.same({ "CREATE_SQL_USER", "CREATE_SQL_USER", "CHANGE_SQL_USER_PASSWORD", "DELETE_SQL_USER" }, actions)
    assert.are.equal("user already exists", all.json.entries[2].error)
    assert.are.equal("sandbox-admin", all.json.entries[1].service_account_name)
    assert.is_falsy(all.body:find("never-in-the-log", 1, true))
    local half = events("limit=2")
    assert.are.equal(2, #half.json.entries)
    local rest = events("starting_from=" .. escape(half.json.next_starting_from))
    assert.are.same({ all.json.entries[3], all.json.entries[4] }, rest.json.entries)
    local none = events("starting_from=" .. escape(rest.json.next_starting_from))
    assert.are.same({}, none.json.entries)
    assert.is_string(none.json.next_starting_from)
    local down = events("sort_order=DESC&limit=3")
    assert.are.equal("AUDIT_LOG_ACTION_DELETE_SQL_USER", down.json.entries[1].action)
    local last = events("sort_order=DESC&starting_from=" .. escape(down.json.next_starting_from))
    assert.are.same({ all.json.entries[1] }, last.json.entries)
    assert.is_nil(last.json.next_starting_from)
    assert_invalid(events("sort_order=UP"), "sort_order")
    assert_invalid(events("limit=0"), "limit")
    assert_invalid(events("starting_from=now"), "starting_from")
  end)
end)

describe("the latency of the sandbox", function()
  it("holds each answer back", function()
    s:set { latency = 150 }
    local slow = get(users)
    s:set { latency = 0 }
    assert.are.equal(200, slow.status)
    assert.is_true(slow.took >= 0.15)
  end)
end)

describe("the rate limit of the sandbox", function()
  -- Sends requests at once, over one connection, and returns how often each status came.
  local function burst(count, key)
    local config = s.dir .. "/control/burst"
    local lines = { ('header = "Authorization: Bearer %s"'):format((outside.read(s.keys[key]):gsub("\n", ""))), ('cacert = "%s"'):format(s.ca_file) }
    for _ = 1, count do
      lines[#lines + 1] = ('url = "%s%s"\noutput = "/dev/null"'):format(s.url, users)
    end
    outside.write(config, table.concat(lines, "\n") .. "\n")
    local output = outside.run("curl -q -s --noproxy '*' -w '%{http_code}\\n' -K " .. outside.quote(config))
    os.remove(config)
    local counts = {}
    for status in output:gmatch("%d+") do counts[status] = (counts[status] or 0) + 1 end
    return counts
  end

  before_each(function() s:clear() end)
  after_each(function() s:set { rate = 0 } end)

  it("refuses with 429, code 8 and the time to wait", function()
    s:set { rate = 0.1 }
    assert.are.equal(200, get(users).status)
    local answer = get(users)
    assert.are.equal(429, answer.status)
    assert.are.same({ code = 8, message = "rate limit exceeded", details = {} }, answer.json)
    local wait = tonumber(answer.headers["retry-after"]) -- since the first
    assert.is_true(wait >= 5 and wait <= 10, answer.headers["retry-after"])
  end)

  it("lets a second's worth through at once, and after that no more than the rate", function()
    s:set { rate = 10 }
    local counts = burst(200, "admin")
    local log = s:log()
    local took = log[#log].time - log[1].time
    assert.are.equal(200, #log)
    assert.are.equal(200, counts["200"] + (counts["429"] or 0))
    assert.is_true(counts["200"] >= 10)
    assert.is_true(counts["200"] <= 10 + 10 * took + 1)
    for i = 1, 10 do assert.are.equal(200, log[i].status) end
  end)

  it("does not carry out what it refuses, and counts each key for itself", function()
    s:set { rate = 0.01 }
    get(users, nil, { key = "creator" })
    local path = users .. "/legacy_report/password"
    local body = { password = "not-applied-at-all" }
    assert.are.equal(429, outside.request(s, { method = "PUT", path = path, body = body, key = "creator" }).status)
    assert.is_false((outside.login(s, "legacy_report", "not-applied-at-all")))
    assert.is_false(s:log()[2].applied)
    assert.are.equal(200, get(users, nil, { key = "org_admin" }).status)
  end)

  it("is not there when the rate is 0", function() assert.are.same({ ["200"] = 60 }, burst(60, "admin")) end)
end)
