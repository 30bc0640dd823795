-- Faults: what goes wrong with a request, by operation, user and number.

local answer = require "api.answer"
local json = require "api.json"
local peer = require "api.peer"
local routes = require "api.routes"
local settings = require "api.settings"
local users = require "api.users"

local M = {}

local active = {}

local function drop(fault)
  if fault.form == "reset" then peer.reset() else peer.close() end
  ngx.exit(444)
end

local function chosen_error(fault, status, code, message)
  local result = answer.error(fault.code or code, fault.message or message, nil, fault.status or status)
  if fault.retry_after then result.headers = { ["Retry-After"] = tostring(fault.retry_after) } end
  return result
end

-- Runs after the fault's own time even when the client has gone, because a timer does it.
local function apply_later(fault, operate)
  local generation = settings.generation
  ngx.timer.at(fault.seconds or 1, function()
    if settings.generation == generation then operate() end
  end)
  ngx.sleep((fault.seconds or 1) + 0.1)
end

local RATE_FORMS = {
  seconds = function(fault) return 429, tostring(math.ceil(fault.seconds or 1)) end,
  date = function(fault) return 429, ngx.http_time(math.ceil(ngx.now() + (fault.seconds or 2))) end,
  none = function() return 429, nil end,
  absurd = function() return 429, "86400" end,
  code8 = function() return 503, nil end,
}

-- Each kind takes the fault, the request, and a function that carries the operation out and
-- returns its answer. It returns the answer to send, or ends the connection.
local KINDS = {}

function KINDS.error_before(fault) return chosen_error(fault, 500, 13, "internal error") end

function KINDS.error_after(fault, _, operate)
  operate()
  return chosen_error(fault, 500, 13, "internal error")
end

function KINDS.drop_before(fault) return drop(fault) end

function KINDS.drop_after(fault, _, operate)
  operate()
  return drop(fault)
end

--- Applied at once, answered late; with form "before", applied late too.
function KINDS.delay(fault, _, operate)
  if fault.form == "before" then
    ngx.sleep(fault.seconds or 1)
    return operate()
  end
  local result = operate()
  ngx.sleep(fault.seconds or 1)
  return result
end

function KINDS.late_apply(fault, _, operate)
  apply_later(fault, operate)
  return drop(fault)
end

--- Applied; the answer promises more bytes than come.
function KINDS.half_body(fault, request, operate)
  local result = operate()
  request.entry.status = result.status
  local text = json.encode(result.body)
  answer.send { status = result.status, body = text:sub(1, math.floor(#text / 2)), announce = #text }
  ngx.flush(true)
  return drop(fault)
end

--- Applied; 200 and a whole body that is no JSON.
function KINDS.broken_body(_, _, operate)
  local result = operate()
  local text = json.encode(result.body)
  return { status = result.status, body = text:sub(1, -3) }
end

function KINDS.empty_body(_, _, operate)
  return { status = operate().status, body = "" }
end

function KINDS.html_502(fault, _, operate)
  if fault.apply then operate() end
  return {
    status = fault.status or 502,
    content_type = "text/html; charset=UTF-8",
    body = "<html><head>\n<title>502 Server Error</title>\n</head>\n<body text=#000000 bgcolor=#ffffff>\n"
      .. "<h1>Error: Server Error</h1>\n<h2>The server encountered a temporary error and could not complete your request."
      .. "<p>Please try again in 30 seconds.</h2>\n</body></html>\n",
  }
end

function KINDS.wrong_name(fault, _, operate)
  local result = operate()
  if result.status == 200 then result.body = { name = fault.name or "somebody_else" } end
  return result
end

function KINDS.redirect(fault, _, operate)
  if fault.apply then operate() end
  return {
    status = fault.status or 307,
    body = "",
    headers = { Location = fault.location or ("https://127.0.0.1:%d/elsewhere"):format(settings.started.api_port) },
  }
end

--- Applied; the answer is larger than any client should take (bytes, 16 MiB by default).
function KINDS.huge_body(fault, request, operate)
  local result = operate()
  request.entry.status = result.status
  ngx.status = result.status
  ngx.header["Content-Type"] = "application/json"
  ngx.print('{"name":"', ("x"):rep(1024))
  local chunk = ("x"):rep(64 * 1024)
  for _ = 1, math.ceil((fault.bytes or 16 * 1024 * 1024) / #chunk) do
    if not ngx.print(chunk) or not ngx.flush(true) then return nil end
  end
  ngx.print('"}')
  return nil
end

function KINDS.rate_limited(fault)
  local status, retry_after = RATE_FORMS[fault.form or "seconds"](fault)
  local result = answer.error(8, fault.message or "rate limit exceeded", nil, fault.status or status)
  result.headers = { ["Retry-After"] = retry_after }
  return result
end

--- Refused (or with status 200 applied), and the answer holds the password that came.
function KINDS.echo_password(fault, request, operate)
  local password = request.body and request.body.password
  if type(password) ~= "string" then password = "" end
  if fault.status == 200 then
    local result = operate()
    result.body.password = password
    return result
  end
  return chosen_error(fault, 400, 3, ("invalid argument: password '%s' is not acceptable"):format(password))
end

function KINDS.must_differ() return users.must_differ() end

--- A list whose next page is the page that was asked for.
function KINDS.repeat_token(_, request, operate)
  local result = operate()
  if result.status == 200 then
    local asked = request.query["pagination.page"]
    local pagination = type(result.body.pagination) == "table" and result.body.pagination or {}
    pagination.next_page = asked and asked ~= "" and asked or pagination.next_page
    result.body.pagination = pagination
  end
  return result
end

local NUMBERS = { nth = 1, count = 1, seconds = 0, status = 100, code = 0, bytes = 1, retry_after = 0 }
local TEXTS = { op = true, user = true, what = true, message = true, form = true, name = true, location = true }

local function check(fault)
  for name, value in pairs(fault) do
    if NUMBERS[name] and not (name == "count" and value == "all") then
      local number = tonumber(value)
      if not number or number < NUMBERS[name] then return name .. ": a number was expected" end
      fault[name] = number
    elseif name == "apply" then
      fault.apply = value == true or value == "true"
    elseif name ~= "count" and not (TEXTS[name] and type(value) == "string") then
      return "unknown field " .. name
    end
  end
  if not KINDS[fault.what or ""] then return "unknown fault " .. tostring(fault.what) end
  if not fault.op or (fault.op ~= "*" and not routes.exists(fault.op)) then return "unknown op " .. tostring(fault.op) end
  if fault.what == "rate_limited" and fault.form and not RATE_FORMS[fault.form] then return "unknown form " .. fault.form end
  return nil
end

--- Adds a fault: `{ op, what, user, nth, count, … }`. It strikes from the nth request on that
--- fits, counted from now, `count` times ("all": for ever).
--- @return boolean|nil ok, string|nil problem
function M.add(fault)
  local problem = check(fault)
  if problem then return nil, problem end
  fault.nth, fault.count, fault.seen = fault.nth or 1, fault.count or 1, 0
  active[#active + 1] = fault
  return true
end

--- The fault of this request, if one is due. Every fault that fits counts the request.
function M.take(request)
  local due
  for _, fault in ipairs(active) do
    local fits = (fault.op == "*" or fault.op == request.operation) and (fault.user == nil or fault.user == request.user)
    if fits then
      fault.seen = fault.seen + 1
      local over = fault.count ~= "all" and fault.seen >= fault.nth + fault.count
      if not due and fault.seen >= fault.nth and not over then due = fault end
    end
  end
  return due
end

--- @return table|nil answer nil when everything has been sent
function M.run(fault, request, operate) return KINDS[fault.what](fault, request, operate) end

--- The faults as they stand.
function M.list() return active end

function M.reset() active = {} end

return M
