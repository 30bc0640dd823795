-- Tests lua/crdbcloud/store/guarded.lua, lua/crdbcloud/store/memory.lua.

local core = require "crdbcloud.core"
local record = require "crdbcloud.record"
local store = require "crdbcloud.store"
local sql_store = require "spec.support.stores.sql_store"
local temp = require "spec.support.temp"
local wait = require "spec.support.wait"

local CLUSTER = "1b6fee85-c1ae-42da-bb4f-e3f8a89fdd25"
local KEY = CLUSTER .. "/app"

local function example(user, text)
  return record.new {
    cluster_id = CLUSTER, user = user or "app", state = "idle", epoch = 3, owner = "team@example.com",
    current = { epoch = 3, password = core.secret(text or "correct-horse-battery"), set_at = 1700000000 },
  }
end

local function file_store()
  local dir = temp.dir() .. "/store"
  return assert(store.open("file:" .. dir)), dir
end

describe("opening a store", function()
  after_each(temp.clean)

  it("raises when it is named by no string", function()
    assert.has_error(function() store.open(nil) end,
      'store: expected a URL such as "file:/var/lib/crdbcloud", got nothing')
  end)

  for url, message in pairs {
    ["redis://secret@host"] = "store: this version has no store of kind redis:",
    ["/var/lib"] = "store: a store is named by a URL with a kind in front",
    ["file:"] = "store: file: needs a directory",
  } do
    it("refuses " .. url .. " without repeating what may be a password", function()
      local opened, err = store.open(url)
      assert.is_nil(opened)
      assert.are.equal("invalid_argument", err.kind)
      assert.are.equal(message, err.message)
      assert.is_nil(tostring(err):find("secret", 1, true))
    end)
  end

  it("makes the directory with mode 0700 when something is to be kept, not when it is looked into", function()
    local s, dir = file_store()
    assert.are.same({}, s:list "")
    assert.is_nil((s:get(KEY)))
    assert.is_nil((core.stat(dir)))
    assert.matches("is new and on this host only", s:warnings()[1])
    local other = assert(store.open("file:" .. dir))
    assert(s:put(KEY, example()))
    assert.are.same({ KEY }, other:list "")
    assert.is_false(other.missing)
    assert.are.equal(448, core.stat(dir).mode % 512)
  end)

  it("refuses a directory that others may enter", function()
    local dir = temp.dir()
    temp.run("chmod 750 " .. dir)
    local opened, err = store.open("file:" .. dir)
    assert.is_nil(opened)
    assert.are.equal("store", err.kind)
    assert.are.equal("not_sent", err.outcome)
    assert.truthy(err.message:find("may be entered by others (mode 750); chmod 700 it", 1, true))
  end)

  it("refuses a symbolic link in its place", function()
    local dir = temp.dir()
    temp.run(("mkdir -m 700 %s/real && ln -s real %s/link"):format(dir, dir))
    local opened, err = store.open("file:" .. dir .. "/link")
    assert.is_nil(opened)
    assert.are.equal("store", err.kind)
  end)

  it("refuses a file in its place", function()
    local dir = temp.dir()
    temp.write(dir .. "/store", "")
    local opened, err = store.open("file:" .. dir .. "/store")
    assert.is_nil(opened)
    assert.are.equal("store", err.kind)
  end)
end)

for _, kind in ipairs { "file", "memory", "postgresql" } do
  describe("a " .. kind .. ": store", function()
    local s, place
    before_each(function()
      if kind == "postgresql" then
        place = sql_store.new()
        s = place:open()
      else
        s = kind == "file" and file_store() or assert(store.open "memory:")
      end
    end)
    after_each(function()
      if place then place:close() end
      temp.clean()
    end)

    it("has no record at first, and says so without an error", function()
      local rec, err = s:get(KEY)
      assert.is_nil(rec)
      assert.is_nil(err)
    end)

    it("gives back what was put, password and metadata", function()
      local version = assert(s:put(KEY, example()))
      local rec, found = s:get(KEY)
      assert.are.equal(version, found)
      assert.are.equal("team@example.com", rec.owner)
      assert.are.equal(3, rec.current.epoch)
      assert.is_true(rec.current.password:equals "correct-horse-battery")
    end)

    it("does not change what it was given", function()
      local rec = example()
      s:put(KEY, rec)
      assert.is_nil(rec.version)
      assert.is_userdata(rec.current.password)
    end)

    it("changes a record only by its present version", function()
      local v1 = assert(s:put(KEY, example()))
      local v2 = assert(s:put(KEY, example(nil, "second-password"), v1))
      for _, wrong in ipairs { v1, v2 + 1 } do
        local ok, err = s:put(KEY, example(nil, "third-password"), wrong)
        assert.is_nil(ok)
        assert.are.equal("conflict", err.kind)
        assert.are.equal("version", err.reason)
      end
      local ok = s:put(KEY, example(nil, "third-password"), nil)
      assert.is_nil(ok)
      assert.is_true(s:get(KEY).current.password:equals "second-password")
    end)

    it("removes a record only by its present version", function()
      local v = assert(s:put(KEY, example()))
      assert.is_nil((s:remove(KEY, v + 1)))
      assert.is_true(s:remove(KEY, v))
      assert.is_nil((s:get(KEY)))
    end)

    it("lists keys by prefix, sorted", function()
      for _, user in ipairs { "zeta", "alpha", "alphabet", "0user.x-y" } do s:put(CLUSTER .. "/" .. user, example(user)) end
      assert.are.same({
        CLUSTER .. "/0user.x-y", CLUSTER .. "/alpha", CLUSTER .. "/alphabet", CLUSTER .. "/zeta",
      }, s:list(CLUSTER .. "/"))
      assert.are.same({ CLUSTER .. "/alpha", CLUSTER .. "/alphabet" }, s:list(CLUSTER .. "/alpha"))
      assert.are.same({}, s:list("another/"))
    end)

    it("lends a key to one holder at a time and names the other", function()
      local lock = assert(s:lock(KEY, "run-one"))
      local second, err = s:lock(KEY, "run-two")
      assert.is_nil(second)
      assert.are.equal("busy", err.kind)
      assert.are.equal(7, err.exit)
      assert.truthy(err.message:find("run-one", 1, true))
      lock.close()
      lock.close()
      assert(s:lock(KEY, "run-two")).close()
    end)

    it("lets the holder of a key write it", function()
      local lock = assert(s:lock(KEY, "run"))
      assert.is_number(s:put(KEY, example()))
      lock.close()
    end)
  end)
end

describe("a file: store whose directory of a cluster cannot be listed", function()
  local list_dir = core.list_dir
  after_each(function() core.list_dir = list_dir end)

  it("says so, but for what is no directory of ours", function()
    local dir = temp.dir()
    local s = assert(store.open("file:" .. dir))
    assert(s:put(KEY, example()))
    for code, known in pairs { ENOTDIR = true, ENOENT = true, EACCES = false, EMFILE = false, EIO = false } do
      function core.list_dir(path) -- as the system may answer at any time
        if path ~= dir then return nil, "cannot be listed", code end
        return list_dir(path)
      end
      local keys, err = s:list ""
      assert.equal(known, keys ~= nil, code)
      if not known then assert.same({ "store", code }, { err.kind, err.reason }) end
    end
  end)
end)

describe("a file: store", function()
  local s, dir, path
  before_each(function()
    s, dir = file_store()
    path = dir .. "/" .. CLUSTER .. "/app.rec"
  end)
  after_each(temp.clean)

  it("keeps records 0600 and never the password in the metadata line", function()
    s:put(KEY, example())
    assert.are.equal(384, core.stat(path).mode % 512)
    local meta = temp.read(path):match("meta %d+\n(.-)\nsecret")
    assert.is_nil(meta:find("correct-horse-battery", 1, true))
  end)

  it("keeps a name that is no safe file name, and a name with a leading dot-like letter", function()
    local user = "ünïcode.name"
    assert(s:put(CLUSTER .. "/" .. user, example(user)))
    assert.are.same({ CLUSTER .. "/" .. user }, s:list(CLUSTER .. "/"))
    assert.are.equal(user, s:get(CLUSTER .. "/" .. user).user)
  end)

  it("refuses by name a record that is truncated anywhere", function()
    s:put(KEY, example())
    local whole = temp.read(path)
    for length = 0, #whole - 1, 7 do
      temp.write(path, whole:sub(1, length))
      local rec, err = s:get(KEY)
      assert.is_nil(rec)
      assert.are.equal("store", err.kind)
      assert.are.equal("not_sent", err.outcome)
      assert.truthy(err.message:find("record " .. KEY .. " was refused", 1, true))
    end
  end)

  it("refuses a record with one byte changed", function()
    s:put(KEY, example())
    local whole = temp.read(path)
    for at = 1, #whole, 5 do
      temp.write(path, whole:sub(1, at - 1) .. string.char((whole:byte(at) + 1) % 256) .. whole:sub(at + 1))
      local rec, err = s:get(KEY)
      assert.is_nil(rec, "byte " .. at)
      assert.are.equal("store", err.kind)
      assert.is_nil(tostring(err):find("correct-horse", 1, true))
    end
  end)

  it("does not overwrite a record that it refuses", function()
    s:put(KEY, example())
    temp.write(path, "crdbcloud-record 2\nfrom the future\n")
    local ok, err = s:put(KEY, example())
    assert.is_nil(ok)
    assert.are.equal("store", err.kind)
    assert.are.equal("crdbcloud-record 2\nfrom the future\n", temp.read(path))
  end)

  it("refuses a newer schema inside a whole record", function()
    local rec = example()
    rec.schema = 99
    s:put(KEY, rec)
    local got, err = s:get(KEY)
    assert.is_nil(got)
    assert.truthy(err.message:find("its schema is 99, this version knows up to 1", 1, true))
  end)

  it("refuses the record of one user under the name of another", function()
    s:put(KEY, example())
    temp.run(("cp %s %s"):format(path, (path:gsub("app%.rec", "other.rec"))))
    local rec, err = s:get(CLUSTER .. "/other")
    assert.is_nil(rec)
    assert.truthy(err.message:find("it belongs to " .. KEY, 1, true))
  end)

  it("refuses a record that others may read, or that is a link", function()
    s:put(KEY, example())
    temp.run("chmod 640 " .. path)
    local rec, err = s:get(KEY)
    assert.is_nil(rec)
    assert.are.equal("store", err.kind)
    temp.run(("chmod 600 %s && mv %s %s.real && ln -s %s.real %s"):format(path, path, path, path, path))
    rec = s:get(KEY)
    assert.is_nil(rec)
  end)

  it("sweeps what a crash left beside a record, once it holds the key", function()
    s:put(KEY, example())
    local torn = dir .. "/" .. CLUSTER .. "/.app.rec.tmp.0123"
    temp.write(torn, "half")
    assert(s:lock(KEY, "run")).close()
    assert.is_nil(temp.read(torn))
    assert.is_table((s:get(KEY)))
  end)

  it("tidies a whole cluster, but not where somebody works", function()
    assert(s:make())
    temp.run("mkdir -m 700 " .. dir .. "/" .. CLUSTER)
    local torn, busy = dir .. "/" .. CLUSTER .. "/.never_written.rec.tmp.0123", dir .. "/" .. CLUSTER .. "/.app.rec.tmp.0123"
    temp.write(torn, "half")
    local lock = assert(s:lock(KEY, "run"))
    temp.write(busy, "half")
    assert(store.open("file:" .. dir)):tidy(CLUSTER)
    assert.is_nil(temp.read(torn))
    assert.are.equal("half", temp.read(busy))
    lock.close()
    s:tidy(CLUSTER)
    assert.is_nil(temp.read(busy))
    s:tidy "no-such-cluster"
  end)

  it("tells a holder whose lock file was removed, who then writes only while nobody else has the key", function()
    local lock = assert(s:lock(KEY, "first"))
    assert.is_true(lock.ensure(60))
    temp.run("rm " .. dir .. "/" .. CLUSTER .. "/app.lock")
    local ok, err = lock.ensure(60)
    assert.is_nil(ok)
    assert.are.same({ "busy", "lease" }, { err.kind, err.reason })
    local version = assert(s:put(KEY, example()))
    local second = assert(store.open("file:" .. dir):lock(KEY, "second"))
    assert.is_nil(lock.ensure(60))
    assert.is_true(second.ensure(60))
    ok, err = s:put(KEY, example(), version)
    assert.is_nil(ok)
    assert.are.equal("busy", err.kind)
    assert.truthy(err.message:find("second", 1, true))
    lock.close()
    assert.is_true(second.ensure(60))
    second.close()
    assert.is_number(s:put(KEY, example(), version))
  end)

  it("keeps a version that two handles agree on", function()
    local other = assert(store.open("file:" .. dir))
    local v1 = assert(s:put(KEY, example()))
    local v2 = assert(other:put(KEY, example(nil, "from-the-other"), v1))
    local ok, err = s:put(KEY, example(), v1)
    assert.is_nil(ok)
    assert.are.equal("version", err.reason)
    assert.are.equal(v2, select(2, s:get(KEY)))
  end)

  it("is held against another process, and free when that one is killed", function()
    local out = temp.dir() .. "/out"
    local code = ([[
      local s = assert(require("crdbcloud.store").open("file:%s"))
      local lock = assert(s:lock("%s", "run-of-another-process"))
      io.open("%s", "w"):close()
      core.sleep(60)]]):format(dir, KEY, out)
    local pid = temp.run("(" .. temp.lua(code) .. ") >/dev/null 2>&1 & echo $!"):match("%d+")
    wait("the lock of the other process", function() return temp.read(out) end)
    local lock, err = s:lock(KEY, "run-here")
    assert.is_nil(lock)
    assert.truthy(err.message:find("run-of-another-process", 1, true))
    temp.run("kill -9 " .. pid)
    wait("the lock", function() return s:lock(KEY, "run-here") end).close()
  end)

  it("says that a store in memory loses everything at a reboot", function()
    if core.stat("/dev/shm") and core.stat("/dev/shm").fs == "tmpfs" then
      local where = "/dev/shm/crdbcloud-spec-" .. core.random_hex(6)
      local shm = assert(store.open("file:" .. where))
      assert.truthy(shm:warnings()[1]:find("a reboot loses every password in it", 1, true))
      temp.run("rm -rf " .. where)
    else
      assert.are.same({}, s:warnings())
    end
  end)
end)
