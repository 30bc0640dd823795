-- Tests lua/crdbcloud/privileges/read_grants.lua, lua/crdbcloud/privileges/read_roles.lua,
-- lua/crdbcloud/privileges/refused.lua, lua/crdbcloud/privileges/exact.lua and lua/crdbcloud/privileges/demote.lua on
-- CockroachDB of each generation, by the model in spec/support/cockroach.

local cockroach = require "spec.support.cockroach.model"
local privileges = require "crdbcloud.privileges"
local sqls = require "crdbcloud.sql"

local READ_ORDERS = { database = "shop", tables = { "orders" }, privileges = { "SELECT" } }
local READS_ORDERS = { "CONNECT on database shop", "USAGE on schema shop.public", "SELECT on table shop.public.orders" }

local function words(list)
  local out = {}
  for i, grant in ipairs(list) do out[i] = privileges.describe(grant) end
  return out
end

for _, version in ipairs { "22.2.3", "23.1.0", "23.1.29", "24.1.7", "25.3.0", "26.1.0" } do
  describe("crdbcloud.privileges on CockroachDB " .. version, function()
    local model, sql

    local function open(given)
      given = given or {}
      given.version = version
      model = cockroach.new({
        defaultdb = {},
        shop = {
          tables = { public = { "orders", "customers" } }, sequences = { public = { "orders_id_seq" } }, types = { public = { "mood" } },
          routines = { public = { "f(int8)", "proc()" } }, owned = { orders = 'public."orders_id_seq"' },
        },
        second = { tables = { public = { "things" } } },
      }, given)
      for _, name in ipairs { "staff", "ops", "migrator", "other" } do model:add_role(name, "NOLOGIN") end
      model:add_role "app"
      sql = assert(sqls.open(model))
    end

    before_each(function() open() end)

    local function look()
      return assert(privileges.inspect(sql, "app", { databases = "all" }))
    end

    local function granted() return words(look().grants) end

    local function apply(access, given)
      given = given or {}
      given.user = "app"
      return privileges.apply(sql, access, given)
    end

    local function on(kind, name, database)
      return model:thing(kind, kind ~= "external_connection" and (database or "shop") or nil,
        kind ~= "database" and kind ~= "external_connection" and "public" or nil, name)
    end

    -- Refused before any statement, and nothing is another afterwards.
    local function assert_refused(access, given, said)
      model:changes()
      local ok, err = apply(access, given)
      assert.is_nil(ok)
      assert.equal("not_sent", err.outcome)
      assert.truthy(err.message:find(said, 1, true), err.message)
      assert.same({}, model:changes())
      return err
    end

    it("takes default privileges that nobody granted for no access, and never revokes them", function()
      assert.same({ {}, {}, {} }, { look().grants, look().gives, look().owns })
      assert(apply(READ_ORDERS, { exact = true }))
      assert.same(READS_ORDERS, granted())
      assert(apply({}, { exact = true }))
      for _, text in ipairs(model:changes()) do assert.is_nil(text:find "^ALTER DEFAULT", text) end
      assert.same({ {}, {} }, { granted(), model.touched })
      assert(sql:query 'DROP ROLE "app"')
    end)

    it("tells an owner as an owner, and refuses exact before anything is changed", function()
      for _, kind in ipairs { "table", "sequence", "type", "routine" } do
        open()
        local names = { table = "orders", sequence = "orders_id_seq", type = "mood", routine = "f(int8)" }
        on(kind, names[kind]).owner = "app"
        local shown = kind == "routine" and "function" or kind
        assert.same({}, granted())
        assert.same({ { on = shown, database = "shop", schema = "public", name = names[kind] } }, look().owns)
        local err = assert_refused(READ_ORDERS, { exact = true }, ('"app" is the owner of %s shop.public.%s; an owner has'):format(shown, names[kind]))
        -- The hint works.
        sql:use "shop"
        assert(sql:query((err.hint:match "ALTER .* OWNER TO" .. ' "migrator"')))
        sql:use_home()
        assert(apply(READ_ORDERS, { exact = true }))
      end
      open()
      on("database").owner = "app"
      assert.same({ { on = "database", database = "shop" } }, look().owns)
      assert_refused({}, { exact = true }, '"app" is the owner of database shop; an owner has every right')
      -- Additive access is given to an owner as to everybody.
      assert(apply(READ_ORDERS))
    end)

    it("takes system privileges away with exact, all but the one that is a limit", function()
      model:grant_system("app", "VIEWACTIVITY")
      model:grant_system("app", "CANCELQUERY", true)
      model:grant_system("app", "NOSQLLOGIN")
      assert.same({ "system privilege CANCELQUERY WITH GRANT OPTION", "system privilege NOSQLLOGIN", "system privilege VIEWACTIVITY" }, granted())
      assert(apply({}, { exact = true }))
      assert.same({ 'REVOKE SYSTEM CANCELQUERY, VIEWACTIVITY FROM "app"' }, model:changes())
      assert.same({ "system privilege NOSQLLOGIN" }, granted())
      -- Of a user without login nothing is let in by it, and nothing may stay for DROP ROLE.
      model.roles.app.options.NOLOGIN = true
      assert(apply({}, { exact = true }))
      assert(sql:query 'DROP ROLE "app"')
    end)

    it("counts what leads past every grant, own and through roles", function()
      for _, power in ipairs {
        "MODIFYCLUSTERSETTING", "VIEWSYSTEMTABLE", "REPAIRCLUSTER", "BACKUP", "RESTORE", "BYPASSRLS", "CREATEROLE", "CREATELOGIN",
      } do
        open()
        model:grant_system("ops", power)
        model:add_member("staff", "ops")
        model:add_member("app", "staff")
        local found = look()
        assert.same({ { privilege = power, via = { "staff", "ops" } } }, found.powers)
        assert.is_false(found.limited)
        assert.equal(('role "staff" leads to %s, which an application user must not have'):format(power),
          privileges.refused(sql, nil, { "staff" }).message)
        assert_refused({}, { roles = { "staff" } }, "leads to " .. power)
        model:grant_system("app", power)
        model:grant_system("app", "VIEWACTIVITY")
        assert.same({ revoked = { "staff", "SYSTEM " .. power } }, privileges.demote(sql, "app"))
        assert.same({ "system privilege VIEWACTIVITY" }, granted())
        assert.is_true(look().limited)
      end
    end)

    it("takes types, routines and external connections away with exact", function()
      model:grant(on("type", "mood"), "app", "USAGE")
      model:grant(on("routine", "f(int8)"), "app", "EXECUTE", true)
      model:grant(on("routine", "proc()"), "app", "ALL")
      model:add("external_connection", nil, nil, "backups")
      model:grant(on("external_connection", "backups"), "app", "USAGE")
      assert.same({
        "USAGE on external connection backups", "EXECUTE on function shop.public.f(int8) WITH GRANT OPTION",
        "ALL on procedure shop.public.proc()", "USAGE on type shop.public.mood",
      }, granted())
      assert(apply({}, { exact = true }))
      assert.same({ {}, "defaultdb" }, { granted(), model.current })
      assert(sql:query 'DROP ROLE "app"')
    end)

    it("takes the right to pass on away with exact, and leaves what is wanted", function()
      for kind, name in pairs { table = "orders", sequence = "orders_id_seq" } do model:grant(on(kind, name), "app", "SELECT", true) end
      model:grant(on("database"), "app", "CONNECT", true)
      model:add_member("app", "staff", true)
      assert(apply(READ_ORDERS, { exact = true, roles = { "staff" } }))
      assert.same({ "CONNECT on database shop", "membership in role staff", "USAGE on schema shop.public", "SELECT on table shop.public.orders" },
        granted())
    end)

    it("sees rights on the tables of the cluster itself", function()
      model:grant(on("table", "users", "system"), "app", "SELECT")
      assert.same({ "SELECT on table system.public.users" }, granted())
      assert(apply({}, { exact = true }))
      assert.same({}, granted())
    end)

    it("shows what comes through roles of roles and everybody, and `?` where the server does not say", function()
      model:add_member("app", "staff")
      model:add_member("staff", "ops")
      model:grant(on("table", "customers"), "ops", "SELECT")
      on("table", "orders").owner = "staff"
      model:grant_system("ops", "VIEWACTIVITY")
      model:add_default({ database = "shop", schema = "public", creator = "*", kind = "tables", grantee = "staff" }, function(held)
        held.SELECT = false
      end)
      local found, inherited, public = look(), {}, {}
      for _, grant in ipairs(found.inherited) do
        local list = grant.via[1] == "public" and public or inherited
        list[#list + 1] = privileges.describe(grant)
      end
      assert.same({
        "SELECT on tables to come in shop.public made by anybody, through staff", "system privilege VIEWACTIVITY, through staff, ops",
        "SELECT on table shop.public.customers, through staff, ops", "ALL on table shop.public.orders WITH GRANT OPTION, through staff",
      }, inherited)
      local says = model:since "24.2"
      assert.same(says and {} or { "what everybody has (public)" }, found.unknown)
      assert.same(says and { "defaultdb.public", "second.public", "shop.public" } or {}, found.public_create)
      assert.equal(says and "CONNECT on database defaultdb, through public" or nil, public[1])
      -- Nothing of it is the user's own.
      assert.same({ "membership in role staff" }, words(found.grants))
    end)

    it("says what a maker gives to others by default, and knows the statement that ends it", function()
      model:add_default({ database = "shop", creator = "app", kind = "tables", grantee = "other" }, function(held) held.SELECT = false end)
      model:add_default({ database = "shop", schema = "public", creator = "app", kind = "routines", grantee = "other" }, function(held)
        held.EXECUTE = false
      end)
      assert.same({
        "EXECUTE on functions to come in shop.public made by app, for other", "SELECT on tables to come in shop made by app, for other",
      }, words(look().gives))
      assert.same({}, granted())
    end)

    it("takes default privileges away, whoever makes the things, or says what the server lacks for it", function()
      model:add_default({ database = "shop", creator = "*", kind = "tables", grantee = "app" }, function(held) held.SELECT = true end)
      assert(apply({}, { exact = true }))
      assert.same({}, granted())
      model:add_default({ database = "shop", schema = "public", creator = "migrator", kind = "types", grantee = "app" }, function(held)
        held.USAGE = false
      end)
      if model:since "23.1.29 23.2.16 24.1.7 24.2.5 24.3" then
        assert(apply({}, { exact = true }))
      else
        local err = assert_refused({}, { exact = true }, "default privileges of what \"migrator\" makes can be changed only by a member of it: "
          .. "to be an admin is enough from v23.1.29, v23.2.16, v24.1.7, v24.2.5, v24.3 on, and this server is v" .. version)
        assert.equal('GRANT "migrator" TO "root", then again; or upgrade the server', err.hint)
        assert.equal(err.message, privileges.refused(sql, { database = "shop", preset = "readonly", creators = { "migrator" } }).message)
        -- The hint works.
        assert(sql:query 'GRANT "migrator" TO "root"')
        assert(apply({}, { exact = true }))
      end
      assert.same({}, granted())
    end)

    it("refuses default privileges of everybody to a SQL user that is no admin", function()
      open { user = "migrator" }
      assert_refused({ database = "shop", preset = "readonly" }, {}, '"migrator" is no admin')
      assert.truthy(privileges.refused(sql, { database = "shop", preset = "readonly" }).hint:find("creators = {", 1, true))
      assert(apply { database = "shop", preset = "readonly", creators = { "migrator" } })
    end)

    it("counts NOSQLLOGIN as no login in every form, and says what lets the user in", function()
      assert.is_true(look().login)
      for _, case in ipairs {
        { function() model.roles.app.options.NOSQLLOGIN = true end, 'ALTER ROLE "app" WITH SQLLOGIN' },
        { function() model.roles.app.options.NOLOGIN = true end, 'ALTER ROLE "app" WITH LOGIN' },
        { function() model:grant_system("app", "NOSQLLOGIN") end, 'REVOKE SYSTEM NOSQLLOGIN FROM "app"' },
        { function()
          model:add_member("app", "staff")
          model:grant_system("staff", "NOSQLLOGIN")
        end, 'REVOKE SYSTEM NOSQLLOGIN FROM "staff"' },
        { function() model:grant_system("public", "NOSQLLOGIN") end, "REVOKE SYSTEM NOSQLLOGIN FROM PUBLIC" },
      } do
        open()
        case[1]()
        assert.is_false(look().login)
        assert.same({ "no_login", case[2] }, { privileges.why_no_login(sql, "app").reason, privileges.why_no_login(sql, "app").statement })
        local ok, err = privileges.set_login(sql, "app", true)
        if case[2]:find "WITH LOGIN" then
          assert.is_true(ok)
        else
          assert.same({ "applied", "run: " .. case[2] }, { err.outcome, err.hint })
          assert(sql:query(case[2]))
          assert.is_true(privileges.set_login(sql, "app", true))
        end
        assert.is_true(look().login)
      end
    end)

    it("says that a password is refused because its time is over", function()
      model.roles.app.options["VALID UNTIL"] = model.clock + 1
      assert.is_false(privileges.why_no_login(sql, "app"))
      model.clock = model.clock + 2
      assert.same({ "expired", "ALTER ROLE \"app\" VALID UNTIL 'infinity'" },
        { privileges.why_no_login(sql, "app").reason, privileges.why_no_login(sql, "app").statement })
      assert.is_true(look().login)
    end)
  end)
end
