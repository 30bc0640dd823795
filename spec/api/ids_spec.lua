local ids = require "crdbcloud.api.ids"

describe("cluster ids", function()
  local looks = {
    { "35c4abb2-bb66-46d7-afed-25ebef5ed2aa", "id" }, { "35C4ABB2-BB66-46D7-AFED-25EBEF5ED2AA", "upper_case_id" },
    { "funky-skunk-123", "routing_id" }, { "blue-dog-147", "routing_id" }, { "prod-eu", "name" }, { "prod1", "name" },
    { "funky-skunk-123.6wr.cockroachlabs.cloud", "host" }, { "postgresql://x@h/d", "url" },
    { "https://cockroachlabs.cloud/cluster/x", "url" },
    { "35c4abb2-bb66-46d7-afed-25ebef5ed2a", "other" }, { "35c4abb2bb6646d7afed25ebef5ed2aa", "other" },
    { "Prod EU", "other" }, { "", "other" }, { " 35c4abb2-bb66-46d7-afed-25ebef5ed2aa", "other" },
    { "35c4abb2-bb66-46d7-afed-25ebef5ed2aa\n", "other" }, { "g5c4abb2-bb66-46d7-afed-25ebef5ed2aa", "other" },
  }
  for _, case in ipairs(looks) do
    it(("%q look like %s"):format(case[1], case[2]), function() assert.equal(case[2], ids.look(case[1])) end)
  end

  it("pass as they are", function()
    assert.equal("35c4abb2-bb66-46d7-afed-25ebef5ed2aa", ids.check "35c4abb2-bb66-46d7-afed-25ebef5ed2aa")
  end)

  local refused = {
    { "funky-skunk-123", 'got "funky-skunk-123", which looks like a routing id', 'cloud:find_cluster "funky-skunk-123"' },
    { "prod-eu", "which looks like a cluster's name", 'cloud:cluster "prod-eu"' },
    { "35C4ABB2-BB66-46D7-AFED-25EBEF5ED2AA", "which is an id in upper case", "lower case" },
    { "h.cockroachlabs.cloud", "which looks like a host name", "cloud:clusters()" },
    { "postgresql://u:pw@h/d", "got a text, which looks like a URL", "cloud:clusters()" },
    { "?!", 'got "?!"', "cloud:clusters()" },
  }
  for _, case in ipairs(refused) do
    it("are explained instead of " .. case[1]:gsub(":pw", ""), function()
      local value, err = ids.check(case[1], "list_sql_users")
      assert.is_nil(value)
      assert.equal("invalid_argument", err.kind)
      assert.equal("not_sent", err.outcome)
      assert.equal("list_sql_users", err.operation)
      assert.truthy(err.message:find("cluster_id must be a lower-case UUID", 1, true), err.message)
      assert.truthy(err.message:find(case[2], 1, true), err.message)
      assert.truthy(err.hint:find(case[3], 1, true), err.hint)
      assert.is_nil(tostring(err):find(":pw", 1, true))
    end)
  end
end)
