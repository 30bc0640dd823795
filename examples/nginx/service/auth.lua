-- Who asks: a program with the token or a client certificate, or a person with a session that began with either.
--
-- A session is a random number in a cookie that scripts and other sites cannot get at; the server keeps its hash. A form
-- counts only with the session's own form token, and when its Origin, where the browser sends one, is this server.

local core = require "crdbcloud.core"

local M = {}

local COOKIE = "__Host-crdbcloud"
local LASTS = 8 * 3600 -- seconds
local MESSAGES = 20 -- seconds that the words after a form wait for their page

local sessions -- of nginx.conf
local token -- a secret

--- Reads the token; each worker does so for itself, since what is secret does not survive a fork.
---@param secret table crdbcloud.secret
---@param path string of a file that is ours alone
function M.load(secret, path)
  sessions = assert(ngx.shared.sessions, "nginx.conf needs: lua_shared_dict sessions 1m;")
  local file = assert(core.stat(path), path .. " is missing")
  assert(file.mode % 64 == 0, path .. " can be read by others: chmod 600 it")
  token = assert(secret.from_file(path))
  assert(#token >= 20, path .. " holds less than 20 characters")
end

--- Whether it is the token. The time that takes tells nothing of how much of it is right.
---@param text string|nil
---@return boolean
function M.is_token(text)
  return type(text) == "string" and #text < 1000 and token:equals(text)
end

-- The dictionary does not hold what would open a session.
local function key_of(id)
  return "session:" .. ngx.encode_base64(ngx.sha1_bin(id))
end

local function certificate()
  if ngx.var.ssl_client_verify ~= "SUCCESS" then return nil end
  return (ngx.var.ssl_client_s_dn or ""):match "CN=([^,]+)" or "a certificate"
end

--- Begins a session and sets its cookie.
---@param who string
---@return table session
function M.begin(who)
  local id, form_token = core.random_hex(32), core.random_hex(32)
  local session = { who = who, form_token = form_token, key = key_of(id) }
  assert(sessions:set(session.key, form_token .. " " .. who, LASTS))
  ngx.header["Set-Cookie"] = ("%s=%s; Path=/; Max-Age=%d; Secure; HttpOnly; SameSite=Strict"):format(COOKIE, id, LASTS)
  return session
end

--- Ends it.
function M.finish(session)
  sessions:delete(session.key)
  ngx.header["Set-Cookie"] = COOKIE .. "=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict"
end

-- The id in the cookie of exactly that name. ngx.var.cookie_NAME ignores the case, and a browser guards only "__Host-"
-- as it is written here. Two of that name do not count.
local function cookie_id()
  local id
  for name, value in (ngx.var.http_cookie or ""):gmatch "([^=;%s]+)=([^;]*)" do
    if name == COOKIE then
      if id then return nil end
      id = value:match "^(%x+)%s*$"
      if not id or #id ~= 64 then return nil end
    end
  end
  return id
end

local function session_of_cookie()
  local id = cookie_id()
  if not id then return nil end
  local key = key_of(id)
  local form_token, who = (sessions:get(key) or ""):match "^(%x+) (.*)$"
  return form_token and { who = who, form_token = form_token, key = key }
end

--- Words for the next page of this session.
---@param tone "good"|"bad"
---@param text string
function M.leave_message(session, tone, text)
  sessions:set("message:" .. session.key, tone .. " " .. text, MESSAGES)
end

---@return { tone: string, text: string }|nil
function M.take_message(session)
  local key = "message:" .. session.key
  local tone, text = (sessions:get(key) or ""):match "^(%l+) (.*)$"
  sessions:delete(key)
  return tone and { tone = tone, text = text }
end

--- Who asks, in `how` they proved it: "token", "certificate" or "session"; nil for nobody.
---@return { who: string, how: string, session: table|nil }|nil
function M.caller()
  local given = (ngx.var.http_authorization or ""):match "^[Bb]earer +(%S+)$"
  -- A wrong token is not made good by a cookie.
  if given then return M.is_token(given) and { who = "token", how = "token" } or nil end
  local session = session_of_cookie()
  if session then return { who = session.who, how = "session", session = session } end
  local name = certificate()
  return name and { who = name, how = "certificate" } or nil
end

--- Whether this request comes from another site.
---@return boolean
function M.is_foreign()
  local origin, site = ngx.var.http_origin, ngx.var.http_sec_fetch_site
  if origin and origin ~= "https://" .. (ngx.var.http_host or "") then return true end
  return site ~= nil and site ~= "same-origin" and site ~= "none"
end

--- Whether a form was filled in on a page of this session.
---@param session table
---@param fields table<string, string>
---@return boolean
function M.is_own_form(session, fields)
  return type(fields.form_token) == "string" and core.secret(session.form_token):equals(fields.form_token)
end

return M
