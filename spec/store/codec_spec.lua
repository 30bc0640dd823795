local codecs = require "crdbcloud.store.codec"
local core = require "crdbcloud.core"
local record = require "crdbcloud.record"
local store = require "crdbcloud.store"
local temp = require "spec.support.temp"

local CLUSTER = "1b6fee85-c1ae-42da-bb4f-e3f8a89fdd25"
local KEY = CLUSTER .. "/app"

-- A record with a password in every place that can hold one.
local function full(changes)
  local function holder(epoch, text) return { epoch = epoch, password = core.secret(text), set_at = 1700000000, keep_until = 1700086400 } end
  local rec = record.new {
    cluster_id = CLUSTER, user = "app", state = "intent", epoch = 5, sinks = { { kind = "json", path = "/run/app.json" } },
    current = holder(4, "current-password"), previous = holder(3, "previous-password"), staged = holder(5, "staged-password"),
    bootstrap = { password = core.secret "bootstrap-password" },
    candidates = { holder(1, "first-candidate"), holder(2, "second-candidate") },
  }
  for name, value in pairs(changes or {}) do rec[name] = value end
  return rec
end

local function key_file(...)
  local path = temp.dir() .. "/key"
  temp.write(path, table.concat({ ... }, "\n") .. "\n")
  temp.run("chmod 600 " .. path)
  return path
end

local ONE, TWO = ("01"):rep(32), ("02"):rep(32)

local function codec(options) return assert(codecs.new(options)) end

-- The same file with other metadata, sealed bytes as they were, and a right checksum.
local function with_meta(file, change)
  local text = file:reveal()
  local meta, rest = text:match "^crdbcloud%-record 1\nmeta %d+\n(.-)\n(secret .*)sha256 %x+\n$"
  local changed = change(meta)
  assert(changed ~= meta)
  local body = ("crdbcloud-record 1\nmeta %d\n%s\n%s"):format(#changed, changed, rest)
  local path = temp.dir() .. "/body"
  temp.write(path, body)
  return core.secret(body .. "sha256 " .. temp.run("sha256sum < " .. path):match "%x+" .. "\n")
end

describe("a store's codec", function()
  after_each(temp.clean)

  it("gives back what went in, clear or sealed", function()
    for _, c in ipairs { codec(), codec { store_key_file = key_file(ONE) } } do
      local rec, version, form = c:decode(c:encode(full(), 7), KEY)
      assert.equal(7, version)
      assert.equal(c.key_id or "clear", form)
      assert.is_nil(rec.version)
      for name, text in pairs { current = "current-password", previous = "previous-password", staged = "staged-password",
        bootstrap = "bootstrap-password" } do
        assert.is_true(rec[name].password:equals(text))
      end
      assert.is_true(rec.candidates[2].password:equals "second-candidate")
      assert.same({ { kind = "json", path = "/run/app.json" } }, rec.sinks)
    end
  end)

  it("shows no password in what it seals", function()
    local text = codec({ store_key_file = key_file(ONE) }):encode(full()):reveal()
    assert.is_nil(text:find("-password", 1, true))
    assert.is_nil(text:find("-candidate", 1, true))
    assert.equal(6, select(2, text:gsub("aes%-256%-gcm", "")))
  end)

  it("opens with any key of its file and seals with the first", function()
    local old = codec { store_key_file = key_file(ONE) }
    local both = codec { store_key_file = key_file("# new", TWO, "# old", ONE) }
    local new = codec { store_key_file = key_file(TWO) }
    local rec, _, form = both:decode(old:encode(full()), KEY)
    assert.equal(old.key_id, form)
    local again = both:encode(rec)
    assert.equal(new.key_id, (select(3, new:decode(again, KEY))))
    local none, why, code = old:decode(again, KEY)
    assert.is_nil(none)
    assert.equal("sealed", code)
    assert.truthy(why:find(new.key_id, 1, true))
  end)

  -- name = what somebody who may only write to the store does to a record
  for what, change in pairs {
    ["moved to another user"] = function(meta) return (meta:gsub('"user":"app"', '"user":"ape"')) end,
    ["moved to another cluster"] = function(meta) return (meta:gsub("1b6fee85", "2b6fee85")) end,
    ["of an old epoch made new"] = function(meta) return (meta:gsub('"epoch":4', '"epoch":6')) end,
    ["set back to an earlier state"] = function(meta) return (meta:gsub('"state":"intent"', '"state":"staged"')) end,
    ["published elsewhere"] = function(meta) return (meta:gsub("app%.json", "etc.json")) end,
  } do
    it("refuses a record that was " .. what, function()
      local c = codec { store_key_file = key_file(ONE) }
      local file = with_meta(c:encode(full()), change)
      local meta = core.record_meta(file)
      local rec, why, code = c:decode(file, meta:match '"cluster_id":"([^"]+)"' .. "/" .. meta:match '"user":"([^"]+)"')
      assert.is_nil(rec)
      assert.equal("tampered", code)
      assert.matches("does not open", why, 1, true)
    end)
  end

  it("refuses a password that was moved to another field of the same record", function()
    local c = codec { store_key_file = key_file(ONE) }
    local before = { epoch = 5, password = core.secret "current-of-old!", keep_until = 1700086400 }
    local rec = full { candidates = record.NONE, bootstrap = record.NONE, previous = before }
    rec.candidates, rec.bootstrap = nil, nil
    rec.staged = { epoch = 5, password = core.secret "staged-of-now!!" }
    local text = c:encode(rec):reveal()
    local head, previous, staged = text:match "^(.*)secret previous (.-)secret staged (.-)sha256 %x+\n$"
    local body = head .. "secret previous " .. staged .. "secret staged " .. previous
    local path = temp.dir() .. "/body"
    temp.write(path, body)
    local file = core.secret(body .. "sha256 " .. temp.run("sha256sum < " .. path):match "%x+" .. "\n")
    local found, _, code = c:decode(file, KEY)
    assert.is_nil(found)
    assert.equal("tampered", code)
  end)

  it("takes no clear password where it has a key, unless that is wanted", function()
    local clear = codec():encode(full())
    local file = key_file(ONE)
    local rec, why, code = codec({ store_key_file = file }):decode(clear, KEY)
    assert.is_nil(rec)
    assert.equal("clear", code)
    assert.equal("its passwords are not sealed, and this store has a key", why)
    assert.equal("clear", (select(3, codec({ store_key_file = file, plaintext = true }):decode(clear, KEY))))
  end)

  it("takes no record without any password where it has a key, as nothing would vouch for it", function()
    local json = '{"schema":1,"cluster_id":"' .. CLUSTER .. '","user":"app","state":"posted","epoch":0}'
    local bare = core.record_encode(json, {})
    assert.is_table((codec():decode(bare, KEY)))
    assert.equal("clear", (select(3, codec({ store_key_file = key_file(ONE) }):decode(bare, KEY))))
  end)

  it("says what is wrong with bytes that are no record", function()
    local c = codec { store_key_file = key_file(ONE) }
    for bytes, code in pairs {
      ["hello"] = "foreign", [""] = "torn", [core.record_encode("[1", { a = core.secret "x" }):reveal()] = "foreign",
      [core.record_encode('{"user":1}', { a = core.secret "x" }):reveal()] = "clear",
    } do
      local rec, why, found = c:decode(core.secret(bytes), KEY)
      assert.is_nil(rec)
      assert.is_string(why)
      assert.equal(code, found)
    end
    for _, json in ipairs { "[]", '{"user":1}', '{"cluster_id":"x"}', '"text"', '{"schema":1,"cluster_id":"x","user":"app","state":"idle"}' } do
      local rec, _, code = codec():decode(core.record_encode(json, { a = core.secret "x" }), KEY)
      assert.is_nil(rec)
      assert.equal("foreign", code)
    end
  end)

  describe("reads its keys", function()
    local function refused(path)
      local c, err = codecs.new { store_key_file = path }
      assert.is_nil(c)
      assert.equal("store", err.kind)
      assert.equal("not_sent", err.outcome)
      assert.truthy(err.message:find("store_key_file", 1, true))
      return err
    end

    it("from a file of their owner alone", function()
      local path = key_file(ONE)
      temp.run("chmod 644 " .. path)
      local err = refused(path)
      assert.equal("mode", err.reason)
      assert.matches("chmod 600", tostring(err), 1, true)
    end)

    it("and says how to make one when the file is missing", function()
      local err = refused "/nonexistent/key"
      assert.equal("ENOENT", err.reason)
      assert.truthy(err.hint:find("umask 077; openssl rand -hex 32", 1, true))
    end)

    it("and names the line that is none", function()
      local err = refused(key_file(ONE, "not a key"))
      assert.equal("key", err.reason)
      assert.matches("line 2 is no key", err.message, 1, true)
    end)
  end)
end)

describe("a file: store with a key", function()
  after_each(temp.clean)

  it("seals what it holds, and needs the key to read it", function()
    local url = "file:" .. temp.dir() .. "/store"
    local keys = key_file(ONE)
    local sealed = assert(store.open(url, { store_key_file = keys }))
    assert(sealed:put(KEY, full()))
    assert.equal(sealed.codec.key_id, (select(3, sealed:get(KEY))))
    local text = temp.read(url:sub(6) .. "/" .. KEY .. ".rec")
    assert.is_nil(text:find("-password", 1, true))
    local rec, err = assert(store.open(url)):get(KEY)
    assert.is_nil(rec)
    assert.equal("sealed", err.reason)
    assert.truthy(err.hint:find("store_key_file", 1, true))
  end)

  it("refuses what is in the clear until it is sealed", function()
    local url = "file:" .. temp.dir() .. "/store"
    local v = assert(assert(store.open(url)):put(KEY, full()))
    local sealed = assert(store.open(url, { store_key_file = key_file(ONE) }))
    local ok, err = sealed:put(KEY, full(), v)
    assert.is_nil(ok)
    assert.equal("clear", err.reason)
    assert.truthy(err.hint:find("crdbcloud store rekey", 1, true))
  end)

  it("checks its options at the caller's line", function()
    local function raised(...)
      local ok, message = pcall(store.open, ...)
      assert.is_false(ok)
      return message
    end
    assert.matches('store.open: unknown option "store_key"; did you mean "store_key_file"?', raised("memory:", { store_key = "x" }), 1, true)
    assert.matches("spec/store/codec_spec.lua:%d+: store.open: plaintext must be true or false", raised("memory:", { plaintext = 1 }))
  end)
end)
