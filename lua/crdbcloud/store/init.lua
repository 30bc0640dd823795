--- Stores keep credential records and change them by compare-and-swap.
--
-- Every store has
--   get(key) -> record, version | nil, err       nil without err: no such record
--   put(key, record, version) -> version | nil, err   version nil: must not exist yet
--   list(prefix) -> keys | nil, err              sorted
--   remove(key, version) -> true | nil, err
--   lock(key, note) -> lock | nil, err           err.kind "busy" when another run holds it
--   close()
-- A lost compare-and-swap is an error of kind "conflict" with reason "version".

local errors = require "crdbcloud.errors"

local M = {}

local KINDS = { file = "crdbcloud.store.file", memory = "crdbcloud.store.memory" }

-- The scheme may be followed by a password; no message shows what comes after it.
local function scheme_of(url)
  return url:match("^(%a[%w+.-]*):")
end

--- Opens a store by its URL: `file:DIR`, or `memory:` for tests.
---@param url string
---@return table|nil store
---@return crdbcloud.error|nil err
function M.open(url)
  if type(url) ~= "string" or url == "" then
    errors.raise(2, 'store: expected a URL such as "file:/var/lib/crdbcloud", got %s', errors.shown(url))
  end
  local scheme = scheme_of(url)
  local module = scheme and KINDS[scheme]
  if not module then
    return nil, errors.new {
      kind = "invalid_argument",
      message = scheme and ("store: this version has no store of kind %s:"):format(scheme)
        or "store: a store is named by a URL with a kind in front",
      hint = "file:DIR (one host) is the store to use, for example file:/var/lib/crdbcloud",
    }
  end
  return require(module).open(url)
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

return M
