local pairs_of = require "spec.support.pair"

local PUT = "update_sql_user_password"

local p, sc, name, partner, file

local function open()
  p = pairs_of.open()
  sc, name, partner, file = p.scene, p.name, p.partner, p.file
end

describe("around a pair", function()
  before_each(function()
    open()
    assert(p:create())
    assert(p.cluster:rotate_password(name))
  end)
  after_each(function() p:close() end)

  it("rollback makes the other user active again, without a request, and sinks go forward", function()
    sc.sandbox:clear()
    local report = assert(p.cluster:rollback_password(name))
    assert.are.equal(name, report.rows[1].active)
    p:assert_published(name, 3)
    assert.are.equal(0, #sc:requests(PUT))
  end)

  it("rollback to a password that does not log in is refused", function()
    p:psql("ALTER ROLE %s PASSWORD 'set-by-somebody-else'", name)
    local report, err = p.cluster:rollback_password(name)
    assert.is_nil(report)
    assert.are.same({ "conflict", "not_sent" }, { err.kind, err.outcome })
    p:assert_published(partner, 2)
  end)

  it("disable_user and enable_user speak of both", function()
    assert(p.cluster:disable_user(name))
    for _, user in ipairs { name, partner } do assert.is_false(p:inspect(user).login) end
    assert(p.cluster:enable_user(name))
    for _, user in ipairs { name, partner } do assert.is_true(p:inspect(user).login) end
  end)

  it("drift is told by the rotation and by the status", function()
    p:psql("GRANT DELETE ON orders TO %s; CREATE TABLE t_%s (id int); ALTER TABLE t_%s OWNER TO %s", name, name, name, partner)
    p:rest()
    local report = assert(p.cluster:rotate_password(name))
    local status = assert(p.cluster:rotation_status())
    for _, warnings in ipairs { report.warnings, status.warnings } do
      local text = table.concat(warnings, "\n")
      assert.matches(("only %s has DELETE on table shop.public.orders"):format(name), text, 1, true)
      assert.matches(("%s owns table shop.public.t_%s"):format(partner, name), text, 1, true)
    end
    assert.are.equal(2, #status.rows[1].drift)
    assert.matches("warning: " .. name, tostring(status), 1, true)
    sc.sandbox:psql("DROP TABLE t_" .. name)
  end)

  it("a user that lost the role does not become active until it has it again", function()
    p:psql("REVOKE %s_role FROM %s", name, name)
    p:rest()
    sc.sandbox:clear()
    local report, err = p.cluster:rotate_password(name)
    assert.is_nil(report)
    assert.are.same({ "conflict", "drift", "not_sent" }, { err.kind, err.reason, err.outcome })
    assert.are.equal(0, #sc:requests(PUT))
    p:assert_published(partner, 2)
    p:psql("GRANT %s_role TO %s", name, name)
    assert(p.cluster:rotate_password(name))
    p:assert_published(name, 3)
  end)

  it("a user that may not log in does not become active", function()
    p:rest()
    local report, err = p.cluster:rotate_password { user = name, on_progress = function(event)
      if event.step == "stage" then p:psql("ALTER ROLE %s NOLOGIN", name) end
    end }
    assert.is_nil(report)
    assert.are.same({ "applied", "no_login" }, { err.outcome, err.reason })
    p:assert_published(partner, 2)
    p:psql("ALTER ROLE %s LOGIN", name)
  end)

  it("the status tells who is active and until when, and what was not looked at", function()
    local status = assert(p.cluster:rotation_status())
    assert.are.same({ partner, partner, {}, name }, {
      status.rows[1].active, status.rows[1].partner, status.rows[1].drift, status.rows[2].partner_of,
    })
    assert.matches(partner .. " is active, next turn in", tostring(status), 1, true)
    local blind = assert(sc:handle { cluster = { sql = false } }:rotation_status())
    assert.are.equal("not-checked", blind.rows[1].drift)
  end)

  it("history tells for each user where its password went", function()
    local rows = assert(p.cluster:history()).rows
    assert.are.same({ name, partner }, { rows[1].user, rows[2].user })
    for _, row in ipairs(rows) do assert.are.same({ "json:" .. file }, row.sinks) end
  end)

  it("an active password that was changed outside a turn is published by resume", function()
    p:rewrite(partner, function(rec)
      rec.current.epoch, rec.epoch, rec.flags = rec.epoch + 1, rec.epoch + 1, { unpublished = true }
    end)
    assert(p.cluster:resume())
    p:assert_published(partner, 3)
  end)
end)
