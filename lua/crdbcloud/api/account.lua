--- An API account: its key, the C client, limits and the listener of events. crdbcloud.cloud is what a user sees of it.

local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local events = require "crdbcloud.api.events"
local keys = require "crdbcloud.api.keys"
local options = require "crdbcloud.base.options"
local printing = require "crdbcloud.base.printing"
local urls = require "crdbcloud.base.urls"

local M = {}

---@class crdbcloud.account
---@field config table what is in force, without secrets
---@field name string of the account's budget: server and key id
---@field key crdbcloud.key_source
---@field secret crdbcloud.secret|nil the key; nil when closed
---@field client userdata|nil of crdbcloud.core; nil when closed
---@field proxy string|crdbcloud.secret|nil
---@field emit nil|fun(fields: table) hands an event to on_event
---@field renewed integer how often the key has changed
local Account = {}
Account.__index = Account

--- Defaults; times in seconds, rate in requests per second.
M.DEFAULTS = {
  base_url = "https://cockroachlabs.cloud",
  api_version = "2024-09-16",
  timeout = 30, -- one attempt
  connect_timeout = 10,
  deadline = 120, -- one operation with its retries
  max_attempts = 4,
  max_items = 100000, -- of one list
  rate = 10, -- evenly spaced, for all of this process; 0: unpaced
}

local function check_rate(value, name)
  if type(value) == "number" and value >= 0 and value <= 1000 then return value end
  errors.raise("%s must be requests per second from 0 (unpaced) to 1000, got %s", name,
    errors.shown(value))
end

local function check_key(value, name)
  if options.is_secret(value) or type(value) == "function" or type(value) == "string" then return value end
  errors.raise("%s must be a string, a secret or a function that returns one, got a %s", name,
    type(value))
end

--- The options of M.new, as rules of crdbcloud.options.
M.OPTIONS = {
  api_key = check_key, api_key_file = "text", api_jwt = "text|secret", vanity_name = "text", username = "text",
  base_url = "text", api_version = "text", timeout = "limit", connect_timeout = "limit", deadline = "limit",
  max_attempts = "count", max_items = "count", rate = check_rate, account = "text", ca_file = "text", proxy = "text", user_agent = "text",
  on_event = "function",
}

-- option -> variable of the environment
local ENVIRONMENT = {
  base_url = "COCKROACH_SERVER", vanity_name = "COCKROACH_VANITY_NAME", username = "COCKROACH_USERNAME",
  ca_file = "CRDBCLOUD_CA_FILE",
}

local CLIENT = {
  "base_url", "vanity_name", "username", "api_version", "connect_timeout", "timeout", "ca_file", "user_agent",
}

-- Opens a C client. What cannot be a URL or a header is the caller's mistake and
-- raises when it came as an option; else it is a fault of the surroundings.
local function open_client(config, proxy, key, from, given)
  local wanted = { api_key = key }
  for _, name in ipairs(CLIENT) do wanted[name] = config[name] end
  wanted.proxy = proxy
  local ok, client, message = pcall(core.client, wanted)
  if ok and client then return client end
  message = errors.bare(ok and message or client)
  local field = message:match "^([%w_]+): "
  if field == "api_key" then
    if given and (given.api_key or given.api_jwt) and type(given.api_key) ~= "function" then
      errors.raise("crdbcloud.new: %s", (message:gsub("^api_key", from)))
    end
    return nil, errors.new {
      kind = "unauthenticated", message = ("the API key from %s cannot be one: %s"):format(from, message:sub(10)),
      hint = "the file or variable must hold the key and nothing else", outcome = "not_sent", reason = "api_key",
    }
  end
  if not ok and field and given and given[field] ~= nil then errors.raise("crdbcloud.new: %s", message) end
  local variable = field and (not given or given[field] == nil) and ENVIRONMENT[field]
  return nil, errors.new {
    kind = "invalid_argument", message = message, outcome = "not_sent",
    hint = variable and ("%s comes from %s"):format(field, variable) or nil,
  }
end

-- "https://host CCDB1_keyid": the client shows the part of the key that may be shown.
local function identity(client)
  return (tostring(client):gsub("^crdbcloud%.client ", ""))
end

--- Opens an API account. No network is used.
---@param opts table|nil of crdbcloud.new; what is not given comes from the environment
---@return crdbcloud.account|nil
---@return crdbcloud.error|nil
function M.new(opts, ...)
  local given = options.check(M.OPTIONS, opts, "crdbcloud.new")
  if select("#", ...) > 0 then errors.raise("crdbcloud.new takes one table of options, got %d arguments", 1 + select("#", ...)) end
  local config = {}
  for name, value in pairs(M.DEFAULTS) do config[name] = value end
  for name, variable in pairs(ENVIRONMENT) do
    local value = os.getenv(variable)
    if value and value ~= "" then config[name] = value end
  end
  for name, value in pairs(given) do
    if name ~= "api_key" and name ~= "api_jwt" and name ~= "on_event" then config[name] = value end
  end
  local source, source_err = keys.choose(given)
  if not source then return nil, source_err end
  local key, key_err = source.read()
  if not key then return nil, key_err end
  local client, client_err = open_client(config, given.proxy, key, source.from, given)
  if not client then return nil, client_err end
  config.api_key_file = nil
  -- A proxy's URL may hold a password; what is shown does not.
  config.proxy = given.proxy and (given.proxy:gsub("//[^/]*@", "//")) or nil
  config.account = config.account or identity(client)
  return setmetatable({
    config = config, name = config.account, proxy = urls.hidden(given.proxy), client = client, secret = key, key = source,
    identity = identity(client), emit = given.on_event and events.emitter(given.on_event), renewed = 0,
  }, Account)
end

--- The C client; raises when the account is closed.
function Account:open_client()
  return self.client or errors.raise("the account is closed")
end

--- Reads the key again.
---@return boolean|nil changed nil: there is no key now
---@return crdbcloud.error|nil
function Account:read_key_again()
  local old, old_is_own = self.secret, self.key.own
  local key, err = self.key.read()
  if not key then return nil, err end
  if key:equals(old) then return false end
  local client, client_err = open_client(self.config, urls.text(self.proxy), key, self.key.from)
  if not client then return nil, client_err end
  self.client:close()
  self.client, self.secret, self.identity, self.renewed = client, key, identity(client), self.renewed + 1
  if old_is_own then old:close() end
  return true
end

--- Closes connections and wipes the key; a secret that it was given stays the caller's. Closing twice is allowed.
function Account:close()
  if self.client then self.client:close() end
  if self.secret and self.key.own then self.secret:close() end
  self.client, self.secret = nil, nil
end

function Account:__tostring()
  return printing.harmless(self.identity) .. (self.client and "" or " (closed)")
end

return M
