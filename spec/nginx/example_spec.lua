-- examples/nginx as it stands: started by its own `run`, asked by curl, its logs read.
local cjson = require "cjson"
local sandbox = require "spec.support.sandbox"
local scan = require "spec.support.secrets_scan"
local temp = require "spec.support.temp"
local wait = require "spec.support.wait"

local CALL = "update_sql_user_password"
local RUN = "examples/nginx/run"

describe("the service of examples/nginx", function()
  local s, dir, url, token

  local function run(words)
    local env = { "env -u LD_PRELOAD" }
    for name, value in pairs(s.env) do
      if name ~= "PATH" and not name:find "^LUA_" then env[#env + 1] = name .. "=" .. temp.quote(value) end
    end
    return temp.run(("%s %s %s --dir %s"):format(table.concat(env, " "), RUN, words, dir))
  end

  setup(function()
    s = sandbox.shared()
    s:reset()
    -- Not one of temp's own: it lasts for all cases, and `stop` removes it.
    dir = temp.run("mktemp -d"):gsub("%s+$", "")
    local out, code = run "start"
    assert.equal(0, code, out)
    url = out:match "(https://127%.0%.0%.1:%d+)/"
    token = temp.read(dir .. "/private/token"):gsub("%s+$", "")
  end)

  teardown(function()
    local out, code = run "stop"
    assert(code == 0, out)
    assert(temp.read(dir .. "/nginx.conf") == nil)
  end)

  after_each(function()
    s:clear()
    temp.clean()
  end)

  -- options: method, headers, form (fields), json (a value), body (text that is JSON, or not), jar (a cookie jar), certificate = true, anonymous = true
  local function ask(path, options)
    options = options or {}
    local words = { "env -u LD_PRELOAD curl -sS --noproxy '*' -m 60 -D - --cacert", dir .. "/ca.pem" }
    local function word(text) words[#words + 1] = temp.quote(text) end
    if not (options.jar or options.certificate or options.anonymous) then
      word "-H"
      word("@" .. dir .. "/header")
    end
    if options.certificate then words[#words + 1] = ("--cert %s/client.pem --key %s/client.key"):format(dir, dir) end
    if options.jar then words[#words + 1] = ("-b %s -c %s"):format(options.jar, options.jar) end
    for _, header in ipairs(options.headers or {}) do
      word "-H"
      word(header)
    end
    if options.method then words[#words + 1] = "-X " .. options.method end
    for name, value in pairs(options.form or {}) do
      word "--data-urlencode"
      word(name .. "=" .. value)
    end
    if options.json or options.body then
      word "--json"
      word(options.body or cjson.encode(options.json))
    end
    word(url .. path)
    local out = temp.run(table.concat(words, " "))
    local head, body = out:match "^(.-\r\n)\r\n(.*)$"
    assert(head, out)
    return {
      status = tonumber(head:match "^HTTP/%S+ (%d+)"), head = head, body = body,
      json = function() return cjson.decode(body) end,
      header = function(name) return head:lower():match("\r\n" .. name:lower():gsub("%p", "%%%0") .. ": ([^\r]*)") end,
    }
  end

  local function ended(after)
    return wait("the end of the rotation", function()
      local found = ask("/rotation").json()
      return found.last and not found.running and found.asked == 0 and found.last.started >= after and found
    end)
  end

  -- The first run of the schedule is no case's own.
  setup(function() ended(0) end)

  local function sign_in()
    local jar = temp.dir() .. "/jar"
    local answer = ask("/login", { jar = jar, form = { token = token } })
    assert.equal(303, answer.status, answer.body)
    local page = ask("/", { jar = jar })
    assert.equal(200, page.status)
    return jar, page.body:match 'name="form_token" value="(%x+)"', page.body, answer
  end

  local function user_of(name)
    for _, user in ipairs(ask("/users").json().users) do
      if user.name == name then return user end
    end
  end

  it("lists users with their owners, states and ages", function()
    local answer = ask "/users"
    assert.equal(200, answer.status)
    assert.matches("^application/json", answer.header "content-type")
    local user = user_of "payment_service"
    assert.equal("payments@example.com", user.owner)
    assert.equal("ok", user.state)
    assert.is_true(user.managed and user.password_age < 600 and user.password_set_at <= os.time())
    assert.is_false(user_of("legacy_report").managed)
    assert.is_true(user_of("app_user_001").password_age > 40 * 86400)
  end)

  it("creates a limited user, and says the same when asked again", function()
    local body = { name = "orders_api", owner = "orders@example.com", database = "shop", access = "readwrite", tables = { "orders" } }
    local answer = ask("/users", { json = body })
    assert.equal(201, answer.status, answer.body)
    assert.equal("done", answer.json().rows[1].result)
    assert.equal("t|f|f", s:psql [[SELECT has_table_privilege('orders_api', 'orders', 'UPDATE'),
      has_table_privilege('orders_api', 'payments', 'SELECT'), pg_has_role('orders_api', 'admin', 'member')]])
    assert.equal("orders@example.com", user_of("orders_api").owner)
    assert.equal(201, ask("/users", { json = body }).status)
    body.access = "readonly"
    assert.equal(409, ask("/users", { json = body }).status)
    assert.equal("already_exists", ask("/users", { json = body }).json().kind)
  end)

  for what, body in pairs {
    ["a name that is none"] = { name = "a b", owner = "x", database = "shop", access = "readonly" },
    ["no owner"] = { name = "someone", database = "shop", access = "readonly" },
    ["an access that does not exist"] = { name = "someone", owner = "x", database = "shop", access = "admin" },
    ["a field too many"] = { name = "someone", owner = "x", database = "shop", access = "readonly", admin = true },
    ["tables that are no names"] = { name = "someone", owner = "x", database = "shop", access = "readonly", tables = { 7 } },
  } do
    it("refuses " .. what .. " before anything is sent", function()
      local answer = ask("/users", { json = body })
      assert.equal(400, answer.status, answer.body)
      assert.equal("invalid_argument", answer.json().kind)
      for _, entry in ipairs(s:log()) do assert.equal("GET", entry.method) end
    end)
  end

  it("rotates in the background and tells how far it is", function()
    local before = user_of("billing").epoch
    local at = os.time()
    local answer = ask("/rotate", { json = { reason = "a spec" } })
    assert.equal(202, answer.status)
    assert.equal("/rotation", answer.header "location")
    local found = ended(at)
    assert.is_true(found.last.ok, cjson.encode(found))
    assert.is_true(found.last.runs[2].counts.done >= 6)
    assert.equal(before + 1, user_of("billing").epoch)
    assert.equal(400, ask("/rotate", { json = { users = "everybody" } }).status)
    assert.equal(400, ask("/rotate", { json = { users = { "a b" } } }).status)
    assert.equal(400, ask("/rotate", { json = { reason = "two\nlines" } }).status)
    for _, body in ipairs { "[]", " []", "[{}]", "{}x", "null", "7", "" } do
      local refused = ask("/rotate", { body = body })
      assert.equal(400, refused.status, body)
      assert.equal("the body is no JSON object", refused.json().message)
    end
  end)

  it("says of an upstream's 403 that it is not the caller's", function()
    s:fault { op = "create_sql_user", what = "error_before", status = 403, code = 7, count = "all" }
    local answer = ask("/users", { json = { name = "other_api", owner = "o@example.com", database = "shop", access = "readonly" } })
    assert.equal(502, answer.status, answer.body)
    assert.equal("permission_denied", answer.json().kind)
  end)

  it("gives Prometheus ages, failures and open changes", function()
    local answer = ask "/metrics"
    assert.equal(200, answer.status)
    assert.matches("^text/plain; version=0%.0%.4", answer.header "content-type")
    assert.matches('\ncrdbcloud_password_age_seconds{cluster="sandbox%-one",user="billing"} %d+\n', answer.body)
    for _, name in ipairs { "users_due", "changes_open", "changes_unanswered", "rotation_failures", "rotation_running" } do
      assert.matches("\ncrdbcloud_" .. name .. '{cluster="sandbox%-one"} 0\n', answer.body)
    end
    for line in answer.body:gmatch "[^\n]+" do
      assert.truthy(line:find '^# [HT][EY][LP][PE] crdbcloud_[%w_]+ ' or line:find '^crdbcloud_[%w_]+{.*} %-?[%d.]+$', line)
    end
  end)

  describe("lets in", function()
    it("nobody without a token: 401 for each path and method", function()
      for _, path in ipairs { "/", "/users", "/rotation", "/metrics" } do
        local answer = ask(path, { anonymous = true })
        assert.equal(401, answer.status, path)
        assert.matches("^Bearer", answer.header("www-authenticate"):gsub("^b", "B"))
      end
      for _, path in ipairs { "/users", "/rotate", "/logout" } do
        assert.equal(401, ask(path, { anonymous = true, json = {} }).status, path)
      end
      assert.equal(401, ask("/users", { anonymous = true, headers = { "Authorization: Bearer " .. token .. "x" } }).status)
      assert.equal(401, ask("/login", { anonymous = true, form = { token = "guess" } }).status)
    end)

    it("whoever has a client certificate", function()
      assert.equal(200, ask("/users", { certificate = true }).status)
    end)

    it("nobody by another host's name", function()
      assert.equal(421, ask("/users", { headers = { "Host: evil.example" } }).status)
    end)

    it("no other paths and methods", function()
      assert.equal(404, ask("/nothing").status)
      local answer = ask("/rotate")
      assert.equal(405, answer.status)
      assert.equal("post", answer.header "allow")
      assert.equal(415, ask("/rotate", { method = "POST", headers = { "Content-Type: text/plain" } }).status)
    end)
  end)

  describe("has a page that", function()
    it("is shown to whoever signs in, by a cookie that scripts and other sites cannot get at", function()
      local _, form_token, body, login = sign_in()
      assert.matches("set%-cookie: __host%-crdbcloud=%x+; path=/; max%-age=%d+; secure; httponly; samesite=strict", login.head:lower())
      assert.falsy(login.head:find(token, 1, true))
      assert.matches("payment_service", body)
      assert.equal(64, #form_token)
      assert.falsy(body:find("<script", 1, true))
    end)

    it("knows its session by the cookie of exactly its name, in exactly its case, given once", function()
      local jar = sign_in()
      local id = temp.read(jar):match "__Host%-crdbcloud%s+(%x+)"
      local function shown(cookie)
        return ask("/", { anonymous = true, headers = { "Cookie: " .. cookie } }).body:find("payment_service", 1, true) ~= nil
      end
      assert.is_true(shown("__Host-crdbcloud=" .. id))
      assert.is_true(shown("a=b; __Host-crdbcloud=" .. id .. "; c=d"))
      for _, cookie in ipairs {
        "evil__Host-crdbcloud=" .. id, "__HOST-crdbcloud=" .. id, "__host-crdbcloud=" .. id, "__Host_crdbcloud=" .. id,
        "x=__Host-crdbcloud=" .. id, "__Host-crdbcloudx=" .. id, "__Host-crdbcloud=x" .. id, "__Host-crdbcloud=" .. id .. "0",
        ("__Host-crdbcloud=%s; __Host-crdbcloud=%s"):format(id, id), ("__Host-crdbcloud=; __Host-crdbcloud=%s"):format(id),
      } do
        assert.is_false(shown(cookie), (cookie:gsub(id, "ID")))
      end
    end)

    it("other sites can neither frame nor script, and nobody keeps", function()
      local answer = ask("/", { jar = (sign_in()) })
      assert.matches("default%-src 'none'.*frame%-ancestors 'none'", answer.header "content-security-policy")
      assert.equal("deny", answer.header "x-frame-options")
      assert.equal("no-store", answer.header "cache-control")
      assert.equal("nosniff", answer.header "x-content-type-options")
    end)

    it("creates a user by its form, and says so once", function()
      local jar, form_token = sign_in()
      local answer = ask("/users", { jar = jar, form = {
        form_token = form_token, name = "form_made", owner = "forms@example.com", database = "shop", access = "readonly", tables = "orders, customers",
      } })
      assert.equal(303, answer.status, answer.body)
      assert.matches("form_made is there", ask("/", { jar = jar }).body)
      assert.falsy(ask("/", { jar = jar }).body:find("form_made is there", 1, true))
      assert.equal("t|f", s:psql [[SELECT has_table_privilege('form_made', 'customers', 'SELECT'), has_table_privilege('form_made', 'payments', 'SELECT')]])
    end)

    it("gives a refused form back as it was filled in", function()
      local jar, form_token = sign_in()
      local answer = ask("/users", { jar = jar, form = {
        form_token = form_token, name = "a b", owner = "<i>me</i>", database = "shop", access = "readwrite",
      } })
      assert.equal(400, answer.status)
      assert.matches('name="name"[^>]* value="a b"', answer.body)
      assert.matches('value="&lt;i&gt;me&lt;/i&gt;"', answer.body)
      assert.matches('role="alert"', answer.body)
    end)

    it("rotates one user by its button", function()
      local jar, form_token = sign_in()
      local before, others = user_of("search").epoch, user_of("reporting").epoch
      local at = os.time()
      assert.equal(303, ask("/rotate", { jar = jar, form = { form_token = form_token, user = "search" } }).status)
      ended(at)
      assert.equal(before + 1, user_of("search").epoch)
      assert.equal(others, user_of("reporting").epoch)
    end)

    it("takes no forged form: 403, and nothing happens", function()
      local jar, form_token = sign_in()
      local other = select(2, sign_in())
      s:clear()
      local right = { form_token = form_token, user = "search" }
      local cases = {
        { jar = jar, form = { user = "search" } },
        { jar = jar, form = { form_token = other, user = "search" } },
        { jar = jar, form = { form_token = ("0"):rep(64), user = "search" } },
        { jar = jar, form = right, headers = { "Origin: https://evil.example" } },
        { jar = jar, form = right, headers = { "Origin: null" } },
        { jar = jar, form = right, headers = { "Sec-Fetch-Site: cross-site" } },
        { certificate = true, form = { user = "search" } },
        { jar = jar, json = { users = { "search" } }, headers = { "Origin: https://evil.example" } },
      }
      for i, case in ipairs(cases) do assert.equal(403, ask("/rotate", case).status, "case " .. i) end
      for _, entry in ipairs(s:log()) do assert.not_equal(CALL, entry.op) end
      assert.equal(303, ask("/rotate", { jar = jar, form = right, headers = { "Origin: " .. url } }).status)
    end)

    it("is gone after signing out", function()
      local jar, form_token = sign_in()
      local kept = temp.read(jar)
      assert.equal(303, ask("/logout", { jar = jar, form = { form_token = form_token } }).status)
      temp.write(jar, kept)
      assert.equal(401, ask("/", { jar = jar }).status)
    end)

    it("shows hostile names and owners as text", function()
      local owner = [["><script>alert(1)</script>&amp;' onload=x]]
      assert.equal(201, ask("/users", { json = { name = "hostile", owner = owner, database = "shop", access = "readonly", tables = { "orders" } } }).status)
      s:psql [[CREATE ROLE "<img src=x onerror=alert(1)>" LOGIN]]
      local jar = (sign_in())
      -- The list of users is good for some seconds.
      local body = wait("the user on the page", function()
        local found = ask("/", { jar = jar }).body
        return found:find("&lt;img", 1, true) and found
      end)
      s:psql [[DROP ROLE "<img src=x onerror=alert(1)>"]]
      assert.truthy(body:find("&lt;img src=x onerror=alert(1)&gt;", 1, true))
      assert.falsy(body:find("<script", 1, true))
      assert.falsy(body:find("<img", 1, true))
      assert.truthy(body:find("&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;&#39; onload=x", 1, true))
      assert.equal(owner, user_of("hostile").owner)
      assert.matches('user="hostile"', ask("/metrics").body)
    end)
  end)

  it("shows what the store knows while the API fails, and does not wait long", function()
    s:fault { op = "list_sql_users", what = "error_before", status = 500, count = "all" }
    -- Each worker has its own list for some seconds more.
    local function shown(pattern, path, options)
      local answer = wait(pattern, function()
        local at = os.time()
        local found = ask(path, options)
        assert.is_true(os.time() - at < 20, path)
        return found.body:find(pattern) and found
      end)
      assert.equal(200, answer.status)
      return answer
    end
    assert.matches("server", shown('"warnings":%["', "/users").json().warnings[1])
    assert.equal("payments@example.com", user_of("payment_service").owner)
    local jar = sign_in()
    shown('role="alert">[^<]*%(server', "/", { jar = jar })
    shown('crdbcloud_source_up{cluster="[^"]+",source="api"} 0\n', "/metrics")
  end)

  it("is said to run by `run status`", function()
    local out, code = run "status"
    assert.equal(0, code)
    assert.truthy(out:find(url, 1, true))
    assert.falsy(out:find(token, 1, true))
  end)

  -- Last: everything above has left its traces.
  it("writes no secret into its logs, and no complaint", function()
    local looked = scan.new()
    looked:know("token", token)
    local jar, form_token = sign_in()
    looked:know("form token", form_token)
    looked:know("session", temp.read(jar):match "__Host%-crdbcloud%s+(%x+)")
    looked:know("API key", temp.read(s.key_file):match "%S+")
    looked:know("SQL password", temp.read(s.pgpassfile):match ":sandbox_admin:([^\n]+)")
    local store = require("crdbcloud.store.file").open("file:" .. dir .. "/store")
    -- As root the store belongs to the user of the workers, and only a copy of it may be read here.
    if not store then
      local copy = temp.dir() .. "/store"
      temp.run(("cp -r %s/store %s && chown -R $(id -u) %s"):format(dir, copy, copy))
      store = assert(require("crdbcloud.store.file").open("file:" .. copy))
    end
    for _, key in ipairs(assert(store:list "")) do
      local rec = store:get(key)
      for _, holder in ipairs { rec.current, rec.previous } do looked:know("password of " .. key, holder.password) end
    end
    assert.is_true(looked.secrets > 12)
    ask "/metrics"
    for _, name in ipairs { "access.log", "error.log" } do
      looked:look_in(dir .. "/" .. name)
      assert.is_true(#temp.read(dir .. "/" .. name) > 200)
    end
    assert.same({}, looked.found)
    for line in temp.read(dir .. "/error.log"):gmatch "[^\n]+" do
      assert.truthy(line:find("[notice]", 1, true) or not line:find "%[%a+%]", line)
    end
  end)
end)
