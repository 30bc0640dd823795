--- `file:DIR` one file per user, replaced atomically and fsynced, for one host.
--
-- DIR/CLUSTER/USER.rec holds the record (csrc/files/record_file.h: metadata as JSON,
-- passwords beside it, a hash over both), DIR/CLUSTER/USER.lock is locked while
-- somebody works on it. Directories are 0700, files 0600, both owned by us.
-- The version of a record is a number inside its metadata.

local codecs = require "crdbcloud.store.codec"
local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local leftovers = require "crdbcloud.base.leftovers"
local store = require "crdbcloud.store"
local printing = require "crdbcloud.base.printing"

local M = {}

local MAX_RECORD = 1024 * 1024 -- bytes; a record is a few hundred
local PUT_WAIT = 10 -- seconds to wait for somebody else's compare-and-swap

---@class crdbcloud.store.file
---@field url string
---@field dir string
local File = { __name = "crdbcloud.store" }
File.__index = File

-- A user's name may hold any lower-case letter; a file's should hold ASCII only,
-- and must not begin with a dot.
local function file_part(name)
  local safe = name:gsub("[^%w_.-]", function(c) return ("%%%02X"):format(c:byte()) end)
  return (safe:gsub("^%.", "%%2E"))
end

local function name_part(file)
  return (file:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

local function split_key(key)
  local cluster, user = key:match("^([^/]+)/([^/]+)$")
  if not cluster then error("store: a key is CLUSTER/USER, got " .. errors.shown(key), 3) end
  return cluster, user
end

function File:path(key, ending)
  local cluster, user = split_key(key)
  return self.dir .. "/" .. file_part(cluster) .. "/" .. file_part(user) .. ending
end

-- Ours alone: a directory that others could write to could be swapped under us.
local function check_directory(path)
  local st, why, code = core.stat(path)
  if not st then return nil, why, code end
  if st.type ~= "directory" then return nil, ("%s is a %s, not a directory"):format(path, st.type) end
  if st.uid ~= core.euid() then return nil, ("%s belongs to user id %d, not to us"):format(path, st.uid) end
  if st.mode % 64 ~= 0 then
    return nil, ("%s may be entered by others (mode %o); chmod 700 it"):format(path, st.mode % 512)
  end
  return st
end

-- What a directory lies on, or will.
local function file_system(path)
  local st = core.stat(path)
  while not st and path ~= "" do
    path = path:match "^(.*)/[^/]*$" or ""
    st = core.stat(path ~= "" and path or ".")
  end
  return st and st.fs
end

local function make_directory(path)
  local ok, why = core.make_dir(path)
  if not ok then return nil, why end
  return check_directory(path)
end

--- Opens the store. A directory that is missing is made by the first lock or record, not by looking into it: its name
--- may be mistyped.
---@param url string file:DIR
---@param codec? crdbcloud.store.codec
---@return crdbcloud.store.file|nil
---@return crdbcloud.error|nil
function M.open(url, codec)
  local dir = url:match("^file://(/.*)$") or url:match("^file:(.*)$")
  dir = dir and (dir:gsub("/+$", ""))
  if not dir or dir == "" then
    return nil, errors.new {
      kind = "invalid_argument",
      message = "store: file: needs a directory",
      hint = "for example file:/var/lib/crdbcloud",
    }
  end
  local st, why, code = check_directory(dir)
  if not st and code ~= "ENOENT" then return nil, store.failed("store " .. url, why, { outcome = "not_sent" }) end
  return setmetatable({
    url = url, dir = dir, fs = file_system(dir), codec = codec or codecs.new(), missing = not st, new = not st, held = {},
  }, File)
end

--- Makes the directory ready, for `crdbcloud store init`.
---@param url string
---@return string|nil text for people
---@return crdbcloud.error|nil
function M.init(url)
  local self, err = M.open(url)
  if not self then return nil, err end
  local ok
  ok, err = self:make()
  return ok and tostring(self) .. " is ready", err
end

--- Makes the directory, if it is missing.
---@return true|nil
---@return crdbcloud.error|nil
function File:make()
  if not self.missing then return true end
  local st, why = make_directory(self.dir)
  if not st then return nil, store.failed("store " .. self.url, why, { outcome = "not_sent" }) end
  self.missing = false
  return true
end

function File:__tostring()
  return "crdbcloud.store " .. printing.harmless(self.url)
end

--- What a person should know of this store before trusting it; that it is new is said once.
---@return string[]
function File:warnings()
  local list = {}
  if self.fs == "tmpfs" or self.fs == "ramfs" then
    list[1] = ("%s is in memory (%s): a reboot loses every password in it"):format(self.dir, self.fs)
  elseif self.fs == "nfs" then
    list[1] = self.dir .. " is on NFS, whose locks are not trusted: use it from one host only"
  end
  if self.new then
    self.new = false
    list[#list + 1] = ("%s is new and on this host only: when the host is lost, so are the passwords in it"):format(self.dir)
  end
  return list
end

function File:read(path, key)
  local content, why, code = core.read_file(path, { max = MAX_RECORD, private = true })
  if not content then
    if code == "ENOENT" then return nil end
    return nil, codecs.refused(key, why, code, path)
  end
  local rec, version, form = self.codec:decode(content, key)
  content:close()
  if not rec then return nil, codecs.refused(key, version, form, path) end
  if type(version) ~= "number" then return nil, codecs.refused(key, "it has no version", "foreign", path) end
  return rec, version, form
end

--- The record, its version and how its passwords are kept ("clear", "mixed", or the id of a key); nothing
--- when there is none.
function File:get(key)
  return self:read(self:path(key, ".rec"), key)
end

-- The lock of a key, with a note for those who find it held.
local function take(self, key, note)
  local cluster = split_key(key)
  local made, err = self:make()
  if not made then return nil, err end
  local st, why = make_directory(self.dir .. "/" .. file_part(cluster))
  if not st then return nil, store.failed("store " .. self.url, why, { outcome = "not_sent" }) end
  local handle, code, holder
  handle, why, code, holder = core.lock(self:path(key, ".lock"), note)
  if handle then return handle end
  if code ~= "busy" then return nil, store.failed("locking " .. key, why, { outcome = "not_sent" }) end
  return nil, store.busy(key, holder)
end

-- Whether the caller's lock still keeps others out: its file may have been removed.
local function holds(self, key)
  return self.held[key] ~= nil and self.held[key]:holds(self:path(key, ".lock"))
end

-- Runs fn while this process holds the key, by its caller's lock or one of its own.
function File:holding(key, fn)
  if holds(self, key) then return fn() end
  local give_up = core.monotonic() + PUT_WAIT
  while true do
    local handle, err = take(self, key, "put")
    if handle then
      local ok, a, b = pcall(fn)
      handle:close()
      if not ok then error(a, 0) end
      return a, b
    end
    if err.kind ~= "busy" or core.monotonic() > give_up then return nil, err end
    core.sleep(0.01)
  end
end

--- Writes the record if its version is still the one given (nil: if there is none).
---@return integer|nil version
---@return crdbcloud.error|nil
function File:put(key, rec, version)
  local path = self:path(key, ".rec")
  return self:holding(key, function()
    local old, found = self:get(key)
    if not old and found then return nil, found end
    if (old and found or nil) ~= version then return nil, store.conflict(key) end
    local next_version = (version or 0) + 1
    local bytes, why = self.codec:encode(rec, next_version)
    if not bytes then return nil, store.failed("record " .. key, why, { outcome = "not_sent" }) end
    local ok
    ok, why = core.write_file(path, bytes)
    bytes:close()
    if not ok then
      return nil, store.failed("writing record " .. key, why, {
        hint = "nothing is sent before a record is durable",
      })
    end
    return next_version
  end)
end

--- Removes the record if its version is still the one given.
function File:remove(key, version)
  local path = self:path(key, ".rec")
  return self:holding(key, function()
    local old, found = self:get(key)
    if not old and found then return nil, found end
    if (old and found or nil) ~= version then return nil, store.conflict(key) end
    local ok, why = core.remove_file(path)
    if not ok then return nil, store.failed("removing record " .. key, why) end
    return true
  end)
end

-- What is no directory, is gone since, or belongs to the file system holds no records.
local function files_of(path)
  local files, why, code = core.list_dir(path)
  if files then return files end
  if code == "ENOTDIR" or code == "ENOENT" or path:find "/lost%+found$" then return {} end
  return nil, store.failed("listing " .. path, why, { reason = code })
end

--- All keys that begin with prefix ("" or "CLUSTER/" or more), sorted.
---@return string[]|nil
---@return crdbcloud.error|nil
function File:list(prefix)
  local keys = {}
  local clusters, why, code = core.list_dir(self.dir)
  if self.missing and code == "ENOENT" then return printing.lines(keys) end
  if not clusters then return nil, store.failed("store " .. self.url, why, { reason = code }) end
  self.missing = false -- another run may have made it
  for _, directory in ipairs(clusters) do
    local cluster = name_part(directory)
    local head = prefix:match("^[^/]*/") or prefix
    if (cluster .. "/"):sub(1, #head) == head then
      local files, err = files_of(self.dir .. "/" .. directory)
      if not files then return nil, err end
      for _, file in ipairs(files) do
        local user = file:match("^([^.].*)%.rec$")
        local key = user and cluster .. "/" .. name_part(user)
        if key and key:sub(1, #prefix) == prefix then keys[#keys + 1] = key end
      end
    end
  end
  table.sort(keys)
  return printing.lines(keys)
end

--- Takes the key until `lock:close()`. note says who holds it, for the error of others.
---@return table|nil lock
---@return crdbcloud.error|nil err kind "busy" when another run holds it
function File:lock(key, note)
  local handle, err = take(self, key, note or "")
  if not handle then return nil, err end
  -- Nobody else writes where we hold the key.
  leftovers.sweep(self:path(key, ".rec"))
  self.held[key] = handle
  local lock = {}
  function lock.ensure()
    if holds(self, key) then return true end
    return nil, errors.new {
      kind = "busy", reason = "lease",
      message = key .. ": its lock file was removed while this run held it, and another run may have taken it",
      hint = "leave the .lock files of the store alone; run it again",
    }
  end
  function lock.close()
    if self.held[key] == handle then self.held[key] = nil end
    handle:close()
  end
  return lock
end

--- Removes what crashes left beside the records of a cluster. A record that somebody works on is left alone.
---@param cluster_id string
function File:tidy(cluster_id)
  for _, name in ipairs(leftovers.names(self.dir .. "/" .. file_part(cluster_id))) do
    local user = name:match("^(.*)%.rec$")
    local lock = user and self:lock(cluster_id .. "/" .. name_part(user), "tidy")
    if lock then lock.close() end
  end
end

function File.close() end

store.guard(File)

return M
