-- The log of requests: one entry each, with the keyed hash of the password that came with it.

local json = require "api.json"
local sql_users = require "api.sql_users"

local M = {}

local entries = {}
local number = 0

--- Opens an entry for the current request.
function M.open(headers)
  number = number + 1
  local entry = {
    n = number,
    time = ngx.now(),
    op = "unknown",
    method = ngx.req.get_method(),
    path = (ngx.var.request_uri:gsub("%?.*", "")),
    query = ngx.var.args,
    http = ngx.req.http_version() == 2 and "2" or "1.1",
    connection = tonumber(ngx.var.connection),
    status = 0,
    applied = false,
    content_type = headers["content-type"],
    version = headers["cc-version"],
    user_agent = headers["user-agent"],
  }
  entries[#entries + 1] = entry
  return entry
end

--- Notes the password of a body, as a hash.
function M.note_password(entry, password)
  if type(password) == "string" then entry.password_hash = sql_users.hash(password) end
end

--- All entries as JSON.
function M.text()
  local list = json.array()
  for i, entry in ipairs(entries) do list[i] = entry end
  return json.encode(list)
end

--- All entries as JSON, one a line.
function M.lines()
  local lines = {}
  for i, entry in ipairs(entries) do lines[i] = json.encode(entry) .. "\n" end
  return table.concat(lines)
end

function M.reset() entries, number = {}, 0 end

return M
