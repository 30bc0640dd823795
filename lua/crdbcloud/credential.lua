--- The credential of one user as a value: user, address, epoch and password belong together.

local classes = require "crdbcloud.base.classes"
local core = require "crdbcloud.core"
local methods = require "crdbcloud.base.guard"
local printing = require "crdbcloud.base.printing"
local record = require "crdbcloud.record"

local M = {}

---@class crdbcloud.credential
---@field user string whom to log in as; of a pair the active one of the two
---@field pair string|nil the name of the pair, where the user is one of two
---@field password userdata a secret
---@field host string
---@field port integer
---@field database string|nil
---@field sslmode string
---@field epoch integer counts the passwords of this user
---@field set_at integer|nil seconds since 1970
---@field pool_name string differs after each rotation, so that old connections drain
---@field candidates { epoch: integer, password: userdata, source: string, user: string|nil }[]

-- The fields that are written beside the password, in this order, so that equal credentials make equal texts.
M.WRITTEN = {
  "user", "pair", "cluster", "cluster_id", "host", "port", "database", "sslmode", "epoch", "set_at", "pool_name",
}

local Credential = classes.register("credential", { __name = "crdbcloud.credential" })
Credential.__index = Credential

--- The methods of a credential.
M.CLASS = Credential

function Credential:__tostring()
  return printing.harmless(("crdbcloud.credential %s@%s:%s epoch %s"):format(self.user, self.host or "?",
    printing.cell(self.port or "?"), printing.cell(self.epoch)))
end

--- A connection URL with the password inside, as a secret.
---@return userdata
function Credential:url()
  if not self.host then error("credential of " .. self.user .. ": the cluster's SQL address is not known", 2) end
  local user = core.secret(self.user):encode("uri")
  local host = self.host:find(":", 1, true) and "[" .. self.host .. "]" or self.host
  return core.secret_join {
    "postgresql://", user, ":", self.password:encode("uri"), "@", host,
    (":%d/"):format(self.port or 26257), core.secret(self.database or "defaultdb"):encode("uri"),
    "?sslmode=", self.sslmode or "verify-full",
  }
end

methods.guard(Credential, "credential", "cluster:credential")

--- Makes the credential of a record.
---@param rec table
---@param holder table|nil whose password it carries; default the current one
---@param address table|nil
---@param as { user: string, epoch: integer }|nil of a pair: whom to log in as, and the pair's epoch
---@return crdbcloud.credential
function M.make(rec, holder, address, as)
  holder = holder or rec.current
  local epoch = as and as.epoch or holder.epoch
  address = address or {}
  local access = rec.access and rec.access[1]
  return setmetatable({
    user = as and as.user or rec.user,
    pair = as and rec.user or nil,
    password = holder.password,
    cluster_id = rec.cluster_id,
    cluster = rec.cluster_name,
    host = address.host,
    port = address.port,
    database = access and access.database or address.database,
    sslmode = address.sslmode or "verify-full",
    epoch = epoch,
    set_at = holder.set_at,
    pool_name = ("%s/%s/%d"):format(rec.cluster_id, rec.user, epoch),
    candidates = record.candidates(rec),
  }, Credential)
end

--- The credential of a pair: the active member's, then whatever else may log in.
---@param rec table the record that names the pair
---@param partner table|nil the record of the other user
---@param address table|nil
---@return crdbcloud.credential|nil nil when the active member has no password yet
function M.of_pair(rec, partner, address)
  local active, other = rec, partner
  if rec.pair.active ~= rec.user then active, other = partner, rec end
  if not active or not active.current or record.is_creating(active) then return nil end
  local made = M.make(rec, active.current, address, { user = active.user, epoch = rec.pair.epoch })
  made.candidates = {}
  for _, member in ipairs { active, other } do
    for _, candidate in ipairs(record.candidates(member)) do
      candidate.user = member.user
      made.candidates[#made.candidates + 1] = candidate
    end
  end
  return made
end

return M
