local core = require "crdbcloud.core"
local native = require "spec.support.native"
local temp = require "spec.support.temp"

local dir, path

before_each(function()
  dir = temp.dir()
  path = dir .. "/lock"
end)
after_each(temp.clean)

-- What a second process gets when it asks for the lock.
local function another_process()
  return (temp.run(temp.lua(("local l, m, c, n = core.lock(%q, 'other') print(l and 'locked' or c .. ' ' .. n)"):format(path))))
end

describe("a lock", function()
  it("keeps other processes out and tells them who holds it", function()
    local lock = assert(core.lock(path, "pid 17 on host db1\nrotate"))
    assert.equal("busy pid 17 on host db1\nrotate\n", another_process())
    lock:close()
    assert.equal("locked\n", another_process())
  end)

  it("keeps a second open of the same process out", function()
    local lock = assert(core.lock(path, "first"))
    local second, message, code, holder = core.lock(path, "second")
    assert.is_nil(second)
    assert.matches(path, message, 1, true)
    assert.same({ "busy", "first" }, { code, holder })
    lock:close()
    second = assert(core.lock(path, "longer note of the second"))
    assert.same({ "busy", "longer note of the second" }, { select(3, core.lock(path, "x")) })
    second:close()
  end)

  it("has a private file that stays, with no more of an old note than was written", function()
    local lock = assert(core.lock(path, "a long note"))
    lock:close()
    lock = assert(core.lock(path, "short"))
    assert.equal("short", temp.read(path))
    assert.equal("600", ("%o"):format(core.stat(path).mode))
    lock:close()
    lock = assert(core.lock(path))
    assert.equal("short", temp.read(path), "without a note nothing is written")
    lock:close()
    assert.equal("file", core.stat(path).type)
  end)

  it("tells its holder when somebody has removed or replaced its file", function()
    local first = assert(core.lock(path, "first"))
    assert.is_true(first:holds(path))
    assert.is_true(os.remove(path))
    assert.is_false(first:holds(path))
    local second = assert(core.lock(path, "second"))
    assert.same({ false, true }, { first:holds(path), second:holds(path) })
    first:close()
    assert.equal("busy second\n", another_process())
    assert.is_true(second:holds(path))
    temp.run(("mv %s %s.old; ln -s %s.old %s"):format(path, path, path, path))
    assert.is_false(second:holds(path))
    assert.is_true(second:holds(path .. ".old"))
    second:close()
    assert.is_false(second:holds(path .. ".old"))
  end)

  it("is held where nobody can look at its file: nobody can take it there either", function()
    local place = temp.dir() .. "/store"
    temp.run("mkdir " .. place)
    local lock = assert(core.lock(place .. "/lock", "first"))
    temp.run(("mv %s %s.away && touch %s"):format(place, place, place))
    assert.is_true(lock:holds(place .. "/lock"))
    temp.run(("rm %s"):format(place))
    assert.is_false(lock:holds(place .. "/lock"))
    lock:close()
  end)

  it("is taken on the file that has the name, also when that is removed between opening and locking", function()
    local program = native.program("lock_removed", { "files/lock", "base/failure" })
    assert.same({ "ok\n", 0 }, { temp.run(program .. " " .. path) })
  end)

  it("is free when its holder has died", function()
    local code = ("held = core.lock(%q, 'dying') io.popen('kill -9 ' .. core.pid()):close() core.sleep(60)"):format(path)
    assert.equal(137, select(2, temp.run(temp.lua(code) .. "\n(exit $?)")))
    assert.equal("dying", temp.read(path))
    assert(core.lock(path, "next")):close()
  end)

  it("is not inherited by the programs its holder starts", function()
    local lock = assert(core.lock(path, "me"))
    local open_files = temp.run "ls -l /proc/self/fd </dev/null"
    lock:close()
    assert.matches("/dev/null", open_files, 1, true)
    assert.is_nil(open_files:find(path, 1, true))
  end)

  it("is closed once, by hand or by the collector", function()
    local lock = assert(core.lock(path, "x"))
    assert.equal("crdbcloud.lock (held)", tostring(lock))
    lock:close()
    lock:close()
    assert.equal("crdbcloud.lock (closed)", tostring(lock))
    assert(core.lock(path, "forgotten"))
    collectgarbage()
    collectgarbage()
    assert(core.lock(path, "x")):close()
  end)

  it("stays the parent's when a forked child closes its copy", function()
    local forking = native.module("forking")
    local lock = assert(core.lock(path, "parent"))
    local child = forking.fork()
    if child == 0 then
      lock:close()
      forking.leave(tostring(lock) == "crdbcloud.lock (closed)" and 0 or 1)
    end
    assert.equal(0, forking.wait(child))
    assert.equal("busy parent\n", another_process())
    lock:close()
    assert.equal("locked\n", another_process())
  end)

  it("is freed by the parent also while a forked child has its copy", function()
    local forking = native.module("forking")
    temp.run("mkfifo " .. dir .. "/pipe")
    local lock = assert(core.lock(path, "parent"))
    local child = forking.fork()
    if child == 0 then
      forking.leave(temp.read(dir .. "/pipe") == "end" and 0 or 1)
    end
    lock:close()
    local seen = another_process()
    temp.write(dir .. "/pipe", "end")
    assert.equal(0, forking.wait(child))
    assert.equal("locked\n", seen)
  end)

  it("is a regular file of its own", function()
    temp.write(dir .. "/file", "kept")
    temp.run(("cd %s; ln -s file link; mkfifo pipe; mkdir directory"):format(dir))
    for name, code in pairs { link = "symlink", pipe = "type", directory = "EISDIR", ["none/lock"] = "ENOENT" } do
      local lock, message, got = core.lock(dir .. "/" .. name, "x")
      assert.is_nil(lock)
      assert.matches(name, message, 1, true)
      assert.equal(code, got)
    end
    assert.equal("kept", temp.read(dir .. "/file"))
  end)

  it("is asked for with a path and a note", function()
    local function message_of(...)
      local ok, message = pcall(core.lock, ...)
      assert.is_false(ok)
      return message
    end
    assert.matches("path: expected a string, got nothing", message_of())
    assert.matches("path: expected a path, got an empty string", message_of "")
    assert.matches("note: expected a string, got number", message_of(path, 1))
    assert.matches("note: expected at most 1024 bytes, got 1025", message_of(path, ("x"):rep(1025)))
    assert.matches("too many arguments: expected at most 2, got 3", message_of(path, "x", {}))
  end)
end)
