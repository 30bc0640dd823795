local account = require "spec.support.account"
local errors = require "crdbcloud.errors"
local sandbox = require "spec.support.sandbox"

describe("listings", function()
  local s, cloud, id, all_names

  local function names_of(items)
    local out = {}
    for i, item in ipairs(items) do out[i] = item.name end
    return out
  end
  local function sent() return account.sent(s, "list_sql_users") end

  setup(function()
    s = sandbox.shared()
    id = s.cluster_id
    s:set { page_cap = 500 }
    local one = account.open(s)
    all_names = names_of(assert(one:all_sql_users(id)))
    one:close()
  end)
  before_each(function()
    s:clear()
    cloud = account.open(s)
  end)
  after_each(function()
    cloud:close()
    s:set { page_cap = 500, page_end = "no_next" }
  end)
  teardown(function() s:reset() end)

  it("are not trivial here", function()
    assert.is_true(#all_names >= 7)
  end)

  for _, form in ipairs { "no_pagination", "null_pagination", "no_next", "null_next", "empty_next" } do
    it("end by " .. form .. ", on one page and on many", function()
      s:set { page_end = form, page_cap = 500 }
      assert.same(all_names, names_of(assert(cloud:all_sql_users(id))))
      assert.equal(1, #sent())
      s:set { page_end = form, page_cap = 2 }
      assert.same(all_names, names_of(assert(cloud:all_sql_users(id))))
      assert.equal(1 + math.ceil(#all_names / 2), #sent())
    end)
  end

  it("end on a full last page", function()
    s:set { page_cap = #all_names }
    assert.same(all_names, names_of(assert(cloud:all_sql_users(id))))
    assert.equal(1, #sent())
  end)

  it("come in either order", function()
    s:set { page_cap = 3 }
    local reversed = {}
    for i, name in ipairs(all_names) do reversed[#all_names + 1 - i] = name end
    assert.same(reversed, names_of(assert(cloud:all_sql_users(id, { sort_order = "DESC" }))))
  end)

  it("show one moment on all pages, the caller's or that of the first request", function()
    s:set { page_cap = 3 }
    assert(cloud:all_sql_users(id))
    local times = {}
    for _, entry in ipairs(sent()) do times[entry.query:match "as_of_time=([^&]+)" or "none"] = true end
    assert.is_nil(times.none)
    local count = 0
    for _ in pairs(times) do count = count + 1 end
    assert.equal(1, count)
    s:clear()
    assert.is_nil((cloud:all_sql_users(id, { as_of_time = "2099-01-01T00:00:00Z" })))
    assert.truthy(sent()[1].query:find("as_of_time=2099", 1, true))
    assert.equal(1, #sent())
  end)

  it("do without a moment when the service takes ours for the future", function()
    s:fault { op = "list_sql_users", what = "error_before", status = 400, code = 3, message = "pagination.as_of_time is in the future" }
    assert.same(all_names, names_of(assert(cloud:all_sql_users(id))))
    assert.is_nil(sent()[2].query:find("as_of_time", 1, true))
  end)

  it("start again once when a page token is refused in mid-list, and repeat no name", function()
    s:set { page_cap = 2 }
    s:fault { op = "list_sql_users", nth = 2, what = "error_before", status = 400, code = 3, message = "invalid pagination token" }
    assert.same(all_names, names_of(assert(cloud:all_sql_users(id))))
    assert.is_nil(sent()[3].query:find("pagination.page=", 1, true))
  end)

  it("fail when it is refused again", function()
    s:set { page_cap = 2 }
    s:fault { op = "list_sql_users", nth = 2, what = "error_before", status = 400, code = 3 }
    s:fault { op = "list_sql_users", nth = 4, what = "error_before", status = 400, code = 3 }
    local users, err = cloud:all_sql_users(id)
    assert.is_nil(users)
    assert.equal("invalid_argument", err.kind)
    assert.equal(4, #sent())
  end)

  it("refuse to go round in a circle", function()
    s:set { page_cap = 2 }
    s:fault { op = "list_sql_users", nth = 3, what = "repeat_token" }
    local users, err = cloud:all_sql_users(id)
    assert.is_nil(users)
    assert.equal("protocol", err.kind)
    assert.equal("list_sql_users", err.operation)
    assert.truthy(err.message:find "same page token twice")
    assert.equal(3, #sent())
  end)

  it("retry a page that fails", function()
    s:set { page_cap = 3 }
    s:fault { op = "list_sql_users", nth = 2, what = "error_before" }
    assert.same(all_names, names_of(assert(cloud:all_sql_users(id))))
  end)

  it("keep to one deadline", function()
    s:set { page_cap = 1 }
    s:fault { op = "list_sql_users", what = "delay", seconds = 0.3, count = "all" }
    local users, err = cloud:all_sql_users(id, { deadline = "1s" })
    assert.is_nil(users)
    assert.equal("timeout", err.kind)
  end)

  describe("as iterators", function()
    it("hold one page at a time", function()
      s:set { page_cap = 2 }
      local seen = {}
      for user in cloud:sql_users(id) do
        seen[#seen + 1] = user.name
        assert.equal(math.ceil(#seen / 2), #sent())
        if #seen == 5 then break end
      end
      assert.equal(3, #sent())
    end)

    it("give everything", function()
      s:set { page_cap = 3 }
      local seen = {}
      for user in cloud:sql_users(id) do seen[#seen + 1] = user.name end
      assert.same(all_names, seen)
    end)

    it("send nothing before they are used", function()
      assert.is_function(cloud:sql_users(id))
      assert.equal(0, #sent())
    end)

    it("raise the error object in mid-list", function()
      s:set { page_cap = 2 }
      s:fault { op = "list_sql_users", nth = 2, count = "all", what = "error_before", status = 403, code = 7 }
      local seen = 0
      local ok, err = pcall(function()
        for _ in cloud:sql_users(id) do seen = seen + 1 end
      end)
      assert.is_false(ok)
      assert.is_true(errors.is(err))
      assert.equal("permission_denied", err.kind)
      assert.equal(2, seen)
    end)

    it("raise the error object for a cluster id that is none", function()
      local ok, err = pcall(function() return cloud:sql_users "funky-skunk-123" end)
      assert.is_false(ok)
      assert.is_true(errors.is(err))
      assert.equal("routing_id", err.reason)
    end)

    it("list clusters and databases too", function()
      local clusters, databases = {}, {}
      for cluster in cloud:clusters() do clusters[cluster.name] = (clusters[cluster.name] or 0) + 1 end
      for database in cloud:databases(id) do databases[database.name] = true end
      assert.equal(1, clusters[s.cluster_name])
      assert.equal(2, clusters["sandbox-twin"])
      assert.is_true(databases.shop)
    end)
  end)

  describe("as a whole", function()
    it("list clusters and databases page by page", function()
      s:set { page_cap = 1 }
      local clusters = assert(cloud:all_clusters())
      assert.is_true(#clusters >= 5)
      assert.is_true(#assert(cloud:all_clusters { show_inactive = true }) > #clusters)
      assert.is_true(#assert(cloud:all_databases(id)) >= 2)
    end)

    it("print as tables", function()
      local text = tostring(assert(cloud:all_sql_users(id)))
      assert.truthy(text:find "^name\n")
      assert.truthy(text:find("\n(" .. #all_names .. ")", 1, true))
      assert.truthy(tostring(assert(cloud:all_clusters())):find "^name +id +plan")
      assert.truthy(tostring(assert(cloud:all_databases(id))):find "^name +table_count\n")
    end)

    it("never hand JSON null to the caller", function()
      local null = require("cjson").null
      local function look(value)
        assert.is_not.equal(null, value)
        if type(value) == "table" then
          for _, item in pairs(value) do look(item) end
        end
      end
      look(assert(cloud:all_clusters { show_inactive = true }))
    end)
  end)

  it("take no options that they do not know", function()
    local ok, message = pcall(function() cloud:all_sql_users(id, { sort = "ASC" }) end)
    assert.is_false(ok)
    assert.truthy(message:find('lists_spec.lua:%d+: .*unknown option "sort"; did you mean "sort_order"', 1), message)
    assert.equal(0, #sent())
  end)
end)
