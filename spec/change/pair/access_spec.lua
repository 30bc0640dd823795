local cockroach = require "spec.support.cockroach.model"
local core = require "crdbcloud.core"
local pair_access = require "crdbcloud.change.pair.access"
local privileges = require "crdbcloud.privileges"
local scene = require "spec.support.scene"
local sqls = require "crdbcloud.sql"
local temp = require "spec.support.temp"

-- What privileges.inspect says of a member of app_role.
local function found(user, fields)
  local out = {
    user = user, exists = true, login = true, admin = false, roles = { "app_role" }, owns = {},
    grants = { { on = "role", name = "app_role", privilege = "MEMBER" } },
  }
  for k, v in pairs(fields or {}) do out[k] = v end
  return out
end

local SELECT = { on = "table", database = "shop", schema = "public", name = "orders", privilege = "SELECT" }

describe("the access of a pair", function()
  for _, case in ipairs {
    { "is the same where both are in the role and have nothing else", {}, {}, {} },
    { "is the same where both have the same beside it", { grants = { SELECT } }, { grants = { SELECT } }, {} },
    { "differs where one has a grant alone", { grants = { SELECT } }, {}, { "only app has SELECT on table shop.public.orders" } },
    { "differs where one is in another role alone", {}, { grants = { { on = "role", name = "extra", privilege = "MEMBER" } } },
      { "only app_b has membership in role extra" } },
    { "differs where one is not in the role", {}, { roles = {} }, { "app_b is not a member of app_role" }, "app_b" },
    { "differs where one may not log in", { login = false }, {}, { "app may not log in" }, "app" },
    { "is the same where neither may log in", { login = false }, { login = false }, {} },
    { "differs where one is an admin", {}, { admin = true }, { "app_b is an admin" } },
    { "differs where one gets past every grant", { limited = false, powers = { { privilege = "BYPASSRLS" } } }, {},
      { "app has BYPASSRLS, which leads past every grant" } },
    { "differs where one is gone", {}, { exists = false, login = false, roles = {}, grants = {} }, { "app_b does not exist" }, "app_b" },
    { "differs where one owns something", { owns = { { on = "table", database = "shop", schema = "public", name = "t" } } }, {},
      { 'app owns table shop.public.t, which app_b may not alter or drop; ALTER ... OWNER TO "app_role" shares it' } },
  } do
    it(case[1], function()
      local texts, lacks = {}, nil
      for i, difference in ipairs(pair_access.differences(found("app", case[2]), found("app_b", case[3]), "app_role")) do
        texts[i] = difference.text
        if difference.lacks then lacks = difference.user end
      end
      assert.are.same(case[4], texts)
      assert.are.equal(case[5], lacks)
    end)
  end

  it("is told in part where there is much of it", function()
    local many = {}
    for i = 1, 8 do many[i] = { on = "table", database = "shop", schema = "public", name = "t" .. i, privilege = "SELECT" } end
    local list = pair_access.differences(found("app", { grants = many }), found "app_b", "app_role")
    assert.matches("and 3 more$", list[1].text)
  end)
end)

for _, version in ipairs { "22.2.3", "23.1.0", "25.3.0", "26.1.0" } do
  describe("the access of a pair on CockroachDB " .. version, function()
    it("is the same while nobody changes it, and the role goes when the pair does", function()
      local model = cockroach.new({ defaultdb = {}, shop = { tables = { public = { "orders" } } } }, { version = version })
      local sql = assert(sqls.open(model))
      for _, name in ipairs { "app", "app_b", "app_role" } do model:add_role(name) end
      local rec = {
        user = "app", pair = { partner = "app_b", role = "app_role", role_state = "made" },
        access = { { database = "shop", preset = "readwrite" } },
      }
      assert(privileges.apply(sql, rec.access, { user = "app_role" }))
      for _, name in ipairs { "app", "app_b" } do assert(privileges.apply(sql, {}, { user = name, roles = { "app_role" } })) end
      assert.are.same({}, pair_access.drift(sql, rec))
      model:grant_system("app", "VIEWACTIVITY")
      assert.are.equal("only app has system privilege VIEWACTIVITY", pair_access.drift(sql, rec)[1].text)
      for _, name in ipairs { "app", "app_b" } do
        assert(privileges.apply(sql, {}, { user = name, exact = true }))
        assert(sql:query(('DROP ROLE "%s"'):format(name)))
      end
      assert(pair_access.drop_role(sql, rec.pair))
      assert.is_false(privileges.inspect(sql, "app_role").exists)
    end)
  end)
end

describe("the role of a pair", function()
  local sc, name
  before_each(function()
    sc = scene.open()
    name = "pa_" .. core.random_hex(6)
  end)
  after_each(function()
    for _, user in ipairs { name, name .. "_b", name .. "_role" } do
      sc.sandbox:psql(("DO $$ BEGIN IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '%s') THEN "
        .. "EXECUTE 'DROP OWNED BY %s'; EXECUTE 'DROP ROLE %s'; END IF; END $$;"):format(user, user, user))
    end
    sc:close()
    temp.clean()
  end)

  local function create(fields)
    local o = { name = name, pair = true, access = { database = "shop", tables = { "orders" }, privileges = { "SELECT" } } }
    for k, v in pairs(fields or {}) do o[k] = v end
    return sc.cluster:create_app_user(o)
  end

  local function inspect(user)
    return assert(privileges.inspect(assert(sc.cluster:open_sql "spec"), user, { databases = { "shop" } }))
  end

  it("has the access and no login, and the user has nothing but the role", function()
    assert(create())
    local role, user = inspect(name .. "_role"), inspect(name)
    assert.is_false(role.login)
    assert.are.same({ name .. "_role" }, user.roles)
    local texts = {}
    for _, grant in ipairs(role.grants) do texts[privileges.describe(grant)] = true end
    assert.is_true(texts["SELECT on table shop.public.orders"])
    assert.are.equal(1, #user.grants)
  end)

  it("is not taken over from somebody else, and nothing is sent", function()
    sc.sandbox:psql("CREATE ROLE " .. name .. "_role")
    local report, err = create()
    assert.is_nil(report)
    assert.are.same({ "already_exists", "not_sent" }, { err.kind, err.outcome })
    assert.are.equal(0, #sc:requests "create_sql_user")
    assert.is_nil((sc:record(name)))
  end)

  it("is not taken over when somebody makes it at the last moment", function()
    local made
    local report, err = create { on_progress = function(event)
      if event.step == "role" and not made then
        made = true
        sc.sandbox:psql("CREATE ROLE " .. name .. "_role")
      end
    end }
    assert.is_nil(report)
    assert.are.equal("already_exists", err.kind)
    assert.are.same({}, inspect(name).roles)
    assert.is_nil((sc.cluster:credential(name)))
    -- The name free again, the same call ends it.
    sc.sandbox:psql("DROP ROLE " .. name .. "_role")
    assert(create())
    assert.is_false(inspect(name).admin)
  end)

  it("is known again as ours after an attempt that was cut, unless others are in it", function()
    local store = assert(sc.cluster:open_store "spec")
    local function cut_after_role()
      create { on_progress = function(event)
        if event.step == "role" then sc.sandbox:psql("CREATE ROLE " .. name .. "_role") end
      end }
      local rec, version = store:get(require("crdbcloud.record").key(sc.id, name))
      rec.pair.role_state = "making"
      assert(store:put(require("crdbcloud.record").key(sc.id, name), rec, version))
    end
    cut_after_role()
    sc.sandbox:psql(("GRANT %s_role TO app_user_001"):format(name))
    local report = sc.cluster:resume()
    assert.is_nil(report)
    assert.are.same({}, inspect(name).roles)
    sc.sandbox:psql(("REVOKE %s_role FROM app_user_001"):format(name))
    local rec, version = store:get(require("crdbcloud.record").key(sc.id, name))
    rec.pair.role_state = "making"
    assert(store:put(require("crdbcloud.record").key(sc.id, name), rec, version))
    assert(sc.cluster:resume())
    assert.are.equal("made", sc:record(name).pair.role_state)
    assert.are.same({ name .. "_role" }, inspect(name).roles)
  end)

  it("gets what set_access gives the pair", function()
    assert(create())
    assert(sc.cluster:rotate_password(name))
    assert(sc.cluster:set_access { user = name, access = { database = "shop", tables = { "payments" }, privileges = { "SELECT" } } })
    for _, user in ipairs { name, name .. "_b" } do
      assert.are.equal("t", sc.sandbox:psql(("SELECT has_table_privilege('%s', 'payments', 'SELECT')"):format(user)))
      assert.are.equal(1, #inspect(user).grants)
    end
  end)

  it("goes with the pair, after both users", function()
    assert(create())
    assert(sc.cluster:rotate_password(name))
    sc.sandbox:psql(("CREATE TABLE t_%s (id int); ALTER TABLE t_%s OWNER TO %s_role"):format(name, name, name))
    local report, err = sc.cluster:remove_app_user(name)
    assert.is_nil(report)
    assert.are.same({ "conflict", "not_sent" }, { err.kind, err.outcome })
    assert.is_true(inspect(name .. "_b").exists)
    assert(sc.cluster:remove_app_user { user = name, reassign_to = "sandbox_admin" })
    for _, user in ipairs { name, name .. "_b", name .. "_role" } do assert.is_false(inspect(user).exists) end
    for _, user in ipairs { name, name .. "_b" } do assert.is_nil((sc:record(user))) end
    sc.sandbox:psql("DROP TABLE t_" .. name)
  end)
end)
