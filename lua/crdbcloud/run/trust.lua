--- Which commands of a record may be run. Where others than us write to the store and nothing seals its records, any of
--- them could have put a command there; it would run as the user who resumes.

local errors = require "crdbcloud.errors"
local programs = require "crdbcloud.sinks.programs"
local sinks = require "crdbcloud.sinks"

local M = {}

--- Whether only we can have written a store's records.
---@param store { shared: boolean|nil, sealed: boolean|nil }
---@return boolean
function M.records(store)
  return not store.shared or store.sealed == true
end

local function same(one, other)
  if not other or #one ~= #other then return false end
  for i, word in ipairs(one) do
    if word ~= other[i] then return false end
  end
  return true
end

local WHY = "it stands in a record only, and whoever may write to the shared store, which is not sealed, could have put it there"

--- Why the `after` command of a record is not run; nil where it may be. The same command in the call is a person's own.
---@param ctx table store, after
---@param command string[]
---@return crdbcloud.error|nil
function M.hook(ctx, command)
  if M.records(ctx.store) or same(command, ctx.after) then return nil end
  local shown = programs.shown(command)
  return errors.new {
    kind = "hook", operation = "after", reason = "unsealed", outcome = "applied", exit = 6,
    message = ("the command `%s` is not run: %s"):format(shown, WHY),
    hint = "the passwords are changed and published; if the command is yours: `crdbcloud rotate resume --after COMMAND` with the same words; "
      .. "a sealed store (store_key_file) needs no such question",
  }
end

--- A test for the sinks of a record: why a sink's command is not run, or nil.
---@param ctx table store, cluster, call_sinks
---@return fun(spec: table): string|nil
function M.sinks(ctx)
  if M.records(ctx.store) then return function() return nil end end
  local own = {}
  for _, list in ipairs { ctx.cluster.sinks or {}, ctx.call_sinks or {} } do
    for _, spec in ipairs(list) do own[sinks.id(spec)] = true end
  end
  return function(spec)
    if not spec.command or own[sinks.id(spec)] then return nil end
    return ("its command is not run: %s; give the same sink in this call or its configuration, or seal the store (store_key_file)"):format(WHY)
  end
end

return M
