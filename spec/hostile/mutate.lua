--- Answers that no honest service gives, made from honest ones: fields of other types, missing, doubled, nested, huge, with
--- escapes, or a document that is cut. The same seed makes the same answers under both interpreters.

local cjson = require "cjson"

local M = {}

--- A generator of whole numbers from 1 to n, the same everywhere.
---@param seed integer
---@return fun(n: integer): integer
function M.random(seed)
  local state = seed % 2147483647
  if state == 0 then state = 1 end
  return function(n)
    state = (state * 16807) % 2147483647
    return state % n + 1
  end
end

local TEXTS = {
  "", "..", "a/b", "a\0b", "\27]0;x\7", "\194\155m", "\226\128\174x", ("x"):rep(5000), "\255\254", "=1+1", "'; DROP TABLE x; --", "root", "99999999999",
  "12.5", "-1", "{user}", "%s%n", "app", "postgresql://u:p@h/d", "null", "\239\187\191", "00000000-0000-4000-8000-000000000000",
}

-- Raw JSON in the place of a value.
local RAW = {
  "null", "true", "false", "0", "-1", "1e999", "12345678901234567890", "1.5", "[]", "{}", "[[]]", '{"name":{}}', '""', '"\\ud800"', '"\\u0000"',
  ("["):rep(60) .. ("]"):rep(60), '[{"name":"app"},{"name":"app"}]', '"\\', "nul", '{"a":1', '"' .. ("z"):rep(100000) .. '"',
}

local function is_list(value) return #value > 0 end

-- A value as JSON, with each part changed at about one place in `rate`.
local function write(value, random, rate)
  if random(rate) == 1 then
    if random(2) == 1 then return RAW[random(#RAW)] end
    return cjson.encode(TEXTS[random(#TEXTS)])
  end
  if type(value) ~= "table" then return cjson.encode(value) end
  local parts = {}
  if is_list(value) then
    for _, item in ipairs(value) do
      local copies = random(rate) == 1 and random(40) or 1
      if random(rate) == 1 then copies = 0 end
      for _ = 1, copies do parts[#parts + 1] = write(item, random, rate) end
    end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  local names = {}
  for name in pairs(value) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    if random(rate) ~= 1 then
      local key = random(rate) == 1 and TEXTS[random(#TEXTS)] or name
      parts[#parts + 1] = cjson.encode(key) .. ":" .. write(value[name], random, rate)
      if random(rate) == 1 then parts[#parts + 1] = cjson.encode(name) .. ":" .. write(value[name], random, rate) end
    end
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

--- A changed answer.
---@param answer table an honest one
---@param random fun(n: integer): integer
---@param secret string echoed now and then
---@return string body
function M.body(answer, random, secret)
  local body = write(answer, random, 6)
  local kind = random(12)
  if kind == 1 then return body:sub(1, random(#body)) end -- cut
  if kind == 2 then return body .. body end
  if kind == 3 then return '{"data":' .. body .. "}" end
  if kind == 4 then
    local spelt = secret:gsub(".", function(c) return random(3) == 1 and ("\\u%04x"):format(c:byte()) or c end)
    return '{"code":' .. random(16) .. ',"message":"' .. spelt .. '","name":"' .. spelt .. '","users":[{"name":"' .. spelt .. '"}],"id":"' .. spelt .. '"}'
  end
  return body
end

local STATUS = { 200, 200, 200, 200, 200, 200, 200, 201, 204, 302, 400, 401, 403, 404, 409, 429, 500, 503 }

---@return integer
function M.status(random) return STATUS[random(#STATUS)] end

return M
