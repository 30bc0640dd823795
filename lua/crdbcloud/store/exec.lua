--- `exec:COMMAND ARGUMENT …` any secret manager, behind a command that gets, puts, lists and removes.
--
-- The command is split at blanks, no shell reads it; or `store.open("exec:", { command = { … } })`.
-- It is run once per call and speaks JSON (examples/stores/README.md): values are
-- records as bytes in base64, versions are its own. Recipes for `pass` and etcd are
-- in examples/stores/. Several machines may use it, so passwords are sealed unless
-- plaintext = true; a command without compare-and-swap is refused unless
-- single_writer = true, and then every write is read back.

local codecs = require "crdbcloud.store.codec"
local calls = require "crdbcloud.store.exec_call"
local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local leases = require "crdbcloud.store.exec_lease"
local store = require "crdbcloud.store"
local printing = require "crdbcloud.base.printing"

local M = {}

local TIMEOUT = 30 -- seconds for one run of the command
local LEASE = 60 -- seconds

---@class crdbcloud.store.exec
---@field url string for people: the program without its arguments
---@field shared true
---@field sealed boolean every record that is read is sealed with our key
local Exec = { __name = "crdbcloud.store", shared = true }
Exec.__index = Exec

local function refused(message, hint)
  return nil, errors.new { kind = "invalid_argument", outcome = "not_sent", message = message, hint = hint }
end

local function command_of(url, opts)
  local command = {}
  for word in url:sub(#"exec:" + 1):gmatch "%S+" do command[#command + 1] = word end
  if #command > 0 and opts.command then return refused "store exec: has a command in its URL and another as an option" end
  command = opts.command or command
  if #command == 0 then return refused("store: exec: needs a command", "for example exec:/usr/local/lib/crdbcloud/etcd") end
  for _, word in ipairs(command) do
    if type(word) ~= "string" then return refused "store exec: the command must be a list of strings" end
  end
  return command
end

--- Opens the store: asks the command what it is.
---@param url string
---@param codec crdbcloud.store.codec
---@param opts { command: string[]?, timeout: number?, lease: number?, single_writer: boolean? }
---@return crdbcloud.store.exec|nil
---@return crdbcloud.error|nil
function M.open(url, codec, opts)
  local command, err = command_of(url, opts)
  if not command then return nil, err end
  local shown = "exec:" .. command[1]
  err = codec:refuses(shown)
  if err then return nil, err end
  local call = calls.new(shown, command, opts.timeout or TIMEOUT)
  local hello
  hello, err = call:hello()
  if not hello then return nil, err end
  if not hello.cas and not opts.single_writer then
    return refused(("store %s cannot compare and swap, so two runs could overwrite each other's passwords"):format(shown),
      "use another store, or single_writer = true where only one run is ever at work")
  end
  return setmetatable({
    url = shown, call = call, codec = codec, cas = hello.cas, leases = leases.new(call, opts.lease or LEASE), sealed = codec:seals(),
  }, Exec)
end

function Exec:__tostring()
  return "crdbcloud.store " .. printing.harmless(self.url)
end

--- What a person should know of this store before trusting it.
---@return string[]
function Exec:warnings()
  local list = {}
  if not self.codec.keys then
    list[1] = ("passwords stand in the clear behind %s, for whoever reads that secret manager; whoever may write to it decides what is "
      .. "sent and where it is published, so commands of its records are run only where the call has them too"):format(self.url)
  end
  if not self.cas then
    list[#list + 1] = ("%s cannot compare and swap: two runs at once may lose a password"):format(self.url)
  end
  return list
end

--- The record, its version and how its passwords are kept; nothing when there is none.
function Exec:get(key)
  local value, version = self.call:get(key)
  if not value then return nil, version end
  local bytes = value:decode "base64"
  value:close()
  if not bytes then return nil, codecs.refused(key, "its value is no base64", "foreign", self.url) end
  local rec, why, form = self.codec:decode(bytes, key)
  bytes:close()
  if not rec then return nil, codecs.refused(key, why, form, self.url) end
  return rec, version, form
end

-- Where the command cannot compare, we do, and look afterwards whether it is our value that is there.
local function put_alone(self, key, value, version)
  local there, now = self.call:get(key)
  if errors.is(now) then return nil, now end
  if (there and now or nil) ~= version then return nil, store.conflict(key) end
  local new, err = self.call:put(key, value, version)
  if not new then return nil, err end
  there, now = self.call:get(key)
  if errors.is(now) then return nil, now end
  if there and there:equals(value) then return now end
  return nil, store.conflict(key)
end

--- Writes the record if its version is still the one given (nil: if there is none).
---@return string|nil version
---@return crdbcloud.error|nil
function Exec:put(key, rec, version)
  -- The random text makes every write differ, so that ours is known again.
  local bytes, why = self.codec:encode(rec, core.random_hex(16))
  if not bytes then return nil, store.failed("record " .. key, why, { outcome = "not_sent" }) end
  local value = bytes:encode "base64"
  bytes:close()
  local new, err
  if self.cas then
    new, err = self.call:put(key, value, version)
  else
    new, err = put_alone(self, key, value, version)
  end
  value:close()
  return new, err
end

--- Removes the record if its version is still the one given.
function Exec:remove(key, version)
  return self.call:remove(key, version)
end

--- All keys that begin with prefix, sorted.
---@return string[]|nil
---@return crdbcloud.error|nil
function Exec:list(prefix)
  local found, err = self.call:list(prefix)
  if not found then return nil, err end
  local keys = {}
  for _, key in ipairs(found) do
    if key:sub(1, #leases.PREFIX) ~= leases.PREFIX then keys[#keys + 1] = key end
  end
  table.sort(keys)
  return printing.lines(keys)
end

--- Takes the key until `lock.close()`, or until its lease ends; waits for the end of a lease whose holder is silent.
---@return table|nil lock
---@return crdbcloud.error|nil err kind "busy" when another run holds it
function Exec:lock(key, note)
  return self.leases:take(key, note or "")
end

function Exec.close() end

store.guard(Exec)

return M
