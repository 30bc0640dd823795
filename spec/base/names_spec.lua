local core = require "crdbcloud.core"

describe("folding a name", function()
  it("makes lower case and composes, as CockroachDB does", function()
    local cases = {
      { "payments", "payments" },
      { "Payment_Service-2.EU", "payment_service-2.eu" },
      { "", "" },
      { "ÄÖÜ", "äöü" },
      { "ΣΑΣ", "σασ" },                              -- rune by rune: no final sigma
      { "STRASSE ẞ", "strasse ß" },
      { "e\204\129", "é" },                          -- e and a combining acute become one
      { "E\204\129", "é" },
      { "\226\132\170elvin", "kelvin" },             -- the Kelvin sign
      { "\196\176stanbul", "istanbul" },             -- dotted capital I
      { "d\196\177\197\159", "di\197\159" },         -- dotless small i
      { "\225\132\146\225\133\161\225\134\171", "한" }, -- Hangul jamo
      { "\200\186", "\226\177\165" },                -- lower case longer than upper case
      { "a\0B", "a\0b" },
      { ("É"):rep(40), ("é"):rep(40) },
    }
    for _, case in ipairs(cases) do assert.equal(case[2], (core.fold_name(case[1]))) end
  end)

  it("changes nothing the second time", function()
    for _, name in ipairs { "Ä\204\136", "\196\176\204\135", "ﬀ", "Ǆ", "K\204\129" } do
      local folded = core.fold_name(name)
      assert.equal(folded, (core.fold_name(folded)))
    end
  end)

  it("refuses what is not UTF-8", function()
    for _, name in ipairs { "\255", "a\128", "\195", "\237\160\128", "\192\175", "\244\144\128\128" } do
      local folded, reason = core.fold_name(name)
      assert.is_nil(folded)
      assert.equal("utf8", reason)
    end
  end)

  it("takes a string", function()
    for _, wrong in ipairs { 1, true, {} } do
      local ok, message = pcall(core.fold_name, wrong)
      assert.is_false(ok)
      assert.matches("name: expected a string", message)
    end
  end)
end)

describe("the rule for names", function()
  it("is kept by small letters, digits, underscores, and after the first by hyphens and dots", function()
    for _, name in ipairs { "a", "_", "0", "app", "app-1.b_c", "9lives", "é", "ß", ("a"):rep(63), "ab" .. ("é"):rep(30) } do
      assert.is_nil((core.name_problem(name)))
    end
  end)

  it("says what is wrong and at which byte", function()
    local cases = {
      { "", "empty", 1 },
      { "-a", "start", 1 }, { ".a", "start", 1 }, { "A", "start", 1 }, { " a", "start", 1 }, { "\255", "start", 1 },
      { "aB", "character", 2 }, { "a b", "character", 2 }, { "ab\0", "character", 3 }, { "é@", "character", 3 },
      { "a\204\129", "character", 2 }, { "a中", "character", 2 }, { "a\195", "character", 2 }, { "a\"", "character", 2 },
      { ("a"):rep(64), "long", 64 }, { ("é"):rep(32), "long", 64 },
    }
    for _, case in ipairs(cases) do
      local problem, byte = core.name_problem(case[1])
      assert.same({ case[2], case[3] }, { problem, byte })
    end
  end)

  it("names a wrong character before the length", function()
    local problem, byte = core.name_problem("a b" .. ("a"):rep(70))
    assert.same({ "character", 2 }, { problem, byte })
  end)
end)
