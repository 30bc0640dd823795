-- Answers by spec/hostile/mutate.lua against each call and each workflow that needs no SQL: no raise, no exit 70, no secret in what is
-- shown, and no record that a run against an honest server cannot finish.
--   HOSTILE_RUNS=10000   more runs than the few of `make check` (make hostile)
--   HOSTILE_SEED=N       the first seed; a failure names its own

local api = require "spec.hostile.api"
local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local mutate = require "spec.hostile.mutate"
local record = require "crdbcloud.record"
local temp = require "spec.support.temp"

local RUNS = tonumber(os.getenv "HOSTILE_RUNS") or 150
local SEED = tonumber(os.getenv "HOSTILE_SEED") or os.time() % 1000000

local OPERATIONS = {
  "update_sql_user_password", "delete_sql_user", "create_sql_user", "list_sql_users", "list_databases", "get_connection_string",
  "list_audit_logs", "get_cluster", "list_clusters",
}

local PASSWORD = "A-Password_That.Is-Sent-42"

-- What is done against the answers; each may fail, none may raise.
local WORK = {
  function(c) return c.cloud:all_sql_users(api.CLUSTER) end,
  function(c) return c.cloud:list_sql_users(api.CLUSTER) end,
  function(c) return c.cloud:create_sql_user(api.CLUSTER, "app", PASSWORD) end,
  function(c) return c.cloud:update_sql_user_password(api.CLUSTER, "app", PASSWORD) end,
  function(c) return c.cloud:delete_sql_user(api.CLUSTER, "app") end,
  function(c) return c.cloud:all_clusters() end,
  function(c) return c.cloud:all_databases(api.CLUSTER) end,
  function(c) return c.cloud:get_cluster(api.CLUSTER) end,
  function(c) return c.cloud:get_connection_string(api.CLUSTER) end,
  function(c) return c.cloud:list_audit_logs {} end,
  function(c) return c.cloud:find_cluster "prod-eu" end,
  function(c) return c.cloud:request("GET", "/api/v1/clusters/" .. api.CLUSTER) end,
  function(c) return c.cluster:rotate_passwords { users = "all", verify = false, sinks = c.sink } end,
  function(c) return c.cluster:rotate_passwords { users = "managed", verify = false, max_age = "90d" } end,
  function(c) return c.cluster:rotate_passwords { emergency = "all", verify = false } end,
  function(c) return c.cluster:rotate_password { user = "app", verify = false } end,
  function(c) return c.cluster:plan_rotation { users = "all", max_age = "90d" } end,
  function(c) return c.cluster:rollback_password "app" end,
  function(c) return c.cluster:resume() end,
  function(c) return c.cluster:rotation_status() end,
  function(c) return c.cluster:history { audit_log = true } end,
  function(c)
    return c.cloud:rotate_passwords { clusters = "all", users = "all", verify = false, store = c.store, sql = false, sinks = c.sink }
  end,
}

-- All that a person or a program may see of a result.
local function shown(value, err)
  local texts = { tostring(value), tostring(err) }
  if errors.is(err) then
    texts[#texts + 1] = err:json()
    if err.report then
      texts[#texts + 1] = tostring(err.report)
      texts[#texts + 1] = err.report:json()
    end
  end
  local text = table.concat(texts, "\n")
  return text, text:gsub("\\u00(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
end

describe("generated answers", function()
  local scene, where
  before_each(function() scene = api.open "app" end)
  after_each(function()
    scene:close()
    temp.clean()
  end)

  local function check(value, err)
    local text, decoded = shown(value, err)
    assert.is_nil(text:find "[%z\1-\9\11-\31\127]", where)
    for _, secret in ipairs { api.KEY, PASSWORD } do assert.is_nil(decoded:find(secret, 1, true), where .. text) end
    assert.is_nil(text:find("internal error", 1, true), where .. text)
    if value == nil then
      assert.is_true(errors.is(err), where .. text)
      assert.is_true(err.exit ~= 70, where)
    end
  end

  -- An honest run finishes what is there.
  local function settle(store_url)
    scene:honest()
    local cluster = scene:cluster { store = store_url }
    local store = assert(cluster:open_store "spec")
    for _, key in ipairs(assert(store:list "")) do
      local rec, err = store:get(key)
      assert.truthy(rec, where .. tostring(err))
      -- What is unanswered settles by time; the wall clock is what it is.
      rec.sends = {}
      -- Sessions are ended by SQL, of which there is none here.
      rec.sessions_due = nil
      if rec.asked then rec.asked.cancel_sessions = nil end
      rec.resend_at = rec.resend_at and math.floor(core.time())
      local _, version = store:get(key)
      assert(store:put(key, rec, version))
    end
    local report, err = cluster:resume()
    assert.truthy(report, where .. tostring(err))
    for _, key in ipairs(assert(store:list "")) do
      local rec = store:get(key)
      if rec then assert.is_false(record.is_open(rec), where .. key .. " is " .. rec.state) end
    end
    cluster:close()
    cluster.cloud:close()
  end

  it(("raise nothing, show no secret and leave no record that cannot be finished: %d runs from seed %d"):format(RUNS, SEED), function()
    print(("hostile: %d runs, HOSTILE_SEED=%d"):format(RUNS, SEED))
    local out = temp.dir()
    for run = 1, RUNS do
      local seed = SEED + run
      local random = mutate.random(seed)
      for _ = 1, 3 do random(2) end
      where = ("HOSTILE_SEED=%d HOSTILE_RUNS=1: "):format(seed - 1)
      scene:honest()
      local honest = api.honest "app"
      for _ = 1, random(3) do
        local operation = OPERATIONS[random(#OPERATIONS)]
        scene:answer(operation, mutate.status(random), mutate.body(honest[operation], random, random(2) == 1 and api.KEY or PASSWORD))
      end
      local cluster = scene:cluster({ store = "file:" .. out .. "/" .. run }, { deadline = 2, timeout = 2 })
      local context = { cluster = cluster, cloud = cluster.cloud, sink = "json:" .. out .. "/{user}-{cluster}.json", store = "file:" .. out .. "/" .. run }
      local ok, value, err = pcall(WORK[random(#WORK)], context)
      assert.is_true(ok, where .. tostring(value))
      check(value, err)
      cluster:close()
      cluster.cloud:close()
      settle(context.store)
    end
  end)
end)
