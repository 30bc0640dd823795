local account = require "spec.support.account"
local core = require "crdbcloud.core"
local crdbcloud = require "crdbcloud"
local sandbox = require "spec.support.sandbox"

local USER = "legacy_report"
local PUT = "update_sql_user_password"

describe("an API call with its retries", function()
  local s, cloud, id, events

  setup(function()
    s = sandbox.shared()
    id = s.cluster_id
  end)
  teardown(function() s:reset() end)
  before_each(function()
    s:clear()
    events = {}
    cloud = account.open(s, { timeout = 5, on_event = function(event) events[#events + 1] = event end })
  end)
  after_each(function()
    cloud:close()
    s:set { must_differ = "accept", state = "running" }
  end)

  local count = 0
  local function new_name()
    count = count + 1
    return "fresh_" .. count
  end
  local function password() return crdbcloud.password.generate() end
  local function sent(operation) return account.sent(s, operation) end
  local function exists(name) return s:psql(("SELECT count(*) FROM pg_roles WHERE rolname = '%s'"):format(name)) == "1" end

  describe("that reads", function()
    local faults = {
      ["an error of the service"] = { what = "error_before" },
      ["a gateway's page"] = { what = "html_502" },
      ["a connection that ends"] = { what = "drop_after" },
      ["half an answer"] = { what = "half_body" },
      ["broken JSON"] = { what = "broken_body" },
      ["no answer in time"] = { what = "delay", seconds = 5 },
      ["the rate limit, in seconds"] = { what = "rate_limited", form = "seconds", seconds = 1 },
      ["the rate limit, as a date"] = { what = "rate_limited", form = "date", seconds = 1 },
      ["the rate limit, without a time"] = { what = "rate_limited", form = "none" },
      ["the rate limit by code 8 only"] = { what = "rate_limited", form = "code8" },
      ["a locked cluster"] = { what = "error_before", status = 409, code = 10, message = "cluster lock is held" },
      ["a cluster that is not ready"] = { what = "error_before", status = 400, code = 9, message = "cluster is paused" },
    }
    for title, fault in pairs(faults) do
      it("is repeated after " .. title, function()
        fault.op = "list_sql_users"
        s:fault(fault)
        local page = assert(cloud:list_sql_users(id, { timeout = fault.what == "delay" and "2s" or nil }))
        assert.is_true(#page.users > 0)
        assert.equal(2, #sent "list_sql_users")
      end)
    end

    local lasting = {
      ["a redirect"] = { { what = "redirect" }, "protocol" },
      ["a page that says 200"] = { { what = "html_502", status = 200 }, "protocol" },
      ["an answer that is too large"] = { { what = "huge_body" }, "protocol" },
      ["what is not implemented"] = { { what = "error_before", status = 501, code = 12 }, "server" },
      ["a bad request"] = { { what = "error_before", status = 400, code = 3, message = "invalid" }, "invalid_argument" },
    }
    for title, case in pairs(lasting) do
      it("is not repeated after " .. title, function()
        local fault = case[1]
        fault.op, fault.count = "list_sql_users", "all"
        s:fault(fault)
        local page, err = cloud:list_sql_users(id)
        assert.is_nil(page)
        assert.equal(case[2], err.kind)
        assert.equal(1, #sent "list_sql_users")
        assert.is_not.equal("unknown", err.outcome)
        assert.is_not.equal(5, err.exit)
      end)
    end

    it("ends with the attempts, and leaves nothing in doubt", function()
      s:fault { op = "list_sql_users", what = "error_before", count = "all" }
      local two = account.open(s, { max_attempts = 2 })
      local page, err = two:list_sql_users(id)
      two:close()
      assert.is_nil(page)
      assert.equal("server", err.kind)
      assert.equal(2, err.attempts)
      assert.is_nil(err.outcome)
      assert.equal(1, err.exit)
      assert.equal(2, #sent "list_sql_users")
    end)
  end)

  describe("that creates", function()
    it("is never sent again when the answer was lost", function()
      for _, what in ipairs { "error_after", "drop_after", "half_body", "broken_body", "html_502", "wrong_name" } do
        s:clear()
        s:fault { op = "create_sql_user", what = what }
        local name = new_name()
        local value, err = cloud:create_sql_user(id, name, password())
        assert.is_nil(value, what)
        assert.equal("unknown", err.outcome, what)
        assert.equal(5, err.exit, what)
        assert.is_false(err.retryable)
        assert.truthy(err.hint:find("list the users", 1, true), err.hint)
        assert.truthy(err.hint:find(name, 1, true), err.hint)
        assert.equal(1, #sent "create_sql_user", what)
      end
    end)

    it("is never sent again when there was no answer in time", function()
      s:fault { op = "create_sql_user", what = "delay", seconds = 5 }
      local name = new_name()
      local value, err = cloud:create_sql_user(id, name, password(), { timeout = "2s" })
      assert.is_nil(value)
      assert.equal("timeout", err.kind)
      assert.equal("unknown", err.outcome)
      assert.truthy(err.message:find("no answer within 2s", 1, true), err.message)
      assert.equal(1, #sent "create_sql_user")
      assert.is_true(exists(name))
    end)

    it("is sent again when the service surely did nothing", function()
      local faults = {
        { what = "rate_limited", form = "seconds", seconds = 1 }, { what = "rate_limited", form = "code8" },
        { what = "error_before", status = 409, code = 10, message = "cluster lock is held" },
        { what = "error_before", status = 400, code = 9, message = "cluster is starting" },
      }
      for _, fault in ipairs(faults) do
        s:clear()
        fault.op = "create_sql_user"
        s:fault(fault)
        assert(cloud:create_sql_user(id, new_name(), password()))
        local log = sent "create_sql_user"
        assert.equal(2, #log)
        assert.equal(log[1].password_hash, log[2].password_hash)
      end
    end)

    it("is not sent again when it is refused", function()
      s:fault { op = "create_sql_user", what = "error_before", status = 409, code = 6, message = "user already exists" }
      local value, err = cloud:create_sql_user(id, new_name(), password())
      assert.is_nil(value)
      assert.equal("already_exists", err.kind)
      assert.equal(1, #sent "create_sql_user")
    end)
  end)

  describe("that changes a password", function()
    it("is sent again with the same bytes when the answer was lost", function()
      for _, what in ipairs { "error_after", "drop_after", "drop_before", "half_body", "html_502" } do
        s:clear()
        s:fault { op = PUT, what = what }
        assert.same({ name = USER }, cloud:update_sql_user_password(id, USER, password()))
        local log = sent(PUT)
        assert.equal(2, #log, what)
        assert.equal(log[1].password_hash, log[2].password_hash)
      end
    end)

    it("takes \"must differ\" after an unanswered send for the answer", function()
      s:set { must_differ = "refuse" }
      s:fault { op = PUT, what = "drop_after" }
      assert.same({ name = USER }, cloud:update_sql_user_password(id, USER, password()))
      assert.equal(400, sent(PUT)[2].status)
    end)

    it("takes \"must differ\" without one for a refusal", function()
      s:fault { op = PUT, what = "must_differ" }
      local value, err = cloud:update_sql_user_password(id, USER, password())
      assert.is_nil(value)
      assert.equal("must_differ", err.reason)
      assert.equal("rejected", err.outcome)
    end)

    it("stays unknown when a later send is refused", function()
      s:fault { op = PUT, what = "error_before" }
      s:fault { op = PUT, what = "error_before", nth = 2, status = 403, code = 7, message = "permission denied" }
      local value, err = cloud:update_sql_user_password(id, USER, password())
      assert.is_nil(value)
      assert.equal("permission_denied", err.kind)
      assert.equal("unknown", err.outcome)
      assert.equal(5, err.exit)
      assert.equal(2, err.attempts)
      assert.is_true(err.retryable)
      assert.truthy(err.hint:find("the same password again", 1, true), err.hint)
    end)

    it("is not sent again when the answer names somebody else", function()
      s:fault { op = PUT, what = "wrong_name" }
      local value, err = cloud:update_sql_user_password(id, USER, password())
      assert.is_nil(value)
      assert.equal("wrong_name", err.reason)
      assert.equal("unknown", err.outcome)
      assert.equal(1, #sent(PUT))
    end)

    it("never shows a password that the service sends back", function()
      local text = password():reveal()
      s:fault { op = PUT, what = "echo_password" }
      local value, err = cloud:update_sql_user_password(id, USER, text)
      assert.is_nil(value)
      assert.equal("password_refused", err.reason)
      local shown = tostring(err) .. err:json()
      for _, event in ipairs(events) do shown = shown .. tostring(event) end
      assert.is_nil(shown:find(text, 1, true))
    end)
  end)

  describe("that deletes", function()
    it("takes \"not found\" after an unanswered send for done", function()
      for _, what in ipairs { "error_after", "drop_after" } do
        local name = new_name()
        assert(cloud:create_sql_user(id, name, password()))
        s:clear()
        s:fault { op = "delete_sql_user", what = what }
        assert.same({ name = name }, cloud:delete_sql_user(id, name))
        local log = sent "delete_sql_user"
        assert.equal(2, #log)
        assert.equal(404, log[2].status)
        assert.is_false(exists(name))
      end
    end)

    it("does not take a gateway's 404 for it, nor one of a cluster that is not found", function()
      for _, answer in ipairs { { what = "html_502", status = 404 }, { what = "error_before", status = 404, code = 5 } } do
        local name = new_name()
        assert(cloud:create_sql_user(id, name, password()))
        s:clear()
        s:fault { op = "delete_sql_user", what = "drop_before" }
        answer.op, answer.nth = "delete_sql_user", 2
        s:fault(answer)
        if answer.what == "error_before" then s:fault { op = "get_cluster", what = "error_before", status = 404, code = 5, count = "all" } end
        local value, err = cloud:delete_sql_user(id, name)
        assert.is_nil(value)
        assert.same({ "unknown", 5 }, { err.outcome, err.exit })
        assert.is_true(exists(name))
        s:clear()
        assert(cloud:delete_sql_user(id, name))
      end
    end)

    it("takes it for a failure otherwise", function()
      local value, err = cloud:delete_sql_user(id, "nobody")
      assert.is_nil(value)
      assert.equal("not_found", err.kind)
    end)
  end)

  describe("and the rate limit", function()
    it("gives up at once when the service asks for too long a wait", function()
      s:fault { op = PUT, what = "rate_limited", form = "absurd" }
      local value, err = cloud:update_sql_user_password(id, USER, password())
      assert.is_nil(value)
      assert.equal("rate_limited", err.kind)
      assert.equal("not_sent", err.outcome)
      assert.equal(86400, err.retry_after)
      assert.equal(1, err.exit)
      assert.equal(1, #sent(PUT))
    end)

    it("gives up when the wait would pass the deadline", function()
      s:fault { op = "list_sql_users", what = "rate_limited", form = "seconds", seconds = 300 }
      local _, err = cloud:list_sql_users(id, { deadline = 60 })
      assert.equal("rate_limited", err.kind)
      assert.equal(300, err.retry_after)
    end)

    it("holds all calls of the account back", function()
      s:fault { op = "list_sql_users", what = "rate_limited", form = "seconds", seconds = 1 }
      local one, other = account.open(s, { rate = 100, account = "held" }), account.open(s, { rate = 100, account = "held" })
      assert.is_nil((one:once("list_sql_users", { cluster_id = id })))
      assert(other:get_cluster(id))
      one:close()
      other:close()
      local log = account.sent(s)
      assert.is_true(log[2].time - log[1].time >= 0.9)
    end)

    it("sends nothing when its own budget has no turn before the deadline", function()
      local slow = account.open(s, { rate = 0.05, account = "a slow one" })
      assert(slow:get_cluster(id))
      local value, err = slow:get_cluster(id, { deadline = "500ms" })
      slow:close()
      assert.is_nil(value)
      assert.equal("rate_limited", err.kind)
      assert.equal("budget", err.reason)
      assert.equal("not_sent", err.outcome)
      assert.is_true(err.retry_after > 0.5)
      assert.equal(1, #sent "get_cluster")
    end)

    it("tells when the next turn is, not what the service asked for before", function()
      s:fault { op = PUT, what = "rate_limited", form = "seconds", seconds = 1 }
      local slow = account.open(s, { rate = 0.05, account = "a slow one refused" })
      local value, err = slow:update_sql_user_password(id, USER, password(), { deadline = "8s" })
      slow:close()
      assert.is_nil(value)
      assert.same({ "rate_limited", "rate_limited", "not_sent" }, { err.kind, err.reason, err.outcome })
      assert.is_true(err.retry_after > 8)
    end)

    it("tells the last answer where time runs out before the next attempt", function()
      local limits = { deadline = "8s" }
      local calls = {
        list_sql_users = { function(slow) return slow:list_sql_users(id, limits) end, false },
        [PUT] = { function(slow) return slow:update_sql_user_password(id, USER, password(), limits) end, "unknown" },
      }
      for operation, case in pairs(calls) do
        s:clear()
        s:fault { op = operation, what = "error_before" }
        local slow = account.open(s, { rate = 0.05, account = "slow after " .. operation })
        local value, err = case[1](slow)
        slow:close()
        assert.is_nil(value)
        assert.same({ "server", 1, case[2] }, { err.kind, err.attempts, err.outcome or false })
        assert.is_true(err.retry_after > 8)
        assert.equal(1, #sent(operation))
      end
    end)
  end)

  describe("and the deadline", function()
    it("covers all attempts", function()
      s:fault { op = "list_sql_users", what = "delay", seconds = 20, count = "all" }
      local before = core.monotonic()
      local _, err = cloud:list_sql_users(id, { timeout = "400ms", deadline = "1s" })
      assert.is_true(core.monotonic() - before < 15)
      assert.equal("timeout", err.kind)
      assert.is_true(err.retryable)
    end)

    it("cuts the last attempt", function()
      s:fault { op = "list_sql_users", what = "delay", seconds = 20, count = "all" }
      local before = core.monotonic()
      local _, err = cloud:list_sql_users(id, { timeout = 30, deadline = "400ms" })
      assert.is_true(core.monotonic() - before < 15)
      assert.equal("timeout", err.kind)
      assert.equal(1, err.attempts)
    end)
  end)
end)
