-- API and SQL of different clusters: each writing call with the SQL address of the other cluster changes nothing on
-- either side, and says why. Both clusters have a sandbox_admin, legacy_report and sso_anna: names prove nothing.

local command = require "spec.support.command"
local core = require "crdbcloud.core"
local sandbox = require "spec.support.sandbox"
local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

local ACCESS = { database = "shop", tables = { "orders" }, privileges = { "SELECT" } }

-- Everything that a server holds, password hashes too.
local function dump(s, pg)
  local text = temp.run(("PGPASSFILE=%s/root.pgpass $(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)/pg_dumpall -h %s -p %d -U root -w"):format(
    s.dir, pg.socket, pg.port))
  assert.matches("CREATE ROLE legacy_report", text, 1, true)
  return (text:gsub("\n\\u?n?restrict [^\n]*", "")) -- a random word in each dump
end

describe("API and SQL of different clusters", function()
  local s, sc
  setup(function()
    s = sandbox.start { users = 3, rate = 0 }
  end)
  teardown(function() s:stop() end)
  before_each(function() sc = scene.open(nil, s) end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  -- The SQL side of a cluster, "one" or "two".
  local function sql_of(which)
    local pg = which == "one" and s.pg or s.two
    local sql = sc:sql_spec()
    sql.port = pg.port
    sql.password = core.secret(temp.read(s.pgpassfile):match("127%.0%.0%.1:" .. pg.port .. ":%*:sandbox_admin:([^\n]+)"))
    return sql
  end

  local function handle(cluster, sql)
    local made = assert(sc.cluster.cloud:cluster(s.clusters[cluster], { store = sc.store_url, sql = sql_of(sql) }))
    sc.handles[#sc.handles + 1] = { close = function() made:close() end, cloud = { close = function() end } }
    return made
  end

  -- Each with the user that has a record, and one that has none.
  local CALLS = {
    { "create_app_user", function(c) return c:create_app_user { name = "spec_new", access = ACCESS } end },
    { "create_app_user of a pair", function(c) return c:create_app_user { name = "spec_new", access = ACCESS, pair = true } end },
    { "create_app_user without a login", function(c) return c:create_app_user { name = "spec_new", access = ACCESS, verify = false } end },
    { "create_app_user that adopts", function(c) return c:create_app_user { name = "legacy_report", access = ACCESS, adopt = true } end },
    { "create_app_user of one that is there", function(c, user) return c:create_app_user { name = user, access = ACCESS } end },
    { "set_access", function(c) return c:set_access { user = "legacy_report", access = ACCESS } end },
    { "set_access, exact", function(c, user) return c:set_access { user = user, access = ACCESS, exact = true } end },
    { "disable_user", function(c) return c:disable_user "legacy_report" end },
    { "enable_user", function(c, user) return c:enable_user(user) end },
    { "remove_app_user", function(c) return c:remove_app_user "legacy_report" end },
    { "remove_app_user of a recorded one", function(c, user) return c:remove_app_user(user) end },
    { "rotate_password", function(c, user) return c:rotate_password { user = user } end },
    { "rotate_passwords", function(c) return c:rotate_passwords { users = { "legacy_report" } } end },
    { "an emergency", function(c, user) return c:rotate_passwords { emergency = { user } } end },
    { "a rotation that ends sessions", function(c, user) return c:rotate_password { user = user, verify = false, cancel_sessions = true } end },
    { "rollback_password", function(c, user) return c:rollback_password { user = user } end },
    { "resume", function(c) return c:resume() end },
    { "import_credential", function(c)
      return c:import_credential { user = "legacy_report", password = core.secret(s:passwords().legacy_report) }
    end },
  }

  for cluster, other in pairs { one = "two", two = "one" } do
    it(("is refused for each writing call on %s with the SQL of %s"):format(cluster, other), function()
      local user = "spec_user_" .. cluster
      local right = handle(cluster, cluster)
      assert(right:create_app_user { name = user, access = ACCESS })
      assert(right:rotate_password { user = user })
      local crossed = handle(cluster, other)
      local one, two = dump(s, s.pg), dump(s, s.two)
      local records = temp.run("cd " .. sc.dir .. "/store && find . -name '*.rec' | sort | xargs md5sum")
      s:clear()
      for _, call in ipairs(CALLS) do
        local report, err = call[2](crossed, user)
        assert.is_nil(report, call[1])
        assert.same({ "conflict", "not_sent", 1, "other_cluster" }, { err.kind, err.outcome, err.exit, err.reason }, call[1])
        for _, port in ipairs { s.pg.port, s.two.port } do assert.matches("127.0.0.1:" .. port, err.message, 1, true) end
        assert.matches(("crdbcloud --cluster sandbox-%s store pair"):format(cluster), err.hint, 1, true)
      end
      for _, request in ipairs(s:log()) do assert.equal("GET", request.method) end
      assert.equal(records, (temp.run("cd " .. sc.dir .. "/store && find . -name '*.rec' | sort | xargs md5sum")))
      assert.equal(one, dump(s, s.pg))
      assert.equal(two, dump(s, s.two))
      assert(right:remove_app_user(user)) -- and with the right one it works
    end)
  end

  describe("in a creation, behind a pairing that somebody recorded for the wrong server", function()
    local crossed
    before_each(function()
      crossed = handle("one", "two")
      assert(crossed:pair_sql { confirm = "sandbox-one" })
    end)
    after_each(function() s:psql "DROP ROLE IF EXISTS spec_new" end)

    it("publishes nothing, and the cluster's own connection finishes it", function()
      local two, file = dump(s, s.two), temp.dir() .. "/credential.json"
      local report, err = crossed:create_app_user { name = "spec_new", access = ACCESS, sinks = { "json:" .. file } }
      assert.is_nil(report)
      assert.same({ "conflict", "applied", 3, "other_cluster" }, { err.kind, err.outcome, err.exit, err.reason })
      assert.matches("the SQL server has no such role: SQL goes to another cluster", err.message, 1, true)
      assert.matches("nobody has its password", err.hint, 1, true)
      assert.is_nil(temp.read(file))
      assert.equal(two, dump(s, s.two))
      assert.equal("posted", sc:record("spec_new").state)
      assert.is_nil((crossed:credential "spec_new"))
      assert.is_nil((crossed:resume()))
      assert.equal("posted", sc:record("spec_new").state)
      assert.equal("t", s:psql "SELECT pg_has_role('spec_new', 'admin', 'member')")
      local right = handle("one", "one")
      assert.matches("is paired with the server", select(2, right:resume()).message, 1, true)
      temp.run("rm -r " .. sc.dir .. "/store/pairing")
      assert(right:resume())
      assert.equal("f", s:psql "SELECT pg_has_role('spec_new', 'admin', 'member')")
      sc:assert_settled "spec_new"
      assert(right:remove_app_user "spec_new")
    end)

    it("sends nothing where the SQL server has the name already", function()
      s:psql("CREATE ROLE spec_new NOLOGIN", "shop", s.two)
      s:clear()
      local two = dump(s, s.two)
      local report, err = crossed:create_app_user { name = "spec_new", access = ACCESS }
      assert.is_nil(report)
      assert.same({ "already_exists", "not_sent", 1 }, { err.kind, err.outcome, err.exit })
      assert.matches("the SQL server has a role spec_new, though the API lists no such user", err.message, 1, true)
      assert.equal(0, #sc:requests "create_sql_user")
      assert.is_nil((sc:record "spec_new"))
      assert.equal(two, dump(s, s.two))
      s:psql("DROP ROLE spec_new", "shop", s.two)
    end)

    it("is not taken in by a role of the same name that came in between", function()
      s:fault { op = "create_sql_user", what = "delay", form = "before", seconds = 1 }
      local report, err = crossed:create_app_user {
        name = "spec_new", access = ACCESS, on_progress = function(event)
          if event.step == "create" then s:psql("CREATE ROLE spec_new LOGIN PASSWORD 'somebody else made it'", "shop", s.two) end
        end,
      }
      assert.is_nil(report)
      assert.same({ "conflict", "applied", 3, "other_cluster" }, { err.kind, err.outcome, err.exit, err.reason })
      assert.matches("is no admin, and the throwaway password is not its own", err.message, 1, true)
      assert.equal("t", s:psql("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'spec_new'", "shop", s.two))
      s:psql("DROP ROLE spec_new", "shop", s.two)
    end)
  end)

  -- What the commands see: the API's cluster by its name, the SQL address of the environment.
  local function environment(changes)
    local env = { HOME = temp.dir() }
    for name, value in pairs(s.env) do env[name] = value end
    env.CRDBCLOUD_STORE = sc.store_url
    for name, value in pairs(changes or {}) do env[name] = value end
    return env
  end

  it("is refused by the commands too, and doctor finds it", function()
    local env = environment { CRDBCLOUD_CLUSTER = "sandbox-two" }
    local one, two = dump(s, s.pg), dump(s, s.two)
    for _, args in ipairs {
      { "user", "disable", "legacy_report", "--yes" }, { "user", "passwd", "legacy_report", "--yes" },
      { "app-user", "create", "spec_new", "--owner", "o", "--database", "shop", "--preset", "readonly" },
      { "app-user", "remove", "legacy_report", "--yes" }, { "rotate", "run", "--user", "legacy_report", "--yes" },
      { "rotate", "resume" },
    } do
      local r = command.run(args, env)
      assert.equal(1, r.code, table.concat(args, " ") .. ": " .. r.err)
      assert.matches("that they are one cluster is not proven", r.err, 1, true)
    end
    local r = command.run({ "doctor" }, env)
    assert.equal(1, r.code)
    assert.matches("one cluster +failed", r.out)
    assert.equal(one, dump(s, s.pg))
    assert.equal(two, dump(s, s.two))
    r = command.run({ "doctor" }, environment())
    assert.equal(0, r.code, r.out .. r.err)
    assert.matches("one cluster +ok +the API names the address", r.out)
  end)

  it("is paired by a person who has looked at both, and by nothing less", function()
    -- A name of our own for the right server.
    local url = s.two_url:gsub("@127%.0%.0%.1", "@localhost"):gsub("sslmode=verify%-full", "sslmode=require")
    local env = environment { CRDBCLOUD_CLUSTER = "sandbox-two", CRDBCLOUD_SQL = url:gsub("localhost", "127.0.0.2") .. "&hostaddr=127.0.0.1" }
    temp.write(env.HOME .. "/pgpass", (temp.read(s.pgpassfile):gsub("localhost:", "127.0.0.2:")))
    temp.run("chmod 600 " .. env.HOME .. "/pgpass")
    env.PGPASSFILE = env.HOME .. "/pgpass"
    local r = command.run({ "user", "disable", "legacy_report", "--yes" }, env)
    assert.equal(1, r.code)
    assert.matches("crdbcloud --cluster sandbox-two store pair", r.err, 1, true)
    for _, args in ipairs { { "store", "pair" }, { "store", "pair", "--confirm", "sandbox-one" } } do
      r = command.run(args, env)
      assert.equal(2, r.code, r.err)
    end
    r = command.on_terminal({ "store", "pair" }, env, { { "to go on: ", "sandbox-one" } })
    assert.equal(2, r.code, r.out)
    assert.equal(1, command.run({ "user", "disable", "legacy_report", "--yes" }, env).code)
    r = command.on_terminal({ "--cluster", "sandbox-two", "store", "pair" }, env, { { "to go on: ", "sandbox-two" } })
    assert.equal(0, r.code, r.out)
    local id = s:psql("SELECT system_identifier FROM pg_control_system()", "shop", s.two)
    for _, words in ipairs { "127.0.0.2:" .. s.two.port, "127.0.0.1:" .. s.two.port, id } do
      assert.matches(words, r.out, 1, true)
    end
    r = command.run({ "user", "disable", "legacy_report", "--yes" }, env)
    assert.equal(0, r.code, r.err)
    assert.equal("f", s:psql("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'legacy_report'", "shop", s.two))
    assert.equal("t", s:psql "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'legacy_report'")
    assert.equal(0, command.run({ "user", "enable", "legacy_report", "--yes" }, env).code)
    r = command.run({ "store", "pair", "-o", "json" }, env)
    assert.equal(0, r.code, r.err)
    assert.equal("one cluster: a person paired them", require("cjson").decode(r.out).proof)
    assert.matches("one cluster +ok +the store pairs", command.run({ "doctor" }, env).out)
    assert.equal(0, command.run({ "store", "verify" }, env).code)
  end)
end)
