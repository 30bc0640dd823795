-- `make pool-test`: the pool test at full length. Ends with 1 when a connection failed that must not.
--   POOL_TURNS=18   rotations of each of the two users
--   POOL_POOLS=2    times as many programs as the shortened test has

local pool = require "spec.pool.pool"

io.stdout:setvbuf "line"
local figures = pool.run {
  turns = tonumber(os.getenv "POOL_TURNS" or 18), pools = tonumber(os.getenv "POOL_POOLS" or 2), progress = print,
}
print(pool.text(figures))
local problem = pool.problem(figures)
if problem then
  io.stderr:write("pool-test: ", problem, "\n")
  os.exit(1, true)
end
