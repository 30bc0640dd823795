-- Tests lua/crdbcloud/cli/confirm.lua.

local account = require "spec.support.account"
local cjson = require "cjson"
local command = require "spec.support.command"
local temp = require "spec.support.temp"
local wait = require "spec.support.wait"

local PUT = "update_sql_user_password"

describe("the command", function()
  local case = command.case()
  local env
  setup(case.setup)
  before_each(function() env = case.before() end)
  after_each(case.after)
  local s, run, ok, shows, writes = case.sandbox, case.run, case.ok, case.shows, case.writes

  describe("with many users", function()
    it("works on several at once and tells how long the rest will take", function()
      s:set { latency = 1200 }
      finally(function() s:set { latency = 0 } end)
      local r = ok("rotate", "run", "--user", "app_user_001,app_user_002,app_user_003", "--parallel", "2", "--yes")
      shows("[3/3] app_user_00", r.err)
      assert.matches("%[1/3%] app_user_00%d: done, about %d+s left\n", r.err)
      assert.matches("%[3/3%] app_user_00%d: done\n", r.err)
      assert.matches("3 done", r.out)
    end)

    it("takes 1 to 64 threads", function()
      for _, n in ipairs { "0", "65", "x" } do
        local r = run("rotate", "run", "--all", "--parallel", n, "--yes")
        assert.equal(2, r.code)
        shows("is no whole number from 1 to 64", r.err)
      end
    end)

    it("takes hours of the day, and a reason of one line", function()
      for argument, said in pairs {
        ["--window=abc"] = "'abc': it must be hours of the day such as \"22:00-04:00\"\n",
        ["--reason=a\nb"] = "'a?b': it must be one line of UTF-8 text",
        ["--reason=caf\233"] = "'caf?': it must be one line of UTF-8 text",
      } do
        local r = run("rotate", "run", "--all", argument, "--yes")
        assert.equal(2, r.code)
        shows(said, r.err)
      end
    end)

    it("ends at once at the second signal, and the record says what is open", function()
      s:fault { op = PUT, what = "delay", seconds = 60, count = "all" }
      local started = command.start({ "rotate", "run", "--user", "app_user_001,app_user_002", "--parallel", "2", "--yes" }, env)
      wait("two changes", function()
        local sent = 0
        for _, entry in ipairs(s:log()) do sent = sent + (entry.op == PUT and 1 or 0) end
        return sent == 2
      end)
      -- Within 300 ms of the first it would be the same wish, and who knows when the first is seen.
      temp.run(("n=0; while kill -INT %d && [ $n -lt 200 ]; do n=$((n+1)); sleep 0.5; done"):format(started.pid))
      local r = started.wait()
      assert.equal(130, r.code)
      shows("stopped at once; `crdbcloud rotate status` shows what is open", r.err)
      s:clear()
      local status = ok("rotate", "status")
      assert.matches("app_user_001 +intent", status.out)
      assert.matches("app_user_002 +intent", status.out)
      ok("rotate", "resume")
      assert.matches("2 users on .*, 0 open", ok("rotate", "status").out)
    end)
  end)

  describe("with several clusters", function()
    local two, cloud
    before_each(function()
      two, cloud = s.clusters.two, account.open(s)
      assert(cloud:create_sql_user(two, "svc_two", "first password of it"))
      s:clear()
    end)
    after_each(function()
      s:clear()
      assert(cloud:delete_sql_user(two, "svc_two"))
      cloud:close()
    end)

    it("plans, rotates, resumes and tells of all of them", function()
      env.CRDBCLOUD_SQL = nil
      local both = { "--cluster", "sandbox-one", "--cluster", two }
      local function on_both(...)
        local words = { both[1], both[2], both[3], both[4] }
        for _, word in ipairs { ... } do words[#words + 1] = word end
        return ok((table.unpack or unpack)(words))
      end
      local r = on_both("rotate", "plan", "--user", "app_user_001,svc_two")
      shows("crdbcloud --cluster sandbox-one --cluster " .. two .. " rotate run --user app_user_001 --user svc_two", r.err)
      assert.matches("sandbox%-two +svc_two +rotate", r.out)
      assert.equal(0, writes())
      r = on_both("rotate", "run", "--user", "app_user_001,svc_two", "--confirm", "sandbox-one," .. two, "--verify", "off")
      shows("sandbox-two: [1/1] svc_two: done", r.err)
      assert.matches("CLUSTER +USER +RESULT", r.out)
      assert.matches("on 2 clusters, run %x+: 2 done, 2 skipped", r.out)
      assert.equal(2, writes())
      local rows = on_both("rotate", "resume", "-o", "json").out
      assert.same({}, cjson.decode(rows).rows)
      r = on_both("rotate", "status", "-o", "csv")
      assert.matches("^cluster,user,", r.out)
      shows("sandbox-two,svc_two,", r.out)
    end)

    it("takes all clusters of the account", function()
      local r = run("rotate", "run", "--all-clusters", "--user", "svc_two", "--confirm", "all", "--verify", "off", "-o", "json")
      assert.equal(3, r.code, r.err) -- sandbox-new is still being created
      local found = {}
      for _, row in ipairs(cjson.decode(r.out).rows) do found[row.cluster .. " " .. row.user] = row.result end
      assert.equal("done", found["sandbox-two svc_two"])
      assert.equal("failed", found["sandbox-new *"])
      assert.equal("skipped", found["sandbox-one svc_two"])
      shows("CRDBCLOUD_SQL is one cluster's address", table.concat(cjson.decode(r.out).warnings, "\n"))
      shows("rotate run --all-clusters --managed", run("rotate", "plan", "--all-clusters").err)
      shows("0 users on sandbox-one", ok("rotate", "status", "--all-clusters").out)
    end)

    it("refuses what is of one cluster", function()
      local function refused(text, ...)
        local r = run(...)
        assert.equal(2, r.code, r.err)
        shows(text, r.err)
      end
      refused("only rotate plan, run, resume, status and shell work on several", "--cluster", "a", "--cluster", "b", "user", "list")
      refused("only rotate plan, run, resume, status and shell work on several", "--cluster", "a", "--cluster", "b", "rotate", "rollback", "x", "--yes")
      refused("--cluster and --all-clusters exclude each other", "--cluster", "a", "rotate", "status", "--all-clusters")
      refused("--sql is the connection of one cluster", "--sql", "postgresql://a@127.0.0.1/b", "rotate", "run", "--all-clusters", "--all", "--yes")
      refused("a saved plan is of one cluster", "rotate", "plan", "--all-clusters", "--save", env.HOME .. "/plan")
      temp.write(env.HOME .. "/plan", '{"rows":[],"run_id":"x"}')
      refused("a saved plan is of one cluster", "rotate", "run", env.HOME .. "/plan", "--all-clusters", "--yes")
      refused("--confirm sandbox-one is not the cluster all", "rotate", "run", "--all-clusters", "--all", "--confirm", "sandbox-one")
      assert.equal(0, writes())
    end)
  end)
end)
