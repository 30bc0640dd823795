-- SQL user names as CockroachDB treats them: folded first, then checked.

local ffi = require "ffi"

ffi.cdef [[
ptrdiff_t utf8proc_iterate(const uint8_t *text, ptrdiff_t length, int32_t *codepoint);
ptrdiff_t utf8proc_encode_char(int32_t codepoint, uint8_t *out);
int32_t utf8proc_tolower(int32_t codepoint);
int utf8proc_category(int32_t codepoint);
uint8_t *utf8proc_NFC(const uint8_t *text);
void free(void *pointer);
]]

-- Releases of Debian differ in the number of the library; development files have a name without one.
local function load_utf8proc()
  local ok, library = pcall(ffi.load, "utf8proc")
  local why = library
  for number = 2, 9 do
    if ok then return library end
    ok, library = pcall(ffi.load, "libutf8proc.so." .. number)
  end
  error("utf8proc cannot be loaded (Debian: libutf8proc-dev): " .. tostring(why), 0)
end

local utf8proc = load_utf8proc()
local LOWER_CASE_LETTER = 2 -- UTF8PROC_CATEGORY_LL
local MAX_BYTES = 63

local M = {}

-- Calls visit(codepoint) for each character; false when the text is not UTF-8.
local function each_character(text, visit)
  local codepoint = ffi.new("int32_t[1]")
  local at = 0
  while at < #text do
    local length = tonumber(utf8proc.utf8proc_iterate(ffi.cast("const uint8_t *", text) + at, #text - at, codepoint))
    if length <= 0 then return false end
    visit(codepoint[0])
    at = at + length
  end
  return true
end

--- Whether the text is UTF-8.
function M.is_utf8(text) return each_character(text, function() end) end

-- Both Turkish letters, the capital with a dot and the small one without, become "i".
local function lower(codepoint)
  if codepoint == 0x130 or codepoint == 0x131 then return 0x69 end
  return utf8proc.utf8proc_tolower(codepoint)
end

--- Lower case, then NFC.
--- @return string|nil folded, nil when the name is not UTF-8 or holds a NUL
function M.fold(name)
  if name:find("\0", 1, true) then return nil end
  if not name:find("[\128-\255]") then return name:lower() end
  local parts = {}
  local buffer = ffi.new("uint8_t[4]")
  local valid = each_character(name, function(codepoint)
    local length = utf8proc.utf8proc_encode_char(lower(codepoint), buffer)
    parts[#parts + 1] = ffi.string(buffer, length)
  end)
  if not valid then return nil end
  local composed = utf8proc.utf8proc_NFC(table.concat(parts))
  if composed == nil then return nil end
  local folded = ffi.string(composed)
  ffi.C.free(composed)
  return folded
end

local function allowed_characters(folded)
  local fine, first = true, true
  local valid = each_character(folded, function(codepoint)
    local letter = codepoint == 0x5F or (codepoint >= 0x30 and codepoint <= 0x39)
      or utf8proc.utf8proc_category(codepoint) == LOWER_CASE_LETTER
    local inner = codepoint == 0x2D or codepoint == 0x2E
    if not letter and (first or not inner) then fine = false end
    first = false
  end)
  return valid and fine
end

--- What is wrong with a folded name, as a message; nil for a good one.
function M.problem(folded)
  if folded == "" then return "username is empty" end
  if #folded > MAX_BYTES then return "username is too long" end
  if not allowed_characters(folded) then return "username is invalid" end
  if folded == "public" or folded == "none" or folded == "node"
    or folded:find("^pg_") or folded:find("^crdb_internal") then
    return ('role name "%s" is reserved'):format(folded)
  end
  return nil
end

--- Names that exist in every cluster and cannot be changed here.
function M.is_special(folded) return folded == "root" or folded == "admin" end

return M
