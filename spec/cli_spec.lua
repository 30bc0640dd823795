local cjson = require "cjson"
local command = require "spec.support.command"
local sandbox = require "spec.support.sandbox"
local temp = require "spec.support.temp"

describe("the command", function()
  local s, env, home

  setup(function()
    s = sandbox.shared()
    s:reset()
  end)

  before_each(function()
    s:clear()
    home = temp.dir()
    env = { HOME = home, CRDBCLOUD_STORE = "file:" .. home .. "/store", TERM = "xterm" }
    for name, value in pairs(s.env) do env[name] = env[name] or value end
  end)

  after_each(function()
    s:clear()
    temp.clean()
  end)

  local function run(...) return command.run({ ... }, env) end

  local function ok(...)
    local r = run(...)
    assert.equal(0, r.code, r.err)
    return r
  end

  -- The text holds these very words.
  local function shows(words, text)
    assert.is_true(text:find(words, 1, true) ~= nil, ("expected %q in:\n%s"):format(words, text))
  end

  local function writes()
    local n = 0
    for _, entry in ipairs(s:log()) do
      if entry.method ~= "GET" then n = n + 1 end
    end
    return n
  end

  local function password_file(text)
    temp.write(home .. "/pw", text .. "\n")
    temp.run("chmod 600 " .. home .. "/pw")
    return home .. "/pw"
  end

  describe("on its arguments", function()
    it("prints help and version with 0 and on stdout", function()
      local r = ok "--help"
      assert.matches("Exit codes", r.out)
      assert.equal("", r.err)
      assert.equal("crdbcloud " .. require "crdbcloud.version" .. "\n", ok("--version").out)
      for _, name in ipairs { "user", "app-user", "rotate", "credential", "cluster" } do
        shows("Usage: crdbcloud " .. name, ok(name, "--help").out)
      end
    end)

    for _, case in ipairs {
      { {}, "a command is required" },
      { { "nosuch" }, "unknown command 'nosuch'" },
      { { "user", "lst" }, "Did you mean 'list'" },
      { { "user", "list", "--nosuch" }, "unknown option '--nosuch'" },
      { { "-o", "xml", "user", "list" }, "must be one of" },
      { { "user", "passwd" }, "missing argument" },
      { { "user", "passwd", "" }, "an argument is empty" },
      { { "--timeout", "30", "whoami" }, "needs a unit" },
      { { "rotate", "run", "--max-age", "soon", "--all" }, "must be a duration" },
      { { "rotate", "run", "--max-failures", "0", "--all" }, "whole number from 1" },
      { { "rotate", "run" }, "no users were named" },
      { { "rotate", "run", "--user", "a", "--all" }, "exclude each other" },
      { { "rotate", "run", "--user", ",", "--yes" }, "holds no name" },
      { { "rotate", "plan", "--due", "--max-age", "1d" }, "exclude each other" },
      { { "app-user", "create", "x" }, "no access was named" },
      { { "app-user", "create", "x", "--database", "shop" }, "add --preset" },
      { { "app-user", "create", "x", "--database", "shop", "--preset", "readonly", "--privilege", "SELECT" }, "exclude each other" },
      { { "app-user", "create", "x", "--database", "shop", "--preset", "readonly", "--sink", "jsn:/x" }, 'did you mean "json"' },
      { { "app-user", "create", "x", "--database", "shop", "--preset", "readonly", "--label", "team" }, "expected KEY=VALUE" },
      { { "app-user", "create", "x", "--access", "/nonexistent" }, "--access: /nonexistent" },
      { { "app-user", "create", "x", "--access", "LICENSE" }, "holds no JSON" },
      { { "user", "create", "x" }, "app-user create x" },
      { { "user", "create", "X Y", "--admin" }, "user name" },
      { { "credential", "export", "x" }, "missing option '--sink'" },
      { { "credential", "import", "x", "--set-at", "yesterday" }, "--set-at must be seconds since 1970 or a date" },
      { { "completion", "tcsh" }, "must be one of" },
    } do
      it("refuses " .. table.concat(case[1], " ") .. " with 2 and sends nothing", function()
        local r = command.run(case[1], env)
        assert.equal(2, r.code, r.err)
        shows(case[2], r.err)
        assert.equal("", r.out)
        assert.same({}, s:log())
      end)
    end

    it("says what is not set", function()
      env.CRDBCLOUD_CLUSTER = false
      shows("give --cluster NAME or set CRDBCLOUD_CLUSTER", run("user", "list").err)
      env.COCKROACH_API_KEY_FILE = false
      local r = run "whoami"
      assert.equal(4, r.code)
      assert.matches("COCKROACH_API_KEY", r.err)
      env.CRDBCLOUD_STORE = false
      assert.matches("CRDBCLOUD_STORE", run("credential", "show", "x").err)
    end)
  end)

  describe("on a secret in an argument", function()
    local needle = "hunter2hunter2"
    for _, args in ipairs {
      { "user", "passwd", "app_user_001", "--password", needle },
      { "user", "passwd", "app_user_001", "--password=" .. needle },
      { "--api-key", needle, "whoami" },
      { "--sql", "postgresql://admin:" .. needle .. "@127.0.0.1/shop", "doctor" },
      { "--sql=postgresql://admin@127.0.0.1/shop?password=" .. needle, "doctor" },
      { "--sql", "host=127.0.0.1 password=" .. needle, "doctor" },
      { "--store", "postgresql://store:" .. needle .. "@127.0.0.1/db", "rotate", "status" },
      { "user", "list", "CCDB1_" .. needle .. "_" .. needle },
    } do
      it("refuses " .. table.concat(args, " "):gsub(needle, "SECRET") .. " and does not repeat it", function()
        local r = command.run(args, env)
        assert.equal(2, r.code)
        shows("taken from an argument, which every user of this machine can read", r.err)
        assert.falsy(r.err:find(needle, 1, true))
        assert.equal("", r.out)
        assert.same({}, s:log())
      end)
    end
  end)

  describe("that reads", function()
    it("shows account, server and cluster, and no third part of the key", function()
      local r = ok("whoami", "-o", "json")
      local who = cjson.decode(r.out)
      assert.equal(s.url, who.server)
      assert.equal(s.cluster_name, who.cluster)
      assert.equal(s.cluster_id, who.cluster_id)
      local key = temp.read(s.key_file):gsub("%s+$", "")
      shows(key:match "^(CCDB1_%w+)_", who.account)
      assert.falsy((r.out .. ok("whoami").out):find(key:match "_(%w+)$", 1, true))
    end)

    it("lists users in all four forms", function()
      local users = cjson.decode(ok("-o", "json", "user", "list").out)
      assert.is_true(#users >= 5)
      local names = {}
      for _, user in ipairs(users) do names[#names + 1] = user.name end
      local lines = {}
      for line in ok("user", "list", "-o", "jsonl").out:gmatch "[^\n]+" do lines[#lines + 1] = cjson.decode(line).name end
      assert.same(names, lines)
      local csv = ok("user", "list", "--output", "csv").out
      assert.equal("name,kind", csv:match "^[^\r]+")
      shows("\napp_user_001,ordinary\r\n", csv)
      local text = ok("user", "list").out
      assert.matches("^NAME +KIND\n", text)
      for _, name in ipairs(names) do shows("\n" .. name .. " ", text) end
    end)

    it("lists and shows clusters", function()
      local found
      for _, cluster in ipairs(cjson.decode(ok("cluster", "list", "-o", "json").out)) do
        found = found or cluster.id == s.cluster_id
      end
      assert.is_true(found)
      assert.equal(s.cluster_name, cjson.decode(ok("cluster", "show", "-o", "json").out).name)
      assert.equal(s.cluster_id, cjson.decode(ok("cluster", "show", s.cluster_name, "-o", "json").out).id)
      local r = run("cluster", "show", "no-such-cluster")
      assert.equal(1, r.code)
      shows("no-such-cluster", r.err)
    end)

    it("exits 4 and names the role where the key may not", function()
      env.COCKROACH_API_KEY_FILE = s.keys.invalid
      local r = run("user", "list")
      assert.equal(4, r.code)
      assert.equal("", r.out)
      env.COCKROACH_API_KEY_FILE = s.keys.developer
      temp.write(home .. "/pw", "correct horse battery staple\n")
      temp.run("chmod 600 " .. home .. "/pw")
      r = run("user", "create", "not_allowed", "--admin", "--yes", "--password-file", home .. "/pw")
      assert.equal(4, r.code)
      assert.matches("Cluster Admin", r.err)
    end)

    it("writes the error as JSON to stderr where JSON is asked for", function()
      env.COCKROACH_API_KEY_FILE = s.keys.invalid
      local r = run("-o", "json", "user", "list")
      assert.equal("", r.out)
      local err = cjson.decode(r.err)
      assert.equal("unauthenticated", err.kind)
      assert.equal(4, err.exit)
    end)

    it("examines everything with doctor", function()
      local r = ok("doctor", "-o", "json")
      local status = {}
      for _, row in ipairs(cjson.decode(r.out)) do status[row.check] = row.status end
      assert.same({
        program = "ok", ["api key"] = "ok", server = "ok", cluster = "ok", ["sql users"] = "ok", sql = "ok", store = "ok",
      }, status)
    end)

    it("shows in doctor what was not looked at and what failed", function()
      env.CRDBCLOUD_SQL, env.COCKROACH_API_KEY_FILE = false, s.keys.invalid
      local r = run("doctor", "-o", "json")
      assert.equal(4, r.code)
      local status = {}
      for _, row in ipairs(cjson.decode(r.out)) do status[row.check] = row.status end
      assert.equal("failed", status.server)
      assert.equal("?", status.sql)
    end)

    it("prints completion scripts that their shells can read", function()
      local script = ok("completion", "bash").out
      temp.write(home .. "/completion", script)
      local out, code = temp.run("bash -n " .. home .. "/completion")
      assert.equal(0, code, out)
      assert.matches("compdef", ok("completion", "zsh").out)
      assert.matches("complete", ok("completion", "fish").out)
    end)
  end)

  describe("that changes single users", function()
    it("creates an admin only when told to, and deletes it", function()
      local r = ok("user", "create", "Made_By_Hand", "--admin", "--yes", "--password-file", password_file "correct horse battery staple")
      assert.matches("made_by_hand", r.out)
      assert.equal("t", s:psql "SELECT pg_has_role('made_by_hand', 'admin', 'member')")
      r = ok("user", "delete", "made_by_hand", "--yes", "-o", "json")
      assert.same({ name = "made_by_hand", deleted = true }, cjson.decode(r.out))
      assert.equal("0", s:psql "SELECT count(*) FROM pg_roles WHERE rolname = 'made_by_hand'")
    end)

    it("refuses a password file that others can read", function()
      local file = password_file "correct horse battery staple"
      temp.run("chmod 644 " .. file)
      local r = run("user", "create", "made_by_hand", "--admin", "--yes", "--password-file", file)
      assert.equal(2, r.code)
      assert.matches("chmod 600", r.err)
      assert.equal(0, writes())
    end)

    it("changes a password given on standard input, through the store", function()
      local password = "Xylophone-Quartz-7719"
      local r = command.run({ "user", "passwd", "app_user_001", "--yes", "--password-stdin" }, env, password .. "\n")
      assert.equal(0, r.code, r.err)
      assert.falsy((r.out .. r.err):find(password, 1, true))
      r = ok("credential", "show", "app_user_001", "-o", "json")
      assert.falsy(r.out:find(password, 1, true))
      r = ok("credential", "show", "app_user_001", "--reveal", "-o", "json")
      assert.equal(password, cjson.decode(r.out).password)
      shows(password, ok("credential", "show", "app_user_001", "--url", "--reveal").out)
    end)

    it("takes one line from standard input and no more", function()
      for _, input in ipairs { "", "\n", "one line\nanother\n" } do
        local r = command.run({ "user", "passwd", "app_user_001", "--yes", "--password-stdin" }, env, input)
        assert.equal(2, r.code)
      end
      assert.equal(0, writes())
    end)

    it("needs --yes where nobody can be asked", function()
      for _, args in ipairs {
        { "user", "passwd", "app_user_001" }, { "user", "delete", "app_user_001" },
        { "rotate", "run", "--user", "app_user_001" }, { "rotate", "run", "--all" },
        { "rotate", "run", "--all", "--confirm", "another-cluster" },
      } do
        local r = command.run(args, env)
        assert.equal(2, r.code, table.concat(args, " "))
        shows(args[5] and "is not the cluster" or "Not confirmed: no terminal to ask on", r.err)
      end
      assert.equal(0, writes())
    end)

    it("imports a password that is in use, proved and not changed", function()
      local password = s:passwords()["app_user_002"]
      local r = ok("credential", "import", "app_user_002", "--set-at", "2026-01-31", "--password-file", password_file(password))
      assert.matches("imported", r.out)
      assert.equal(0, writes())
      assert.equal(password, cjson.decode(ok("credential", "show", "app_user_002", "--reveal", "-o", "json").out).password)
      r = run("credential", "import", "app_user_003", "--password-file", password_file "Wrong-Password-123456")
      assert.equal(1, r.code)
      assert.matches("not proved by a login", r.err)
    end)

    it("exports a credential to sinks", function()
      ok("credential", "import", "app_user_002", "--password-file", password_file(s:passwords()["app_user_002"]))
      local r = ok("credential", "export", "app_user_002", "--sink", "pgpass:" .. home .. "/pgpass", "--sink", "json:" .. home .. "/{user}.json")
      shows("json:" .. home .. "/app_user_002.json", r.out)
      shows(s:passwords()["app_user_002"], temp.read(home .. "/pgpass"))
      assert.equal("app_user_002", cjson.decode(temp.read(home .. "/app_user_002.json")).user)
      assert.falsy((r.out .. r.err):find(s:passwords()["app_user_002"], 1, true))
    end)
  end)

  describe("that creates application users", function()
    it("gives exactly the access asked for, and the same again changes nothing", function()
      local args = {
        "app-user", "create", "cli_app", "--owner", "cli@example.com", "--database", "shop", "--table", "orders,customers",
        "--privilege", "SELECT,INSERT", "--label", "team=cli", "--sink", "json:" .. home .. "/{user}.json",
      }
      local r = command.run(args, env)
      assert.equal(0, r.code, r.err)
      assert.equal("t|t|f|f|f", s:psql([[SELECT has_table_privilege('cli_app', 'orders', 'SELECT'),
        has_table_privilege('cli_app', 'customers', 'INSERT'), has_table_privilege('cli_app', 'orders', 'DELETE'),
        has_table_privilege('cli_app', 'payments', 'SELECT'), pg_has_role('cli_app', 'admin', 'member')]]))
      assert.truthy(temp.read(home .. "/cli_app.json"))
      local before = writes()
      assert.equal(0, command.run(args, env).code)
      assert.equal(before, writes())
    end)

    it("takes the access from a file", function()
      temp.write(home .. "/access.json", '[{"database": "shop", "tables": ["orders"], "privileges": ["SELECT"]}]')
      ok("app-user", "create", "cli_file", "--access", home .. "/access.json")
      assert.equal("t|f", s:psql [[SELECT has_table_privilege('cli_file', 'orders', 'SELECT'), has_table_privilege('cli_file', 'orders', 'INSERT')]])
    end)

    it("shows the plan of a dry run and sends nothing", function()
      local r = ok("app-user", "create", "cli_dry", "--database", "shop", "--preset", "readonly", "--dry-run", "-o", "json")
      assert.is_true(cjson.decode(r.out).dry_run)
      assert.equal(0, writes())
    end)

    it("refuses access that leads to admin", function()
      local r = run("app-user", "create", "cli_admin", "--role", "admin", "--database", "shop", "--preset", "readonly")
      assert.equal(2, r.code, r.err)
      assert.equal(0, writes())
      assert.equal("0", s:psql "SELECT count(*) FROM pg_roles WHERE rolname = 'cli_admin'")
    end)
  end)

  describe("that rotates", function()
    it("plans without changing anything and says what to run", function()
      local r = ok("rotate", "plan", "--user", "app_user_001", "--user", "app_user_004", "--exclude", "APP_USER_004")
      shows("crdbcloud rotate run --user app_user_001 --user app_user_004 --exclude APP_USER_004", r.err)
      assert.matches("app_user_004 +skip", r.out)
      assert.equal(0, writes())
      shows("rotate run --managed", ok("rotate").err)
    end)

    it("rotates with plain progress lines, and --quiet without", function()
      local r = ok("rotate", "run", "--user", "app_user_001,app_user_003", "--confirm", s.cluster_name)
      shows("[1/2] app_user_001: done", r.err)
      shows("[2/2] app_user_003: done", r.err)
      assert.falsy(r.err:find "\27")
      assert.matches("2 done", r.out)
      r = ok("rotate", "run", "--managed", "--yes", "--quiet", "-o", "json")
      assert.equal("", r.err)
      assert.equal("done", cjson.decode(r.out).rows[1].result)
      assert.matches("app_user_003 +idle +2", ok("rotate", "status").out)
    end)

    it("exits 3 with the report when a part failed", function()
      s:fault { op = "update_sql_user_password", user = "app_user_003", what = "error_before", status = 400, count = 9 }
      local r = run("rotate", "run", "--user", "app_user_001,app_user_003", "--yes", "-o", "json")
      assert.equal(3, r.code, r.err)
      local rows = cjson.decode(r.out).rows
      assert.same({ "done", "failed" }, { rows[1].result, rows[2].result })
    end)

    it("leaves an unanswered change at 5, and resume settles it with the same password", function()
      s:fault { op = "update_sql_user_password", user = "app_user_001", what = "drop_before", count = 99 }
      local r = run("rotate", "run", "--user", "app_user_001", "--yes", "-o", "json")
      assert.equal(5, r.code, r.err)
      assert.equal("unknown", cjson.decode(r.out).rows[1].result)
      assert.matches("rotate resume", r.err)
      assert.matches("app_user_001 +intent", ok("rotate", "status").out)
      local hashes = {}
      for _, entry in ipairs(s:log()) do
        if entry.password_hash then hashes[entry.password_hash] = true end
      end
      s:clear()
      assert.matches("1 done", ok("rotate", "resume").out)
      for _, entry in ipairs(s:log()) do
        if entry.password_hash then hashes[entry.password_hash] = true end
      end
      assert.truthy(next(hashes))
      assert.is_nil(next(hashes, (next(hashes))))
    end)

    for signal, code in pairs { INT = 130, TERM = 143 } do
      it(("finishes the user in hand on SIG%s and exits %d"):format(signal, code), function()
        s:fault { op = "update_sql_user_password", nth = 1, what = "delay", seconds = 1.5 }
        local process = command.start({ "rotate", "run", "--user", "app_user_001,app_user_003,app_user_004", "--yes" }, env)
        local arrived
        for _ = 1, 200 do
          for _, entry in ipairs(s:log()) do arrived = arrived or entry.op == "update_sql_user_password" end
          if arrived then break end
        end
        assert.is_true(arrived)
        temp.run(("kill -%s %d"):format(signal, process.pid))
        local r = process.wait()
        assert.equal(code, r.code, r.err)
        assert.matches("app_user_001 +done", r.out)
        assert.matches("app_user_003 +untouched", r.out)
        assert.matches("interrupted", r.err)
        assert.matches("app_user_001 +idle +1", ok("rotate", "status").out)
      end)
    end

    it("reports the lock of another run with 7", function()
      s:fault { op = "update_sql_user_password", nth = 1, what = "delay", seconds = 1.5 }
      local process = command.start({ "user", "passwd", "app_user_001", "--yes" }, env)
      local arrived
      for _ = 1, 200 do
        for _, entry in ipairs(s:log()) do arrived = arrived or entry.op == "update_sql_user_password" end
        if arrived then break end
      end
      local r = run("user", "passwd", "app_user_001", "--yes")
      assert.equal(7, r.code, r.err)
      assert.equal(0, process.wait().code)
    end)
  end)

  describe("on a terminal", function()
    it("asks before it changes, and takes no for an answer", function()
      local r = command.on_terminal({ "user", "passwd", "app_user_001" }, env, { { "[y/N]", "n" } })
      assert.equal(2, r.code, r.out)
      assert.matches("Change the password of app_user_001 on cluster", r.out)
      assert.equal(0, writes())
      r = command.on_terminal({ "user", "passwd", "app_user_001" }, env, { { "[y/N]", "y" } })
      assert.equal(0, r.code, r.out)
      assert.equal(1, writes())
    end)

    it("wants the cluster's name for several users", function()
      local args = { "rotate", "run", "--user", "app_user_001,app_user_003" }
      local question = "Type the cluster's name (" .. s.cluster_name .. ")"
      local r = command.on_terminal(args, env, { { question, "yes" } })
      assert.equal(2, r.code, r.out)
      assert.equal(0, writes())
      r = command.on_terminal(args, env, { { question, s.cluster_name } })
      assert.equal(0, r.code, r.out)
      assert.equal(2, writes())
    end)

    it("does not ask with --no-input", function()
      local r = command.on_terminal({ "--no-input", "user", "passwd", "app_user_001" }, env, {})
      assert.equal(2, r.code)
      assert.falsy(r.out:find("[y/N]", 1, true))
    end)

    it("prompts for a password without showing it", function()
      local password = "Typed-In-The-Dark-4711"
      local r = command.on_terminal({ "user", "create", "typed", "--admin", "--yes" }, env,
        { { "Password of the new admin typed:", password }, { "The same again:", password } })
      assert.equal(0, r.code, r.out)
      assert.falsy(r.out:find(password, 1, true))
      local hash
      for _, entry in ipairs(s:log()) do hash = hash or entry.password_hash end
      assert.equal(s:hash(password), hash)
    end)

    it("refuses two passwords that differ", function()
      local r = command.on_terminal({ "user", "create", "typed_too", "--admin", "--yes" }, env,
        { { "Password of the new admin typed_too:", "Typed-In-The-Dark-4711" }, { "The same again:", "Typed-In-The-Dark-4712" } })
      assert.equal(2, r.code, r.out)
      shows("the two passwords differ", r.out)
      assert.equal(0, writes())
    end)

    it("shows one live line per user, and no colour with NO_COLOR", function()
      local r = command.on_terminal({ "rotate", "run", "--user", "app_user_001", "--yes" }, env, {})
      shows("\27[K[1/1] app_user_001: done", r.out)
      r = command.on_terminal({ "rotate", "run", "--user", "nobody_here", "--yes" }, env, {})
      shows("\27[31merror", r.out)
      env.NO_COLOR = "1"
      r = command.on_terminal({ "rotate", "run", "--user", "nobody_here", "--yes" }, env, {})
      assert.falsy(r.out:find("\27[31m", 1, true))
    end)
  end)
end)
