local account = require "spec.support.account"
local find = require "crdbcloud.api.find"
local sandbox = require "spec.support.sandbox"

describe("find_cluster", function()
  local s, cloud

  setup(function()
    s = sandbox.shared()
    cloud = account.open(s)
  end)
  before_each(function() s:clear() end)
  after_each(function() s:set { page_cap = 500 } end)
  teardown(function() cloud:close() end)

  it("finds by id", function()
    local cluster = assert(cloud:find_cluster(s.cluster_id))
    assert.equal(s.cluster_name, cluster.name)
    assert.equal("get_cluster", account.sent(s)[1].op)
  end)

  it("finds by name, on whatever page it is, and looks at the present", function()
    s:set { page_cap = 1 }
    local cluster = assert(cloud:find_cluster(s.cluster_name))
    assert.equal(s.cluster_id, cluster.id)
    for _, entry in ipairs(account.sent(s)) do assert.is_nil(entry.query:find("as_of_time", 1, true)) end
  end)

  it("prints on one line", function()
    assert.equal(("%s %s BASIC GCP CREATED"):format(s.cluster_name, s.cluster_id), tostring(cloud:find_cluster(s.cluster_name)))
  end)

  local refused = {
    { "sandbox-twin", "conflict", '2 clusters are named "sandbox-twin"', "use the id" },
    { "funky-skunk-123", "invalid_argument", '"funky-skunk-123" is the routing id of cluster "sandbox-one"', "use its name" },
    { "lucky-llama-999", "not_found", "which looks like a routing id", "name or id" },
    { "sandbox-oen", "not_found", 'no cluster that this key may see is named "sandbox-oen"', 'did you mean "sandbox-one"?' },
    { "sandbox-old", "not_found", "no cluster that this key may see", "" }, -- deleted
    { "completely-else", "not_found", "no cluster that this key may see", "cloud:clusters()" },
    { "35c4abb2-bb66-46d7-afed-25ebef5ed2aa", "not_found", "no cluster 35c4abb2", "crdb_internal.cluster_id()" },
    { "35C4ABB2-BB66-46D7-AFED-25EBEF5ED2AA", "invalid_argument", "which is an id in upper case", '"35c4abb2-bb66-46d7-afed-25ebef5ed2aa"' },
    { "postgresql://u:pw@h:26257/d", "invalid_argument", "which looks like a URL", "cloud:clusters()" },
  }
  for _, case in ipairs(refused) do
    it("explains " .. case[1]:gsub(":pw", ""), function()
      local cluster, err = cloud:find_cluster(case[1])
      assert.is_nil(cluster)
      assert.equal(case[2], err.kind)
      assert.truthy(err.message:find(case[3], 1, true), err.message)
      assert.truthy(err.hint:find(case[4], 1, true), err.hint)
      assert.is_nil(tostring(err):find("pw@", 1, true))
    end)
  end

  it("passes on what the listing failed with", function()
    s:fault { op = "list_clusters", what = "error_before", status = 403, code = 7 }
    local cluster, err = cloud:find_cluster(s.cluster_name)
    assert.is_nil(cluster)
    assert.equal("permission_denied", err.kind)
  end)

  it("raises when it gets no name", function()
    for _, value in ipairs { "", 7, {} } do
      local _, message = pcall(function() cloud:find_cluster(value) end)
      assert.truthy(message:find "find_spec.lua:%d+: cloud:find_cluster: name_or_id must be", message)
    end
  end)

  it("prefers a name to a routing id", function()
    local clusters = {
      { id = "1", name = "blue-dog-147", state = "CREATED" },
      { id = "2", name = "other", state = "CREATED", config = { serverless = { routing_id = "blue-dog-147" } } },
    }
    assert.equal("1", find.pick("blue-dog-147", clusters).id)
  end)
end)
