local printed = require "spec.support.lint.printed"

describe("the check of what is printed", function()
  it("finds what writes around the one function", function()
    for name, text in pairs {
      print = 'print(user.name)\n', ["io.write"] = 'io.write(name, "\\n")\n', ["io.stdout:write"] = "if x then io.stdout:write(row.error) end\n",
      ["io.stderr:write"] = 'io.stderr:write(("%s: "):format(name))\n', ["a file's write"] = "self.file:write(cells)\n",
    } do
      local problems = printed.of_file("cli/user.lua", text)
      assert.are.same({ ("cli/user.lua:1: %s goes around printing.say and printing.write_exactly"):format(name) }, problems)
    end
  end)

  it("finds a __tostring that shows fields as they came", function()
    local text = 'local M = {}\nfunction M:__tostring()\n  return ("%s on %s"):format(self.user, self.cluster)\nend\n'
    assert.are.same({ "run/x.lua: M:__tostring shows fields without printing.harmless" }, printed.of_file("run/x.lua", text))
  end)

  it("takes what goes through it, comments and texts of our own", function()
    for _, text in ipairs {
      "-- print(user.name)\n", 'local hint = "print(assert(x))"\n', "printing.say(io.stderr, name)\n", "board:write(status)\n",
      'function M:__tostring()\n  return "crdbcloud.store memory:"\nend\n',
      "function M:__tostring()\n  return printing.harmless(self.url)\nend\n",
    } do
      assert.are.same({}, printed.of_file("cli/user.lua", text), text)
    end
  end)

  it("finds nothing in the library", function()
    assert.are.same({}, printed.check ".")
  end)
end)
