-- The control socket: faults, settings, the log, and hashes for those who know a password.

local faults = require "api.faults"
local json = require "api.json"
local journal = require "api.journal"
local limit = require "api.limit"
local settings = require "api.settings"
local sql_users = require "api.sql_users"

local RESETS = { faults, journal, settings, sql_users, limit, require "api.audit" }

local function refuse(problem)
  ngx.status = 400
  return problem
end

local function parameters(body)
  local given = json.decode_object(body)
  if given then return given end
  return ngx.decode_args(body, 100)
end

local handlers = {}

handlers["/ready"] = function()
  local word, problem = sql_users.ready()
  return word == "ok" and word or refuse(problem)
end

handlers["/log"] = function() return ngx.var.arg_form == "lines" and journal.lines() or journal.text() end

handlers["/hash"] = function(body) return sql_users.hash(body) end

handlers["/fault"] = function(body)
  local ok, problem = faults.add(parameters(body))
  return ok and "ok" or refuse(problem)
end

handlers["/faults"] = function()
  local list = json.array()
  for i, fault in ipairs(faults.list()) do list[i] = fault end
  return json.encode(list)
end

handlers["/settings"] = function(body)
  for name, value in pairs(parameters(body)) do
    local ok, problem = settings.set(name, value)
    if not ok then return refuse(problem) end
    if name == "rate" then limit.reset() end
  end
  return json.encode(settings.live)
end

--- Forgets faults and the log; settings stay.
handlers["/clear"] = function()
  faults.reset()
  journal.reset()
  return "ok"
end

--- As after the start.
handlers["/reset"] = function()
  for _, part in ipairs(RESETS) do part.reset() end
  return "ok"
end

return function()
  local handler = handlers[ngx.var.uri]
  if not handler then
    ngx.status = 404
    ngx.say("unknown command")
    return
  end
  ngx.req.read_body()
  ngx.header["Content-Type"] = "text/plain"
  ngx.print(handler(ngx.req.get_body_data() or ""), "\n")
end
