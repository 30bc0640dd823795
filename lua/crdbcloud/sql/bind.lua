--- Puts values into a statement's text, for connections that cannot bind parameters themselves. Pure.
-- `$1` counts only where SQL would take it as a parameter: not in strings, quoted names, comments or dollar quotes.

local quote = require "crdbcloud.sql.quote"

local M = {}

-- Where what starts at `at` ends: the position after it, or nil when nothing special starts there.
local function skip(text, at)
  local c = text:sub(at, at)
  if c == "'" or c == '"' then
    -- Only E'...' knows backslashes (standard_conforming_strings is on, as on both servers by default).
    local escapes = c == "'" and text:sub(at - 1, at - 1):upper() == "E" and not text:sub(at - 2, at - 2):match "[%w_]"
    local i = at + 1
    while i <= #text do
      local d = text:sub(i, i)
      if d == "\\" and escapes then
        i = i + 2
      elseif d == c then
        return i + 1
      else
        i = i + 1
      end
    end
    return #text + 1
  end
  if text:sub(at, at + 1) == "--" then return (text:find("\n", at, true) or #text) + 1 end
  if text:sub(at, at + 1) == "/*" then
    local depth, i = 1, at + 2
    while depth > 0 and i <= #text do
      local two = text:sub(i, i + 1)
      if two == "/*" then
        depth, i = depth + 1, i + 2
      elseif two == "*/" then
        depth, i = depth - 1, i + 2
      else
        i = i + 1
      end
    end
    return i
  end
  if c == "$" and not text:sub(at - 1, at - 1):match "[%w_$]" then
    local tag = text:match("^%$[%a_]?[%w_]*%$", at)
    if tag and not tag:match "^%$%d" then
      local _, last = text:find(tag, at + #tag, true)
      return (last or #text) + 1
    end
  end
  return nil
end

--- The statement with literals in the places of its parameters.
---@param text string
---@param values table strings or nil, with n
---@return string|nil
---@return string|nil problem "there is no parameter $3"
function M.text(text, values)
  local out, at, from = {}, 1, 1
  while at <= #text do
    local past = skip(text, at)
    if past then
      at = past
    else
      local number = text:match("^%$(%d+)", at)
      if number and not text:sub(at - 1, at - 1):match "[%w_$]" then
        local n = tonumber(number)
        if n < 1 or n > values.n then return nil, "there is no parameter $" .. number end
        out[#out + 1] = text:sub(from, at - 1)
        out[#out + 1] = values[n] == nil and "NULL" or quote.literal(values[n])
        at = at + 1 + #number
        from = at
      else
        at = at + 1
      end
    end
  end
  out[#out + 1] = text:sub(from)
  return table.concat(out)
end

return M
