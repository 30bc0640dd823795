-- The users of a cluster. Those of the first two are roles of their PostgreSQL servers, reached through
-- nginx's thread pool; any other cluster keeps its users in memory. Both kinds have the same functions;
-- each returns a word ("ok", "exists", "missing", "depends", "failed") and a value.

local semaphore = require "ngx.semaphore"
local settings = require "api.settings"
local pages = require "api.pages"

local M = {}

local THREADS = 16

-- Users that exist in every cluster and that the service does not list.
local HIDDEN = { "root" }

-- Changes made through the API, by side and name: lists of { time, exists }, for `as_of_time`.
local history = { one = {}, two = {} }

local permits

-- A few more waiting jobs than the pool can hold would end the worker process, so calls are counted here.
local function in_thread(side, job)
  permits = permits or semaphore.new(THREADS)
  job.conninfo = settings.started.sql[side].conninfo
  job.server = settings.started.sql[side].server
  local free = permits:wait(30)
  if not free then return "failed", "the SQL side is busy" end
  local ran, word, value = ngx.run_worker_thread( -- luacheck: ignore 143
    "sandbox", "api.sql_job", "run", job)
  permits:post(1)
  if not ran then return "failed", tostring(word) end
  return word, value
end

local function remember(side, name, exists)
  local changes = history[side][name] or {}
  history[side][name] = changes
  table.insert(changes, { time = ngx.now(), exists = exists })
end

-- Names to add to and to take from today's list to get that of `as_of`.
local function differences(side, as_of)
  local added, removed = {}, {}
  for name, changes in pairs(history[side]) do
    local earliest
    for i = #changes, 1, -1 do
      if changes[i].time > as_of then earliest = changes[i] end
    end
    local now = changes[#changes].exists
    -- Before the earliest later change it was the other way round.
    if earliest and now == earliest.exists then table.insert(now and removed or added, name) end
  end
  return added, removed
end

local function postgres_of(side)
  local postgres = {}
  function postgres.list(page)
    local added, hidden = {}, {}
    if page.as_of then added, hidden = differences(side, page.as_of) end
    if settings.live.reserved == "listed" then
      added[#added + 1] = "admin"
    else
      for _, name in ipairs(HIDDEN) do hidden[#hidden + 1] = name end
    end
    return in_thread(side, {
      what = "list", after = page.after, descending = page.descending, count = page.limit + 1, added = added, hidden = hidden,
    })
  end
  function postgres.create(name, password)
    local word, value = in_thread(side, { what = "create", name = name, password = password })
    if word == "ok" then remember(side, name, true) end
    return word, value
  end
  function postgres.delete(name)
    local word, value = in_thread(side, { what = "delete", name = name })
    if word == "ok" then remember(side, name, false) end
    return word, value
  end
  function postgres.set_password(name, password)
    return in_thread(side, { what = "set_password", name = name, password = password })
  end
  function postgres.has_password(name, password)
    local word, same = in_thread(side, { what = "has_password", name = name, password = password })
    return word == "ok" and same
  end
  function postgres.databases() return in_thread(side, { what = "databases" }) end
  return postgres
end

local SIDES = { one = postgres_of "one", two = postgres_of "two" }

local memories = {}

-- Users in memory are kept as keyed hashes of their passwords: enough to tell "the same again".
local function memory_of(cluster_id)
  local users = memories[cluster_id] or {}
  memories[cluster_id] = users
  local memory = {}
  function memory.list(page)
    local names = {}
    for name in pairs(users) do names[#names + 1] = name end
    table.sort(names)
    return "ok", pages.slice(page, names)
  end
  function memory.create(name, password)
    if users[name] then return "exists" end
    users[name] = M.hash(password)
    return "ok"
  end
  function memory.delete(name)
    if not users[name] then return "missing" end
    users[name] = nil
    return "ok"
  end
  function memory.set_password(name, password)
    if not users[name] then return "missing" end
    users[name] = M.hash(password)
    return "ok"
  end
  function memory.has_password(name, password) return users[name] == M.hash(password) end
  function memory.databases() return "ok", { names = { "defaultdb", "postgres" }, counts = { defaultdb = "0", postgres = "0" } } end
  return memory
end

--- The keyed hash of a password: what the log keeps in its place.
function M.hash(password)
  return (ngx.hmac_sha1(settings.started.hash_key, password):gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

--- The users of a cluster.
function M.of(cluster_id)
  for side, users in pairs(SIDES) do
    if cluster_id == settings.started.clusters[side] then return users end
  end
  return memory_of(cluster_id)
end

--- Whether both SQL sides answer.
function M.ready()
  for side in pairs(SIDES) do
    local word, problem = in_thread(side, { what = "ping" })
    if word ~= "ok" then return word, problem end
  end
  return "ok"
end

function M.reset()
  history, memories = { one = {}, two = {} }, {}
end

return M
