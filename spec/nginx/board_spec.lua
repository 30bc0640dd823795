-- What workers tell each other in a shared dictionary.
local nginx = require "spec.support.servers.nginx"
local temp = require "spec.support.temp"

describe("the board of a schedule", function()
  local web

  before_each(function()
    web = nginx.start {
      http = "lua_shared_dict crdbcloud 1m; lua_shared_dict small 12k;",
      init = [[
        board = require "crdbcloud.nginx.board"
        handle = require("crdbcloud.nginx").new { base_url = "https://127.0.0.1" }:cluster "prod"
        function open(dict) return board.of(dict or "crdbcloud", handle, "schedule") end]],
    }
  end)

  after_each(function()
    nginx.stop_all()
    temp.clean()
  end)

  it("is found once a worker has entered it", function()
    assert.equal("not_found", web:run [[say(select(2, board.find("crdbcloud", nil, "schedule")).kind)]])
    assert.equal("invalid_argument", web:run [[say(select(2, board.find("other", nil, "schedule")).kind)]])
    web:run [[open():enter { next_due = 7 }]]
    web:run [[open():enter { next_due = 8 }]]
    assert.equal("prod 7", web:run [[local b = assert(board.find("crdbcloud", nil, "schedule")) say(b.cluster .. " " .. b:read().next_due)]])
    assert.equal("not_found", web:run [[say(select(2, board.find("crdbcloud", "test", "schedule")).kind)]])
    assert.equal("not_found", web:run [[say(select(2, board.find("crdbcloud", "prod", "keep")).kind)]])
  end)

  it("gives the run to one worker, until that leaves or falls silent", function()
    assert.equal("true false true", web:run [[
      local b = open()
      say(tostring(b:take "a") .. " " .. tostring(b:take "b") .. " " .. tostring(b:is_alive()))]])
    -- Only who has it can give it back.
    assert.equal("true false", web:run [[
      local b = open()
      b:leave "b"
      local before = b:is_alive()
      b:leave "a"
      say(tostring(before) .. " " .. tostring(b:is_alive()))]])
    assert.equal("true", web:run [[
      local b = open()
      b:take("a", 0.05)
      ngx.sleep(0.06)
      say(tostring(b:take "b"))]])
    -- Whose run was taken over does not take it back.
    assert.equal("b", web:run [[
      local b = open()
      b:beat "a"
      say(ngx.shared.crdbcloud:get(b:key "holder"))]])
    assert.equal("c", web:run [[
      local b = open()
      b:leave "b"
      b:beat "c"
      say(ngx.shared.crdbcloud:get(b:key "holder"))]])
  end)

  it("does not believe in a sign of life from before the clock was set back", function()
    assert.equal("false true true false", web:run [[
      local b = open()
      ngx.shared.crdbcloud:set(b:key "holder", "a", 3600) -- as an hour later
      local dead = b:is_alive()
      ngx.shared.crdbcloud:set(b:key "holder", "a", 3600)
      local taken = b:take("b", 9)
      ngx.shared.crdbcloud:set(b:key "holder", "a", board.HOLD)
      say(dead, taken, b:is_alive(), b:take "b")]])
  end)

  it("keeps what is asked for once for the same users, at its latest time", function()
    assert.equal("3: managed 5, a,b 2, a 4", web:run [[
      local b = open()
      b:ask { users = "managed", at = 3 }
      b:ask { users = { "a", "b" }, at = 2 }
      b:ask { users = { "a" }, at = 4 }
      b:ask { users = "managed", at = 5 }
      local list = b:take_asked { { users = "managed", at = 1 } }
      local parts = {}
      for i, ask in ipairs(list) do
        parts[i] = (type(ask.users) == "table" and table.concat(ask.users, ",") or ask.users) .. " " .. ask.at
      end
      say(#list .. ": " .. table.concat(parts, ", "))]])
    assert.equal("0", web:run [[say(open():count_asked())]])
  end)

  it("takes no more than a hundred", function()
    assert.equal("busy", web:run [[
      local b, ok, err = open()
      for i = 1, 101 do ok, err = b:ask { users = "managed", at = i } end
      say(err.kind)]])
  end)

  it("throws out no credential for the list of those that are kept", function()
    assert.equal("true 0 nil 0", web:run [[
      local b, shm, known, n = open "small", ngx.shared.small, {}, 0
      b:write_known { app = "id" }
      local right = b:known().app == "id"
      for i = 1, 500 do known["user" .. i] = "11111111-1111-4111-8111-111111111111" end
      while shm:safe_set("credential" .. n, "x") do n = n + 1 end
      local function lost()
        local count = 0
        for i = 0, n - 1 do count = count + (shm:get("credential" .. i) and 0 or 1) end
        return count
      end
      local before = lost()
      local ok = b:write_known(known)
      say(right, before, ok or nil, lost())]])
    assert.matches("lua_shared_dict small is too small: no memory", web:log())
  end)

  it("says that its dictionary is too small", function()
    web:run [[
      local b = open "small"
      for i = 1, 20 do b:write { filler = ("x"):rep(500 * i) } end]]
    assert.matches("lua_shared_dict small is too small", web:log())
  end)

  for _, case in ipairs {
    { [[board.of(nil, handle, "schedule")]], "dict is missing" },
    { [[board.of("other", handle, "schedule")]], "lua_shared_dict other 1m;" },
    { [[board.of("crdbcloud", {}, "schedule")]], "cluster must be a handle" },
    { [[board.check_phase "schedule"]], "this is the phase content" },
  } do
    it("raises: " .. case[2], function()
      assert.truthy(web:run(("say(select(2, pcall(function() %s end)))"):format(case[1])):find(case[2], 1, true))
    end)
  end
end)
