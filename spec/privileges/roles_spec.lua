local roles = require "crdbcloud.privileges.roles"
local diff = require "crdbcloud.privileges.diff".diff
local grants = require "crdbcloud.privileges.grants"
local privileges = require "crdbcloud.privileges"

-- "a>b" makes a a member of b, "a>>b" with ADMIN OPTION; "a:createrole" gives a an option.
local function graph(text)
  local g = { members = {}, traits = {} }
  local function role(name) g.traits[name] = g.traits[name] or { login = true } return name end
  for word in text:gmatch "%S+" do
    local member, arrow, name = word:match "^([%w_]+)(>+)([%w_]+)$"
    if member then
      role(name)
      local list = g.members[role(member)] or {}
      g.members[member] = list
      list[#list + 1] = { role = name, option = arrow == ">>" }
    else
      local who, what = word:match "^([%w_]+):(%w+)$"
      if what then g.traits[role(who)][what] = true else role(word) end
    end
  end
  return g
end

describe("crdbcloud.privileges.roles", function()
  it("finds admin at the end of every path", function()
    for _, case in ipairs {
      { "u", false, false, {} },
      { "u>admin", true, true, {} },
      { "u>>admin", true, true, {} },
      { "u>boss boss>admin", true, false, { "boss" } },
      { "u>a a>b b>c c>admin", true, false, { "a" } },
      { "u>a u>b b>admin a>x", true, false, { "b" } },
      { "u>b u>a a>admin b>admin u>admin", true, true, { "a", "b" } },
      { "u>staff admin>staff", false, false, {} },
      { "u>a a>b b>a", false, false, {} },
      { "u>a a>b b>a b>admin", true, false, { "a" } },
      { "u>god god:superuser", true, false, { "god" } },
      { "u:superuser", true, false, {} },
    } do
      local found = roles.describe(graph(case[1]), "u")
      assert.same({ case[2], case[3], case[4] }, { found.admin, found.admin_direct, found.admin_via }, case[1])
    end
  end)

  it("finds the right to make users, own or through roles, and ADMIN OPTION", function()
    local found = roles.describe(graph "u>a a>b b:createrole a:createlogin", "u")
    assert.same({ false, true, true, false }, { found.admin, found.createrole, found.createlogin, found.admin_option })
    found = roles.describe(graph "u:createrole u>>a", "u")
    assert.same({ true, false, true }, { found.createrole, found.createlogin, found.admin_option })
    assert.is_true(roles.describe(graph "u>a a>>b", "u").admin_option)
    assert.is_false(roles.describe(graph "u>a a>b", "u").admin_option)
  end)

  it("says whether a user exists and may log in", function()
    local g = graph "u"
    g.traits.u.login = false
    assert.same({ true, false }, { roles.describe(g, "u").exists, roles.describe(g, "u").login })
    assert.same({ false, false }, { roles.describe(g, "other").exists, roles.describe(g, "other").login })
  end)

  it("says what a role leads to, worst first", function()
    for _, case in ipairs {
      { "r", nil }, { "r>x x>y", nil }, { "r>admin", "admin" }, { "r>x x>y y>admin r:createrole", "admin" },
      { "r>x x:createrole", "CREATEROLE" }, { "r:createlogin", "CREATELOGIN" }, { "r>>x", "ADMIN OPTION" },
      { "r>x x>>y", "ADMIN OPTION" }, { "u>>r", nil }, { "r>r", nil },
    } do
      assert.equal(case[2], roles.leads_to(graph(case[1]), "r"), case[1])
    end
    assert.equal("admin", roles.leads_to(graph "admin", "admin"))
  end)

  it("takes away what leads there and leaves the rest", function()
    assert.same({ roles = { "admin", "boss", "maker" }, options = { "staff" }, own = { "CREATEROLE", "CREATELOGIN" }, system = {} },
      roles.to_demote(graph "u>>admin u>boss boss>x x>admin u>maker maker:createrole u>>staff u>readers u:createrole u:createlogin", "u"))
    assert.same({ roles = {}, options = {}, own = {}, system = {} }, roles.to_demote(graph "u>staff", "u"))
  end)
end)

describe("crdbcloud.privileges.diff", function()
  local function on(name, privilege) return { on = "table", database = "d", schema = "s", name = name, privilege = privilege } end

  it("says what is missing and what is more", function()
    assert.same({ missing = { on("b", "SELECT") }, extra = { on("c", "SELECT") } },
      diff({ on("b", "SELECT"), on("a", "SELECT") }, { on("a", "SELECT"), on("c", "SELECT") }))
    assert.same({ missing = {}, extra = {} }, diff({}, {}))
  end)

  it("takes ALL for whatever is wanted, and for more than that", function()
    assert.same({ missing = {}, extra = { on("a", "ALL") } }, diff({ on("a", "SELECT"), on("a", "INSERT") }, { on("a", "ALL") }))
  end)

  it("misses nothing on what the user owns or makes", function()
    local owned = { on = "table", database = "d", schema = "s", name = "a" }
    assert.same({}, diff({ on("a", "SELECT") }, {}, "u", { owned }).missing)
    local future = { on = "future_table", database = "d", schema = "s", creator = "u", privilege = "SELECT" }
    assert.same({}, diff({ future }, {}, "u", {}).missing)
    assert.same({ future }, diff({ future }, {}, "v", {}).missing)
  end)

  it("compares written access with an inspection", function()
    local actual = {
      user = "u", dialect = "cockroachdb", owns = {}, grants = { { on = "database", database = "d", privilege = "CONNECT" } },
      objects = { d = { tables = { public = { t = "root" } }, sequences = {}, owned = {}, schemas = { public = "root" } } },
    }
    local found = privileges.diff({ database = "d", tables = { "t" }, privileges = { "SELECT" } }, actual)
    local words = {}
    for i, grant in ipairs(found.missing) do words[i] = privileges.describe(grant) end
    assert.same({ "USAGE on schema d.public", "SELECT on table d.public.t" }, words)
    assert.same({}, found.extra)
    assert.same({ { on = "role", name = "r", privilege = "MEMBER" } }, privileges.diff({}, actual, { roles = { "R" } }).missing)
    local none, err = privileges.diff({ database = "d" }, actual)
    assert.is_nil(none)
    assert.equal("invalid_argument", err.kind)
  end)

  it("says grants in words", function()
    for _, case in ipairs {
      { on("t", "SELECT"), "SELECT on table d.s.t" },
      { { on = "database", database = "d", privilege = "CONNECT" }, "CONNECT on database d" },
      { { on = "role", name = "r", privilege = "MEMBER" }, "membership in role r" },
      { { on = "future_table", database = "d", schema = "s", creator = "*", privilege = "SELECT" }, "SELECT on tables to come in d.s made by anybody" },
      { { on = "future_sequence", database = "d", creator = "r", privilege = "USAGE" }, "USAGE on sequences to come in d made by r" },
    } do
      assert.equal(case[2], privileges.describe(case[1]))
    end
    local many = {}
    for i = 1, 7 do many[i] = on("t" .. i, "SELECT") end
    assert.truthy(grants.summary(many, 5):find("t5; and 2 more", 1, true))
  end)

  it("counts the owners of a schema's tables as makers of those to come, else the database's", function()
    local objects = { owner = "dba", tables = { s = { a = "x", b = "y", c = "x" } }, sequences = {}, owned = {} }
    assert.same({ "x", "y" }, grants.owners(objects, "s"))
    assert.same({ "dba" }, grants.owners(objects, "empty"))
    assert.same({}, grants.owners(nil, "s"))
  end)
end)
