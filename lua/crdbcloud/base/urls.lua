--- Connection strings that may hold a password: where one is kept or shown, it is not.

local core = require "crdbcloud.core"

local M = {}

--- True when a connection string holds a password: user:password@ in a URL, a
--- parameter of it, or password= among key=value pairs.
---@param text string
---@return boolean
function M.has_password(text)
  -- Up to the last "@": a password that is not percent-encoded may hold "@", "/", "?" and "#".
  local userinfo = text:match "^%a[%w+.-]*://(.*)@"
  if userinfo and userinfo:find(":.") then return true end
  -- libpq decodes the names of parameters too.
  local lower = text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end):lower()
  return lower:find("%f[%w]password%s*=%s*[^%s&]") ~= nil or lower:find("%f[%w]sslpassword%s*=%s*[^%s&]") ~= nil
end

--- The same text for people: what follows a kind that may hold a password anywhere is left out.
---@param text string
---@return string
function M.shown(text)
  if not M.has_password(text) then return text end
  local scheme, userinfo, rest = text:match "^(%a[%w+.-]*://)(.*)@(.*)$"
  if not scheme then return (text:match "^%a[%w+.-]*:" or "") .. "…" end
  return scheme .. userinfo:gsub("[:/?#@].*$", "") .. "@" .. rest:gsub("[?#].*$", "")
end

--- As it may be kept in a table: a secret if it holds a password, else as it is.
---@param text any
---@return any
function M.hidden(text)
  if type(text) == "string" and M.has_password(text) then return core.secret(text) end
  return text
end

--- The text of what M.hidden gave.
---@param value any
---@return any
function M.text(value)
  if type(value) == "userdata" and core.is_secret(value) then return value:reveal() end
  return value
end

--- The user that a URL names, decoded.
---@param text string
---@return string|nil
function M.user(text)
  local user = text:match "^postgres[a-z]*://([^:@/]+)[^/]*@"
  return user and (user:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

return M
