--- Sinks: where a finished credential is published.
--
-- A sink is written `"pgpass:PATH"`, `"json:PATH"`, or as a table
-- `{ "json", path = PATH }`; `{user}`, `{USER}` and `{cluster}` in the path stand
-- for the user's and the cluster's name. Every sink object has
--   name      as shown in plans and reports
--   target    what it writes; two users may not write the same
--   check(credential) -> true | nil, err     can it hold this exactly? asked before staging
--   publish(credential) -> true | nil, err   idempotent by epoch, never back to an older one

local errors = require "crdbcloud.errors"
local options = require "crdbcloud.options"

local M = {}

local KINDS = { json = "crdbcloud.sinks.json", pgpass = "crdbcloud.sinks.pgpass" }
local FIELDS = { [1] = true, path = true }

local function kinds()
  local names = {}
  for name in pairs(KINDS) do names[#names + 1] = name .. ":PATH" end
  table.sort(names)
  return table.concat(names, ", ")
end

-- One entry of a list as { kind, path }; raises when it is not understood.
local function parse(entry, where, level)
  local kind, path
  if type(entry) == "string" then
    kind, path = entry:match("^([%w-]+):(.+)$")
    if not kind then
      errors.raise(level + 1, '%s: expected "KIND:PATH" (%s), got %s', where, kinds(), errors.shown(entry))
    end
  elseif type(entry) == "table" then
    kind, path = entry[1], entry.path
    for field in pairs(entry) do
      if not FIELDS[field] then
        errors.raise(level + 1, '%s: unknown field "%s"; valid: path', where, tostring(field))
      end
    end
  else
    errors.raise(level + 1, '%s: expected "KIND:PATH" or a table, got %s', where, errors.shown(entry))
  end
  if not KINDS[kind] then
    local near = type(kind) == "string" and options.nearest(kind, KINDS)
    errors.raise(level + 1, "%s: unknown kind of sink %s; %s", where, errors.shown(kind),
      near and ('did you mean "%s"?'):format(near) or ("valid: " .. kinds()))
  end
  if type(path) ~= "string" or path == "" then errors.raise(level + 1, "%s: %s needs a path", where, kind) end
  for name in path:gmatch("{(.-)}") do
    if name ~= "user" and name ~= "USER" and name ~= "cluster" then
      errors.raise(level + 1, "%s: unknown placeholder {%s}; valid: {user}, {USER}, {cluster}", where, name)
    end
  end
  return { kind = kind, path = path }
end

--- Checks a list of sinks as users write it; raises on misuse.
---@param list string|table|nil
---@param where string for the message
---@param level? integer
---@return { kind: string, path: string }[]|nil specs plain data, as kept in a record
function M.parse(list, where, level)
  if list == nil then return nil end
  level = (level or 1) + 1
  if type(list) == "string" or (type(list) == "table" and type(list[1]) == "string" and list.path) then
    list = { list }
  end
  if type(list) ~= "table" then
    errors.raise(level, "%s: expected a list of sinks, got %s", where, errors.shown(list))
  end
  local specs = {}
  for i, entry in ipairs(list) do
    if type(entry) == "table" and entry.kind and entry.path and KINDS[entry.kind] then
      specs[i] = { kind = entry.kind, path = entry.path } -- parsed already
    else
      specs[i] = parse(entry, ("%s[%d]"):format(where, i), level)
    end
  end
  return specs
end

--- The sinks of one user.
---@param specs { kind: string, path: string }[]|nil
---@param user string
---@param cluster string name of the cluster
---@return table[] sinks
function M.open(specs, user, cluster)
  local sinks = {}
  local values = { user = user, USER = user:upper():gsub("[^%w]", "_"), cluster = cluster }
  for _, spec in ipairs(specs or {}) do
    local path = spec.path:gsub("{(.-)}", values)
    local sink = require(KINDS[spec.kind]).new(path, user)
    sink.name = spec.kind .. ":" .. path
    sinks[#sinks + 1] = sink
  end
  return sinks
end

--- Finds two users that would write the same target.
---@param sinks_of table<string, table[]> user -> sinks
---@return crdbcloud.error|nil
function M.clash(sinks_of)
  local owner, users = {}, {}
  for user in pairs(sinks_of) do users[#users + 1] = user end
  table.sort(users)
  for _, user in ipairs(users) do
    for _, sink in ipairs(sinks_of[user]) do
      local other = owner[sink.target]
      if other and other ~= user then
        return errors.new {
          kind = "invalid_argument",
          outcome = "not_sent",
          message = ("%s would be written for %s and for %s"):format(sink.name, other, user),
          hint = "put {user} into its path",
        }
      end
      owner[sink.target] = user
    end
  end
  return nil
end

--- The error of a sink that could not do its work.
---@return crdbcloud.error
function M.failed(sink_name, what)
  return errors.new {
    kind = "sink",
    message = ("%s: %s"):format(sink_name, what),
    hint = "mend it, then run `crdbcloud rotate resume`",
  }
end

return M
