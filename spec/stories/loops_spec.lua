local crdbcloud = require "crdbcloud"
local example = require "spec.support.example"
local sandbox = require "spec.support.sandbox"
local temp = require "spec.support.temp"

local PUT = "update_sql_user_password"

describe("in other event loops", function()
  local s, home

  setup(function() s = sandbox.shared() end)

  before_each(function()
    s:reset()
    s:set { latency = 200 } -- ms for each answer: in this time loops go round
    home = temp.dir()
  end)

  after_each(function()
    s:reset()
    temp.clean()
  end)

  -- The password that the store has for a user, once it has proven to be the one that logs in.
  local function stored(user)
    local source = assert(crdbcloud.credentials { source = "file:" .. home .. "/store", user = user })
    local password = assert(source:get()).password
    source:close()
    local sql = assert(crdbcloud.sql.connect {
      host = "localhost", port = s.pg.port, dbname = s.pg.dbname, user = user, password = password, sslmode = "verify-full",
      sslrootcert = s.ca_file,
    })
    sql:close()
    return password:reveal()
  end

  -- Runs an example; what it prints holds neither the API key nor a password, old or new.
  local function run(words, users)
    local old = s:passwords()
    local out, code = example.run(s, home, example.LUA .. " examples/" .. words)
    local secrets = { temp.read(s.key_file):match "_(%w+)%s*$" }
    for _, user in ipairs(users) do
      secrets[#secrets + 1], secrets[#secrets + 2] = old[user], stored(user)
    end
    assert.equal(1 + 2 * #users, #secrets)
    for _, secret in ipairs(secrets) do assert.falsy(out:find(secret, 1, true)) end
    return out, code
  end

  local function sent()
    local users = {}
    for _, entry in ipairs(s:log()) do
      if entry.op == PUT then users[#users + 1] = entry.user end
    end
    table.sort(users)
    return users
  end

  -- A loop that was blocked by a call would have had one or two.
  local function assert_ticked(out)
    local least
    for ticks in out:gmatch "(%d+) ticks meanwhile" do least = math.min(least or math.huge, tonumber(ticks)) end
    assert.is_true(least ~= nil and least >= 10, out)
  end

  it("luv_threads.lua rotates users at the same time, and the loop goes on", function()
    local out, code = run("luv_threads.lua", { "app_user_001", "app_user_002" })
    assert.equal(0, code, out)
    for _, user in ipairs { "app_user_001", "app_user_002" } do assert.matches(user .. " +done +1 +accepted", out) end
    assert.equal(2, select(2, out:gsub("<secret 32 bytes>", "")))
    assert_ticked(out)
    assert.same({ "app_user_001", "app_user_002" }, sent())
  end)

  it("luv_threads.lua exits with the code of a thread that failed", function()
    local out, code = run("luv_threads.lua nobody_here app_user_003", { "app_user_003" })
    assert.equal(1, code, out)
    assert.matches("nobody_here: no such user on the cluster [^\n]*\tno password\t", out)
    assert.matches("app_user_003 +done", out)
    assert_ticked(out)
  end)

  it("cqueues_thread.lua rotates all users, tells each step as it is made, and the loop goes on", function()
    local users = { "app_user_001", "app_user_002", "app_user_003", "app_user_004", "app_user_005" }
    local out, code = run("cqueues_thread.lua", users)
    assert.equal(0, code, out)
    for i, user in ipairs(users) do
      assert.matches(("%%[%d/%%d+%%] %s: done\n"):format(i, user), out)
      assert.matches(user .. " +done +1 +accepted", out)
    end
    assert_ticked(out)
    out, code = run("cqueues_thread.lua 90d", users)
    assert.equal(0, code, out)
    assert.matches("app_user_005 +skipped", out)
    assert.equal(#users, #sent() - 1) -- and legacy_report, once
  end)

  it("cqueues_thread.lua exits with the code of the thread's error", function()
    s:fault { op = PUT, what = "error_before", status = 403, code = 7, count = 10 }
    local out, code = run("cqueues_thread.lua", {})
    assert.equal(4, code, out)
    assert.matches("permission_denied", out)
    assert_ticked(out)
  end)

  it("coroutines.lua lets listing and rotating take turns between calls, and says how long a call kept all waiting", function()
    local out, code = run("coroutines.lua", { "app_user_001", "app_user_002" })
    assert.equal(0, code, out)
    local first, listed, second = out:find("rotated app_user_001", 1, true), out:find("listed app_user_001", 1, true),
      out:find("rotated app_user_002", 1, true)
    assert.is_true(first < listed and listed < second and second < out:find("listed app_user_002", 1, true), out)
    local turns, longest = out:match "(%d+) turns; the longest wait for one was (%d+%.%d+) s"
    assert.is_true(tonumber(turns) >= 8 and tonumber(longest) >= 0.2, out) -- users listed; the latency
    assert.same({ "app_user_001", "app_user_002" }, sent())
  end)

  it("coroutines.lua exits with the code of its error", function()
    local out, code = run("coroutines.lua nobody_here", {})
    assert.equal(1, code, out)
    assert.matches("nobody_here: no such user on the cluster", out)
  end)
end)
