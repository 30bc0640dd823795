-- Tests lua/crdbcloud/store/exec_call.lua.

local contract = require "spec.support.stores.contract"
local core = require "crdbcloud.core"
local managers = require "spec.support.servers.secret_managers"
local store = require "crdbcloud.store"
local temp = require "spec.support.temp"

local KEY, example = contract.KEY, contract.example
local PASSWORD = "correct-horse-battery"
local LUA = rawget(_G, "jit") and "luajit" or "lua5.4"

describe("an exec: store", function()
  local dir

  before_each(function() dir = temp.dir() end)
  after_each(temp.clean)

  local function command() return managers.command(LUA, "spec/support/stores/exec_backend.lua", dir) end

  local function try_open(opts)
    opts = opts or {}
    opts.command = opts.command or command()
    if opts.plaintext == nil and not opts.store_key_file then opts.plaintext = true end
    return store.open("exec:", opts)
  end

  local function open(opts) return assert(try_open(opts)) end

  local function fault(text) temp.write(dir .. "/fault", text) end

  local function calls() return temp.read(dir .. "/calls") or "" end

  contract.cases(it, assert, open)

  describe("is opened", function()
    it("by a URL that is split at blanks", function()
      local s = assert(store.open("exec:  env  -u LD_PRELOAD -u ASAN_OPTIONS " .. LUA .. " spec/support/stores/exec_backend.lua " .. dir, { plaintext = true }))
      assert.equal("crdbcloud.store exec:env", tostring(s))
      assert.is_true(s.shared)
      assert.equal("hello \n", calls())
    end)

    it("never without a key, unless clear passwords are asked for; nothing runs before that", function()
      local s, err = try_open { plaintext = false }
      assert.is_nil(s)
      assert.equal("store", err.kind)
      assert.equal("not_sent", err.outcome)
      assert.truthy(tostring(err):find("store_key_file", 1, true))
      assert.truthy(tostring(err):find("openssl rand -hex 32", 1, true))
      assert.equal("", calls())
    end)

    it("only by a command that can be run and answers as it should", function()
      local function refused(what, opts)
        local s, err = try_open(opts)
        assert.is_nil(s)
        assert.equal("not_sent", err.outcome)
        assert.truthy(err.message:find(what, 1, true), err.message)
        return err
      end
      refused("needs a command", { command = {} })
      refused("must be a list of strings", { command = { "env", 7 } })
      refused('its answer is not one JSON object with "ok"', { command = { "true" } })
      refused("exit status 1 (0 bytes on standard error)", { command = { "false" } })
      fault "hello newer"
      refused('it must answer {"ok":true,"protocol":1,"cas":true|false}')
      fault "hello word:unavailable"
      assert.is_true(refused("the secret manager cannot be reached").retryable)
      local s, err = store.open("exec:env x", { command = { "env" }, plaintext = true })
      assert.is_nil(s)
      assert.equal("invalid_argument", err.kind)
      s, err = store.open("exec:", { plaintext = true })
      assert.is_nil(s)
      assert.matches("for example exec:/", err.hint)
    end)

    -- In a process of its own: a memory checker around this one takes a failed exec for an exit with 127.
    it("never by a program that is not there", function()
      local out = temp.run(temp.lua [[
        local s, err = require "crdbcloud.store".open("exec:no-such-program", {plaintext = true})
        print(s, err.outcome, err.reason, err.message)]])
      assert.equal("nil\tnot_sent\tENOENT\tstore exec:no-such-program: hello: cannot run no-such-program: No such file or directory\n", out)
    end)

    it("A22: without compare-and-swap only for a single writer, with a warning", function()
      temp.write(dir .. "/nocas", "")
      local s, err = try_open()
      assert.is_nil(s)
      assert.equal("invalid_argument", err.kind)
      assert.matches("cannot compare and swap", err.message)
      assert.matches("single_writer = true", err.hint)
      s = open { single_writer = true }
      assert.matches("two runs at once may lose a password", s:warnings()[2])
    end)
  end)

  it("warns of clear passwords, and of nothing when they are sealed", function()
    assert.matches("passwords stand in the clear", open():warnings()[1])
    temp.write(dir .. "/key", ("0f"):rep(32))
    temp.run("chmod 600 " .. dir .. "/key")
    assert.same({}, open { store_key_file = dir .. "/key" }:warnings())
  end)

  it("shows no password in arguments, environment or errors", function()
    local s = open()
    local version = assert(s:put(KEY, example()))
    s:get(KEY)
    for _, how in ipairs { "garbage", "lost", "half", "status", "versionless", "word:swordfish" } do
      fault("put " .. how .. " always")
      local _, err = s:put(KEY, example(nil, "swordfish"), version)
      if err then assert.falsy((tostring(err) .. err:json()):find("swordfish", 1, true), how) end
      os.remove(dir .. "/fault")
      version = select(2, s:get(KEY))
    end
    local seen = temp.read(dir .. "/seen")
    for _, text in ipairs { PASSWORD, "swordfish" } do
      for _, form in ipairs { "base64", "hex", "uri", "json" } do
        assert.falsy(seen:find(core.secret(text):encode(form):reveal():sub(1, 11), 1, true), form)
      end
    end
  end)

  it("keeps our own secrets from the command", function()
    local out = temp.run(("env COCKROACH_API_KEY=swordfish CRDBCLOUD_SQL=swordfish PGPASSWORD=swordfish FOO=bar %s"):format(temp.lua(([[
      local store = require "crdbcloud.store"
      local s = assert(store.open("exec:%s spec/support/stores/exec_backend.lua %s", {plaintext = true}))
      print(s:list "")]]):format(LUA, dir))))
    assert.matches("^%(none%)", out)
    local seen = temp.read(dir .. "/seen")
    assert.falsy(seen:find("swordfish", 1, true))
    assert.truthy(seen:find("FOO=bar", 1, true))
  end)

  describe("whose put has lost its answer", function()
    for _, how in ipairs { "lost", "half", "status", "versionless", "repeated" } do
      it("finds by reading that it was written: " .. how, function()
        local s = open()
        local v1 = assert(s:put(KEY, example()))
        fault("put " .. how)
        local v2 = assert(s:put(KEY, example(nil, "second-password"), v1))
        assert.equal(v2, select(2, s:get(KEY)))
        assert.is_true(s:get(KEY).current.password:equals "second-password")
      end)
    end

    it("finds by reading that it was written: stopped at the time limit", function()
      local s = open { timeout = 2 }
      fault "put hang"
      local version = assert(s:put(KEY, example()))
      assert.equal(version, select(2, s:get(KEY)))
    end)

    for _, how in ipairs { "unwritten", "garbage", "word:full" } do
      it("finds by reading that it was not written: " .. how, function()
        local s = open()
        local version = assert(s:put(KEY, example()))
        fault("put " .. how)
        local ok, err = s:put(KEY, example(nil, "second-password"), version)
        assert.is_nil(ok)
        assert.equal("store", err.kind)
        assert.equal(version, select(2, s:get(KEY)))
        assert(s:put(KEY, example(nil, "second-password"), version))
      end)
    end

    it("finds that another run was faster", function()
      local s = open()
      local version = assert(s:put(KEY, example()))
      fault "put raced"
      local ok, err = s:put(KEY, example(nil, "second-password"), version)
      assert.is_nil(ok)
      assert.equal("conflict", err.kind)
      assert.equal("version", err.reason)
    end)

    it("says that it is not known when it cannot read either", function()
      local s = open()
      temp.run(("sh -c 'printf \"put lost\" > %s/fault'"):format(dir))
      local get = s.call.get
      s.call.get = function(self, key)
        temp.write(dir .. "/fault", "get word:unavailable")
        return get(self, key)
      end
      local ok, err = s:put(KEY, example())
      assert.is_nil(ok)
      assert.equal("unknown", err.reason)
      assert.matches("it is not known whether the record was written", err.message)
      s.call.get = nil
      assert.is_true(s:get(KEY).current.password:equals(PASSWORD))
    end)
  end)

  describe("whose remove has lost its answer", function()
    it("finds by reading that the record is gone", function()
      local s = open()
      for _, how in ipairs { "lost", "repeated", "status" } do
        local version = assert(s:put(KEY, example()))
        fault("remove " .. how)
        assert.is_true(s:remove(KEY, version), how)
        assert.is_nil((s:get(KEY)))
      end
    end)

    it("finds that the record is as it was", function()
      local s = open()
      local version = assert(s:put(KEY, example()))
      fault "remove unwritten"
      local ok, err = s:remove(KEY, version)
      assert.is_nil(ok)
      assert.equal("store", err.kind)
      assert.is_true(s:remove(KEY, version))
    end)
  end)

  it("refuses answers that lack something, and nothing is sent after them", function()
    local s = open()
    assert(s:put(KEY, example()))
    for _, how in ipairs { "valueless", "changed", "half", "garbage", "status", "word:denied" } do
      fault("get " .. how)
      local rec, err = s:get(KEY)
      assert.is_nil(rec, how)
      assert.equal("store", err.kind)
      assert.equal("not_sent", err.outcome)
    end
    for _, how in ipairs { "garbage", "word:unavailable" } do
      fault("list " .. how)
      local keys, err = s:list ""
      assert.is_nil(keys, how)
      assert.equal("store", err.kind)
    end
    fault "list foreign"
    local keys, err = s:list "another"
    assert.is_nil(keys)
    assert.matches("does not begin with what was asked for", err.message)
  end)

  it("says of a failure the one word that the command may give", function()
    local s = open()
    for word, text in pairs {
      unavailable = "cannot be reached", denied = "refused access", full = "has no room", invalid = "did not understand",
      failed = "reported a failure", nonsense = "reported a failure",
    } do
      fault("get word:" .. word)
      local _, err = s:get(KEY)
      assert.truthy(err.message:find("store exec:env: get: the", 1, true))
      assert.truthy(err.message:find(text, 1, true), err.message)
      assert.equal(word ~= "nonsense" and word or "failed", err.reason)
      assert.matches("hello", err.hint)
    end
  end)

  it("refuses the record of one user under the name of another", function()
    local s = open()
    assert(s:put(KEY, example()))
    local value = assert(temp.read(dir .. "/values")):gsub("\\/app", "\\/other"):gsub("/app", "/other")
    temp.write(dir .. "/values", value)
    local rec, err = s:get(contract.CLUSTER .. "/other")
    assert.is_nil(rec)
    assert.truthy(err.message:find("it belongs to " .. KEY, 1, true))
  end)

  it("keeps sealed passwords that open with the key only", function()
    temp.write(dir .. "/key", ("0f"):rep(32))
    temp.write(dir .. "/other_key", ("0e"):rep(32))
    temp.run("chmod 600 " .. dir .. "/*key")
    local sealed = open { store_key_file = dir .. "/key" }
    assert(sealed:put(KEY, example()))
    assert.is_true(sealed:get(KEY).current.password:equals(PASSWORD))
    local rec, err = open { store_key_file = dir .. "/other_key" }:get(KEY)
    assert.is_nil(rec)
    assert.equal("sealed", err.reason)
    rec, err = open():get(KEY)
    assert.is_nil(rec)
    assert.equal("sealed", err.reason)
  end)

  describe("without compare-and-swap", function()
    local s
    before_each(function()
      temp.write(dir .. "/nocas", "")
      s = open { single_writer = true }
    end)

    it("compares itself", function()
      local v1 = assert(s:put(KEY, example()))
      local v2 = assert(s:put(KEY, example(), v1))
      for _, wrong in ipairs { v1, "none" } do
        local ok, err = s:put(KEY, example(), wrong)
        assert.is_nil(ok)
        assert.equal("version", err.reason)
      end
      assert.equal(v2, select(2, s:get(KEY)))
    end)

    it("finds out by reading that somebody else has written over it", function()
      local version = assert(s:put(KEY, example()))
      local put = s.call.put
      s.call.put = function(...)
        local new = put(...)
        temp.write(dir .. "/values", '{"' .. KEY .. '":{"version":"v9","value":"c29tZWJvZHkgZWxzZQ=="}}')
        return new
      end
      local ok, err = s:put(KEY, example(nil, "second-password"), version)
      assert.is_nil(ok)
      assert.equal("conflict", err.kind)
    end)
  end)
end)
