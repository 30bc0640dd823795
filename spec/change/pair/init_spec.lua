local crdbcloud = require "crdbcloud"
local pairs_of = require "spec.support.pair"
local sql = require "crdbcloud.sql"
local temp = require "spec.support.temp"

local POST, PUT = "create_sql_user", "update_sql_user_password"
local ACCESS = pairs_of.ACCESS

local p, sc, name, partner, file

local function open()
  p = pairs_of.open()
  sc, name, partner, file = p.scene, p.name, p.partner, p.file
end

describe("create_app_user with pair", function()
  before_each(open)
  after_each(function() p:close() end)

  it("makes one user and the role, and publishes it under the pair's name", function()
    local report = assert(p:create())
    assert.are.equal("done", report.rows[1].result)
    p:assert_published(name, 1)
    assert.are.equal(1, #sc:requests(POST))
    assert.is_nil((p:record(partner)))
    p:assert_closed()
  end)

  it("changes nothing when it is called again", function()
    assert(p:create())
    local report = assert(p:create())
    assert.are.equal("unchanged", report.rows[1].note)
    assert(p.cluster:rotate_password(name))
    assert.are.equal("unchanged", assert(p:create()).rows[1].note)
    assert.are.equal(2, #sc:requests(POST))
  end)

  it("plans the role and both memberships without sending anything", function()
    local report = assert(p:create { dry_run = true })
    local text = table.concat(report.rows[1].statements, "\n")
    assert.matches(('CREATE ROLE "%s_role"'):format(name), text, 1, true)
    assert.matches(('GRANT "%s_role" TO "%s"'):format(name, name), text, 1, true)
    assert.are.equal(0, #sc:requests(POST))
  end)

  it("refuses a name that leaves no room for the role's", function()
    local report, err = p:create { name = ("a"):rep(59) }
    assert.is_nil(report)
    assert.are.equal("invalid_argument", err.kind)
    assert.are.equal(0, #sc:requests(POST))
  end)

  it("refuses when the partner's name is taken", function()
    sc.sandbox:psql("CREATE ROLE " .. partner .. " LOGIN")
    local report, err = p:create()
    assert.is_nil(report)
    assert.are.same({ "already_exists", "not_sent" }, { err.kind, err.outcome })
    assert.are.equal(0, #sc:requests(POST))
  end)

  it("keeps the partner's name free", function()
    assert(p:create())
    local report, err = p.cluster:create_app_user { name = partner, access = ACCESS }
    assert.is_nil(report)
    assert.matches("belongs to the pair " .. name, err.message, 1, true)
  end)

  it("does not make a pair of a user that is none, nor the other way round", function()
    assert(p:create())
    local report, err = p:create { pair = false }
    assert.is_nil(report)
    assert.are.equal("already_exists", err.kind)
    local alone = name .. "_alone"
    assert(p.cluster:create_app_user { name = alone, access = ACCESS })
    report, err = p.cluster:create_app_user { name = alone, access = ACCESS, pair = true }
    assert.is_nil(report)
    assert.are.equal("already_exists", err.kind)
    assert(p.cluster:remove_app_user(alone))
  end)

  it("refuses sinks of which none tells the user", function()
    local report, err = p:create { sinks = { "file:" .. file, "pgpass:" .. file .. ".pgpass" } }
    assert.is_nil(report)
    assert.are.same({ "invalid_argument", "not_sent" }, { err.kind, err.outcome })
    assert(p:create { sinks = { "json:" .. file, "pgpass:" .. file .. ".pgpass" } })
    p:assert_published(name, 1)
  end)
end)

describe("an emergency of a pair", function()
  before_each(function()
    open()
    assert(p:create())
  end)
  after_each(function() p:close() end)

  it("changes both users in spite of the spacing, ends the sessions of both, and is published once", function()
    assert(p.cluster:rotate_password(name))
    local old = { [name] = p:record(name).current.password, [partner] = p:record(partner).current.password }
    local sessions = {}
    for user, password in pairs(old) do
      sessions[user] = assert(sql.connect {
        host = sc.sandbox.pg.host, port = sc.sandbox.pg.port, dbname = "shop", user = user, password = password,
        sslmode = "verify-full", sslrootcert = sc.sandbox.ca_file,
      })
      assert(sessions[user]:query "SELECT 1")
    end
    local report = assert(p.cluster:rotate_passwords { emergency = { name } })
    assert.are.equal(2, report.rows[1].sessions_cancelled)
    p:assert_published(name, 3)
    for user, password in pairs(old) do
      assert.are.equal("wrong_password", sc:login(user, password))
      assert.are.equal("accepted", sc:login(user, p:record(user).current.password))
      local rows = p:psql("SELECT count(*) FROM pg_stat_activity WHERE usename = '%s'", user)
      assert.are.equal("0", rows)
      sessions[user]:close()
    end
    p:assert_closed()
  end)

  it("before the first rotation makes the partner, then changes the first user", function()
    local old = p:assert_published(name, 1)
    assert(p.cluster:rotate_passwords { emergency = { name } })
    p:assert_published(partner, 2)
    assert.are.equal("wrong_password", sc:login(name, old.password))
  end)

  it("changes the active user in place when its partner cannot take over", function()
    local old = p:assert_published(name, 1)
    local cluster = sc:handle { cluster = { sql = false } }
    local report, err = cluster:rotate_passwords { emergency = { name } }
    assert.is_nil(report)
    assert.are.equal("applied", err.report.rows[1].outcome)
    assert.are.equal("wrong_password", sc:login(name, old.password))
    p:assert_published(name, 2)
    assert.is_nil(p:record(name).pair.switching)
    assert(p.cluster:resume()) -- its sessions
    p:assert_closed()
  end)

  it("changes nothing when what is changed could not be published", function()
    local old = p:assert_published(name, 1)
    temp.write(file, "not ours")
    local report, err = p.cluster:rotate_passwords { emergency = { name } }
    assert.is_nil(report)
    assert.are.same({ "sink", "not_sent" }, { err.report.rows[1].kind, err.report.rows[1].outcome })
    assert.are.equal("accepted", sc:login(name, old.password))
  end)

  it("that was cut after the switch is ended by resume, with the second user and its sessions", function()
    assert(p.cluster:rotate_password(name))
    local old = p:record(partner).current.password
    local failing
    local report = p.cluster:rotate_passwords { emergency = { name }, on_progress = function(event)
      if event.step == "publish" and not failing then
        failing = true
        sc.sandbox:fault { op = PUT, what = "error_before", status = 503, count = "all" }
      end
    end }
    assert.is_nil(report)
    p:assert_published(name, 3)
    sc.sandbox:clear()
    assert(p.cluster:resume())
    assert.are.equal("wrong_password", sc:login(partner, old))
    p:assert_published(name, 3)
    p:assert_closed()
    assert.are.equal(0, p:record(partner).history[#p:record(partner).history].sessions_cancelled)
  end)

  it("while the store is down changes the user that is named, and resume publishes the active one again", function()
    assert(p.cluster:rotate_password(name))
    local state = temp.dir()
    temp.write(state .. "/sql", ("postgresql://sandbox_admin@%s:%d/shop?sslmode=verify-full&sslrootcert=%s"):format(sc.sandbox.pg.host,
      sc.sandbox.pg.port, sc.sandbox.ca_file))
    -- A process of its own, so that the state directory is its own.
    local function run(call)
      return temp.run(("XDG_STATE_HOME=%s PGPASSFILE=%s "):format(state, sc.sandbox.pgpassfile) .. temp.lua(([[
        local crdbcloud = require "crdbcloud"
        local cloud = assert(crdbcloud.new{ base_url = "%s", ca_file = "%s", api_key_file = "%s", rate = 0 })
        local cluster = assert(cloud:cluster("%s", { store = "%s", sql = io.open("%s"):read("*a") }))
        crdbcloud.main(function() print(assert(cluster:%s)) end)]]):format(sc.sandbox.url, sc.sandbox.ca_file,
        sc.sandbox.keys.admin, sc.id, sc.store_url, state .. "/sql", call)))
    end
    temp.run(("chmod 755 %s/store"):format(sc.dir)) -- a store that is refused
    local output, status = run(("rotate_passwords{ emergency = { '%s' }, sinks = 'json:%s' }"):format(name, file))
    assert.are.equal(0, status, output)
    temp.run(("chmod 700 %s/store"):format(sc.dir))
    output, status = run "resume()"
    assert.are.equal(0, status, output)
    p:assert_closed()
    p:assert_published(partner, p:record(name).pair.epoch)
    assert.are.equal("accepted", sc:login(name, p:record(name).current.password))
    p:rest()
    assert(p.cluster:rotate_password(name))
    p:assert_published(name, p:record(name).pair.epoch)
  end)
end)

describe("the credential of a pair", function()
  before_each(function()
    open()
    assert(p:create())
    assert(p.cluster:rotate_password(name))
  end)
  after_each(function() p:close() end)

  local function connected(source)
    local credentials = assert(crdbcloud.credentials { source = source, user = name })
    local tried = {}
    local conn = credentials:connect_with(function(c)
      tried[#tried + 1] = c.user
      if sc:login(c.user, c.password) == "accepted" then return c end
      return nil, { sqlstate = "28P01", message = "wrong" }
    end, { deadline = "200ms" })
    credentials:close()
    return conn, tried
  end

  it("offers the active user, then the other, and connect_with tries each as itself", function()
    local list = {}
    for _, candidate in ipairs(assert(p.cluster:credential(name)).candidates) do list[#list + 1] = candidate.user end
    assert.are.same({ partner, name }, list)
    local conn, tried = connected(sc.store_url)
    assert.are.same({ partner }, tried)
    assert.are.equal(partner, conn.user)
    p:psql("ALTER ROLE %s PASSWORD 'set-by-somebody-else'", partner)
    conn, tried = connected(sc.store_url)
    assert.are.same({ partner, name }, tried)
    assert.are.equal(name, conn.user)
    assert.matches(name .. ":", conn:url():reveal(), 1, true)
  end)

  it("is read from a json sink by the pair's name", function()
    local conn, tried = connected("json:" .. file)
    assert.are.same({ partner }, tried)
    assert.are.equal(2, conn.epoch)
  end)

  it("of a member by its own name is that member's", function()
    assert.are.equal(name, assert(crdbcloud.credentials { source = sc.store_url, user = name }):get().pair)
    local own = assert(crdbcloud.credentials { source = sc.store_url, user = partner }):get()
    assert.are.same({ partner, nil }, { own.user, own.pair })
  end)
end)
