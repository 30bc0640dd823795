local privileges = require "crdbcloud.privileges"
local plan = require "crdbcloud.privileges.plan"
local sqls = require "crdbcloud.sql"
local postgres = require "spec.support.servers.postgres".shared()

local function raised(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  return message
end

local function statements(access, given)
  local list, err = privileges.plan(access, given)
  assert(list, tostring(err))
  local copy = {}
  for i, text in ipairs(list) do copy[i] = text end
  return copy, list
end

-- Forms of the server's grammar (docs/generated/sql/bnf of CockroachDB 25.2), with every name quoted. Q: a quoted name.
local FORMS = {
  "^REVOKE Q FROM Q$", "^GRANT Q TO Q$", "^USE Q$",
  "^GRANT CONNECT ON DATABASE Q TO Q$",
  "^GRANT USAGE ON SCHEMA Q%.Q TO Q$", "^GRANT CREATE, USAGE ON SCHEMA Q%.Q TO Q$",
  "^GRANT P ON TABLE Q%.Q%.Q TO Q$", "^GRANT P ON ALL TABLES IN SCHEMA Q%.Q TO Q$",
  "^GRANT P ON SEQUENCE Q%.Q%.Q TO Q$", "^GRANT P ON ALL SEQUENCES IN SCHEMA Q%.Q TO Q$",
  "^ALTER DEFAULT PRIVILEGES FOR ALL ROLES IN SCHEMA Q GRANT P ON TABLES TO Q$",
  "^ALTER DEFAULT PRIVILEGES FOR ALL ROLES IN SCHEMA Q GRANT P ON SEQUENCES TO Q$",
  "^ALTER DEFAULT PRIVILEGES FOR ROLE Q IN SCHEMA Q GRANT P ON TABLES TO Q$",
  "^ALTER DEFAULT PRIVILEGES FOR ROLE Q IN SCHEMA Q GRANT P ON SEQUENCES TO Q$",
}
local PRIVILEGES = {
  SELECT = true, INSERT = true, UPDATE = true, DELETE = true, CREATE = true, DROP = true, USAGE = true, CHANGEFEED = true,
  TRIGGER = true, ZONECONFIG = true, BACKUP = true,
}

local function is_valid_for_cockroachdb(text)
  local form = text:gsub('"[^"]*"', "Q")
  while form:find("QQ", 1, true) do form = form:gsub("QQ", "Q") end -- "a""b" is one name
  form = form:gsub("(Q%.Q%.Q), Q%.Q%.Q", "%1")
  while form:find("Q.Q.Q, Q.Q.Q", 1, true) do form = form:gsub("(Q%.Q%.Q), Q%.Q%.Q", "%1") end
  local words = form:match "GRANT ([%u, ]+) ON [TAS]"
  if words and not form:find "SCHEMA Q%.Q TO" or words and form:find "ON ALL" then
    for word in words:gmatch "%u+" do
      if not PRIVILEGES[word] then return false end
    end
    form = form:gsub("GRANT [%u, ]+ ON ([TAS])", "GRANT P ON %1")
  end
  for _, pattern in ipairs(FORMS) do
    if form:find(pattern) then return true end
  end
  return false
end

local ACCESSES = {
  { database = "shop", preset = "readonly" }, { database = "shop", preset = "readwrite" }, { database = "shop", preset = "ddl" },
  { database = "shop", preset = "readonly", sequences = false }, { database = "shop", preset = "readonly", future = false },
  { database = "shop", preset = "readwrite", future = false, sequences = false },
  { database = "shop", preset = "readonly", creators = { "migrator", "owner" } },
  { database = "shop", tables = { "orders", "customers" }, privileges = { "SELECT", "UPDATE" } },
  { database = "shop", tables = { "orders" }, privileges = { "INSERT" }, sequences = true },
  { database = "shop", schema = "other", tables = { "t" }, privileges = { "DELETE" } },
  { database = "shop", privileges = { "SELECT" } },
  { { database = "shop", preset = "readonly" }, { database = "second", preset = "readwrite" } },
}

describe("crdbcloud.privileges.plan", function()
  it("gives one table of CockroachDB", function()
    assert.same({
      'GRANT CONNECT ON DATABASE "shop" TO "app"',
      'GRANT USAGE ON SCHEMA "shop"."public" TO "app"',
      'GRANT SELECT, INSERT ON TABLE "shop"."public"."customers", "shop"."public"."orders" TO "app"',
    }, (statements({ database = "shop", tables = { "orders", "customers" }, privileges = { "INSERT", "SELECT" } },
      { user = "app", dialect = "cockroachdb" })))
  end)

  it("gives all tables of CockroachDB, those to come too, in the right database", function()
    local list, raw = statements({ database = "shop", preset = "readwrite" }, { user = "app", dialect = "cockroachdb" })
    assert.same({
      'GRANT CONNECT ON DATABASE "shop" TO "app"',
      'GRANT USAGE ON SCHEMA "shop"."public" TO "app"',
      'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "shop"."public" TO "app"',
      'GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA "shop"."public" TO "app"',
      'USE "shop"',
      'ALTER DEFAULT PRIVILEGES FOR ALL ROLES IN SCHEMA "public" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO "app"',
      'ALTER DEFAULT PRIVILEGES FOR ALL ROLES IN SCHEMA "public" GRANT USAGE, SELECT ON SEQUENCES TO "app"',
    }, list)
    assert.same({}, raw.databases)
    assert.same({ [5] = "shop" }, raw.uses)
  end)

  it("says for PostgreSQL in which database each statement runs", function()
    local list, raw = statements({ database = "shop", preset = "readwrite", creators = { "migrator" } },
      { user = "app", dialect = "postgresql" })
    assert.same({
      'GRANT CONNECT ON DATABASE "shop" TO "app"',
      'GRANT USAGE ON SCHEMA "public" TO "app"',
      'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "public" TO "app"',
      'GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA "public" TO "app"',
      'ALTER DEFAULT PRIVILEGES FOR ROLE "migrator" IN SCHEMA "public" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO "app"',
      'ALTER DEFAULT PRIVILEGES FOR ROLE "migrator" IN SCHEMA "public" GRANT USAGE, SELECT ON SEQUENCES TO "app"',
    }, list)
    assert.same({ [2] = "shop", [3] = "shop", [4] = "shop", [5] = "shop", [6] = "shop" }, raw.databases)
  end)

  it("encodes as a plain list", function()
    local _, raw = statements({ database = "shop", preset = "readonly" }, { user = "app" })
    assert.matches('^%["GRANT CONNECT', require("cjson").encode(raw))
  end)

  it("keeps statements of two databases apart that read the same on PostgreSQL", function()
    local _, raw = statements({ { database = "a", preset = "readonly", future = false, sequences = false },
      { database = "b", preset = "readonly", future = false, sequences = false } }, { user = "app", dialect = "postgresql" })
    assert.same({ [2] = "a", [3] = "a", [5] = "b", [6] = "b" }, raw.databases)
  end)

  it("lets readers look at sequences, not draw from them", function()
    local list = table.concat(statements({ database = "shop", preset = "readonly" }, { user = "app" }), "\n")
    assert.truthy(list:find('GRANT SELECT ON ALL SEQUENCES', 1, true))
    assert.is_nil(list:find("USAGE, SELECT", 1, true))
  end)

  it("revokes admin first and gives roles before access", function()
    local list = statements({ database = "d", tables = { "t" }, privileges = { "SELECT" } },
      { user = "app", roles = { "Staff", "reports" }, revoke_admin = true })
    assert.same({ 'REVOKE "admin" FROM "app"', 'GRANT "staff" TO "app"', 'GRANT "reports" TO "app"' }, { list[1], list[2], list[3] })
  end)

  it("folds the user's name, as the cluster does", function()
    assert.same({ 'REVOKE "admin" FROM "nm9bm"' }, (statements(nil, { user = "Nm9bM", revoke_admin = true })))
  end)

  it("lets ddl create in the schema, and on PostgreSQL gives what there is", function()
    local cockroachdb = table.concat(statements({ database = "d", preset = "ddl" }, { user = "a", dialect = "cockroachdb" }), "\n")
    assert.truthy(cockroachdb:find('GRANT CREATE, USAGE ON SCHEMA "d"."public"', 1, true))
    assert.truthy(cockroachdb:find("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP ON ALL TABLES", 1, true))
    local postgresql = table.concat(statements({ database = "d", preset = "ddl" }, { user = "a", dialect = "postgresql" }), "\n")
    assert.truthy(postgresql:find("GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON ALL TABLES", 1, true))
  end)

  it("quotes every name, however hostile", function()
    local evil = 'x"; DROP TABLE y; --'
    local access = { database = evil, schema = evil, tables = { evil }, privileges = { "SELECT" } }
    for _, dialect in ipairs { "cockroachdb", "postgresql" } do
      for _, text in ipairs((statements(access, { user = evil, dialect = dialect, roles = { evil } }))) do
        assert.is_nil((text:gsub('"[^"]*"', "")):find "DROP")
      end
    end
  end)

  it("gives a privilege on tables never on a database", function()
    for _, access in ipairs(ACCESSES) do
      for _, dialect in ipairs { "cockroachdb", "postgresql" } do
        for _, text in ipairs((statements(access, { user = "app", dialect = dialect, revoke_admin = true }))) do
          local words = text:match "^GRANT (.-) ON DATABASE"
          assert.is_true(words == nil or words == "CONNECT", text)
        end
      end
    end
  end)

  it("makes only statements of CockroachDB's grammar", function()
    assert.is_false(is_valid_for_cockroachdb 'GRANT SELECT ON DATABASE "d" TO "u"')
    assert.is_false(is_valid_for_cockroachdb 'GRANT TRUNCATE ON TABLE "d"."s"."t" TO "u"')
    assert.is_false(is_valid_for_cockroachdb 'GRANT SELECT ON TABLE d.s.t TO "u"')
    for _, access in ipairs(ACCESSES) do
      local given = { user = 'a"b', dialect = "cockroachdb", roles = { "staff" }, revoke_admin = true }
      for _, text in ipairs((statements(access, given))) do assert.is_true(is_valid_for_cockroachdb(text), text) end
    end
  end)

  it("makes only statements that the real PostgreSQL runs, twice too", function()
    postgres:psql [[
      DROP DATABASE IF EXISTS shop; DROP DATABASE IF EXISTS second;
      DROP ROLE IF EXISTS planned; DROP ROLE IF EXISTS migrator; DROP ROLE IF EXISTS owner; DROP ROLE IF EXISTS staff; DROP ROLE IF EXISTS admin]]
    postgres:psql "CREATE DATABASE shop"
    postgres:psql "CREATE DATABASE second"
    postgres:psql "CREATE ROLE admin; CREATE ROLE planned IN ROLE admin; CREATE ROLE migrator; CREATE ROLE owner; CREATE ROLE staff"
    postgres:psql("CREATE SCHEMA other; CREATE TABLE orders (id serial); CREATE TABLE customers (); CREATE TABLE other.t ()", "shop")
    local sql = assert(sqls.connect(postgres:params()))
    for _, access in ipairs(ACCESSES) do
      for _ = 1, 2 do
        local _, raw = statements(access, { user = "planned", dialect = "postgresql", roles = { "staff" }, revoke_admin = true })
        for i, text in ipairs(raw) do
          local where = raw.databases[i] and assert(sql:database(raw.databases[i])) or sql
          local rows, err = where:query(text)
          assert(rows, text .. ": " .. tostring(err))
        end
      end
    end
    assert.equal("staff", postgres:psql [[
      SELECT string_agg(r.rolname, ',') FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid WHERE a.member = 'planned'::regrole]])
    sql:close()
    postgres:psql "DROP DATABASE shop"
    postgres:psql "DROP DATABASE second"
    postgres:psql "DROP ROLE planned; DROP ROLE migrator; DROP ROLE owner; DROP ROLE staff; DROP ROLE admin"
  end)

  it("refuses a name that PostgreSQL would cut off, which CockroachDB takes", function()
    local access = { database = "d", tables = { ("t"):rep(64) }, privileges = { "SELECT" } }
    local list, err = privileges.plan(access, { user = "a", dialect = "postgresql" })
    assert.is_nil(list)
    assert.truthy(err.message:find("is 64 bytes long; postgresql would cut it off at 63", 1, true))
    assert(privileges.plan(access, { user = "a", dialect = "cockroachdb" }))
  end)

  it("refuses a privilege that the server does not have", function()
    local list, err = privileges.plan({ database = "d", privileges = { "TRUNCATE" } }, { user = "a", dialect = "cockroachdb" })
    assert.is_nil(list)
    assert.truthy(err.message:find("TRUNCATE does not exist on cockroachdb; there are SELECT, INSERT", 1, true))
    list, err = privileges.plan({ database = "d", privileges = { "ZONECONFIG" } }, { user = "a", dialect = "postgresql" })
    assert.is_nil(list)
    assert.equal("invalid_argument", err.kind)
  end)

  it("refuses bad arguments", function()
    local list, err = privileges.plan({ database = "d", preset = "readonly" }, { user = "a", dialect = "mysql" })
    assert.is_nil(list)
    assert.equal('dialect must be cockroachdb or postgresql, got "mysql"', err.message)
    assert.truthy(raised(privileges.plan, {}, {}):find("privileges.plan: user must be a name, got nothing", 1, true))
    assert.truthy(raised(privileges.plan, {}, { user = "" }):find('user must be a name, got ""', 1, true))
    assert.truthy(raised(privileges.plan, {}, { user = "a", roles = "staff" }):find('roles must be a list of names, got "staff"', 1, true))
    assert.truthy(raised(privileges.plan, {}, { user = "a", roles = { 5 } }):find("roles[1]: user must be a name, got 5", 1, true))
    assert.truthy(raised(privileges.plan, {}, { user = "a", dialct = "x" }):find('did you mean "dialect"?', 1, true))
    assert.truthy(raised(privileges.plan, {}, { user = "a", revoke_admin = 1 }):find("revoke_admin must be true or false", 1, true))
  end)

  it("takes single grants away, each in its own words", function()
    local extra = {
      { on = "role", name = "staff", privilege = "MEMBER" },
      { on = "database", database = "d", privilege = "CREATE" }, { on = "database", database = "d", privilege = "CONNECT" },
      { on = "schema", database = "d", schema = "s", privilege = "USAGE" },
      { on = "table", database = "d", schema = "s", name = "t", privilege = "SELECT" },
      { on = "table", database = "d", schema = "s", name = "t", privilege = "INSERT" },
      { on = "sequence", database = "d", schema = "s", name = "q", privilege = "USAGE" },
      { on = "future_table", database = "d", schema = "s", creator = "*", privilege = "SELECT" },
      { on = "future_sequence", database = "d", creator = "maker", privilege = "SELECT" },
      { on = "function", database = "d", schema = "s", name = "f", privilege = "EXECUTE" },
    }
    local list, left = plan.revoke(extra, { user = "app", dialect = "cockroachdb" })
    local texts = {}
    for i, text in ipairs(list) do texts[i] = text end
    assert.same({
      'REVOKE CONNECT, CREATE ON DATABASE "d" FROM "app"',
      'USE "d"',
      'ALTER DEFAULT PRIVILEGES FOR ROLE "maker" REVOKE SELECT ON SEQUENCES FROM "app"',
      'ALTER DEFAULT PRIVILEGES FOR ALL ROLES IN SCHEMA "s" REVOKE SELECT ON TABLES FROM "app"',
      'REVOKE "staff" FROM "app"',
      'REVOKE USAGE ON SCHEMA "d"."s" FROM "app"',
      'REVOKE USAGE ON SEQUENCE "d"."s"."q" FROM "app"',
      'REVOKE INSERT, SELECT ON TABLE "d"."s"."t" FROM "app"',
    }, texts)
    assert.same({ { on = "function", database = "d", schema = "s", name = "f", privilege = "EXECUTE" } }, left)
  end)
end)
