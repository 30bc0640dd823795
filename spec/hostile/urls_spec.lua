-- Tests csrc/sql/watch.c.
--- Passwords that are not percent-encoded in a URL, and servers that ask for the password itself: neither prints nor
--- sends what it should not.

local cloud = require "crdbcloud"
local core = require "crdbcloud.core"
local command = require "spec.support.command"
local credentials = require "crdbcloud.credentials"
local params = require "crdbcloud.sql.params"
local postgres = require "spec.support.servers.postgres".shared()
local sql = require "crdbcloud.sql"
local store = require "crdbcloud.store"
local temp = require "spec.support.temp"
local urls = require "crdbcloud.base.urls"

-- A password with a mark on both sides of what breaks the URL.
local PASSWORDS = {
  "hidA@hidB", "hidA/hidB", "hidA?hidB", "hidA#hidB", "hidA:hidB", "@hidA", "hidA@", "hidA/hid@B?hid#C", "12/hidB", "12?x/hidB",
  "hidA@hidB@hidC", "hidA,hidB@127.0.0.1", "hidA%zzhidB", "hidA[hidB]",
}
local SCHEMES = { "postgresql://", "postgres://", "file://", "exec://", "memory://", "https://", "http://" }

-- How a call ended, with everything that it could show.
local function said(fn, ...)
  local out = { pcall(fn, ...) }
  for i = 1, 4 do
    local v = out[i]
    out[i] = tostring(v) .. (type(v) == "table" and v.json and " " .. v:json() or "") .. (type(v) == "table" and v.cause and tostring(v.cause) or "")
    if type(v) == "table" and v.close then v:close() end
  end
  return table.concat(out, "\n", 1, 4)
end

local function check(text, url)
  assert.falsy(text:find("hid", 1, true), url:gsub("hid", "…") .. "\n" .. text:gsub("hid", "HID"))
end

describe("a password in a URL that is not percent-encoded", function()
  after_each(temp.clean)

  local function each(fn)
    for _, scheme in ipairs(SCHEMES) do
      for _, password in ipairs(PASSWORDS) do fn(("%su:%s@127.0.0.1:1/db"):format(scheme, password)) end
    end
  end

  it("is known for one, and is kept as a secret", function()
    each(function(url)
      assert.is_true(urls.has_password(url))
      assert.equal("userdata", type(urls.hidden(url)))
      check(urls.shown(url), url)
    end)
  end)

  it("is shown by no store, connection, source or account, nor by their errors", function()
    each(function(url)
      check(said(store.open, url, { plaintext = true }), url)
      check(said(store.init, url), url)
      check(said(sql.connect, url, { connect_timeout = "1s" }), url)
      check(said(sql.open, core.secret(url), { connect_timeout = "1s" }), url)
      check(said(params.parse, url), url)
      check(said(credentials.open, { source = url, user = "app" }), url)
      check(said(cloud.new, { api_key = "CCDB1_x_y", base_url = url }), url)
    end)
  end)

  it("is shown by no cluster handle, which keeps the URL for later", function()
    local account = assert(cloud.new { api_key = "CCDB1_abcdefghijklmnopqrstuv_abcdefghijklmnopqrstuvwxyzabcdefghijklmn", base_url = "http://127.0.0.1:1" })
    each(function(url)
      local handle = account:cluster("prod", { store = url, sql = url })
      check(tostring(handle), url)
      check(said(handle.open_store, handle, "spec"), url)
      check(said(handle.open_sql, handle, "spec"), url)
    end)
    account:close()
  end)

  it("is shown by no command, from the environment or an argument", function()
    local dir = temp.dir()
    for _, url in ipairs {
      "file://u:hidA@host/x", "postgresql://u:hidA@hidB@127.0.0.1:1/db", "postgresql://u:12/hidB@127.0.0.1:1/db",
      "postgresql://u:hidA/hidB@127.0.0.1:1/db", "exec://u:hidA/hidB@host/x",
    } do
      local env = { HOME = dir, COCKROACH_SERVER = "http://127.0.0.1:1", COCKROACH_API_KEY = "CCDB1_x_y", CRDBCLOUD_STORE = url, CRDBCLOUD_SQL = url }
      for _, words in ipairs {
        { "rotate", "status", "--cluster", "b0f0c7a2-0000-4000-8000-00000000cafe" }, { "store", "verify" }, { "store", "init" }, { "doctor" },
      } do
        local result = command.run(words, env)
        check(result.out .. result.err, url)
      end
      env.CRDBCLOUD_STORE = nil
      local result = command.run({ "store", "verify", "--store", url }, env)
      check(result.out .. result.err, url)
      assert.equal(2, result.code)
    end
  end)

  it("does not keep others from being written: what is encoded works, and a query may hold an @", function()
    for url, user in pairs {
      ["postgresql://u:a%40b%2Fc%3Fd%23e@127.0.0.1:1/db"] = "u", ["postgresql://u@127.0.0.1:1/db?application_name=a@b"] = "u",
      ["postgresql://an%40u:x@127.0.0.1/db"] = "an@u", ["postgresql:///db?host=@socket&user=u"] = "u",
    } do
      assert.equal(user, assert(params.parse(url)).user)
    end
  end)
end)

describe("a host with an @ in it", function()
  it("is refused before it is looked up, wherever it comes from, and is not shown", function()
    for _, host in ipairs { "hid@127.0.0.1", "a,hid@b", "hid@hid@c", "hid@" } do
      local resolved, err = params.resolve { host = host, user = "u" }
      assert.is_nil(resolved)
      assert.same({ "invalid_argument", "not_sent" }, { err.kind, err.outcome })
      check(tostring(err), host)
    end
    assert(params.resolve { host = "@abstract", user = "u" })
    assert(params.resolve { host = "/run/a@b", user = "u" })
  end)
end)

describe("a server that asks for the password itself", function()
  local PASSWORD = "a-password-of-the-clear-role"

  local function fields(more)
    local f = { host = "127.0.0.1", port = postgres.port, dbname = "postgres", user = "clear", password = core.secret(PASSWORD),
      sslmode = "verify-full", sslrootcert = postgres.ca_file }
    for name, value in pairs(more or {}) do f[name] = value end
    return f
  end

  setup(function()
    postgres:psql("DROP ROLE IF EXISTS clear; CREATE ROLE clear LOGIN PASSWORD '" .. PASSWORD .. "'")
    postgres:psql("DROP ROLE IF EXISTS scrammed; CREATE ROLE scrammed LOGIN PASSWORD '" .. PASSWORD .. "'")
  end)

  it("is refused by connections and logins, with words that say what it asked for", function()
    for _, password in ipairs { PASSWORD, "wrong", ("x"):rep(35), ("x"):rep(49) } do
      local conn, err = sql.connect(fields { password = core.secret(password) })
      assert.is_nil(conn)
      assert.same({ "protocol", "not_sent" }, { err.kind, err.outcome })
      assert.truthy(err.message:find("SCRAM", 1, true) or err.message:find("scram", 1, true), err.message)
      assert.falsy(tostring(err):find(password, 1, true))
      assert.equal("other", (require("crdbcloud.sql.probe").login(fields { password = core.secret(password) })))
    end
  end)

  it("is used with insecure = true", function()
    local conn = assert(sql.connect(fields { insecure = true }))
    assert.equal("clear", conn:query("SELECT current_user AS me")[1].me)
    conn:close()
  end)

  it("is not taken for one that asks for SCRAM: that logs in, and a wrong password is a wrong one", function()
    for _, length in ipairs { 12, 31, 35, 49, 99, 500 } do
      local password = ("y"):rep(length)
      postgres:psql(("ALTER ROLE scrammed PASSWORD '%s'"):format(password))
      local conn = assert(sql.connect(fields { user = "scrammed", password = core.secret(password) }))
      assert.equal("scrammed", conn:query("SELECT current_user AS me")[1].me)
      conn:close()
      local none, err = sql.connect(fields { user = "scrammed", password = core.secret(("z"):rep(length)) })
      assert.is_nil(none)
      assert.equal("28P01", err.sqlstate)
    end
  end)
end)
