-- Tests lua/crdbcloud/workflows/resume.lua.
--
-- Scenario 30 of the protocol: while it is not known which password is live, no way
-- through the code makes a second one. Watched where passwords are made, over random
-- worlds and over every short script of answers.

local passwords = require "crdbcloud.passwords"
local random = require "spec.sim.random"
local record = require "crdbcloud.record"
local rotators = require "spec.sim.rotators"
local scene = require "spec.sim.scene"
local simulation = require "spec.sim.simulation"

local PUT = "update_sql_user_password"
local CLOCKS = 5 -- seconds by which the clocks of two hosts may differ

-- Why no password may be made in this world now; nil when one may. A request is open
-- when its answer told nothing, or reached nobody.
local function ambiguity(world)
  local rec = world.store:peek(record.key(world.id, scene.USER))
  local staged = rec and rec.staged and world:label(rec.staged.password)
  local known = world.check
  for _, request in ipairs(world.service.requests) do
    local open = not request.result or request.result.outcome == "unknown"
    if open and request.op == PUT and request.user == scene.USER then
      if request.until_time + record.SETTLE > world.scheduler.now + CLOCKS then return request.label .. " may still arrive" end
      if request.label == staged and not known.accepted[staged] and not known.answered_labels[staged] then
        return staged .. " is staged and may be live"
      end
    end
  end
end

-- Runs fn() with an eye on the maker of passwords; what it made while it must not. One that nobody ever used does not
-- count: a rotator that was frozen until another took over finds so when it stages it, and throws it away.
local function watched(fn)
  local generate, suspects, made = passwords.generate, {}, 0
  local world
  local use = rotators.install
  passwords.generate = function(...)
    made = made + 1
    local why = world and ambiguity(world)
    local password, err = generate(...)
    if why then suspects[#suspects + 1] = { world = world, why = why, text = password:reveal() } end
    return password, err
  end
  rotators.install = function()
    local restore = use()
    local inner = rotators.use
    rotators.use = function(w)
      world = w
      inner(w)
    end
    return restore
  end
  local ok, err = pcall(fn)
  passwords.generate, rotators.install = generate, use
  if not ok then error(err, 0) end
  local found = {}
  for _, one in ipairs(suspects) do
    if one.world.labels[one.text] then
      found[#found + 1] = ("seed %d: a password is made while %s"):format(one.world.seed, one.why)
    end
  end
  return table.concat(found, "\n"), made
end

describe("30: while it is not known which password is live, no second one is made,", function()
  it("whatever rotators meet", function()
    local wrong = 0
    local found, made = watched(function()
      for seed = 20001, 20300 do
        local result = simulation.one(seed, { profile = { emergency = false, outage = false, given = false, send_faults = 0.9 } })
        wrong = wrong + #result.problems
      end
    end)
    assert.are.equal("", found)
    assert.are.equal(0, wrong)
    assert.is_true(made > 300)
  end)

  it("whatever is answered to the first five requests", function()
    local steps = { "plain", "twice" }
    for _, fate in ipairs { "lost", "dropped", "late" } do
      for _, answer in ipairs { "timeout", "reset", "server", "broken_body", "wrong_name" } do
        steps[#steps + 1] = { fate, answer = answer }
      end
    end
    for _, answer in ipairs {
      "rate_limited", "connect", "locked", "password_refused", "invalid_argument", "unauthenticated", "must_differ", "not_found",
    } do
      steps[#steps + 1] = { "refused", answer = answer }
    end
    local r = random.new(30)
    local found, made = watched(function()
      for _ = 1, 300 do
        local script, said = {}, {}
        for i = 1, 5 do
          script[i] = r:pick(steps)
          said[i] = type(script[i]) == "table" and table.concat({ script[i][1], script[i].answer }, " ") or script[i]
        end
        local s = scene.open { script = script, must_differ = r:chance(0.5), unreachable = r:pick { 0, 0.5, 1 } }
        s:job("rotate")
        s:job("rotate", nil, "B")
        s:job("resume")
        s:wait(2 * record.SETTLE)
        s.world.healthy, s.world.script = true, nil
        s:job("resume")
        s:job("rotate")
        local ok, why = pcall(s.assert_settled, s)
        s:close()
        assert.is_true(ok, table.concat(said, ", ") .. "\n" .. tostring(why))
      end
    end)
    assert.are.equal("", found)
    assert.is_true(made >= 600)
  end)

  it("and the watch itself finds an engine that makes one", function()
    local found = watched(function() simulation.many(20001, 100, { variant = "new-password" }) end)
    assert.is_truthy(found:find("may still arrive", 1, true), found)
  end)
end)
