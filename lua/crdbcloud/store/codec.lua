--- From a record to the bytes that a store keeps, and back: metadata as JSON,
--- passwords beside it (csrc/files/record_file.h), sealed where the store has a key.
--
-- A sealed password opens only where it was put: it is bound to its cluster,
-- user, epoch and field, and to the rest of the record as well, so that nobody
-- who may only write to the store can change where a password is published or
-- which one is sent. A whole older copy of the same record still opens.

local cjson = require("cjson.safe").new()
local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local options = require "crdbcloud.base.options"
local record = require "crdbcloud.record"
local shape = require "crdbcloud.store.shape"

local M = {}

local MAKE_KEY = "(umask 077; openssl rand -hex 32 > /etc/crdbcloud/store.key)"

---@class crdbcloud.store.codec
---@field keys userdata[]|nil secrets of 32 bytes; the first seals, all open
---@field key_id string|nil of the first
---@field plaintext boolean clear passwords are read, and written where there is no key
local Codec = {}
Codec.__index = Codec

--- Reads the keys of a store.
---@param opts? { store_key_file: string?, plaintext: boolean? }
---@return crdbcloud.store.codec|nil
---@return crdbcloud.error|nil
function M.new(opts)
  opts = opts or {}
  local self = setmetatable({ plaintext = opts.plaintext == true }, Codec)
  if not opts.store_key_file then return self end
  local content, why, code = core.secret_from_file(opts.store_key_file)
  if content then self.keys, why, code = core.seal_keys(content) end
  if content then content:close() end
  if not self.keys then
    return nil, errors.new {
      kind = "store", reason = code, outcome = "not_sent",
      message = content and ("store_key_file %s: %s"):format(opts.store_key_file, why) or "store_key_file: " .. why,
      hint = code == "ENOENT" and "make one: " .. MAKE_KEY or nil,
    }
  end
  self.key_id = core.seal_key_id(self.keys[1])
  return self
end

--- Whether it reads none but records that our key has sealed, metadata and all.
---@return boolean
function Codec:seals()
  return self.keys ~= nil and not self.plaintext
end

--- The error of a shared store that would hold passwords in the clear, or nil.
---@param url string without a password
---@return crdbcloud.error|nil
function Codec:refuses(url)
  if self.keys or self.plaintext then return nil end
  return errors.new {
    kind = "store", outcome = "not_sent", reason = "clear",
    message = ("store %s is shared, and without a key it would hold the passwords in the clear"):format(url),
    hint = "give store_key_file (--store-key-file; make one: " .. MAKE_KEY .. "), or plaintext = true (--store-plaintext)",
  }
end

-- What a password belongs to: everything that is written down beside it.
local function bindings(meta, json, names)
  if type(meta.cluster_id) ~= "string" or type(meta.user) ~= "string" then return nil end
  local aad = {}
  for name in pairs(names) do
    local number = name:match "^candidate_(%d+)$"
    local holder = meta[name]
    if number then holder = type(meta.candidates) == "table" and meta.candidates[tonumber(number)] end
    local epoch = type(holder) == "table" and holder.epoch
    aad[name] = ("%s\n%s\n%d\n%s\n%s"):format(meta.cluster_id, meta.user, options.is_integer(epoch) and epoch or 0, name, json)
  end
  return aad
end

--- The bytes of a record.
---@param rec table
---@param version integer|nil kept in the metadata, for stores that have no better place
---@return userdata|nil secret
---@return string|nil why
function Codec:encode(rec, version)
  local meta, secrets = record.split(rec)
  meta.version = version
  local json, why = cjson.encode(meta)
  if not json then return nil, why end
  if not self.keys then return core.record_encode(json, secrets) end
  return core.record_encode(json, secrets, { key = self.keys[1], aad = bindings(meta, json, secrets) })
end

-- "clear", the id of the key of all passwords, or "mixed".
local function form_of(forms)
  local form
  for _, one in pairs(forms) do
    form = (form == nil or form == one) and one or "mixed"
  end
  return form == "plain" and "clear" or form or "empty"
end

--- Reads the bytes of the record of a key.
---@param bytes userdata secret
---@param key string CLUSTER/USER, which the record must be of
---@return table|nil record
---@return string version_or_why
---@return string form_or_code "clear", "mixed" or a key's id; of a refused one "torn", "foreign", "newer", "sealed", "tampered", "clear"
function Codec:decode(bytes, key)
  local json, forms, code = core.record_meta(bytes)
  if not json then return nil, forms, code end
  local meta, why = cjson.decode(json)
  if type(meta) ~= "table" then return nil, "its metadata is no JSON: " .. tostring(why), "foreign" end
  local form = form_of(forms)
  if self.keys and not self.plaintext and (form == "clear" or form == "mixed" or form == "empty") then
    return nil, "its passwords are not sealed, and this store has a key", "clear"
  end
  local aad = bindings(meta, json, forms)
  if not aad then return nil, "it names no cluster or no user", "foreign" end
  local secrets
  json, secrets, code = core.record_decode(bytes, { keys = self.keys or {}, aad = aad })
  if not json then return nil, secrets, code end
  local version = meta.version
  meta.version = nil
  local rec
  local joined
  joined, rec, why, code = pcall(record.join, meta, secrets)
  if not joined then return nil, "its fields are not what they should be", "foreign" end
  if not rec then return nil, why, code end
  why = shape.problem(rec)
  if why then return nil, why, "foreign" end
  shape.mend_address(rec)
  if record.key(rec.cluster_id, rec.user) ~= key then
    return nil, ("it belongs to %s"):format(record.key(rec.cluster_id, rec.user)), "foreign"
  end
  return rec, version, form
end

local HINTS = {
  sealed = "give the file with that key as store_key_file (--store-key-file)",
  clear = "`crdbcloud store rekey` seals what is in the clear, if you trust what is there",
  tampered = "somebody changed the record outside of crdbcloud, or moved it here; put a backup of it back, or remove it",
  newer = "a newer version of crdbcloud wrote it; use that one",
}

--- The error of a record that was refused. Nothing is sent, and it is not written over.
---@param key string
---@param why string
---@param code string|nil
---@param place string|nil where a person finds it
---@return crdbcloud.error
function M.refused(key, why, code, place)
  return errors.new {
    kind = "store", outcome = "not_sent", reason = code,
    message = ("record %s was refused: %s"):format(key, why),
    hint = HINTS[code or ""] or place and "nothing was sent; look at " .. place or nil,
  }
end

return M
