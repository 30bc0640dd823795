--- Copies credentials from the store into a shared dictionary, in a thread of nginx's pool. Loaded in the event loop
--- too, so the parts are required inside the function.

local M = {}

local SHOWN = 20 -- problems of single users, in the status

-- The keys of the cluster's records. A cluster that is named by name is found by its records: reading works with the
-- API down.
local function keys_of(store, cluster)
  local name = cluster.name_or_id
  if name:match(require("crdbcloud.api.ids").PATTERN) then return store:list(name .. "/") end
  local all, err = store:list ""
  if not all then return nil, err end
  -- Whose records these are, any of them tells that can be read.
  local ours, problem = {}, nil
  for _, key in ipairs(all) do
    local id = key:match "^([^/]+)/[^/]+$" -- others may have put anything there
    if id and ours[id] == nil then
      local rec, why = store:get(key)
      if rec then ours[id] = rec.cluster_name == name end
      problem = problem or not rec and why or nil
    end
  end
  local keys = {}
  for _, key in ipairs(all) do
    if ours[key:match "^([^/]+)/[^/]+$" or ""] then keys[#keys + 1] = key end
  end
  -- Records that cannot be read are not records that are gone.
  if #keys == 0 and problem then return nil, problem end
  return keys
end

local function wanted(users)
  if users == "managed" then return function() return true end end
  local set = {}
  for _, user in ipairs(users) do set[user] = true end
  return function(user) return set[user] end
end

--- Copies them.
---@param cluster table crdbcloud.cluster of this thread
---@param args { dict: string, users: "managed"|string[], known: table<string, string> } known: user -> cluster id of those
---  that stand in the dictionary since the last time
---@return { known: table<string, string>, users: integer, problems: table[] }|nil
---@return crdbcloud.error|nil err nothing was touched
function M.run(cluster, args)
  local credentials, dicts = require "crdbcloud.credentials", require "crdbcloud.nginx.dict"
  local store, err = cluster:open_store "keep_credentials"
  if not store then return nil, err end
  local keys
  keys, err = keys_of(store, cluster)
  if not keys then return nil, err end
  -- It may be on a disk that is not mounted.
  if store.missing and next(args.known) then
    return nil, require("crdbcloud.store").failed("store " .. store.url, "there is no directory " .. store.dir)
  end
  local shm, is_wanted = ngx.shared[args.dict], wanted(args.users)
  local known, count, problems, there = {}, 0, {}, {}
  local function problem(user, text)
    if #problems < SHOWN then problems[#problems + 1] = { user = user, problem = text } end
  end
  for _, key in ipairs(keys) do
    local id, user = key:match "^([^/]+)/([^/]+)$"
    if user and is_wanted(user) then
      there[user] = true
      local credential, why = credentials.from_store(store, user, id)
      local ok, text, code = nil, why and why.message, nil
      if credential then ok, text, code = dicts.put(shm, credential) end
      -- What the dictionary had before is better than nothing, and a newer one better still.
      if ok or code == "newer" then
        known[user], count = id, count + 1
      else
        if not (why and why.kind == "pending") then problem(user, text) end
        known[user] = args.known[user]
      end
    end
  end
  for user, id in pairs(args.known) do
    if not known[user] then dicts.remove(shm, user, id) end
  end
  if args.users ~= "managed" then
    for _, user in ipairs(args.users) do
      if not there[user] then problem(user, "the store holds no record of this user") end
    end
  end
  return { known = known, users = count, problems = problems }
end

return M
