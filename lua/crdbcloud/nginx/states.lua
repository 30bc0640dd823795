--- Lets the Lua states of a pool's threads open one after the other.
--
-- nginx makes a state for each call that finds none idle, and the call loads the library into it, 15 ms of work. A
-- hundred first calls at once would be a hundred threads at that work, and the event loop would get its hundredth part
-- of the processor: it stood still for more than a second. One at a time it hardly notices, and the calls are done
-- sooner, too. What is idle is used again before a new one is made, so there are as many as were ever busy at once.

local M = {}

local LOOK = 60 -- seconds; a call that waits longer goes on all the same

---@class crdbcloud.nginx.states of one worker and pool
---@field open integer states that have loaded the library
---@field busy integer calls in a state
---@field gate table ngx.semaphore with one permit

---@param semaphore fun(permits: integer): table as of ngx.semaphore
---@return crdbcloud.nginx.states
function M.new(semaphore) return { open = 0, busy = 0, gate = assert(semaphore(1)) } end

--- Waits until there is a state for one more call.
---@param pool crdbcloud.nginx.pool
function M.enter(pool)
  local states = pool.states
  if states.busy >= states.open then
    local turn = states.gate:wait(LOOK)
    -- Meanwhile a call may have ended.
    if states.busy >= states.open then
      -- What goes wrong here goes wrong in the call again, which tells of it.
      pcall(ngx.run_worker_thread, pool.name, "crdbcloud.nginx.job", "open")
      states.open = states.open + 1
    end
    if turn then states.gate:post(1) end
  end
  states.busy = states.busy + 1
end

--- After the call.
---@param pool crdbcloud.nginx.pool
function M.leave(pool) pool.states.busy = pool.states.busy - 1 end

return M
