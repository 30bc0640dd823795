local core = require "crdbcloud.core"
local record = require "crdbcloud.record"
local rules = require "crdbcloud.change.pair.rules"

local CLUSTER = "1b6fee85-c1ae-42da-bb4f-e3f8a89fdd25"

-- A member at an epoch; state "idle" unless given otherwise, with an epoch being staged.
local function member(user, epoch, state, fields)
  local rec = record.new { cluster_id = CLUSTER, user = user, state = state or "idle", epoch = epoch }
  rec.current = { epoch = epoch, password = core.secret "a-password-of-it", verified = true }
  for k, v in pairs(fields or {}) do rec[k] = v end
  return rec
end

-- A pair of which `active` is active.
local function pair(active, switching, fields)
  local rec = member("app", 4, nil, { pair = {
    partner = "app_b", role = "app_role", active = active, epoch = 7, of_epoch = active == "app" and 4 or 2,
    switched_at = 1000, spacing = 3600, switching = switching,
  } })
  for k, v in pairs(fields or {}) do rec[k] = v end
  return rec
end

describe("the names of a pair", function()
  it("are the user's with _b and _role", function()
    local new = rules.new("app", 0)
    assert.are.same({ "app_b", "app_role", "app", 1 }, { new.partner, new.role, new.active, new.epoch })
    assert.are.equal("publishing", new.switching.phase)
  end)

  it("continue the epochs of a user that is taken over", function()
    assert.are.equal(6, rules.new("app", 5).epoch)
  end)

  it("fit into 63 bytes, or the pair is refused", function()
    assert.are.equal(63, #rules.new(("a"):rep(58), 0).role)
    local new, err = rules.new(("a"):rep(59), 0)
    assert.is_nil(new)
    assert.are.equal("invalid_argument", err.kind)
    assert.are.equal("not_sent", err.outcome)
    assert.matches("59 bytes", err.message, 1, true)
  end)

  it("tell which pair a name would be the partner of", function()
    for name, owner in pairs { app_b = "app", app_b_b = "app_b", _b = false, app = false, b = false } do
      assert.are.equal(owner or nil, rules.possible_owner(name))
    end
  end)
end)

describe("the spacing of a pair", function()
  it("is what the last rotation kept, and the settle time", function()
    local p = pair("app").pair
    for _, case in ipairs { { 1000, 3720 }, { 1000 + 3719, 1 }, { 1000 + 3720, 0 }, { 1000 + 9999, 0 }, { 900, 3720 } } do
      assert.are.equal(case[2], rules.spacing_left(p, case[1]))
    end
    p.spacing = nil
    assert.are.equal(120, rules.spacing_left(p, 1000))
    p.switched_at = nil
    assert.are.equal(0, rules.spacing_left(p, 1000))
  end)

  it("is told as pending, with the seconds to wait", function()
    local err = rules.too_early(pair "app", 90)
    assert.are.same({ "pending", "spacing", "not_sent", 90 }, { err.kind, err.reason, err.outcome, err.retry_after })
    assert.matches("app_b was active", err.message, 1, true)
  end)
end)

describe("the next step of a pair", function()
  local to_b = { phase = "rotating", to = "app_b", epoch = 2 }
  local to_a = { phase = "rotating", to = "app", epoch = 4 }
  local sole = { phase = "rotating", to = "app_b", epoch = 0 }
  local stay = { phase = "rotating", to = "app_b", epoch = 2, stay = true }
  local published = { phase = "publishing", to = "app_b" }
  local making = member("app_b", 0, "posted", { creating = true })
  making.current = nil

  for _, case in ipairs {
    { "rest", pair "app", nil, "where nothing is open and no partner was made" },
    { "rest", pair "app", member("app_b", 2), "where nothing is open" },
    { "rest", pair "app_b", member("app_b", 2), "where the partner is active" },
    { "create", pair("app", sole), nil, "where the partner is missing" },
    { "finish", pair("app", sole), making, "where the partner is half made" },
    { "finish", pair("app", to_b), member("app_b", 2, "intent"), "where a change of the partner may have been sent" },
    { "finish", pair("app", to_b), member("app_b", 3, "promoted"), "where the partner's is promoted" },
    { "rotate", pair("app", to_b), member("app_b", 2), "where the partner has its old password" },
    { "switch", pair("app", to_b), member("app_b", 3), "where the partner has its new password" },
    { "switch", pair("app", sole), member("app_b", 1), "where the partner has its first password" },
    { "rotate", pair("app_b", to_a), member("app_b", 2), "where the user itself has its turn" },
    { "finish", pair("app_b", to_a, { state = "applied" }), member("app_b", 2), "where the user's own change is half done" },
    { "switch", pair("app_b", to_a, { current = { epoch = 5 } }), member("app_b", 2), "where the user has its new password" },
    { "end", pair("app", stay), member("app_b", 3), "where an emergency has changed the second one" },
    { "rotate", pair("app", stay), member("app_b", 2), "where an emergency has still to change the second one" },
    { "publish", pair("app_b", published), member("app_b", 3), "where the switch is done" },
    { "finish", pair "app", member("app_b", 2, "intent"), "where a change of a member is open without a turn" },
    { "republish", pair "app_b", member("app_b", 3), "where the active password was changed outside a turn" },
    { "rest", pair "app", member("app_b", 9), "where another than the active password was changed outside a turn" },
  } do
    it(("is to %s %s"):format(case[1], case[4]), function()
      assert.are.equal(case[1], (rules.next(case[2], case[3])))
    end)
  end

  it("names the member that it works on", function()
    assert.are.equal("app_b", (select(2, rules.next(pair("app", to_b), member("app_b", 2)))))
    assert.are.equal("app", (select(2, rules.next(pair("app_b", nil, { state = "intent" }), member("app_b", 2)))))
  end)
end)

describe("a switch", function()
  it("makes the member whose turn it was active, and counts the epoch", function()
    local before = pair("app", { phase = "rotating", to = "app_b", epoch = 2, both = true, cancel = true }).pair
    local after = rules.switched(before, 5000, 60)
    assert.are.same({ "app_b", 8, 5000, 60 }, { after.active, after.epoch, after.switched_at, after.spacing })
    assert.are.same({ phase = "publishing", to = "app_b", both = true, cancel = true }, after.switching)
    assert.are.equal("app", before.active)
  end)

  it("is over once it is published", function()
    local rec = pair("app_b", { phase = "publishing", to = "app_b" })
    local after = rules.published(rec, member("app_b", 3))
    assert.is_nil(after.switching)
    assert.are.equal(3, after.of_epoch)
  end)

  it("of an emergency is followed by the turn of the other, without a switch", function()
    local rec = pair("app_b", { phase = "publishing", to = "app_b", both = true, cancel = true })
    local after = rules.published(rec, member("app_b", 3))
    assert.are.same({ phase = "rotating", to = "app", epoch = 4, stay = true, cancel = true }, after.switching)
  end)

  it("is not made to a member that may not log in, unless nobody of the pair may", function()
    for verdict, unusable in pairs { no_login = true, expired = true, network = false, accepted = false, paused = false } do
      local rec = member("app_b", 3)
      rec.current.verified = verdict
      assert.are.equal(unusable and verdict or nil, rules.unusable(rec))
      rec.disabled = true
      assert.is_nil(rules.unusable(rec))
    end
  end)
end)
