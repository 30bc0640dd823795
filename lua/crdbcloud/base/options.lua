--- Checks tables of options: a misspelt name raises and hears the nearest valid one.

local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local durations = require "crdbcloud.base.durations"

local M = {}

-- Edit distance in which two swapped neighbours count as one slip
-- (optimal string alignment); names are short, so a full matrix is fine.
local function distance(a, b)
  local rows = { [0] = {} }
  for j = 0, #b do rows[0][j] = j end
  for i = 1, #a do
    rows[i] = { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local best = math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        best = math.min(best, rows[i - 2][j - 2] + 1)
      end
      rows[i][j] = best
    end
  end
  return rows[#a][#b]
end

--- The entry of names that is most like word, or nil when none is much like it.
---@param word string
---@param names string[]|table<string, any> a list, or a table with names as keys
---@return string|nil
function M.nearest(word, names)
  local list = {}
  for key, value in pairs(names) do list[#list + 1] = type(key) == "string" and key or value end
  table.sort(list)
  local best, best_distance
  local plain = word:lower():gsub("[-%s]", "_")
  for _, name in ipairs(list) do
    local d = distance(plain, name)
    -- "key" for "api_key", "ca" for "ca_file": contained whole counts as little more than one slip.
    if d > 1 and #plain > 1 and (name:find(plain, 1, true) or plain:find(name, 1, true)) then d = 1.5 end
    if not best_distance or d < best_distance then best, best_distance = name, d end
  end
  if best and best_distance <= math.max(1, math.floor(math.max(#plain, #best) / 3)) then return best end
  return nil
end

--- The names that a table has as keys, in order, for messages.
---@param allowed table<string, any>
---@return string
function M.names(allowed)
  local names = {}
  for name in pairs(allowed) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, ", ")
end

local function valid(allowed)
  return next(allowed) and "valid: " .. M.names(allowed) or "it takes none"
end

--- True for a secret.
function M.is_secret(v)
  return type(v) == "userdata" and core.is_secret(v)
end

--- True for a whole number that both interpreters hold exactly.
function M.is_integer(v)
  return type(v) == "number" and v == math.floor(v) and v > -2 ^ 53 and v < 2 ^ 53
end

local LONGEST_LINE = 1000 -- bytes

-- What is kept, and shown to people and to readers of JSON.
local function is_line(v)
  return type(v) == "string" and v ~= "" and #v <= LONGEST_LINE and not v:find "%c" and core.fold_name(v) ~= nil
end

-- word -> test, text for "must be ..."
local TYPES = {
  string = { function(v) return type(v) == "string" end, "a string" },
  text = { function(v) return type(v) == "string" and v ~= "" end, "a string that is not empty" },
  line = { is_line, "one line of UTF-8 text, at most " .. LONGEST_LINE .. " bytes" },
  number = { function(v) return type(v) == "number" and v == v end, "a number" },
  integer = { M.is_integer, "a whole number" },
  count = { function(v) return M.is_integer(v) and v >= 1 end, "a whole number from 1" },
  boolean = { function(v) return type(v) == "boolean" end, "true or false" },
  table = { function(v) return type(v) == "table" end, "a table" },
  ["function"] = { function(v) return type(v) == "function" end, "a function" },
  secret = { M.is_secret, "a secret" },
}

--- Checks one value by a rule of M.check and returns the value to use; raises otherwise.
---@param rule true|string|function
---@param value any
---@param name string for the message
function M.value(rule, value, name)
  if rule == true then return value end
  if type(rule) == "function" then return (rule(value, name)) end
  if rule == "duration" then return (durations.parse(value, name)) end
  if rule == "limit" then return (durations.limit(value, name)) end
  local wanted = {}
  for word in rule:gmatch "[%a_]+" do
    local kind = TYPES[word]
    if kind[1](value) then return value end
    wanted[#wanted + 1] = kind[2]
  end
  -- A string that came where a secret belongs may be one.
  local hide = rule:find("secret", 1, true) and type(value) == "string"
  errors.raise("%s must be %s, got %s", name, table.concat(wanted, " or "),
    hide and "a string" or errors.shown(value))
end

--- Checks a table of options and returns a copy, so that nobody's table is written to.
---
--- A rule is true (any value), type words joined by "|" (string, text: not empty, line: one line of UTF-8, number, integer, count: from 1,
--- boolean, table, function, secret), "duration" or "limit" (given back in seconds), or a function(value, name)
--- that returns the value to use or raises.
---@param allowed table<string, true|string|function> option name -> rule
---@param given table|nil
---@param what string the call, for messages: "cloud:list_clusters"
---@return table copy
function M.check(allowed, given, what)
  if given == nil then return {} end
  local meta = getmetatable(given)
  if type(meta) == "table" and meta.__name == "crdbcloud" then
    errors.raise("%s: call it with a dot, not with a colon", what)
  end
  if type(given) ~= "table" or errors.is(given) then
    -- Where arguments were mixed up, a string may be a password.
    errors.raise("%s: options must be a table, got %s", what, type(given) == "string" and "a string" or errors.shown(given))
  end
  local copy = {}
  for name, value in pairs(given) do
    local rule = allowed[name]
    if rule == nil then
      if type(name) ~= "string" then
        errors.raise("%s: options have names, got [%s]; %s", what, tostring(name), valid(allowed))
      end
      local near = M.nearest(name, allowed)
      errors.raise('%s: unknown option "%s"; %s', what, name,
        near and ('did you mean "%s"?'):format(near) or valid(allowed))
    end
    local kind = TYPES[rule] -- most rules are one word, and their values fit
    copy[name] = kind and kind[1](value) and value or M.value(rule, value, what .. ": " .. name)
  end
  return copy
end

return M
