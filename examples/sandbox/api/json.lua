-- JSON with a marker for lists, because an empty Lua table cannot say which of the two it is.

local cjson = require("cjson.safe").new()
cjson.decode_invalid_numbers(false)
cjson.decode_max_depth(32)

local M = { null = cjson.null }

local array = {}

--- Marks a table as a JSON list.
function M.array(list) return setmetatable(list or {}, array) end

-- cjson writes "\/" for "/", which is valid but not what the service sends.
local function encode_string(text) return (cjson.encode(text):gsub("\\/", "/")) end

--- Encodes a value; members of an object are sorted by name.
function M.encode(value)
  if type(value) == "string" then return encode_string(value) end
  if type(value) ~= "table" then return cjson.encode(value) end
  local parts = {}
  if getmetatable(value) == array then
    for i, item in ipairs(value) do parts[i] = M.encode(item) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  local names = {}
  for name in pairs(value) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do parts[i] = encode_string(name) .. ":" .. M.encode(value[name]) end
  return "{" .. table.concat(parts, ",") .. "}"
end

--- Decodes a text that must be one JSON object.
--- @return table|nil object, nil for anything else
function M.decode_object(text)
  if not text:find("^%s*{") then return nil end
  return (cjson.decode(text))
end

return M
