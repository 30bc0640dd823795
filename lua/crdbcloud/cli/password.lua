--- Where a password for a command comes from: a file, standard input, or a prompt without echo.

local core = require "crdbcloud.core"
local secrets = require "crdbcloud.secrets"
local session = require "crdbcloud.cli.session"

local M = {}

--- Adds the options to a command.
function M.options(command)
  command:option "--password-file":argname "FILE":description "Password, in a file with mode 0600."
  command:flag "--password-stdin":description "Password, as the one line of standard input."
  return command
end

-- One line without its newline. It is a Lua string for a moment, which cannot be wiped.
local function from_stdin()
  local line = io.stdin:read "*l"
  if not line or line == "" then return session.usage "--password-stdin: standard input holds no password" end
  if io.stdin:read(1) then return session.usage "--password-stdin: standard input holds more than one line" end
  return core.secret((line:gsub("\r$", "")))
end

--- The password that the arguments name; nil without an error when they name none.
---@param run table session
---@param ask string|nil the question, when a prompt is wanted where nothing is named
---@return userdata|nil
---@return crdbcloud.error|nil
function M.read(run, ask)
  local args = run.args
  if args.password_file and args.password_stdin then
    return session.usage "--password-file and --password-stdin exclude each other"
  end
  if args.password_file then return secrets.from_file(args.password_file) end
  if args.password_stdin then return from_stdin() end
  if not ask then return nil end
  if args.no_input or not core.is_terminal(0) then
    return session.usage("no password was given", "use --password-file FILE or --password-stdin")
  end
  local first, err = secrets.prompt(ask)
  if not first then return nil, err end
  local second
  second, err = secrets.prompt "The same again: "
  if not second then return nil, err end
  if not first:equals(second) then return session.usage "the two passwords differ" end
  return first
end

return M
