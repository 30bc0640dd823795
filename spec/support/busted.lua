-- Runs busted in whichever interpreter runs this file: a wrapper such as valgrind can stand in front.
-- What a spec starts runs without a preloaded sanitizer.
local uv = require "luv"
if os.getenv "LD_PRELOAD" then uv.os_unsetenv "LD_PRELOAD" end
-- Specs join threads of luv; see the end of crdbcloud.threads.crew for why the loop then needs a turn.
local exit = os.exit
os.exit = function(...) -- luacheck: ignore 122
  uv.run "nowait"
  exit(...)
end
require "busted.runner" { standalone = false }
