--- Commands around a run: `before` may stop it, `after` tells applications that
--- something was published. Argument lists, no shell, a time limit; a command
--- that fails never takes a good password back.

local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local programs = require "crdbcloud.sinks.programs"

local M = {}

M.TIMEOUT = 300 -- seconds
local LONGEST = 65536 -- bytes; the kernel refuses a longer variable of the environment

--- An argument list; raises for anything else.
function M.rule(value, name)
  if type(value) ~= "table" or #value == 0 then
    errors.raise('%s must be a list such as { "systemctl", "reload", "app" }, got %s', name, errors.shown(value))
  end
  for key, item in pairs(value) do
    if type(key) ~= "number" or type(item) ~= "string" or item:find("%z") then
      errors.raise("%s must hold strings only, got %s", name, errors.shown(item))
    end
  end
  return (programs.placed(value, name))
end

--- Runs a command once.
---@param ctx table
---@param which "before"|"after"
---@param command string[]
---@param users string[] that were published, or are about to be worked on
---@return true|nil
---@return crdbcloud.error|nil err kind "hook"
function M.run(ctx, which, command, users)
  ctx:progress { step = which, text = ("running `%s`"):format(command[1]) }
  local list = table.concat(users, ",")
  local result, why = core.run(command, {
    timeout = M.TIMEOUT,
    env = {
      CRDBCLOUD_RUN_ID = ctx.run_id, CRDBCLOUD_CLUSTER = ctx.name, CRDBCLOUD_USER_COUNT = ("%d"):format(#users),
      CRDBCLOUD_USERS = #list <= LONGEST and list or "*", -- *: more than fit
    },
  })
  local problem
  if not result then
    problem = why
  elseif result.timed_out then
    problem = ("did not end within %g s"):format(M.TIMEOUT)
  elseif result.signal then
    problem = ("was ended by signal %d"):format(result.signal)
  elseif result.status ~= 0 then
    problem = result.status and ("ended with %d"):format(result.status) or "ended in a way that is not known"
  end
  ctx.hooks = ctx.hooks or {}
  ctx.hooks[which] = { command = command[1], status = result and result.status, error = problem }
  if not problem then return true end
  return nil, errors.new {
    kind = "hook", operation = which, outcome = which == "before" and "not_sent" or "applied", exit = 6,
    message = ("the %s command `%s` %s"):format(which, command[1], problem),
    hint = which == "after" and "the passwords are changed and published; `crdbcloud rotate resume` runs it again" or nil,
  }
end

return M
