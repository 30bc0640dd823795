--- Looks for known secrets in whatever was printed, logged or handed to a caller, in every form in which software
--- writes text: plain, base64 at each alignment, hexadecimal, percent-encoded, escaped as JSON, SQL or pgpass.

local temp = require "spec.support.temp"

local M = {}

local Scan = {}
Scan.__index = Scan

local SHORTEST = 8 -- bytes of a form; less would be found by chance

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

-- The part of a base64 text that this value alone decides when `before` bytes stand in front of it in a group of three.
local function base64_within(value, before)
  local bits = {}
  for byte in (("\0"):rep(before) .. value):gmatch "." do
    local n = byte:byte()
    for i = 7, 0, -1 do bits[#bits + 1] = math.floor(n / 2 ^ i) % 2 end
  end
  local first, last = math.ceil(before * 8 / 6), math.floor(#bits / 6) - 1
  local out = {}
  for i = first, last do
    local index = 0
    for j = 1, 6 do index = index * 2 + bits[i * 6 + j] end
    out[#out + 1] = ALPHABET:sub(index + 1, index + 1)
  end
  return table.concat(out)
end

local function each_byte(value, pattern, format)
  return (value:gsub(pattern, function(c) return format:format(c:byte()) end))
end

-- How JSON writers differ: the slash escaped or not, other bytes as they are or as \u00xx.
local function json_forms(value)
  local short = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }
  local plain = value:gsub('[%c"\\]', function(c) return short[c] or ("\\u%04x"):format(c:byte()) end)
  return plain, (plain:gsub("/", "\\/")), each_byte(plain, "[\128-\255]", "\\u%04x")
end

--- All forms of a value, each with its name.
---@param value string
---@return table<string, string> name by form
function M.forms(value)
  local forms = {}
  local function add(name, form)
    if #form >= SHORTEST and not forms[form] then forms[form] = name end
  end
  add("plain", value)
  for before = 0, 2 do
    local text = base64_within(value, before)
    add("base64", text)
    add("base64url", (text:gsub("[+/]", { ["+"] = "-", ["/"] = "_" })))
  end
  add("hex", each_byte(value, ".", "%02x"))
  add("hex", each_byte(value, ".", "%02X"))
  for _, format in ipairs { "%%%02X", "%%%02x" } do
    add("percent", each_byte(value, "[^%w%-._~]", format))
    add("form", (each_byte(value, "[^%w%-._~ ]", format):gsub(" ", "+")))
  end
  for _, form in ipairs { json_forms(value) } do add("JSON", form) end
  add("SQL", (value:gsub("'", "''")))
  add("pgpass", (value:gsub("[\\:]", "\\%0")))
  add("Lua", (("%q"):format(value):sub(2, -2)))
  return forms
end

--- A scan that knows nothing yet. Its findings name the place and the secret, never the secret itself.
function M.new()
  return setmetatable({ known = {}, secrets = 0, looked = 0, found = {} }, Scan)
end

--- Adds a secret.
---@param name string what the findings call it
---@param value string|userdata
function Scan:know(name, value)
  local text = type(value) == "string" and value or value:reveal()
  assert(#text >= SHORTEST, name .. " is too short to be looked for")
  if self.known[text] then return end
  self.known[text] = { name = name, forms = M.forms(text) }
  self.secrets = self.secrets + 1
end

--- Looks at a text.
---@param where string
---@param text string|nil
function Scan:look(where, text)
  if not text or text == "" then return end
  self.looked = self.looked + #text
  for _, secret in pairs(self.known) do
    for form, form_name in pairs(secret.forms) do
      if text:find(form, 1, true) then self.found[#self.found + 1] = ("%s: %s, as %s"):format(where, secret.name, form_name) end
    end
  end
end

--- Looks at a value as a person or a program may print it: tostring, :json() and every field, however deep.
function Scan:look_at(where, value, seen)
  seen = seen or {}
  if type(value) == "table" then
    if seen[value] then return end
    seen[value] = true
    for k, v in pairs(value) do
      self:look_at(where, k, seen)
      self:look_at(where .. "." .. tostring(k), v, seen)
    end
    local meta = getmetatable(value)
    if meta and type(meta) == "table" and meta.__tostring then self:look(where .. " as text", tostring(value)) end
    if type(value.json) == "function" then self:look(where .. " as JSON", value:json()) end
  else
    self:look(where, tostring(value))
  end
end

--- Looks at a file, if it is there.
function Scan:look_in(path) self:look(path, temp.read(path)) end

--- Looks at what others on the machine can see of a process, and of those that it started.
---@param pid integer
---@param given? string[] variables that a person has put a secret into
function Scan:look_process(pid, given)
  local pids = temp.run(("echo %d; pgrep -P %d || :"):format(pid, pid))
  for number in pids:gmatch "%d+" do
    for _, name in ipairs { "cmdline", "comm", "environ" } do
      local text = (temp.read(("/proc/%s/%s"):format(number, name)) or "")
      for _, variable in ipairs(given or {}) do text = ("\0" .. text):gsub("%z" .. variable .. "=[^%z]*", "") end
      self:look(name .. " of " .. number, text)
    end
  end
end

--- Raises when something was found, or when nothing was looked at.
function Scan:assert_clean()
  assert(self.secrets > 0 and self.looked > 0, "the scan knows no secret or looked at nothing")
  assert(#self.found == 0, ("%d secrets were found; %s"):format(#self.found, table.concat(self.found, "\n", 1, math.min(#self.found, 10))))
end

return M
