-- Tests lua/crdbcloud/cli/password.lua.

local command = require "spec.support.command"

describe("the command", function()
  local case = command.case()
  local env
  setup(case.setup)
  before_each(function() env = case.before() end)
  after_each(case.after)
  local s, shows, writes = case.sandbox, case.shows, case.writes

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
