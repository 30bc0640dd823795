-- What a request says: a form of a page or a JSON object, as one table of checked fields.

local cjson = require("cjson.safe").new()
local core = require "crdbcloud.core"

local M = {}

local MAX_FIELDS = 30

--- The body of a POST. nginx.conf keeps bodies small and in memory.
---@return table|nil fields
---@return "form"|"json"|string kind, or what is wrong
---@return integer|nil status
function M.read()
  ngx.req.read_body()
  local kind = (ngx.var.http_content_type or ""):match "^%s*([^;%s]*)"
  if kind == "application/x-www-form-urlencoded" then
    local fields, problem = ngx.req.get_post_args(MAX_FIELDS)
    if not fields or problem then return nil, "the form cannot be read", 400 end
    for name, value in pairs(fields) do
      if type(value) ~= "string" then return nil, name .. " is given more than once, or without a value", 400 end
    end
    return fields, "form"
  elseif kind == "application/json" then
    local body = ngx.req.get_body_data() or ""
    local fields = body:find "^%s*{" and cjson.decode(body) -- an empty list would be an empty table too
    if type(fields) ~= "table" then return nil, "the body is no JSON object", 400 end
    return fields, "json"
  end
  return nil, "send application/json, or the form of the page", 415
end

local function trimmed(value)
  if type(value) ~= "string" then return value end
  value = value:match "^%s*(.-)%s*$"
  return value ~= "" and value or nil
end

-- What is stored and shown to others: one line of UTF-8.
local function is_line(text)
  return not text:find "%c" and core.fold_name(text) ~= nil
end

local PRESETS = { readonly = true, readwrite = true }

local function list_of(value)
  if type(value) ~= "string" then return value end
  local list = {}
  for word in value:gmatch "[^,%s]+" do list[#list + 1] = word end
  return #list > 0 and list or nil
end

-- A table of text alone.
local function is_texts(value)
  if type(value) ~= "table" then return false end
  for key, item in pairs(value) do
    if type(key) ~= "number" or type(item) ~= "string" or item == "" then return false end
  end
  return #value > 0
end

local function refuse(given, known)
  for name in pairs(given) do
    if not known[name] then return ("unknown field %s"):format(tostring(name)) end
  end
end

--- Checks what a user is to be created with. Pure.
---@param given table name, owner, database, access ("readonly" or "readwrite"), tables (none: all)
---@return table|nil options of cluster:create_app_user
---@return string|nil problem
function M.user(given)
  local unknown = refuse(given, { name = 1, owner = 1, database = 1, access = 1, tables = 1, form_token = 1 })
  if unknown then return nil, unknown end
  local name, owner, database = trimmed(given.name), trimmed(given.owner), trimmed(given.database)
  for field, value in pairs { name = name or false, owner = owner or false, database = database or false } do
    if type(value) ~= "string" then return nil, field .. " is missing" end
    if not is_line(value) then return nil, field .. " must be one line of UTF-8" end
  end
  if not PRESETS[given.access] then return nil, "access must be readonly or readwrite" end
  local tables = list_of(given.tables)
  if tables ~= nil and not is_texts(tables) then return nil, "tables must be a list of names" end
  return { name = name, owner = owner, access = { database = database, tables = tables or "*", preset = given.access } }
end

--- Checks what is to be rotated. Pure.
---@param given table user (one), users ("managed" or names), reason
---@return { users: string|string[], reason: string|nil }|nil
---@return string|nil problem
function M.rotation(given)
  local unknown = refuse(given, { user = 1, users = 1, reason = 1, form_token = 1 })
  if unknown then return nil, unknown end
  local user, users, reason = trimmed(given.user), given.users, trimmed(given.reason)
  if user and users then return nil, "user and users exclude one another" end
  if user then users = { user } end
  users = users or "managed"
  if users ~= "managed" and not is_texts(users) then return nil, 'users must be "managed" or a list of names' end
  if reason ~= nil and (type(reason) ~= "string" or #reason > 200 or not is_line(reason)) then
    return nil, "reason must be one line of UTF-8, 200 bytes at most"
  end
  return { users = users, reason = reason }
end

return M
