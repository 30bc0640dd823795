local core = require "crdbcloud.core"
local temp = require "spec.support.temp"

describe("core.exec", function()
  -- Runs Lua code in a process of its own; what it becomes decides the status.
  local function becomes(code) return temp.run(temp.lua(code)) end

  it("becomes another program, with its process id, output and exit status", function()
    local out, status = becomes [[
      io.stdout:write(core.pid(), " ") io.stdout:flush()
      core.exec({ "sh", "-c", 'echo $$ "$@"; exit 7', "sh", "a b", "" }, nil) ]]
    local before, after, rest = out:match "^(%d+) (%d+) ?(.*)$"
    assert.equal(before, after)
    assert.equal("a b ", (rest:gsub("\n$", "")))
    assert.equal(7, status)
  end)

  it("keeps the whole environment and adds to it, secrets too", function()
    local out = temp.run("COCKROACH_SERVER=there " .. temp.lua [[
      core.exec({ "sh", "-c", 'echo $COCKROACH_SERVER $ADDED $HOME' }, { ADDED = core.secret "yes", HOME = "elsewhere" }) ]])
    assert.equal("there yes elsewhere", (out:gsub("%s+$", "")))
  end)

  it("goes on with an error where the program cannot be started", function()
    local value, message, code = core.exec({ "/nonexistent/program" }, nil)
    assert.is_nil(value)
    assert.equal("cannot start /nonexistent/program: No such file or directory", message)
    assert.equal("ENOENT", code)
  end)

  it("is refused before anything happens when it is called wrongly", function()
    local cases = {
      { "exec: expected a list of the program and its arguments, got string", "ls" },
      { "exec: expected text without a NUL byte, and not empty", { "" } },
      { "exec: argument: expected a string, got number", { "ls", 7 } },
      { "exec: argument 1 is a secret, and arguments are seen by every user of the machine: pass it by stdin or env",
        { "ls", core.secret "x" } },
      { "A: expected a string or a secret, got number", { "ls" }, { A = 1 } },
      { "env: expected a table of strings and secrets, got string", { "ls" }, "A=1" },
    }
    for _, case in ipairs(cases) do
      local ok, message = pcall(core.exec, case[2], case[3])
      assert.is_false(ok)
      assert.equal(case[1], (message:gsub("^.-:%d+: ", "")))
    end
  end)
end)
