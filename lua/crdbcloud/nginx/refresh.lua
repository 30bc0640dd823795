--- `keep_credentials`: a shared dictionary that follows the store, so that `credential(dict, user)` has the present
--- password after a start of nginx, after a rotation on another host and after one that was killed half way.

local board = require "crdbcloud.nginx.board"
local errors = require "crdbcloud.errors"
local names = require "crdbcloud.names"
local options = require "crdbcloud.base.options"
local printing = require "crdbcloud.base.printing"

local M = {}

local DEFAULT = 10 -- seconds between two readings of the store
local LEAST = 0.5

---@class crdbcloud.nginx.keeper
local Keeper = {}
Keeper.__index = Keeper

local ours = {} -- of this worker: dictionary and cluster

local function users_rule(value, name)
  if value == "managed" then return value end
  if type(value) == "function" then
    errors.raise("%s is a function, which cannot cross into nginx's threads", name)
  end
  local list = {}
  for i, user in ipairs(require("crdbcloud.run.rules").names(value, name)) do
    local folded, err = names.check(user)
    if not folded then errors.raise("%s[%d]: %s", name, i, err.message) end
    list[i] = folded
  end
  if #list == 0 then errors.raise('%s must be "managed" or names, got an empty list', name) end
  return list
end

local OPTIONS = { cluster = true, dict = "text", users = users_rule, every = "duration" }

-- One reading of the store. What fails leaves everything as it is.
function Keeper:refresh()
  local status = self.board:read()
  local ok, result, err = pcall(self.cluster.in_thread, self.cluster, "crdbcloud.nginx.refresh_job", "run", {
    dict = self.board.name, users = self.users, known = self.board:known(),
  })
  if not ok then result, err = nil, errors.new { kind = "server", message = "internal error: " .. tostring(result), exit = 70 } end
  ngx.update_time()
  local now = math.floor(ngx.now())
  status.every, status.worker = self.every, ngx.worker.pid()
  if result then
    if status.error then ngx.log(ngx.NOTICE, "crdbcloud keep_credentials: ", self.board.cluster, ": the store answers again") end
    self.board:write_known(result.known)
    status.users, status.problems = result.users, #result.problems > 0 and result.problems or nil
    status.read_at, status.error, status.failing_since = now, nil, nil
  else
    -- Once, not with every reading: a store may be down for hours.
    if not status.error then ngx.log(ngx.ERR, "crdbcloud keep_credentials: ", self.board.cluster, ": ", err.message) end
    status.error = { kind = err.kind, message = err.message, hint = err.hint }
    status.failing_since = status.failing_since or now
  end
  self.board:write(status)
end

-- Whoever comes first after the time is over reads for all workers.
function Keeper:look()
  if not self.board:take(self.token, math.max(LEAST, self.every) * 0.9) then return end
  self.running = true
  local ok, problem = pcall(self.refresh, self)
  self.running = false
  if not ok then ngx.log(ngx.ERR, "crdbcloud keep_credentials: ", problem) end
end

--- Keeps the credentials of a cluster's users in a shared dictionary, with their staged and previous candidates. Called in
--- init_worker_by_lua of every worker; returns at once. A store that fails leaves what is there; users that are removed go.
---@param given { cluster: table, dict: string, users?: "managed"|string|string[], every?: crdbcloud.duration }
---  cluster: a handle of crdbcloud.nginx; dict: the name of a lua_shared_dict; users: "managed" (all that have a record) or
---  names; every: "10s"
---@return crdbcloud.nginx.keeper
function M.keep_credentials(given)
  local opts = options.check(OPTIONS, given, "keep_credentials")
  local every = opts.every or DEFAULT
  if every < LEAST then errors.raise("keep_credentials: every must be 500ms or more, got %s", errors.shown(given.every)) end
  board.check_phase "keep_credentials"
  local self = setmetatable({ cluster = opts.cluster, users = opts.users or "managed", every = every }, Keeper)
  self.board = board.of(opts.dict, opts.cluster, "keep")
  local name = self.board.name .. "\0" .. self.board.cluster
  if ours[name] then errors.raise("keep_credentials: those of %s are kept already in this worker", self.board.cluster) end
  ours[name] = self
  self.token = ("%d/%s"):format(ngx.worker.pid(), require("crdbcloud.core").random_hex(8))
  self.board:enter { cluster = self.board.cluster, every = every }
  local function look(premature)
    if premature or self.running or ngx.worker.exiting() then return end
    self:look()
  end
  local ok, problem = ngx.timer.every(every, look)
  if not ok then errors.raise("keep_credentials: nginx starts no timer: %s", tostring(problem)) end
  ngx.timer.at(0, look)
  return self
end

function Keeper:__tostring()
  return printing.harmless(("crdbcloud.nginx.keeper of %s every %g s"):format(self.board.cluster, self.every))
end

--- How keeping goes; for requests. Reads the shared dictionary only.
---@param dict string
---@param cluster? string
---@return table|nil status { cluster, every, users, read_at, problems = { { user, problem } }, error = { kind, message, hint },
---  failing_since }; read_at: when the store was last read; error: why the last reading failed
---@return crdbcloud.error|nil
function M.keep_status(dict, cluster)
  local b, err = board.find(dict, cluster, "keep")
  if not b then return nil, err end
  return b:read()
end

return M
