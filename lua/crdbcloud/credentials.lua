--- Credentials for programs that only connect: no API key, no network but the source.
--
--   local credentials = assert(crdbcloud.credentials{ source = "file:/var/lib/crdbcloud", user = "payment_service" })
--   local conn = assert(credentials:connect_with(function(c) return connect(c.host, c.user, c.password) end))

local core = require "crdbcloud.core"
local credential = require "crdbcloud.credential"
local errors = require "crdbcloud.errors"
local ids = require "crdbcloud.api.ids"
local methods = require "crdbcloud.base.guard"
local names = require "crdbcloud.names"
local options = require "crdbcloud.base.options"
local printing = require "crdbcloud.base.printing"
local record = require "crdbcloud.record"
local urls = require "crdbcloud.base.urls"

local M = {}

--- The error of a user whose record holds nothing to log in with yet.
---@return crdbcloud.error
function M.unavailable(user, rec)
  if not rec then
    return errors.new {
      kind = "not_found", message = ("the store holds no credential of %s"):format(user),
      hint = "crdbcloud credential import, create_app_user, or rotate_password puts one there",
    }
  end
  return errors.new {
    kind = "pending", exit = 3, message = ("the credential of %s is not ready (%s)"):format(user, rec.state),
    hint = "run `crdbcloud rotate resume`",
  }
end

local Source = { __name = "crdbcloud.credentials" }
Source.__index = Source

function Source:__tostring()
  return printing.harmless(("crdbcloud.credentials %s from %s"):format(self.user, self.source))
end

-- The record of the user; a store may hold several clusters.
local function find_record(kept, user, cluster)
  if cluster and cluster:match(ids.PATTERN) then return kept:get(record.key(cluster, user)) end
  local keys, err = kept:list("")
  if not keys then return nil, err end
  local found
  for _, key in ipairs(keys) do
    if key:match("/([^/]+)$") == user then
      local rec
      rec, err = kept:get(key)
      if not rec then return nil, err or M.unavailable(user) end
      if not cluster or rec.cluster_id == cluster or rec.cluster_name == cluster then
        if found then
          return nil, errors.new {
            kind = "conflict",
            message = ("the store holds %s of two clusters (%s, %s)"):format(user,
              found.cluster_name or found.cluster_id, rec.cluster_name or rec.cluster_id),
            hint = "say which: cluster = NAME",
          }
        end
        found = rec
      end
    end
  end
  return found
end

--- The credential of a user in a store.
---@param kept table the store
---@param user string folded name
---@param cluster? string name or id; needed where the store holds the user of several
---@return crdbcloud.credential|nil
---@return crdbcloud.error|nil
function M.from_store(kept, user, cluster)
  local rec, err = find_record(kept, user, cluster)
  if not rec and err then return nil, err end
  if rec and rec.pair and not record.is_creating(rec) then
    local partner, why = kept:get(record.key(rec.cluster_id, rec.pair.partner))
    if not partner and why then return nil, why end
    local made = credential.of_pair(rec, partner, rec.address)
    if made then return made end
  end
  local best = rec and record.candidates(rec)[1]
  if not best then return nil, M.unavailable(user, rec) end
  return credential.make(rec, rec.current or best, rec.address)
end

--- The credential as it is now.
---@return crdbcloud.credential|nil
---@return crdbcloud.error|nil
function Source:get()
  if self.path then
    require("crdbcloud.base.blocking").check()
    local fields, why, code = require("crdbcloud.sinks.json").read(self.path)
    if not fields then
      return nil, errors.new {
        kind = code == "ENOENT" and "not_found" or "store", message = ("%s: %s"):format(self.source, why),
      }
    end
    if fields.user ~= self.user and fields.pair ~= self.user then
      return nil, errors.new {
        kind = "not_found", message = ("%s holds the credential of %s, not of %s"):format(self.path, fields.user, self.user),
      }
    end
    fields.candidates = { { epoch = fields.epoch, password = fields.password, source = "current" } }
    return setmetatable(fields, credential.CLASS)
  end
  return M.from_store(self.store, self.user, self.cluster)
end

local WRONG_STATE = { ["28P01"] = true, ["28000"] = true }

--- True when a failed connection says "wrong password" in whatever form its library has.
local function is_wrong_password(err)
  if type(err) == "table" and err.sqlstate then return WRONG_STATE[err.sqlstate] == true end
  local text = tostring(err)
  return text:find("password authentication failed", 1, true) ~= nil
    or text:find("28P01", 1, true) ~= nil
end

--- Connects with the first password that works: current, staged, previous. Only a wrong password leads to the next; after
--- the last, the source is read again until the deadline.
---@generic T
---@param get fun(): crdbcloud.credential|nil, crdbcloud.error|nil
---@param connect fun(credential: crdbcloud.credential): T|nil, any
---@param opts table|nil { deadline = "10s" }
---@param sleep nil|fun(seconds: number) default core.sleep, which blocks
---@return T|nil conn
---@return any err the connection's own last error, or ours
function M.connect_with(get, connect, opts, sleep)
  if type(connect) ~= "function" then
    errors.raise("connect_with: expected a function that takes a credential, got %s", errors.shown(connect))
  end
  opts = options.check({ deadline = "limit" }, opts, "connect_with")
  local give_up = core.monotonic() + (opts.deadline or 10)
  local pause = 0.05
  while true do
    local found, err = get()
    if not found and not err.retryable and err.kind ~= "pending" then return nil, err end
    if found then
      for _, candidate in ipairs(found.candidates) do
        local try = {}
        for k, v in pairs(found) do try[k] = v end
        try.password = candidate.password
        if candidate.user then try.user = candidate.user else try.epoch = candidate.epoch end
        local conn
        conn, err = connect(setmetatable(try, credential.CLASS))
        if conn then return conn end
        if not is_wrong_password(err) then return nil, err end
      end
    end
    if core.monotonic() + pause > give_up then return nil, err end
    (sleep or core.sleep)(pause)
    pause = math.min(pause * 2, 1)
  end
end

--- As M.connect_with, from this source.
function Source:connect_with(connect, opts)
  return M.connect_with(function() return self:get() end, connect, opts)
end

function Source:close()
  if self.store then self.store:close() end
end
Source.__close = Source.close

--- The methods of a source.
M.SOURCE = methods.guard(Source, "credentials", "crdbcloud.credentials")

local OPTIONS = {
  source = "text", user = "text", cluster = "text", store_key_file = "text", plaintext = "boolean", ca_file = "text",
}

--- Opens a source of one user's credential.
---@param opts { source: string, user: string, cluster?: string, store_key_file?: string, plaintext?: boolean, ca_file?: string }
---  source: a store's URL, or json:PATH written by a sink; the last three are for a store
---@return table|nil
---@return crdbcloud.error|nil
function M.open(opts, ...)
  opts = options.check(OPTIONS, opts, "crdbcloud.credentials")
  if select("#", ...) > 0 then
    errors.raise("crdbcloud.credentials takes one table of options, got %d arguments", 1 + select("#", ...))
  end
  if not opts.source then errors.raise("crdbcloud.credentials: source is missing: a store's URL or json:PATH") end
  if not opts.user then errors.raise("crdbcloud.credentials: user is missing") end
  local user, err = names.check(opts.user)
  if not user then return nil, err end
  local self = setmetatable({ source = urls.shown(opts.source), user = user, cluster = opts.cluster }, Source)
  self.path = opts.source:match("^json:(.+)$")
  if not self.path then
    self.store, err = require("crdbcloud.store").open(opts.source, {
      store_key_file = opts.store_key_file, plaintext = opts.plaintext, ca_file = opts.ca_file,
    })
    if not self.store then return nil, err end
  end
  return self
end

return M
