local account = require "spec.support.account"
local core = require "crdbcloud.core"
local crdbcloud = require "crdbcloud"
local sandbox = require "spec.support.sandbox"

local STRANGE_ID = "35c4abb2-bb66-46d7-afed-25ebef5ed2aa"

describe("cloud", function()
  local s, cloud, id

  setup(function()
    s = sandbox.shared()
    id = s.cluster_id
  end)
  teardown(function() s:reset() end)
  before_each(function()
    s:clear()
    cloud = account.open(s)
  end)
  after_each(function() cloud:close() end)

  local function password() return crdbcloud.password.generate() end

  -- A name that no case before has used.
  local count = 0
  local function new_name()
    count = count + 1
    return "new_" .. count
  end

  describe("calls", function()
    it("create, list, change and delete a SQL user", function()
      local name, first, second = new_name(), password(), password()
      assert.same({ name = name }, cloud:create_sql_user(id, name, first))
      local page = assert(cloud:list_sql_users(id))
      local found = {}
      for _, user in ipairs(page.users) do found[user.name] = true end
      assert.is_true(found[name])
      assert.is_nil(page.next_page)
      assert.same({ name = name }, cloud:update_sql_user_password(id, name, second))
      assert.same({ name = name }, cloud:delete_sql_user(id, name))
      assert.equal(s:hash(first), account.sent(s, "create_sql_user")[1].password_hash)
      assert.equal(s:hash(second), account.sent(s, "update_sql_user_password")[1].password_hash)
    end)

    it("take a password as a string too", function()
      local text = password():reveal()
      assert(cloud:create_sql_user(id, new_name(), text))
      assert.equal(s:hash(text), account.sent(s, "create_sql_user")[1].password_hash)
    end)

    it("send names in their folded form and give that back", function()
      assert.same({ name = "new_one" }, cloud:create_sql_user(id, "New_ONE", password()))
      assert.equal("new_one", account.sent(s, "create_sql_user")[1].user)
      assert.same({ name = "new_one" }, cloud:delete_sql_user(id, "NEW_one"))
    end)

    it("read clusters, one cluster, its connection string and its databases", function()
      local page = assert(cloud:list_clusters())
      assert.is_true(#page.clusters >= 2)
      local cluster = assert(cloud:get_cluster(id))
      assert.equal(s.cluster_name, cluster.name)
      local connection = assert(cloud:get_connection_string(id, { database = "shop", sql_user = "app", os = "linux" }))
      assert.truthy(connection.connection_string:find "^postgresql://app@")
      assert.is_string(connection.params.Host)
      local databases = assert(cloud:list_databases(id))
      local found = {}
      for _, database in ipairs(databases.databases) do found[database.name] = true end
      assert.is_true(found.shop)
    end)

    it("read the audit log with a key that may", function()
      local org = account.open(s, { key = "org_admin" })
      assert(cloud:create_sql_user(id, new_name(), password()))
      local log = assert(org:list_audit_logs { sort_order = "desc", limit = 5 })
      assert.equal("AUDIT_LOG_ACTION_CREATE_SQL_USER", log.entries[1].action)
      org:close()
    end)

    it("ask for 500 items a page", function()
      assert(cloud:list_sql_users(id))
      assert.truthy(account.sent(s, "list_sql_users")[1].query:find("pagination.limit=500", 1, true))
      assert(cloud:list_sql_users(id, { limit = 7, sort_order = "desc", page = "" }))
      local query = account.sent(s, "list_sql_users")[2].query
      assert.truthy(query:find("pagination.limit=7", 1, true))
      assert.truthy(query:find("sort_order=DESC", 1, true))
    end)

    it("print what came back", function()
      local name = new_name()
      assert.equal(('name  %s'):format(name), tostring(cloud:create_sql_user(id, name, password())))
      assert.truthy(tostring(cloud:list_sql_users(id).users):find "^name\n")
    end)
  end)

  describe("request", function()
    it("reaches any endpoint", function()
      local document = assert(cloud:request("GET", "/api/v1/clusters", { query = { ["pagination.limit"] = 1 } }))
      assert.equal(1, #document.clusters)
    end)

    it("sends a table, a string or a secret as the body", function()
      local path = ("/api/v1/clusters/%s/sql-users"):format(id)
      local text = password():reveal()
      assert.same({ name = "r1" }, cloud:request("POST", path, { body = { name = "r1", password = text } }))
      assert.same({ name = "r2" }, cloud:request("POST", path, { body = ('{"name":"r2","password":"%s"}'):format(text) }))
      local secret = core.secret_join { '{"name":"r3","password":"', core.secret(text), '"}' }
      assert.same({ name = "r3" }, cloud:request("POST", path, { body = secret }))
    end)

    it("says what the service says", function()
      local value, err = cloud:request("GET", "/api/v1/nothing-here")
      assert.is_nil(value)
      assert.equal("not_found", err.kind)
      assert.equal(404, err.status)
    end)
  end)

  describe("403", function()
    local roles = {
      { "readonly", "list_sql_users", "Cluster Developer or Cluster Admin" },
      { "readonly", "list_databases", "Cluster Developer or Cluster Admin" },
      { "developer", "create_sql_user", "Cluster Admin or Cluster Creator" },
      { "developer", "delete_sql_user", "Cluster Admin or Cluster Creator" },
      { "developer", "update_sql_user_password", "Cluster Admin or Cluster Creator" },
      { "admin", "list_audit_logs", "Organization Admin" },
    }
    for _, case in ipairs(roles) do
      it(("on %s names %s"):format(case[2], case[3]), function()
        local key, operation = case[1], case[2]
        local weak = account.open(s, { key = key })
        local value, err
        if operation == "list_audit_logs" then
          value, err = weak:list_audit_logs()
        elseif operation:find "^list" then
          value, err = weak[operation](weak, id)
        elseif operation == "delete_sql_user" then
          value, err = weak:delete_sql_user(id, "legacy_report")
        else
          value, err = weak[operation](weak, id, "legacy_report", password())
        end
        weak:close()
        assert.is_nil(value)
        assert.equal("permission_denied", err.kind)
        assert.equal("rejected", err.outcome)
        assert.equal(403, err.status)
        assert.equal(4, err.exit)
        assert.is_false(err.retryable)
        assert.truthy(err.message:find(case[3], 1, true), err.message)
      end)
    end
  end)

  describe("404", function()
    it("names the user when the cluster is there", function()
      for _, call in ipairs { "delete_sql_user", "update_sql_user_password" } do
        local value, err = cloud[call](cloud, id, "nobody", call:find "update" and password() or nil)
        assert.is_nil(value)
        assert.equal("not_found", err.kind)
        assert.equal("user_not_found", err.reason)
        assert.equal("rejected", err.outcome)
        assert.truthy(err.message:find('the SQL user "nobody" does not exist on cluster ' .. id, 1, true), err.message)
      end
    end)

    it("names the cluster when that is missing, and tells of the SQL cluster id", function()
      local calls = {
        function() return cloud:list_sql_users(STRANGE_ID) end,
        function() return cloud:create_sql_user(STRANGE_ID, "new_one", password()) end,
        function() return cloud:delete_sql_user(STRANGE_ID, "new_one") end,
        function() return cloud:get_cluster(STRANGE_ID) end,
      }
      for _, call in ipairs(calls) do
        local value, err = call()
        assert.is_nil(value)
        assert.equal("cluster_not_found", err.reason)
        assert.truthy(err.message:find("no cluster " .. STRANGE_ID, 1, true), err.message)
        assert.truthy(err.hint:find("crdb_internal.cluster_id()", 1, true))
      end
    end)

    it("tells of a cluster that is there and does not answer", function()
      local new = s.clusters.new
      local value, err = cloud:create_sql_user(new, "new_one", password())
      assert.is_nil(value)
      assert.equal("cluster_not_ready", err.reason)
      assert.truthy(err.message:find("CREATING", 1, true), err.message)
    end)

    it("is left open when the cluster cannot be looked at", function()
      s:fault { op = "get_cluster", what = "error_before", count = "all" }
      local _, err = cloud:delete_sql_user(id, "nobody")
      assert.equal("not_found", err.kind)
      assert.truthy(err.message:find "the SQL user .nobody. or the cluster .* does not exist", err.message)
    end)
  end)

  describe("409", function()
    it("says that the user exists", function()
      local value, err = cloud:create_sql_user(id, "legacy_report", password())
      assert.is_nil(value)
      assert.equal("already_exists", err.kind)
      assert.equal("rejected", err.outcome)
      assert.equal(6, err.code)
      assert.equal(1, #account.sent(s, "create_sql_user"))
    end)
  end)

  describe("once", function()
    it("makes exactly one exchange and says what is known of it", function()
      s:fault { op = "update_sql_user_password", what = "error_after", count = "all" }
      local value, err = cloud:once("update_sql_user_password",
        { cluster_id = id, name = "legacy_report", password = password() }, { timeout = 5 })
      assert.is_nil(value)
      assert.equal("unknown", err.outcome)
      assert.equal("server", err.reason)
      assert.equal(1, err.attempts)
      assert.equal(1, #account.sent(s, "update_sql_user_password"))
    end)

    it("gives the value, and takes options of the call beside its arguments", function()
      local page = assert(cloud:once("list_sql_users", { cluster_id = id, limit = 2 }))
      assert.equal(2, #page.users)
      assert.is_string(page.next_page)
    end)

    it("passes Retry-After on", function()
      s:fault { op = "create_sql_user", what = "rate_limited", form = "absurd" }
      local _, err = cloud:once("create_sql_user", { cluster_id = id, name = "new_one", password = password() })
      assert.equal("not_sent", err.outcome)
      assert.equal("rate_limited", err.reason)
      assert.equal(86400, err.retry_after)
    end)

    it("sends nothing after its deadline", function()
      local _, err = cloud:once("list_sql_users", { cluster_id = id }, { deadline = core.monotonic() - 1 })
      assert.equal("timeout", err.kind)
      assert.equal("not_sent", err.outcome)
      assert.same({}, account.sent(s))
    end)

    it("does not look at the cluster after a 404", function()
      local _, err = cloud:once("delete_sql_user", { cluster_id = id, name = "nobody" })
      assert.equal("not_found", err.reason)
      assert.equal(1, #account.sent(s))
    end)

    it("knows the operations only", function()
      local _, message = pcall(function() cloud:once("drop_sql_user", {}) end)
      assert.truthy(message:find "cloud_spec.lua:%d+: cloud:once: no operation", message)
    end)
  end)
end)
