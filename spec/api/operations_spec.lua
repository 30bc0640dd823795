local account = require "spec.support.account"
local core = require "crdbcloud.core"
local crdbcloud = require "crdbcloud"
local sandbox = require "spec.support.sandbox"

local USER = "legacy_report"
local PUT = "update_sql_user_password"

describe("an API call", function()
  local s, cloud, id, events

  setup(function()
    s = sandbox.shared()
    id = s.cluster_id
  end)
  teardown(function() s:reset() end)
  before_each(function()
    s:clear()
    events = {}
    cloud = account.open(s, { timeout = 5, on_event = function(event) events[#events + 1] = event end })
  end)
  after_each(function() cloud:close() end)

  local count = 0
  local function new_name()
    count = count + 1
    return "fresh_" .. count
  end
  local function password() return crdbcloud.password.generate() end
  local function sent(operation) return account.sent(s, operation) end

  describe("that meets a 401", function()
    -- The sandbox refuses a key before it looks at the path, so every request counts here.
    local function key_text(name)
      local handle = assert(io.open(s.keys[name]))
      local key = handle:read "*l"
      handle:close()
      return key
    end

    it("reads the key's function again and sends once more", function()
      local given = { key_text "invalid", key_text "admin" }
      local asked = 0
      local fresh = account.open(s, { api_key = function()
        asked = asked + 1
        return given[asked]
      end })
      local name = new_name()
      assert.same({ name = name }, fresh:create_sql_user(id, name, password()))
      assert.equal(2, asked)
      local log = account.sent(s)
      assert.same({ 401, 200 }, { log[1].status, log[2].status })
      assert.truthy(tostring(fresh):find(key_text("admin"):match "^(CCDB1_%w+)", 1, true))
      fresh:close()
    end)

    it("reads the key's file again", function()
      local path = os.tmpname()
      assert(core.write_file(path, key_text "invalid" .. "\n"))
      local fresh = account.open(s, { api_key_file = path })
      assert(core.write_file(path, key_text "admin" .. "\n"))
      assert(fresh:list_sql_users(id))
      assert(fresh:list_sql_users(id))
      assert.equal(3, #account.sent(s))
      fresh:close()
      os.remove(path)
    end)

    it("tells it where another key finds no turn", function()
      local given = { key_text "invalid", key_text "admin" }
      local slow = account.open(s, { account = "slow keys", rate = 0.05, api_key = function() return table.remove(given, 1) end })
      local value, err = slow:list_sql_users(id, { deadline = "8s" })
      slow:close()
      assert.is_nil(value)
      assert.same({ "unauthenticated", 401, 4 }, { err.kind, err.status, err.exit })
      assert.equal(1, #account.sent(s))
    end)

    it("sends nothing more when the key is the same", function()
      local stale = account.open(s, { key = "invalid" })
      local value, err = stale:list_sql_users(id)
      stale:close()
      assert.is_nil(value)
      assert.equal("unauthenticated", err.kind)
      assert.equal(4, err.exit)
      assert.equal(401, err.status)
      assert.truthy(err.hint:find(s.keys.invalid, 1, true), err.hint)
      assert.equal(1, #account.sent(s))
    end)

    it("asks only once more, however many keys there are", function()
      local asked = 0
      local fresh = account.open(s, { api_key = function()
        asked = asked + 1
        return "CCDB1_wrong_" .. asked
      end })
      local _, err = fresh:list_sql_users(id)
      fresh:close()
      assert.equal("unauthenticated", err.kind)
      assert.equal(2, asked)
      assert.equal(2, #account.sent(s))
    end)

    it("keeps the old key when the new one cannot be read", function()
      local asked = 0
      local broken = account.open(s, { api_key = function()
        asked = asked + 1
        if asked > 1 then error "the vault is sealed" end
        return key_text "invalid"
      end })
      local _, err = broken:list_sql_users(id)
      broken:close()
      assert.equal("unauthenticated", err.kind)
      assert.equal(1, #account.sent(s))
    end)

    it("works the same for a single exchange", function()
      local given, asked = { key_text "invalid", key_text "admin" }, 0
      local fresh = account.open(s, { api_key = function()
        asked = asked + 1
        return given[asked]
      end })
      assert(fresh:once("list_sql_users", { cluster_id = id }))
      fresh:close()
    end)
  end)

  describe("without a server", function()
    it("says that nothing was sent", function()
      local nowhere = account.open(s, { base_url = "http://127.0.0.1:1", max_attempts = 2 })
      local value, err = nowhere:create_sql_user(id, "app_user", password())
      nowhere:close()
      assert.is_nil(value)
      assert.equal("network", err.kind)
      assert.equal("not_sent", err.outcome)
      assert.equal(2, err.attempts)
      assert.is_true(err.retryable)
      assert.truthy(err.hint:find("http://127.0.0.1:1", 1, true), err.hint)
    end)

    it("does not trust an unknown authority, and asks only once", function()
      local stranger = assert(crdbcloud.new { base_url = s.url, api_key_file = s.key_file, rate = 0 })
      local value, err = stranger:list_sql_users(id)
      stranger:close()
      assert.is_nil(value)
      assert.equal("tls", err.kind)
      assert.equal(1, err.attempts)
      assert.truthy(err.hint:find("CRDBCLOUD_CA_FILE", 1, true))
    end)
  end)

  describe("that a signal asks to stop", function()
    local function stop_at(step)
      return account.open(s, { on_event = function(event)
        if event.event == step then os.execute("kill -TERM " .. core.pid()) end
      end })
    end
    before_each(function() core.interrupts(true) end)
    after_each(function() core.interrupts(false) end)

    for _, step in ipairs { "answer", "retry" } do
      it("repeats no read after the " .. step, function()
        s:fault { op = "list_sql_users", what = "error_before" }
        local stopped = stop_at(step)
        local page, err = stopped:list_sql_users(id)
        stopped:close()
        assert.is_nil(page)
        assert.equal("cancelled", err.kind)
        assert.equal(130, err.exit)
        assert.equal(1, #sent "list_sql_users")
      end)
    end

    it("says of an unanswered change that it is unknown", function()
      s:fault { op = PUT, what = "error_after" }
      local stopped = stop_at "answer"
      local value, err = stopped:update_sql_user_password(id, USER, password())
      stopped:close()
      assert.is_nil(value)
      assert.equal("unknown", err.outcome)
      assert.equal("server", err.kind)
      assert.equal(1, #sent(PUT))
    end)

    it("does not disturb a call that succeeds", function()
      local stopped = stop_at "answer"
      assert(stopped:list_sql_users(id))
      assert(stopped:list_sql_users(id))
      stopped:close()
    end)
  end)

  describe("tells on_event", function()
    it("each answer and each wait, without secrets", function()
      local text = password():reveal()
      s:fault { op = PUT, what = "error_before" }
      assert(cloud:update_sql_user_password(id, USER, text))
      local steps = {}
      for i, event in ipairs(events) do steps[i] = event.event end
      assert.same({ "answer", "retry", "answer" }, steps)
      assert.equal("unknown", events[1].outcome)
      assert.equal(USER, events[1].user)
      assert.equal(500, events[1].status)
      assert.is_true(events[2].wait > 0)
      assert.equal(2, events[3].attempt)
      assert.equal("applied", events[3].outcome)
      for _, event in ipairs(events) do
        for _, value in pairs(event) do
          assert.is_true(type(value) ~= "string" or not value:find(text, 1, true))
          assert.is_true(type(value) ~= "table" and type(value) ~= "userdata")
        end
      end
    end)

    it("and its error changes nothing", function()
      local calls = 0
      local noisy = account.open(s, { on_event = function()
        calls = calls + 1
        error "listener broken"
      end })
      assert(noisy:list_sql_users(id))
      assert(noisy:list_sql_users(id))
      noisy:close()
      assert.equal(3, calls) -- two answers and one warning about the first error
    end)
  end)
end)
