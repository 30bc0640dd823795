-- The four operations on SQL users, and the list of databases.
-- `request.applied` is set once a change has been made.

local answer = require "api.answer"
local audit = require "api.audit"
local clusters = require "api.clusters"
local names = require "api.names"
local pages = require "api.pages"
local settings = require "api.settings"
local sql_users = require "api.sql_users"

local M = {}

local MIN_PASSWORD, MAX_PASSWORD = 12, 500

local function failed(text)
  ngx.log(ngx.ERR, "SQL side: ", text)
  return answer.error(13, "internal error")
end

local function no_user(name) return answer.error(5, "user not found", ("user '%s' does not exist"):format(name)) end

local function check_name(request, name)
  if type(name) ~= "string" then return nil, answer.invalid("name: a string was expected") end
  local folded = names.fold(name)
  if not folded then return nil, answer.invalid("username is invalid") end
  local problem = names.problem(folded)
  if problem then return nil, answer.invalid(problem) end
  request.user = folded
  return folded
end

local function check_password(password)
  if password == nil then return nil, answer.invalid("password is required") end
  if type(password) ~= "string" then return nil, answer.invalid("password: a string was expected") end
  if #password < MIN_PASSWORD then
    return nil, answer.error(3, "invalid request", ("password must be at least %d characters"):format(MIN_PASSWORD))
  end
  if #password > MAX_PASSWORD then
    return nil, answer.error(3, "invalid request", ("password must be at most %d characters"):format(MAX_PASSWORD))
  end
  if password:find("\0", 1, true) or not names.is_utf8(password) then
    return nil, answer.invalid("password is not valid UTF-8")
  end
  return password
end

-- A name in a path that no user can have is simply not there.
local function existing(name)
  local folded = names.fold(name)
  if not folded or names.problem(folded) then return nil, no_user(name) end
  if names.is_special(folded) then
    return nil, answer.invalid(("cannot change special user %s"):format(folded))
  end
  return folded
end

function M.list(request)
  local cluster, refusal = clusters.with_sql(request.cluster_id)
  if not cluster then return refusal end
  local page
  page, refusal = pages.read(request.query, "users:" .. cluster.id)
  if not page then return refusal end
  local word, found = sql_users.of(cluster.id).list(page)
  if word ~= "ok" then return failed(found) end
  return answer.ok(pages.body(page, found, "users", function(name) return { name = name } end))
end

function M.create(request)
  local cluster, refusal = clusters.with_sql(request.cluster_id)
  if not cluster then return refusal end
  if request.body.name == nil then return answer.invalid("name is required") end
  local name, password
  name, refusal = check_name(request, request.body.name)
  if not name then return refusal end
  password, refusal = check_password(request.body.password)
  if not password then return refusal end
  local word, text = "exists", nil
  if not names.is_special(name) then word, text = sql_users.of(cluster.id).create(name, password) end
  local result
  if word == "ok" then
    request.applied = true
    result = answer.ok { name = name }
  elseif word == "exists" then
    result = answer.error(6, "user already exists", ("username '%s' is already taken"):format(name))
  else
    result = failed(text)
  end
  audit.add("CREATE_SQL_USER", request, cluster, name, result)
  return result
end

function M.delete(request)
  local cluster, refusal = clusters.with_sql(request.cluster_id)
  if not cluster then return refusal end
  local name
  name, refusal = existing(request.name)
  if not name then return refusal end
  local word, text = sql_users.of(cluster.id).delete(name)
  local result
  if word == "ok" then
    request.applied = true
    result = answer.ok { name = name }
  elseif word == "missing" then
    result = no_user(name)
  elseif word == "depends" then
    result = answer.error(9, text)
  else
    result = failed(text)
  end
  audit.add("DELETE_SQL_USER", request, cluster, name, result)
  return result
end

function M.set_password(request)
  local cluster, refusal = clusters.with_sql(request.cluster_id)
  if not cluster then return refusal end
  local password
  password, refusal = check_password(request.body.password)
  if not password then return refusal end
  local name
  name, refusal = existing(request.name)
  if not name then return refusal end
  local users = sql_users.of(cluster.id)
  if settings.live.must_differ == "refuse" and users.has_password(name, password) then return M.must_differ() end
  local word, text = users.set_password(name, password)
  local result
  if word == "ok" then
    request.applied = true
    result = answer.ok { name = name }
  elseif word == "missing" then
    result = no_user(name)
  else
    result = failed(text)
  end
  audit.add("CHANGE_SQL_USER_PASSWORD", request, cluster, name, result)
  return result
end

--- The refusal of a password that the user already has.
function M.must_differ() return answer.invalid("the new password must differ from the current password") end

function M.databases(request)
  local cluster, refusal = clusters.with_sql(request.cluster_id)
  if not cluster then return refusal end
  local page
  page, refusal = pages.read(request.query, "databases:" .. cluster.id)
  if not page then return refusal end
  local word, found = sql_users.of(cluster.id).databases()
  if word ~= "ok" then return failed(found) end
  return answer.ok(pages.body(page, pages.slice(page, found.names), "databases", function(name)
    return { name = name, table_count = found.counts[name] }
  end))
end

return M
