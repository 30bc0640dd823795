-- The recipes of examples/stores against the real pass and the real etcd.

local cjson = require "cjson"
local contract = require "spec.support.stores.contract"
local core = require "crdbcloud.core"
local managers = require "spec.support.servers.secret_managers"
local store = require "crdbcloud.store"
local temp = require "spec.support.temp"

local KEY, example = contract.KEY, contract.example
local PASSWORD = "correct-horse-battery"

local function key_file()
  local path = temp.dir() .. "/key"
  temp.write(path, ("0f"):rep(32) .. "\n")
  temp.run("chmod 600 " .. path)
  return path
end

-- One call of a recipe by hand.
local function call(command, request)
  local result = assert(core.run(command, { stdin = cjson.encode(request), inherit = true, timeout = 60 }))
  local ok, answer = pcall(cjson.decode, result.stdout:reveal())
  return ok and answer or nil, result.status
end

local function recipe_cases(command, fresh)
  local function open(opts)
    opts = opts or { store_key_file = key_file() }
    opts.command = fresh()
    return assert(store.open("exec:", opts))
  end

  contract.cases(it, assert, open)

  it("never sees a password that is not sealed", function()
    local s = open()
    assert(s:put(KEY, example()))
    local answer = call(s.call.command, { op = "get", key = KEY })
    local bytes = core.secret(answer.value):decode "base64":reveal()
    assert.matches("^crdbcloud%-record 1\n", bytes)
    assert.falsy(bytes:find(PASSWORD, 1, true))
    assert.matches("secret current aes%-256%-gcm:%x+ ", bytes)
  end)

  it("lets one of many writers at once win", function()
    local winning = fresh()
    local words = {}
    for i, word in ipairs(winning) do words[i] = temp.quote(word) end
    local dir = temp.dir()
    local lines = {}
    for i = 1, 6 do
      temp.write(dir .. "/in" .. i, cjson.encode { op = "put", key = KEY, version = cjson.null, value = core.secret("writer" .. i):encode "base64":reveal() })
      lines[i] = ("%s <%s/in%d >%s/out%d &"):format(table.concat(words, " "), dir, i, dir, i)
    end
    temp.run(table.concat(lines, "\n") .. "\nwait")
    local winner, conflicts = nil, 0
    for i = 1, 6 do
      local answer = cjson.decode(temp.read(dir .. "/out" .. i))
      if answer.ok then
        assert.is_nil(winner)
        winner = { number = i, version = answer.version }
      else
        assert.equal("conflict", answer.error)
        conflicts = conflicts + 1
      end
    end
    assert.equal(5, conflicts)
    local answer = call(winning, { op = "get", key = KEY })
    assert.equal("writer" .. winner.number, core.secret(answer.value):decode "base64":reveal())
    assert.equal(winner.version, answer.version)
  end)

  it("refuses what is no request", function()
    for _, request in ipairs { { op = "sing" }, { op = "get", key = 'a"b' } } do
      local answer, status = call(command(), request)
      if answer.found == nil then
        assert.same({ ok = false, error = "invalid" }, answer)
        assert.equal(1, status)
      end
    end
  end)
end

describe("the recipe for pass", function()
  local password_store, folders = nil, 0

  setup(function() password_store = managers.pass() end)
  teardown(function() password_store.stop() end)
  after_each(temp.clean)

  local function in_folder(folder)
    return managers.command(password_store.env[1], password_store.env[2], "examples/stores/pass", folder)
  end

  recipe_cases(function() return in_folder "other" end, function()
    folders = folders + 1
    return in_folder("folder" .. folders)
  end)

  it("keeps records where pass shows them, and leaves nothing beside them", function()
    local s = assert(store.open("exec:", { command = in_folder "seen", plaintext = true }))
    assert(s:put(KEY, example()))
    local out, status = temp.run(("%s %s %s pass show seen/records/%s"):format(table.concat(managers.PLAIN, " "),
      password_store.env[1], password_store.env[2], KEY))
    assert.equal(0, status, out)
    assert.truthy(core.secret((out:gsub("%s+$", ""))):decode "base64":reveal():find(PASSWORD, 1, true))
    assert.same({}, core.list_dir(password_store.dir .. "/store/seen/new") or {})
  end)

  it("takes no path out of its folder", function()
    for _, key in ipairs { "../x", "a/../../x", "/etc/passwd", "a//b", ".." , "" } do
      assert.same({ ok = false, error = "invalid" }, (call(in_folder "f", { op = "get", key = key })))
    end
  end)

  it("says when there is no password store, or no key to read it", function()
    local s, err = store.open("exec:", { command = managers.command("PASSWORD_STORE_DIR=/nonexistent", "examples/stores/pass"), plaintext = true })
    assert.is_nil(s)
    assert.equal("denied", err.reason)
    local before = in_folder "locked"
    assert(assert(store.open("exec:", { command = before, plaintext = true })):put(KEY, example()))
    local other = managers.command("GNUPGHOME=" .. temp.dir(), password_store.env[2], "examples/stores/pass", "locked")
    local rec
    rec, err = assert(store.open("exec:", { command = other, plaintext = true })):get(KEY)
    assert.is_nil(rec)
    assert.equal("store", err.kind)
    assert.equal("not_sent", err.outcome)
  end)

  it("is put right by the next write after a crash in the middle of one", function()
    local s = assert(store.open("exec:", { command = in_folder "torn", plaintext = true }))
    local version = assert(s:put(KEY, example()))
    temp.run(("mkdir -p %s/store/torn/new && printf half > %s/store/torn/new/123.gpg"):format(password_store.dir, password_store.dir))
    assert.is_true(s:get(KEY).current.password:equals(PASSWORD))
    assert(s:put(KEY, example(nil, "another-password"), version))
    assert.same({}, core.list_dir(password_store.dir .. "/store/torn/new") or {})
    assert.same({ KEY }, s:list "")
  end)
end)

describe("the recipe for etcd", function()
  local server, prefixes = nil, 0

  setup(function() server = managers.etcd() end)
  teardown(function() server.stop() end)
  after_each(temp.clean)

  local function under(prefix)
    return managers.command("ETCDCTL_ENDPOINTS=" .. server.endpoint, "examples/stores/etcd", prefix)
  end

  recipe_cases(function() return under "/other/" end, function()
    prefixes = prefixes + 1
    return under(("/spec%d/"):format(prefixes))
  end)

  it("says when the server does not answer", function()
    local command = managers.command("ETCDCTL_ENDPOINTS=http://127.0.0.1:1", "ETCDCTL_DIAL_TIMEOUT=200ms", "ETCDCTL_COMMAND_TIMEOUT=200ms",
      "examples/stores/etcd")
    local s, err = store.open("exec:", { command = command, plaintext = true })
    assert.is_nil(s)
    assert.equal("unavailable", err.reason)
    assert.is_true(err.retryable)
  end)

  it("keeps two handles apart by leases", function()
    local opts = { command = under "/leases/", plaintext = true, lease = 1 }
    local one, two = assert(store.open("exec:", opts)), assert(store.open("exec:", opts))
    local lock = assert(one:lock(KEY, "run-one"))
    local taken = assert(two:lock(KEY, "run-two")) -- after a whole lease in which nobody renewed it
    local ok, err = lock.ensure(30)
    assert.is_nil(ok)
    assert.equal("lease", err.reason)
    assert.is_true(taken.ensure(30))
    taken.close()
    assert(one:lock(KEY, "run-one")).close()
  end)
end)
