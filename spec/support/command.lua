-- Runs the crdbcloud command of this checkout as a process, under the interpreter of the specs.

local sandbox = require "spec.support.sandbox"
local temp = require "spec.support.temp"
local wait = require "spec.support.wait"

local M = {}

local LUA = rawget(_G, "jit") and "luajit" or "lua5.4"

-- Shell words that set exactly this environment.
local function environment(env)
  local words = { "env", "-i", "PATH=" .. temp.quote(os.getenv "PATH"), "LC_ALL=C.UTF-8" }
  for name, value in pairs(env) do
    -- The sandbox's exports name interpreter paths; the command finds its own.
    if value and not name:find "^LUA_C?PATH" and name ~= "PATH" then words[#words + 1] = name .. "=" .. temp.quote(value) end
  end
  return table.concat(words, " ")
end

local function words_of(args)
  local words = {}
  for i, arg in ipairs(args) do words[i] = temp.quote(arg) end
  return table.concat(words, " ")
end

--- The shell command line, to be put into another.
---@param args string[]
---@param env table<string, string>
function M.line(args, env)
  return ("%s %s build/crdbcloud %s"):format(environment(env), LUA, words_of(args))
end

--- Runs it to its end.
---@param args string[]
---@param env table<string, string>
---@param stdin? string
---@return { code: integer, out: string, err: string }
function M.run(args, env, stdin)
  local dir = temp.dir()
  temp.write(dir .. "/in", stdin or "")
  local _, code = temp.run(("%s <%s/in >%s/out 2>%s/err"):format(M.line(args, env), dir, dir, dir))
  return { code = code, out = temp.read(dir .. "/out"), err = temp.read(dir .. "/err") }
end

--- Runs it on a terminal of its own. Each answer is typed when its question has been shown; out has
--- all that the terminal showed.
---@param answers { [1]: string, [2]: string }[] a text that is waited for, and what is typed then
---@return { code: integer, out: string }
function M.on_terminal(args, env, answers)
  local dir = temp.dir()
  temp.write(dir .. "/line", M.line(args, env) .. "\n")
  temp.write(dir .. "/out", "")
  -- Typed into a terminal that has not asked yet, a password would be shown or thrown away.
  local feed = { "exec 3>" .. dir .. "/keys" }
  for i, answer in ipairs(answers) do
    temp.write(("%s/answer%d"):format(dir, i), answer[2] .. "\n")
    feed[#feed + 1] = ("n=0; until [ $(grep -aoF %s %s/out | wc -l) -ge %d ] || [ $n -ge 6000 ]; do sleep 0.02; n=$((n+1)); done; cat %s/answer%d >&3")
      :format(temp.quote(answer[1]), dir, answer.times or 1, dir, i)
  end
  feed[#feed + 1] = ("while [ ! -e %s/done ]; do sleep 0.02; done"):format(dir)
  temp.write(dir .. "/feed", table.concat(feed, "\n") .. "\n")
  local _, code = temp.run(([[mkfifo %s/keys; sh %s/feed & script -qfec '. %s/line' %s/out <%s/keys >/dev/null; code=$?; touch %s/done; wait; (exit $code)]])
    :format(dir, dir, dir, dir, dir, dir))
  local out = temp.read(dir .. "/out"):gsub("^Script started[^\n]*\n", ""):gsub("\nScript done[^\n]*\n?$", ""):gsub("\r", "")
  return { code = code, out = out }
end

--- Starts it; the result has pid, said(words), which waits until standard error has these words, and
--- wait() -> { code, out, err }.
function M.start(args, env)
  local dir = temp.dir()
  temp.write(dir .. "/run", ("echo $$ >%s/pid.new; mv %s/pid.new %s/pid; exec %s </dev/null >%s/out 2>%s/err\n")
    :format(dir, dir, dir, M.line(args, env), dir, dir))
  local pipe = assert(io.popen(("sh %s/run; echo $? >%s/code"):format(dir, dir)))
  temp.run(("while [ ! -e %s/pid ]; do sleep 0.01; done"):format(dir))
  return {
    pid = tonumber((temp.read(dir .. "/pid"))),
    said = function(words)
      wait("the words: " .. words, function() return temp.read(dir .. "/err"):find(words, 1, true) end)
    end,
    wait = function()
      pipe:read "*a"
      pipe:close()
      return { code = tonumber((temp.read(dir .. "/code"))), out = temp.read(dir .. "/out"), err = temp.read(dir .. "/err") }
    end,
  }
end

--- What the specs of the command share: the sandbox, and for each case a home and an environment of its own.
function M.case()
  local case = {}
  local env, home

  --- The sandbox; it is started at first use.
  case.sandbox = setmetatable({}, {
    __index = function(_, name)
      local shared = sandbox.shared()
      local value = shared[name]
      if type(value) ~= "function" then return value end
      return function(_, ...) return value(shared, ...) end
    end,
  })

  function case.setup() case.sandbox:reset() end

  --- The environment, which a case may change, and the home directory.
  function case.before()
    case.sandbox:clear()
    home = temp.dir()
    env = { HOME = home, CRDBCLOUD_STORE = "file:" .. home .. "/store", TERM = "xterm" }
    for name, value in pairs(case.sandbox.env) do env[name] = env[name] or value end
    return env, home
  end

  function case.after()
    case.sandbox:clear()
    temp.clean()
  end

  function case.run(...) return M.run({ ... }, env) end

  --- Runs a command that must end with 0.
  function case.ok(...)
    local r = case.run(...)
    if r.code ~= 0 then error(("exit %d: %s"):format(r.code, r.err), 2) end
    return r
  end

  --- The text holds these very words.
  function case.shows(words, text)
    if not text:find(words, 1, true) then error(("expected %q in:\n%s"):format(words, text), 2) end
  end

  --- Number of requests since the start of the case that were to change something.
  function case.writes()
    local n = 0
    for _, entry in ipairs(case.sandbox:log()) do
      if entry.method ~= "GET" then n = n + 1 end
    end
    return n
  end

  --- Waits until a request of this operation has arrived.
  function case.arrived(op)
    wait(op, function()
      for _, entry in ipairs(case.sandbox:log()) do
        if entry.op == op then return true end
      end
    end)
  end

  --- A file that holds a password.
  function case.password_file(text)
    temp.write(home .. "/pw", text .. "\n")
    temp.run("chmod 600 " .. home .. "/pw")
    return home .. "/pw"
  end

  return case
end

return M
