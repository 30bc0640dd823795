local core = require "crdbcloud.core"
local temp = require "spec.support.temp"

local function key(byte) return core.secret(string.char(byte):rep(32)) end

local META = '{"user":"app"}'

local function seal(text, bound, k)
  return core.record_encode(META, { current = core.secret(text) }, { key = k or key(1), aad = { current = bound } })
end

-- The password, or nil and the code of the refusal.
local function open(file, bound, keys)
  local meta, secrets, code = core.record_decode(file, { keys = keys or { key(1) }, aad = { current = bound } })
  if not meta then
    assert(type(secrets) == "string")
    return nil, code, secrets
  end
  assert.equal(META, meta)
  return secrets.current:reveal()
end

local function raised(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  return message
end

-- The bytes of the one sealed secret in a record file.
local function sealed_bytes(file)
  local id, length, at = file:reveal():match "\nsecret current aes%-256%-gcm:(%x+) (%d+)\n()"
  return file:reveal():sub(at, at + length - 1), id
end

-- A record file with a right checksum, by the system's own tool.
local function checksummed(body)
  local path = temp.dir() .. "/body"
  temp.write(path, body)
  return body .. "sha256 " .. temp.run("sha256sum < " .. path):match "%x+" .. "\n"
end

describe("a sealed secret", function()
  teardown(temp.clean)

  it("opens with its key and what it is bound to, any bytes", function()
    for _, text in ipairs { "", "x", "correct-horse", ("\0\255\n"):rep(3000) } do
      for _, bound in ipairs { "", "a", ("cluster\nuser\n3\ncurrent\n"):rep(100) } do
        assert.equal(text, open(seal(text, bound), bound))
      end
    end
  end)

  it("is nonce, ciphertext and tag, with nothing of the text to be seen, and never the same twice", function()
    local seen = {}
    for _ = 1, 50 do
      local file = seal("correct-horse-battery", "b")
      local bytes, id = sealed_bytes(file)
      assert.equal(#"correct-horse-battery" + 28, #bytes)
      assert.equal(core.seal_key_id(key(1)), id)
      assert.is_nil(file:reveal():find("correct-horse", 1, true))
      assert.is_nil(seen[bytes:sub(1, 12)])
      seen[bytes:sub(1, 12)] = true
    end
  end)

  it("is AES-256-GCM as others know it", function()
    -- Test case 16 of the GCM specification (McGrew and Viega): key, nonce, associated data, ciphertext and tag.
    local k = core.secret "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308":decode "hex"
    local function bytes(hex) return core.secret(hex):decode("hex"):reveal() end
    local sealed = bytes("cafebabefacedbaddecaf888" ..
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662" ..
      "76fc6ece0f4e1768cddf8853bb2d551b")
    local file = checksummed(("crdbcloud-record 1\nmeta %d\n%s\nsecret current aes-256-gcm:%s %d\n%s\n"):format(#META, META,
      core.seal_key_id(k), #sealed, sealed))
    assert.equal(bytes("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"),
      open(file, bytes "feedfacedeadbeeffeedfacedeadbeefabaddad2", { k }))
  end)

  it("does not open where it is bound to something else", function()
    local file = seal("correct-horse", "cluster\nuser\n3\ncurrent")
    for _, bound in ipairs { "", "cluster\nuser\n3\ncurren", "cluster\nuser\n3\ncurrent\0", "cluster\nuser\n4\ncurrent" } do
      local text, code, message = open(file, bound)
      assert.is_nil(text)
      assert.equal("tampered", code)
      assert.matches("secret current does not open", message, 1, true)
    end
  end)

  it("does not open with any bit of it changed, or cut", function()
    local file = seal("pw", "b"):reveal()
    local body = file:match "^(.*)sha256 %x+\n$"
    local bytes = sealed_bytes(core.secret(file))
    local at = body:find(bytes, 1, true)
    for i = 0, #bytes - 1 do
      local changed = string.char((bytes:byte(i + 1) + 2 ^ (i % 8)) % 256)
      local text, code = open(checksummed(body:sub(1, at + i - 1) .. changed .. body:sub(at + i + 1)), "b")
      assert.is_nil(text)
      assert.equal("tampered", code)
    end
    for length = 0, #bytes - 1, 5 do
      local text, code = open(checksummed(("crdbcloud-record 1\nmeta %d\n%s\nsecret current aes-256-gcm:%s %d\n%s\n"):format(
        #META, META, core.seal_key_id(key(1)), length, bytes:sub(1, length))), "b")
      assert.is_nil(text)
      assert.equal("tampered", code)
    end
  end)

  it("names the key that it needs when that was not given", function()
    local file = seal("pw", "b")
    for _, keys in ipairs { {}, { key(2), key(3) } } do
      local text, code, message = open(file, "b", keys)
      assert.is_nil(text)
      assert.equal("sealed", code)
      assert.matches("sealed with key " .. core.seal_key_id(key(1)), message, 1, true)
    end
    local meta, _, code = core.record_decode(file)
    assert.is_nil(meta)
    assert.equal("sealed", code)
    assert.equal("pw", open(file, "b", { key(2), key(1) }))
  end)

  it("does not keep the rest of a record from being read", function()
    local meta, forms = core.record_meta(seal("pw", "b"))
    assert.equal(META, meta)
    assert.same({ current = core.seal_key_id(key(1)) }, forms)
    meta, forms = core.record_meta(core.record_encode("{}", { a = core.secret "x" }))
    assert.equal("{}", meta)
    assert.same({ a = "plain" }, forms)
    local none, message, code = core.record_meta "crdbcloud-record 1\n"
    assert.is_nil(none)
    assert.is_string(message)
    assert.equal("torn", code)
  end)

  it("is made and opened with whole keys, and something to bind to, only", function()
    local function encode(options) return core.record_encode("{}", { a = core.secret "x" }, options) end
    assert.matches("key: expected a secret of 32 bytes, got one of 5", raised(encode, { key = core.secret "short", aad = { a = "" } }), 1, true)
    assert.matches("secret: expected a secret, got string", raised(encode, { key = "text", aad = { a = "" } }), 1, true)
    assert.matches("aad: expected a table of strings, got nil", raised(encode, { key = key(1) }), 1, true)
    assert.matches("aad: expected a string for 'a', got nil", raised(encode, { key = key(1), aad = {} }), 1, true)
    assert.matches("aad: expected a string for 'a', got number", raised(encode, { key = key(1), aad = { a = 1 } }), 1, true)
    assert.matches('record_encode: unknown', raised(encode, { keys = {} }), 1, true)
    local file = encode { key = key(1), aad = { a = "" } }
    assert.matches("keys: expected a list of secrets, got nil", raised(core.record_decode, file, {}), 1, true)
    assert.matches("aad: expected a table of strings, got nil", raised(core.record_decode, file, { keys = { key(1) } }), 1, true)
    assert.matches("secret: expected a secret, got string", raised(core.record_decode, file, { keys = { "k" }, aad = { a = "" } }), 1, true)
  end)
end)

describe("a file of keys", function()
  local HEX = ("0123456789abcdef"):rep(4)
  local BYTES = ("\1\35\69\103\137\171\205\239"):rep(4)

  local function keys(text)
    local found, message, code = core.seal_keys(core.secret(text))
    if not found then return nil, code, message end
    for i, k in ipairs(found) do found[i] = k:reveal() end
    return found
  end

  it("holds one a line, in hexadecimal or base64, beside comments", function()
    assert.same({ BYTES }, keys(HEX))
    assert.same({ BYTES, BYTES, BYTES }, keys(("# made in May\n\n  %s\r\n\t%s \n%s"):format(HEX, HEX:upper(),
      core.secret(BYTES):encode("base64"):reveal())))
    assert.same({ BYTES }, keys((core.secret(BYTES):encode("base64"):reveal():gsub("=", ""))))
  end)

  it("is what openssl makes", function()
    local hex, base64 = temp.run "openssl rand -hex 32", temp.run "openssl rand -base64 32"
    assert.equal(2, #keys(hex .. base64))
  end)

  it("is refused by the number of the line that is no key, without showing it", function()
    for _, bad in ipairs { HEX .. "0", HEX:sub(1, 62), HEX:gsub("f", "g"), "secret words", ("A"):rep(40), ("A"):rep(42) .. "B=", ("="):rep(44) } do
      local found, code, message = keys("# first\n" .. HEX .. "\n" .. bad .. "\n")
      assert.is_nil(found)
      assert.equal("key", code)
      assert.matches("line 3 is no key: expected 32 bytes as 64 hexadecimal digits or as base64", message, 1, true)
      assert.is_nil(message:find(bad, 1, true))
    end
  end)

  it("is refused without a key, and with more than 64", function()
    for _, text in ipairs { "", "\n\n", "# only words", "   " } do assert.equal("empty", (select(2, keys(text)))) end
    assert.equal(64, #keys((HEX .. "\n"):rep(64)))
    assert.equal("large", (select(2, keys((HEX .. "\n"):rep(65)))))
  end)

  it("names its keys by the start of their hash", function()
    local path = temp.dir() .. "/key"
    temp.write(path, BYTES)
    assert.equal(temp.run("sha256sum < " .. path):sub(1, 16), core.seal_key_id(core.secret(BYTES)))
    assert.matches("key: expected a secret of 32 bytes", raised(core.seal_key_id, core.secret "x"), 1, true)
    temp.clean()
  end)
end)

describe("secret:decode", function()
  it("undoes secret:encode", function()
    for _, text in ipairs { "", "a", "ab", "abc", "abcd", ("\0\255\128"):rep(100) } do
      for _, form in ipairs { "hex", "base64" } do
        assert.equal(text, core.secret(text):encode(form):decode(form):reveal())
      end
    end
    assert.equal("\171\205", core.secret("aBCd"):decode("hex"):reveal())
    assert.equal("a", core.secret("YQ"):decode("base64"):reveal())
  end)

  it("refuses what is no such text, and does not show it", function()
    for form, texts in pairs {
      hex = { "a", "0g", "00 ", " 00", "0x00" },
      base64 = { "A", "AAAAA", "AA=", "A===", "====", "AA==AA==", "AB", "AAB=", "AA-_", "AA\nAA", "=" },
    } do
      for _, text in ipairs(texts) do
        local found, message = core.secret(text):decode(form)
        assert.is_nil(found, text)
        assert.equal("the secret is no " .. (form == "hex" and "hexadecimal" or "base64"), message)
      end
    end
    assert.matches("form: expected hex or base64, got 'json'", raised(function() core.secret("x"):decode "json" end), 1, true)
  end)
end)
