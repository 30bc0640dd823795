--- Takes an API account into another thread of the process: its options as plain data, its secrets as tickets
--- (crdbcloud.core.lend). Each thread has connections of its own; the budget of the account is one.

local core = require "crdbcloud.core"

local M = {}

local PLAIN = { "base_url", "vanity_name", "username", "api_version", "max_attempts", "rate", "account", "ca_file", "user_agent" }
local SECONDS = { "timeout", "connect_timeout", "deadline" }

--- A secret, or text that may hold one, as a ticket.
---@param value string|crdbcloud.secret
---@return string|nil ticket
---@return string|nil why
function M.lend(value)
  if type(value) ~= "string" then return core.lend(value) end
  local secret = core.secret(value)
  local ticket, why = core.lend(secret)
  secret:close()
  return ticket, why
end

--- The account as data for `M.open`, good for 60 seconds and once.
---@param cloud crdbcloud.cloud
---@return table|nil
---@return string|nil why
function M.pack(cloud)
  local config = cloud.config
  local data = { options = {}, key_from = cloud._key.from, key_again = cloud._key.again, listened = cloud._listened }
  for _, name in ipairs(PLAIN) do data.options[name] = config[name] end
  -- As text: a bare number above 600 would be taken for a mistake.
  for _, name in ipairs(SECONDS) do data.options[name] = ("%.0fms"):format(config[name] * 1000) end
  local why
  data.key, why = M.lend(cloud._secret)
  if not data.key then return nil, why end
  if cloud._proxy then -- its URL may hold a password
    data.proxy, why = M.lend(cloud._proxy)
    if not data.proxy then return nil, why end
  end
  return data
end

--- Opens the account in this thread.
---@param data table of M.pack
---@param on_event fun(event: table)
---@param ask_key fun(): crdbcloud.secret|nil, crdbcloud.error|nil the key, read again where it first came from
---@return crdbcloud.cloud
function M.open(data, on_event, ask_key)
  local options = data.options
  local key = assert(core.take(data.key))
  options.proxy = data.proxy and assert(core.take(data.proxy)):reveal()
  options.on_event = data.listened and on_event or nil
  options.api_key = not data.key_again and key or function()
    local first = key
    key = nil
    if first then return first end
    return ask_key()
  end
  local cloud = assert(require("crdbcloud.cloud").new(options))
  cloud._key.from = data.key_from
  return cloud
end

--- Reads the key again, once for all threads that were refused with the same one.
---@param cloud crdbcloud.cloud the account of the main thread
---@param seen integer how often the asking thread has got another key
---@return string|nil ticket
---@return integer|crdbcloud.error times the key has changed, or why there is none
function M.renew(cloud, seen)
  local times = cloud._renewed or 0
  if seen == times then
    local changed, err = cloud:_reconnect()
    if changed == nil then return nil, err end
    if changed then times = times + 1 end
    cloud._renewed = times
  end
  local ticket, why = M.lend(cloud._secret)
  if not ticket then return nil, require("crdbcloud.errors").new { kind = "unauthenticated", outcome = "not_sent", message = why } end
  return ticket, times
end

return M
