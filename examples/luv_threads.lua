-- Rotates users, each in a thread of luv, while the event loop goes on.
-- Usage: lua5.4 examples/luv_threads.lua [USER...]      default: app_user_001 app_user_002
-- Server, key, cluster, store and SQL connection come from the environment (README), in the threads too.

local core = require "crdbcloud.core"
local uv = require "luv"

-- Runs in a Lua state of its own, which has nothing of this one but the arguments: plain values and handles of luv.
local function rotate(path, cpath, answer, user)
  package.path, package.cpath = path, cpath
  local ok, result, ticket = pcall(function()
    local crdbcloud = require "crdbcloud"
    local cluster = assert(assert(crdbcloud.new()):cluster())
    local report = assert(cluster:rotate_password { user = user })
    -- A secret crosses as a ticket: good once, for a minute, in this process.
    return report, assert(crdbcloud.core.lend(assert(cluster:credential(user)).password))
  end)
  local code = ok and 0 or type(result) == "table" and result.exit or 70
  answer:send(code, tostring(result), ticket) -- once and last, as luv may merge several into one
end

local timer, ticks = uv.new_timer(), 0
timer:start(0, 10, function() ticks = ticks + 1 end) -- all else that the program does
timer:unref()

local exit = 0
for _, user in ipairs(#arg > 0 and arg or { "app_user_001", "app_user_002" }) do
  local answer, thread
  answer = uv.new_async(function(code, text, ticket)
    answer:close()
    thread:join()
    print(text, ticket and core.take(ticket) or "no password", ticks .. " ticks meanwhile")
    if code ~= 0 then exit = code end
  end)
  thread = assert(uv.new_thread(rotate, package.path, package.cpath, answer, user))
end
uv.run()
os.exit(exit, true)
