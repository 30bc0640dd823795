--- Runs workflows as real processes that are killed, or met with an error of the system, at a boundary that is given
--- by number (spec/c/kill_at.c), and sweeps over all of them.

local cjson = require "cjson"
local native = require "spec.support.native"
local temp = require "spec.support.temp"

local M = {}

local LUA = rawget(_G, "jit") and "luajit" or "lua5.4"
local KILLED = 137 -- the shell's word for SIGKILL

-- Children use the plain build: one with a sanitizer would need it preloaded as well.
local function lua_environment()
  local cpath = package.cpath:gsub("/build/[^/;]+/(5%.%d/)", "/build/%1")
  return { LUA_PATH = package.path, LUA_CPATH = cpath, PATH = os.getenv "PATH", LC_ALL = "C.UTF-8", TZ = "UTC" }
end

-- What spec/c/kill_at.c wrote: numbered calls and marks.
local function read_trace(path)
  local trace = { calls = 0, lines = {} }
  for line in (temp.read(path) or ""):gmatch("[^\n]+") do
    trace.lines[#trace.lines + 1] = line
    local n = line:match("^(%d+) ")
    if n then
      trace.calls = trace.calls + 1
      trace.last = line
    end
  end
  return trace
end

--- How spec/c/kill_at.c writes the API of a scene's sandbox.
function M.api(scene) return "tcp:" .. scene.sandbox.url:match(":(%d+)$") end

-- The shell command that runs a job, with the shim where `kill` says how.
local function command_of(scene, job, kill)
  local dir = scene.dir
  -- No limit of requests, and a short time for each: nothing here is slow but by a fault.
  job.cloud = job.cloud or { rate = 0, timeout = 5 }
  temp.write(dir .. "/job", cjson.encode(job))
  local env = lua_environment()
  for _, name in ipairs { "COCKROACH_SERVER", "COCKROACH_API_KEY_FILE", "CRDBCLOUD_CA_FILE", "CRDBCLOUD_CLUSTER", "CRDBCLOUD_SQL", "PGPASSFILE" } do
    env[name] = scene.sandbox.env[name]
  end
  env.CRDBCLOUD_STORE = scene.store_url
  os.remove(dir .. "/trace")
  if kill then
    env.LD_PRELOAD, env.KILL_TRACE = native.preload "kill_at", dir .. "/trace"
    for name, value in pairs(kill) do env["KILL_" .. name:upper()] = tostring(value) end
  end
  local words = { "env -i" }
  for name, value in pairs(env) do words[#words + 1] = name .. "=" .. temp.quote(value) end
  return ("%s %s spec/support/crash/job.lua %s"):format(table.concat(words, " "), LUA, temp.quote(dir .. "/job"))
end

--- Runs one job in a process of its own.
---@param scene table of spec.support.scene
---@param job table { calls = { { method, options } … }, cloud = options of crdbcloud.new }
---@param kill? table { at, how, last, only, path, mark } as of spec/c/kill_at.c; without it the process just runs
---@return table { code, out, killed = boolean, trace = { calls, last, lines } }
function M.run(scene, job, kill)
  local out, code = temp.run(command_of(scene, job, kill))
  return { code = code, out = out, killed = code == KILLED, trace = read_trace(scene.dir .. "/trace") }
end

--- Runs one job until something has happened, and kills it then.
---@param happened fun(): boolean asked again and again, for ten seconds at most
---@return table as of M.run
function M.run_until(scene, job, happened)
  local dir = scene.dir
  temp.write(dir .. "/run", ("echo $$ >%s/pid.new; mv %s/pid.new %s/pid; exec %s\n"):format(dir, dir, dir, command_of(scene, job)))
  os.remove(dir .. "/pid")
  local pipe = assert(io.popen(("sh %s/run >%s/out 2>&1; echo $? >%s/code"):format(dir, dir, dir)))
  local tries = 0
  while not happened() and tries < 1000 do
    tries = tries + 1
    temp.run "sleep 0.01"
  end
  temp.run("kill -9 " .. temp.read(dir .. "/pid"))
  pipe:read "*a"
  pipe:close()
  local code = tonumber((temp.read(dir .. "/code")))
  return { code = code, out = temp.read(dir .. "/out"), killed = code == KILLED and tries < 1000, trace = read_trace(dir .. "/trace") }
end

--- Kills a workflow at boundary after boundary, recovers, and checks.
---@param case table of spec.support.crash.cases
---@param options table { how = "before", first = 1, step = 1, stop = integer|nil, only, path, mark, recoveries }
---@return table figures { kills, boundaries, wrong = { text … } }
function M.sweep(case, options)
  local figures = { kills = 0, boundaries = 0, wrong = {}, calls = {} }
  local n, round = options.first or 1, 0
  while not options.stop or n <= options.stop do
    local killed
    round = round + 1
    for i, recovery in ipairs(case.recoveries) do
      -- Either every way of recovery at each boundary, or the two in turn.
      if not options.alternate or (round + i) % #case.recoveries == 0 then
        case:prepare(n)
        local run = M.run(case.scene, case:job(), {
          at = n, how = options.how or "before", only = options.only, path = options.path, mark = options.mark,
        })
        local problems = case:after_kill(run)
        local again
        if run.killed then
          killed = true
          figures.kills = figures.kills + 1
          local call = run.trace.last:match("^%d+ (%a+)")
          figures.calls[call] = (figures.calls[call] or 0) + 1
          again = M.run(case.scene, case:recovery(recovery))
        end
        for _, problem in ipairs(case:at_end(again or run, recovery)) do problems[#problems + 1] = problem end
        if #problems > 0 then
          figures.wrong[#figures.wrong + 1] = ("%s, killed %s %s, then %s: %s\n%s%s"):format(case.name, options.how or "before",
            run.trace.last or "?", recovery, table.concat(problems, "; "), run.out, again and "\n-- " .. recovery .. "\n" .. again.out or "")
        end
      end
    end
    if not killed then break end
    figures.boundaries = n
    n = n + (options.step or 1)
  end
  case:finish()
  return figures
end

return M
