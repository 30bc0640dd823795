local cjson = require "cjson"
local errors = require "crdbcloud.errors"
local privileges = require "crdbcloud.privileges"

local normalize = privileges.normalize

local function one(entry)
  local list, err = normalize(entry)
  assert(list, tostring(err))
  assert.equal(1, #list)
  return list[1]
end

describe("crdbcloud.privileges.normalize", function()
  it("fills in schema, tables, sequences and future", function()
    assert.same({ database = "shop", schema = "public", tables = "*", privileges = { "SELECT" }, sequences = true, future = true },
      one { database = "shop", preset = "readonly" })
  end)

  it("means only the listed tables by a list: no sequences, no tables to come", function()
    assert.same({ database = "shop", schema = "public", tables = { "customers", "orders" }, privileges = { "INSERT", "SELECT" },
      sequences = false, future = false },
      one { database = "shop", tables = { "orders", "customers", "orders" }, privileges = { "select", "INSERT", "Select" } })
    assert.is_true(one { database = "shop", tables = { "orders" }, privileges = { "SELECT" }, sequences = true }.sequences)
  end)

  it("spells presets out, but ddl, which depends on the server", function()
    assert.same({ "DELETE", "INSERT", "SELECT", "UPDATE" }, one { database = "d", preset = "readwrite" }.privileges)
    local ddl = one { database = "d", preset = "ddl" }
    assert.same({ "ddl", nil }, { ddl.preset, ddl.privileges })
  end)

  it("gives equal lists for what means the same", function()
    local a = normalize { { database = "b", preset = "readonly" }, { database = "a", tables = { "y", "x" }, privileges = { "SELECT" } } }
    local b = normalize {
      { database = "a", schema = "public", tables = { "x", "y" }, privileges = { "select" }, future = false },
      { database = "b", privileges = { "SELECT" }, tables = "*" }, { database = "b", preset = "readonly" },
    }
    assert.same(a, b)
  end)

  it("gives back what it would take again, also after JSON", function()
    for _, access in ipairs {
      { database = "d", preset = "ddl" }, { database = "d", preset = "readwrite", future = false },
      { { database = "d", tables = { "b", "a" }, privileges = { "INSERT" }, sequences = true }, { database = "c", preset = "readonly" } },
      { database = "d", preset = "readonly", creators = { "Migrator", "app" } }, {},
    } do
      local list = assert(normalize(access))
      assert.same(list, normalize(list))
      assert.same(list, normalize(cjson.decode(cjson.encode(list))))
    end
  end)

  it("folds creators, which are roles, but no names of tables", function()
    assert.same({ "migrator" }, one { database = "d", preset = "readonly", creators = { "Migrator" } }.creators)
    assert.same({ "Orders" }, one { database = "D", tables = { "Orders" }, privileges = { "SELECT" } }.tables)
  end)

  it("takes nothing for no access", function()
    assert.same({}, normalize(nil))
    assert.same({}, normalize {})
  end)

  it("does not write into what it was given", function()
    local given = { database = "d", tables = { "b", "a" }, privileges = { "select" } }
    normalize(given)
    assert.same({ database = "d", tables = { "b", "a" }, privileges = { "select" } }, given)
  end)

  local refusals = {
    { "x", 'access must be a table such as { database = "shop", preset = "readonly" }, got "x"' },
    { { { database = "d", preset = "readonly" }, database = "d" }, 'access must be one entry or a list of entries, not both: found "database" beside a list' },
    { { "d" }, 'access[1]: must be a table, got "d"' },
    { { preset = "readonly" }, "access: database is missing" },
    { { database = 5, preset = "readonly" }, "access: database must be a string, got 5" },
    { { database = "", preset = "readonly" }, "access: database is empty" },
    { { database = "a\nb", preset = "readonly" }, 'access: database must not hold control characters, got "a b"' },
    { { databse = "d" }, 'access: unknown field "databse"; did you mean "database"?' },
    { { database = "d" }, "access: privileges is missing" },
    { { database = "d", preset = "readonly", privileges = { "SELECT" } }, "access: give privileges or preset, not both" },
    { { database = "d", preset = "admin" }, 'access: preset must be readonly, readwrite or ddl, got "admin"' },
    { { database = "d", privileges = "SELECT" }, 'access: privileges must be a list such as { "SELECT", "INSERT" }, got "SELECT"' },
    { { database = "d", privileges = {} }, "access: privileges is an empty list; leave the entry out to give nothing" },
    { { database = "d", privileges = { SELECT = true } }, "access: privileges is an empty list; leave the entry out to give nothing" },
    { { database = "d", privileges = { "SELECT", x = 1 } }, "access: privileges must be a plain list" },
    { { database = "d", privileges = { "SELCT" } }, 'access: privileges: "SELCT" is no privilege on tables; did you mean SELECT?' },
    { { database = "d", privileges = { "ALL" } }, "access: privileges: ALL is not taken, it includes DROP and BACKUP; name the ones that are needed" },
    { { database = "d", privileges = { "connect" } },
      "access: privileges: CONNECT is given with the database and schema by itself; name privileges on tables" },
    { { database = "d", privileges = { "EXECUTE" } }, 'access: privileges: "EXECUTE" is no privilege on tables' },
    { { database = "d", privileges = { 5 } }, "access: privileges[1] must be a string, got 5" },
    { { database = "d", preset = "readonly", tables = "orders" }, 'access: tables must be "*" or a list, got "orders"; write tables = { "orders" }' },
    { { database = "d", preset = "readonly", tables = {} }, "access: tables is an empty list; leave the entry out to give nothing" },
    { { database = "d", preset = "readonly", tables = { "*" } }, 'access: tables: write tables = "*" for all of them, not in a list' },
    { { database = "d", preset = "readonly", tables = { "" } }, "access: tables[1] is empty" },
    { { database = "d", preset = "readonly", tables = 5 }, 'access: tables must be "*" or a list of names, got 5' },
    { { database = "d", preset = "readonly", schema = "" }, "access: schema is empty" },
    { { database = "d", preset = "readonly", schema = {} }, "access: schema must be a string, got a table" },
    { { database = "d", preset = "readonly", sequences = "yes" }, 'access: sequences must be true or false, got "yes"' },
    { { database = "d", preset = "readonly", future = 1 }, "access: future must be true or false, got 1" },
    { { database = "d", preset = "readonly", tables = { "t" }, future = true }, 'access: future: tables to come can only be meant with tables = "*"' },
    { { database = "d", preset = "readonly", future = false, creators = { "x" } },
      "access: creators says whose future tables are meant, but future is not set" },
    { { database = "d", preset = "readonly", creators = "x" }, 'access: creators must be a list of roles, got "x"' },
    { { database = "system", preset = "readonly" }, "access: database system belongs to the cluster itself; rights there lead to everybody's" },
    { { database = "d", schema = "pg_catalog", preset = "readonly" },
      "access: schema pg_catalog belongs to the cluster itself; rights there lead to everybody's" },
    { { { database = "a", preset = "readonly" }, { database = "b" } }, "access[2]: privileges is missing" },
  }
  for _, case in ipairs(refusals) do
    it("refuses: " .. case[2], function()
      local list, err = normalize(case[1])
      assert.is_nil(list)
      assert.is_true(errors.is(err))
      assert.same({ "invalid_argument", "not_sent", 2, case[2] }, { err.kind, err.outcome, err.exit, err.message })
    end)
  end
end)
