local explain = require "crdbcloud.api.explain"
local operations = require "crdbcloud.api.operations"

local ID = "35c4abb2-bb66-46d7-afed-25ebef5ed2aa"
local function explained(operation, result, context)
  local row = operations.OPERATIONS[operation] or { effect = "create" } -- a request
  local call = {
    operation = operation, effect = row.effect, role = row.role, server = "https://server", key_from = "KEY SOURCE",
    cluster_id = operation ~= "list_audit_logs" and operation ~= "request" and ID or nil,
    name = operation:find "_sql_user" and operation ~= "list_sql_users" and "app" or nil,
  }
  local given = { status = 0, outcome = "rejected" }
  for name, value in pairs(result) do given[name] = value end
  local about = { attempts = 1, timeout = "30s", deadline = "2m" }
  for name, value in pairs(context or {}) do about[name] = value end
  return explain.error(call, given, about)
end

describe("the error of a call", function()
  local cases = {
    { "list_sql_users", { status = 401, kind = "unauthenticated", reason = "unauthenticated" }, "does not accept the API key", "KEY SOURCE" },
    { "list_sql_users", { status = 403, kind = "permission_denied", reason = "permission_denied" },
      "Cluster Developer or Cluster Admin on cluster " .. ID, "service account" },
    { "create_sql_user", { status = 403, kind = "permission_denied", reason = "permission_denied" }, "Cluster Admin or Cluster Creator", "service account" },
    { "delete_sql_user", { status = 403, kind = "permission_denied", reason = "permission_denied" }, "Cluster Admin or Cluster Creator", "service account" },
    { "update_sql_user_password", { status = 403, kind = "permission_denied", reason = "permission_denied" }, "Cluster Admin or Cluster Creator", "" },
    { "list_audit_logs", { status = 403, kind = "permission_denied", reason = "permission_denied" }, "Organization Admin on the organization", "" },
    { "request", { status = 403, kind = "permission_denied", reason = "permission_denied" }, "the API key may not do this", "lacks the role" },
    { "create_sql_user", { status = 409, kind = "already_exists", reason = "already_exists" }, '"app" already exists', "somebody else" },
    { "create_sql_user", { status = 400, kind = "invalid_argument", reason = "password_refused" }, "refuses the password", "generate()" },
    { "update_sql_user_password", { status = 400, kind = "invalid_argument", reason = "must_differ" }, "differs from the current one" },
    { "create_sql_user", { status = 409, kind = "conflict", reason = "locked" }, "locked by another operation", "later" },
    { "create_sql_user", { status = 400, kind = "unavailable", reason = "not_ready" }, "not ready", "running" },
    { "create_sql_user", { status = 409, kind = "conflict", reason = "conflict" }, "present state" },
    { "list_sql_users", { status = 429, outcome = "not_sent", kind = "rate_limited", reason = "rate_limited", retry_after = 90 }, "rate limit", "wait 90 s" },
    { "list_sql_users", { status = 429, outcome = "not_sent", kind = "rate_limited", reason = "rate_limited" }, "rate limit", "lower the rate" },
    { "list_sql_users", { status = 302, kind = "protocol", reason = "redirect" }, "redirect, which is never followed", "https://server" },
    { "update_sql_user_password", { status = 200, outcome = "unknown", kind = "protocol", reason = "wrong_name" },
      'another user than "app"', "the same password again" },
    { "list_sql_users", { outcome = "not_sent", kind = "tls", reason = "tls" }, "no trusted TLS connection", "CRDBCLOUD_CA_FILE" },
    { "list_sql_users", { outcome = "not_sent", kind = "network", reason = "resolve" }, "cannot be resolved", "https://server" },
    { "list_sql_users", { outcome = "not_sent", kind = "network", reason = "connect" }, "no connection", "https://server" },
    { "list_sql_users", { outcome = "not_sent", kind = "network", reason = "proxy" }, "proxy", "option proxy" },
    { "list_sql_users", { status = 502, outcome = "unknown", kind = "protocol", reason = "html" }, "a gateway answered instead of the API" },
    { "list_sql_users", { status = 200, outcome = "unknown", kind = "protocol", reason = "bad_content_type" }, "no JSON", "https://server" },
    { "list_sql_users", { status = 200, outcome = "unknown", kind = "protocol", reason = "broken_body" }, "broken JSON" },
    { "list_sql_users", { outcome = "unknown", kind = "protocol", reason = "too_large" }, "larger than the limit" },
    { "list_sql_users", { outcome = "unknown", kind = "timeout", reason = "timeout" }, "no answer within 30s" },
    { "list_sql_users", { outcome = "not_sent", kind = "timeout", reason = "deadline" }, "the deadline of 2m left no time", "deadline" },
    { "list_sql_users", { outcome = "not_sent", kind = "rate_limited", reason = "budget", retry_after = 3 },
      "budget of requests has no turn left", "in 3.0 s" },
    { "list_sql_users", { outcome = "not_sent", kind = "cancelled", reason = "interrupted", retry_after = 40 },
      "interrupted while the service's rate limit left no turn for 40 s more" },
    { "list_sql_users", { outcome = "unknown", kind = "network", reason = "reset" }, "the connection broke" },
    { "list_sql_users", { status = 418, kind = "protocol" }, "the call failed" },
    { "delete_sql_user", { status = 404, kind = "not_found", reason = "not_found" }, '"app" or the cluster ' .. ID, "crdb_internal.cluster_id()" },
    { "get_cluster", { status = 404, kind = "not_found", reason = "not_found" }, "no cluster " .. ID, "crdb_internal.cluster_id()" },
  }
  for _, case in ipairs(cases) do
    it(("%s, %s: %s"):format(case[1], case[2].reason or case[2].status, case[3]:sub(1, 40)), function()
      local err = explained(case[1], case[2])
      assert.truthy(err.message:find(case[3], 1, true), err.message)
      if case[4] then assert.truthy(err.hint:find(case[4], 1, true), err.hint) end
      assert.equal(case[1], err.operation)
    end)
  end

  it("tells what is missing, once that was looked up", function()
    local gone = { status = 404, kind = "not_found", reason = "not_found" }
    assert.equal("user_not_found", explained("delete_sql_user", gone, { missing = "user" }).reason)
    assert.equal("cluster_not_found", explained("delete_sql_user", gone, { missing = "cluster" }).reason)
    local creating = explained("create_sql_user", gone, { missing = "cluster_state", state = "CREATING" })
    assert.truthy(creating.message:find("state CREATING", 1, true))
  end)

  it("adds the words of the service unless they are there already", function()
    local err = explained("create_sql_user", { status = 400, kind = "invalid_argument", reason = "invalid_argument", message = "invalid name" })
    assert.equal("the service refuses the request: invalid name", err.message)
    err = explained("create_sql_user", { status = 500, outcome = "unknown", kind = "server", reason = "server", message = "the service failed" })
    assert.equal("the service failed", err.message)
  end)

  describe("about a change that may have been carried out", function()
    local lost = { outcome = "unknown", kind = "network", reason = "reset" }
    it("says what to do, by what it was", function()
      assert.truthy(explained("create_sql_user", lost).hint:find('list the users to see whether "app" exists', 1, true))
      assert.truthy(explained("update_sql_user_password", lost).hint:find("the same password again settles it", 1, true))
      assert.truthy(explained("delete_sql_user", lost).hint:find("sending the same again settles it", 1, true))
      assert.truthy(explained("request", lost).hint:find("look before sending it again", 1, true))
    end)
    it("is retryable unless it creates", function()
      assert.is_false(explained("create_sql_user", lost).retryable)
      assert.is_true(explained("update_sql_user_password", lost).retryable)
      assert.is_true(explained("delete_sql_user", lost).retryable)
    end)
    it("stays unknown after a later refusal", function()
      for _, outcome in ipairs { "rejected", "not_sent" } do
        local err = explained("update_sql_user_password", { status = 403, outcome = outcome, kind = "permission_denied" }, { unknown_before = true })
        assert.equal("unknown", err.outcome)
        assert.equal(5, err.exit)
      end
    end)
  end)

  it("leaves nothing unknown about a read", function()
    local err = explained("list_sql_users", { outcome = "unknown", kind = "timeout", reason = "timeout" })
    assert.is_nil(err.outcome)
    assert.equal(1, err.exit)
    assert.is_true(err.retryable)
  end)
end)
