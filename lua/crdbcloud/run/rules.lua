--- Rules for the options that workflows share, for crdbcloud.options.check.

local errors = require "crdbcloud.errors"
local names = require "crdbcloud.names"
local options = require "crdbcloud.base.options"
local sinks = require "crdbcloud.sinks"

local M = {}

--- "auto", "require" or false.
function M.verify(value, name)
  if value == "auto" or value == "require" or value == false then return value end
  errors.raise('%s must be "auto", "require" or false, got %s', name, errors.shown(value))
end

--- A list of sinks as users write it, parsed.
function M.sinks(value, name)
  return sinks.parse(value, name)
end

--- A duration, or "policy".
function M.age(value, name)
  if value == "policy" then return value end
  return options.value("duration", value, name)
end

--- A whole number from 1, or false for no limit.
function M.limit(value, name)
  if value == false then return value end
  return options.value("count", value, name)
end

local MAX_THREADS = 64

--- A number of threads.
function M.threads(value, name)
  options.value("count", value, name)
  if value <= MAX_THREADS then return value end
  errors.raise("%s must be from 1 to %d, got %s", name, MAX_THREADS, errors.shown(value))
end

--- A list of names, or one name.
function M.names(value, name)
  if type(value) == "string" then value = { value } end
  if type(value) ~= "table" then errors.raise("%s must be a list of names, got %s", name, errors.shown(value)) end
  for i, item in ipairs(value) do
    if type(item) ~= "string" or item == "" then
      errors.raise("%s[%d] must be a name, got %s", name, i, errors.shown(item))
    end
  end
  return value
end

--- The names of a list, folded.
---@param list string[]|nil
---@return string[]|nil
---@return crdbcloud.error|nil err of the first name that no user or role can have
function M.folded(list)
  local folded = {}
  for i, name in ipairs(list or {}) do
    local one, err = names.check(name)
    if not one then return nil, err end
    folded[i] = one
  end
  return folded
end

--- A table of strings by name.
function M.labels(value, name)
  if type(value) ~= "table" then errors.raise("%s must be a table, got %s", name, errors.shown(value)) end
  for k, v in pairs(value) do
    if type(k) ~= "string" or type(v) ~= "string" then
      errors.raise("%s must map names to strings, got [%s] = %s", name, tostring(k), errors.shown(v))
    end
  end
  return value
end

-- Days from 1970-01-01 to a date of the civil calendar, whatever the local time zone.
local function days(y, m, d)
  local shifted = m <= 2 and y - 1 or y
  local era = math.floor(shifted / 400)
  local year = shifted - era * 400
  local day = math.floor((153 * (m + (m > 2 and -3 or 9)) + 2) / 5) + d - 1
  return era * 146097 + year * 365 + math.floor(year / 4) - math.floor(year / 100) + day - 719468
end

--- Seconds since 1970, or a UTC date such as 2026-05-01 or 2026-05-01T12:00:00Z.
function M.time(value, name)
  if options.is_integer(value) and value > 0 then return value end
  local y, m, d, rest = (type(value) == "string" and value or ""):match("^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$")
  local h, min, s = (rest or ""):match("^T(%d%d):(%d%d):(%d%d)Z$")
  if y and (rest == "" or h) and tonumber(m) >= 1 and tonumber(m) <= 12 and tonumber(d) >= 1 and tonumber(d) <= 31 then
    return days(tonumber(y), tonumber(m), tonumber(d)) * 86400
      + (tonumber(h) or 0) * 3600 + (tonumber(min) or 0) * 60 + (tonumber(s) or 0)
  end
  errors.raise('%s must be seconds since 1970 or a date such as "2026-05-01" (UTC), got %s', name, errors.shown(value))
end

--- An option of a later version: it is refused, never ignored.
function M.later(value, name)
  errors.raise("%s is not in this version (got %s)", name, errors.shown(value))
end

local FINISH = { resume = true, remove_app_user = true, probe = true }

--- Why a user cannot be worked on before its removal, or a change of access of one that is not managed, is finished.
---@param operation string
---@param rec table|nil
---@return crdbcloud.error|nil
function M.unfinished(operation, rec)
  local removing, half = rec and rec.removing, rec and rec.state == "unmanaged"
  if FINISH[operation] or not removing and not half or half and operation == "set_access" and not removing then return nil end
  return errors.new {
    kind = "pending", outcome = "not_sent", exit = 3, operation = operation,
    message = rec.user .. (removing and ": its removal is half done" or ": a change of its access is half done"),
    hint = "`crdbcloud rotate resume` finishes it",
  }
end

--- Checks the options of a workflow on one user and folds its name; raises on misuse.
---@param own table rules of the options, `user` among them
---@param opts any a string in the place of the table is the user
---@param what string e.g. "rollback_password"
---@param also? string another option that is required
---@return table|nil opts checked
---@return crdbcloud.error|nil err a name that no user can have
function M.one_user(own, opts, what, also)
  if type(opts) == "string" and not also then opts = { user = opts } end
  opts = options.check(own, opts, what)
  for _, name in ipairs { "user", also } do
    if not opts[name] then errors.raise("%s: %s is missing", what, name) end
  end
  local err
  opts.user, err = names.check(opts.user)
  if not opts.user then return nil, err end
  return opts
end

--- Adds the options that all rotations have to `own`.
---@param own table
---@return table own
function M.with_common(own)
  own.verify, own.keep_previous, own.cancel_sessions = M.verify, "duration", "boolean"
  own.allow_admin = "boolean"
  own.sinks, own.dry_run, own.reason, own.on_progress = M.sinks, "boolean", "line", "function"
  return own
end

return M
