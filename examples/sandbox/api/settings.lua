-- What the sandbox was started with (`started`, never changed afterwards) and the settings that
-- the control socket may change while it runs (`live`).

local json = require "api.json"

local M = {
  started = {},
  live = {},
  generation = 0, -- counts resets: what was begun before one must not be finished after it
}

-- Every live setting with its default and what it may be: a list of words, or "number" (0 or more).
local KNOWN = {
  latency = { default = 0, allowed = "number" },             -- milliseconds before a request is handled
  rate = { default = 10, allowed = "number" },               -- requests per second and key; 0: unlimited
  page_cap = { default = 500, allowed = "number" },          -- most items on a page, whatever the limit asks for
  page_end = { default = "no_next", allowed = { "no_pagination", "null_pagination", "no_next", "null_next", "empty_next" } },
  must_differ = { default = "accept", allowed = { "accept", "refuse" } }, -- the password that a user already has
  details = { default = "objects", allowed = { "objects", "strings", "none" } }, -- form of `details` in errors
  reserved = { default = "hidden", allowed = { "hidden", "listed" } },     -- root and admin in the list of users
  state = { default = "running", allowed = { "running", "paused", "locked", "creating" } }, -- of the first cluster
}

--- Reads the file that `sandbox start` wrote. Called in the master process, which may read it.
function M.load(path)
  local file = assert(io.open(path, "rb"))
  M.started = assert(json.decode_object(file:read("*a")), "settings are not JSON")
  file:close()
  M.reset()
end

--- Back to the values given at the start.
function M.reset()
  M.generation = M.generation + 1
  for name, known in pairs(KNOWN) do
    local given = M.started.live[name]
    if given == nil then given = known.default end
    M.live[name] = given
  end
end

--- Changes one setting. `value` may be text, as it comes from a command line.
--- @return boolean|nil ok, string|nil problem
function M.set(name, value)
  local known = KNOWN[name]
  if not known then return nil, "unknown setting " .. tostring(name) end
  if known.allowed == "number" then
    local number = tonumber(value)
    if not number or number < 0 then return nil, name .. ": a number of 0 or more was expected" end
    M.live[name] = number
    return true
  end
  for _, word in ipairs(known.allowed) do
    if word == value then
      M.live[name] = word
      return true
    end
  end
  return nil, name .. ": expected one of " .. table.concat(known.allowed, ", ")
end

return M
