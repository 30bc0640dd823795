--- `pgpass:PATH` a line of libpq's password file; other lines stay as they are.

local core = require "crdbcloud.core"
local files = require "crdbcloud.sinks.files"
local sinks = require "crdbcloud.sinks"

local M = {}

local MAX = 1024 * 1024 -- bytes of an existing file

M.fields = { path = files.path }
M.required = { "path" }
M.short = "path"

local Pgpass = {}
Pgpass.__index = Pgpass

function M.new(spec, _, user)
  -- One file holds many users; a line belongs to one.
  return setmetatable({ path = spec.path, name = "pgpass:" .. spec.path, target = "pgpass:" .. spec.path .. ":" .. user }, Pgpass)
end

function Pgpass:check(credential)
  local _, why = files.read(self.path, MAX)
  if why then return nil, sinks.failed(self.name, why) end
  if not credential.host or not credential.port then
    return nil, sinks.failed(self.name, "the cluster's SQL address is not known")
  end
  for _, field in ipairs { "host", "user" } do
    -- libpq has no way to write a line break into a field.
    if credential[field]:find("[\r\n]") then
      return nil, sinks.failed(self.name, "a " .. field .. " with a line break does not fit into the file")
    end
  end
  if not pcall(credential.password.encode, credential.password, "pgpass") then
    return nil, sinks.failed(self.name, "a password with a line break or a NUL byte does not fit into the file")
  end
  why = files.directory_problem(self.path)
  if why then return nil, sinks.failed(self.name, why) end
  return true
end

-- The file as it would be with the entry's password, or without the entry.
local function changed(text, credential, password)
  local place = { host = credential.host, port = ("%d"):format(credential.port), database = "*", user = credential.user }
  return core.pgpass_update(text, place, password)
end

function Pgpass:holds(credential)
  local text = files.read(self.path, MAX)
  if not text or not credential.host or not credential.port then return false end
  return changed(text, credential, credential.password):equals(text)
end

local function write(self, credential, password)
  local ok, why = files.locked(self.path, function()
    local text, problem = files.read(self.path, MAX)
    if problem then return nil, problem end
    if not text and not password then return true end
    return core.write_file(self.path, changed(text, credential, password))
  end)
  if not ok then return nil, sinks.failed(self.name, why) end
  return true
end

function Pgpass:publish(credential) return write(self, credential, credential.password) end

function Pgpass:remove(credential)
  if not credential.host or not credential.port then return nil, sinks.failed(self.name, "the cluster's SQL address is not known") end
  return write(self, credential, false)
end

return M
