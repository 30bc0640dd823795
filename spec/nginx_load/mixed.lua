--- Thousands of calls of all kinds, some of them against a service that fails: each is answered, nginx has nothing to
--- complain about, and the worker holds in the end what it held before.

local core = require "crdbcloud.core"
local load = require "spec.nginx_load.load"
local nginx = require "spec.support.servers.nginx"
local scenes = require "spec.support.scene"
local sandbox = require "spec.support.sandbox"
local temp = require "spec.support.temp"

local M = {}

M.CONNECTIONS = 16
local FAULTY = 0.02 -- of the requests
local A_FIFTH = 3 * 1024 -- KiB that a worker may grow by in a fifth of the calls; over the last two, as one alone is noise
-- KiB by which it may grow after the first fifth: half a MiB for each thread, which its heaps take until they have room
-- enough. LuaJIT goes on compiling what it runs for very long, which takes more.
local COMPILED, INTERPRETED = 24 * 1024, 8 * 1024
local ROTATED = M.CONNECTIONS -- users of rotations: one for each thread

-- What a path calls. Each answers "ok", or the kind and the outcome of the error, and what it says.
local CALLS = [[
local calls = {}
function calls.list() return cluster:all_sql_users() end
function calls.page() return cluster:list_sql_users { limit = 10 } end
function calls.create(user) return cluster:create_sql_user(user, crdbcloud.password.generate()) end
function calls.change(user) return cluster:update_sql_user_password(user, crdbcloud.password.generate()) end
function calls.delete(user) return cluster:delete_sql_user(user) end
function calls.credential(user) return cluster:credential(user) end
function calls.shared(user) return crdbcloud.credential("credentials", user) end
function calls.rotate(user) return cluster:rotate_password { user = user } end
function calls.bad() return cluster:create_sql_user("no such name", crdbcloud.password.generate()) end
function calls.worse() return cluster:rotate_password { usr = "x" } end
function calls.many(user) return cluster:rotate_passwords { users = { user }, dry_run = true } end
return function(args)
  local ok, value, err = pcall(calls[args.op], args.user)
  if not ok then return "raised " .. tostring(value) end
  if value then return "ok" end
  return ("%s %s %s"):format(err.kind, err.outcome, err.message)
end
]]

--- Code of init_by_lua and of a location, for the paths of a list.
M.PERFORM = ("perform = (function() %s end)()"):format(CALLS)
M.ANSWER = "ngx.print(perform(ngx.req.get_uri_args()))"

-- What the calls of each kind may say when nothing went wrong with the service.
local EXPECTED = { bad = "invalid_argument not_sent", worse = "raised " }

--- Calls: the lives of users of their own, between calls about others. The order is kept where it matters, because the
--- connections take the paths one by one: two calls about one user are more than CONNECTIONS apart.
---@param count integer
---@param rotated integer users rotated_0 and on, that are there
---@return { op: string, user: string? }[]
function M.paths(count, rotated)
  local list, user = {}, 0
  local function add(op, name) list[#list + 1] = { op = op, user = name } end
  while #list < count do
    local names = {}
    for i = 1, 2 * M.CONNECTIONS do
      user = user + 1
      names[i] = ("load_%d"):format(user)
      add("create", names[i])
    end
    for i, name in ipairs(names) do
      add("change", name)
      if i % 8 == 0 then add("list") end
    end
    for i = 1, 10 do add(({ "page", "bad", "shared", "credential", "worse" })[i % 5 + 1], "rotated_" .. i % rotated) end
    add("many", "rotated_0")
    for _ = 1, 2 do add("rotate", "rotated_" .. (#list + user) % rotated) end
    for i, name in ipairs(names) do
      add("change", name)
      if i % 4 == 0 then add("credential", "rotated_" .. i % rotated) end
    end
    for _, name in ipairs(names) do add("delete", name) end
  end
  for i = #list, count + 1, -1 do list[i] = nil end
  return list
end

local KINDS = {
  { what = "drop_before" }, { what = "drop_after" }, { what = "drop_after", form = "reset" }, { what = "html_502" },
  { what = "html_502", apply = true }, { what = "rate_limited", form = "none" }, { what = "delay", seconds = 0.5 },
  { what = "error_after", status = 503 },
}

--- Faults at random places among as many requests; a request that is sent again counts again.
---@return integer how many
function M.strew(s, random, count)
  local n = math.floor(count * FAULTY)
  for i = 1, n do
    local fault = { op = "*", nth = random(count) }
    for name, value in pairs(KINDS[i % #KINDS + 1]) do fault[name] = value end
    s:fault(fault)
  end
  return n
end

local function held(pid)
  local descriptors, kinds = load.descriptors(pid)
  return { rss = load.rss(pid), descriptors = descriptors, kinds = kinds }
end

--- Sends the calls; each gets what it was answered.
---@param connections integer|nil
function M.send(web, list, connections)
  local urls = {}
  for i, one in ipairs(list) do urls[i] = ("/call?op=%s&user=%s"):format(one.op, one.user or "") end
  local found = load.start({
    socket = web.socket, paths = urls, connections = connections or M.CONNECTIONS, seconds = 1200, patience = 120,
  }):wait()
  for i, answer in ipairs(found.answers) do list[i].status, list[i].text = answer.status, answer.body end
end

--- Figures of no call yet.
function M.new(calls, seed)
  return {
    calls = calls, seed = seed, unanswered = 0, as_expected = 0, raised = 0, errors = 0, kinds = {}, examples = {}, memory = {}, faults = 0,
    requests = 0,
  }
end

--- Sorts what was answered; an answer that no fault explains is wrong.
function M.count(figures, list)
  for _, one in ipairs(list) do
    local text = one.text
    local expected = EXPECTED[one.op] or "ok"
    if one.status ~= 200 then
      figures.unanswered = figures.unanswered + 1
      figures.first = figures.first or ("%s: %d %s"):format(one.op, one.status, text:sub(1, 200))
    elseif text:sub(1, #expected) == expected then
      figures.as_expected = figures.as_expected + 1
    elseif text:find "^raised" then
      figures.raised = figures.raised + 1
      figures.first = figures.first or one.op .. ": " .. text:sub(1, 300)
    else
      local kind = one.op .. " " .. text:match "^%S+ %S+"
      figures.errors, figures.kinds[kind] = figures.errors + 1, (figures.kinds[kind] or 0) + 1
      figures.examples[kind] = figures.examples[kind] or text:sub(1, 200)
    end
  end
end

-- Each stored password logs in.
local function lost(scene)
  local n = 0
  for i = 0, ROTATED - 1 do
    local rec = assert(scene:record("rotated_" .. i))
    if scene:login(rec.user, rec.current.password) ~= "accepted" then n = n + 1 end
  end
  return n
end

-- Turns the compiler off in as many states of the threads.
local INTERPRET = ([[
  local threads = {}
  local function interpret() return ngx.run_worker_thread("crdbcloud", "spec.nginx_load.interpret", "run") end
  for i = 1, %d do threads[i] = ngx.thread.spawn(interpret) end
  for i = 1, #threads do
    local _, ran, problem = ngx.thread.wait(threads[i])
    assert(ran, problem)
  end
  ngx.print "ok"
]]):format(M.CONNECTIONS)

-- All states of the threads are there, each with all that it keeps open.
local function warm_up(web, s)
  s:set { latency = 150 }
  local list = {}
  for round = 1, 3 do
    for i = 1, M.CONNECTIONS do list[#list + 1] = { op = round == 3 and "rotate" or "page", user = "rotated_" .. i % ROTATED } end
  end
  M.send(web, list)
  s:set { latency = 0 }
end

--- Runs it.
---@param options { calls: integer, seed: integer?, jit: boolean? } jit: false for threads that interpret
---@return table figures
function M.run(options)
  local seed = options.seed or os.time() % 100000
  local state = seed * 7919 + 13
  local function random(n)
    state = (state * 1103515245 + 12345) % 2 ^ 31
    return math.floor(state / 2 ^ 31 * n) + 1
  end
  return load.guarded(function(keep)
    local s = sandbox.start { users = 2, rate = 0 }
    keep(function() s:stop() end)
    local scene = scenes.open(nil, s)
    keep(function() scene:close() end)
    local web = nginx.start {
      http = "access_log off; lua_shared_dict credentials 1m;",
      init = table.concat({
        ("package.path = package.path .. ';%s/?.lua'"):format((temp.run "pwd":gsub("%s+$", ""))),
        load.account(s, ("max_calls = %d, max_wait = '60s'"):format(M.CONNECTIONS), scene),
        M.PERFORM,
      }, "\n"),
      locations = { ["/call"] = M.ANSWER, ["/interpret"] = INTERPRET },
    }
    keep(function() web:stop() end)
    local pid = web:worker()
    if options.jit == false then
      local status, body = web:get "/interpret"
      assert(status == 200 and body == "ok", body)
    end
    for i = 0, ROTATED - 1 do
      assert(scene.cluster:create_app_user {
        name = "rotated_" .. i, access = { database = "shop", tables = { "orders" }, privileges = { "SELECT" } },
      })
      M.send(web, { { op = "rotate", user = "rotated_" .. i } })
    end
    warm_up(web, s)
    s:clear()
    local list = M.paths(options.calls, ROTATED)
    local figures = M.new(options.calls, seed)
    figures.jit = options.jit ~= false
    local started, done = core.monotonic(), 0
    figures.start = held(pid)
    -- In parts, so that the memory is seen while it grows; the first fifth warms everything up.
    for part = 1, 5 do
      local some = {}
      for i = done + 1, math.floor(#list * part / 5) do some[#some + 1] = list[i] end
      figures.faults = figures.faults + M.strew(s, random, #some)
      M.send(web, some)
      done = done + #some
      M.count(figures, some)
      figures.requests = figures.requests + #s:log()
      s:clear()
      figures.memory[part] = load.rss(pid)
    end
    figures.seconds = core.monotonic() - started
    warm_up(web, s)
    figures.final = held(pid)
    figures.same_worker = web:worker() == pid
    figures.lost = lost(scene)
    figures.log = web:errors()
    return figures
  end)
end

-- Each thread's state keeps its connections; in the end as many as after the warm-up, but for one or two that a fault
-- has just closed or that were not there yet.
local function descriptor_lost(figures)
  for kind, n in pairs(figures.final.kinds) do
    local before = figures.start.kinds[kind] or 0
    if n > before + 2 then return ("%d of %s, before %d"):format(n, kind, before) end
  end
end

--- What is wrong with the figures; nil when everything holds.
---@return string|nil
function M.problem(figures)
  local descriptor = descriptor_lost(figures)
  if figures.unanswered + figures.raised > 0 then return "a call was not answered: " .. figures.first end
  if figures.errors > 3 * figures.faults then return ("%d errors of %d faults"):format(figures.errors, figures.faults) end
  if figures.lost > 0 then return figures.lost .. " stored passwords do not log in" end
  if #figures.log > 0 then return "nginx wrote: " .. figures.log[1] end
  if not figures.same_worker then return "the worker is another one than at the start" end
  local most = figures.jit and COMPILED or INTERPRETED
  if figures.final.rss - figures.memory[1] > most or figures.memory[5] - figures.memory[3] > 2 * A_FIFTH then
    return "the worker grows"
  end
  if descriptor then return "descriptors are lost: " .. descriptor end
  return nil
end

--- The figures for people.
---@return string
function M.text(figures)
  local lines = {
    ("%d calls in %.0f s, %d requests of the API with %d faults (seed %d)"):format(figures.calls, figures.seconds, figures.requests,
      figures.faults, figures.seed),
    ("  as expected %d, errors that the service's faults explain %d, unanswered %d"):format(figures.as_expected, figures.errors,
      figures.unanswered + figures.raised),
  }
  local kinds = {}
  for kind, n in pairs(figures.kinds) do kinds[#kinds + 1] = ("    %4d %s"):format(n, kind) end
  table.sort(kinds)
  for _, line in ipairs(kinds) do lines[#lines + 1] = line end
  local sizes = {}
  for i, rss in ipairs(figures.memory) do sizes[i] = ("%.1f"):format(rss / 1024) end
  lines[#lines + 1] = ("  memory of the worker%s, MiB: start %.1f, after each fifth %s, end %.1f"):format(figures.jit and "" or ", compiler off",
    figures.start.rss / 1024, table.concat(sizes, " "), figures.final.rss / 1024)
  lines[#lines + 1] = ("  open descriptors: %d before, %d after; lines of error.log: %d; lost passwords: %d"):format(
    figures.start.descriptors, figures.final.descriptors, #figures.log, figures.lost)
  return table.concat(lines, "\n")
end

return M
