-- Tests csrc/lua/record.c.

local core = require "crdbcloud.core"

local META = '{"state":"staged","user":"app"}'

local function message_of(f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  return message
end

local function example()
  return core.record_encode(META, { staged = core.secret "new:p\\w\n", current = core.secret "old" }):reveal()
end

-- The code with which bytes are refused, or nil when they are read.
local function refusal(bytes)
  local meta, message, code = core.record_decode(bytes)
  if meta then return nil end
  assert(type(message) == "string")
  return code
end

-- The body with a right checksum, by the system's own tool.
local function sealed_with_checksum(body)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(body)
  file:close()
  local pipe = io.popen("sha256sum < " .. path)
  local hex = pipe:read(64)
  pipe:close()
  os.remove(path)
  return body .. "sha256 " .. hex .. "\n"
end

describe("a record file", function()
  it("is spelt as documented", function()
    assert.equal(sealed_with_checksum("crdbcloud-record 1\nmeta " .. #META .. "\n" .. META ..
      "\nsecret current plain 3\nold\nsecret staged plain 8\nnew:p\\w\n\n"), example())
    assert.equal(sealed_with_checksum "crdbcloud-record 1\nmeta 2\n{}\n", core.record_encode("{}", {}):reveal())
  end)

  it("gives back what went in, any bytes", function()
    local values = { a = "", b = "\n", c = ("\0\255"):rep(40000), d = "sha256 " .. ("0"):rep(64) .. "\n", e = "secret a plain 1\nx" }
    for _, meta in ipairs { "", "\n", META, ("m"):rep(100000) } do
      local secrets = {}
      for name, value in pairs(values) do secrets[name] = core.secret(value) end
      local file = core.record_encode(meta, secrets)
      assert.is_true(core.is_secret(file))
      local read, found = core.record_decode(file)
      assert.equal(meta, read)
      for name, value in pairs(values) do
        assert.is_true(core.is_secret(found[name]))
        assert.equal(value, found[name]:reveal())
        found[name] = nil
      end
      assert.is_nil(next(found))
    end
  end)

  it("is the same whatever the order of the table", function()
    local forward, backward = {}, {}
    local names = {}
    for i = 1, 26 do names[i] = string.char(96 + i) end
    for i = 1, 26 do forward[names[i]] = core.secret(names[i]) end
    for i = 26, 1, -1 do backward[names[i]] = core.secret(names[i]) end
    assert.equal(core.record_encode("{}", forward):reveal(), core.record_encode("{}", backward):reveal())
  end)

  it("that was cut at any byte is refused as torn", function()
    local file = example()
    for length = 0, #file - 1 do assert.equal("torn", refusal(file:sub(1, length))) end
  end)

  it("with any bit changed is refused", function()
    local file = example()
    local header = #"crdbcloud-record 1\n"
    for at = 1, #file do
      local byte = file:byte(at)
      for bit = 0, 7 do
        local changed = byte + (math.floor(byte / 2 ^ bit) % 2 == 0 and 2 ^ bit or -2 ^ bit)
        local code = refusal(file:sub(1, at - 1) .. string.char(changed) .. file:sub(at + 1))
        assert(code, "bit " .. bit .. " of byte " .. at)
        if at > header then assert.equal("torn", code) end
      end
    end
  end)

  it("with a byte more or less, or two blocks exchanged, is refused", function()
    local file = example()
    for _, extra in ipairs { "\n", "\0", "x", file } do assert.equal("torn", refusal(file .. extra)) end
    for at = 1, #file do
      assert(refusal(file:sub(1, at - 1) .. file:sub(at + 1)), "without byte " .. at)
      assert(refusal(file:sub(1, at) .. " " .. file:sub(at + 1)), "with a space after byte " .. at)
    end
    local one, two = file:match "(secret current.-\n.-\n)(secret staged.-\n.-\n\n)"
    assert.equal("torn", refusal((file:gsub("secret.*\n\n", function() return two .. one end))))
  end)

  it("of another kind is foreign", function()
    for _, bytes in ipairs { "hello\n", "{}", "\0", "crdbcloud-recordings 1\n", " crdbcloud-record 1\n", "CRDBCLOUD-RECORD 1\n" } do
      assert.equal("foreign", refusal(bytes))
    end
    for _, version in ipairs { "0", "01", "x", "1 ", "", "-1" } do
      assert.equal("foreign", refusal(sealed_with_checksum("crdbcloud-record " .. version .. "\nmeta 2\n{}\n")))
    end
  end)

  it("with a right checksum but a wrong shape is foreign", function()
    local head = "crdbcloud-record 1\n"
    for _, body in ipairs {
      "", "meta 2\n{}", "meta 3\n{}\n", "meta 1\n{}\n", "meta 02\n{}\n", "meta +2\n{}\n", "meta 99999999999999999999\n{}\n", "meta \n\n",
      "Meta 2\n{}\n", "meta 2\n{}\nx", "meta 2\n{}\nsecret A plain 1\nx\n", "meta 2\n{}\nsecret  plain 1\nx\n",
      "meta 2\n{}\nsecret " .. ("a"):rep(33) .. " plain 1\nx\n", "meta 2\n{}\nsecret a plain\nx\n", "meta 2\n{}\nsecret a plain 2\nx\n",
      "meta 2\n{}\nsecret b plain 1\nx\nsecret a plain 1\nx\n", "meta 2\n{}\nsecret a plain 1\nx\nsecret a plain 1\nx\n",
    } do
      assert.equal("foreign", refusal(sealed_with_checksum(head .. body)))
    end
  end)

  it("of a later format is newer", function()
    local meta, message, code = core.record_decode(sealed_with_checksum "crdbcloud-record 12\nanything")
    assert.is_nil(meta)
    assert.equal("newer", code)
    assert.matches("format 12", message)
  end)

  it("with a secret in a form of a later version is newer, and says which", function()
    for _, form in ipairs { "aes-256-gcm:key7", "aes-256-gcm:0123456789ABCDEF", "aes-256-gcm:0123456789abcdef0", "xchacha20", "Plain" } do
      local meta, message, code = core.record_decode(sealed_with_checksum(
        "crdbcloud-record 1\nmeta 2\n{}\nsecret current " .. form .. " 4\nabcd\n"))
      assert.is_nil(meta)
      assert.equal("newer", code)
      assert.truthy(message:find("does not know: " .. form, 1, true))
    end
  end)

  it("shows no content in the reason for its refusal", function()
    for _, file in ipairs { example():gsub("old", "OLD"), (example():gsub("secret staged", "secret Staged")) } do
      local _, message = core.record_decode(file)
      for _, word in ipairs { "old", "OLD", "new:p", "app" } do assert.is_nil(message:find(word, 1, true)) end
    end
  end)

  it("is made of metadata and named secrets only", function()
    local one = core.secret "x"
    assert.matches("meta: expected a string, got table", message_of(core.record_encode, {}, {}))
    assert.matches("secrets: expected a table of secrets, got nil", message_of(core.record_encode, "{}"))
    assert.matches("secrets: expected 'password' to be a secret, got string", message_of(core.record_encode, "{}", { password = "s3cr3t" }))
    assert.matches("expected names of 1 to 32", message_of(core.record_encode, "{}", { Upper = one }))
    assert.matches("expected names of 1 to 32", message_of(core.record_encode, "{}", { [("a"):rep(33)] = one }))
    assert.matches("secrets: name: expected a string, got number", message_of(core.record_encode, "{}", { one }))
    local many = {}
    for i = 1, 33 do many[("a"):rep(i % 32 + 1) .. (i > 31 and "_" or "")] = one end
    many.aaa_, many.aa_ = one, one
    assert.matches("at most 32", message_of(core.record_encode, "{}", many))
    one:close()
    assert.matches("secret is closed", message_of(core.record_encode, "{}", { a = one }))
    assert.matches("record: expected a string or a secret, got nil", message_of(core.record_decode, nil))
  end)
end)
