local record = require "crdbcloud.record"
local pairs_of = require "spec.support.pair"
local temp = require "spec.support.temp"

local POST, PUT = "create_sql_user", "update_sql_user_password"
local ACCESS = pairs_of.ACCESS

local p, sc, name, partner, file

local function open()
  p = pairs_of.open()
  sc, name, partner, file = p.scene, p.name, p.partner, p.file
end

describe("the rotation of a pair", function()
  before_each(function()
    open()
    assert(p:create())
  end)
  after_each(function() p:close() end)

  it("first makes the partner, limited and in the same role", function()
    local old = p:assert_published(name, 1)
    local report = assert(p.cluster:rotate_password(name))
    assert.are.equal(partner, report.rows[1].active)
    assert.are.equal("accepted", report.rows[1].verified)
    p:assert_published(partner, 2)
    assert.are.equal("accepted", sc:login(name, old.password))
    local made = p:inspect(partner)
    assert.is_false(made.admin)
    assert.are.same(p:inspect(name).roles, made.roles)
    assert.are.same(p:inspect(name).grants, made.grants)
    local put = sc:requests(PUT, partner)
    assert.are.equal(1, #put)
    assert.are_not.equal(sc:requests(POST, partner)[1].password_hash, put[1].password_hash)
  end)

  it("takes turns, and each time the one before goes on logging in", function()
    local last = p:assert_published(name, 1)
    for epoch = 2, 5 do
      assert(p.cluster:rotate_password(name))
      local now = p:assert_published(epoch % 2 == 0 and partner or name, epoch)
      assert.are.equal("accepted", sc:login(last.user, last.password))
      last = now
      p:rest()
    end
    assert.are.equal(2, #sc:requests(POST))
  end)

  it("never changes the active user's password", function()
    assert(p.cluster:rotate_password(name))
    p:rest()
    sc.sandbox:clear()
    assert(p.cluster:rotate_password(name))
    assert.are.equal(1, #sc:requests(PUT, name))
    assert.are.equal(0, #sc:requests(PUT, partner))
  end)

  it("is refused until the other has rested for keep_previous and the settle time", function()
    assert(p.cluster:rotate_password { user = name, keep_previous = "1h" })
    sc.sandbox:clear()
    local report, err = p.cluster:rotate_password(name)
    assert.is_nil(report)
    assert.are.same({ "pending", "spacing", "not_sent" }, { err.kind, err.reason, err.outcome })
    assert.is_true(err.retry_after > 3600 and err.retry_after <= 3720, tostring(err.retry_after))
    assert.are.equal(0, #sc:requests(PUT))
    p:rewrite(name, function(rec) rec.pair.switched_at = rec.pair.switched_at - 3600 end)
    assert.is_nil((p.cluster:rotate_password(name)))
    p:rewrite(name, function(rec) rec.pair.switched_at = rec.pair.switched_at - 121 end)
    assert(p.cluster:rotate_password(name))
    p:assert_published(name, 3)
  end)

  it("of all managed users skips the partner, and a pair that rests", function()
    local report = assert(p.cluster:rotate_passwords { users = "managed" })
    assert.are.equal("done", report.rows[1].result)
    local again = assert(p.cluster:rotate_passwords { users = "managed" })
    assert.are.same({ name, "skipped", partner, "skipped" },
      { again.rows[1].user, again.rows[1].result, again.rows[2].user, again.rows[2].result })
    assert.are.equal("partner of " .. name, again.rows[2].note)
    assert.are.equal(1, #sc:requests(PUT, partner))
  end)

  it("is planned with its own epoch and sinks, and a plan that was overtaken is skipped", function()
    local plan = assert(p.cluster:plan_rotation { users = { name } })
    assert.are.same({ "rotate", 1, { "json:" .. file } }, { plan.rows[1].result, plan.rows[1].epoch, plan.rows[1].sinks })
    assert(p.cluster:rotate_password(name))
    p:rest()
    local report, err = p.cluster:rotate_passwords { plan = plan }
    assert.is_nil(report)
    assert.are.equal("stale", err.reason)
  end)

  it("by age counts from the last switch", function()
    assert(p.cluster:rotate_password { user = name, keep_previous = "1s" })
    p:rewrite(name, function(rec) rec.pair.switched_at = rec.pair.switched_at - 7200 end)
    local report = assert(p.cluster:rotate_passwords { users = { name }, max_age = "3h" })
    assert.are.equal("skipped", report.rows[1].result)
    assert(p.cluster:rotate_passwords { users = { name }, max_age = "1h" })
    p:assert_published(name, 3)
  end)

  it("does not take the partner as a user of its own", function()
    assert(p.cluster:rotate_password(name))
    sc.sandbox:clear()
    for what, err in pairs {
      rotate = select(2, p.cluster:rotate_password(partner)),
      rotate_many = select(2, p.cluster:rotate_passwords { users = { partner } }),
      emergency = select(2, p.cluster:rotate_passwords { emergency = { partner } }),
      rollback = select(2, p.cluster:rollback_password(partner)),
      disable = select(2, p.cluster:disable_user(partner)),
      access = select(2, p.cluster:set_access { user = partner, access = ACCESS }),
      remove = select(2, p.cluster:remove_app_user(partner)),
      create = select(2, p.cluster:create_app_user { name = partner, access = ACCESS }),
    } do
      assert.are.same({ what, "conflict", "not_sent" }, { what, err.kind, err.outcome })
    end
    assert.are.equal(0, #sc:requests(PUT) + #sc:requests(POST) + #sc:requests "delete_sql_user")
  end)

  it("takes a password of the caller's for the user whose turn it is", function()
    assert(p.cluster:rotate_password { user = name, password = "my-own-Passphrase-1" })
    assert.is_true(p:assert_published(partner, 2).password:equals "my-own-Passphrase-1")
  end)

  it("leaves no turn open when the service refuses the caller's password", function()
    assert(p.cluster:rotate_password(name))
    p:rest()
    sc.sandbox:fault { op = PUT, what = "error_before", status = 400, code = 3, message = "password: is too weak", count = "all" }
    local report, err = p.cluster:rotate_password { user = name, password = "my-own-Passphrase-1" }
    assert.is_nil(report)
    assert.are.equal("rejected", err.outcome)
    sc.sandbox:clear()
    p:assert_closed()
    p:assert_published(partner, 2)
    assert(p.cluster:rotate_password(name))
    p:assert_published(name, 3)
  end)

  it("with an unanswered change stays with the active user, and resume ends it with one password", function()
    assert(p.cluster:rotate_password(name))
    p:rest()
    sc.sandbox:clear()
    sc.sandbox:fault { op = PUT, what = "drop_before", count = "all" }
    local report, err = p.cluster:rotate_password(name)
    assert.is_nil(report)
    assert.are.same({ "unknown", 5 }, { err.outcome, err.exit })
    p:assert_published(partner, 2)
    local hashes = sc.hashes(sc:requests(PUT))
    sc.sandbox:clear()
    assert(p.cluster:resume())
    p:assert_published(name, 3)
    assert.are.equal(1, hashes)
    p:assert_closed()
  end)

  it("with a sink that fails has switched, ends in 6, and resume publishes the same epoch", function()
    assert(p.cluster:rotate_password(name))
    p:rest()
    local blocked
    local report, err = p.cluster:rotate_password { user = name, on_progress = function(event)
      if event.step == "switch" and not blocked then
        blocked = temp.read(file)
        temp.write(file, "not ours")
      end
    end }
    assert.is_nil(report)
    assert.are.same({ "applied", 6 }, { err.outcome, err.exit })
    assert.are.equal(name, p.cluster:credential(name).user)
    temp.write(file, blocked)
    assert(p.cluster:resume())
    p:assert_published(name, 3)
  end)

  it("that cannot be published is refused before anything is sent", function()
    temp.write(file, "not ours")
    local report, err = p.cluster:rotate_password(name)
    assert.is_nil(report)
    assert.are.same({ "sink", "not_sent" }, { err.kind, err.outcome })
    assert.are.equal(0, #sc:requests(POST, partner))
  end)

  it("without SQL cannot make a partner, and says so before anything is sent", function()
    local cluster = sc:handle { cluster = { sql = false } }
    local report, err = cluster:rotate_password(name)
    assert.is_nil(report)
    assert.are.equal("not_sent", err.outcome)
    assert.is_nil((p:record(partner)))
    p:assert_closed()
    assert(p.cluster:rotate_password(name))
    p:rest()
    assert(cluster:rotate_password(name)) -- both are there: the API alone will do
    p:assert_published(name, 3)
  end)

  it("goes on when another run holds the partner, as busy", function()
    assert(p.cluster:rotate_password(name))
    p:rest()
    p:rewrite(name, function(rec) rec.pair.active = name end) -- so that the partner has its turn
    local store = assert(p.cluster:open_store "spec")
    local lock = assert(store:lock(record.key(sc.id, partner), "the other run"))
    local report, err = sc:handle():rotate_password(name)
    lock.close()
    assert.is_nil(report)
    assert.are.equal("busy", err.kind)
    assert(p.cluster:resume())
    p:assert_closed()
  end)
end)
