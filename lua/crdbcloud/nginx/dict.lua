--- Credentials in a shared dictionary of nginx: keys, and the text that stands there.
--
-- A dictionary holds strings that every worker can read and nothing wipes, so the password is in the clear there: that is
-- what a person asks for who names one. Writing a credential throws out nothing for want of room: it fails instead.
--
--   crdbcloud/credential/USER/CLUSTER_ID       the credential
--   crdbcloud/credential/USER/CLUSTER_ID/lock  there while somebody writes it
--   crdbcloud/clusters/USER/N                  a cluster id, N from 1 on without a gap: where USER may be found

local cjson = require("cjson.safe").new()
local core = require "crdbcloud.core"
local credentials = require "crdbcloud.credential"
local errors = require "crdbcloud.errors"
local json = require "crdbcloud.base.json"

local M = {}

local MOST = 16 -- candidates of one credential
local HELD = 1 -- seconds; a writer that died is forgotten after this
local TRIES = 120 -- of 10 ms each to become the writer

local PASSWORDS = { "password" }
for i = 1, MOST do PASSWORDS[i + 1] = "password_" .. i end

local function key_of(user, cluster_id) return ("crdbcloud/credential/%s/%s"):format(user, cluster_id) end
local function index_of(user, i) return ("crdbcloud/clusters/%s/%d"):format(user, i) end

--- The dictionary of this name.
---@param dict string|table as of ngx.shared
---@return table|nil
---@return string|nil problem
---@return string|nil hint
function M.find(dict)
  if type(dict) == "table" and type(dict.get) == "function" then return dict end
  local ngx = rawget(_G, "ngx")
  if not ngx or not ngx.shared then
    return nil, "shared dictionaries exist in nginx only, in its workers and their threads", 'use it through require "crdbcloud.nginx"'
  end
  local shm = ngx.shared[dict]
  if shm then return shm end
  return nil, ("nginx has no shared dictionary %s"):format(tostring(dict)),
    ("put \"lua_shared_dict %s 1m;\" into the http block of nginx.conf"):format(tostring(dict))
end

--- A credential as text, for the dictionary alone.
---@param credential crdbcloud.credential
---@return crdbcloud.secret
function M.encode(credential)
  local parts, list = json.members(credential, credentials.WRITTEN), {}
  table.insert(parts, 1, "{")
  local function add(name, password)
    parts[#parts + 1] = ('"%s":"'):format(name)
    parts[#parts + 1] = password:encode "json"
    parts[#parts + 1] = '",'
  end
  add("password", credential.password)
  for i, candidate in ipairs(credential.candidates or {}) do
    if i > MOST then break end
    list[i] = { epoch = candidate.epoch, source = candidate.source, user = candidate.user }
    add("password_" .. i, candidate.password)
  end
  parts[#parts + 1] = ('"candidates":%s}'):format(#list > 0 and cjson.encode(list) or "[]")
  return core.secret_join(parts)
end

--- The credential that M.encode made a text of.
---@param text string
---@return crdbcloud.credential|nil
function M.decode(text)
  local rest, found = core.json_take(core.secret(text), PASSWORDS)
  local fields = rest and cjson.decode(rest)
  if type(fields) ~= "table" or not found.password or type(fields.user) ~= "string" then return nil end
  local made = json.clean(fields)
  made.password = found.password
  if type(made.candidates) ~= "table" then made.candidates = {} end
  for i, candidate in ipairs(made.candidates) do candidate.password = found["password_" .. i] end
  if #made.candidates == 0 then made.candidates[1] = { epoch = made.epoch, source = "current", password = made.password } end
  return setmetatable(made, credentials.CLASS)
end

-- What a dictionary says to a safe_add or safe_set that failed, in words.
local function refused(why)
  return nil, why == "no memory" and "it has no room left; make it larger" or tostring(why), why
end

-- Waits as its surroundings allow: a thread sleeps, the event loop does not. A dictionary goes by the time that nginx
-- last looked at, which may be long ago while a worker has nothing else to do. Gives what stands under the key while it
-- is ours: a writer that was stopped for longer than HELD has lost it.
local function hold(shm, key)
  local ngx, mark = rawget(_G, "ngx"), core.random_hex(8)
  for _ = 1, TRIES do
    local ok, why = shm:safe_add(key, mark, HELD)
    if ok then return mark end
    if why ~= "exists" then return refused(why) end
    if ngx and ngx.sleep then break end
    core.sleep(0.01)
    if ngx and ngx.update_time then ngx.update_time() end
  end
  return nil, "another thread writes it", "held"
end

-- The list of clusters that a user is of grows only.
local function enlist(shm, user, cluster_id)
  local i = 1
  while true do
    local known = shm:get(index_of(user, i))
    if known == cluster_id then return true end
    if not known then
      local ok, why = shm:safe_add(index_of(user, i), cluster_id)
      if ok then return true end
      if why ~= "exists" then return refused(why) end
    else
      i = i + 1
    end
  end
end

local function write(shm, key, user, credential, is_held)
  local before = shm:get(key)
  local old = before and M.decode(before)
  -- A user that was removed and made again counts from 1, but later.
  if old and old.epoch > credential.epoch and (old.set_at or 0) >= (credential.set_at or 0) then
    return nil, ("it holds epoch %d, which is newer than %d"):format(old.epoch, credential.epoch), "newer"
  end
  local text = M.encode(credential):reveal()
  if text == before then return true end
  -- What is not listed is not found, so that comes first.
  local ok, why, code = enlist(shm, user, credential.cluster_id)
  if not ok then return nil, why, code end
  if not is_held() then return nil, "another thread writes it", "held" end
  ok, why = shm:safe_set(key, text)
  if not ok then return refused(why) end
  return true
end

--- Writes a credential, unless a newer one is there.
---@param shm table
---@param credential crdbcloud.credential
---@return true|nil
---@return string|nil problem
---@return "newer"|"held"|"no memory"|string|nil code held: another thread writes it at this moment
function M.put(shm, credential)
  local user = credential.pair or credential.user
  local key = key_of(user, credential.cluster_id)
  local lock = key .. "/lock"
  local mark, why, code = hold(shm, lock)
  if not mark then return nil, why, code end
  local function is_held() return shm:get(lock) == mark end
  local ok, done
  ok, done, why, code = pcall(write, shm, key, user, credential, is_held)
  if is_held() then shm:delete(lock) end
  if not ok then error(done, 0) end
  return done, why, code
end

--- Forgets a credential.
---@param shm table
---@param user string
---@param cluster_id string
function M.remove(shm, user, cluster_id)
  shm:delete(key_of(user, cluster_id))
end

local function not_found(user, cluster)
  return nil, errors.new {
    kind = "not_found", operation = "credential",
    message = ("the shared dictionary holds no credential of %s%s"):format(user, cluster and " on " .. cluster or ""),
    hint = 'crdbcloud.keep_credentials{...} in init_worker_by_lua fills it from the store, a sink "shared:DICT" with each rotation',
  }
end

--- Reads a credential; no I/O.
---@param shm table
---@param user string folded
---@param cluster string|nil name or id; needed where the dictionary has the user of several
---@return crdbcloud.credential|nil
---@return crdbcloud.error|nil
function M.get(shm, user, cluster)
  local text = cluster and shm:get(key_of(user, cluster))
  local found = text and M.decode(text)
  if found then return found end
  local i, id = 1, shm:get(index_of(user, 1))
  while id do
    text = shm:get(key_of(user, id))
    local one = text and M.decode(text)
    if one and (not cluster or one.cluster == cluster) then
      if found then
        return nil, errors.new {
          kind = "conflict", operation = "credential",
          message = ("the shared dictionary holds %s of two clusters (%s, %s)"):format(user, found.cluster or found.cluster_id,
            one.cluster or one.cluster_id),
          hint = "say which: { cluster = NAME }",
        }
      end
      found = one
    end
    i = i + 1
    id = shm:get(index_of(user, i))
  end
  if found then return found end
  return not_found(user, cluster)
end

return M
