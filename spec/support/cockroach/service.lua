--- What `probe` tries, over the model of CockroachDB: a world of crdbcloud.workflows.assumptions with the API's side made
--- here. `turn(id)` turns one assumption round, for the specs that must notice it.

local cjson = require "cjson"
local cockroach = require "spec.support.cockroach.model"
local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local privileges = require "crdbcloud.privileges"
local sqls = require "crdbcloud.sql"

local M = {}

M.USER = "crdbcloud_probe_spec"

local function refused(status, code, message)
  return nil, errors.new { kind = "server", status = status, code = code, message = message }
end

-- Statements that the model does not know: SHOW with all of its columns.
local function whole_shows(model)
  return {
    { "^SELECT %* FROM %[SHOW USERS%]$", function() return { { username = "root", options = "", member_of = "{admin}" } } end },
    { "^SELECT %* FROM %[SHOW GRANTS ON ROLE%]$", function() return { { role_name = "admin", member = "root", is_admin = true } } end },
    { "^SELECT %* FROM %[SHOW CLUSTER SESSIONS%]$", function()
      return { { session_id = "1", user_name = "root", session_start = "2026-01-01", status = "ACTIVE" } }
    end },
    { "^ALTER ROLE \"([^\"]*)\" WITH VALID UNTIL '2000%-01%-01'$", function(name)
      model.roles[name].options["VALID UNTIL"] = 0
      return true
    end },
  }
end

--- A world on a server of its own.
---@param version string
---@return table world with `turn`
function M.world(version)
  local model = cockroach.new({ defaultdb = { tables = { public = { "orders" } } } }, { version = version })
  model:grant_system("root", "VIEWACTIVITY", true)
  local shows, user, password, clock = whole_shows(model), M.USER, nil, 0
  local w = { user = user, passwords = { first = core.secret "first password", second = core.secret "second password" } }
  w.sql = assert(sqls.open { query = function(_, text)
    for _, pair in ipairs(shows) do
      local found = { text:match(pair[1]) }
      if found[1] then return pair[2]((table.unpack or unpack)(found)) end
    end
    return model:query(text)
  end })
  function w.now() return clock end
  function w.sleep(seconds)
    clock = clock + seconds
    return true
  end
  function w.raw(query)
    if tonumber(query["pagination.limit"]) > 500 then return { status = 400, code = 3 } end
    return { status = 200, body = cjson.encode { users = {}, pagination = { next_page = "" } } }
  end
  function w.page(query) return w.raw(query) end
  function w.create()
    if model.roles[user] then return refused(409, 6, "user already exists") end
    model:add_role(user)
    model:add_member(user, "admin", true)
    password = "first password"
    return { name = user }
  end
  function w.create_again() return w.create() end
  function w.set_password(new)
    password = new:reveal()
    return { name = user }
  end
  function w.delete()
    if not model.roles[user] then return refused(404, 5, "user not found") end
    local ok, words = model:query(('DROP ROLE "%s"'):format(user))
    if not ok then return refused(400, 9, words) end
    return { name = user }
  end
  function w.is_listed() return model.roles[user] ~= nil end
  function w.login(given)
    local options = (model.roles[user] or { options = {} }).options
    if options.NOLOGIN then
      return "no_login", errors.new { kind = "sql", sqlstate = "28000", message = user .. " does not have login privilege" }
    end
    if model.roles[user] and given:reveal() == password and not options["VALID UNTIL"] then return "accepted" end
    return "wrong_password", errors.new { kind = "sql", sqlstate = "28P01", message = "password authentication failed for user " .. user }
  end
  function w.remove()
    if model.roles[user] then
      local ok, err = privileges.apply(w.sql, {}, { user = user, roles = {}, exact = true })
      if ok then ok, err = w.delete() end
      if not ok then return nil, err end
    end
    return true
  end

  -- The same statement with another answer: change(rows of before).
  local function shown_otherwise(pattern, change)
    table.insert(shows, 1, { "^(" .. pattern .. ")$", function(text)
      for i = 2, #shows do
        local found = { text:match(shows[i][1]) }
        if found[1] then return change(shows[i][2]((table.unpack or unpack)(found))) end
      end
      return change(model:query(text))
    end })
  end
  local function without(pattern, column)
    return function()
      shown_otherwise(pattern, function(rows)
        for _, row in ipairs(rows) do row[column] = nil end
        return rows
      end)
    end
  end
  local function no_effect(pattern)
    return function() table.insert(shows, 1, { "^(" .. pattern .. ")$", function() return true end }) end
  end
  local function after(name, change)
    local before = w[name]
    w[name] = function(...) return change(before, ...) end
  end
  local function login_as(which, verdict)
    return function()
      after("login", function(before, given)
        local set = which == "wrong" and "first password" or "second password"
        local meant = which == "first" and "first password" or which == "old" and "first password" or "second password"
        if given:reveal() ~= meant or which ~= "first" and password ~= set then return before(given) end
        if verdict == "accepted" then return verdict end
        return verdict, errors.new { kind = "sql", sqlstate = "28P01", message = "password authentication failed for user " .. user }
      end)
    end
  end

  w.turns = {
    rate_limit = function() after("raw", function(before, query)
      return query["pagination.limit"] == "1" and { status = 503 } or before(query)
    end) end,
    list_end = function() after("raw", function(before, query)
      return query["pagination.limit"] == "500" and { status = 200, body = '{"users":[],"pagination":{"next_page":0}}' } or before(query)
    end) end,
    page_limit = function() after("raw", function() return { status = 200, body = '{"users":[]}' } end) end,
    created = function() after("create", function() return refused(400, 9, "no more users") end) end,
    created_again = function() w.create_again = function() return { name = user } end end,
    listed = function() w.is_listed = function() return false end end,
    made_admin = function() after("create", function(before)
      local value, err = before()
      model:add_member(user, "admin", false)
      return value, err
    end) end,
    first_login = login_as("first", "wrong_password"),
    wrong_password = login_as("wrong", "accepted"),
    columns_users = without("SELECT %* FROM %[SHOW USERS%]", "options"),
    columns_members = without("SELECT %* FROM %[SHOW GRANTS ON ROLE%]", "is_admin"),
    columns_grants = without("SELECT %* FROM %[SHOW GRANTS FOR .*%]", "is_grantable"),
    columns_system_grants = without("SELECT %* FROM %[SHOW SYSTEM GRANTS%]", "grantee"),
    columns_default_privileges = without("SELECT %* FROM %[SHOW DEFAULT PRIVILEGES FOR ROLE .*%]", "object_type"),
    columns_sessions = without("SELECT %* FROM %[SHOW CLUSTER SESSIONS%]", "session_start"),
    implied_defaults = function() shown_otherwise("SELECT %* FROM %[SHOW DEFAULT PRIVILEGES FOR GRANTEE .*%]", function() return {} end) end,
    demoted = no_effect 'REVOKE "admin" FROM .*',
    same_password = function() after("set_password", function(before, new)
      if new:reveal() == password then return refused(400, 3, "the new password must differ") end
      return before(new)
    end) end,
    password_set = function() after("set_password", function(before, new)
      if new:reveal() ~= password then return refused(400, 3, "no") end
      return before(new)
    end) end,
    new_login = login_as("new", "wrong_password"),
    old_login = login_as("old", "accepted"),
    still_demoted = function() after("set_password", function(before, new)
      if new:reveal() ~= password then model:add_member(user, "admin", true) end
      return before(new)
    end) end,
    granted = no_effect "GRANT CONNECT .*",
    held = function() after("delete", function(before)
      if not model.roles[user] then return before() end
      model.roles[user] = nil
      return { name = user }
    end) end,
    revoked = no_effect "REVOKE CONNECT .*",
    no_login = no_effect "ALTER ROLE .* WITH NOLOGIN",
    login_again = no_effect "ALTER ROLE .* WITH LOGIN",
    expired = no_effect "ALTER ROLE .* VALID UNTIL .*",
    expiry_shown = function() shown_otherwise("%s*SELECT rolvaliduntil .*", function() return { { expired = false } } end) end,
    removed = function() w.remove = function() return true end end,
    removed_again = function() after("delete", function(before)
      local value, err = before()
      return value or err.status == 404 and { name = user } or nil, err
    end) end,
  }
  return w
end

return M
