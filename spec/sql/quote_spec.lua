local quote = require "crdbcloud.sql.quote"
local sqls = require "crdbcloud.sql"
local postgres = require "spec.support.servers.postgres".shared()

local function raised(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  return message
end

local HOSTILE = {
  'a"b', '"', '""', "a'b", "a\\b", "a;b", "a--b", "/*", "$1", "$$", "select", "user", "public", "Upper", " ", "a b", "a.b",
  "ä", "日本", "-", "--", "%s", "\t", "a\nb", "current_user", "'; DROP TABLE x; --", '"; DROP TABLE x; --', ("x"):rep(63),
}

describe("crdbcloud.sql.quote", function()
  local sql
  setup(function() sql = assert(sqls.connect(postgres:params())) end)
  teardown(function() sql:close() end)

  it("writes identifiers in double quotes, doubling those inside", function()
    assert.equal('"orders"', quote.identifier "orders")
    assert.equal('"a""b"', quote.identifier 'a"b')
    assert.equal('"shop"."public"."a""b"', quote.qualified("shop", "public", 'a"b'))
    assert.equal('"a", "b c"', quote.identifiers { "a", "b c" })
  end)

  it("writes literals in single quotes, with E where there is a backslash", function()
    assert.equal("'it''s'", quote.literal "it's")
    assert.equal("E'a\\\\b'", quote.literal "a\\b")
    assert.equal("''", quote.literal "")
  end)

  it("makes names that the real server takes as exactly those", function()
    for _, name in ipairs(HOSTILE) do
      local rows, err = sql:query("SELECT 1 AS " .. quote.identifier(name))
      assert(rows, name .. ": " .. tostring(err))
      assert.same({ name }, rows.columns)
    end
  end)

  it("makes tables and schemas of hostile names that only their own name finds", function()
    for i, name in ipairs(HOSTILE) do
      if i % 3 == 0 or #name < 63 then
        local schema = quote.identifier("s" .. name:sub(1, 60))
        assert(sql:query("DROP SCHEMA IF EXISTS " .. schema .. " CASCADE"))
        assert(sql:query("CREATE SCHEMA " .. schema))
        assert(sql:query(("CREATE TABLE %s (i int)"):format(quote.qualified("s" .. name:sub(1, 60), name))))
        local rows = assert(sql:query("SELECT relname FROM pg_class WHERE oid = $1::regclass", quote.qualified("s" .. name:sub(1, 60), name)))
        assert.equal(name, rows[1].relname)
        assert(sql:query("DROP SCHEMA " .. schema .. " CASCADE"))
      end
    end
  end)

  it("makes literals that come back byte for byte, whatever standard_conforming_strings says", function()
    for _, setting in ipairs { "on", "off" } do
      assert(sql:query("SET standard_conforming_strings = " .. setting))
      for _, value in ipairs(HOSTILE) do
        local rows, err = sql:query("SELECT " .. quote.literal(value) .. " AS value")
        assert(rows, value .. ": " .. tostring(err))
        assert.equal(value, rows[1].value)
      end
    end
    assert(sql:query "RESET standard_conforming_strings")
  end)

  it("reads dotted names as the server writes them", function()
    for _, name in ipairs(HOSTILE) do
      local rows = assert(sql:query("SELECT quote_ident($1) || '.' || quote_ident($2) AS dotted", name, "x" .. name))
      assert.same({ name, "x" .. name }, quote.split(rows[1].dotted))
    end
    assert.same({ "orders" }, quote.split "orders")
    assert.same({ "a", "b", "c" }, quote.split 'a."b".c')
  end)

  it("does not take broken dotted names for names", function()
    for _, text in ipairs { "", ".", "a.", ".a", "a..b", '"a', '"a"b', '""', 'a."' } do
      assert.is_nil(quote.split(text), text)
    end
  end)

  it("raises for what cannot be a name or a value", function()
    assert.truthy(raised(quote.identifier, ""):find("identifier is empty", 1, true))
    assert.truthy(raised(quote.identifier, "a\0b"):find("identifier holds a NUL byte, which SQL text cannot", 1, true))
    assert.truthy(raised(quote.identifier):find("identifier must be a string, got nothing", 1, true))
    assert.truthy(raised(quote.identifier, 5):find("identifier must be a string, got 5", 1, true))
    assert.truthy(raised(quote.qualified, "a", nil):find("identifier must be a string, got nothing", 1, true))
    assert.truthy(raised(quote.literal, {}):find("value must be a string, got a table", 1, true))
    assert.truthy(raised(quote.literal, "\0"):find("value holds a NUL byte", 1, true))
  end)
end)
