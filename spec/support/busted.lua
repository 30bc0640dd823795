-- Runs busted in whichever interpreter runs this file: a wrapper such as valgrind can stand in front.
require "busted.runner" { standalone = false }
