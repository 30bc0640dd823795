--- What calls under way do to the other requests of the same worker: nothing, where they run in the thread pool; and
--- as a control, what the blocking module does there.

local load = require "spec.nginx_load.load"
local nginx = require "spec.support.servers.nginx"
local sandbox = require "spec.support.sandbox"

local M = {}

M.CALLS = 100 -- under way at once
M.SLOW = 200 -- milliseconds of each
local PAUSE = 2 -- milliseconds between two pings
local RISE, P99 = 1, 50 -- milliseconds: what the median may rise by, and what p99 stays below
local CONTROL = 8 -- calls of the control: more would only make it longer

local PING = "ngx.print 'pong'"
local SLOW = "local c, err = cluster:get_cluster() ngx.print(c and c.name or tostring(err))"

local function blocking(s)
  return ([[
    local crdbcloud = require "crdbcloud"
    local cloud = assert(crdbcloud.new { base_url = %q, ca_file = %q, api_key_file = %q, rate = 0 })
    local c, err = cloud:get_cluster(%q)
    cloud:close()
    ngx.print(c and c.name or tostring(err))
  ]]):format(s.url, s.ca_file, s.keys.admin, s.cluster_id)
end

-- While a ping waits, those that would have left meanwhile wait too: each counts.
local function spread_out(times)
  local all = {}
  for _, time in ipairs(times) do
    all[#all + 1] = time
    for late = time - PAUSE, 0, -PAUSE do all[#all + 1] = late end
  end
  table.sort(all)
  return all
end

local function pings(web, seconds)
  local found = load.start({ socket = web.socket, path = "/ping", pause = PAUSE, seconds = seconds, patience = 60 }):wait()
  assert(found.unanswered == 0 and found.statuses["200"] == found.sent, "a ping was not answered: " .. tostring(found.first))
  local samples = spread_out(found.times)
  return {
    count = found.sent, p50 = load.quantile(samples, 0.5), p99 = load.quantile(samples, 0.99), p999 = load.quantile(samples, 0.999),
    most = samples[#samples],
  }
end

-- Pings while `connections` requests of a path are under way all the time.
local function beside(web, path, connections, seconds, settle)
  return load.guarded(function(keep)
    local slow = load.start { socket = web.socket, path = path, connections = connections, seconds = seconds * 10 + 60 }
    keep(function() slow:kill() end)
    local cold = settle and pings(web, settle)
    local found = pings(web, seconds)
    local calls = slow:stop()
    table.sort(calls.times)
    found.cold, found.calls, found.refused = cold, calls.sent, calls.sent - (calls.statuses["200"] or 0)
    found.call_p50, found.call_p99 = load.quantile(calls.times, 0.5), load.quantile(calls.times, 0.99)
    found.first = calls.first
    return found
  end)
end

--- Measures.
---@param options { seconds: number, rounds: integer } seconds of each measurement; rounds: of which the calmest counts, as
---  other programs of the machine can only add to the times
---@return table figures { quiet, module, control }: { count, p50, p99, p999, most } in milliseconds; module and control also
---  calls, call_p50, call_p99
function M.run(options)
  return load.guarded(function(keep)
    local s = sandbox.start { users = 1, rate = 0, latency = M.SLOW }
    keep(function() s:stop() end)
    local web = nginx.start {
      pool = ("thread_pool crdbcloud threads=%d;"):format(M.CALLS),
      http = "access_log off;", init = load.account(s, ("max_calls = %d, max_wait = '60s'"):format(M.CALLS)),
      locations = { ["/ping"] = PING, ["/slow"] = SLOW, ["/blocking"] = blocking(s) },
    }
    keep(function() web:stop() end)
    local best
    for round = 1, options.rounds do
      local quiet = pings(web, options.seconds)
      local module = beside(web, "/slow", M.CALLS, options.seconds, options.seconds / 2)
      local figures = { quiet = quiet, module = module, rounds = round }
      local holds = not M.problem(figures)
      if holds or not best or module.p99 < best.module.p99 then best = figures end
      if holds then break end
    end
    best.control = beside(web, "/blocking", CONTROL, options.seconds)
    best.log = web:errors "crdbcloud stops this worker"
    return best
  end)
end

local function too_slow(quiet, loaded)
  if loaded.p50 - quiet.p50 > RISE then return ("the median rises from %.2f to %.2f ms"):format(quiet.p50, loaded.p50) end
  if loaded.p99 >= P99 then return ("one request of a hundred takes %.1f ms or more"):format(loaded.p99) end
end

--- What is wrong with the figures; nil when everything holds.
---@return string|nil
function M.problem(figures)
  local slow = too_slow(figures.quiet, figures.module)
  if slow then return "beside calls under way " .. slow end
  if figures.module.refused > 0 then return "a call was not answered: " .. tostring(figures.module.first) end
  if figures.control and (figures.control.p99 <= 150 or not too_slow(figures.quiet, figures.control)) then
    return ("the control was not slow (p99 %.1f ms), so nothing is proved"):format(figures.control.p99)
  end
  if figures.log and #figures.log > 0 then return "nginx wrote: " .. figures.log[1] end
  return nil
end

local function row(name, found)
  return ("  %-36s %6d %8.2f %8.2f %8.2f %8.2f"):format(name, found.count, found.p50, found.p99, found.p999, found.most)
end

--- The figures for people.
---@return string
function M.text(figures)
  local module, control = figures.module, figures.control
  return table.concat({
    ("another location of the one worker, ms    pings      p50      p99    p99.9      max"),
    row("no call under way", figures.quiet),
    row(("%d calls of %d ms under way"):format(M.CALLS, M.SLOW), module),
    row("  the same while threads are warming up", module.cold),
    row(("control: %d calls, blocking module"):format(CONTROL), control),
    ("calls: %d in the pool, p50 %.0f ms, p99 %.0f ms"):format(module.calls, module.call_p50, module.call_p99),
  }, "\n")
end

return M
