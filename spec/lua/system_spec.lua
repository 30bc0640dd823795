-- Tests csrc/base/clock.c, csrc/base/interrupts.c, csrc/base/random.c, csrc/lua/core.c, csrc/lua/check.c.

local core = require "crdbcloud.core"
local temp = require "spec.support.temp"

local function message_of(f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  return message
end

describe("the core module", function()
  after_each(temp.clean)

  it("opens again while objects of the first time live, and they go together", function()
    local old = core.secret "abc"
    package.loaded["crdbcloud.core"] = nil
    local again = require "crdbcloud.core"
    package.loaded["crdbcloud.core"] = core
    assert.is_false(again == core)
    assert.is_true(again.is_secret(old))
    assert.equal("abc", old:reveal())
    assert.is_true(again.secret "abc":equals(old))
    assert.equal("xabc", again.secret_join { "x", old }:reveal())
    old:close()
    assert.matches("secret is closed", message_of(again.secret_join, { old }))
  end)

  it("touches no file, environment or network when it is loaded, and sets no global", function()
    local before = {}
    for name in pairs(_G) do before[name] = true end
    package.loaded["crdbcloud.core"] = nil
    require "crdbcloud.core"
    package.loaded["crdbcloud.core"] = core
    for name in pairs(_G) do assert.is_true(before[name]) end
  end)

  it("says its version, which stands in one place", function()
    assert.equal(require "crdbcloud.version", core.version)
  end)

  it("raises at the caller's line", function()
    assert.matches("^spec/lua/system_spec%.lua:%d+: seconds: expected a number, got string$",
      (message_of(function() core.sleep "1" end):gsub("^.-spec/", "spec/")))
  end)

  it("survives the end of its Lua state, whatever is still open and in whatever order it goes", function()
    local dir = temp.dir()
    local code = ([[
      local dir = %q
      local kept = {}
      for i = 1, 50 do
        kept[i] = { core.secret(("x"):rep(i * 40)), assert(core.lock(dir .. "/" .. i, "n")), core.password(20) }
        kept[i][4] = { kept[i], kept[i %% 7] }
        if i %% 3 == 0 then kept[i][1]:close() end
        if i %% 5 == 0 then kept[i][2]:close() kept[i][3] = nil collectgarbage() end
      end
      cycle = setmetatable({ kept = kept, core = core }, { __gc = function(self)
        for _, row in ipairs(self.kept) do tostring(row[1]) tostring(row[2]) row[1]:close() row[2]:close() end
      end })
      cycle.self = cycle
      if newproxy then
        proxy = newproxy(true)
        getmetatable(proxy).__gc = function() for _, row in ipairs(kept) do row[1]:close() row[2]:close() tostring(row[1]) end end
      end
      %s]])
    for _, ending in ipairs { "", "os.exit(true, true)", "os.exit(0)", "package.loaded['crdbcloud.core'] = nil core = nil collectgarbage()" } do
      assert.same({ "", 0 }, { temp.run(temp.lua(code:format(dir, ending))) })
    end
    assert(core.lock(dir .. "/1", "free again")):close()
  end)

  it("lets 5.4 close secrets and locks at the end of a block", function()
    local dir = temp.dir()
    local load_text = rawget(_G, "loadstring") or load
    local chunk = load_text(([[local core = ... ; local seen
      do local secret <close> = core.secret "x"; local lock <close> = core.lock(%q, "n"); seen = { secret, lock } end
      return tostring(seen[1]), tostring(seen[2])]]):format(dir .. "/lock"))
    if rawget(_G, "jit") then
      assert.is_nil(chunk) -- no such syntax there
    else
      assert.same({ "<secret (closed)>", "crdbcloud.lock (closed)" }, { chunk(core) })
    end
  end)
end)

describe("arguments", function()
  it("that are too many or of another type are refused in words", function()
    local function refused(pattern, f, ...)
      assert.matches(pattern, message_of(f, ...))
    end
    refused("bytes: expected a whole number, got string", core.random_hex, "8")
    refused("bytes: expected a whole number, got nothing", core.random_hex)
    refused("seconds: expected a number, got table", core.sleep, {})
    refused("seconds: expected a number from 0", core.sleep, -1)
    refused("seconds: expected a number from 0", core.sleep, 1 / 0)
    refused("on: expected true or false, got nil", core.interrupts, nil)
    refused("on: expected true or false, got number", core.interrupts, 1)
    refused("fd: expected a whole number from 0", core.is_terminal, -1)
    refused("fd: expected a whole number from 0 to %d+, got 1%.5", core.is_terminal, 1.5)
    refused("fd: expected a whole number, got string", core.terminal_width, "1")
    refused("path: expected a string, got number", core.stat, 1)
    refused("path: expected a path, got a string with a NUL byte", core.list_dir, "a\0")
    refused("path: expected a path, got an empty string", core.make_dir, "")
    refused("path: expected a string, got boolean", core.remove_file, true)
    refused("too many arguments: expected at most 1, got 2", core.remove_file, "a", "b")
    refused("too many arguments: expected at most 0, got 1", core.interrupted, 1)
    refused("too many arguments: expected at most 1, got 2", core.name_problem, "a", 1)
    refused("name: expected a string, got table", core.name_problem, {})
    for _, name in ipairs { "monotonic", "boottime", "time", "euid", "pid", "hostname" } do
      refused("too many arguments: expected at most 0, got 1", core[name], 1)
    end
  end)

  it("cannot take a method of one type to another", function()
    local secret = core.secret "abc"
    for _, wrong in ipairs { io.stdout, "abc", {}, 1 } do
      for _, method in ipairs { "reveal", "close", "encode", "equals" } do
        assert.is_false(pcall(secret[method], wrong, "hex"))
      end
    end
    assert.equal("abc", secret:reveal())
  end)
end)

describe("random numbers", function()
  it("are within 0 and 1, and differ", function()
    local seen, low, high = {}, 0, 0
    for _ = 1, 1000 do
      local n = core.random()
      assert.is_true(n >= 0 and n < 1)
      seen[n] = true
      low, high = low + (n < 0.5 and 1 or 0), high + (n >= 0.5 and 1 or 0)
    end
    assert.is_true(low > 350 and high > 350, ("%d below, %d above"):format(low, high))
    local count = 0
    for _ in pairs(seen) do count = count + 1 end
    assert.is_true(count > 990)
  end)
end)

describe("the clocks", function()
  it("give seconds, never go back, and agree", function()
    local last = core.monotonic()
    for _ = 1, 1000 do
      local now = core.monotonic()
      assert.is_true(now >= last)
      last = now
    end
    assert.is_true(core.boottime() >= core.monotonic() - 1)
    assert.is_true(math.abs(core.time() - os.time()) < 2) -- os.time counts whole seconds
  end)

  it("move while it sleeps, by no less than was asked for", function()
    for _, seconds in ipairs { 0, 0.001, 0.03 } do
      local begin = core.monotonic()
      assert.is_true(core.sleep(seconds))
      assert.is_true(core.monotonic() >= begin + seconds)
    end
  end)
end)

describe("interrupts", function()
  after_each(function()
    core.interrupts(false)
    temp.clean()
  end)

  local function send(signal)
    io.popen(("kill -%s %d"):format(signal, core.pid())):close()
  end

  it("are counted, with the last one's number", function()
    core.interrupts(true)
    assert.is_nil((core.interrupted()))
    send "INT"
    assert.same({ 2, 1 }, { core.interrupted() })
    send "TERM"
    assert.same({ 15, 2 }, { core.interrupted() })
    core.interrupts(true) -- a second time changes nothing
    assert.same({ 15, 2 }, { core.interrupted() })
    core.interrupts(false)
    core.interrupts(true)
    assert.is_nil((core.interrupted()))
  end)

  it("wake a sleeper, who then sleeps on if he likes", function()
    core.interrupts(true)
    local stop = temp.dir() .. "/stop"
    -- Signals until told to stop: one of them comes during the sleep.
    local sender = io.popen(("until [ -e %s ]; do kill -TERM %d; sleep 0.1; done"):format(stop, core.pid()))
    local slept = core.sleep(60)
    temp.write(stop, "")
    sender:close()
    assert.is_false(slept)
    assert.equal(15, (core.interrupted()))
    assert.is_true(core.sleep(0.01))
  end)

  it("act as before once they are switched off", function()
    local code = "core.interrupts(true) core.interrupts(false) io.popen('kill -TERM ' .. core.pid()):close() core.sleep(60)"
    assert.equal(143, select(2, temp.run(temp.lua(code) .. "\n(exit $?)")))
  end)
end)

describe("interrupts with last words", function()
  local function status_of(code)
    local output, status = temp.run(temp.lua(
      "local uv = require 'luv' local function signal(number) uv.kill(core.pid(), number) end " .. code) .. "\n(exit $?)")
    return { output, status }
  end

  it("end the process at the second signal, with its number", function()
    for _, number in ipairs { 2, 15 } do
      assert.same({ "the end\n", 128 + number }, status_of(([[core.interrupts(true, 'the end\n') signal(15) assert(core.sleep(0.31))
        signal(%d) print 'not reached']]):format(number)))
    end
  end)

  it("take two in a moment for one", function()
    assert.same({ "2\n", 0 }, status_of "core.interrupts(true, 'the end\\n') signal(2) signal(2) print((select(2, core.interrupted())))")
  end)

  it("are not for a hang-up, which shell and kernel both send, nor is the first Ctrl-C after one the second", function()
    assert.same({ "3\n", 0 }, status_of [[core.interrupts(true, 'the end\n') signal(1) core.sleep(0.31) signal(1) signal(2)
      print((select(2, core.interrupted())))]])
    assert.same({ "2\n", 0 }, status_of [[core.interrupts(true, 'the end\n') signal(2) core.sleep(0.31) signal(1)
      print((select(2, core.interrupted())))]])
  end)

  it("are forgotten when the signals are counted anew", function()
    assert.same({ "1\n", 0 }, status_of [[core.interrupts(true, 'the end\n') signal(2) core.interrupts(false) core.interrupts(true)
      assert(core.sleep(0.31)) signal(2) print((select(2, core.interrupted())))]])
  end)
end)

describe("descriptors", function()
  it("are waited for until one can be read", function()
    local uv = require "luv"
    local first, second = uv.socketpair(nil, nil), uv.socketpair(nil, nil)
    finally(function()
      for _, fd in ipairs { first[1], first[2], second[1], second[2] } do pcall(uv.fs_close, fd) end
    end)
    assert.same({}, core.readable({ first[1], second[1] }, 0.01))
    uv.fs_write(second[2], "x")
    assert.same({ second[1] }, core.readable({ first[1], second[1] }, 60))
    uv.fs_close(first[2])
    assert.same({ first[1], second[1] }, core.readable({ first[1], second[1] }, 60))
    assert.same({}, core.readable({}, 0))
    assert.has_error(function() core.readable({ "x" }, 1) end)
    assert.has_error(function() core.readable({ -1 }, 1) end)
    assert.has_error(function() core.readable(1, 1) end)
    assert.has_error(function() core.readable({}, -1) end)
  end)
end)

describe("process facts", function()
  it("are those that the system's own tools give", function()
    assert.equal(temp.run "id -u", core.euid() .. "\n")
    assert.equal(temp.run "uname -n", core.hostname() .. "\n")
    local pid, parent = temp.run(temp.lua "io.write(core.pid(), ' ', io.popen('echo $PPID'):read '*l')"):match "^(%d+) (%d+)$"
    assert.equal(parent, pid)
  end)

  it("tell terminals from files", function()
    local ask = temp.lua "print(core.is_terminal(0), core.terminal_width(0), core.is_terminal(99))"
    assert.equal("false\tnil\tfalse\n", (temp.run("exec </dev/null; " .. ask)))
    local output = temp.run("script -qec " .. temp.quote("stty columns 123; " .. ask) .. " /dev/null")
    assert.matches("true%s+123%s+false", output)
  end)
end)
