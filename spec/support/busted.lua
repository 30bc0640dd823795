-- Runs busted in whichever interpreter runs this file: a wrapper such as valgrind can stand in front.
-- What a spec starts runs without a preloaded sanitizer.
local uv = require "luv"
if os.getenv "LD_PRELOAD" then uv.os_unsetenv "LD_PRELOAD" end
-- Specs join threads of luv; see the end of crdbcloud.threads.crew for why the loop then needs a turn.
-- Collected before that turn, a thread crashes as well.
local exit, new_thread, threads = os.exit, uv.new_thread, {}
uv.new_thread = function(...)
  threads[#threads + 1] = new_thread(...)
  return threads[#threads]
end
os.exit = function(...) -- luacheck: ignore 122
  uv.run "nowait"
  exit(...)
end
require "busted.runner" { standalone = false }
uv.run "nowait" -- it comes back when all have passed
