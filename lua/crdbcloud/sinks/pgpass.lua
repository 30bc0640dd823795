--- `pgpass:PATH` a line of libpq's password file; other lines stay as they are.

local core = require "crdbcloud.core"
local leftovers = require "crdbcloud.leftovers"
local sinks = require "crdbcloud.sinks"

local M = {}

local MAX = 1024 * 1024 -- bytes of an existing file
local WAIT = 10 -- seconds for another writer of the same file

local Pgpass = {}
Pgpass.__index = Pgpass

function M.new(path, user)
  -- One file holds many users; a line belongs to one.
  return setmetatable({ path = path, target = "pgpass:" .. path .. ":" .. user }, Pgpass)
end

local function read(self)
  local text, why, code = core.read_file(self.path, { max = MAX, private = true })
  if text or code == "ENOENT" then return text end
  return nil, why
end

function Pgpass:check(credential)
  local _, why = read(self)
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
  local directory = self.path:match("^(.*)/[^/]*$") or "."
  local st
  st, why = core.stat(directory == "" and "/" or directory)
  if not st or st.type ~= "directory" then
    return nil, sinks.failed(self.name, why or directory .. " is not a directory")
  end
  return true
end

-- Two processes may publish two users into one file at the same moment.
local function locked(self, fn)
  local give_up = core.monotonic() + WAIT
  while true do
    local lock, why, code = core.lock(self.path .. ".lock", "")
    if lock then
      local ok, a, b = pcall(fn)
      lock:close()
      if not ok then error(a, 0) end
      return a, b
    end
    if code ~= "busy" or core.monotonic() > give_up then return nil, why end
    core.sleep(0.01)
  end
end

function Pgpass:publish(credential)
  local ok, why = locked(self, function()
    leftovers.sweep(self.path)
    local text, problem = read(self)
    if problem then return nil, problem end
    local place = {
      host = credential.host,
      port = ("%d"):format(credential.port),
      database = "*",
      user = credential.user,
    }
    return core.write_file(self.path, core.pgpass_update(text, place, credential.password))
  end)
  if not ok then return nil, sinks.failed(self.name, why) end
  return true
end

return M
