-- Tests csrc/files/file.c, csrc/lua/file.c.

local core = require "crdbcloud.core"
local native = require "spec.support.native"
local temp = require "spec.support.temp"

local dir

local function message_of(f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  return message
end

local function mode_of(path)
  return ("%o"):format(core.stat(path).mode)
end

-- The names in dir, joined.
local function names()
  return table.concat(assert(core.list_dir(dir)), " ")
end

local function is_refused(code, ...)
  local result, message, got = ...
  assert.is_nil(result)
  assert.is_string(message)
  assert.equal(code, got)
  return message
end

before_each(function() dir = temp.dir() end)
after_each(temp.clean)

describe("writing a file", function()
  it("makes it with mode 0600 or the mode asked for, whatever the umask", function()
    local code = ("core.write_file(%q, 'a') core.write_file(%q, 'b', {mode = 416})"):format(dir .. "/a", dir .. "/b")
    assert.equal(0, select(2, temp.run("umask 077; " .. temp.lua(code))))
    assert.equal("600", mode_of(dir .. "/a"))
    assert.equal("640", mode_of(dir .. "/b"))
    assert.is_true(core.write_file(dir .. "/b", "c"))
    assert.equal("600", mode_of(dir .. "/b"))
  end)

  it("replaces the whole content, by a string or a secret of any size", function()
    local path = dir .. "/file"
    for _, content in ipairs { "", "a", ("\0\255\n"):rep(100000), "short" } do
      assert.is_true(core.write_file(path, content))
      assert.equal(content, temp.read(path))
      assert.is_true(core.write_file(path, core.secret(content)))
      assert.equal(content, temp.read(path))
    end
    assert.equal("file", names())
  end)

  it("works with a bare name in the working directory and with an open reader of the old file", function()
    local output = temp.run(("cd %s; "):format(dir) .. temp.lua [[
      assert(core.write_file("x", "old"))
      local reader = io.open("x", "rb")
      assert(core.write_file("x", "new"))
      print(reader:read "*a", io.open("x", "rb"):read "*a")]])
    assert.equal("old\tnew\n", output)
  end)

  it("does not follow a symbolic link, nor replace one", function()
    temp.write(dir .. "/target", "kept")
    temp.run(("cd %s; ln -s target link; ln -s nowhere dangling"):format(dir))
    for _, name in ipairs { "link", "dangling" } do
      assert.matches(name, is_refused("symlink", core.write_file(dir .. "/" .. name, "new")))
    end
    assert.equal("kept", temp.read(dir .. "/target"))
    assert.equal("dangling link target", names())
  end)

  it("replaces nothing but regular files", function()
    temp.run(("cd %s; mkdir directory; mkfifo pipe"):format(dir))
    for _, name in ipairs { "directory", "pipe" } do is_refused("type", core.write_file(dir .. "/" .. name, "new")) end
    is_refused("EISDIR", core.write_file(dir .. "/directory/", "new"))
    is_refused("EISDIR", core.write_file(dir .. "/.", "new"))
    is_refused("EISDIR", core.write_file(dir .. "/..", "new"))
    is_refused("ENOENT", core.write_file(dir .. "/none/file", "new"))
    is_refused("ENAMETOOLONG", core.write_file(dir .. "/" .. ("x"):rep(250), "new"))
    is_refused("ENAMETOOLONG", core.write_file(dir .. ("/xxxxxxx"):rep(600), "new"))
    assert.equal("directory pipe", names())
  end)

  it("tells the size of a file that 31 bits do not hold", function()
    temp.run("truncate -s 3G " .. dir .. "/file")
    assert.equal(3221225472, core.stat(dir .. "/file").size)
  end)

  it("leaves no trace when the disk takes no more", function()
    assert.is_true(core.write_file(dir .. "/file", "old"))
    local code = ("print(core.write_file(%q, ('x'):rep(100000)))"):format(dir .. "/file")
    local output = temp.run("trap '' XFSZ; ulimit -f 8; " .. temp.lua(code))
    assert.matches("^nil%s+cannot write .*/file: File too large%s+EFBIG", output)
    assert.equal("old", temp.read(dir .. "/file"))
    assert.equal("file", names())
  end)

  it("keeps the group of the file it replaces, and refuses a file of another owner", function()
    local path = dir .. "/file"
    temp.write(path, "old")
    if core.euid() == 0 then
      temp.run(("chown 1234:2345 %s"):format(path))
      assert.matches("belongs to uid 1234, not to uid 0", is_refused("owner", core.write_file(path, "new")))
      assert.equal("old", temp.read(path))
      temp.run(("chown 0 %s"):format(path))
      assert.is_true(core.write_file(path, "new"))
      assert.equal("2345\n", (temp.run("stat -c %g " .. path)))
      temp.run(("chown 4321 %s"):format(dir))
      local code = ("print(core.write_file(%q, 'newer'))"):format(path)
      temp.run(("chown root %s; chmod 644 %s; chmod 777 %s"):format(path, path, dir))
      -- Another user may not reach the checkout, so the module is where that user can read it.
      local module = package.searchpath("crdbcloud.core", package.cpath)
      temp.run(("mkdir %s/crdbcloud && cp %s %s/crdbcloud/core.so && chmod 755 %s/crdbcloud %s/crdbcloud/core.so"):format(dir, module, dir, dir, dir))
      local cpath = package.cpath
      package.cpath = dir .. "/?.so"
      temp.write(dir .. "/run", "cd / && " .. temp.lua(code))
      package.cpath = cpath
      local output = temp.run("setpriv --reuid=4321 --regid=4321 --clear-groups sh " .. dir .. "/run")
      assert.matches("belongs to uid 0.*owner%s*$", output)
      assert.equal("new", temp.read(path))
    else
      assert.is_true(core.write_file(path, "new"))
      assert.equal(core.euid(), core.stat(path).uid)
    end
  end)

  it("is not asked for in a way that means something else", function()
    local path = dir .. "/file"
    assert.matches("content: expected a string or a secret, got number", message_of(core.write_file, path, 1))
    assert.matches("write_file: unknown option 'mod'; expected one of: mode", message_of(core.write_file, path, "a", { mod = 1 }))
    assert.matches("mode: expected a whole number from 0", message_of(core.write_file, path, "a", { mode = 4096 }))
    assert.matches("mode: expected a whole number, got string", message_of(core.write_file, path, "a", { mode = "600" }))
    assert.matches("path: expected a string, got nil", message_of(core.write_file))
    assert.matches("too many arguments", message_of(core.write_file, path, "a", {}, 1))
    local closed = core.secret "a"
    closed:close()
    assert.matches("secret is closed", message_of(core.write_file, path, closed))
    assert.equal("", names())
  end)
end)

describe("a crash while a file is written", function()
  local shim

  before_each(function() shim = native.preload("fault") end)

  local function run(env, code)
    return temp.run(("%s LD_PRELOAD=%s "):format(env, shim) .. temp.lua(code))
  end

  it("leaves the old content or the new, whole, at every step", function()
    local old, new = ("old"):rep(3000), ("new"):rep(5000)
    local code = ("core.write_file(%q, ('new'):rep(5000))"):format(dir .. "/file")
    local seen_old, seen_new, step = 0, 0, 0
    repeat
      step = step + 1
      assert.is_true(core.write_file(dir .. "/file", old))
      local _, status = run("FAULT_AT=" .. step, code)
      local content = temp.read(dir .. "/file")
      assert.is_true(content == old or content == new)
      if content == old then seen_old = seen_old + 1 else seen_new = seen_new + 1 end
      for _, name in ipairs(core.list_dir(dir)) do
        if name:match "^%.file%.tmp%.%x+$" then core.remove_file(dir .. "/" .. name) end
      end
      assert.equal("file", names())
    until status == 0 or step > 30
    -- open, mode, write, sync and rename before; sync of the directory and the end after.
    assert.same({ 5, 2 }, { seen_old, seen_new })
  end)

  it("syncs the data before the name changes and the directory after", function()
    local output = run("FAULT_LOG=1", ("core.write_file(%q, 'x')"):format(dir .. "/file"))
    assert.equal("openat fchmod write fsync renameat fsync ", output)
    output = run("FAULT_LOG=1", ("core.remove_file(%q)"):format(dir .. "/file"))
    assert.equal("unlinkat fsync ", output)
    output = run("FAULT_LOG=1", ("core.make_dir(%q)"):format(dir .. "/new"))
    assert.matches("mkdir fsync $", output)
  end)

  it("is not what an error looks like: every failing call is reported and cleaned up", function()
    for step, call in ipairs { "make a file beside", "write", "write", "write", "replace" } do
      assert.is_true(core.write_file(dir .. "/file", "old"))
      local output = run("FAULT_ERRNO=28 FAULT_AT=" .. step, ("print(core.write_file(%q, 'new'))"):format(dir .. "/file"))
      assert.matches("^nil%s+cannot " .. call .. " .*: No space left on device%s+ENOSPC", output)
      assert.equal("old", temp.read(dir .. "/file"))
      assert.equal("file", names())
    end
    local output = run("FAULT_ERRNO=5 FAULT_AT=6", ("print(core.write_file(%q, 'new'))"):format(dir .. "/file"))
    assert.matches("cannot sync the directory after replacing .*EIO", output)
    assert.equal("new", temp.read(dir .. "/file"))
  end)

  it("is not simulated by a directory that cannot be synced: some file systems never can", function()
    local output = run("FAULT_ERRNO=22 FAULT_AT=6", ("print(core.write_file(%q, 'new'))"):format(dir .. "/file"))
    assert.equal("true\n", output)
  end)
end)

describe("reading a file", function()
  it("gives it whole, as a secret", function()
    for _, content in ipairs { "", "a\n", ("\0\255"):rep(50000) } do
      temp.write(dir .. "/file", content)
      local read = core.read_file(dir .. "/file")
      assert.is_true(core.is_secret(read))
      assert.equal(content, read:reveal())
    end
  end)

  it("stops at the size allowed", function()
    temp.write(dir .. "/file", ("x"):rep(10000))
    assert.equal(10000, #core.read_file(dir .. "/file", { max = 10000 }))
    assert.matches("larger than the 9999 bytes", is_refused("large", core.read_file(dir .. "/file", { max = 9999 })))
  end)

  it("follows no symbolic link and waits for no pipe", function()
    temp.write(dir .. "/file", "x")
    temp.run(("cd %s; ln -s file link; mkfifo pipe"):format(dir))
    is_refused("symlink", core.read_file(dir .. "/link"))
    is_refused("type", core.read_file(dir .. "/pipe"))
    is_refused("type", core.read_file(dir))
    is_refused("ENOENT", core.read_file(dir .. "/none"))
  end)

  it("in private takes only what no one else can read", function()
    local path = dir .. "/file"
    temp.write(path, "x")
    for mode, ok in pairs { ["600"] = true, ["400"] = true, ["610"] = false, ["602"] = false, ["644"] = false } do
      temp.run(("chmod %s %s"):format(mode, path))
      if ok or core.euid() == 0 or mode ~= "400" then
        if ok then
          assert.equal("x", core.read_file(path, { private = true }):reveal())
        else
          assert.matches("chmod 600", is_refused("mode", core.read_file(path, { private = true })))
        end
      end
      assert.equal("x", core.read_file(path, { private = false }):reveal())
    end
    if core.euid() == 0 then
      temp.run(("chmod 600 %s; chown 1234 %s"):format(path, path))
      assert.matches("belongs to uid 1234", is_refused("owner", core.read_file(path, { private = true })))
    end
  end)

  it("is not asked for in a way that means something else", function()
    assert.matches("read_file: unknown option 'privat'; expected one of: max, private", message_of(core.read_file, "x", { privat = true }))
    assert.matches("private: expected true or false, got number", message_of(core.read_file, "x", { private = 1 }))
    assert.matches("max: expected a whole number from 1", message_of(core.read_file, "x", { max = 0 }))
    assert.matches("read_file: expected a table, got string", message_of(core.read_file, "x", "private"))
    assert.matches("read_file: expected named options only", message_of(core.read_file, "x", { "private" }))
  end)
end)

describe("directories", function()
  it("are made with those above them, mode 0700, and left alone when they exist", function()
    assert.is_true(core.make_dir(dir .. "/a/b//c/"))
    for _, path in ipairs { "/a", "/a/b", "/a/b/c" } do assert.equal("700", mode_of(dir .. path)) end
    temp.run("chmod 755 " .. dir .. "/a")
    assert.is_true(core.make_dir(dir .. "/a"))
    assert.is_true(core.make_dir "/")
    assert.equal("755", mode_of(dir .. "/a"))
    temp.write(dir .. "/file", "")
    is_refused("type", core.make_dir(dir .. "/file"))
    is_refused("type", core.make_dir(dir .. "/file/below"))
  end)

  it("are listed in order, without . and ..", function()
    assert.same({}, core.list_dir(dir))
    for _, name in ipairs { "b", "a", ".hidden", "é", "B", "a b\nc" } do temp.write(dir .. "/" .. name, "") end
    assert.same({ ".hidden", "B", "a", "a b\nc", "b", "é" }, core.list_dir(dir))
    for i = 1, 2000 do temp.write(("%s/%04d"):format(dir, i), "") end
    assert.equal(2006, #core.list_dir(dir))
    is_refused("ENOENT", core.list_dir(dir .. "/none"))
    is_refused("ENOTDIR", core.list_dir(dir .. "/a"))
  end)
end)

describe("removing a file", function()
  it("removes files and links, not directories", function()
    temp.write(dir .. "/file", "")
    temp.run(("cd %s; ln -s file link; mkdir directory"):format(dir))
    assert.is_true(core.remove_file(dir .. "/link"))
    assert.is_true(core.remove_file(dir .. "/file"))
    is_refused("ENOENT", core.remove_file(dir .. "/file"))
    is_refused("EISDIR", core.remove_file(dir .. "/directory"))
    assert.equal("directory", names())
  end)
end)

describe("looking at a path", function()
  it("tells type, mode, owner, size, time and file system, of a link itself", function()
    temp.write(dir .. "/file", "12345")
    temp.run(("cd %s; chmod 2640 file; touch -d @1700000000.5 file; ln -s nowhere link; mkfifo pipe"):format(dir))
    local info = core.stat(dir .. "/file")
    assert.same({ "file", 1440, core.euid(), 5, 1700000000.5 }, { info.type, info.mode, info.uid, info.size, info.mtime })
    assert.equal("symlink", core.stat(dir .. "/link").type)
    assert.equal("directory", core.stat(dir).type)
    assert.equal("other", core.stat(dir .. "/pipe").type)
    assert.equal("proc", core.stat("/proc/self/status").fs)
    is_refused("ENOENT", core.stat(dir .. "/none"))
  end)
end)
