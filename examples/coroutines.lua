-- Lists users and rotates some, in coroutines that take turns in one thread.
-- Usage: lua5.4 examples/coroutines.lua [USER...]      default: app_user_001 app_user_002
-- Server, key, cluster, store and SQL connection come from the environment (README).
-- A call blocks its thread until its answer is there: nothing else goes on meanwhile. So yield between calls, and where
-- the longest one is too long to wait for, call in a thread: luv_threads.lua, cqueues_thread.lua.

local crdbcloud = require "crdbcloud"
local tasks, turns, longest = {}, 0, 0

local function start(fn) tasks[#tasks + 1] = coroutine.create(fn) end

crdbcloud.main(function()
  local cluster = assert(assert(crdbcloud.new()):cluster())

  start(function() -- one call a page; the users of a page are there at once
    for user in cluster:sql_users() do
      print("listed " .. user.name)
      coroutine.yield()
    end
  end)
  start(function() -- one call a user; with a yield in on_progress the user in hand would stay locked
    for _, user in ipairs(#arg > 0 and arg or { "app_user_001", "app_user_002" }) do
      print("rotated " .. assert(cluster:rotate_password { user = user }).rows[1].user)
      coroutine.yield()
    end
  end)

  while #tasks > 0 do
    turns = turns + 1 -- all else that the program does
    for i = #tasks, 1, -1 do
      local from = crdbcloud.core.monotonic()
      assert(coroutine.resume(tasks[i]))
      longest = math.max(longest, crdbcloud.core.monotonic() - from)
      if coroutine.status(tasks[i]) == "dead" then table.remove(tasks, i) end
    end
  end
  print(("%d turns; the longest wait for one was %.2f s"):format(turns, longest))
end)
