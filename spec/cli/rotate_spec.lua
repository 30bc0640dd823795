-- Tests lua/crdbcloud/cli/progress.lua, lua/crdbcloud/cli/resume_status.lua.

local cjson = require "cjson"
local command = require "spec.support.command"
local core = require "crdbcloud.core"
local temp = require "spec.support.temp"

describe("the command", function()
  local case = command.case()
  local env, home
  setup(case.setup)
  before_each(function() env, home = case.before() end)
  after_each(case.after)
  local s, run, ok, shows, writes = case.sandbox, case.run, case.ok, case.shows, case.writes

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

    it("prints no password in any form, new or old", function()
      local sink = "json:" .. home .. "/{user}.json"
      local printed, secrets = {}, {}
      for _, format in ipairs { "table", "json", "jsonl", "csv" } do
        local r = ok("rotate", "run", "--user", "app_user_001", "--yes", "--sink", sink, "-o", format)
        local status = ok("rotate", "status", "-o", format)
        local shown = ok("credential", "show", "app_user_001", "-o", format)
        printed[#printed + 1] = table.concat { r.out, r.err, status.out, shown.out }
        secrets[#secrets + 1] = cjson.decode(temp.read(home .. "/app_user_001.json")).password
      end
      secrets[#secrets + 1] = temp.read(s.key_file):match "_(%w+)%s*$"
      secrets[#secrets + 1] = s:passwords().app_user_001
      assert.equal(6, #secrets)
      local text = table.concat(printed)
      for _, secret in ipairs(secrets) do
        local held = core.secret(secret)
        for _, form in ipairs { "json", "uri", "base64", "hex" } do
          assert.falsy(text:find(held:encode(form):reveal(), 1, true))
        end
        assert.falsy(text:find(secret, 1, true))
      end
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

    for signal, code in pairs { INT = 130, TERM = 143, HUP = 129 } do
      it(("finishes the user in hand on SIG%s and exits %d"):format(signal, code), function()
        s:fault { op = "update_sql_user_password", nth = 1, what = "delay", seconds = 5 }
        local process = command.start({ "rotate", "run", "--user", "app_user_001,app_user_003,app_user_004", "--yes" }, env)
        case.arrived "update_sql_user_password"
        temp.run(("kill -%s %d"):format(signal, process.pid))
        -- A hang-up comes from the shell and then from the kernel.
        if signal == "HUP" then temp.run(("sleep 0.5; kill -HUP %d"):format(process.pid)) end
        local r = process.wait()
        assert.equal(code, r.code, r.err)
        assert.matches("app_user_001 +done", r.out)
        assert.matches("app_user_003 +untouched", r.out)
        assert.matches("interrupted", r.err)
        assert.matches("app_user_001 +idle +1", ok("rotate", "status").out)
      end)
    end

    it("does not wait for the end of a rate limit when it is interrupted, and resume sends the same password", function()
      s:fault { op = "update_sql_user_password", nth = 1, what = "rate_limited", form = "seconds", seconds = 30 }
      local process = command.start({ "rotate", "run", "--user", "app_user_001,app_user_003", "--yes" }, env)
      process.said "the same again in 30."
      temp.run("kill -INT " .. process.pid)
      local r = process.wait()
      assert.equal(130, r.code, r.err)
      assert.matches("app_user_001 +failed .*interrupted while the service's rate limit", r.out)
      assert.matches("app_user_003 +untouched", r.out)
      assert.equal(1, writes()) -- after the wait it would have been sent again
      assert.matches("app_user_001 +intent", ok("rotate", "status").out)
      assert.matches("1 done", ok("rotate", "resume").out)
      local hashes = {}
      for _, entry in ipairs(s:log()) do hashes[#hashes + 1] = entry.password_hash end
      assert.equal(2, #hashes)
      assert.equal(hashes[1], hashes[2])
    end)

    it("reports the lock of another run with 7", function()
      s:fault { op = "update_sql_user_password", nth = 1, what = "delay", seconds = 5 }
      local process = command.start({ "user", "passwd", "app_user_001", "--yes" }, env)
      case.arrived "update_sql_user_password"
      local r = run("user", "passwd", "app_user_001", "--yes")
      assert.equal(7, r.code, r.err)
      assert.equal(0, process.wait().code)
    end)
  end)
end)
