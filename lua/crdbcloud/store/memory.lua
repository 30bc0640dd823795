--- `memory:` a store that lives in this Lua state; for tests only, since a crash loses it.

local record = require "crdbcloud.record"
local store = require "crdbcloud.store"
local printing = require "crdbcloud.base.printing"

local M = {}

local Memory = { __name = "crdbcloud.store" }
Memory.__index = Memory

---@return table store
function M.open(url)
  return setmetatable({ url = url, records = {}, versions = {}, locks = {} }, Memory)
end

function Memory:__tostring()
  return "crdbcloud.store memory: (lost with this process)"
end

function Memory:get(key)
  local rec = self.records[key]
  if not rec then return nil end
  return record.copy(rec), self.versions[key]
end

function Memory:put(key, rec, version)
  if self.versions[key] ~= version then return nil, store.conflict(key) end
  self.records[key] = record.copy(rec)
  self.versions[key] = (version or 0) + 1
  return self.versions[key]
end

function Memory:list(prefix)
  local keys = {}
  for key in pairs(self.records) do
    if key:sub(1, #prefix) == prefix then keys[#keys + 1] = key end
  end
  table.sort(keys)
  return printing.lines(keys)
end

function Memory:remove(key, version)
  if self.versions[key] ~= version then return nil, store.conflict(key) end
  self.records[key], self.versions[key] = nil, nil
  return true
end

function Memory:lock(key, note)
  note = note or ""
  local holder = self.locks[key]
  if holder then
    return nil, store.busy(key, holder)
  end
  self.locks[key] = note
  return {
    close = function()
      if self.locks[key] == note then self.locks[key] = nil end
    end,
  }
end

--- What a person should know of this store before trusting it.
function Memory.warnings()
  return { "the store is in memory only: a crash loses every password in it" }
end

function Memory.close() end

store.guard(Memory)

return M
