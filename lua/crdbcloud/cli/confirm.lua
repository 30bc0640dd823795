--- Asks before something is changed that cannot be taken back.

local core = require "crdbcloud.core"
local printing = require "crdbcloud.base.printing"
local session = require "crdbcloud.cli.session"

local M = {}

local function can_ask(run)
  return not run.args.no_input and core.is_terminal(0) and core.is_terminal(2)
end

local function answer(text)
  printing.say(io.stderr, text)
  io.stderr:flush()
  local line = io.stdin:read "*l"
  return line and line:match "^%s*(.-)%s*$" or ""
end

local function refused(message)
  return session.usage(message)
end

--- A question for one user, answered with y or --yes.
---@param run table session
---@param question string
---@return true|nil
---@return crdbcloud.error|nil
function M.yes(run, question)
  if run.args.yes then return true end
  if not can_ask(run) then return refused(question .. " Not confirmed: no terminal to ask on; give --yes") end
  if answer(question .. " [y/N] "):lower():match "^y" then return true end
  return refused "not confirmed; nothing was changed"
end

--- A change of several users: the cluster's name is typed, or given with --confirm; --yes will do as well.
---@param run table session
---@param what string what is going to happen
---@param cluster string its name
---@return true|nil
---@return crdbcloud.error|nil
function M.cluster(run, what, cluster)
  if run.args.confirm then
    if run.args.confirm == cluster then return true end
    return refused(("--confirm %s is not the cluster %s; nothing was changed"):format(run.args.confirm, cluster))
  end
  if run.args.yes then return true end
  if not can_ask(run) then
    return refused(("%s Not confirmed: no terminal to ask on; give --confirm %s or --yes"):format(what, cluster))
  end
  if answer(("%s Type the cluster's name (%s) to go on: "):format(what, cluster)) == cluster then return true end
  return refused "not confirmed; nothing was changed"
end

--- Adds --yes, and --confirm where several users may be meant.
function M.options(command, several)
  command:flag "-y --yes":description "Do not ask."
  if several then command:option "--confirm":argname "CLUSTER":description "The cluster's name, instead of typing it." end
  return command
end

return M
