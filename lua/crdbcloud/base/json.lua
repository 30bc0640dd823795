--- JSON as others read it: lua-cjson, plus lists that stay lists when they are empty.

local cjson = require "cjson"
local unseen = require "crdbcloud.base.unseen"

local M = {}

-- What says something to a terminal, as JSON writes it; bytes that are no UTF-8 are no JSON.
local function escape(code)
  if not code then return "\\ufffd" end
  if code < 0x10000 then return ("\\u%04x"):format(code) end
  code = code - 0x10000
  return ("\\u%04x\\u%04x"):format(0xd800 + math.floor(code / 0x400), 0xdc00 + code % 0x400)
end

--- A JSON text that is safe on a terminal: what stands in it beyond ASCII and is seen by nobody is escaped.
---@param text string
---@return string
function M.escaped(text)
  return unseen.replace(text, escape)
end

-- Fields that are lists wherever they occur; an empty Lua table does not tell.
local LISTS = {
  rows = true, warnings = true, sinks = true, roles = true, access = true, users = true, clusters = true,
  databases = true, entries = true, findings = true, tables = true, privileges = true, candidates = true,
  grants = true, owns = true, admin_via = true, public_create = true, inherited = true, gives = true, powers = true,
  unknown = true,
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
  return (M.escaped(cjson.encode(plain(value, name))):gsub(ENCODED, "[]"))
end

--- Members of a JSON object in the order of names, each with its comma; what is nil is left out.
---@param object table
---@param names string[]
---@return string[] texts
function M.members(object, names)
  local texts = {}
  for _, name in ipairs(names) do
    if object[name] ~= nil then texts[#texts + 1] = ('"%s":%s,'):format(name, cjson.encode(object[name])) end
  end
  return texts
end

--- What a JSON reader made of plain data, as it was: under Lua 5.4 whole numbers may have come as floats and would print
--- as "3.0"; null, a light userdata, is left out.
---@param value any
---@return any a copy
function M.clean(value)
  if type(value) == "number" then return math.tointeger and math.tointeger(value) or value end
  if type(value) ~= "table" then return value end
  local out = {}
  for k, v in pairs(value) do
    if type(v) ~= "userdata" then out[k] = M.clean(v) end
  end
  return out
end

return M
