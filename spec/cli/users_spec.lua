-- Tests lua/crdbcloud/cli/app_user.lua, lua/crdbcloud/cli/user.lua, lua/crdbcloud/cli/credential.lua.

local cjson = require "cjson"
local command = require "spec.support.command"
local temp = require "spec.support.temp"

local unpack = table.unpack or unpack

describe("the command", function()
  local case = command.case()
  local env, home
  setup(case.setup)
  before_each(function() env, home = case.before() end)
  after_each(case.after)
  local s, run, ok, shows, writes, password_file = case.sandbox, case.run, case.ok, case.shows, case.writes, case.password_file

  describe("that changes single users", function()
    it("creates an admin only when told to, and deletes it", function()
      local r = ok("user", "create", "Made_By_Hand", "--admin", "--yes", "--password-file", password_file "correct horse battery staple")
      assert.matches("made_by_hand", r.out)
      assert.equal("t", s:psql "SELECT pg_has_role('made_by_hand', 'admin', 'member')")
      r = ok("user", "delete", "made_by_hand", "--yes", "-o", "json")
      assert.same({ name = "made_by_hand", deleted = true }, cjson.decode(r.out))
      assert.equal("0", s:psql "SELECT count(*) FROM pg_roles WHERE rolname = 'made_by_hand'")
    end)

    it("shows an application user that has become an admin, and sets no password of it unless that is meant", function()
      local made = { "app-user", "create", "spec_cli_app", "--database", "shop", "--preset", "readonly" }
      ok(unpack(made))
      s:psql "GRANT admin TO spec_cli_app"
      local found
      for _, user in ipairs(cjson.decode(ok("user", "list", "-o", "json").out)) do
        if user.name == "spec_cli_app" then found = user.finding end
      end
      assert.equal("is an admin", found)
      assert.matches("IS ADMIN", ok("rotate", "status").out, 1, true)
      local r = run("rotate", "run", "--user", "spec_cli_app", "--yes")
      assert.same({ 3, true }, { r.code, r.out:find("refused", 1, true) ~= nil or r.err:find("refused", 1, true) ~= nil })
      assert.matches("app-user grant spec_cli_app --no-admin", r.err, 1, true)
      assert.equal(1, run(unpack(made)).code)
      ok("rotate", "run", "--user", "spec_cli_app", "--yes", "--allow-admin")
      ok("app-user", "grant", "spec_cli_app", "--no-admin", "--yes")
      ok(unpack(made))
      ok("app-user", "remove", "spec_cli_app", "--yes")
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

    it("shows a password exactly, or says which format does", function()
      local password = "=correct horse battery"
      ok("user", "passwd", "app_user_005", "--yes", "--password-file", password_file(password))
      local r = run("credential", "show", "app_user_005", "--reveal", "-o", "csv")
      assert.same({ 2, "" }, { r.code, r.out })
      assert.matches("-o json", r.err, 1, true)
      shows(password, ok("credential", "show", "app_user_005", "--reveal").out)
      shows(password, ok("credential", "show", "app_user_005", "--reveal", "-o", "json").out)
    end)

    it("exports a credential to sinks", function()
      ok("credential", "import", "app_user_002", "--password-file", password_file(s:passwords()["app_user_002"]))
      local r = ok("credential", "export", "app_user_002", "--sink", "pgpass:" .. home .. "/pgpass", "--sink", "json:" .. home .. "/{user}.json")
      shows("json:" .. home .. "/app_user_002.json", r.out)
      shows(s:passwords()["app_user_002"], temp.read(home .. "/pgpass"))
      assert.equal("app_user_002", cjson.decode(temp.read(home .. "/app_user_002.json")).user)
      assert.falsy((r.out .. r.err):find(s:passwords()["app_user_002"], 1, true))
    end)

    it("exports the manifest of a Kubernetes Secret, and nothing else, to standard output", function()
      ok("credential", "import", "app_user_002", "--password-file", password_file(s:passwords()["app_user_002"]))
      local r = ok("credential", "export", "app_user_002", "--sink", "kubernetes:shop/db")
      local manifest = cjson.decode(r.out)
      assert.equal("shop", manifest.metadata.namespace)
      assert.equal("db", manifest.metadata.name)
      assert.equal(require "crdbcloud.core".secret(s:passwords()["app_user_002"]):encode("base64"):reveal(), manifest.data.password)
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
end)
