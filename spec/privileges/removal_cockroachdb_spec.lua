-- Tests lua/crdbcloud/privileges/removal_cockroachdb.lua by the model of the server: each thing that blocks DROP ROLE, and
-- random mixtures of them, on servers of each generation. Afterwards the user can be dropped, or nothing was changed.

local cockroach = require "spec.support.cockroach.model"
local privileges = require "crdbcloud.privileges"
local sqls = require "crdbcloud.sql"

local KINDS = { { "table", "orders" }, { "sequence", "orders_id_seq" }, { "type", "mood" }, { "routine", "f(int8)" }, { "routine", "proc()" } }

-- An old server (defaults of a maker only by a member of it) and newer ones.
for _, version in ipairs { "22.2.3", "23.1.0", "24.1.7", "25.3.0", "26.1.0" } do
  describe("crdbcloud.privileges.plan_removal on CockroachDB " .. version, function()
    local model, sql
    local old = version < "23.2"

    local function open()
      local objects = {
        tables = { public = { "orders" } }, sequences = { public = { "orders_id_seq" } }, types = { public = { "mood" } },
        routines = { public = { "f(int8)", "proc()" } },
      }
      model = cockroach.new({ defaultdb = {}, shop = objects, second = objects }, { version = version })
      for _, name in ipairs { "staff", "migrator", "other", "heir" } do model:add_role(name, "NOLOGIN") end
      model:add_role "app"
      sql = assert(sqls.open(model))
    end

    before_each(open)

    local function assert_goes(given, count)
      local plan = assert(privileges.plan_removal(sql, "app", given))
      assert.same({}, model:changes())
      if count then assert.equal(count, #plan.statements, tostring(plan.statements)) end
      assert(privileges.clear_for_drop(sql, "app", given))
      assert.same({}, model:blockers "app")
      assert(sql:query 'DROP ROLE "app"')
    end

    local function assert_refused(said, run, given)
      model:changes()
      local plan, err = privileges.clear_for_drop(sql, "app", given)
      assert.is_nil(plan)
      assert.same({ "conflict", "not_sent" }, { err.kind, err.outcome })
      assert.truthy(err.message:find(said, 1, true), err.message)
      if run then assert.truthy(err.hint:find(run, 1, true), err.hint) end
      assert.same({}, model:changes())
    end

    it("has nothing to do for a user without anything, whatever is implied", function() assert_goes(nil, 0) end)

    it("hands over what the user owns, in every database, one statement each", function()
      for _, thing in ipairs(KINDS) do
        for _, database in ipairs { "shop", "second" } do
          open()
          model:thing(thing[1], database, "public", thing[2]).owner = "app"
          assert_refused("app owns 1 object, the first is " .. (thing[2]:find "proc" and "procedure" or thing[1] == "routine" and "function" or thing[1]),
            "reassign_to = ROLE")
          assert_goes { reassign_to = "heir" }
          assert.equal("heir", model:thing(thing[1], database, "public", thing[2]).owner)
        end
      end
      open()
      model:thing("database", "shop").owner = "app"
      model:thing("schema", "second", "public").owner = "app"
      assert_goes { reassign_to = "root" }
    end)

    it("refuses an heir that may not create there, and names the statement", function()
      model:thing("table", "shop", "public", "orders").owner = "app"
      model:thing("schema", "shop", "public").grants.public = {}
      model:thing("schema", "shop", "public").owner = "root"
      assert_refused("table shop.public.orders, as \"heir\" may not create there", 'GRANT CREATE ON SCHEMA "shop"."public" TO "heir"', { reassign_to = "heir" })
      assert(sql:query 'GRANT CREATE ON SCHEMA "shop"."public" TO "heir"')
      model:changes()
      assert_goes { reassign_to = "heir" }
    end)

    it("takes grants of each kind away, WITH GRANT OPTION too, system privileges and external connections", function()
      for _, thing in ipairs(KINDS) do model:grant(model:thing(thing[1], "second", "public", thing[2]), "app", "ALL", true) end
      model:grant(model:thing("database", "shop"), "app", "CONNECT")
      model:grant(model:thing("schema", "shop", "public"), "app", "CREATE")
      model:grant(model:add("external_connection", nil, nil, "bucket"), "app", "USAGE")
      model:grant_system("app", "VIEWACTIVITY")
      model:grant_system("app", "NOSQLLOGIN")
      assert_goes()
    end)

    it("takes row policies away, and leaves those of others to them", function()
      model:add_policy { database = "shop", table = "orders", name = "alone", roles = { "app" } }
      model:add_policy { database = "second", table = "orders", name = "shared", roles = { "other", "app" } }
      assert_goes(nil, 2)
      assert.equal(1, #model.policies)
      assert.same({ "other" }, model.policies[1].roles)
    end)

    it("takes default privileges away, of all roles and in a schema; of a maker where the server lets us", function()
      local function add(creator, grantee, schema)
        model:add_default({ database = "second", schema = schema, creator = creator, kind = "tables", grantee = grantee },
          function(held) held.SELECT = false end)
      end
      add("*", "app")
      add("*", "app", "public")
      add("root", "app")
      assert_goes()
      for _, one in ipairs { { "migrator", "app" }, { "app", "other" } } do
        open()
        add(one[1], one[2])
        if old then
          assert_refused(("default privileges of what %q makes can be changed only by a member of it"):format(one[1]),
            ('GRANT "%s" TO "root"'):format(one[1]))
          model:add_member("root", one[1])
        end
        assert_goes()
      end
    end)

    it("refuses schedules, and what no statement removes", function()
      model.jobs.app = 1
      assert_refused("app cannot be dropped because of its schedule 1001 (nightly)", "run: DROP SCHEDULE 1001")
      open()
      model.touched.shop = { app = { tables = true } }
      assert_refused("the default privileges on tables that were taken from it in database shop", "crdbcloud user disable")
    end)

    it("ends with the user gone, or with nothing changed, whatever it had", function()
      for seed = 1, 60 do
        open()
        local state = seed * 7919 + #version
        local function pick(n)
          state = (state * 1103515245 + 12345) % 2147483648
          return math.floor(state / 65536) % n + 1
        end
        local function one(list) return list[pick(#list)] end
        for _ = 1, pick(6) do
          local database, thing = one { "shop", "second" }, one(KINDS)
          local object = model:thing(thing[1], database, "public", thing[2])
          local what = pick(9)
          if what == 1 then
            object.owner = "app"
          elseif what == 2 then
            model:grant(object, "app", "ALL", pick(2) == 1)
          elseif what == 3 then
            model:grant(object, "app", thing[1] == "routine" and "EXECUTE" or thing[1] == "type" and "USAGE" or "SELECT", pick(2) == 1)
          elseif what == 4 then
            model:add_default({ database = database, schema = one { "public", nil }, creator = one { "*", "root", "app", "migrator" },
              kind = "tables", grantee = "app" }, function(held) held.SELECT = false end)
          elseif what == 5 then
            model:add_default({ database = database, creator = "app", kind = "tables", grantee = one { "other", "staff" } },
              function(held) held.SELECT = false end)
          elseif what == 6 then
            model:grant_system("app", one { "VIEWACTIVITY", "CANCELQUERY", "BACKUP" })
          elseif what == 7 then
            model:add_policy { database = database, table = "orders", name = "p" .. state, roles = one { { "app" }, { "app", "other" } } }
          elseif what == 8 then
            if pick(4) == 1 then model.jobs.app = 1 end
          else
            model:add_member("app", one { "staff", "admin" })
            model:add_member("other", "app")
          end
        end
        local given = one { {}, { reassign_to = "heir" }, { reassign_to = "root" } }
        model:changes()
        local before = #model:blockers "app"
        local ok, err = privileges.clear_for_drop(sql, "app", given)
        if ok then
          assert.same({}, model:blockers "app", "seed " .. seed)
          assert(sql:query 'DROP ROLE "app"')
        else
          assert.same({ "not_sent", before }, { err.outcome, #model:blockers "app" }, "seed " .. seed .. ": " .. tostring(err))
          assert.same({}, model:changes())
          assert.truthy(err.hint, tostring(err))
        end
      end
    end)
  end)
end
