-- Kills a probe after each of its steps and at each boundary around the making and the removal of its user. The next run,
-- itself killed one step later, removes what is left; so does the last one, which ends with 0.

local assumptions = require "crdbcloud.workflows.assumptions"
local scene = require "spec.support.scene"
local sweep = require "spec.support.crash.sweep"
local temp = require "spec.support.temp"

local sc

local JOB = { calls = { { "probe" } } }

local function users_left()
  local list = {}
  for name in sc.sandbox:psql("SELECT rolname FROM pg_roles WHERE rolname LIKE 'crdbcloud\\_probe\\_%'"):gmatch "%S+" do list[#list + 1] = name end
  return list
end

local function keys_left()
  return assert(assert(sc.cluster:open_store "spec"):list "")
end

-- Every user that is there has a record, so that it is found again.
local function assert_found_again(what)
  local known = {}
  for _, key in ipairs(keys_left()) do known[key:match "[^/]+$"] = true end
  for _, user in ipairs(users_left()) do assert.is_true(known[user], what .. ": no record of " .. user) end
end

describe("a probe that is killed", function()
  before_each(function() sc = scene.open() end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  it("after each of its steps leaves nothing once another has run", function()
    local killed = 0
    for _, assumption in ipairs(assumptions.TABLE) do
      if assumptions.expected(assumption, "postgresql") then
        local run = sweep.run(sc, JOB, { at = 1, mark = assumption.id, how = "before" })
        if run.killed then killed = killed + 1 end
        assert_found_again(assumption.id)
        -- Those of the runs before are gone: this run began with removing them.
        assert.is_true(#users_left() <= 1, assumption.id)
      end
    end
    assert.is_true(killed > 20)
    local last = sweep.run(sc, JOB)
    assert.equal(0, last.code, last.out)
    assert.same({ {}, {} }, { users_left(), keys_left() })
  end)

  -- Changes of the store, and what goes to the API, around the steps that make and remove the user.
  local function boundaries()
    local api = { path = sweep.api(sc), only = "send,sendto,sendmsg,write,writev" }
    return {
      { from = "page_limit", to = "created", only = "rename,renameat" },
      { from = "page_limit", to = "created", only = api.only, path = api.path },
      { from = "expiry_shown", to = "removed", only = "rename,renameat,unlink,unlinkat" },
      { from = "expiry_shown", to = "removed", only = api.only, path = api.path },
    }
  end

  it("at each boundary of making and removing its user leaves nothing once another has run", function()
    local kills = 0
    for _, of in ipairs(boundaries()) do
      local n, killed = 0, true
      local before, said = kills, nil
      while killed do
        n = n + 1
        local run = sweep.run(sc, JOB, { at = n, mark = of.from, how = "before", only = of.only, path = of.path })
        said = run.out
        -- As far as the step itself; the rest of the run is another case.
        killed = run.killed and not table.concat(run.trace.lines, "\n"):find("# " .. of.to, 1, true)
        if killed then kills = kills + 1 end
        assert_found_again(("%s %d"):format(of.to, n))
      end
      assert.is_true(kills > before, ("no kill on the way to %s by %s:\n%s"):format(of.to, of.only, said))
    end
    local last = sweep.run(sc, JOB)
    assert.equal(0, last.code, last.out)
    assert.same({}, users_left())
    -- A request that was cut off before it was sent might still arrive, for all that anybody can know.
    for _, key in ipairs(keys_left()) do assert.equal("posting", sc:record(key:match "[^/]+$").state) end
  end)
end)
