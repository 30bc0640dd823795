--- `postgresql://USER@HOST/DATABASE` a table in CockroachDB or PostgreSQL, for several machines.
--
-- Records change by compare-and-swap on a version; a write whose answer was lost
-- is looked up by its id, so that what is said of it is true. A lock is a lease
-- by the database's clock. The holder counts its time from before the statement
-- that took it, on a clock that runs on while the machine sleeps: it never
-- believes in a lease that others see ended.

local codecs = require "crdbcloud.store.codec"
local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local schema = require "crdbcloud.store.sql_schema"
local sessions = require "crdbcloud.store.sql_session"
local store = require "crdbcloud.store"
local printing = require "crdbcloud.base.printing"

local M = {}

---@class crdbcloud.store.sql
---@field url string for people; it never has a password
---@field lease number seconds that a lock outlives a holder that died
---@field shared true
---@field sealed boolean every record that is read is sealed with our key
---@field account string folded name of the SQL user that it logs in as
local Sql = { __name = "crdbcloud.store", shared = true, lease = 60 }
Sql.__index = Sql

local TAKES = 3 -- tries to take a lease that ends under our eyes
local SPARE = 10 -- seconds for the statement that renews a lease

local function check_version(session)
  local rows, err = session:run("reading the version of the tables", schema.READ_VERSION)
  if not rows then return nil, err end
  local version = rows[1] and tonumber(rows[1].version)
  if version == schema.VERSION then return true end
  return nil, errors.new {
    kind = "store", outcome = "not_sent", reason = version and "newer" or "no_tables",
    message = version and ("store %s: its tables are of version %d, this program knows %d"):format(session.url, version, schema.VERSION)
      or ("store %s is not set up: its tables are not marked"):format(session.url),
    hint = version and "a newer version of crdbcloud made them; use that one" or ("crdbcloud store init --store '%s'"):format(session.url),
  }
end

--- Opens the store: logs in and looks whether its tables are there.
---@param url string
---@param codec crdbcloud.store.codec
---@param opts { ca_file: string? }
---@return crdbcloud.store.sql|nil
---@return crdbcloud.error|nil
function M.open(url, codec, opts)
  local session, err = sessions.open(url, opts)
  if not session then return nil, err end
  err = codec:refuses(session.url)
  local ok = not err
  if ok then ok, err = check_version(session) end
  if not ok then
    session:close()
    return nil, err
  end
  return setmetatable({ url = session.url, account = session:account(), session = session, codec = codec, sealed = codec:seals() }, Sql)
end

-- Two at once may both find that a table is missing; the second then hears that it is there.
local THERE = { ["42P07"] = true, ["23505"] = true, ["42710"] = true }

--- Makes the tables. Those that are there stay as they are.
---@return string|nil what was done
---@return crdbcloud.error|nil
function M.init(url, opts)
  local session, err = sessions.open(url, opts)
  if not session then return nil, err end
  local before = session:run("looking for the tables", schema.READ_VERSION)
  local function make()
    for _, text in ipairs(schema.TABLES) do
      local rows, why = session:run("making the tables", text)
      if not rows and not THERE[why.sqlstate or ""] then return nil, why end
    end
    local rows, why = session:run("marking the tables", schema.MARK)
    if not rows then return nil, why end
    return check_version(session)
  end
  local ok
  ok, err = make()
  session:close()
  if not ok then return nil, err end
  return ("store %s: its tables %s"):format(session.url, before and before[1] and "were there" or "are made")
end

function Sql:__tostring()
  return "crdbcloud.store " .. printing.harmless(self.url)
end

--- What a person should know of this store before trusting it.
---@return string[]
function Sql:warnings()
  local list = {}
  for i, text in ipairs(self.session.warnings) do list[i] = text end
  if not self.codec.keys then
    list[#list + 1] = ("passwords stand in the clear in %s, for whoever reads it, its backups or its log of statements; whoever may write to it "
      .. "decides what is sent and where it is published, so commands of its records are run only where the call has them too"):format(self.url)
  end
  return list
end

--- The record, its version and how its passwords are kept; nothing when there is none.
function Sql:get(key)
  local rows, err = self.session:run("reading record " .. key, schema.GET, { key }, { "record" })
  if not rows then return nil, err end
  if not rows[1] then return nil end
  local bytes = assert(rows[1].record:decode "hex")
  rows[1].record:close()
  local rec, why, form = self.codec:decode(bytes, key)
  bytes:close()
  if not rec then return nil, codecs.refused(key, why, form, "table crdbcloud_records of " .. self.url) end
  return rec, tonumber(rows[1].version), form
end

-- The end of a compare-and-swap: its rows, or what the record shows when it changed none. That may be our own write,
-- whose first answer was lost.
local function settle(self, key, write_id, rows)
  if rows[1] then return tonumber(rows[1].version) end
  local found, err = self.session:run("reading record " .. key, schema.WHOSE, { key })
  if not found then return nil, err end
  if found[1] and found[1].write_id == write_id then return tonumber(found[1].version) end
  return nil, store.conflict(key)
end

--- Writes the record if its version is still the one given (nil: if there is none).
---@return integer|nil version
---@return crdbcloud.error|nil
function Sql:put(key, rec, version)
  local bytes, why = self.codec:encode(rec)
  if not bytes then return nil, store.failed("record " .. key, why, { outcome = "not_sent" }) end
  local write_id = core.random_hex(16)
  local hex = bytes:encode "hex"
  bytes:close()
  local values = { key, write_id, hex, rec.state, rec.epoch, rec.by or "", version, n = version and 7 or 6 }
  local rows, err = self.session:run("writing record " .. key, version and schema.UPDATE or schema.INSERT, values)
  hex:close()
  if not rows then return nil, err end
  return settle(self, key, write_id, rows)
end

--- Removes the record if its version is still the one given.
function Sql:remove(key, version)
  local write_id = core.random_hex(16)
  local rows, err = self.session:run("removing record " .. key, schema.REMOVE, { key, write_id, version })
  if not rows then return nil, err end
  local ok
  ok, err = settle(self, key, write_id, rows)
  if not ok then return nil, err end
  return true
end

--- All keys that begin with prefix, sorted by their bytes (the database may sort by a language).
---@return string[]|nil
---@return crdbcloud.error|nil
function Sql:list(prefix)
  local rows, err = self.session:run("listing records", schema.LIST, { prefix })
  if not rows then return nil, err end
  local keys = {}
  for i, row in ipairs(rows) do keys[i] = row.key end
  table.sort(keys)
  return printing.lines(keys)
end

local function busy(key, row)
  return store.busy(key, row.holder, {
    hint = ("wait for that run; if it died, its lease ends in %d s"):format(math.max(1, math.ceil(tonumber(row.left) + 1))),
  })
end

-- Takes the lease; whoever asks again after a lost answer finds its own token.
---@return table|nil time what the database's clock said
---@return crdbcloud.error|nil
local function take(self, key, token, note)
  for _ = 1, TAKES do
    local before = core.boottime()
    local rows, err = self.session:run("taking the lease of " .. key, schema.TAKE, { key, token, note, self.lease })
    if not rows then return nil, err end
    local at = rows[1] and tonumber(rows[1].time)
    if rows[1] then return at and { at = at, before = before, after = core.boottime() } or {} end
    rows, err = self.session:run("reading the lease of " .. key, schema.HOLDER, { key })
    if not rows then return nil, err end
    local row = rows[1]
    if row and row.token == token then return {} end -- the answer was lost, and with it the time
    if row and tonumber(row.left) > -1 then return nil, busy(key, row) end
  end
  return nil, busy(key, { holder = "", left = 0 })
end

--- Takes the key until `lock.close()`, or until the lease ends. note says who holds it, for the error of others.
---@return table|nil lock
---@return crdbcloud.error|nil err kind "busy" when another run holds it
function Sql:lock(key, note)
  local token = core.random_hex(16)
  local ends = core.boottime() + self.lease
  local time, err = take(self, key, token, note or "")
  if not time then return nil, err end
  local lock, held = { time = time.at and time }, true

  --- Makes sure that the lease outlives the next seconds.
  function lock.ensure(seconds)
    if not held then return nil, store.lease_lost(key) end
    for _ = 1, 2 do
      local before = core.boottime()
      if ends - before >= seconds then return true end
      local length = math.max(self.lease, seconds + math.min(SPARE, self.lease))
      local rows, why = self.session:run("renewing the lease of " .. key, schema.RENEW, { key, token, length })
      if not rows then return nil, why end
      if not rows[1] then
        held = false
        return nil, store.lease_lost(key)
      end
      ends = before + length
    end
    if ends - core.boottime() >= seconds then return true end
    return nil, store.lease_lost(key, "renewing it took too long")
  end

  -- Whoever cannot say that it is done leaves a lease that ends by itself.
  function lock.close()
    if held then self.session:try(schema.RELEASE, { key, token }) end
    held = false
  end
  return lock
end

function Sql:close()
  self.session:close()
end

store.guard(Sql)

return M
