--- What sinks that run a program have in common: no shell, a time limit, output that is never shown.

local core = require "crdbcloud.core"
local durations = require "crdbcloud.base.durations"
local errors = require "crdbcloud.errors"
local files = require "crdbcloud.sinks.files"

local M = {}

--- Seconds that a program may take where nothing else is said.
M.TIMEOUT = 30

--- Rule for options: a program and its arguments.
function M.command(value, name)
  if type(value) ~= "table" or #value == 0 then
    errors.raise('%s: expected a list { "PROGRAM", "ARGUMENT", … }, got %s', name, errors.shown(value))
  end
  for i, word in ipairs(value) do
    if type(word) ~= "string" or word:find("\0", 1, true) or (i == 1 and word == "") then
      errors.raise("%s: expected strings, got %s as number %d", name, errors.shown(word), i)
    end
  end
  return (M.placed(value, name))
end

--- A copy with the program's path from the root on; a name without a slash is looked for in PATH. Raises for a gap:
--- a variable that is not set, say, must not become a shorter command.
---@param command string[]
---@param name string for the message
---@return string[]
function M.placed(command, name)
  local copy, given = {}, 0
  for i, word in ipairs(command) do copy[i] = word end
  for _ in pairs(command) do given = given + 1 end
  if given ~= #copy then errors.raise("%s: expected strings, got nothing as number %d", name, #copy + 1) end
  if copy[1]:find("/", 1, true) then copy[1] = files.path(copy[1], name) end
  return copy
end

--- Rule for options: a time limit; the text that was given stays, so that it can be checked again.
function M.timeout(value, name)
  durations.limit(value, name)
  return value
end

--- The words of "PROGRAM ARGUMENT …": split at blanks, nothing is quoted.
---@param text string
---@return string[]
function M.split(text)
  local words = {}
  for word in text:gmatch "%S+" do words[#words + 1] = word end
  return words
end

--- A command as people write it; an argument with blanks stands in quotes.
---@param command string[]
---@return string
function M.shown(command)
  local words = {}
  for i, word in ipairs(command) do words[i] = word:find "^[^%s'\"]+$" and word or ("%q"):format(word):gsub("\\\n", "\\n") end
  return table.concat(words, " ")
end

-- Only the kernel can follow a link to its end, so a link counts as a program.
local function may_run(path)
  local st, why = core.stat(path)
  if not st then return false, why end
  local bits = st.mode % 512
  return st.type == "symlink" or (st.type == "file" and (math.floor(bits / 64) % 2 == 1 or math.floor(bits / 8) % 2 == 1 or bits % 2 == 1))
end

--- Why the program of a command would not start.
---@param command string[]
---@return string|nil problem
function M.problem(command)
  local program = command[1]
  if program:find("/", 1, true) then
    local ok, why = may_run(program)
    return not ok and (why or program .. " is no program that may be run") or nil
  end
  for directory in (os.getenv "PATH" or "/usr/bin:/bin"):gmatch "[^:]+" do
    if may_run(directory .. "/" .. program) then return nil end
  end
  return ("there is no program %s in PATH"):format(program)
end

-- Output may hold the password, so only its size is reported.
local function sizes(result)
  return ("its output, %d bytes and %d on standard error, is not shown as it may hold the password"):format(#result.stdout, #result.stderr)
end

--- Runs a command to its end; anything but exit status 0 is a problem.
---@param command string[]
---@param stdin userdata secret
---@param env table<string, string>
---@param timeout number|string|nil
---@return true|nil
---@return string|nil problem
function M.run(command, stdin, env, timeout)
  local limit = durations.parse(timeout or M.TIMEOUT, "timeout")
  local result, why = core.run(command, { stdin = stdin, env = env, inherit = true, timeout = limit, max_output = 65536 })
  if not result then return nil, why end
  local hidden = sizes(result)
  result.stdout:close()
  result.stderr:close()
  if result.status == 0 and not result.timed_out then return true end
  if result.timed_out then return nil, ("%s took longer than %s and was stopped; %s"):format(command[1], durations.format(limit), hidden) end
  if result.status then return nil, ("%s ended with exit status %d; %s"):format(command[1], result.status, hidden) end
  if result.signal then return nil, ("%s was ended by signal %d; %s"):format(command[1], result.signal, hidden) end
  return nil, command[1] .. " ended in a way that is not known"
end

return M
