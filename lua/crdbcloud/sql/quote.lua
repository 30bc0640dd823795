--- Writes names and values as SQL text that means exactly them, on CockroachDB and PostgreSQL alike.
-- Every name that goes into a statement passes through here, whether it needs quotes or not: keywords, dashes,
-- capitals and quotes then never matter.

local errors = require "crdbcloud.errors"

local M = {}

local function check(s, what)
  if type(s) ~= "string" then
    errors.raise("%s must be a string, got %s", what, errors.shown(s))
  end
  if s:find("\0", 1, true) then
    errors.raise("%s holds a NUL byte, which SQL text cannot", what)
  end
end

--- A name of a database, schema, table, column or role: `a"b` becomes `"a""b"`.
---@param name string
---@return string
function M.identifier(name)
  check(name, "identifier")
  if name == "" then errors.raise("identifier is empty") end
  return '"' .. name:gsub('"', '""') .. '"'
end

--- Names joined by dots: qualified("shop", "public", "orders") gives `"shop"."public"."orders"`.
---@return string
function M.qualified(...)
  local parts = {}
  for i = 1, select("#", ...) do parts[i] = M.identifier((select(i, ...))) end
  return table.concat(parts, ".")
end

--- A list of names, quoted and joined by commas.
---@param names string[]
---@return string
function M.identifiers(names)
  local parts = {}
  for i, name in ipairs(names) do parts[i] = M.identifier(name) end
  return table.concat(parts, ", ")
end

--- A string literal. With a backslash in it the E'' form is used, which reads the same whatever
--- standard_conforming_strings says.
---@param value string
---@return string
function M.literal(value)
  check(value, "value")
  local quoted = "'" .. value:gsub("'", "''") .. "'"
  if not quoted:find("\\", 1, true) then return quoted end
  return "E" .. quoted:gsub("\\", "\\\\")
end

--- Reads a dotted name as the server writes it (`public."Order_seq"`) back into its parts.
---@param text string
---@return string[]|nil parts nil when it is no such name
function M.split(text)
  local parts, at = {}, 1
  while true do
    local first, last, part = text:find('^([^%."]+)', at)
    if not first then
      -- A quoted part ends at a quote that is not doubled.
      local close = text:sub(at, at) == '"' and at or nil
      while close do
        close = text:find('"', close + 1, true)
        if close and text:sub(close + 1, close + 1) == '"' then
          close = close + 1
        else
          break
        end
      end
      if not close or close == at then return nil end
      part, last = text:sub(at + 1, close - 1):gsub('""', '"'), close
    end
    if part == "" then return nil end
    parts[#parts + 1] = part
    if last == #text then return parts end
    if text:sub(last + 1, last + 1) ~= "." then return nil end
    at = last + 2
  end
end

return M
