-- Tests lua/crdbcloud/run/same_cluster.lua, lua/crdbcloud/workflows/pair_sql.lua.

local core = require "crdbcloud.core"
local same_cluster = require "crdbcloud.run.same_cluster"
local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

describe("the addresses that the API names", function()
  it("are those of the connection string and of every region, each once, with one port", function()
    local info = {
      sql_dns = "Blue-Dog-147.6wr.cockroachlabs.cloud.",
      regions = {
        { name = "eu-west-1", sql_dns = "blue-dog-147.eu.cockroachlabs.cloud", internal_dns = "internal-blue-dog-147.eu.cockroachlabs.cloud" },
        { name = "us-east-1", sql_dns = "blue-dog-147.us.cockroachlabs.cloud", internal_dns = "", private_endpoint_dns = "private.us.example" },
      },
    }
    local hosts = {}
    for i, address in ipairs(same_cluster.named(info, { Host = "blue-dog-147.6wr.cockroachlabs.cloud", Port = "26257" })) do
      assert.equal(26257, address.port)
      hosts[i] = address.host
    end
    assert.same({
      "blue-dog-147.6wr.cockroachlabs.cloud", "blue-dog-147.eu.cockroachlabs.cloud", "internal-blue-dog-147.eu.cockroachlabs.cloud",
      "blue-dog-147.us.cockroachlabs.cloud", "private.us.example",
    }, hosts)
  end)

  it("have the port of the service where the API tells none", function()
    assert.same({ { host = "a.example", port = 26257 } }, same_cluster.named({ sql_dns = "a.example" }, nil))
  end)

  it("leave out what is no text", function()
    local null = require("cjson").null
    for _, info in ipairs { {}, { sql_dns = null, regions = null }, { regions = { null, 7, { sql_dns = 5, internal_dns = {} } } }, { regions = "x" } } do
      assert.same({}, same_cluster.named(info, null))
    end
  end)
end)

describe("the decision whether both are one cluster", function()
  local NAMED = { { host = "a.example", port = 26257 }, { host = "b.example", port = 26257 }, { host = "127.0.0.1", port = 20001 } }
  local FULL = "verify-full"

  -- title, connection, the server's id, the recorded one, the proof, or the doubt
  local CASES = {
    { "a named host", { host = "a.example", port = 26257, sslmode = FULL }, nil, nil, "address" },
    { "a named host in other letters", { host = "A.Example.", port = 26257, sslmode = FULL }, nil, nil, "address" },
    { "the service's port by default", { host = "b.example", sslmode = FULL }, nil, nil, "address" },
    { "a named host by a fixed IP address", { host = "a.example", hostaddr = "127.0.0.1", port = 26257, sslmode = FULL }, nil, nil, "address" },
    { "another port", { host = "a.example", port = 26258, sslmode = FULL }, nil, nil, nil, "not_named" },
    { "another host", { host = "c.example", port = 26257, sslmode = FULL }, nil, nil, nil, "not_named" },
    { "a host that only begins so", { host = "a.example.evil", port = 26257, sslmode = FULL }, nil, nil, nil, "not_named" },
    { "two named hosts", { host = "a.example,b.example", port = "26257,26257", sslmode = FULL }, nil, nil, "address" },
    { "two named hosts with one port", { host = "a.example,b.example", port = 26257, sslmode = FULL }, nil, nil, "address" },
    { "a named host and another", { host = "a.example,c.example", port = 26257, sslmode = FULL }, nil, nil, nil, "not_named" },
    { "no check of the certificate", { host = "a.example", port = 26257, sslmode = "require" }, nil, nil, nil, "not_checked" },
    { "an authority's check alone", { host = "a.example", port = 26257, sslmode = "verify-ca" }, nil, nil, nil, "not_checked" },
    { "a tunnel by a named host, unchecked", { host = "a.example", hostaddr = "127.0.0.1", port = 26257, sslmode = "disable" }, nil, nil, nil,
      "not_checked" },
    { "this machine, which needs no name to be checked", { host = "127.0.0.1", port = 20001, sslmode = "disable" }, nil, nil, "address" },
    { "a Unix socket", { host = "/run/postgresql", port = 26257, sslmode = "disable" }, nil, nil, nil, "not_named" },
    { "a connection of another library", {}, nil, nil, nil, "no_address" },
    { "a tunnel that is paired", { host = "localhost", port = 5433, sslmode = FULL }, "id-1", "id-1", "pairing" },
    { "a connection of another library that is paired", {}, "id-1", "id-1", "pairing" },
    { "a paired server without a checked certificate", { host = "a.example", port = 26257, sslmode = "require" }, "id-1", "id-1", "pairing" },
    { "a tunnel to another server than the paired", { host = "localhost", port = 5433, sslmode = FULL }, "id-2", "id-1", nil, "paired_with_another" },
    { "a named host whose server is not the paired one", { host = "a.example", port = 26257, sslmode = FULL }, "id-2", "id-1", nil, "paired_with_another" },
    { "a named host, paired and the same", { host = "a.example", port = 26257, sslmode = FULL }, "id-1", "id-1", "address" },
    { "a tunnel whose server tells no id", { host = "localhost", port = 5433, sslmode = FULL }, nil, "id-1", nil, "not_named" },
    { "a tunnel that nobody paired", { host = "localhost", port = 5433, sslmode = FULL }, "id-1", nil, nil, "not_named" },
  }
  for _, case in ipairs(CASES) do
    it("for " .. case[1] .. " is " .. (case[5] or "no: " .. case[6]), function()
      local proof, doubt = same_cluster.decide { named = NAMED, sql = case[2], server_id = case[3], paired = case[4] }
      assert.equal(case[5], proof)
      assert.equal(case[6], doubt)
    end)
  end

  it("proves nothing by an address where the API names none", function()
    assert.is_nil((same_cluster.decide { named = {}, sql = { host = "a.example", port = 26257, sslmode = FULL } }))
  end)
end)

describe("a look at both sides", function()
  local sc
  before_each(function() sc = scene.open() end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  -- The same server by a name that the API does not give.
  local function tunnel(changes)
    local sql = sc:sql_spec()
    sql.host, sql.hostaddr, sql.sslmode = "localhost.example", "127.0.0.1", "verify-ca"
    for name, value in pairs(changes or {}) do sql[name] = value end
    sql.insecure = true
    return sql
  end

  -- The SQL side of the other cluster.
  local function crossed()
    local sql = sc:sql_spec()
    local password = temp.read(sc.sandbox.pgpassfile):match("127%.0%.0%.1:" .. sc.sandbox.two.port .. ":%*:sandbox_admin:([^\n]+)")
    sql.port, sql.password = sc.sandbox.two.port, core.secret(password)
    return sql
  end

  it("proves by the address, without a question to the SQL server, once for a handle", function()
    assert.equal("address", sc.cluster:same_cluster "spec")
    assert.is_nil(sc.cluster.sql)
    local before = #sc.sandbox:log()
    assert.equal("address", sc.cluster:same_cluster "spec")
    assert.equal(before, #sc.sandbox:log())
    local at_localhost = sc:sql_spec()
    at_localhost.host = "localhost" -- an internal name that the API gives for sandbox-two alone
    local handle = sc:handle { cluster = { sql = at_localhost } }
    assert.equal("other_cluster", select(2, handle:same_cluster "spec").reason)
  end)

  it("refuses the server of another cluster, with both addresses and the command that pairs", function()
    local handle = sc:handle { cluster = { sql = crossed() } }
    local proof, err = handle:same_cluster "disable_user"
    assert.is_nil(proof)
    assert.same({ "conflict", "not_sent", 1, "other_cluster", "disable_user" }, { err.kind, err.outcome, err.exit, err.reason, err.operation })
    assert.matches("127.0.0.1:" .. sc.sandbox.two.port, err.message, 1, true)
    assert.matches("127.0.0.1:" .. sc.sandbox.pg.port, err.message, 1, true)
    assert.matches("crdbcloud --cluster sandbox-one store pair", err.hint, 1, true)
  end)

  it("takes a pairing for a server by another name, whoever opens the store", function()
    local handle = sc:handle { cluster = { sql = tunnel() } }
    assert.equal("other_cluster", select(2, handle:same_cluster "spec").reason)
    local look = assert(handle:pair_sql())
    assert.is_nil(look.proof)
    assert.matches("localhost.example:" .. sc.sandbox.pg.port, tostring(look), 1, true)
    assert.matches(look.server_id, tostring(look), 1, true)
    assert.equal(sc.sandbox:psql "SELECT system_identifier FROM pg_control_system()", look.server_id)
    assert.equal("other_cluster", select(2, handle:same_cluster "spec").reason) -- a look records nothing
    local _, err = handle:pair_sql { confirm = "sandbox-two" }
    assert.same({ "invalid_argument", "not_sent" }, { err.kind, err.outcome })
    assert.equal("pairing", assert(handle:pair_sql { confirm = "sandbox-one" }).proof)
    assert.equal("pairing", handle:same_cluster "spec")
    assert.equal("pairing", sc:handle({ cluster = { sql = tunnel() } }):same_cluster "spec")
    assert.equal("address", sc.cluster:same_cluster "spec")
    assert.is_truthy(sc.cluster:disable_user { user = "app_user_001", dry_run = true })
    -- It is no user: what lists the cluster's records does not see it.
    assert.same({}, assert(sc.cluster:rotation_status()).rows)
  end)

  it("refuses a server that is not the paired one, also where the API names its address", function()
    assert.is_truthy(sc:handle({ cluster = { sql = tunnel() } }):pair_sql { confirm = sc.id })
    local store = assert(sc.cluster:open_store "spec")
    local rec, version = store:get("pairing/" .. sc.id)
    rec.current.password = core.secret "7000000000000000001"
    assert(store:put("pairing/" .. sc.id, rec, version))
    local proof, err = sc.cluster:same_cluster "spec"
    assert.is_nil(proof)
    assert.matches("is paired with the server 7000000000000000001", err.message, 1, true)
    assert.equal("pairing", sc:handle({ cluster = { sql = tunnel() } }):pair_sql({ confirm = sc.id }).proof) -- again, to mend it
    assert.equal("address", sc.cluster:same_cluster "spec")
  end)

  it("records nothing where the API names the address", function()
    assert.equal("address", assert(sc.cluster:pair_sql { confirm = "sandbox-one" }).proof)
    assert.is_nil((sc.cluster:open_store("spec"):get("pairing/" .. sc.id)))
  end)

  it("needs a pairing for a connection of another library", function()
    local sql = assert(require("crdbcloud.sql").connect(sc:sql_spec()))
    local theirs = { query = function(_, text) return sql:query(text) end }
    local handle = sc:handle { cluster = { sql = theirs } }
    local _, err = handle:same_cluster "spec"
    assert.matches("an address that its library does not tell", err.message, 1, true)
    assert.equal("pairing", assert(handle:pair_sql { confirm = sc.id }).proof)
    sql:close()
  end)

  it("seals a pairing in a store with a key, so that who may only write to the store cannot make one", function()
    local key_file = temp.dir() .. "/key"
    temp.write(key_file, ("ab"):rep(32) .. "\n")
    temp.run("chmod 600 " .. key_file)
    local sealed = { sql = tunnel(), store_key_file = key_file }
    assert.equal("pairing", assert(sc:handle({ cluster = sealed }):pair_sql { confirm = sc.id }).proof)
    assert.equal("pairing", sc:handle({ cluster = { sql = tunnel(), store_key_file = key_file } }):same_cluster "spec")
    -- Made without the key.
    local store = assert(require("crdbcloud.store").open(sc.store_url))
    local path = sc.dir .. "/store"
    temp.run("rm -r " .. path .. "/pairing")
    assert.is_nil((store:get("pairing/" .. sc.id)))
    assert.equal("pairing", assert(sc:handle({ cluster = { sql = tunnel() } }):pair_sql { confirm = sc.id }).proof)
    local _, err = sc:handle({ cluster = { sql = tunnel(), store_key_file = key_file } }):same_cluster "spec"
    assert.equal("store", err.kind)
    assert.matches("not sealed", err.message, 1, true)
  end)

  it("refuses an address that is not named without going there", function()
    local sql = sc:sql_spec()
    sql.port = 1
    local handle = sc:handle { cluster = { sql = sql } }
    assert.equal("other_cluster", select(2, handle:rotate_password { user = "app_user_004" }).reason)
    assert.equal(0, #sc:requests "update_sql_user_password")
  end)

  it("does without a paired server that cannot be reached: a rotation goes by the API's address, the rest fails by itself", function()
    assert.is_truthy(sc:handle({ cluster = { sql = tunnel() } }):pair_sql { confirm = sc.id })
    local handle = sc:handle { cluster = { sql = tunnel { port = 1 } } }
    local _, err, place = handle:same_cluster "spec"
    assert.same({ "network", "sql" }, { err.kind, place })
    local report = assert(handle:rotate_password { user = "app_user_004" })
    assert.equal("accepted", report.rows[1].verified)
    _, err = handle:disable_user "app_user_004"
    assert.equal("network", err.kind)
    assert.equal("t", sc.sandbox:psql "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'app_user_004'")
  end)
end)
