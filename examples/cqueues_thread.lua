-- Rotates all users in a thread of cqueues; its loop goes on, and one of its coroutines prints each step as it is made.
-- Usage: lua5.4 examples/cqueues_thread.lua [MAX_AGE]      such as 90d; default: all of them
-- Server, cluster, store and SQL connection come from the environment (README), in the thread too.

local cqueues = require "cqueues"
local crdbcloud = require "crdbcloud"
local thread = require "cqueues.thread"

-- Runs in a Lua state of its own, which has nothing of this one but the arguments: a socket and plain values.
local function rotate(con, path, cpath, key, max_age)
  package.path, package.cpath = path, cpath
  con:setmode("b", "bl") -- lines leave at once
  local ok, result = pcall(function()
    local own = require "crdbcloud"
    local cloud = assert(own.new { api_key = assert(own.core.take(key)) })
    return assert(assert(cloud:cluster()):rotate_passwords {
      users = "all", max_age = max_age, on_progress = function(event) con:write(tostring(event), "\n") end,
    })
  end)
  con:write(tostring(result), "\n", ok and 0 or type(result) == "table" and result.exit or 70, "\n")
end

local loop, ticks, exit = cqueues.new(), 0, nil
loop:wrap(function() -- all else that the program does
  repeat ticks = ticks + 1 until exit or cqueues.sleep(0.01)
end)
loop:wrap(function()
  -- A secret crosses as a ticket: good once, for a minute, in this process.
  local key = assert(crdbcloud.core.lend(assert(crdbcloud.secret.from_file(os.getenv "COCKROACH_API_KEY_FILE"))))
  local worker, con = assert(thread.start(rotate, package.path, package.cpath, key, arg[1]))
  for line in con:lines() do
    exit = tonumber(line) -- the last one
    if not exit then print(line) end
  end
  worker:join()
  print(ticks .. " ticks meanwhile")
end)
assert(loop:loop())
os.exit(exit or 70, true)
