--- `dotenv:PATH` a variable in an environment file; all other lines stay as they are.
--
-- `{ "dotenv", path = PATH, key = "{USER}_PASSWORD", dialect = "posix" }`. A file is
-- read by one program, and each has its own rules (csrc/files/dotenv.h):
--   posix    a shell that sources it (the default)
--   docker   docker run --env-file
--   systemd  EnvironmentFile= of a unit
-- What the dialect cannot hold exactly is refused before anything is staged.

local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local files = require "crdbcloud.sinks.files"
local sinks = require "crdbcloud.sinks"

local M = {}

local MAX = 1024 * 1024 -- bytes of an existing file

local READERS = { posix = "a shell", docker = "docker --env-file", systemd = "systemd" }

local function dialect(value, name)
  if not READERS[value] then
    errors.raise('%s: expected "posix", "docker" or "systemd", got %s', name, errors.shown(value))
  end
  return value
end

M.fields = { path = files.path, key = "text", dialect = dialect }
M.required = { "path" }
M.short = "path"

local Dotenv = {}
Dotenv.__index = Dotenv

---@param spec { path: string, key: string?, dialect: string? } placeholders filled in, but in a default
---@param fill fun(text: string): string fills in placeholders
function M.new(spec, fill)
  local key = spec.key or fill "{USER}_PASSWORD"
  return setmetatable({
    path = spec.path, key = key, dialect = spec.dialect or "posix",
    name = "dotenv:" .. spec.path .. "#" .. key,
    target = "dotenv:" .. spec.path .. ":" .. key, -- one file holds many variables
  }, Dotenv)
end

-- Whether the reader takes these characters at all.
local function characters_problem(self, password)
  if self.dialect == "posix" then return nil end
  local problem = core.password_problem(password)
  if problem == "utf8" then return ("the password is not UTF-8, which %s refuses"):format(READERS[self.dialect]) end
  if problem == "control" and self.dialect == "systemd" then return "the password has a control character, which systemd refuses" end
  return nil
end

-- The file as it would be.
local function changed(self, credential)
  if not self.key:find "^[%a_][%w_]*$" then
    return nil, ("%s is no name of a variable; name one: key = \"…\""):format(errors.shown(self.key))
  end
  local problem = characters_problem(self, credential.password)
  if problem then return nil, problem end
  local text
  text, problem = files.read(self.path, MAX)
  if problem then return nil, problem end
  return core.dotenv_update(text, { key = self.key, dialect = self.dialect, epoch = credential.epoch }, credential.password)
end

function Dotenv:check(credential)
  local problem = files.directory_problem(self.path)
  if problem then return nil, sinks.failed(self.name, problem) end
  local ok, why = changed(self, credential)
  if not ok then return nil, sinks.failed(self.name, why) end
  return true
end

function Dotenv:holds(credential)
  local text, wanted = files.read(self.path, MAX), changed(self, credential)
  return text ~= nil and wanted ~= nil and wanted:equals(text)
end

function Dotenv:publish(credential)
  local ok, why = files.locked(self.path, function()
    local text, problem = changed(self, credential)
    if not text then return nil, problem end
    return core.write_file(self.path, text)
  end)
  if not ok then return nil, sinks.failed(self.name, why) end
  return true
end

function Dotenv:remove(credential)
  local ok, why = files.locked(self.path, function()
    local text, problem = files.read(self.path, MAX)
    if not text then return not problem or nil, problem end
    text, problem = core.dotenv_update(text, { key = self.key, dialect = self.dialect, epoch = credential.epoch }, false)
    if not text then return nil, problem end
    return core.write_file(self.path, text)
  end)
  if not ok then return nil, sinks.failed(self.name, why) end
  return true
end

return M
