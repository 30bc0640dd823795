local privileges = require "crdbcloud.privileges"
local login = require "crdbcloud.privileges.login"
local sqls = require "crdbcloud.sql"
local postgres = require "spec.support.servers.postgres".shared()

-- CockroachDB's ways to keep a user out stand in spec/privileges/generations_spec.lua.
describe("crdbcloud.privileges.login", function()
  it("names the first obstacle and the statement that takes it away", function()
    local graph = { traits = { u = { login = true }, n = { login = false }, q = { login = false, nosqllogin = true } }, members = {} }
    local in_time, over = { expired = false }, { expired = true, valid_until = "2026-01-01 00:00:00+00" }
    assert.is_nil(login.obstacle(graph, "u", in_time))
    assert.is_nil(login.obstacle(graph, "nobody_here", over))
    assert.same({
      reason = "expired", message = "u: no password of it logs in since 2026-01-01 00:00:00+00 (VALID UNTIL)",
      statement = [[ALTER ROLE "u" VALID UNTIL 'infinity']],
    }, login.obstacle(graph, "u", over))
    assert.equal("n has the option NOLOGIN", login.obstacle(graph, "n", over).message)
    assert.equal("q has the option NOSQLLOGIN", login.obstacle(graph, "q", in_time).message)
  end)

  describe("on PostgreSQL", function()
    local sql

    setup(function()
      postgres:psql "CREATE ROLE app LOGIN"
      sql = assert(sqls.connect(postgres:params()))
    end)

    teardown(function()
      sql:close()
      postgres:psql "DROP ROLE app"
    end)

    it("sees a time that is over, by the server's clock, and its hint works", function()
      assert.is_false(privileges.why_no_login(sql, "app"))
      assert(sql:query "ALTER ROLE app VALID UNTIL '2030-01-01'")
      assert.is_false(privileges.why_no_login(sql, "app"))
      assert(sql:query "ALTER ROLE app VALID UNTIL '2020-01-01'")
      local found = privileges.why_no_login(sql, "app")
      assert.equal("expired", found.reason)
      assert.truthy(found.message:find("2020-01-01", 1, true))
      assert(sql:query(found.statement))
      assert.is_false(privileges.why_no_login(sql, "app"))
    end)

    it("takes the login and gives it back", function()
      assert(privileges.set_login(sql, "app", false))
      assert.equal("no_login", privileges.why_no_login(sql, "app").reason)
      assert(privileges.set_login(sql, "app", true))
      assert.is_false(privileges.why_no_login(sql, "app"))
    end)
  end)
end)
