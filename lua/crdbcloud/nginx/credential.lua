--- Credentials for requests: read from a shared dictionary, without I/O, and tried until one works.

local call = require "crdbcloud.nginx.call"
local credentials = require "crdbcloud.credentials"
local dicts = require "crdbcloud.nginx.dict"
local errors = require "crdbcloud.errors"
local names = require "crdbcloud.names"
local options = require "crdbcloud.base.options"

local M = {}

local function dictionary(dict, what)
  if type(dict) ~= "string" and type(dict) ~= "table" or dict == "" then
    errors.raise("%s: dict must be the name of a lua_shared_dict, got %s", what, errors.shown(dict))
  end
  local shm, problem, hint = dicts.find(dict)
  if shm then return shm end
  return nil, errors.new { kind = "invalid_argument", operation = "credential", outcome = "not_sent", message = problem, hint = hint, reason = "dict" }
end

local function read(dict, user, cluster, what)
  if type(user) ~= "string" then errors.raise("%s: user must be the name of a SQL user, got %s", what, errors.shown(user)) end
  local shm, err = dictionary(dict, what)
  if not shm then return nil, err end
  local folded
  folded, err = names.check(user)
  if not folded then return nil, err end
  return dicts.get(shm, folded, cluster)
end

--- The credential of a user as it stands in a shared dictionary; allowed in every phase.
---@param dict string|table name of a lua_shared_dict, or the dictionary
---@param user string
---@param opts { cluster: string }|nil name or id of the cluster, where the dictionary has the user of several
---@return crdbcloud.credential|nil
---@return crdbcloud.error|nil
function M.credential(dict, user, opts)
  local given = options.check({ cluster = "text" }, opts, "credential")
  return read(dict, user, given.cluster, "credential")
end

--- Connects with the first password that works; in between other requests go on.
---@param get fun(): crdbcloud.credential|nil, crdbcloud.error|nil
---@param connect fun(credential: crdbcloud.credential): any
---@param opts table|nil { deadline = "10s" }
---@return any conn
---@return any err
function M.connect(get, connect, opts)
  local err = call.misplaced "connect_with"
  if err then return nil, err end
  return credentials.connect_with(get, connect, opts, ngx.sleep)
end

--- The same with the credential in a shared dictionary. A wrong password, which pgmoon tells by its text alone, moves on
--- to the next candidate and then reads the dictionary again until the deadline; any other failure is returned at once.
---@param dict string|table
---@param user string
---@param connect fun(credential: crdbcloud.credential): any its pool should be named credential.pool_name, so that a
---  rotation drains old connections
---@param opts { deadline: string, cluster: string }|nil deadline: default 10s
---@return any conn
---@return any err the connection's own last error, or ours
function M.connect_with(dict, user, connect, opts)
  local given = options.check({ deadline = "limit", cluster = "text" }, opts, "connect_with")
  return M.connect(function() return read(dict, user, given.cluster, "connect_with") end, connect,
    { deadline = opts and opts.deadline })
end

return M
