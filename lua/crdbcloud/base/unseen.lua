--- The characters beyond ASCII that a terminal obeys or does not show, and bytes that are no UTF-8. Pure.

local M = {}

-- First and last code points that a terminal obeys or hides: C1, marks of direction, zero widths, ends of lines, tags.
local UNSEEN = {
  { 0x7f, 0x9f }, { 0xad, 0xad }, { 0x61c, 0x61c }, { 0x180e, 0x180e }, { 0x200b, 0x200f }, { 0x2028, 0x202e },
  { 0x2060, 0x206f }, { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, { 0xe0000, 0xe007f },
}

-- The code point of one whole character of UTF-8; nil for overlong forms, surrogates and what is beyond Unicode.
local function code_point(char)
  local lead = char:byte()
  local code = lead < 0xe0 and lead - 0xc0 or lead < 0xf0 and lead - 0xe0 or lead - 0xf0
  for i = 2, #char do code = code * 64 + char:byte(i) - 128 end
  local least = #char == 2 and 0x80 or #char == 3 and 0x800 or 0x10000
  if code < least or code > 0x10ffff or code >= 0xd800 and code <= 0xdfff then return nil end
  return code
end

local function is_unseen(code)
  for _, range in ipairs(UNSEEN) do
    if code >= range[1] and code <= range[2] then return true end
  end
  return false
end

--- A text in which what is beyond ASCII and says something to a terminal is replaced.
---@param text string
---@param replace fun(code: integer|nil): string code: of the character; nil for a byte that is no UTF-8
---@return string
function M.replace(text, replace)
  if not text:find "[\128-\255]" then return text end
  return (text:gsub("[\128-\255][\128-\191]*", function(bytes)
    local lead = bytes:byte()
    local length = lead < 0xc2 and 0 or lead < 0xe0 and 2 or lead < 0xf0 and 3 or lead < 0xf5 and 4 or 0
    local char = length > 0 and #bytes >= length and bytes:sub(1, length) or ""
    local code = char ~= "" and code_point(char) or nil
    if not code then return replace(nil):rep(#bytes) end
    return (is_unseen(code) and replace(code) or char) .. replace(nil):rep(#bytes - length)
  end))
end

return M
