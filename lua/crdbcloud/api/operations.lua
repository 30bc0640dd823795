--- The API's operations, one row each: arguments, options, effect, the role that is needed, and how the answer is read.
-- crdbcloud.cloud makes a method of each row. Path, method and query fields of a row stand in csrc/lua/client.c.

local answers = require "crdbcloud.api.answers"
local errors = require "crdbcloud.errors"
local ids = require "crdbcloud.api.ids"
local names = require "crdbcloud.names"
local options = require "crdbcloud.base.options"
local pages = require "crdbcloud.api.pages"
local passwords = require "crdbcloud.passwords"
local printed = require "crdbcloud.api.printed"
local printing = require "crdbcloud.base.printing"

local M = {}

local function one_of(...)
  local words = { ... }
  return function(value, name)
    for _, word in ipairs(words) do
      if type(value) == "string" and value:upper() == word then return word end
    end
    errors.raise("%s must be one of %s, got %s", name, table.concat(words, ", "), errors.shown(value))
  end
end

-- RFC 3339 text, or seconds since 1970.
local function time(value, name)
  if type(value) == "number" and value >= 0 and value < 1e11 then return pages.timestamp(value) end
  if type(value) == "string" and value:match "^%d%d%d%d%-%d%d%-%d%d[Tt]%d%d:%d%d:%d%d" then return value end
  errors.raise('%s must be a time such as "2024-09-16T12:00:00Z", or seconds since 1970, got %s', name,
    errors.shown(value))
end

local function page_limit(value, name)
  if options.is_integer(value) and value >= 1 and value <= pages.LIMIT then return value end
  errors.raise("%s must be a whole number from 1 to %d, got %s", name, pages.LIMIT,
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

-- As the Console names them.
local WRITERS, READERS = "Cluster Admin or Cluster Creator", "Cluster Developer or Cluster Admin"

---@class crdbcloud.operation
---@field operation string its name, as the API spells it
---@field args string[] positional; options follow them
---@field options table<string, any> rules of crdbcloud.base.options
---@field effect crdbcloud.effect
---@field role string that the API key needs
---@field list string|nil the field that holds the items of a page
---@field key string|nil a field that each item has
---@field read fun(document: table, operation: string): table|nil, crdbcloud.error|nil what the caller gets of a decoded answer
---@field signature string

--- operation -> row
---@type table<string, crdbcloud.operation>
M.OPERATIONS = {
  list_sql_users = {
    args = { "cluster_id" }, options = paged(), effect = "read", role = READERS, list = "users", key = "name",
  },
  create_sql_user = {
    args = { "cluster_id", "name", "password" }, options = with_limits {}, effect = "create", role = WRITERS,
  },
  delete_sql_user = { args = { "cluster_id", "name" }, options = with_limits {}, effect = "delete", role = WRITERS },
  update_sql_user_password = {
    args = { "cluster_id", "name", "password" }, options = with_limits {}, effect = "put", role = WRITERS,
  },
  list_clusters = {
    args = {}, effect = "read", role = READERS, list = "clusters", key = "id",
    options = paged { show_inactive = "boolean", sort_by = one_of("NAME", "CREATED_AT", "DELETED_AT") },
  },
  get_cluster = { args = { "cluster_id" }, options = with_limits {}, effect = "read", role = READERS },
  get_connection_string = {
    args = { "cluster_id" }, effect = "read", role = READERS,
    options = with_limits { database = "text", sql_user = "text", os = one_of("MAC", "LINUX", "WINDOWS") },
  },
  list_databases = {
    args = { "cluster_id" }, options = paged(), effect = "read", role = READERS, list = "databases", key = "name",
  },
  list_audit_logs = {
    args = {}, effect = "read", role = "Organization Admin", read = answers.audit_log,
    options = with_limits { starting_from = time, sort_order = one_of("ASC", "DESC"), limit = "count" },
  },
}

---@class crdbcloud.call
---@field operation string
---@field effect crdbcloud.effect
---@field role string|nil that the API key needs
---@field cluster_id string|nil
---@field name string|nil the SQL user
---@field method string|nil of a generic request
---@field path string|nil of a generic request
---@field send fun(self: crdbcloud.call, client: userdata, timeout: number): table one exchange
---@field accept fun(self: crdbcloud.call, body: string|nil): table|nil, crdbcloud.error|nil reads the body of a 2xx answer

local Call = {}

function Call:send(client, timeout)
  local method, query, count = client[self.operation], self.query, #self.args
  query.timeout = timeout
  if count == 0 then return method(client, query) end
  if count == 1 then return method(client, self.cluster_id, query) end
  if count == 2 then return method(client, self.cluster_id, self.name, query) end
  return method(client, self.cluster_id, self.name, self.password, query)
end

-- A page becomes {FIELD = items, next_page = token}.
function Call:accept(body)
  local document, err = answers.decode(body, self.operation)
  if not document then return nil, err end
  if self.read then return self.read(document, self.operation) end
  if not self.list then return document end
  local items, items_err = answers.items(document, self.list, self.key, self.operation)
  if not items then return nil, items_err end
  return printed.page({ [self.list] = items, next_page = pages.next_token(document) }, self.list)
end

for operation, row in pairs(M.OPERATIONS) do
  row.operation, row.send, row.accept, row.__index = operation, Call.send, Call.accept, row
  local words = {}
  for _, arg in ipairs(row.args) do words[#words + 1] = arg end
  words[#words + 1] = "options"
  row.signature = ("cloud:%s(%s)"):format(operation, table.concat(words, ", "))
end

--- A call that crdbcloud.api.exchange can run.
---@param operation string
---@param args table by name, checked
---@param opts table checked
---@return crdbcloud.call
function M.make(operation, args, opts)
  local row, query = M.OPERATIONS[operation], {}
  for name, value in pairs(opts) do
    if not LIMITS[name] then query[name] = value end
  end
  if row.list then query.limit = query.limit or pages.LIMIT end
  if query.page == "" then query.page = nil end
  return setmetatable({ cluster_id = args.cluster_id, name = args.name, password = args.password, query = query }, row)
end

local SOME_ID = "00000000-0000-4000-8000-000000000000"

--- How a method that takes an operation's arguments is written, for messages; made once for each method.
---@param operation string
---@param method string|nil as it is written, where that is another name: "cloud:sql_users"
---@param of_cluster boolean|nil the caller does not write the cluster's id
---@return { operation: string, signature: string, of_cluster: boolean|nil }
function M.written(operation, method, of_cluster)
  local signature = M.OPERATIONS[operation].signature
  if method then signature = signature:gsub("^[^(]*", method, 1) end
  if of_cluster then signature = signature:gsub("%(cluster_id, ", "(", 1) end
  return { operation = operation, signature = signature, of_cluster = of_cluster }
end

local function check_types(row, written, values)
  for i, arg in ipairs(row.args) do
    local value, rule = values[i], M.ARGUMENTS[arg]
    local fits = type(value) == "string" or rule.secret and options.is_secret(value)
    if value == nil then
      errors.raise("%s: %s is missing; it is %s", written.signature, arg, rule.wanted)
    elseif not fits then
      errors.raise("%s: %s must be %s, got %s", written.signature, arg, rule.wanted,
        rule.secret and type(value) == "number" and "a number" or errors.shown(value))
    end
  end
end

--- Checks positional arguments. Raises for what is missing or of a wrong type; what is merely not acceptable comes
--- back as nil, err.
---@param written table of M.written
---@param n integer how many came
---@param ... any
---@return table|nil args by name
---@return crdbcloud.error|table problem_or_options the checked options
function M.arguments(written, n, ...)
  local row = M.OPERATIONS[written.operation]
  local most, hidden = #row.args + 1, written.of_cluster and 1 or 0
  local values = written.of_cluster and { SOME_ID, ... } or { ... }
  if n + hidden > most then
    errors.raise("%s takes at most %s, got %d", written.signature, printing.count(most - hidden, "argument"), n)
  end
  check_types(row, written, values)
  local opts = options.check(row.options, values[most], written.signature)
  local args = {}
  for i, arg in ipairs(row.args) do
    local value, err = M.ARGUMENTS[arg].check(values[i], args, row.operation)
    if not value then
      err.operation = row.operation
      return nil, err
    end
    args[arg] = value
  end
  return args, opts
end

return M
