--- Says once per worker that a script's module is used where it stops all of nginx.

local M = {}

-- At the start nothing is served yet.
local START = { init = true, init_worker = true }

local warned = false

--- Called wherever this library waits for a network or a disk. nginx's threads may wait; they have no ngx.log.
function M.check()
  local ngx = rawget(_G, "ngx")
  if warned or not ngx or not ngx.log or not ngx.get_phase or START[ngx.get_phase()] then return end
  warned = true
  ngx.log(ngx.WARN, 'crdbcloud stops this worker for as long as a call takes: use require "crdbcloud.nginx", which has the same ',
    "interface and runs each call in a thread (said once per worker)")
end

return M
