--- `file:PATH` the password alone, without a line feed, in a file of its own, 0600.

local core = require "crdbcloud.core"
local files = require "crdbcloud.sinks.files"
local leftovers = require "crdbcloud.base.leftovers"
local sinks = require "crdbcloud.sinks"

local M = {}

-- A password has 500 bytes at most. A longer file was put there for something else.
local MAX = 1024

M.fields = { path = files.path }
M.required = { "path" }
M.short = "path"

local File = {}
File.__index = File

function M.new(spec)
  return setmetatable({ path = spec.path, name = "file:" .. spec.path, target = "file:" .. spec.path }, File)
end

local function refusal(self)
  local _, why, code = core.read_file(self.path, { max = MAX, private = true })
  if code == "large" then
    return ("it has more than %d bytes, so it holds something else than a password; it is not overwritten"):format(MAX)
  end
  return code ~= "ENOENT" and why or nil
end

function File:check()
  local problem = refusal(self) or files.directory_problem(self.path)
  if problem then return nil, sinks.failed(self.name, problem) end
  return true
end

function File:holds(credential)
  local text = core.read_file(self.path, { max = MAX, private = true })
  return text ~= nil and text:equals(credential.password)
end

function File:publish(credential)
  local problem = refusal(self)
  if problem then return nil, sinks.failed(self.name, problem) end
  leftovers.sweep(self.path) -- the user is ours, and its file is no other's
  local ok, why = core.write_file(self.path, credential.password)
  if not ok then return nil, sinks.failed(self.name, why) end
  return true
end

function File:remove()
  local problem = refusal(self)
  local ok = not problem
  if ok then ok, problem = files.unlink(self.path) end
  if not ok then return nil, sinks.failed(self.name, problem) end
  return true
end

return M
