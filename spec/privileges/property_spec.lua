-- Tests lua/crdbcloud/privileges/apply.lua and lua/crdbcloud/privileges/inspect.lua on the model of CockroachDB: random
-- grants, roles, owners, default privileges and system privileges. PROPERTY_SEED repeats a run,
-- PROPERTY_ROUNDS makes it longer.

local access = require "crdbcloud.privileges.access"
local cockroach = require "spec.support.cockroach.model"
local grants = require "crdbcloud.privileges.grants"
local privileges = require "crdbcloud.privileges"
local sqls = require "crdbcloud.sql"

local ROUNDS = tonumber(os.getenv "PROPERTY_ROUNDS") or 40
local SEED = tonumber(os.getenv "PROPERTY_SEED") or os.time() % 1000000
local VERSIONS = { "22.2.3", "23.1.0", "23.1.29", "23.2.6", "24.1.7", "24.3.0", "25.3.0", "26.1.0" }
local ROLES = { "staff", "ops", "migrator", "boss" }

-- A generator of its own: both interpreters draw the same.
local function generator(seed)
  local state = seed % 2147483646 + 1
  local rng = {}
  function rng.below(n)
    state = state * 16807 % 2147483647
    return state % n + 1
  end
  function rng.one(list) return list[rng.below(#list)] end
  function rng.chance(percent) return rng.below(100) <= percent end
  return rng
end

local FUTURE = { "tables", "sequences", "types", "schemas", "routines" }
local SINGULAR = { tables = "table", sequences = "sequence", types = "type", schemas = "schema", routines = "routine" }

local function new_model(rng)
  local model = cockroach.new({
    defaultdb = {},
    shop = {
      tables = { public = { "orders", "customers" }, other = { "notes" } }, sequences = { public = { "orders_id_seq", "loose" } },
      types = { public = { "mood" } }, routines = { public = { "f(int8)", "proc()" } }, owned = { orders = 'public."orders_id_seq"' },
    },
    second = { tables = { public = { "things" } } },
  }, { version = rng.one(VERSIONS) })
  model:add("external_connection", nil, nil, "backups")
  for _, name in ipairs(ROLES) do model:add_role(name, "NOLOGIN") end
  model:add_role "app"
  -- No circle: a role is a member of later ones only.
  local line = { "app", "staff", "ops", "migrator", "boss" }
  for i = 1, #line do
    for j = i + 1, #line do
      if rng.chance(15) then model:add_member(line[i], line[j], rng.chance(20)) end
    end
  end
  if rng.chance(20) then model:add_member("boss", "admin") end
  local everyone = { "app", "app", "app", "staff", "ops", "public" }
  for thing in model:each(function(t) return t.database ~= "system" or t.kind == "table" end) do
    while rng.chance(30) do
      local privilege = rng.chance(15) and "ALL" or rng.one(cockroach.VALID[thing.kind])
      model:grant(thing, rng.one(everyone), privilege, rng.chance(25))
    end
    if rng.chance(4) and thing.kind ~= "external_connection" and thing.database ~= "system" then thing.owner = rng.one { "app", "staff" } end
  end
  while rng.chance(50) do
    model:grant_system(rng.one { "app", "staff", "ops" }, rng.chance(10) and "ALL" or rng.one(cockroach.VALID.system), rng.chance(20))
  end
  while rng.chance(55) do
    local kind = rng.one(FUTURE)
    local schema = kind ~= "schemas" and rng.chance(60) and "public" or nil
    local creator = rng.one { "*", "migrator", "staff", "app" }
    local grantee = rng.one(creator == "app" and { "staff", "ops" } or { "app", "staff" })
    if creator ~= grantee then
      model:add_default({ database = "shop", schema = schema, creator = creator, kind = kind, grantee = grantee }, function(held)
        local privilege = rng.chance(20) and "ALL" or rng.one(cockroach.VALID[SINGULAR[kind]])
        cockroach.put(held, privilege, rng.chance(20))
      end)
    end
  end
  if rng.chance(20) then model:add_member("root", "migrator") end
  if rng.chance(20) then model:add_member("root", "staff") end
  return model
end

local ON = { routine = "function" }

local function on_of(thing)
  return thing.kind == "routine" and thing.name:find "^proc" and "procedure" or ON[thing.kind] or thing.kind
end

-- What a grantee was granted itself, by the model's own state: key of the grant -> grantable.
local function truth(model, grantee)
  local out = {}
  local function add(grant, grantable) out[grants.key(grant)] = grantable == true end
  for thing in model:each() do
    for privilege, grantable in pairs(thing.owner ~= grantee and thing.grants[grantee] or {}) do
      add({ on = on_of(thing), database = thing.database, schema = thing.schema, name = thing.name, privilege = privilege }, grantable)
    end
  end
  for _, entry in pairs(model.defaults) do
    for privilege, grantable in pairs(entry.grantee == grantee and entry.held or {}) do
      local kind = SINGULAR[entry.kind]
      add({ on = "future_" .. (ON[kind] or kind), database = entry.database, schema = entry.schema, creator = entry.creator,
        privilege = privilege }, grantable)
    end
  end
  for privilege, grantable in pairs(model.system[grantee] or {}) do add({ on = "system", privilege = privilege }, grantable) end
  for _, edge in pairs(model.members) do
    if edge.member == grantee then add({ on = "role", name = edge.role, privilege = "MEMBER" }, edge.option) end
  end
  return out
end

local function keyed(list)
  local out = {}
  for _, grant in ipairs(list) do
    local copy = {}
    for field, value in pairs(grant) do copy[field] = value end
    copy.via = nil
    out[grants.key(copy)] = grant.grantable == true
  end
  return out
end

local function owned(model, user)
  local out = {}
  for thing in model:each(function(t) return t.owner == user end) do
    out[grants.key { on = on_of(thing), database = thing.database, schema = thing.schema, name = thing.name }] = false
  end
  return out
end

-- What comes through each role: an owner among the roles has ALL there.
local function inherited_truth(model)
  local out = {}
  for role in pairs(model:reach "app") do
    if role ~= "admin" then
      for key, grantable in pairs(truth(model, role)) do
        if not key:find "^role\1" then out[key] = out[key] or grantable end
      end
      for thing in model:each(function(t) return t.owner == role end) do
        out[grants.key { on = on_of(thing), database = thing.database, schema = thing.schema, name = thing.name, privilege = "ALL" }] = true
      end
    end
  end
  return out
end

local function random_access(rng)
  local list = {}
  while rng.chance(60) and #list < 3 do
    local entry = { database = rng.one { "shop", "second" } }
    if rng.chance(40) and entry.database == "shop" then
      entry.tables, entry.sequences = { rng.one { "orders", "customers" } }, rng.chance(50)
      entry.privileges = rng.chance(50) and { "SELECT" } or { "SELECT", "INSERT", "UPDATE" }
    else
      entry.preset = rng.one { "readonly", "readwrite", "ddl" }
      if rng.chance(30) then entry.creators = { "migrator" } end
    end
    list[#list + 1] = entry
  end
  local roles = {}
  for _, name in ipairs(ROLES) do
    if rng.chance(20) then roles[#roles + 1] = name end
  end
  return list, roles
end

-- The wanted grants, and those on sequences that "ALL TABLES" takes along.
local function wanted_truth(found, list, roles)
  local wanted, allowed = {}, {}
  found.objects.shop.owned = { public = { orders = { { "public", "orders_id_seq" } } } }
  for _, grant in ipairs(assert(grants.expand(list, { dialect = "cockroachdb", roles = roles, objects = found.objects }))) do
    wanted[grants.key(grant)] = true
  end
  for _, entry in ipairs(list) do
    for name in pairs(entry.tables == "*" and found.objects[entry.database].sequences[entry.schema] or {}) do
      for _, privilege in ipairs(access.privileges(entry, "cockroachdb").table) do
        allowed[grants.key { on = "sequence", database = entry.database, schema = entry.schema, name = name, privilege = privilege }] = true
      end
    end
  end
  return wanted, allowed
end

-- What has to hold after apply exact: exactly the wanted access, or a refusal that changed nothing.
local function check_exact(model, sql, list, roles)
  local before = truth(model, "app")
  model:changes()
  local ok, err = privileges.apply(sql, list, { user = "app", roles = roles, exact = true })
  local changes = model:changes()
  if not ok then
    assert.equal("not_sent", err.outcome, tostring(err))
    assert.same({}, changes, tostring(err))
    assert.same(before, truth(model, "app"))
    return false
  end
  local found = assert(privileges.inspect(sql, "app", { databases = "all" }))
  local wanted, allowed = wanted_truth(found, list, roles)
  local own = owned(model, "app")
  local have = truth(model, "app")
  for key, grantable in pairs(have) do
    local limit = key:find "^system\1" and key:find "NOSQLLOGIN"
    assert.is_true(wanted[key] or allowed[key] or limit ~= nil, "beyond what is wanted: " .. key:gsub("\1", " "))
    assert.is_true(not grantable or limit ~= nil, "may be passed on: " .. key:gsub("\1", " "))
  end
  for key in pairs(wanted) do
    local of_own = false
    for thing in pairs(own) do
      of_own = of_own or key:gsub("\1[^\1]*\1$", "") == thing:gsub("\1\1$", "")
    end
    assert.is_true(have[key] ~= nil or of_own, "not given: " .. key:gsub("\1", " "))
  end
  for thing in model:each(function(t) return t.owner == "app" end) do
    local makes = false
    for _, entry in ipairs(list) do
      makes = makes or entry.preset == "ddl" and entry.database == thing.database and entry.schema == thing.schema and thing.name ~= nil
    end
    assert.is_true(makes, "owns what it is not to make: " .. thing.kind)
  end
  assert.same({}, model.touched)
  return true
end

describe("access on the model of CockroachDB, at random", function()
  it("is seen as the model has it, and with exact becomes what is wanted or is refused before any statement", function()
    local reached = 0
    for round = 1, ROUNDS do
      local rng = generator(SEED * 1000 + round)
      local model = new_model(rng)
      local sql = assert(sqls.open(model))
      local where = ("PROPERTY_SEED=%d, round %d, v%s"):format(SEED, round, model.version)
      local ok, problem = xpcall(function()
        local found = assert(privileges.inspect(sql, "app", { databases = "all" }))
        assert.same(truth(model, "app"), keyed(found.grants))
        assert.same(owned(model, "app"), keyed(found.owns))
        local inherited, public = {}, {}
        for _, grant in ipairs(found.inherited) do
          local list = grant.via[1] == "public" and public or inherited
          list[#list + 1] = grant
        end
        assert.same(inherited_truth(model), keyed(inherited))
        assert.equal(model:since "24.2", #found.unknown == 0)
        assert.equal(model:since "24.2", #public > 0)
        assert.equal(model:is_admin "app", found.admin)
        assert.equal("defaultdb", model.current)
        local list, roles = random_access(rng)
        if check_exact(model, sql, assert(access.normalize(list)), roles) then reached = reached + 1 end
        assert.equal("defaultdb", model.current)
      end, function(said) return type(said) == "table" and said or debug.traceback(said) end)
      if not ok then error(where .. "\n" .. (type(problem) == "table" and tostring(problem.message or problem) or problem), 0) end
    end
    -- A run in which everything is refused shows nothing.
    assert.is_true(ROUNDS < 20 or reached > ROUNDS / 20, ("only %d of %d were reached"):format(reached, ROUNDS))
  end)
end)
