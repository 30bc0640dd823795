-- The sandbox's API, checked by clients that are not ours.

local outside = require "spec.support.servers.outside"
local sandbox = require "spec.support.sandbox"

local s, users, clusters

local function call(method, path, body, more)
  local request = { method = method, path = path, body = body }
  for name, value in pairs(more or {}) do request[name] = value end
  return outside.request(s, request)
end

local function create(name, password, more) return call("POST", users, { name = name, password = password }, more) end

local function change(name, password, more) return call("PUT", users .. "/" .. name .. "/password", { password = password }, more) end

local function listed(query)
  local found = {}
  for i, user in ipairs(call("GET", users, nil, { query = query }).json.users) do found[i] = user.name end
  return found
end

-- Status and gRPC code; the body must have the form of an error.
local function assert_error(status, code, answer, message)
  assert.are.equal(status, answer.status)
  assert.are.equal("application/json", answer.headers["content-type"])
  assert.are.equal(code, answer.json.code)
  assert.is_string(answer.json.message)
  assert.is_table(answer.json.details)
  if message then assert.is_truthy(answer.json.message:find(message, 1, true), answer.json.message) end
end

describe("the sandbox's API", function()
  setup(function()
    s = sandbox.shared()
    s:reset()
    clusters = "/api/v1/clusters"
    users = clusters .. "/" .. s.cluster_id .. "/sql-users"
  end)

  before_each(function() s:clear() end)

  it("speaks HTTP/1.1 and HTTP/2", function()
    assert.are.equal("1.1", call("GET", users, nil, { http = "1.1" }).http)
    assert.are.equal("2", call("GET", users, nil, { http = "2" }).http)
  end)

  it("proves its identity on every loopback address, and only by its own authority", function()
    local port = s.url:match(":(%d+)$")
    assert.are.equal(200, call("GET", users, nil, { base = "https://localhost:" .. port }).status)
    local _, no_v6 = outside.run("grep -q '^0*1 ' /proc/net/if_inet6")
    if no_v6 == 0 then assert.are.equal(200, call("GET", users, nil, { base = "https://[::1]:" .. port }).status) end
    assert.are.equal(60, call("GET", users, nil, { ca = false }).exit)
  end)

  it("answers 401 to whoever shows no valid key, before it says whether the path exists", function()
    for _, path in ipairs { users, "/api/v1/nothing", "/elsewhere" } do
      assert_error(401, 16, call("GET", path, nil, { key = false }))
      assert_error(401, 16, call("GET", path, nil, { key = "invalid" }))
      assert_error(401, 16, call("GET", path, nil, { authorization = "Basic YTpi" }))
    end
  end)

  it("takes a token of an issuer only together with the organisation's name", function()
    assert_error(401, 16, call("GET", users, nil, { key = "jwt" }))
    assert.are.equal(200, call("GET", users, nil, { key = "jwt", headers = { "Cc-Vanity-Name: sandbox-org" } }).status)
  end)

  it("knows four versions, echoes the one in use, and refuses others", function()
    assert.are.equal("2024-09-16", call("GET", users).headers["cc-version"])
    assert.are.equal("2022-09-20", call("GET", users, nil, { headers = { "Cc-Version: 2022-09-20" } }).headers["cc-version"])
    assert_error(400, 3, call("GET", users, nil, { headers = { "Cc-Version: 2020-01-01" } }), "invalid Cc-Version.")
  end)

  it("answers 404 to unknown paths and 501 to unknown methods", function()
    assert_error(404, 5, call("GET", "/api/v1/nothing"))
    assert_error(404, 5, call("GET", users .. "/someone/password/more"))
    assert_error(501, 12, call("PATCH", users))
    assert_error(501, 12, call("POST", users .. "/someone/password"))
  end)

  it("answers in JSON also where nginx answers by itself", function()
    assert_error(413, 3, call("POST", users, ("x"):rep(70000)))
    assert_error(413, 3, call("POST", users, ("x"):rep(70000), { http = "1.1" }))
    assert_error(414, 3, call("GET", users .. "?" .. ("x"):rep(9000), nil, { http = "1.1" }))
    assert_error(400, 3, call("GET", users .. "/%zz", nil, { http = "1.1" }))
    assert_error(400, 3, call("GET", users, nil, { http = "1.1", headers = { "X-Long: " .. ("x"):rep(9000) } }))
    assert_error(405, 12, call("TRACE", users, nil, { http = "1.1" }))
    assert_error(400, 3, call("GET", users, nil, { base = (s.url:gsub("https", "http")) }))
  end)

  it("gives each key what its role allows, and 403 for the rest", function()
    assert.are.equal(200, create("role_test", "0123456789ab").status)
    local second = clusters .. "/" .. s.clusters.two .. "/sql-users"
    --                list, list of the second cluster, write, audit log
    local expected = {
      admin = { 200, 200, 200, 403 }, other = { 200, 200, 200, 403 }, creator = { 200, 403, 200, 403 },
      developer = { 200, 200, 403, 403 }, readonly = { 403, 403, 403, 403 }, org_admin = { 200, 200, 200, 200 },
    }
    for key, statuses in pairs(expected) do
      local got = {
        call("GET", users, nil, { key = key }).status, call("GET", second, nil, { key = key }).status,
        change("role_test", "0123456789ab", { key = key }).status, call("GET", "/api/v1/auditlogevents", nil, { key = key }).status,
      }
      assert.are.same(statuses, got, key)
      assert.are.equal(200, call("GET", clusters, nil, { key = key }).status)
    end
    assert_error(403, 7, create("other_test", "0123456789ab", { key = "developer" }))
    assert_error(403, 7, call("DELETE", users .. "/role_test", nil, { key = "readonly" }))
    assert.are.equal(200, call("DELETE", users .. "/role_test").status)
  end)

  describe("creating a user", function()
    it("makes a role that logs in with this password and may hand on admin", function()
      local answer = create("fresh", "first-password-1")
      assert.are.equal(200, answer.status)
      assert.are.same({ name = "fresh" }, answer.json)
      assert.is_true((outside.login(s, "fresh", "first-password-1")))
      assert.is_false((outside.login(s, "fresh", "first-password-2")))
      assert.are.equal("t|t|f", s:psql([[SELECT r.rolcanlogin, m.admin_option, r.rolsuper FROM pg_roles r
        JOIN pg_auth_members m ON m.member = r.oid JOIN pg_roles a ON a.oid = m.roleid WHERE a.rolname = 'admin' AND r.rolname = 'fresh']]))
    end)

    it("lets an admin read the shop, until admin is revoked", function()
      create("watched", "first-password-1")
      assert.is_true((outside.login(s, "watched", "first-password-1", "SELECT count(*) FROM payments")))
      s:psql('REVOKE admin FROM watched')
      local allowed, text = outside.login(s, "watched", "first-password-1", "SELECT count(*) FROM payments")
      assert.is_false(allowed)
      assert.is_truthy(text:find("permission denied for table payments", 1, true))
    end)

    it("folds the name first", function()
      assert.are.same({ name = "mixed_case" }, create("Mixed_CASE", "first-password-1").json)
      assert_error(409, 6, create("mixed_casE", "first-password-1"), "user already exists")
      assert.are.same({ name = "\195\169l\195\168ve" }, create("E\204\129L\195\136VE", "first-password-1").json)
      assert.are.same({ name = "istanbuli" }, create("\196\176stanbul\196\177", "first-password-1").json)
    end)

    it("refuses names that CockroachDB refuses", function()
      local refused = { "", "with space", "-dash", ".dot", "a$b", "a@b", "a/b", 'a"b', "a\0b", "public", "none", "NODE", "pg_x", "crdb_internal_x",
        ("x"):rep(64), ("\195\169"):rep(32) }
      for _, name in ipairs(refused) do assert_error(400, 3, create(name, "first-password-1"), "invalid argument") end
      for _, name in ipairs { "7", "a-b.c_d", "select", ("x"):rep(63) } do
        assert.are.equal(200, create(name, "first-password-1").status, name)
      end
    end)

    it("answers 409 for a name that exists, also a special one", function()
      for _, name in ipairs { "legacy_report", "root", "Admin", "shop_reader" } do
        assert_error(409, 6, create(name, "first-password-1"))
      end
    end)

    it("takes passwords of 12 to 500 bytes, whatever is in them", function()
      for _, password in ipairs { "elevenchars", ("x"):rep(501), "", "nul\0in the middle" } do
        assert_error(400, 3, create("lengths", password))
      end
      local odd = [[a'b"c\d:e;%$&/ü ]] .. "\t€ $$"
      for i, password in ipairs { "twelve chars", ("x"):rep(500), odd } do
        assert.are.equal(200, create("length" .. i, password).status)
        assert.is_true((outside.login(s, "length" .. i, password)), "length" .. i)
      end
    end)

    it("needs both members, as strings, in a JSON object", function()
      local path_bodies = { "", "{}", '{"name":"x"}', '{"password":"first-password-1"}', '{"name":1,"password":"first-password-1"}',
        '{"name":"x","password":12345678901234}', '{"name":null,"password":"first-password-1"}', "[]", "null", "text", '{"name":"x"' }
      for _, body in ipairs(path_bodies) do assert_error(400, 3, call("POST", users, body)) end
      for _, entry in ipairs(s:log()) do assert.is_false(entry.applied) end
    end)

    it("takes a body with members it does not know, and a line end after it", function()
      assert.are.equal(200, call("POST", users, '{"name":"extra","password":"first-password-1","more":[1,{}]}\n').status)
    end)
  end)

  describe("changing a password", function()
    it("changes it, and the old one no longer logs in", function()
      create("changer", "first-password-1")
      assert.are.same({ name = "changer" }, change("changer", "second-password-2").json)
      assert.is_false((outside.login(s, "changer", "first-password-1")))
      assert.is_true((outside.login(s, "changer", "second-password-2")))
    end)

    it("does not make the user an admin again", function()
      create("demoted", "first-password-1")
      s:psql('REVOKE admin FROM demoted')
      assert.are.equal(200, change("demoted", "second-password-2").status)
      assert.are.equal("0", s:psql("SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = 'demoted'"))
    end)

    it("does not let a user in who may not log in", function()
      create("disabled", "first-password-1")
      s:psql("ALTER ROLE disabled NOLOGIN")
      assert.are.equal(200, change("disabled", "second-password-2").status)
      local _, text = outside.login(s, "disabled", "second-password-2")
      assert.is_truthy(text:find("not permitted to log in", 1, true), text)
    end)

    it("answers 404 for users that are not there, 400 for special ones", function()
      for _, name in ipairs { "nobody_here", "shop_reader", "a%2Fb", "pg_monitor" } do
        assert_error(404, 5, change(name, "second-password-2"), "user not found")
      end
      assert_error(400, 3, change("root", "second-password-2"))
    end)

    it("decodes a path after it has been split", function()
      create("dotted.name-x", "first-password-1")
      assert.are.equal(200, change("d%6ftted%2Ename%2Dx", "second-password-2").status)
      assert.are.equal(200, change("DOTTED.name-x", "second-password-3").status)
      assert_error(404, 5, call("PUT", users .. "%2Fdotted.name-x/password", { password = "second-password-2" }), "Not Found")
    end)

    it("takes the password that the user has, unless it is set to refuse it", function()
      create("same_again", "first-password-1")
      assert.are.equal(200, change("same_again", "first-password-1").status)
      s:set { must_differ = "refuse" }
      local refused, other = change("same_again", "first-password-1"), change("same_again", "second-password-2")
      local back = change("same_again", "first-password-1")
      s:set { must_differ = "accept" }
      assert_error(400, 3, refused, "must differ")
      assert.are.equal(200, other.status)
      assert.are.equal(200, back.status)
    end)
  end)

  describe("deleting a user", function()
    it("drops the role, and a second time there is none", function()
      create("goer", "first-password-1")
      assert.are.same({ name = "goer" }, call("DELETE", users .. "/goer").json)
      assert.is_false((outside.login(s, "goer", "first-password-1")))
      assert_error(404, 5, call("DELETE", users .. "/goer"), "user not found")
    end)

    it("refuses a user who owns objects or was granted something", function()
      create("owner", "first-password-1")
      assert.is_true((outside.login(s, "owner", "first-password-1", "CREATE TABLE owned (x int)")))
      create("granted", "first-password-1")
      s:psql("GRANT SELECT ON orders TO granted")
      for _, name in ipairs { "owner", "granted" } do
        assert_error(400, 9, call("DELETE", users .. "/" .. name), "cannot be dropped")
        assert.is_true((outside.login(s, name, "first-password-1")))
      end
      s:psql("DROP TABLE owned; REVOKE ALL ON orders FROM granted")
      for _, name in ipairs { "owner", "granted" } do assert.are.equal(200, call("DELETE", users .. "/" .. name).status) end
    end)
  end)

  it("lists who can log in or could, but neither groups nor reserved names", function()
    create("asleep", "first-password-1")
    s:psql("ALTER ROLE asleep NOLOGIN; CREATE ROLE by_sql LOGIN; CREATE ROLE group_by_sql")
    local names = table.concat(listed("pagination.limit=500"), " ")
    for _, name in ipairs { "app_user_001", "legacy_report", "sso_anna", "sandbox_admin", "asleep", "by_sql" } do
      assert.is_truthy((" " .. names .. " "):find(" " .. name .. " ", 1, true), name)
    end
    for _, name in ipairs { "root", "admin", "shop_reader", "group_by_sql" } do
      assert.is_falsy((" " .. names .. " "):find(" " .. name .. " ", 1, true), name)
    end
    s:set { reserved = "listed" }
    names = " " .. table.concat(listed("pagination.limit=500"), " ") .. " "
    s:set { reserved = "hidden" }
    assert.is_truthy(names:find(" admin ", 1, true) and names:find(" root ", 1, true))
  end)

  it("logs a keyed hash in the place of each password", function()
    create("logged", "first-password-1")
    change("logged", "second-password-2")
    change("logged", "first-password-1", { key = "developer" })
    local log = s:log()
    assert.are.same({ "create_sql_user", "update_sql_user_password", "update_sql_user_password" }, { log[1].op, log[2].op, log[3].op })
    assert.are.same({ true, true, false }, { log[1].applied, log[2].applied, log[3].applied })
    assert.are.same({ 1, 2, 3 }, { log[1].n, log[2].n, log[3].n })
    assert.are.equal(s:hash("first-password-1"), log[1].password_hash)
    assert.are.equal(s:hash("second-password-2"), log[2].password_hash)
    assert.are.equal(log[1].password_hash, log[3].password_hash)
    assert.are.equal(403, log[3].status)
    assert.are.equal("logged", log[3].user)
    assert.is_truthy(log[3].key_id:find("^CCDB1_%w+$"))
  end)

  it("writes no password and no key to any file of its own", function()
    local password = "never-to-be-written-4711"
    -- Other specs share this sandbox, and reset it with requests under way.
    local before = #outside.read(s.dir .. "/nginx/error.log")
    create("careful", password)
    change("careful", password .. "'; SELECT 1/0; --")
    create("careful", password)
    local found = outside.run(("grep -rlaF %s %s/nginx %s/pg %s/pg-two %s/control"):format(password, s.dir, s.dir, s.dir, s.dir))
    assert.are.equal("", found)
    local secret = outside.read(s.key_file):match("_(%w+)%s*$")
    assert.are.equal("", (outside.run(("grep -rlaF %s %s/nginx %s/pg"):format(secret, s.dir, s.dir))))
    assert.are.equal("", (outside.run(("find %s/nginx/body -type f"):format(s.dir))))
    assert.are.equal("", (outside.run(("tail -c +%d %s/nginx/error.log | grep -E '\\[(warn|error|crit|alert|emerg)\\]' || :"):format(
      before + 1, s.dir))))
  end)
end)
