--- `command:PROGRAM ARGUMENT …` hands the credential to a program, for anything that has one.
--
-- `{ "command", command = { "PROGRAM", "ARGUMENT", … }, timeout = "30s" }`. The
-- password comes on standard input, exactly, without a line feed; the rest in
-- CRDBCLOUD_USER, _EPOCH, _CLUSTER, _CLUSTER_ID, _HOST, _PORT, _DATABASE and
-- _SSLMODE. No shell is between. Exit status 0 means published; the same epoch may
-- come again. What the program prints is never shown. Recipes: examples/sinks/.

local programs = require "crdbcloud.sinks.programs"
local sinks = require "crdbcloud.sinks"

local M = {}

M.fields = { command = programs.command, timeout = programs.timeout }
M.required = { "command" }
M.usage = "PROGRAM"
M.tells_user = true

--- What stands after "command:".
function M.short(text)
  return { command = programs.split(text) }
end

local Command = {}
Command.__index = Command

function M.new(spec, _, user)
  local shown = programs.shown(spec.command)
  return setmetatable({
    command = spec.command, timeout = spec.timeout, name = "command:" .. shown,
    target = "command:" .. shown .. ":" .. user, -- which user it is, the program is told
  }, Command)
end

local function environment(credential)
  local env = {}
  for _, field in ipairs { "user", "epoch", "cluster", "cluster_id", "host", "port", "database", "sslmode" } do
    local value = credential[field]
    if type(value) == "number" then value = ("%d"):format(value) end
    env["CRDBCLOUD_" .. field:upper()] = value or nil
  end
  return env
end

function Command:check()
  local problem = programs.problem(self.command)
  if problem then return nil, sinks.failed(self.name, problem) end
  return true
end

function Command:publish(credential)
  local ok, why = programs.run(self.command, credential.password, environment(credential), self.timeout)
  if not ok then return nil, sinks.failed(self.name, why) end
  return true
end

return M
