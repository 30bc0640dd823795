local example = require "spec.support.example"
local sandbox = require "spec.support.sandbox"
local temp = require "spec.support.temp"

local LUA = example.LUA

describe("the examples", function()
  local s, home

  setup(function() s = sandbox.shared() end)

  before_each(function()
    s:reset()
    home = temp.dir()
  end)

  after_each(temp.clean)

  local function run(line, without) return example.run(s, home, line, without) end

  it("create_app_user.lua makes a limited user, and run again changes nothing", function()
    local out, code = run(LUA .. " examples/create_app_user.lua")
    assert.equal(0, code, out)
    assert.equal("t|f|f", s:psql [[SELECT has_table_privilege('payment_service', 'orders', 'UPDATE'),
      has_table_privilege('payment_service', 'payments', 'SELECT'), pg_has_role('payment_service', 'admin', 'member')]])
    out, code = run(LUA .. " examples/create_app_user.lua")
    assert.equal(0, code, out)
    assert.matches("unchanged", out)
  end)

  it("rotate_all.lua rotates every application user", function()
    local out, code = run(LUA .. " examples/rotate_all.lua")
    assert.equal(0, code, out)
    assert.matches("app_user_005 +done", out)
    for user, password in pairs(s:passwords()) do
      if user:find "^app_user" then assert.falsy(out:find(password, 1, true)) end
    end
    out, code = run(LUA .. " examples/rotate_all.lua 90d")
    assert.equal(0, code, out)
    assert.matches("app_user_005 +skipped", out)
  end)

  it("rotate_all.lua exits with the code of its error", function()
    local out, code = run(LUA .. " examples/rotate_all.lua", "CRDBCLOUD_CLUSTER")
    assert.equal(2, code, out)
    assert.matches("CRDBCLOUD_CLUSTER", out)
  end)

  it("repl.lua has the cluster at hand and prints what is typed", function()
    temp.write(home .. "/typed", "print(cluster:all_sql_users())\nprint(cluster:rotation_status())\n")
    local out, code = run(("%s -i examples/repl.lua <%s/typed"):format(LUA, home))
    assert.equal(0, code, out)
    assert.matches("app_user_001", out)
    assert.matches("0 users", out)
    assert.falsy(out:find(temp.read(s.key_file):match "_(%w+)%s*$", 1, true))
  end)

  it("each Lua example is under 40 lines and says on top how it is run", function()
    local pipe = assert(io.popen "ls examples/*.lua")
    local count = 0
    for path in pipe:lines() do
      count = count + 1
      local text = temp.read(path)
      assert.is_true(select(2, text:gsub("\n", "")) < 40, path)
      assert.matches("^%-%- [^\n]+\n%-%- Usage: lua5%.4 [^\n]*" .. path:gsub("%p", "%%%0"), text)
    end
    pipe:close()
    assert.is_true(count >= 3)
  end)
end)
