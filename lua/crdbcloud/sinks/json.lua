--- `json:PATH` one credential as a JSON object in a file of its own, 0600.

local cjson = require("cjson.safe").new()
local core = require "crdbcloud.core"
local files = require "crdbcloud.sinks.files"
local json = require "crdbcloud.base.json"
local leftovers = require "crdbcloud.base.leftovers"
local sinks = require "crdbcloud.sinks"

local M = {}

local WRITTEN = require("crdbcloud.credential").WRITTEN
local MAX = 64 * 1024 -- bytes of an existing file

local Json = {}
Json.__index = Json

M.fields = { path = files.path }
M.required = { "path" }
M.short = "path"
M.tells_user = true

function M.new(spec)
  return setmetatable({ path = spec.path, name = "json:" .. spec.path, target = "file:" .. spec.path }, Json)
end

--- Reads a file that this sink wrote.
---@param path string
---@return table|nil fields with `password` as a secret
---@return string|nil problem
---@return string|nil code "ENOENT" when there is no such file
function M.read(path)
  local text, why, code = core.read_file(path, { max = MAX, private = true })
  if not text then return nil, why, code end
  local rest, found = core.json_take(text, { "password" })
  text:close()
  if not rest then return nil, found, "foreign" end
  local fields = cjson.decode(rest)
  if type(fields) ~= "table" or not found.password or type(fields.user) ~= "string" then
    return nil, path .. " is no credential written by a json sink", "foreign"
  end
  fields = json.clean(fields)
  fields.password = found.password
  return fields
end

-- Why the file may not be replaced: it must be ours, for the same user, and not newer.
local function refusal(self, credential)
  local old, why, code = M.read(self.path)
  if not old then
    if code == "ENOENT" then return nil end
    return why .. "; it is not overwritten"
  end
  if (old.pair or old.user) ~= (credential.pair or credential.user) or old.cluster_id ~= credential.cluster_id then
    return ("it holds the credential of another user (%s)"):format(old.user)
  end
  if (old.epoch or 0) > credential.epoch then
    return ("it holds epoch %d, which is newer than %d"):format(old.epoch, credential.epoch)
  end
  return nil
end

function Json:check(credential)
  local problem = refusal(self, credential)
  if problem then return nil, sinks.failed(self.name, problem) end
  problem = files.directory_problem(self.path)
  if problem then return nil, sinks.failed(self.name, problem) end
  return true
end

function Json:holds(credential)
  local old = M.read(self.path)
  return old ~= nil and refusal(self, credential) == nil and old.user == credential.user and old.epoch == credential.epoch
    and old.password:equals(credential.password)
end

function Json:publish(credential)
  local problem = refusal(self, credential)
  if problem then return nil, sinks.failed(self.name, problem) end
  local parts = json.members(credential, WRITTEN)
  table.insert(parts, 1, "{")
  parts[#parts + 1] = '"password":"'
  parts[#parts + 1] = credential.password:encode("json")
  parts[#parts + 1] = '"}\n'
  leftovers.sweep(self.path) -- the user is ours, and its file is no other's
  local ok, why = core.write_file(self.path, core.secret_join(parts))
  if not ok then return nil, sinks.failed(self.name, why) end
  return true
end

function Json:remove(credential)
  local problem = refusal(self, credential)
  local ok = not problem
  if ok then ok, problem = files.unlink(self.path) end
  if not ok then return nil, sinks.failed(self.name, problem) end
  return true
end

return M
