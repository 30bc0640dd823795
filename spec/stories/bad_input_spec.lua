-- Every refused argument: the words of the message, that it points at the caller's line, and that nothing was sent.

local account = require "spec.support.account"
local crdbcloud = require "crdbcloud"
local errors = require "crdbcloud.errors"
local sandbox = require "spec.support.sandbox"

local PASSWORD = "gX7mZp0QeR2tW9"

describe("bad input", function()
  local s, cloud, id

  setup(function()
    s = sandbox.shared()
    id = s.cluster_id
    cloud = account.open(s)
  end)
  before_each(function() s:clear() end)
  teardown(function() cloud:close() end)

  local function sends_nothing() assert.same({}, account.sent(s)) end

  local function raises(title, words, call)
    it("raises for " .. title, function()
      local ok, message = pcall(call)
      assert.is_false(ok)
      assert.is_string(message)
      assert.truthy(message:find(words, 1, true), message)
      assert.truthy(message:find "^spec/stories/bad_input_spec%.lua:%d+: ", message)
      assert.is_nil(message:find(PASSWORD, 1, true))
      sends_nothing()
    end)
  end

  local function answers(title, kind, words, call)
    it("answers nil and an error for " .. title, function()
      local value, err = call()
      assert.is_nil(value)
      assert.is_true(errors.is(err))
      assert.equal(kind, err.kind)
      assert.equal("not_sent", err.outcome)
      assert.truthy(tostring(err):find(words, 1, true), tostring(err))
      assert.is_nil((tostring(err) .. err:json()):find(PASSWORD, 1, true))
      sends_nothing()
    end)
  end

  describe("in the way of calling", function()
    raises("a dot in the place of a colon", "cloud:list_sql_users: call it with a colon", function()
      local list = cloud.list_sql_users
      list(id)
    end)
    raises("a dot before a listing", "cloud:sql_users: call it with a colon", function() cloud.sql_users(id) end)
    raises("a dot before all of a listing", "cloud:all_sql_users: call it with a colon", function() cloud.all_sql_users(id) end)
    raises("a dot before find_cluster", "cloud:find_cluster: call it with a colon", function() cloud.find_cluster "x" end)
    raises("a dot before cluster", "call it with a colon", function() cloud.cluster "x" end)
    raises("a dot before request", "call it with a colon", function() cloud.request("GET", "/") end)
    raises("another object", "call it with a colon", function() cloud.get_cluster({}, id) end)
  end)

  describe("for forgotten arguments", function()
    raises("a list without a cluster id", "cluster_id is missing; it is a cluster id (a UUID; cloud:clusters() lists them", function()
      cloud:list_sql_users()
    end)
    raises("an iterator without a cluster id", "cluster_id is missing", function() cloud:sql_users() end)
    raises("all users without a cluster id", "cluster_id is missing", function() cloud:all_sql_users() end)
    raises("a create without a name", "name is missing; it is the name of a SQL user", function() cloud:create_sql_user(id) end)
    raises("a create without a password", "password is missing; it is a string or a secret (crdbcloud.password.generate() makes one)", function()
      cloud:create_sql_user(id, "app")
    end)
    raises("a create without a cluster id", "name is missing", function() cloud:create_sql_user("app", nil, PASSWORD) end)
    raises("a delete without a name", "name is missing", function() cloud:delete_sql_user(id) end)
    raises("a change without a password", "password is missing", function() cloud:update_sql_user_password(id, "app") end)
    raises("get_cluster without an id", "cloud:get_cluster(cluster_id, options): cluster_id is missing", function() cloud:get_cluster() end)
    raises("find_cluster without a name", "name_or_id must be a cluster's name or id, got nothing", function() cloud:find_cluster() end)
    raises("request without a method", "method must be GET, POST, PUT, PATCH or DELETE, got nothing", function() cloud:request() end)
    raises("request without a path", 'path must begin with "/"', function() cloud:request "GET" end)
  end)

  describe("of a wrong type", function()
    raises("a number for a cluster id", "cluster_id must be a cluster id", function() cloud:list_sql_users(7) end)
    raises("options in the place of a cluster id",
      "cluster_id must be a cluster id (a UUID; cloud:clusters() lists them, cloud:find_cluster(name) finds one), got a table",
      function() cloud:list_sql_users { limit = 5 } end)
    raises("a number for a name", "name must be the name of a SQL user, got 7", function() cloud:delete_sql_user(id, 7) end)
    raises("a table for a name", "name must be the name of a SQL user, got a table", function() cloud:create_sql_user(id, { name = "app" }, PASSWORD) end)
    raises("a number for a password, which is not shown", "password must be a string or a secret (crdbcloud.password.generate() makes one), got a number",
      function() cloud:create_sql_user(id, "app", 123456789012) end)
    raises("a secret for a name", "name must be the name of a SQL user, got a crdbcloud.secret", function()
      cloud:delete_sql_user(id, crdbcloud.secret(PASSWORD))
    end)
    raises("text for options", "options must be a table", function() cloud:list_sql_users(id, "x") end)
    raises("too many arguments", "takes at most 3 arguments, got 4", function() cloud:delete_sql_user(id, "app", {}, 1) end)
    raises("a text for a query", "query must be a table", function() cloud:request("GET", "/x", { query = "a=b" }) end)
    raises("a number for a body", "body must be a string, a secret or a table, got 7", function() cloud:request("PUT", "/x", { body = 7 }) end)
    raises("a body that is no JSON", "body cannot be encoded as JSON", function() cloud:request("PUT", "/x", { body = { f = print } }) end)
  end)

  describe("in options", function()
    raises("a misspelt one", 'unknown option "limt"; did you mean "limit"?', function() cloud:list_sql_users(id, { limt = 5 }) end)
    raises("one of another call", 'unknown option "limit"; valid: deadline, timeout', function() cloud:delete_sql_user(id, "app", { limit = 5 }) end)
    raises("a limit above 500", "limit must be a whole number from 1 to 500, got 501", function() cloud:list_sql_users(id, { limit = 501 }) end)
    raises("a limit of 0", "limit must be a whole number from 1 to 500, got 0", function() cloud:list_sql_users(id, { limit = 0 }) end)
    raises("a limit with a fraction", "limit must be a whole number from 1 to 500, got 3.7", function() cloud:list_sql_users(id, { limit = 3.7 }) end)
    raises("an order that is none", 'sort_order must be one of ASC, DESC, got "up"', function() cloud:list_sql_users(id, { sort_order = "up" }) end)
    raises("a column that is none", "sort_by must be one of NAME, CREATED_AT, DELETED_AT", function() cloud:list_clusters { sort_by = "id" } end)
    raises("a time that is none", 'as_of_time must be a time such as "2024-09-16T12:00:00Z"', function() cloud:list_sql_users(id, { as_of_time = "now" }) end)
    raises("an operating system that is none", "os must be one of MAC, LINUX, WINDOWS", function() cloud:get_connection_string(id, { os = "BSD" }) end)
    raises("a timeout in milliseconds", 'timeout = 30000 is in seconds; for milliseconds write "30000ms"', function()
      cloud:list_sql_users(id, { timeout = 30000 })
    end)
    raises("a timeout of nothing", "timeout must be a time limit above 0", function() cloud:list_sql_users(id, { timeout = 0 }) end)
    raises("a count of entries that is none", "limit must be a whole number from 1", function() cloud:list_audit_logs { limit = -1 } end)
    raises("flags as text", 'show_inactive must be true or false, got "yes"', function() cloud:list_clusters { show_inactive = "yes" } end)
    raises("a path with a query", 'path must begin with "/" and be percent-encoded, without a query', function() cloud:request("GET", "/x?a=b") end)
    raises("a path with a space", 'path must begin with "/"', function() cloud:request("GET", "/x y") end)
    raises("a path with a line break", 'path must begin with "/"', function() cloud:request("GET", "/x\r\nHost: y") end)
    raises("a whole URL for a path", 'path must begin with "/"', function() cloud:request("GET", "https://example.com/") end)
    raises("a path that climbs", "cloud:request: path: expected one such as /api/v1/clusters, got one with a '.' or '..' segment",
      function() cloud:request("GET", "/api/../x") end)
    raises("a body where none may be", "cloud:request: body: GET takes none", function() cloud:request("GET", "/x", { body = "{}" }) end)
    raises("a table in a query", "cloud:request: query.a: expected a string, number or boolean, got table", function()
      cloud:request("GET", "/x", { query = { a = {} } })
    end)
    raises("a line break in a query", "cloud:request: a: ", function() cloud:request("GET", "/x", { query = { a = "b\r\nc" } }) end)
    raises("a method that is none", 'method must be GET, POST, PUT, PATCH or DELETE, got "FETCH"', function() cloud:request("FETCH", "/") end)
  end)

  describe("for crdbcloud.new", function()
    local function new(options)
      options.api_key = options.api_key or "CCDB1_x_y"
      local made = crdbcloud.new(options)
      return made
    end
    local cases = {
      { "a misspelt option", { time_out = 5 }, 'crdbcloud.new: unknown option "time_out"; did you mean "timeout"?' },
      { "a timeout in milliseconds", { timeout = 30000 }, 'for milliseconds write "30000ms"' },
      { "a duration without a unit", { deadline = "30" }, "deadline needs a unit" },
      { "no attempts", { max_attempts = 0 }, "max_attempts must be a whole number from 1, got 0" },
      { "half an attempt", { max_attempts = 1.5 }, "max_attempts must be a whole number from 1, got 1.5" },
      { "a rate below 0", { rate = -1 }, "rate must be requests per second from 0 (unpaced) to 1000, got -1" },
      { "a rate as text", { rate = "10" }, "rate must be requests per second" },
      { "on_event that is no function", { on_event = true }, "on_event must be a function, got true" },
      { "a key that is a table", { api_key = {} }, "api_key must be a string, a secret or a function that returns one, got a table" },
      { "a key with a space", { api_key = "CCDB1_x_" .. PASSWORD .. " z" }, "api_key: expected printable ASCII without spaces" },
      { "a key with a line break", { api_key = "CCDB1_x_" .. PASSWORD .. "\r\nX: y" }, "api_key: expected printable ASCII" },
      { "an empty server", { base_url = "" }, "base_url must be a string that is not empty" },
      { "plain http to another machine", { base_url = "http://example.com" }, "base_url: " },
      { "another protocol", { base_url = "ftp://127.0.0.1" }, "base_url: " },
      { "a header with a line break", { vanity_name = "a\r\nb" }, "vanity_name" },
      { "a user agent with a line break", { user_agent = "a\nb" }, "user_agent" },
      { "a proxy without a protocol", { proxy = "127.0.0.1:1" }, "proxy: expected a URL" },
    }
    for _, case in ipairs(cases) do
      raises(case[1], case[3], function() new(case[2]) end)
    end
    raises("text for options", "crdbcloud.new: options must be a table", function() crdbcloud.new "x" end)
    answers("an authority's file that is not there", "invalid_argument", "/nowhere/ca.pem", function()
      return crdbcloud.new { api_key = "CCDB1_x_y", ca_file = "/nowhere/ca.pem" }
    end)
    answers("an empty key", "unauthenticated", "it is empty", function() return crdbcloud.new { api_key = "" } end)
  end)

  describe("for a cluster id", function()
    local ids = {
      { "a routing id", "funky-skunk-123", "which looks like a routing id" },
      { "a name", "prod-eu", "which looks like a cluster's name" },
      { "an id in upper case", "35C4ABB2-BB66-46D7-AFED-25EBEF5ED2AA", "which is an id in upper case" },
      { "a host name", "x.cockroachlabs.cloud", "which looks like a host name" },
      { "an empty text", "", "cluster_id must be a lower-case UUID" },
      { "a path", "../../x", "cluster_id must be a lower-case UUID" },
    }
    for _, case in ipairs(ids) do
      answers(case[1], "invalid_argument", case[3], function() return cloud:list_sql_users(case[2]) end)
      answers(case[1] .. " in a change", "invalid_argument", case[3], function()
        return cloud:update_sql_user_password(case[2], "app", PASSWORD)
      end)
    end
  end)

  describe("for a user's name", function()
    local names = {
      { "an empty one", "", "user name is empty" }, { "a space", "my app", "must not contain a space" },
      { "a slash", "a/b", 'must not contain "/"' }, { "a leading dash", "-x", 'must not start with "-"' },
      { "a long one", ("x"):rep(64), "is 64 bytes long; the limit is 63" }, { "broken UTF-8", "a\255", "not valid UTF-8" },
      { "root", "root", "is reserved" }, { "admin in capitals", "ADMIN", "is reserved" }, { "a reserved prefix", "pg_x", "is reserved" },
    }
    for _, case in ipairs(names) do
      answers(case[1], "invalid_argument", case[3], function() return cloud:create_sql_user(id, case[2], PASSWORD) end)
    end
    answers("a reserved one in a delete", "invalid_argument", "is reserved", function() return cloud:delete_sql_user(id, "root") end)
    answers("a reserved one in a change", "invalid_argument", "is reserved", function()
      return cloud:update_sql_user_password(id, "admin", PASSWORD)
    end)
    it("says which call refused it", function()
      local _, err = cloud:delete_sql_user(id, "")
      assert.equal("delete_sql_user", err.operation)
    end)
  end)

  describe("for a password", function()
    local passwords = {
      { "an empty one", "", "password is empty" }, { "a short one", "gX7mZp0QeR2", "password is 11 bytes long; at least 12 are needed" },
      { "a long one", ("gX7mZp0QeR"):rep(50) .. "x", "password is 501 bytes long; at most 500 are allowed" },
      { "the user's name", "payment_service", "password is the user's name" },
      { "the user's name and a number", "payment_service1", "easy to guess" },
      { "a common one", "password1234", "easy to guess" }, { "a stored hash", "SCRAM-SHA-256$4096:a$b:c", "form of a stored hash" },
      { "a line break at its end", PASSWORD .. "\n", "control character" }, { "broken UTF-8", "gX7mZp0QeR2t\255", "not valid UTF-8" },
    }
    for _, case in ipairs(passwords) do
      for _, form in ipairs { "text", "secret" } do
        answers(("%s as %s"):format(case[1], form), "invalid_argument", case[3], function()
          local password = form == "text" and case[2] or crdbcloud.secret(case[2])
          return cloud:create_sql_user(id, "payment_service", password)
        end)
      end
      answers(case[1] .. " in a change", "invalid_argument", case[3], function()
        return cloud:update_sql_user_password(id, "payment_service", case[2])
      end)
    end
  end)

  it("leaves the account as it was", function()
    pcall(function() cloud:list_sql_users() end)
    pcall(function() cloud:list_sql_users(id, { limt = 1 }) end)
    cloud:create_sql_user(id, "", PASSWORD)
    assert(cloud:list_sql_users(id))
  end)

  it("never changes the caller's tables", function()
    local options = { limit = 5, sort_order = "asc", timeout = "5s" }
    assert(cloud:list_sql_users(id, options))
    assert.same({ limit = 5, sort_order = "asc", timeout = "5s" }, options)
    assert.is_nil(getmetatable(options))
  end)
end)
