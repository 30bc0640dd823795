--- The API's operations, declared: arguments, options, the exchange, and how the answer is read.
-- crdbcloud.cloud makes a method of each.

local answers = require "crdbcloud.api.answers"
local errors = require "crdbcloud.errors"
local ids = require "crdbcloud.api.ids"
local names = require "crdbcloud.names"
local options = require "crdbcloud.base.options"
local pages = require "crdbcloud.api.pages"
local passwords = require "crdbcloud.passwords"
local printed = require "crdbcloud.api.printed"
local printing = require "crdbcloud.base.printing"
local retry = require "crdbcloud.api.retry"

local M = {}

local function one_of(...)
  local words = { ... }
  return function(value, name, level)
    for _, word in ipairs(words) do
      if type(value) == "string" and value:upper() == word then return word end
    end
    errors.raise(errors.up(level), "%s must be one of %s, got %s", name, table.concat(words, ", "), errors.shown(value))
  end
end

-- RFC 3339 text, or seconds since 1970.
local function time(value, name, level)
  if type(value) == "number" and value >= 0 and value < 1e11 then return pages.timestamp(value) end
  if type(value) == "string" and value:match "^%d%d%d%d%-%d%d%-%d%d[Tt]%d%d:%d%d:%d%d" then return value end
  errors.raise(errors.up(level), '%s must be a time such as "2024-09-16T12:00:00Z", or seconds since 1970, got %s', name,
    errors.shown(value))
end

local function page_limit(value, name, level)
  if options.is_integer(value) and value >= 1 and value <= pages.LIMIT then return value end
  errors.raise(errors.up(level), "%s must be a whole number from 1 to %d, got %s", name, pages.LIMIT,
    errors.shown(value))
end

-- Every call takes these too.
local LIMITS = { timeout = "limit", deadline = "limit" }

local function with_limits(allowed)
  for name, rule in pairs(LIMITS) do allowed[name] = rule end
  return allowed
end

local function paged(more)
  local allowed = { page = "string", limit = page_limit, as_of_time = time, sort_order = one_of("ASC", "DESC") }
  for name, rule in pairs(more or {}) do allowed[name] = rule end
  return with_limits(allowed)
end

-- argument -> what to say when it is missing, check(value, arguments so far, operation) -> value | nil, err.
-- A check raises only for a value of a wrong type.
M.ARGUMENTS = {
  cluster_id = {
    wanted = "a cluster id (a UUID; cloud:clusters() lists them, cloud:find_cluster(name) finds one)",
    check = function(value, _, operation) return ids.check(value, operation) end,
  },
  name = {
    wanted = "the name of a SQL user",
    check = function(value) return names.check(value) end,
  },
  password = {
    wanted = "a string or a secret (crdbcloud.password.generate() makes one)",
    secret = true,
    check = function(value, given)
      local ok, err = passwords.check(value, { user = given.name })
      if ok then return value end
      return nil, err
    end,
  },
}

-- The options that the C client knows, from those of the call.
local function for_client(o, timeout)
  local copy = { timeout = timeout }
  for name, value in pairs(o) do
    if not LIMITS[name] then copy[name] = value end
  end
  if copy.page == "" then copy.page = nil end
  return copy
end

local function list_options(o, timeout)
  local copy = for_client(o, timeout)
  copy.limit = copy.limit or pages.LIMIT
  return copy
end

-- Reads a page into {FIELD = items, next_page = token}.
local function page_of(operation, field, key)
  return function(body)
    local document, err = answers.decode(body, operation)
    if not document then return nil, err end
    local items, items_err = answers.items(document, field, key, operation)
    if not items then return nil, items_err end
    return printed.page({ [field] = items, next_page = pages.next_token(document) }, field)
  end
end

local function whole(operation)
  return function(body) return answers.decode(body, operation) end
end

--- operation -> declaration; args are positional, then options.
M.OPERATIONS = {
  list_sql_users = {
    args = { "cluster_id" }, options = paged(), list = "users", key = "name",
    send = function(client, a, o, timeout) return client:list_sql_users(a.cluster_id, list_options(o, timeout)) end,
  },
  create_sql_user = {
    args = { "cluster_id", "name", "password" }, options = with_limits {},
    send = function(client, a, _, timeout)
      return client:create_sql_user(a.cluster_id, a.name, a.password, { timeout = timeout })
    end,
  },
  delete_sql_user = {
    args = { "cluster_id", "name" }, options = with_limits {},
    send = function(client, a, _, timeout) return client:delete_sql_user(a.cluster_id, a.name, { timeout = timeout }) end,
  },
  update_sql_user_password = {
    args = { "cluster_id", "name", "password" }, options = with_limits {},
    send = function(client, a, _, timeout)
      return client:update_sql_user_password(a.cluster_id, a.name, a.password, { timeout = timeout })
    end,
  },
  list_clusters = {
    args = {}, list = "clusters", key = "id",
    options = paged { show_inactive = "boolean", sort_by = one_of("NAME", "CREATED_AT", "DELETED_AT") },
    send = function(client, _, o, timeout) return client:list_clusters(list_options(o, timeout)) end,
  },
  get_cluster = {
    args = { "cluster_id" }, options = with_limits {},
    send = function(client, a, _, timeout) return client:get_cluster(a.cluster_id, { timeout = timeout }) end,
  },
  get_connection_string = {
    args = { "cluster_id" },
    options = with_limits { database = "text", sql_user = "text", os = one_of("MAC", "LINUX", "WINDOWS") },
    send = function(client, a, o, timeout) return client:get_connection_string(a.cluster_id, for_client(o, timeout)) end,
  },
  list_databases = {
    args = { "cluster_id" }, options = paged(), list = "databases", key = "name",
    send = function(client, a, o, timeout) return client:list_databases(a.cluster_id, list_options(o, timeout)) end,
  },
  list_audit_logs = {
    args = {},
    options = with_limits { starting_from = time, sort_order = one_of("ASC", "DESC"), limit = "count" },
    send = function(client, _, o, timeout) return client:list_audit_logs(for_client(o, timeout)) end,
  },
}

M.OPERATIONS.list_audit_logs.accept = function(body)
  local document, err = answers.decode(body, "list_audit_logs")
  return document and printed.audit(document), err
end

for operation, declared in pairs(M.OPERATIONS) do
  declared.effect = retry.EFFECT[operation]
  declared.accept = declared.accept or declared.list and page_of(operation, declared.list, declared.key) or whole(operation)
  local words = {}
  for _, arg in ipairs(declared.args) do words[#words + 1] = arg end
  words[#words + 1] = "options"
  declared.signature = ("cloud:%s(%s)"):format(operation, table.concat(words, ", "))
end

--- A call that crdbcloud.api.exchange can run.
---@param operation string
---@param args table by name, checked
---@param opts table checked
---@return crdbcloud.call
function M.make(operation, args, opts)
  local declared = M.OPERATIONS[operation]
  return {
    operation = operation, effect = declared.effect, cluster_id = args.cluster_id, name = args.name,
    send = function(client, timeout) return declared.send(client, args, opts, timeout) end,
    accept = declared.accept,
  }
end

-- signature: how the call is written, for messages; hidden: arguments that the caller did not write himself; unmeasured:
-- how good a password is stays open.
local function arguments(operation, signature, hidden, unmeasured, n, ...)
  local declared = M.OPERATIONS[operation]
  local values, most = { ... }, #declared.args + 1
  if n > most then errors.raise(nil, "%s takes at most %s, got %d", signature, printing.count(most - hidden, "argument"), n - hidden) end
  for i, arg in ipairs(declared.args) do
    local value, rule = values[i], M.ARGUMENTS[arg]
    local fits = type(value) == "string" or rule.secret and options.is_secret(value)
    if value == nil then
      errors.raise(nil, "%s: %s is missing; it is %s", signature, arg, rule.wanted)
    elseif not fits then
      errors.raise(nil, "%s: %s must be %s, got %s", signature, arg, rule.wanted,
        rule.secret and type(value) == "number" and "a number" or errors.shown(value))
    end
  end
  local opts = options.check(declared.options, values[most], signature)
  local args = {}
  for i, arg in ipairs(declared.args) do
    local value, err = values[i], nil
    if not (unmeasured and M.ARGUMENTS[arg].secret) then value, err = M.ARGUMENTS[arg].check(value, args, operation) end
    if not value then
      err.operation = operation
      return nil, err
    end
    args[arg] = value
  end
  return args, opts
end

--- Checks positional arguments. Raises for what is missing or of a wrong type; what is merely not acceptable comes
--- back as nil, err.
---@param operation string
---@param n integer how many came
---@param ... any
---@return table|nil args by name
---@return crdbcloud.error|table problem_or_options the checked options
function M.arguments(operation, n, ...)
  return arguments(operation, M.OPERATIONS[operation].signature, 0, false, n, ...)
end

--- The same for a call that makes a list or an iterator of an operation's pages.
---@param call string as it is written, for messages
function M.arguments_of_list(call, operation, n, ...)
  local signature = M.OPERATIONS[operation].signature:gsub("^[^(]*", "cloud:" .. call, 1)
  return arguments(operation, signature, 0, false, n, ...)
end

local SOME_ID = "00000000-0000-4000-8000-000000000000"

local function signature_of_cluster(call, operation)
  return (M.OPERATIONS[operation].signature:gsub("^[^(]*", "cluster:" .. call, 1):gsub("%(cluster_id, ", "(", 1))
end

--- The same for a call of a cluster handle, before its id is known.
---@param call string as it is written, for messages
function M.arguments_of_cluster(call, operation, n, ...)
  return arguments(operation, signature_of_cluster(call, operation), 1, false, n + 1, SOME_ID, ...)
end

--- The same of either in an event loop: how good a password is takes milliseconds to find out, so that stays open.
---@param cluster_call string|nil as it is written, for a call of a cluster handle
function M.arguments_for_thread(cluster_call, operation, n, ...)
  if not cluster_call then return arguments(operation, M.OPERATIONS[operation].signature, 0, true, n, ...) end
  return arguments(operation, signature_of_cluster(cluster_call, operation), 1, true, n + 1, SOME_ID, ...)
end

return M
