-- Runs busted in whichever interpreter runs this file: a wrapper such as valgrind can stand in front.
-- What a spec starts runs without a preloaded sanitizer.
if os.getenv "LD_PRELOAD" then require "luv".os_unsetenv "LD_PRELOAD" end
require "busted.runner" { standalone = false }
