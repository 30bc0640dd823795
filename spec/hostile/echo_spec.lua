-- An answer that repeats a secret: the key, the password of the request, or one that was sent a while ago.
-- The list of what was sent is csrc/http/recent.c.

local api = require "spec.hostile.api"
local cjson = require "cjson"
local crdbcloud = require "crdbcloud"
local temp = require "spec.support.temp"

local PASSWORD = "Correct-Horse_Battery.Staple-41"

-- Spellings of a text inside a JSON string.
local function unicode(text) return (text:gsub(".", function(c) return ("\\u%04x"):format(c:byte()) end)) end
local SPELLINGS = {
  plain = function(text) return text end,
  one_letter = function(text) return ("\\u%04X"):format(text:byte()) .. text:sub(2) end,
  last_letter = function(text) return text:sub(1, -2) .. ("\\u%04x"):format(text:byte(-1)) end,
  unicode = unicode,
  twice = function(text) return (unicode(text):gsub("\\", "\\\\")) end,
  percent = function(text) return (text:gsub(".", function(c) return ("%%%02x"):format(c:byte()) end)) end,
  some_percent = function(text) return (text:gsub("[_-]", function(c) return ("%%%02X"):format(c:byte()) end)) end,
}

-- All that a caller may see of it, decoded once more.
local function seen(value, err)
  local text = err and tostring(err) .. err:json() .. tostring(err.message) or tostring(value)
  if value then text = text .. cjson.encode(value) end
  return text .. text:gsub("\\u00(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
    .. text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
end

describe("a secret that an answer repeats", function()
  local scene
  before_each(function() scene = api.open "app" end)
  after_each(function()
    scene:close()
    temp.clean()
  end)

  local function hidden(text, why)
    for _, secret in ipairs { api.KEY, PASSWORD } do assert.is_nil(text:find(secret, 1, true), why) end
  end

  it("is not shown in a listing, however it is spelt", function()
    for name, spell in pairs(SPELLINGS) do
      for _, secret in ipairs { api.KEY, PASSWORD } do
        -- The password is one that another handle has sent before.
        local other = scene:cloud()
        scene:honest()
        assert(other:update_sql_user_password(api.CLUSTER, "app", PASSWORD))
        scene:answer("list_sql_users", 200, ('{"users":[{"name":"x%sy"}]}'):format(spell(secret)))
        local cloud = scene:cloud()
        hidden(seen(cloud:all_sql_users(api.CLUSTER)), name)
        hidden(seen(cloud:list_sql_users(api.CLUSTER)), name)
        hidden(seen(cloud:request("GET", "/api/v1/clusters/" .. api.CLUSTER .. "/sql-users")), name)
      end
    end
  end)

  it("is not shown in an error, a refusal or another call", function()
    for name, spell in pairs(SPELLINGS) do
      scene:honest()
      local cloud = scene:cloud()
      assert(cloud:update_sql_user_password(api.CLUSTER, "app", PASSWORD))
      for _, secret in ipairs { api.KEY, PASSWORD } do
        for _, status in ipairs { 200, 400, 404, 429, 500 } do
          local body = ('{"code":3,"message":"bad request: %s","id":"%s","name":"%s"}'):format(spell(secret), spell(secret), spell(secret))
          for _, operation in ipairs { "get_cluster", "list_sql_users", "delete_sql_user", "create_sql_user" } do scene:answer(operation, status, body) end
          hidden(seen(cloud:get_cluster(api.CLUSTER)), name)
          hidden(seen(cloud:list_sql_users(api.CLUSTER)), name)
          hidden(seen(cloud:delete_sql_user(api.CLUSTER, "app")), name)
          hidden(seen(cloud:create_sql_user(api.CLUSTER, "app2", PASSWORD .. "2")), name)
        end
      end
    end
  end)

  it("of the user's choice is looked for by its own bytes only: other answers stay as they are", function()
    local cloud = scene:cloud()
    assert(cloud:update_sql_user_password(api.CLUSTER, "app", PASSWORD))
    scene:answer("list_sql_users", 200, '{"users":[{"name":"Correct-Horse_Battery"},{"name":"gr\\u00f6\\u00dfe"},{"name":"50%41"}]}')
    local users = assert(cloud:all_sql_users(api.CLUSTER))
    assert.are.same({ "Correct-Horse_Battery", "größe", "50%41" }, { users[1].name, users[2].name, users[3].name })
  end)

  it("made to keep the search for it busy costs no more than some plain answers of that size", function()
    local function cost(unit, before)
      local body = '{"users":[{"name":"' .. (before or "") .. unit:rep(math.floor(7.5 * 1024 * 1024 / #unit)) .. '"}]}'
      scene:answer("list_sql_users", 200, body)
      local cloud = crdbcloud.core.client { base_url = scene.server.url, api_key = api.KEY }
      local began = os.clock()
      cloud:list_sql_users(api.CLUSTER, { timeout = 60 })
      cloud:close()
      return os.clock() - began
    end
    local plain = cost "z"
    local deep = ("\\\\"):rep(128)
    for _, unit in ipairs { "C", "&", "%43", "\\u0043", "&#x00000043;", "43", "Q0NE", api.KEY:sub(1, -2) .. "!", unicode(api.KEY:sub(1, -2)), "C\",\"" } do
      for _, before in ipairs { "", deep } do
        local took = cost(unit, before)
        assert.is_true(took < 40 * plain, ("%s: %.2f s, a plain one %.2f s"):format(unit, took, plain))
      end
    end
  end)
end)
