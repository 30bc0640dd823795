local core = require "crdbcloud.core"
local credentials = require "crdbcloud.credential"
local dict = require "crdbcloud.nginx.dict"
local nginx = require "spec.support.servers.nginx"
local temp = require "spec.support.temp"

local ID, OTHER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"

local function credential(fields)
  local made = {
    user = "app", cluster = "prod", cluster_id = ID, host = "h", port = 26257, database = "shop", sslmode = "verify-full", epoch = 3,
    set_at = 1700000000, pool_name = ID .. "/app/3", password = core.secret 'p"\\\0\n\195\188',
    candidates = {
      { epoch = 3, source = "current", password = core.secret 'p"\\\0\n\195\188' },
      { epoch = 4, source = "staged", password = core.secret "staged-one" },
      { epoch = 2, source = "previous", password = core.secret "previous-one", user = "app_b" },
    },
  }
  for name, value in pairs(fields or {}) do made[name] = value end
  return setmetatable(made, credentials.CLASS)
end

-- The same in a program for nginx.
local PROGRAM = [[
  local core, dict = require "crdbcloud.core", require "crdbcloud.nginx.dict"
  local ID, OTHER = "]] .. ID .. '", "' .. OTHER .. [["
  local function credential(fields)
    local made = { user = "app", cluster = "prod", cluster_id = ID, epoch = 3, set_at = 10, password = core.secret "pw", candidates = {} }
    for name, value in pairs(fields or {}) do made[name] = value end
    return made
  end
  local shm = ngx.shared.creds
]]

describe("a credential in a shared dictionary", function()
  after_each(function()
    nginx.stop_all()
    temp.clean()
  end)

  it("comes back as it was put in, whatever bytes its password has", function()
    local before = credential()
    local after = dict.decode(dict.encode(before):reveal())
    assert.equal(credentials.CLASS, getmetatable(after))
    assert.equal(tostring(before), tostring(after))
    for _, field in ipairs { "cluster", "cluster_id", "database", "sslmode", "set_at", "pool_name", "port", "epoch" } do
      assert.equal(before[field], after[field], field)
    end
    assert.equal("3", tostring(after.epoch))
    assert.is_true(after.password:equals(before.password))
    assert.equal(3, #after.candidates)
    for i, candidate in ipairs(after.candidates) do
      assert.is_true(candidate.password:equals(before.candidates[i].password))
      assert.same({ before.candidates[i].epoch, before.candidates[i].source, before.candidates[i].user },
        { candidate.epoch, candidate.source, candidate.user })
    end
    assert.is_true(before:url():equals(after:url()))
  end)

  it("has its password as the one candidate when there are no others", function()
    local after = dict.decode(dict.encode(credential { candidates = {} }):reveal())
    assert.equal(1, #after.candidates)
    assert.is_true(after.candidates[1].password:equals(after.password))
    assert.equal(16, #dict.decode(dict.encode(credential { candidates = (function()
      local many = {}
      for i = 1, 40 do many[i] = { epoch = i, source = "previous", password = core.secret("password " .. i) } end
      return many
    end)() }):reveal()).candidates)
  end)

  it("is nothing when the text is somebody else's", function()
    for _, text in ipairs { "", "x", "{}", "[]", '{"password":1,"user":"a"}', '{"password":"x"}', '{"user":"a","password":"x"', "null" } do
      assert.is_nil(dict.decode(text))
    end
  end)

  it("is looked for in nginx only, in a dictionary that nginx.conf declares", function()
    local _, problem = dict.find "creds"
    assert.matches("exist in nginx only", problem)
    local web = nginx.start { http = "lua_shared_dict creds 100k;" }
    assert.matches('nil nginx has no shared dictionary nope put "lua_shared_dict nope 1m;" into the http block of nginx.conf',
      web:run "say(require('crdbcloud.nginx.dict').find 'nope')", 1, true)
    assert.equal("true true", web:run [[
      local dict = require "crdbcloud.nginx.dict"
      say(dict.find "creds" == ngx.shared.creds, dict.find(ngx.shared.creds) == ngx.shared.creds)
    ]])
  end)

  it("never goes back to an older epoch, unless the user is a later one", function()
    local web = nginx.start { http = "lua_shared_dict creds 100k;" }
    assert.equal(table.concat({
      "true", "nil it holds epoch 3, which is newer than 2 newer", "true", "true", "5 true", "true", "1",
    }, "\n"), web:run(PROGRAM .. [[
      say((dict.put(shm, credential())))
      say(dict.put(shm, credential { epoch = 2, set_at = 9 }))
      say((dict.put(shm, credential { epoch = 3, password = core.secret "same epoch again" })))
      say((dict.put(shm, credential { epoch = 5, password = core.secret "newer" })))
      local found = dict.get(shm, "app")
      say(found.epoch, found.password:equals "newer")
      say((dict.put(shm, credential { epoch = 1, set_at = 11 }))) -- removed and made again
      say(dict.get(shm, "app").epoch)
    ]]))
  end)

  it("is found by its user, and by its cluster where there are several", function()
    local web = nginx.start { http = "lua_shared_dict creds 100k;" }
    assert.equal(table.concat({
      "not_found", "prod", "conflict", "staging", "prod", "staging", "not_found", "pair_b", "staging", "not_found",
    }, "\n"), web:run(PROGRAM .. [[
      local function cluster(...)
        local found, err = dict.get(shm, ...)
        return found and found.cluster or err.kind
      end
      say(cluster "app")
      dict.put(shm, credential())
      say(cluster "app")
      dict.put(shm, credential { cluster = "staging", cluster_id = OTHER })
      say(cluster "app")
      say(cluster("app", "staging"))
      say(cluster("app", ID))
      say(cluster("app", OTHER))
      say(cluster("app", "elsewhere"))
      dict.put(shm, credential { user = "pair_b", pair = "pair" })
      say(dict.get(shm, "pair").user)
      dict.remove(shm, "app", ID)
      say(cluster "app")
      dict.remove(shm, "app", OTHER)
      say(cluster "app")
    ]]))
  end)

  it("is refused rather than that others are thrown out when there is no room", function()
    local web = nginx.start { http = "lua_shared_dict creds 16k;" }
    assert.equal("it has no room left; make it larger no memory true", web:run(PROGRAM .. [[
      local i, ok, why, code = 0
      repeat
        i = i + 1
        ok, why, code = dict.put(shm, credential { user = "user" .. i })
      until not ok
      local all = true
      for k = 1, i - 1 do all = all and dict.get(shm, "user" .. k) ~= nil end
      say(why, code, all)
    ]]))
  end)

  it("is found when it was written, in a dictionary of any size, and what stood there before stays", function()
    local web = nginx.start { http = "lua_shared_dict creds 12k; lua_shared_dict b 28k; lua_shared_dict c 100k; lua_shared_dict d 1m;" }
    local out = web:run(PROGRAM .. [[
      for _, name in ipairs { "creds", "b", "c", "d" } do
        local shm = ngx.shared[name]
        local written, others, refused = {}, 0, 0
        while shm:safe_set("other" .. others, ("x"):rep(others * 7)) and others < 20 do others = others + 1 end
        for i = 1, 2500 do
          local ok, why, code = dict.put(shm, credential { user = "user" .. i, cluster_id = i % 7 == 0 and OTHER or ID })
          if ok then written[#written + 1] = "user" .. i else refused = refused + (code == "no memory" and 1 or -1e9) end
          if refused > 50 then break end
        end
        local lost = 0
        for _, user in ipairs(written) do lost = lost + (dict.get(shm, user) and 0 or 1) end
        for i = 0, others - 1 do lost = lost + (shm:get("other" .. i) and 0 or 1) end
        say(name, lost, refused)
      end
    ]])
    assert.equal("creds 0 51\nb 0 51\nc 0 51\nd 0 51", out)
  end)

  it("can be written and found after room was made for it", function()
    local web = nginx.start { http = "lua_shared_dict creds 100k;" }
    assert.equal("false no memory\ntrue\napp", web:run(PROGRAM .. [[
      local n = 0
      while shm:safe_set("x" .. n, "y") do n = n + 1 end
      local ok, _, code = dict.put(shm, credential())
      say(ok == true, code)
      shm:flush_all()
      shm:flush_expired()
      say((dict.put(shm, credential())))
      say(dict.get(shm, "app").user)
    ]]))
  end)

  it("is written by one at a time", function()
    local web = nginx.start { http = "lua_shared_dict creds 100k;" }
    assert.equal("nil another thread writes it held\ntrue", web:run(PROGRAM .. [[
      local lock = "crdbcloud/credential/app/" .. ID .. "/lock"
      shm:add(lock, true, 1)
      say(dict.put(shm, credential()))
      shm:delete(lock)
      say((dict.put(shm, credential())))
    ]]))
  end)
end)
