-- Tests csrc/lua/process.c, csrc/process/process_keeper.c, csrc/process/process_spawn.c.

local core = require "crdbcloud.core"
local temp = require "spec.support.temp"
local wait = require "spec.support.wait"

local LIMIT = 30 -- seconds; reached by no program that is meant to end by itself

local function run(argv, opts)
  opts = opts or {}
  opts.timeout = opts.timeout or LIMIT
  return core.run(argv, opts)
end

local function sh(script, opts) return assert(run({ "sh", "-c", script }, opts)) end

local function message_of(...)
  local ok, message = pcall(core.run, ...)
  assert.is_false(ok)
  return message
end

-- The state of a process as ps shows it, "" when there is none.
local function state_of(pid) return (temp.run("ps -o stat= -p " .. pid):gsub("%s", "")) end

local function open_descriptors()
  collectgarbage() -- the runner's own garbage may hold files
  collectgarbage()
  return table.concat(assert(core.list_dir "/proc/self/fd"), " ")
end

describe("a program that is run", function()
  after_each(temp.clean)

  it("reads what is given and gives what it writes, as secrets, with its exit status", function()
    local r = sh("cat; echo problem >&2; exit 3", { stdin = "in" })
    assert.equal(3, r.status)
    assert.is_nil(r.signal)
    assert.is_false(r.timed_out)
    assert.is_false(r.truncated)
    assert.equal("in", r.stdout:reveal())
    assert.equal("problem\n", r.stderr:reveal())
    assert.equal("<secret 2 bytes>", tostring(r.stdout))
  end)

  it("passes any bytes and any amount both ways at once", function()
    local bytes = {}
    for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end
    local all = table.concat(bytes):rep(4000)
    for _, text in ipairs { "", "\0", all } do
      local r = assert(run({ "cat" }, { stdin = core.secret(text), max_output = #all }))
      assert.equal(0, r.status)
      assert.is_true(r.stdout:equals(text))
    end
  end)

  it("has an empty input when none is given", function()
    assert.equal("0", (sh("wc -c").stdout:reveal():gsub("%s", "")))
  end)

  it("gets its arguments as they are: no shell reads them", function()
    local argument = "$HOME `id` ; * 'x' \"y\" \\ \n ü"
    assert.equal(argument, assert(run { "printf", "%s", argument }).stdout:reveal())
    assert.equal("", assert(run { "printf", "%s", "" }).stdout:reveal())
  end)

  it("may leave its input unread; the signal of the broken pipe hurts nobody", function()
    local out, status = temp.run(temp.lua [[
      for _ = 1, 20 do
        local r = assert(core.run({"true"}, {stdin = ("x"):rep(1000000), timeout = 30}))
        assert(r.status == 0)
      end
      io.write "alive " io.flush()
      os.execute "kill -PIPE $PPID" -- not blocked, not ignored afterwards: it ends us as ever
      print "unreachable"]])
    assert.equal("alive ", out)
    assert.equal(141, status)
  end)

  it("names the signal that ended it", function()
    local r = sh "kill -9 $$"
    assert.is_nil(r.status)
    assert.equal(9, r.signal)
    assert.is_false(r.timed_out)
  end)

  it("runs where it is told to", function()
    local dir = temp.dir()
    assert.equal(dir .. "\n", assert(run({ "pwd", "-P" }, { cwd = dir })).stdout:reveal())
  end)

  -- In a process of its own: a memory checker around this one takes a failed exec for an exit with 127.
  it("cannot be started: says what is missing, and leaves nothing open", function()
    local dir = temp.dir()
    temp.write(dir .. "/text", "echo hello\n")
    temp.write(dir .. "/script", "echo hello\n")
    temp.run("chmod 755 " .. dir .. "/script")
    local cases = {
      { '{"no-such-program"}', "", "ENOENT cannot run no-such-program: No such file or directory" },
      { '{"true"}', "cwd = dir .. '/none'", "ENOENT cannot enter DIR/none: No such file or directory" },
      { '{"true"}', "cwd = dir .. '/text'", "ENOTDIR cannot enter DIR/text: Not a directory" },
      { '{dir .. "/text"}', "", "EACCES cannot run DIR/text: Permission denied" },
      -- A text without "#!" is no program: it would take a shell to run it.
      { '{dir .. "/script"}', "", "ENOEXEC cannot run DIR/script: Exec format error" },
    }
    local code = { ("local dir = %q; local function open() return #core.list_dir '/proc/self/fd' end; local before = open()"):format(dir) }
    for _, case in ipairs(cases) do
      code[#code + 1] = ("do local r, message, code = core.run(%s, {timeout = 30, %s}) print(r, code, message) end"):format(case[1], case[2])
    end
    code[#code + 1] = "print(before == open())"
    local lines = {}
    for line in temp.run(temp.lua(table.concat(code, " "))):gmatch "[^\n]+" do lines[#lines + 1] = line:gsub("\t", " ") end
    for i, case in ipairs(cases) do assert.equal("nil " .. case[3]:gsub("DIR/", dir .. "/"), lines[i]) end
    assert.equal("true", lines[#cases + 1])
  end)
end)

describe("the surroundings of a program", function()
  after_each(temp.clean)

  local function names_of(opts)
    local names = {}
    for name in assert(run({ "env", "-0" }, opts)).stdout:reveal():gmatch "([^=%z]+)=[^%z]*%z" do names[name] = true end
    return names
  end

  it("are a few usual variables and those given, which win", function()
    local r = assert(run({ "env" }, { env = { HOME = "/given", SECRET = core.secret "in the clear", EMPTY = "" } }))
    local text = "\n" .. r.stdout:reveal()
    assert.matches("\nHOME=/given\n", text)
    assert.matches("\nSECRET=in the clear\n", text)
    assert.matches("\nEMPTY=\n", text)
    assert.equal(1, select(2, text:gsub("\nHOME=", "")))
    assert.matches("\nPATH=" .. os.getenv("PATH"):gsub("%p", "%%%0") .. "\n", text)
    local allowed = { PATH = 1, HOME = 1, USER = 1, LOGNAME = 1, SHELL = 1, LANG = 1, TZ = 1, TMPDIR = 1, XDG_RUNTIME_DIR = 1, XDG_CONFIG_HOME = 1 }
    for name in pairs(names_of {}) do assert.truthy(allowed[name] or name:find "^LC_", name) end
  end)

  it("are ours on demand, without the variables that hold our own secrets", function()
    local out = temp.run("env FOO=bar COCKROACH_API_KEY=k COCKROACH_API_JWT=j CRDBCLOUD_SQL=u PGPASSWORD=p PGUSER=me " .. temp.lua [[
      io.write(core.run({"env"}, {inherit = true, timeout = 30, env = {CRDBCLOUD_USER = "app"}}).stdout:reveal())]])
    out = "\n" .. out
    for _, line in ipairs { "FOO=bar", "PGUSER=me", "CRDBCLOUD_USER=app" } do assert.truthy(out:find("\n" .. line .. "\n", 1, true), line) end
    for _, name in ipairs { "COCKROACH_API_KEY", "COCKROACH_API_JWT", "CRDBCLOUD_SQL", "PGPASSWORD" } do
      assert.falsy(out:find("\n" .. name .. "=", 1, true), name)
    end
  end)

  it("have no descriptor but the three standard ones", function()
    local held = assert(io.open("/dev/null", "rb"))
    assert.equal("0\n1\n2\n", sh("ls /proc/$$/fd").stdout:reveal())
    assert.equal("0\n1\n2\n", sh("ls /proc/$$/fd", { stdin = "x" }).stdout:reveal())
    held:close()
  end)

  it("are right also where our own standard descriptors are closed", function()
    local path = temp.dir() .. "/result"
    temp.run(temp.lua(([[
      local r = core.run({"sh", "-c", "cat; echo problem >&2"}, {stdin = "through", timeout = 30})
      core.write_file(%q, r.stdout:reveal() .. "|" .. r.stderr:reveal() .. "|" .. r.status)]]):format(path)) .. " <&- >&- 2>&-")
    assert.equal("through|problem\n|0", temp.read(path))
  end)

  it("are a session of its own, without a terminal", function()
    assert.equal("same", sh([[set -- $(ps -o pid=,pgid=,sid= -p $$); [ $1 = $2 ] && [ $1 = $3 ] && printf same]]).stdout:reveal())
    assert.equal("none", sh([[true 2>/dev/null </dev/tty || printf none]]).stdout:reveal())
  end)

  it("have every signal as the system has it, whatever we ignore", function()
    local out = temp.run("trap '' PIPE INT TERM HUP; " .. temp.lua [[
      for _, name in ipairs {"PIPE", "INT", "TERM", "HUP"} do
        io.write(core.run({"sh", "-c", "kill -" .. name .. " $$; exit 0"}, {timeout = 30}).signal, " ")
      end]])
    assert.equal("13 2 15 1 ", out)
  end)
end)

describe("the time limit of a program", function()
  it("ends it by SIGTERM, which it may use to tidy up", function()
    local r = sh("trap 'echo tidy; exit 4' TERM; echo ready; while :; do sleep 0.05; done", { timeout = 2 })
    assert.is_true(r.timed_out)
    assert.equal(4, r.status)
    assert.equal("ready\ntidy\n", r.stdout:reveal())
  end)

  it("ends one that does not listen, and one that is stopped", function()
    local r = sh("trap '' TERM; while :; do sleep 0.05; done", { timeout = 2 })
    assert.is_true(r.timed_out)
    assert.equal(9, r.signal)
    r = sh("kill -STOP $$", { timeout = 0.1 })
    assert.is_true(r.timed_out)
    assert.equal(15, r.signal)
  end)

  it("ends what it started, too", function()
    local r = sh("trap 'exit 0' TERM; (trap '' TERM; while :; do sleep 0.05; done) & echo $!; wait", { timeout = 2 })
    assert.is_true(r.timed_out)
    local pid = assert(r.stdout:reveal():match "^(%d+)\n")
    wait("the end of what it started", function()
      local state = state_of(pid)
      return state == "" or state:sub(1, 1) == "Z"
    end)
  end)

  it("does not count what it leaves running behind itself", function()
    local r = sh "sleep 60 >&2 & echo $!"
    assert.equal(0, r.status)
    assert.is_false(r.timed_out)
    local pid = assert(r.stdout:reveal():match "^(%d+)\n")
    assert.matches("^[RSD]", state_of(pid)) -- it runs
    temp.run("kill " .. pid)
  end)
end)

describe("the output of a program", function()
  it("is kept up to its limit; the rest is read, so that the program ends", function()
    local r = sh("head -c 300000 /dev/zero; printf end >&2; exit 5", { max_output = 1000 })
    assert.equal(5, r.status)
    assert.is_true(r.truncated)
    assert.equal(1000, #r.stdout)
    assert.equal("end", r.stderr:reveal())
  end)

  it("is whole when it has the limit's length, and may have the limit 0", function()
    assert.is_false(sh("printf 12345", { max_output = 5 }).truncated)
    assert.is_true(sh("printf 123456", { max_output = 5 }).truncated)
    assert.is_true(sh("printf 1", { max_output = 0 }).truncated)
    assert.is_false(sh("true", { max_output = 0 }).truncated)
  end)
end)

describe("running programs", function()
  it("leaves no descriptor and no zombie behind", function()
    local before = open_descriptors()
    for _ = 1, 20 do
      run({ "cat" }, { stdin = "x" })
      run({ "cat" }, { cwd = "/no-such-directory" })
    end
    assert.equal(before, open_descriptors())
    assert.falsy(temp.run("ps -o stat= --ppid " .. core.pid()):find "Z")
  end)

  it("waits for nobody else's child", function()
    local pipe = assert(io.popen "echo $$")
    local pid = pipe:read "*l"
    wait("the end of the child", function() return state_of(pid):sub(1, 1) == "Z" end)
    run { "true" }
    assert.equal("Z", state_of(pid):sub(1, 1))
    pipe:close()
  end)

  it("keeps its exit status, and all else, where the host would take that of every child", function()
    local out = temp.run("env --ignore-signal=CHLD " .. temp.lua [[
      local function descriptors() return #core.list_dir "/proc/self/fd" end
      local before = descriptors()
      local function show(script, opts)
        opts = opts or {}
        opts.timeout = opts.timeout or 30
        local r = assert(core.run({ "sh", "-c", script }, opts))
        print(r.status, r.signal, r.timed_out, r.stdout:reveal(), r.stderr:reveal())
      end
      show("cat; echo problem >&2; exit 3", { stdin = core.secret "in" })
      show "echo $SECRET $(ls /proc/self/fd | wc -l) $(cut -d' ' -f6 /proc/$$/stat | grep -c ^$$)"
      show "kill -KILL $$"
      show("trap '' TERM; sleep 60 & wait", { timeout = 0.1 })
      show("echo $SECRET", { env = { SECRET = core.secret "hidden" } })
      print(core.run({ "/nowhere/program" }, { timeout = 30 }))
      for i = 1, 50 do assert(core.run({ "sh", "-c", "exit " .. i }, { timeout = 30 }).status == i) end
      print(descriptors() == before, io.open("/proc/self/task/" .. core.pid() .. "/children"):read "*a")
    ]])
    assert.equal(table.concat({
      "3\tnil\tfalse\tin\tproblem\n", "0\tnil\tfalse\t4 1\n\t", "nil\t9\tfalse\t\t", "nil\t9\ttrue\t\t", "0\tnil\tfalse\thidden\n\t",
      "nil\tcannot run /nowhere/program: No such file or directory\tENOENT", "true\t", "",
    }, "\n"), out)
  end)

  it("goes on in many threads at once", function()
    local uv = require "luv"
    local dir, threads = temp.dir(), {}
    for i = 1, 8 do
      threads[i] = uv.new_thread(function(path, cpath, mark)
        package.path, package.cpath = path, cpath
        local inner = require "crdbcloud.core"
        for round = 1, 10 do
          local wanted = (mark .. round .. ","):rep(30000)
          local r = assert(inner.run({ "cat" }, { stdin = wanted, timeout = 60 }))
          assert(r.status == 0 and r.stdout:equals(wanted))
        end
        assert(inner.write_file(mark, "right"))
      end, package.path, package.cpath, dir .. "/thread" .. i)
    end
    for _, thread in ipairs(threads) do thread:join() end
    assert.equal(8, #core.list_dir(dir))
  end)
end)

describe("a program that is named wrongly", function()
  it("is refused before anything runs", function()
    local cases = {
      { "run: expected a list of the program and its arguments, got string", "ls", { timeout = 1 } },
      { "run: expected a program and at most 1023 arguments, got a list of 0", {}, { timeout = 1 } },
      { "run: expected text without a NUL byte, and not empty", { "" }, { timeout = 1 } },
      { "run: expected text without a NUL byte", { "ls", "a\0b" }, { timeout = 1 } },
      { "run: argument: expected a string, got number", { "ls", 7 }, { timeout = 1 } },
      { "run: argument 1 is a secret, and arguments are seen by every user of the machine: pass it by stdin or env",
        { "ls", core.secret "x" }, { timeout = 1 } },
      { "timeout: expected a time limit in seconds, got nothing", { "ls" } },
      { "timeout: expected a number from 0.001 to 31622400, got 0", { "ls" }, { timeout = 0 } },
      { "run: unknown option 'time'; expected one of: stdin, env, inherit, cwd, timeout, max_output", { "ls" }, { time = 1 } },
      { "stdin: expected a string or a secret, got table", { "ls" }, { timeout = 1, stdin = {} } },
      { "env: expected names of variables, got 'A=B'", { "ls" }, { timeout = 1, env = { ["A=B"] = "x" } } },
      { "env: A has a NUL byte, which a variable cannot hold", { "ls" }, { timeout = 1, env = { A = "x\0" } } },
      { "A: expected a string or a secret, got number", { "ls" }, { timeout = 1, env = { A = 1 } } },
      { "env: expected a table of strings and secrets, got string", { "ls" }, { timeout = 1, env = "A=1" } },
      { "inherit: expected true or false, got number", { "ls" }, { timeout = 1, inherit = 1 } },
      { "max_output: expected a whole number from 0 to 2147483647, got -1", { "ls" }, { timeout = 1, max_output = -1 } },
      { "cwd: expected a path, got an empty string", { "ls" }, { timeout = 1, cwd = "" } },
    }
    for _, case in ipairs(cases) do
      local got = message_of(case[2], case[3])
      assert.equal(case[1], (got:gsub("^.-:%d+: ", "")))
    end
  end)
end)
