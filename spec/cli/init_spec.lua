-- Tests lua/crdbcloud/cli/refuse.lua, lua/crdbcloud/cli/session.lua.

local command = require "spec.support.command"

describe("the command", function()
  local case = command.case()
  local env
  setup(case.setup)
  before_each(function() env = case.before() end)
  after_each(case.after)
  local s, run, ok, shows = case.sandbox, case.run, case.ok, case.shows

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

    for _, refused in ipairs {
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
      it("refuses " .. table.concat(refused[1], " ") .. " with 2 and sends nothing", function()
        local r = command.run(refused[1], env)
        assert.equal(2, r.code, r.err)
        shows(refused[2], r.err)
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

  it("exits 70 and asks for a resume when an error of its own comes through", function()
    env.LUA_INIT = [[package.preload["crdbcloud.cli.whoami"] = function()
      return { register = function(parser)
        parser:command "whoami":action(function(args) args.run = function() error "a fault of ours" end end)
      end }
    end]]
    local r = run "whoami"
    assert.equal(70, r.code)
    assert.equal("", r.out)
    shows("a fault of ours", r.err)
    shows("crdbcloud rotate resume", r.err)
  end)

  it("exits 70 when it cannot even start", function()
    env.LUA_INIT = [[package.preload["argparse"] = function() error "argparse is not here" end]]
    local r = run "whoami"
    assert.equal(70, r.code)
    shows("argparse is not here", r.err)
  end)
end)
