local core = require "crdbcloud.core"
local record = require "crdbcloud.record"

local CLUSTER = "1b6fee85-c1ae-42da-bb4f-e3f8a89fdd25"
local NOW = 1000000

local function password(text)
  return core.secret(text or "one-password")
end

local function idle()
  return record.new {
    cluster_id = CLUSTER, user = "app", state = "idle", epoch = 1, current = { epoch = 1, password = password "first" },
  }
end

local function staged()
  return record.move(idle(), "staged", { epoch = 2, staged = { epoch = 2, password = password "second" } })
end

local function sent(rec, outcome)
  rec = record.move(rec, "intent", {
    sends = record.add_send(rec, { op = "update_sql_user_password", epoch = rec.staged.epoch, at = NOW, deadline = NOW + 30 }),
  })
  return outcome and record.amend(rec, { sends = record.answer_send(rec, outcome) }) or rec
end

describe("a record's moves", function()
  local states = {}
  for state in pairs(record.moves) do states[#states + 1] = state end
  table.sort(states)

  it("lead a rotation from idle to idle and nowhere past a step", function()
    local way = { "idle", "staged", "intent", "applied", "verified", "promoted", "idle" }
    for i = 1, #way - 1 do assert.is_true(record.can(way[i], way[i + 1]), way[i] .. " -> " .. way[i + 1]) end
    assert.is_false(record.can("idle", "intent"))
    assert.is_false(record.can("staged", "applied"))
    assert.is_false(record.can("intent", "promoted"))
    assert.is_false(record.can("promoted", "staged"))
  end)

  it("lead a creation through demotion before anything is staged", function()
    local way = { "planned", "posting", "posted", "demoted", "granted", "staged" }
    for i = 1, #way - 1 do assert.is_true(record.can(way[i], way[i + 1]), way[i] .. " -> " .. way[i + 1]) end
    for _, early in ipairs { "planned", "posting", "posted", "demoted" } do
      assert.is_false(record.can(early, "staged"), early)
    end
  end)

  it("name only states that exist", function()
    for _, targets in pairs(record.moves) do
      for _, to in ipairs(targets) do assert.is_table(record.moves[to], to) end
    end
    assert.are.equal(12, #states)
  end)

  it("raise when they are not allowed", function()
    assert.has_error(function() record.move(idle(), "applied", {}) end, "record of app: no move from idle to applied")
  end)

  it("leave the record that was given as it was", function()
    local before = idle()
    staged()
    record.move(before, "staged", { epoch = 2, staged = { epoch = 2, password = password() } })
    assert.are.equal("idle", before.state)
    assert.is_nil(before.staged)
  end)

  it("never change a stage within its epoch", function()
    local rec = staged()
    assert.has_error(function()
      record.move(rec, "intent", { staged = { epoch = 2, password = password "other" } })
    end, "record of app: the stage of epoch 2 is written once")
  end)

  it("keep the stage's bytes across any number of sends", function()
    local rec = sent(sent(sent(staged(), "unknown"), "not_sent"), "unknown")
    assert.is_true(rec.staged.password:equals "second")
    assert.are.equal(3, #rec.sends)
    assert.are.equal(3, rec.sends[3].n)
  end)

  for _, case in ipairs {
    { "open", nil, true }, { "unknown", "unknown", true }, { "applied", "applied", true },
    { "rejected", "rejected", false }, { "not sent", "not_sent", false },
  } do
    it(("%s discard a stage whose send is %s"):format(case[3] and "do not" or "may", case[1]), function()
      local rec = sent(staged(), case[2])
      assert.are.equal(case[3], record.may_be_live(rec))
      local function discard() return record.move(rec, "idle", { staged = record.NONE }) end
      if case[3] then
        assert.has_error(discard, "record of app: epoch 2 may have been sent and must be kept")
      else
        assert.is_nil(discard().staged)
      end
    end)
  end

  it("may discard a stage that was never about to be sent", function()
    local rec = record.move(staged(), "idle", { staged = record.NONE })
    assert.is_nil(rec.staged)
    assert.is_true(rec.current.password:equals "first")
  end)

  it("refuse a change of the stage that is no move", function()
    assert.has_error(function() record.amend(staged(), { staged = record.NONE }) end,
      "record of app: a stage changes only with a move")
  end)
end)

describe("what a record tells", function()
  it("counts open and unknown sends of an epoch and operation", function()
    local rec = sent(sent(staged(), "unknown"))
    assert.are.equal(2, record.unknown_sends(rec, 2, "update_sql_user_password"))
    assert.are.equal(0, record.unknown_sends(rec, 2, "create_sql_user"))
    assert.are.equal(0, record.unknown_sends(rec, 1))
  end)

  it("settles 120 seconds after the deadline of the last unanswered send", function()
    assert.is_nil(record.unsettled(sent(staged(), "applied"), { time = NOW }))
    assert.are.equal(30 + 120, record.unsettled(sent(staged(), "unknown"), { time = NOW }))
    assert.is_nil(record.unsettled(sent(staged(), "unknown"), { time = NOW + 150 }))
  end)

  it("keeps unsettled sends of earlier epochs and drops the settled ones", function()
    local rec = sent(staged(), "unknown")
    local soon = record.add_send(rec, { op = "update_sql_user_password", epoch = 3, at = NOW + 60, deadline = NOW + 90 })
    assert.are.equal(2, #soon)
    local late = record.add_send(rec, { op = "update_sql_user_password", epoch = 3, at = NOW + 500, deadline = NOW + 530 })
    assert.are.equal(1, #late)
  end)

  it("offers current, then staged once it may have been sent, then previous", function()
    local rec = staged()
    rec.previous = { epoch = 0, password = password "zeroth" }
    local function sources(r)
      local list = {}
      for i, c in ipairs(record.candidates(r)) do list[i] = c.source end
      return list
    end
    assert.are.same({ "current", "previous" }, sources(rec))
    assert.are.same({ "current", "staged", "previous" }, sources(sent(rec)))
  end)

  it("offers no password of a user that is being created", function()
    local rec = record.new {
      cluster_id = CLUSTER, user = "app", state = "granted", creating = true, bootstrap = { password = password() },
    }
    rec = record.move(rec, "staged", { epoch = 1, staged = { epoch = 1, password = password() } })
    assert.are.same({}, record.candidates(sent(rec)))
    assert.is_true(record.is_creating(rec))
  end)

  it("offers the known password of a user that is being taken over", function()
    local rec = record.move(idle(), "posted", { creating = true })
    assert.are.equal("current", record.candidates(rec)[1].source)
  end)

  it("never offers a candidate that was an admin's", function()
    local rec = idle()
    rec.candidates = { { epoch = 0, password = password "bad", withheld = true }, { epoch = 0, password = password "good" } }
    local list = record.candidates(rec)
    assert.are.equal(2, #list)
    assert.is_true(list[2].password:equals "good")
  end)

  it("is open unless idle and published", function()
    assert.is_false(record.is_open(idle()))
    assert.is_true(record.is_open(staged()))
    assert.is_true(record.is_open(record.amend(idle(), { flags = { unpublished = true } })))
  end)
end)

describe("splitting and joining", function()
  local function roundtrip(rec)
    return record.join(record.split(rec))
  end

  it("takes every password out of the metadata and puts it back", function()
    local rec = sent(staged())
    rec.previous = { epoch = 0, password = password "zeroth" }
    rec.bootstrap = { password = password "throwaway" }
    rec.candidates = { { epoch = 0, password = password "maybe" } }
    local meta, secrets = record.split(rec)
    local function walk(t)
      for k, v in pairs(t) do
        assert.are_not.equal("userdata", type(v), tostring(k))
        if type(v) == "table" then walk(v) end
      end
    end
    walk(meta)
    local names = {}
    for name in pairs(secrets) do names[#names + 1] = name end
    table.sort(names)
    assert.are.same({ "bootstrap", "candidate_1", "current", "previous", "staged" }, names)
    local back = assert(record.join(meta, secrets))
    assert.is_true(back.previous.password:equals "zeroth")
    assert.is_true(back.staged.password:equals "second")
  end)

  for _, case in ipairs {
    { "no schema", function(m) m.schema = nil end, "it has no schema number", "foreign" },
    { "a newer schema", function(m) m.schema = 2 end, "its schema is 2, this version knows up to 1", "newer" },
    { "no user", function(m) m.user = nil end, "it names no cluster or no user", "foreign" },
    { "an unknown state", function(m) m.state = "sleeping" end, "its state is unknown: sleeping", "foreign" },
    { "a missing password", function(_, s) s.current = nil end, "its current password is missing", "foreign" },
    { "a password too many", function(_, s) s.other = password() end,
      "it holds a password that nothing refers to: ", "foreign" },
    { "an intent without a stage", function(m) m.state = "intent" end,
      "its state is intent but no password is staged", "foreign" },
    { "a list that is none", function(m) m.sends = "none" end, "its field sends is no table", "foreign" },
  } do
    it("refuses " .. case[1], function()
      local meta, secrets = record.split(idle())
      case[2](meta, secrets)
      local rec, problem, code = record.join(meta, secrets)
      assert.is_nil(rec)
      assert.are.equal(case[3], problem:sub(1, #case[3]))
      assert.are.equal(case[4], code)
    end)
  end

  it("refuses an idle record without a password", function()
    local rec, problem = record.join(record.split(record.new { cluster_id = CLUSTER, user = "app", state = "idle" }))
    assert.is_nil(rec)
    assert.are.equal("its state is idle but no password is current", problem)
  end)

  it("reads whole numbers as whole numbers and drops nulls", function()
    local meta, secrets = record.split(idle())
    meta = require("cjson").decode((require("cjson").encode(meta):gsub("}$", ',"owner":null}')))
    local rec = assert(record.join(meta, secrets))
    assert.are.equal("1", tostring(rec.epoch))
    assert.is_nil(rec.owner)
    assert.are.same("idle", roundtrip(rec).state)
  end)
end)
