-- What a printer of tables finds that walks everything: fields, keys and metatables. None of it holds a secret.

local account = require "spec.support.account"
local core = require "crdbcloud.core"
local crdbcloud = require "crdbcloud"
local sandbox = require "spec.support.sandbox"
local scans = require "spec.support.secrets_scan"
local temp = require "spec.support.temp"

-- Hands every text below a value to the scan, with the way to it.
local function walk(scan, where, value, seen)
  scan:look(where, tostring(value))
  local meta = debug.getmetatable(value)
  if type(value) ~= "table" and type(value) ~= "userdata" or seen[value] then return end
  seen[value] = true
  if type(value) == "table" then
    local key, item = next(value)
    while key ~= nil do
      walk(scan, where .. " key", key, seen)
      walk(scan, where .. "." .. tostring(key), item, seen)
      key, item = next(value, key)
    end
    if type(value.json) == "function" and type(meta) == "table" then scan:look(where .. ":json()", value:json()) end
  end
  if type(meta) == "table" then walk(scan, where .. " metatable", meta, seen) end
end

describe("a walk through every field and metatable", function()
  local s, scan, key, password, home, cloud, cluster, url

  setup(function() s = sandbox.shared() end)

  before_each(function()
    s:reset()
    home = temp.dir()
    key = temp.read(s.key_file):match "%S+"
    password = temp.read(s.pgpassfile):match ":sandbox_admin:([^\n]+)"
    url = ("postgresql://sandbox_admin:%s@127.0.0.1:%d/shop?sslrootcert=%s"):format(password, s.pg.port, s.ca_file)
    scan = scans.new()
    scan:know("API key", key:match "_([^_]+)$")
    scan:know("password of the SQL admin", password)
    for user, text in pairs(s:passwords()) do scan:know("password of " .. user, text) end
    cloud = account.open(s, { api_key = key, proxy = nil })
    cluster = assert(cloud:cluster(s.cluster_id, { store = "file:" .. home .. "/store", sql = url }))
  end)

  after_each(function()
    cluster:close()
    cloud:close()
    temp.clean()
  end)

  local function finds_nothing(name, value)
    assert.is_truthy(value)
    walk(scan, name, value, {})
    scan:assert_clean()
  end

  -- The new password of a rotated user is known to the scan.
  local function rotate()
    assert(cluster:rotate_password "app_user_001")
    local credential = assert(cluster:credential "app_user_001")
    scan:know("new password", credential.password)
    return credential
  end

  it("finds what stands in the clear", function()
    walk(scan, "it", setmetatable({}, { __index = { deep = { [1] = "x" .. password } } }), {})
    assert.is_false((pcall(scan.assert_clean, scan)))
  end)

  it("finds none in an account, however its key came", function()
    finds_nothing("cloud", cloud)
    finds_nothing("by a function", account.open(s, { api_key = function() return key end }))
    finds_nothing("by a file", account.open(s))
    finds_nothing("with a proxy", account.open(s, { proxy = "http://someone:" .. password .. "@127.0.0.1:1" }))
  end)

  it("finds none in a cluster that has worked", function()
    rotate()
    assert(cluster:open_sql "spec")
    finds_nothing("cluster", cluster)
    assert.truthy(tostring(cluster):find("store file:", 1, true))
  end)

  it("finds none in a cluster whose URLs hold passwords", function()
    finds_nothing("URLs", cloud:cluster(s.cluster_id, { store = url, sql = url }))
    local fields = { host = "127.0.0.1", port = s.pg.port, dbname = "shop", user = "sandbox_admin", password = password, sslrootcert = s.ca_file }
    local handle = cloud:cluster(s.cluster_id, { store = core.secret(url), sql = fields })
    finds_nothing("fields", handle)
    assert.equal(password, fields.password)
    assert(handle:open_sql "spec")
    finds_nothing("opened", handle)
    handle:close()
  end)

  it("finds none in a credential, its source and what a source cannot do", function()
    finds_nothing("credential", rotate())
    local source = assert(crdbcloud.credentials { source = "file:" .. home .. "/store", user = "app_user_001" })
    finds_nothing("source", source)
    finds_nothing("its credential", source:get())
    local _, err = crdbcloud.credentials { source = url, user = "app_user_001", plaintext = true }
    finds_nothing("error", err)
  end)

  it("finds none in stores and in what they hold", function()
    rotate()
    local key_file = home .. "/key"
    temp.run(("umask 077; openssl rand -hex 32 >%s"):format(key_file))
    scan:know("key of the store", (temp.read(key_file):gsub("%s", "")))
    local store = assert(crdbcloud.store.open("file:" .. home .. "/store", { store_key_file = key_file, plaintext = true }))
    finds_nothing("store", store)
    local keys = assert(store:list "")
    finds_nothing("record", (store:get(keys[1])))
    assert(crdbcloud.store.init(url, { ca_file = s.ca_file }))
    local shared = assert(crdbcloud.store.open(url, { plaintext = true }))
    finds_nothing("a store in a database", shared)
    shared:close()
    s:psql "DROP TABLE IF EXISTS crdbcloud_leases, crdbcloud_records, crdbcloud_store"
  end)

  it("finds none in a connection, its rows and its errors", function()
    local sql = assert(crdbcloud.sql.connect(url))
    finds_nothing("sql", sql)
    finds_nothing("rows", sql:query("SELECT 1 AS n"))
    finds_nothing("secret rows", sql:query("SELECT $1::text AS p", core.secret(password), crdbcloud.sql.options { secret_columns = { "p" } }))
    local _, err = sql:query("SELECT nowhere($1::text)", core.secret(password))
    finds_nothing("error", err)
    sql:close()
    finds_nothing("closed", sql)
    _, err = crdbcloud.sql.connect("postgresql://sandbox_admin:" .. password .. "x@127.0.0.1:" .. s.pg.port .. "/shop", { sslrootcert = s.ca_file })
    scan:know("wrong password", password .. "x")
    finds_nothing("a login that was refused", err)
  end)

  it("finds none in reports, plans and errors of workflows", function()
    finds_nothing("plan", cluster:plan_rotation { users = "all" })
    local events = {}
    finds_nothing("report", cluster:rotate_passwords {
      users = { "app_user_001", "app_user_002" }, on_progress = function(event) events[#events + 1] = event end,
    })
    finds_nothing("events", events)
    finds_nothing("status", cluster:rotation_status())
    finds_nothing("history", cluster:history())
    finds_nothing("access", cluster:access "app_user_001")
    scan:know("password that was offered", "Offered-By-A-Person-1")
    s:fault { op = "update_sql_user_password", what = "echo_password", count = 9 }
    local _, err = cluster:rotate_password { user = "app_user_003", password = "Offered-By-A-Person-1" }
    finds_nothing("error", err)
    _, err = cloud:update_sql_user_password(s.cluster_id, "app_user_003", "Offered-By-A-Person-1")
    finds_nothing("error of a call", err)
  end)
end)
