-- Tests lua/crdbcloud/cli/cluster.lua, lua/crdbcloud/cli/completion.lua, lua/crdbcloud/cli/doctor.lua,
-- lua/crdbcloud/cli/lists.lua, lua/crdbcloud/cli/output.lua, lua/crdbcloud/cli/whoami.lua.

local cjson = require "cjson"
local command = require "spec.support.command"
local temp = require "spec.support.temp"

describe("the command", function()
  local case = command.case()
  local env, home
  setup(case.setup)
  before_each(function() env, home = case.before() end)
  after_each(case.after)
  local s, run, ok, shows, password_file = case.sandbox, case.run, case.ok, case.shows, case.password_file

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
      assert.equal("name,kind,finding", csv:match "^[^\r]+")
      shows("\napp_user_001,ordinary,\r\n", csv)
      local text = ok("user", "list").out
      assert.matches("^NAME +KIND +FINDING\n", text)
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
      local file = password_file "correct horse battery staple"
      r = run("user", "create", "not_allowed", "--admin", "--yes", "--password-file", file)
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
      ok("store", "init")
      local r = ok("doctor", "-o", "json")
      local status = {}
      for _, row in ipairs(cjson.decode(r.out)) do status[row.check] = row.status end
      assert.same({
        program = "ok", ["api key"] = "ok", server = "ok", cluster = "ok", ["sql users"] = "ok", sql = "ok", store = "ok",
        ["one cluster"] = "ok",
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
end)
