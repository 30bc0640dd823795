-- From a request to its answer. Programs get JSON, people pages; both go through the same checks.

local auth = require "service.auth"
local cjson = require "cjson"
local errors = require "crdbcloud.errors"
local forms = require "service.forms"
local json = require "crdbcloud.base.json"
local metrics = require "service.metrics"
local page = require "service.page"
local service = require "service"
local view = require "service.view"

local M = {}

local function send(status, kind, body)
  ngx.status = status
  ngx.header["Content-Type"] = kind
  ngx.header["Content-Length"] = #body
  ngx.print(body)
end

local function send_html(status, body) send(status, "text/html; charset=utf-8", body) end
local function send_json(status, value) send(status, "application/json", json.encode(value) .. "\n") end

local function see_other()
  ngx.header.Location = "/"
  send(303, "text/plain", "")
end

-- People get a page that says what is wrong, programs an object of the form of all errors.
local function refuse(request, status, text)
  if status == 401 then ngx.header["WWW-Authenticate"] = 'Bearer realm="crdbcloud"' end
  if request.wants_html then
    if status == 401 then return send_html(401, page.login()) end
    return send_html(status, page.plain("Not done", text))
  end
  send(status, "application/json", cjson.encode { message = text, status = status } .. "\n")
end

local function fail(request, err)
  local status = service.crdbcloud.http_status(err)
  if request.wants_html then return send_html(status, page.plain("Not done", tostring(err))) end
  send(status, "application/json", err:json() .. "\n")
end

local function main_page(session, notes, status)
  send_html(status or 200, page.main(view.read(service), session, notes))
end

local function get_page(request)
  local session = request.caller.session
  if not session then session = auth.begin(request.caller.who) end
  main_page(session, { message = auth.take_message(session) })
end

local function list_users()
  local seen = view.read(service)
  if seen.store_error and seen.api_error then return nil, seen.store_error end
  local rows = {}
  for i, user in ipairs(seen.users) do
    rows[i] = {
      name = user.name, owner = user.owner, managed = user.managed, state = user.state, password_set_at = user.set_at,
      password_age = user.age, epoch = user.epoch, note = user.note,
    }
  end
  local warnings = {}
  warnings[1] = seen.store_error and tostring(seen.store_error)
  warnings[#warnings + 1] = seen.api_error and tostring(seen.api_error)
  return { cluster = seen.cluster, users = rows, warnings = warnings }
end

local function get_users(request)
  local list, err = list_users()
  if not list then return fail(request, err) end
  send_json(200, list)
end

local function post_users(request)
  local options, problem = forms.user(request.fields)
  local report, err
  if options then
    options.reason = "by " .. request.caller.who
    report, err = service.cluster:create_app_user(options)
    service.forget_list()
  else
    err = errors.new { kind = "invalid_argument", outcome = "not_sent", message = problem }
  end
  if request.kind == "form" then
    local session = request.caller.session
    if report then
      auth.leave_message(session, "good", options.name .. " is there. Its password is in the store, for the programs that use it.")
      return see_other()
    end
    -- The form comes back as it was filled in.
    return main_page(session, { message = { tone = "bad", text = tostring(err) }, form = request.fields },
      service.crdbcloud.http_status(err))
  end
  if not report then return fail(request, err) end
  ngx.header.Location = "/users"
  send_json(201, report)
end

local function post_rotate(request)
  local options, problem = forms.rotation(request.fields)
  local asked, err
  if options then
    options.cluster = service.cluster_name
    options.reason = (options.reason or "asked for") .. ", by " .. request.caller.who
    asked, err = service.crdbcloud.schedule_now(service.dict, options)
  else
    err = errors.new { kind = "invalid_argument", outcome = "not_sent", message = problem }
  end
  if not asked then return fail(request, err) end
  if request.kind == "form" then return see_other() end
  ngx.header.Location = "/rotation"
  send_json(202, { asked_at = asked.asked_at, progress = "/rotation" })
end

local function get_rotation(request)
  local status, err = service.crdbcloud.schedule_status(service.dict, service.cluster_name)
  if not status then return fail(request, err) end
  send_json(200, status)
end

local function get_metrics() send(200, "text/plain; version=0.0.4; charset=utf-8", metrics.text(view.read(service))) end

local function post_login(request)
  if not auth.is_token(request.fields.token) then return send_html(401, page.login "That is not the token.") end
  auth.begin "a person"
  see_other()
end

local function post_logout(request)
  auth.finish(request.caller.session)
  see_other()
end

-- open: for whoever comes; form: a person's form only; all others need a caller.
local ROUTES = {
  ["GET /"] = { get_page },
  ["GET /users"] = { get_users },
  ["POST /users"] = { post_users },
  ["POST /rotate"] = { post_rotate },
  ["GET /rotation"] = { get_rotation },
  ["GET /metrics"] = { get_metrics },
  ["POST /login"] = { post_login, open = true, form = true },
  ["POST /logout"] = { post_logout, form = true },
}

local METHODS = {} -- path -> "GET, POST"
for name in pairs(ROUTES) do
  local method, path = name:match "^(%u+) (.+)$"
  METHODS[path] = METHODS[path] and METHODS[path] .. ", " .. method or method
end

-- Why a POST is not looked at, with its status; nil when it is.
local function read_post(request, route)
  if auth.is_foreign() then return 403, "this request comes from another site" end
  local fields, kind, status = forms.read()
  if not fields then return status, kind end
  request.fields, request.kind = fields, kind
  if kind == "json" then
    if route.form then return 415, "this takes the form of the page" end
    return nil
  end
  -- A form is a person's: of a session, filled in on one of its pages.
  if route.open then return nil end
  local session = request.caller.session
  if not session then return 403, "forms are for the page; send application/json" end
  if not auth.is_own_form(session, fields) then return 403, "this form is not of your page; load the page again" end
end

--- Answers the request.
function M.answer()
  local method, path = ngx.req.get_method(), ngx.var.uri
  if method == "HEAD" then method = "GET" end
  local kind = ngx.var.http_content_type or ""
  local request = { wants_html = path == "/" or path == "/login" or kind:find("x-www-form-urlencoded", 1, true) ~= nil }
  if not METHODS[path] then return refuse(request, 404, "no such page") end
  local route = ROUTES[method .. " " .. path]
  if not route then
    ngx.header.Allow = METHODS[path]
    return refuse(request, 405, "this takes " .. METHODS[path])
  end
  request.caller = auth.caller()
  if not request.caller and not route.open then return refuse(request, 401, "a token or a client certificate is needed") end
  if method == "POST" then
    local status, text = read_post(request, route)
    if status then return refuse(request, status, text) end
  end
  return route[1](request)
end

return M
