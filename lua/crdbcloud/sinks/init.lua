--- Sinks: where a finished credential is published.
--
-- A sink is written `"KIND:PATH"` (`"json:PATH"`, `"pgpass:PATH"`, `"command:PROGRAM"`, …)
-- or as a table `{ "json", path = PATH }`, `{ "kubernetes", name = …, command = {…} }`.
-- `{user}`, `{USER}` and `{cluster}` in its texts stand for the user's and the
-- cluster's name. Every sink object has
--   name      as shown in plans and reports
--   target    what it writes; two users may not write the same
--   check(credential) -> true | nil, err     can it hold this exactly? asked before staging
--   publish(credential) -> true | nil, err   idempotent by epoch, never back to an older one
--   remove(credential) -> true | nil, err    optional: takes away what was published; nothing there is as good
--   holds(credential) -> boolean|nil         optional: has it exactly this now? nil: it cannot be read
--
-- A kind is a module of crdbcloud.sinks with
--   fields    name -> rule, as of crdbcloud.options
--   required  names of fields
--   tells_user  true when a reader learns from it which user to connect as: a pair needs that
--   short     the field that "KIND:TEXT" gives, or function(text) -> fields
--   usage     what TEXT is, for messages; default PATH
--   problem(spec) -> text|nil, optional      what is wrong with the fields taken together
--   new(spec, fill, user) -> sink            spec with its placeholders filled in, fill(text) for defaults

local cjson = require("cjson.safe").new()
local errors = require "crdbcloud.errors"
local options = require "crdbcloud.base.options"
local printing = require "crdbcloud.base.printing"

local M = {}

local KINDS = {
  command = "crdbcloud.sinks.command", dotenv = "crdbcloud.sinks.dotenv", file = "crdbcloud.sinks.file",
  json = "crdbcloud.sinks.json", kubernetes = "crdbcloud.sinks.kubernetes", pgpass = "crdbcloud.sinks.pgpass",
  shared = "crdbcloud.nginx.shared_sink",
}

local PLACEHOLDERS = { user = true, USER = true, cluster = true }

-- What may be written as one string, for messages.
local function kinds()
  local names = {}
  for name, module in pairs(KINDS) do
    names[#names + 1] = name .. ":" .. (require(module).usage or "PATH")
  end
  table.sort(names)
  return table.concat(names, ", ")
end

local function sorted(fields)
  local names = {}
  for name in pairs(fields) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- Kind and fields of an entry as it was written; raises when it is neither text nor table.
local function read_entry(entry, where)
  if type(entry) == "string" then
    local kind, text = entry:match("^([%w-]+):(.+)$")
    if not kind then
      errors.raise('%s: expected "KIND:PATH" (%s), got %s', where, kinds(), errors.shown(entry))
    end
    return kind, text
  end
  if type(entry) ~= "table" then
    errors.raise('%s: expected "KIND:PATH" or a table, got %s', where, errors.shown(entry))
  end
  local fields = {}
  for name, value in pairs(entry) do
    if name ~= 1 and name ~= "kind" then fields[name] = value end
  end
  return entry[1] or entry.kind, fields
end

-- A placeholder that is misspelt would be published under its own name. Arguments of a program
-- may have braces for reasons of their own.
local function check_placeholders(value, where, pattern)
  if type(value) == "table" then
    for _, word in ipairs(value) do check_placeholders(word, where, "{(%a+)}") end
  elseif type(value) == "string" then
    for name in value:gmatch(pattern) do
      if not PLACEHOLDERS[name] then
        errors.raise("%s: unknown placeholder {%s}; valid: {user}, {USER}, {cluster}", where, name)
      end
    end
  end
end

-- One entry of a list as plain data { kind, … }; raises when it is not understood.
local function parse(entry, where)
  local kind, fields = read_entry(entry, where)
  if type(kind) ~= "string" or not KINDS[kind] then
    local near = type(kind) == "string" and options.nearest(kind, KINDS)
    errors.raise("%s: unknown kind of sink %s; %s", where, errors.shown(kind),
      near and ('did you mean "%s"?'):format(near) or ("valid: " .. table.concat(sorted(KINDS), ", ")))
  end
  local module = require(KINDS[kind])
  if type(fields) == "string" then
    fields = type(module.short) == "function" and module.short(fields) or { [module.short] = fields }
  end
  local spec = { kind = kind }
  for _, name in ipairs(sorted(fields)) do
    if not module.fields[name] then
      errors.raise('%s: unknown field "%s"; valid: %s', where, tostring(name), table.concat(sorted(module.fields), ", "))
    end
    spec[name] = options.value(module.fields[name], fields[name], where .. ": " .. name)
    check_placeholders(fields[name], where, "{(.-)}")
  end
  for _, name in ipairs(module.required) do
    if spec[name] == nil then errors.raise("%s: %s needs a %s", where, kind, name) end
  end
  local problem = module.problem and module.problem(spec)
  if problem then errors.raise("%s: %s", where, problem) end
  return spec
end

-- A table with named fields is one sink; one without is a list of them.
local function is_single(list)
  if type(list) == "string" then return true end
  if type(list) ~= "table" or type(list[1]) ~= "string" then return false end
  for name in pairs(list) do
    if type(name) == "string" then return true end
  end
  return false
end

--- Checks a list of sinks as users write it; raises on misuse.
---@param list string|table|nil
---@param where string for the message
---@return table[]|nil specs { kind, … }: plain data, as kept in a record; parsing it again changes nothing
function M.parse(list, where)
  if list == nil then return nil end
  if is_single(list) then list = { list } end
  if type(list) ~= "table" then
    errors.raise("%s: expected a list of sinks, got %s", where, errors.shown(list))
  end
  local specs = {}
  for i, entry in ipairs(list) do specs[i] = parse(entry, ("%s[%d]"):format(where, i)) end
  return specs
end

--- What two specs have in common if they are the same sink.
---@param spec table
---@return string
function M.id(spec)
  local parts = {}
  for i, name in ipairs(sorted(spec)) do
    parts[i] = name .. "=" .. assert(cjson.encode(type(spec[name]) == "table" and { spec[name] } or tostring(spec[name])))
  end
  return table.concat(parts, " ")
end

--- The sinks of several lists, each once.
---@param ... table[] lists of specifications
---@return table[]
function M.joined(...)
  local specs, seen = {}, {}
  for _, list in ipairs { ... } do
    for _, spec in ipairs(list) do
      local id = M.id(spec)
      if not seen[id] then
        seen[id] = true
        specs[#specs + 1] = spec
      end
    end
  end
  return specs
end

-- A sink that cannot be written; everything else of the record goes on.
local function refusing(name, user, why)
  local function refuse() return nil, M.failed(name, why) end
  return { name = name, target = name .. ":" .. user, check = refuse, publish = refuse }
end

-- Why a name from outside may not stand for a placeholder: there it is a part of a path or of a command.
local function unfit(value)
  if value == "" then return "is empty" end
  if value:find("/", 1, true) then return 'has "/" in it' end
  if value:find "^%.+$" or value:find("..", 1, true) then return 'is "." or has ".." in it' end
  if value:sub(1, 1) == "-" then return 'begins with "-"' end
  if printing.harmless(value) ~= value then return "has characters in it that are not seen" end
end

-- The filler of a user's sinks; it raises { refused = why } for a name that may not be filled in. The name of a user has
-- been checked, and may have two dots within.
local function filler(user, cluster)
  local values = { user = user, USER = user:upper():gsub("[^%w]", "_"), cluster = cluster }
  local why = cluster and unfit(cluster)
  return function(text)
    if why and text:find("{cluster}", 1, true) then
      error({ refused = ("{cluster} stands for %s, which %s"):format(errors.shown(cluster), why) }, 0)
    end
    return (text:gsub("{(%a+)}", values))
  end
end

local function filled(value, fill)
  if type(value) == "string" then return fill(value) end
  if type(value) ~= "table" then return value end
  local out = {}
  for k, v in pairs(value) do out[k] = filled(v, fill) end
  return out
end

-- A record may name a sink that a newer version knows, or one that is none.
local function open_one(spec, fill, user)
  local kind = type(spec) == "table" and tostring(spec.kind) or "?"
  local module = KINDS[kind] and require(KINDS[kind])
  if not module then return refusing(kind .. ":?", user, "this version has no sink of that kind") end
  local ok, made = pcall(function() return module.new(filled(spec, fill), fill, user) end)
  if not ok then
    local why = type(made) == "table" and made.refused or "its fields are not what they should be: " .. errors.bare(made)
    return refusing(kind .. ":?", user, why)
  end
  made.tells_user = module.tells_user
  return made
end

--- The sinks of one user.
---@param specs table[]|nil as of M.parse
---@param user string
---@param cluster string name of the cluster
---@param refusal? fun(spec: table): string|nil why a sink may not be written; it fails then, under its own name
---@return table[] sinks
function M.open(specs, user, cluster, refusal)
  local sinks, fill = {}, filler(user, cluster)
  for i, spec in ipairs(specs or {}) do
    sinks[i] = open_one(spec, fill, user)
    local why = type(spec) == "table" and refusal and refusal(spec)
    if why then
      local name = sinks[i].name
      sinks[i].check = function() return nil, M.failed(name, why) end
      sinks[i].publish = sinks[i].check
    end
  end
  return sinks
end

--- Finds two users that would write the same target, or one that would write it twice.
---@param sinks_of table<string, table[]> user -> sinks
---@return crdbcloud.error|nil
---@return string|nil one
---@return string|nil other the same for one user's own
function M.clash(sinks_of)
  local owner = {}
  for _, user in ipairs(sorted(sinks_of)) do
    for _, sink in ipairs(sinks_of[user]) do
      local other = owner[sink.target]
      if other and other.user ~= user then
        return errors.new {
          kind = "invalid_argument",
          outcome = "not_sent",
          message = ("%s would be written for %s and for %s"):format(sink.name, other.user, user),
          hint = "put {user} into its path or name",
        }, other.user, user
      elseif other and other.name ~= sink.name then
        return errors.new {
          kind = "invalid_argument", outcome = "not_sent",
          message = ("%s: %s and %s would write over each other"):format(user, other.name, sink.name),
        }, user, user
      end
      owner[sink.target] = { user = user, name = sink.name }
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
