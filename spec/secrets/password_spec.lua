-- Tests csrc/lua/password.c.
local core = require "crdbcloud.core"
local native = require "spec.support.native"
local temp = require "spec.support.temp"

local LOWER, UPPER, DIGITS = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"

local function message_of(f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  return message
end

-- Pearson's sum over the counts of the alphabet's bytes, each expected equally often.
local function chi_square(counts, alphabet, total)
  local expected, sum = total / #alphabet, 0
  for byte in alphabet:gmatch "." do sum = sum + ((counts[byte] or 0) - expected) ^ 2 / expected end
  return sum
end

-- A sum of k squares has mean k and variance 2k; six deviations are met once in many millions of runs.
local function limit(alphabet)
  local k = #alphabet - 1
  return k + 6 * math.sqrt(2 * k) + 20
end

describe("a generated password", function()
  it("has the length asked for, letters and digits, and begins with a letter", function()
    for _, length in ipairs { 1, 2, 12, 32, 500, 4096 } do
      for _ = 1, 20 do
        local password = core.password(length):reveal()
        assert.equal(length, #password)
        assert.matches("^%a%w*$", password)
      end
    end
  end)

  it("has 32 characters unless another length is asked for", function()
    assert.matches("^%a%w*$", core.password():reveal())
    assert.equal(32, #core.password())
    assert.equal(32, #core.password(nil, "ab"))
  end)

  it("is a secret, and no two are alike", function()
    local seen = {}
    for _ = 1, 2000 do
      local password = core.password(16)
      assert.is_true(core.is_secret(password))
      assert.is_nil(seen[password:reveal()])
      seen[password:reveal()] = true
    end
  end)

  it("takes each character equally often, the first among the letters", function()
    for _, alphabet in ipairs { LOWER .. UPPER .. DIGITS, LOWER .. UPPER .. DIGITS .. "-_", "abc", "01" } do
      local counts, first, passwords, length = {}, {}, 2000, 33
      for _ = 1, passwords do
        local password = core.password(length, alphabet):reveal()
        local letter = password:sub(1, 1)
        first[letter] = (first[letter] or 0) + 1
        for byte in password:sub(2):gmatch "." do counts[byte] = (counts[byte] or 0) + 1 end
      end
      local letters = alphabet:gsub("%A", "")
      if letters == "" then letters = alphabet end
      assert.is_true(chi_square(counts, alphabet, passwords * (length - 1)) < limit(alphabet))
      assert.is_true(chi_square(first, letters, passwords) < limit(letters))
    end
  end)

  it("may use all 256 bytes", function()
    local all = {}
    for byte = 0, 255 do all[#all + 1] = string.char(byte) end
    local alphabet, counts = table.concat(all), {}
    local password = core.password(4096, alphabet):reveal()
    for i = 2, #password do
      local byte = password:sub(i, i)
      counts[byte] = (counts[byte] or 0) + 1
    end
    assert.is_true(chi_square(counts, alphabet, 4095) < limit(alphabet))
    assert.matches("^%a", password)
  end)

  it("has a character of each class", function()
    local classes = { UPPER, LOWER, DIGITS, "-_" }
    for _ = 1, 500 do
      local password = core.password(8, UPPER .. LOWER .. DIGITS .. "-_", classes):reveal()
      for _, pattern in ipairs { "%u", "%l", "%d", "[-_]" } do assert.matches(pattern, password) end
      assert.matches("^%a", password)
    end
  end)

  it("is equally likely to be any that meets the policy", function()
    -- Of the two-letter words over a, b, 1 with a digit in them only a1 and b1 begin with a letter.
    local counts = {}
    for _ = 1, 4000 do
      local password = core.password(2, "ab1", { "1" }):reveal()
      counts[password] = (counts[password] or 0) + 1
    end
    assert.equal(4000, counts.a1 + counts.b1)
    assert.is_true((counts.a1 - 2000) ^ 2 / 1000 < 40)
    -- Three bytes over a, b with both in them: six words.
    counts = {}
    for _ = 1, 6000 do
      local password = core.password(3, "ab", { "a", "b" }):reveal()
      counts[password] = (counts[password] or 0) + 1
    end
    local sum = 0
    for _, word in ipairs { "aab", "aba", "abb", "baa", "bab", "bba" } do sum = sum + (counts[word] - 1000) ^ 2 / 1000 end
    assert.is_true(sum < 55)
  end)

  it("that cannot exist is refused at once", function()
    for _, policy in ipairs {
      { 12, nil, { "-" } },                         -- not in the alphabet
      { 2, nil, { LOWER, UPPER, DIGITS } },         -- fewer places than classes
      { 1, "ab1", { "1" } },                        -- the first is a letter
      { 500, "ab", { "" } },                        -- nothing is of an empty class
    } do
      local password, message = core.password(policy[1], policy[2], policy[3])
      assert.is_nil(password)
      assert.matches("no password of this length", message)
    end
  end)

  it("that hardly exists is refused rather than searched for", function()
    local alphabet = {}
    for byte = 0, 255 do alphabet[#alphabet + 1] = string.char(byte) end
    local password, message = core.password(5, table.concat(alphabet), { "\1", "\2", "\3", "\4" })
    assert.is_nil(password)
    assert.matches("one in a million", message)
  end)

  it("is not asked for in a way that means something else", function()
    for _, length in ipairs { 0, -1, 4097, 3.5, 1 / 0, 0 / 0 } do
      assert.matches("length: expected a whole number from 1", message_of(core.password, length))
    end
    assert.matches("length: expected a whole number, got string", message_of(core.password, "12"))
    assert.matches("alphabet: expected a string, got number", message_of(core.password, 12, 5))
    assert.matches("alphabet: expected 2 to 256", message_of(core.password, 12, "a"))
    assert.matches("alphabet: expected distinct bytes, but byte 3 repeats", message_of(core.password, 12, "aba"))
    assert.matches("classes: expected a list", message_of(core.password, 12, nil, "abc"))
    assert.matches("classes: expected a string, got number", message_of(core.password, 12, nil, { 1 }))
    assert.matches("classes: expected at most 8", message_of(core.password, 12, nil, { "a", "b", "c", "d", "e", "f", "g", "h", "i" }))
    assert.matches("too many arguments", message_of(core.password, 12, nil, nil, 1))
  end)

  it("is never the same in two children of one process", function()
    local dir = temp.dir()
    local forking = native.module("forking")
    core.password(32)
    local children = {}
    for i = 1, 2 do
      local child = forking.fork()
      if child == 0 then
        temp.write(dir .. "/" .. i, core.password(32):reveal() .. core.random_hex(16))
        forking.leave(0)
      end
      children[i] = child
    end
    for i = 1, 2 do assert.equal(0, forking.wait(children[i])) end
    local one, two = temp.read(dir .. "/1"), temp.read(dir .. "/2")
    temp.clean()
    assert.equal(64, #one)
    assert.is_true(one:sub(1, 32) ~= two:sub(1, 32))
    assert.is_true(one:sub(33) ~= two:sub(33))
  end)
end)

describe("a random id", function()
  it("is two lower-case digits per byte", function()
    local seen = {}
    for bytes = 1, 64 do
      local id = core.random_hex(bytes)
      assert.equal(2 * bytes, #id)
      assert.matches("^[0-9a-f]+$", id)
    end
    for _ = 1, 1000 do seen[core.random_hex(8)] = true end
    local count = 0
    for _ in pairs(seen) do count = count + 1 end
    assert.equal(1000, count)
  end)

  it("has 1 to 64 bytes", function()
    for _, bytes in ipairs { 0, 65, 1.5 } do
      assert.matches("bytes: expected a whole number from 1", message_of(core.random_hex, bytes))
    end
  end)
end)

describe("a password that a person chose", function()
  it("judges any length, and the first thing that is wrong", function()
    for _, case in ipairs {
      { "", nil }, { "\255\n", "utf8" }, { "md5\n", "control" }, { "\127", "control" }, { "$2a$", "hash" }, { "$2c$", nil },
      { "md5" .. ("0"):rep(31) .. "g", nil }, { "md5" .. ("0"):rep(33), nil }, { "md4" .. ("0"):rep(32), nil },
      { "test", "common" }, { "tester", nil }, { "TEST-1", "common" }, { ("x"):rep(5000), nil },
    } do
      assert.equal(case[2], core.password_problem(case[1]))
      assert.equal(case[2], core.password_problem(core.secret(case[1]), nil, {}))
    end
  end)

  it("looks at what was generated of other bytes than printable ones", function()
    assert.equal("control", core.password_problem(core.password(40, "\1\2")))
    assert.is_nil(core.password_problem(core.password(40, "ab"), nil, {}))
  end)

  it("refuses other things than a list of strings", function()
    assert.error_matches(function() core.password_problem("abc", nil, "abc") end, "words: expected a list of strings, got string")
    assert.error_matches(function() core.password_problem("abc", nil, { 1 }) end, "words: entry")
    assert.error_matches(function() core.password_problem("abc", 1) end, "user: expected a string, got number")
    assert.error_matches(function() core.password_problem(1) end, "password")
    assert.has_error(function() core.password_problem("abc", nil, {}, 1) end)
  end)
end)
