--- Stores keep credential records and change them by compare-and-swap.
--
-- Every store has
--   get(key) -> record, version, form | nil, err nil without err: no such record; form: "clear", "mixed" or a key's id
--   put(key, record, version) -> version | nil, err   version nil: must not exist yet
--   list(prefix) -> keys | nil, err              sorted
--   remove(key, version) -> true | nil, err
--   lock(key, note) -> lock | nil, err           err.kind "busy" when another run holds it
--   warnings() -> texts                          what a person should know before trusting it
--   close()
-- A lost compare-and-swap is an error of kind "conflict" with reason "version".
-- A store that several machines use has shared = true, and sealed = true where nobody without our key can have written
-- what get returns. Its locks are leases and have
--   ensure(seconds) -> true | nil, err           err.reason "lease" when it was lost
-- and, where the store has a clock, time = { at, before, after }: what it said, between two readings of core.boottime. The
-- locks of file: have ensure too; they can be lost only when somebody removes their file.

local codecs = require "crdbcloud.store.codec"
local errors = require "crdbcloud.errors"
local methods = require "crdbcloud.base.guard"
local options = require "crdbcloud.base.options"
local urls = require "crdbcloud.base.urls"

local M = {}

-- Each module has open(url, codec, opts); with shared = true others than us can read it; init(url, opts) makes
-- what must be there first.
local KINDS = {
  file = "crdbcloud.store.file", memory = "crdbcloud.store.memory",
  postgresql = "crdbcloud.store.sql", postgres = "crdbcloud.store.sql", exec = "crdbcloud.store.exec",
}

local OPTIONS = {
  store_key_file = "text", plaintext = "boolean", ca_file = "text",
  command = "table", timeout = "limit", lease = "limit", single_writer = "boolean",
}

-- The scheme may be followed by a password; no message shows what comes after it.
local function scheme_of(url)
  return url:match("^(%a[%w+.-]*):")
end

local function module_of(url)
  if type(url) ~= "string" or url == "" then
    errors.raise('store: expected a URL such as "file:/var/lib/crdbcloud", got %s', errors.shown(url))
  end
  local scheme = scheme_of(url)
  local module = scheme and KINDS[scheme]
  if module and not scheme:find "^postgres" and url:find "^%a+://[^/]" then
    return nil, errors.new {
      kind = "invalid_argument", outcome = "not_sent",
      message = ("store: a store of kind %s: is on no other host; what stands after // is not shown, as it may hold a password"):format(scheme),
      hint = "for example file:/var/lib/crdbcloud; for several hosts postgresql://USER@HOST/DATABASE or exec:COMMAND",
    }
  end
  if module then return require(module) end
  return nil, errors.new {
    kind = "invalid_argument",
    message = scheme and ("store: this version has no store of kind %s:"):format(scheme)
      or "store: a store is named by a URL with a kind in front",
    hint = "file:DIR for one host, for example file:/var/lib/crdbcloud; postgresql://USER@HOST/DATABASE or exec:COMMAND for several",
  }
end

--- Opens a store by its URL: `file:DIR`, `postgresql://USER@HOST/DATABASE`, `exec:COMMAND`, or `memory:` for tests.
---@param url string|crdbcloud.secret a secret where it holds a password
---@param opts? table store_key_file: keys that seal the passwords; plaintext = true: clear ones are read and, without a
---  key, written; ca_file: for TLS. Of exec: alone: command, a list, in place of the URL's; timeout of one run of it
---  (30 s); lease (60 s); single_writer = true: a command without compare-and-swap will do
---@return table|nil store
---@return crdbcloud.error|nil err
function M.open(url, opts)
  url, opts = urls.text(url), options.check(OPTIONS, opts, "store.open")
  local module, err = module_of(url)
  if not module then return nil, err end
  require("crdbcloud.base.blocking").check()
  local codec
  codec, err = codecs.new(opts)
  if not codec then return nil, err end
  return module.open(url, codec, opts)
end

--- Makes what a store needs before it is first opened: a directory, or tables. Doing it again changes nothing.
---@param url string
---@param opts? { ca_file: string? }
---@return string|nil what was made, or was there
---@return crdbcloud.error|nil
function M.init(url, opts)
  opts = options.check(OPTIONS, opts, "store.init")
  local module, err = module_of(url)
  if not module then return nil, err end
  if module.init then return module.init(url, opts) end
  local opened
  opened, err = module.open(url, codecs.new { plaintext = true }, opts)
  if not opened then return nil, err end
  local text = tostring(opened)
  opened:close()
  return text .. " is ready"
end

local KEYED = { get = true, put = true, remove = true, lock = true }

-- Raises for a key, prefix or record that can be none.
local function check_call(name, _, first, second)
  if KEYED[name] and (type(first) ~= "string" or not first:find "^[^/]+/[^/]+$") then
    errors.raise('store:%s: key must be "CLUSTER_ID/USER", got %s', name, errors.shown(first))
  elseif name == "list" and type(first) ~= "string" then
    errors.raise('store:list: prefix must be a string ("" for all), got %s', errors.shown(first))
  elseif name == "put" and type(second) ~= "table" then
    errors.raise("store:put: record must be a table, got %s", errors.shown(second))
  end
end

--- Makes the methods of a kind of store check how they are called.
---@param class table
function M.guard(class)
  return methods.guard(class, "store", "crdbcloud.store.open", check_call)
end

--- The error of a writing call that was given no store.
---@return crdbcloud.error
function M.not_named(operation)
  return errors.new {
    kind = "invalid_argument",
    operation = operation,
    message = "no store was named, so a crash could lose a password",
    hint = 'pass store = "file:/var/lib/crdbcloud", or: export CRDBCLOUD_STORE=file:/var/lib/crdbcloud',
    outcome = "not_sent",
  }
end

--- The error of a store that failed; nothing may be sent after it.
---@param what string
---@param cause string|nil
---@param fields table|nil more fields of the error
---@return crdbcloud.error
function M.failed(what, cause, fields)
  local e = { kind = "store", message = cause and (what .. ": " .. cause) or what }
  for k, v in pairs(fields or {}) do e[k] = v end
  return errors.new(e)
end

--- The error of a key that another run holds.
---@param key string
---@param run string|nil
---@param fields? table retry_after, hint
---@return crdbcloud.error
function M.busy(key, run, fields)
  local e = {
    kind = "busy", outcome = "not_sent", hint = "wait for that run, or look at it with `crdbcloud rotate status`",
    message = ("%s is being worked on by run %s"):format(key, run and run ~= "" and run or "unknown"),
  }
  for name, value in pairs(fields or {}) do e[name] = value end
  return errors.new(e)
end

--- The error of a lost compare-and-swap.
---@return crdbcloud.error
function M.conflict(key)
  return errors.new {
    kind = "conflict",
    reason = "version",
    message = ("the record %s was changed by another run"):format(key),
    hint = "read it again",
    retryable = true,
  }
end

--- The error of a lease that is not ours any more. Nothing is sent under it.
---@param key string
---@param why? string
---@return crdbcloud.error
function M.lease_lost(key, why)
  return errors.new {
    kind = "busy", reason = "lease", outcome = "not_sent",
    message = ("the lease of %s was lost: %s"):format(key, why or "another run took over while this one stood still"),
    hint = "that run goes on with what this one had begun",
  }
end

return M
