--- What the workers of a host tell each other of a schedule, in a shared dictionary; also in thread states.
--
-- Per kind ("schedule", "keep") and cluster, under "crdbcloud:KIND:CLUSTER:":
--   status   JSON; written by whoever holds the run alone
--   holder   who runs; lives for HOLD seconds and is written anew while the run goes on
--   asked    a list of JSON: runs that somebody wants now
--   progress JSON; how far the run is, written in its thread
--   known    JSON; whose credentials are kept
-- None of it is secret. "crdbcloud:KIND" lists the clusters.

local cjson = require("cjson.safe").new()
local dicts = require "crdbcloud.nginx.dict"
local errors = require "crdbcloud.errors"

local M = {}

M.HOLD = 10 -- seconds that a holder's sign of life is believed

local MAX_ASKED = 100

---@class crdbcloud.nginx.board
---@field name string of the dictionary
---@field cluster string as the handle was given it
---@field shm table
local Board = {}
Board.__index = Board

local function new(name, shm, cluster, kind)
  return setmetatable({ name = name, shm = shm, cluster = cluster, prefix = ("crdbcloud:%s:%s:"):format(kind, cluster) }, Board)
end

local function decoded(text)
  local value = text and cjson.decode(text)
  return type(value) == "table" and value or nil
end

--- Raises unless the call stands where a worker begins.
---@param what string
function M.check_phase(what)
  local phase = ngx.get_phase()
  if phase == "init_worker" or phase == "timer" then return end
  errors.raise("%s{...} is called in init_worker_by_lua_block, once in each worker; this is the phase %s", what, phase)
end

--- The board of a cluster; raises for a dictionary that is not there and for what is no handle.
---@param name string|nil of the dictionary
---@param cluster table|nil
---@param kind string
---@return crdbcloud.nginx.board
function M.of(name, cluster, kind)
  if name == nil then errors.raise("%s: dict is missing: the name of a lua_shared_dict", kind) end
  local shm, problem, hint = dicts.find(tostring(name))
  if not shm then errors.raise("%s: %s; %s", kind, problem, hint) end
  if type(cluster) ~= "table" or type(cluster.in_thread) ~= "function" then
    errors.raise('%s: cluster must be a handle of crdbcloud.nginx (cloud:cluster "NAME"), got %s', kind, errors.shown(cluster))
  end
  return new(name, shm, cluster.name_or_id or os.getenv "CRDBCLOUD_CLUSTER" or "CRDBCLOUD_CLUSTER", kind)
end

local function refused(message, hint, kind)
  return nil, errors.new { kind = kind or "invalid_argument", outcome = "not_sent", message = message, hint = hint }
end

--- The board of a cluster that a worker has entered.
---@param name string
---@param cluster? string
---@param kind string
---@return crdbcloud.nginx.board|nil
---@return crdbcloud.error|nil
function M.find(name, cluster, kind)
  local shm, problem, hint = dicts.find(tostring(name))
  if not shm then return refused(problem, hint) end
  local known = decoded(shm:get("crdbcloud:" .. kind)) or {}
  if cluster == nil and #known > 1 then
    return refused(("several clusters are known here: %s"):format(table.concat(known, ", ")), "say which one")
  end
  for _, one in ipairs(known) do
    if cluster == nil or cluster == one then return new(name, shm, one, kind) end
  end
  return refused(("nothing is known of %s here"):format(cluster or "any cluster"),
    kind == "schedule" and "crdbcloud.schedule{...} in init_worker_by_lua_block starts it"
      or "crdbcloud.keep_credentials{...} in init_worker_by_lua_block starts it", "not_found")
end

--- The name of an entry in the dictionary.
---@param entry string
---@return string
function Board:key(entry) return self.prefix .. entry end

-- how: "set" throws out what was used longest ago when there is no room, "safe_set" does not.
local function put(self, entry, value, how)
  local text = assert(cjson.encode(value))
  local ok, problem, others_gone = self.shm[how](self.shm, self:key(entry), text)
  if ok and not others_gone then return true end
  if ngx.log then
    ngx.log(ngx.ERR, "crdbcloud: lua_shared_dict ", self.name, " is too small", problem and ": " .. problem or "")
  end
  return ok
end

--- Makes the cluster known, with a first status where it has none.
---@param status table
function Board:enter(status)
  self.shm:add(self:key "status", cjson.encode(status))
  local list_key = self.prefix:match "^crdbcloud:%l+"
  local known = decoded(self.shm:get(list_key)) or {}
  for _, one in ipairs(known) do
    if one == self.cluster then return end
  end
  known[#known + 1] = self.cluster
  self.shm:set(list_key, cjson.encode(known))
end

---@return table
function Board:read() return decoded(self.shm:get(self:key "status")) or { cluster = self.cluster } end

---@param status table
function Board:write(status) return put(self, "status", status, "set") end

--- What the keeper has put into the dictionary: user -> cluster id. It is long where there are many users, and no
--- credential goes for its sake.
---@return table<string, string>
function Board:known() return decoded(self.shm:get(self:key "known")) or {} end

---@param known table<string, string>
function Board:write_known(known) return put(self, "known", known, "safe_set") end

-- Entries live by the wall clock. A sign of life that would count for longer than any is given for is from before that
-- was set back, and nobody may have been there since.
local function forget_future(self, seconds)
  local left = self.shm:ttl(self:key "holder")
  if left and left > seconds + 1 then self.shm:delete(self:key "holder") end
end

---@return boolean
function Board:is_alive()
  forget_future(self, M.HOLD)
  return self.shm:get(self:key "holder") ~= nil
end

--- Takes the run, unless somebody has it.
---@param token string of this worker
---@param seconds? number how long a single sign of life counts; default M.HOLD
---@return boolean
function Board:take(token, seconds)
  forget_future(self, seconds or M.HOLD)
  return (self.shm:add(self:key "holder", token, seconds or M.HOLD)) == true
end

--- Shows that whoever took the run lives. A run that another worker has taken over stays with that one.
function Board:beat(token)
  local key = self:key "holder"
  local holder = self.shm:get(key)
  if holder == token then
    self.shm:set(key, token, M.HOLD)
  elseif not holder then
    self.shm:add(key, token, M.HOLD)
  end
end

function Board:leave(token)
  local key = self:key "holder"
  if self.shm:get(key) == token then self.shm:delete(key) end
end

--- Asks for a run.
---@return true|nil
---@return crdbcloud.error|nil
function Board:ask(ask)
  if self:count_asked() >= MAX_ASKED then
    return refused(("%d runs are asked for already"):format(MAX_ASKED), "wait until they are done", "busy")
  end
  local length, problem = self.shm:rpush(self:key "asked", assert(cjson.encode(ask)))
  if length then return true end
  return refused(("lua_shared_dict %s takes no more: %s"):format(self.name, problem), "make it larger", "busy")
end

---@return integer
function Board:count_asked() return self.shm:llen(self:key "asked") or 0 end

---@return boolean
function Board:is_asked() return self:count_asked() > 0 end

--- Takes all that is asked for, after what an earlier run has left of it; each selection of users once, at its latest time.
---@param left table[]|nil
---@return { users: string|string[], at: integer, reason: string|nil }[]
function Board:take_asked(left)
  local list, places = {}, {}
  local function add(ask)
    local id = type(ask.users) == "table" and table.concat(ask.users, "\0") or "\0" .. tostring(ask.users)
    local place = places[id] or #list + 1
    places[id], list[place] = place, ask
  end
  for _, ask in ipairs(left or {}) do add(ask) end
  for _ = 1, MAX_ASKED do
    local text = self.shm:lpop(self:key "asked")
    if not text then break end
    local ask = decoded(text)
    if ask then add(ask) end
  end
  return list
end

---@return table|nil { at, operation, run_id, step, user, index, total, result, text }
function Board:progress() return decoded(self.shm:get(self:key "progress")) end

return M
