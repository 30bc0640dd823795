--- JSON as others read it: lua-cjson, plus lists that stay lists when they are empty.

local cjson = require "cjson"

local M = {}

-- Fields that are lists wherever they occur; an empty Lua table does not tell.
local LISTS = {
  rows = true, warnings = true, sinks = true, roles = true, access = true, users = true, clusters = true,
  databases = true, entries = true, findings = true, tables = true, privileges = true, candidates = true,
}

-- No JSON text that we make contains this string otherwise.
local EMPTY = "\1crdbcloud empty list\1"
local ENCODED = cjson.encode(EMPTY)

local function plain(value, name)
  if type(value) ~= "table" then return value end
  if next(value) == nil then return LISTS[name] and EMPTY or value end
  local out = {}
  for k, v in pairs(value) do
    if type(v) ~= "function" then out[k] = plain(v, k) end
  end
  return out
end

--- Encodes plain data; functions are left out, a secret raises.
---@param value any
---@param name? string the field it stands for, so that an empty list is one
---@return string
function M.encode(value, name)
  return (cjson.encode(plain(value, name)):gsub(ENCODED, "[]"))
end

return M
