local core = require "crdbcloud.core"
local native = require "spec.support.native"
local temp = require "spec.support.temp"

local ENTRY = { host = "db.example.com", port = "26257", database = "shop", user = "app" }

-- The new content of a password file.
local function update(file, password, entry)
  return core.pgpass_update(file and core.secret(file), entry or ENTRY, core.secret(password or "new")):reveal()
end

local function message_of(f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  return message
end

local LINE = "db.example.com:26257:shop:app:new\n"

describe("a password file", function()
  it("is begun when there is none", function()
    assert.equal(LINE, update(nil))
    assert.equal(LINE, update "")
  end)

  it("has the entry's line replaced where it stands", function()
    assert.equal("# mine\n" .. LINE .. "other:1:a:b:c\n", update "# mine\ndb.example.com:26257:shop:app:old\nother:1:a:b:c\n")
    assert.equal(LINE .. "other:1:a:b:c", update "db.example.com:26257:shop:app:old\nother:1:a:b:c")
    assert.equal(LINE, update "db.example.com:26257:shop:app:old")
    assert.equal(LINE, update "db.example.com:26257:shop:app:o\\:l\\\\d:x\r\n")
    assert.equal(LINE, update(LINE))
  end)

  it("has the line appended when no line answers for the entry", function()
    assert.equal("other:1:a:b:c\n" .. LINE, update "other:1:a:b:c\n")
    assert.equal("other:1:a:b:c\n" .. LINE, update "other:1:a:b:c")
    assert.equal("\n\n" .. LINE, update "\n\n")
  end)

  it("keeps every other line byte for byte", function()
    local others = "# db.example.com:26257:shop:app:x\r\n\r\n  \ndb.example.com:26257:shop:app2:x\ndb.example.com:26257:shop\n" ..
      "db.example.com:26257:shop:app\ndb.example.com:26257:shop2:app:x\nDB.example.com:26257:shop:app:x\n\0\255garbage\n:::\\\n"
    assert.equal(others .. LINE, update(others))
  end)

  it("has the entry before a line whose wildcards would answer first", function()
    for _, wild in ipairs { "*:*:*:*:any\n", "db.example.com:*:*:app:any\n", "*:26257:shop:*:any\n" } do
      assert.equal("x:1:a:b:c\n" .. LINE .. wild, update("x:1:a:b:c\n" .. wild))
      assert.equal(LINE .. wild, update(wild .. "db.example.com:26257:shop:app:old\n"))
    end
    assert.equal(LINE .. "*:*:*:*:any", update "*:*:*:*:any")
    assert.equal("*:*:*:other:any\n" .. LINE, update "*:*:*:other:any\n")
    assert.equal("\\*:*:*:*:any\n" .. LINE, update "\\*:*:*:*:any\n")
    assert.equal("**:*:*:*:any\n" .. LINE, update "**:*:*:*:any\n")
  end)

  it("keeps a password from an earlier time only once, not in lines that libpq never reads", function()
    assert.equal(LINE .. "x:1:a:b:c\n", update "db.example.com:26257:shop:app:old\nx:1:a:b:c\ndb.example.com:26257:shop:app:older\n")
  end)

  it("has colons and backslashes escaped, and finds its line again", function()
    local entry = { host = "fe80::1", port = "1", database = "a\\b", user = "u:v" }
    local file = update("x:1:a:b:c\n", "p:w\\d", entry)
    assert.equal("x:1:a:b:c\nfe80\\:\\:1:1:a\\\\b:u\\:v:p\\:w\\\\d\n", file)
    assert.equal("x:1:a:b:c\nfe80\\:\\:1:1:a\\\\b:u\\:v:q\n", update(file, "q", entry))
    -- A field may be spelt with escapes that are not needed.
    assert.equal(LINE, update "\\d\\b.example.com:26257:\\shop:app:old\n")
  end)

  it("may have wildcards in the entry itself", function()
    local entry = { host = "db.example.com", port = "26257", database = "*", user = "app" }
    local file = update("db.example.com:26257:shop:app:special\n", "new", entry)
    assert.equal("db.example.com:26257:shop:app:special\ndb.example.com:26257:*:app:new\n", file)
    assert.equal("db.example.com:26257:shop:app:special\ndb.example.com:26257:*:app:newer\n", update(file, "newer", entry))
  end)

  it("loses an entry, and only that one", function()
    local others = "h:1:other:u:x\n# a comment\n*:*:*:*:y\n"
    local file = core.pgpass_update(core.secret(others), ENTRY, core.secret "z")
    assert.equal(others, core.pgpass_update(file, ENTRY, false):reveal())
    assert.equal("", core.pgpass_update(nil, ENTRY, false):reveal())
  end)

  it("is a secret, and what it cannot hold is refused without showing it", function()
    assert.is_true(core.is_secret(core.pgpass_update(nil, ENTRY, core.secret "x")))
    for _, password in ipairs { "s3cr\n3t", "s3cr3t\r", "s3cr\0et", "" } do
      local message = message_of(core.pgpass_update, nil, ENTRY, core.secret(password))
      assert.matches("^password: ", (message:gsub("^.-:%d+: ", "")))
      assert.is_nil(message:find "s3cr")
    end
    for _, field in ipairs { "host", "port", "database", "user" } do
      for _, wrong in ipairs { "", "a\nb", "a\0b" } do
        local entry = { host = "h", port = "1", database = "d", user = "u" }
        entry[field] = wrong
        assert.matches(field .. ": expected one line that is not empty", message_of(core.pgpass_update, nil, entry, core.secret "x"))
        entry[field] = nil
        assert.matches(field .. ": expected a string, got nil", message_of(core.pgpass_update, nil, entry, core.secret "x"))
      end
    end
    assert.matches("unknown option 'hosts'; expected one of: host, port, database, user", message_of(core.pgpass_update, nil, { hosts = "x" }, core.secret "x"))
    assert.matches("entry: expected a table", message_of(core.pgpass_update, nil, "x", core.secret "x"))
    assert.matches("file: expected a string or a secret, got number", message_of(core.pgpass_update, 1, ENTRY, core.secret "x"))
    assert.matches("password: expected a string or a secret, got nil", message_of(core.pgpass_update, nil, ENTRY))
  end)
end)

describe("libpq", function()
  teardown(temp.clean)

  it("takes the password that was written, whatever else the file holds", function()
    local dir = temp.dir()
    local program = native.program("passfile", nil, "$(pkg-config --cflags --libs libpq)")
    local path = dir .. "/pgpass"
    local function looked_up(entry)
      return (temp.run(("%s %s %s %s %s %s"):format(program, path, temp.quote(entry.host), temp.quote(entry.port),
        temp.quote(entry.database), temp.quote(entry.user))))
    end
    local entries = {
      ENTRY, { host = "fe80::1", port = "1", database = "a\\b:", user = "\\" }, { host = "#host", port = "5432", database = "#", user = "*" },
      { host = "a", port = "2", database = "a", user = "a" }, { host = "h", port = "3", database = "with space", user = "é" },
    }
    local passwords = { "plain", ":", "\\", "a\\:b::\\\\", "#x", " lead and trail ", "*", "é\\" }
    local first_lines = {
      "", "# comment", "*:*:*:*:wild", "a:*:a:*:wild", "nonsense", "::::", "*:*:*:app:wild\\", "db.example.com:26257:shop:app:old\r",
    }
    for i, password in ipairs(passwords) do
      local file = first_lines[i] .. "\n" .. (first_lines[i % #first_lines + 1])
      for _, entry in ipairs(entries) do file = update(file, password, entry) end
      assert(core.write_file(path, file))
      for _, entry in ipairs(entries) do assert.equal(password, looked_up(entry)) end
    end
  end)

  it("still takes the other passwords of the file", function()
    local dir = temp.dir()
    local program = native.program("passfile", nil, "$(pkg-config --cflags --libs libpq)")
    assert(core.write_file(dir .. "/pgpass", update "*:*:*:reporting:r3port\n*:*:*:*:wild\n"))
    for user, password in pairs { reporting = "r3port", nobody = "wild", app = "new" } do
      assert.equal(password, (temp.run(("%s %s/pgpass db.example.com 26257 shop %s"):format(program, dir, user))))
    end
  end)
end)
