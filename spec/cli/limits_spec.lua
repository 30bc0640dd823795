-- What a person or a script may do to the command at a bad moment, and what it says then.
local cjson = require "cjson"
local command = require "spec.support.command"
local temp = require "spec.support.temp"

local unpack_of = table.unpack or rawget(_G, "unpack")

describe("the command", function()
  local case = command.case()
  local env, home
  setup(case.setup)
  before_each(function() env, home = case.before() end)
  after_each(case.after)
  local s, run, ok, shows, writes = case.sandbox, case.run, case.ok, case.shows, case.writes

  local function created(name) return s:psql(("SELECT count(*) FROM pg_roles WHERE rolname = '%s'"):format(name)) == "1" end

  it("ends with 130 at Ctrl-C, at a question and in a request that only reads", function()
    local r = command.on_terminal({ "user", "delete", "app_user_001" }, env, { { "[y/N] ", "\3" } })
    assert.equal(130, r.code, r.out)
    assert.falsy(r.out:find("internal error", 1, true))
    s:fault { op = "list_sql_users", what = "delay", seconds = 4, count = "all" }
    for _, args in ipairs { { "user", "list" }, { "rotate", "plan", "--all" } } do
      s:clear()
      s:fault { op = "list_sql_users", what = "delay", seconds = 4, count = "all" }
      local process = command.start(args, env)
      case.arrived "list_sql_users"
      temp.run("kill -INT " .. process.pid)
      r = process.wait()
      assert.equal(130, r.code, r.err)
      assert.equal("crdbcloud: interrupted\n", r.err)
    end
  end)

  it("begins nothing after a signal that came before anything was sent", function()
    for signal, code in pairs { INT = 130, TERM = 143, HUP = 129 } do
      for _, args in ipairs {
        { "app-user", "create", "cut_user", "--owner", "o", "--database", "shop", "--preset", "readonly" },
        { "user", "passwd", "app_user_001", "--yes" },
      } do
        s:clear()
        s:fault { op = "list_sql_users", what = "delay", seconds = 3 }
        local process = command.start(args, env)
        case.arrived "list_sql_users"
        temp.run(("kill -%s %d"):format(signal, process.pid))
        local r = process.wait()
        assert.equal(code, r.code, r.err)
        shows("interrupted before anything was sent", r.out .. r.err)
        assert.equal(0, writes())
        assert.is_false(created "cut_user")
        assert.equal("", (temp.run("cat " .. home .. "/store/*/cut_user.rec 2>/dev/null")))
      end
    end
  end)

  it("finishes the creation and the deletion of an admin that are under way", function()
    temp.write(home .. "/pw", "correct horse battery staple\n")
    temp.run("chmod 600 " .. home .. "/pw")
    for operation, args in pairs {
      create_sql_user = { "user", "create", "cut_admin", "--admin", "--yes", "--password-file", home .. "/pw" },
    } do
      s:fault { op = operation, what = "delay", seconds = 3 }
      local process = command.start(args, env)
      case.arrived(operation)
      temp.run("kill -INT " .. process.pid)
      local r = process.wait()
      assert.equal(0, r.code, r.err)
      shows("cut_admin", r.out)
    end
    ok("user", "delete", "cut_admin", "--yes")
    assert.is_false(created "cut_admin")
  end)

  it("says with 6 that a change was made whose result nobody could be told", function()
    for args, code in pairs {
      [command.line({ "user", "passwd", "app_user_001", "--yes" }, env)] = 6, [command.line({ "user", "list" }, env)] = 1,
    } do
      local out, status = temp.run(args .. " >/dev/full")
      assert.equal(code, status, out)
      shows(code == 6 and "done, but the result cannot be written" or "cannot write the result", out)
    end
    assert.equal(1, writes())
  end)

  it("ends no change because nobody reads on", function()
    local line = command.line({ "rotate", "run", "--user", "app_user_001,app_user_003", "--yes" }, env)
    local code = temp.run(("{ env --default-signal=PIPE %s 2>&1; echo $? >%s/code; } | true; cat %s/code"):format(line, home, home))
    assert.equal("6\n", code)
    assert.equal(2, writes())
    local shown = ok("rotate", "status").out
    shows("app_user_001", shown)
    assert.matches("app_user_001 +idle +1", shown)
    assert.matches("app_user_003 +idle +1", shown)
  end)

  it("refuses what is no server, and a store that ends with it", function()
    for _, url in ipairs { "http://example.com", "127.0.0.1", "ftp://x", "://x" } do
      local r = run("--server", url, "user", "list")
      assert.equal(2, r.code, url)
      shows("--server: ", r.err)
    end
    local r = run("--store", "memory:", "user", "passwd", "app_user_001", "--yes")
    assert.equal(2, r.code)
    shows("a store in memory ends with the command", r.err)
    assert.equal(0, writes())
  end)

  it("repeats no password of a URL, wherever it stands and however its name is written", function()
    for _, args in ipairs {
      { "user", "show", "postgresql://a:s3cr3t-pw@h/db" }, { "postgresql://a:s3cr3t-pw@h/db" },
      { "--sql", "postgresql://a@h/db?pass%77ord=s3cr3t-pw", "user", "list" },
    } do
      local r = command.run(args, env)
      assert.equal(2, r.code)
      assert.falsy((r.out .. r.err):find("s3cr3t", 1, true), r.err)
    end
  end)

  it("takes admin away when it is told to, alone and with access", function()
    temp.write(home .. "/pw", "correct horse battery staple\n")
    temp.run("chmod 600 " .. home .. "/pw")
    for _, more in ipairs { {}, { "--database", "shop", "--preset", "readonly" } } do
      ok("user", "create", "was_admin", "--admin", "--yes", "--password-file", home .. "/pw")
      shows("ADMIN", ok("user", "show", "was_admin").out)
      ok("app-user", "grant", "was_admin", "--no-admin", unpack_of(more))
      shows("no admin", ok("user", "show", "was_admin").out)
      ok("app-user", "remove", "was_admin", "--yes")
    end
  end)

  it("makes no store by looking for one under a name that is mistyped", function()
    local wrong = "file:" .. home .. "/stroe"
    for _, case_of in ipairs { { 1, "store", "verify" }, { 1, "credential", "show", "app_user_001" }, { 0, "rotate", "status" }, { 0, "doctor" } } do
      local code = table.remove(case_of, 1)
      local r = run("--store", wrong, unpack_of(case_of))
      assert.equal(code, r.code, table.concat(case_of, " ") .. ": " .. r.out .. r.err)
      assert.equal("", (temp.run(("ls -d %s/stroe 2>/dev/null"):format(home))))
    end
  end)

  it("says in doctor when the store cannot be written", function()
    ok("user", "passwd", "app_user_001", "--yes")
    temp.run(("mkdir %s/store/.crdbcloud-doctor"):format(home)) -- in the place of the file that it would write
    local r = run("doctor", "-o", "json")
    assert.equal(1, r.code)
    local found
    for _, row in ipairs(cjson.decode(r.out)) do
      if row.check == "store" then found = row end
    end
    assert.equal("failed", found.status)
    shows("cannot be written", found.detail)
  end)

  it("prints nested values in CSV as JSON", function()
    local r = ok("-o", "csv", "app-user", "create", "csv_user", "--owner", "o", "--database", "shop", "--preset", "readonly")
    assert.falsy(r.out:find("table: 0x", 1, true), r.out)
    shows('""preset""', r.out:gsub('""database""', '""preset""'))
    ok("app-user", "remove", "csv_user", "--yes")
  end)
end)
