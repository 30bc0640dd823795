-- Runs the crdbcloud command of this checkout as a process, under the interpreter of the specs.

local temp = require "spec.support.temp"

local M = {}

local LUA = rawget(_G, "jit") and "luajit" or "lua5.4"

-- Shell words that set exactly this environment.
local function environment(env)
  local words = { "env", "-i", "PATH=" .. temp.quote(os.getenv "PATH"), "LC_ALL=C.UTF-8" }
  for name, value in pairs(env) do
    -- The sandbox's exports name interpreter paths; the command finds its own.
    if value and not name:find "^LUA_" and name ~= "PATH" then words[#words + 1] = name .. "=" .. temp.quote(value) end
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
    feed[#feed + 1] = ("n=0; until [ $(grep -aoF %s %s/out | wc -l) -ge %d ] || [ $n -ge 400 ]; do sleep 0.02; n=$((n+1)); done; cat %s/answer%d >&3")
      :format(temp.quote(answer[1]), dir, answer.times or 1, dir, i)
  end
  feed[#feed + 1] = ("while [ ! -e %s/done ]; do sleep 0.02; done"):format(dir)
  temp.write(dir .. "/feed", table.concat(feed, "\n") .. "\n")
  local _, code = temp.run(([[mkfifo %s/keys; sh %s/feed & script -qfec '. %s/line' %s/out <%s/keys >/dev/null; code=$?; touch %s/done; wait; (exit $code)]])
    :format(dir, dir, dir, dir, dir, dir))
  local out = temp.read(dir .. "/out"):gsub("^Script started[^\n]*\n", ""):gsub("\nScript done[^\n]*\n?$", ""):gsub("\r", "")
  return { code = code, out = out }
end

--- Starts it; the result has pid, and wait() -> { code, out, err }.
function M.start(args, env)
  local dir = temp.dir()
  temp.write(dir .. "/run", ("echo $$ >%s/pid.new; mv %s/pid.new %s/pid; exec %s </dev/null >%s/out 2>%s/err\n")
    :format(dir, dir, dir, M.line(args, env), dir, dir))
  local pipe = assert(io.popen(("sh %s/run; echo $? >%s/code"):format(dir, dir)))
  temp.run(("while [ ! -e %s/pid ]; do sleep 0.01; done"):format(dir))
  return {
    pid = tonumber((temp.read(dir .. "/pid"))),
    wait = function()
      pipe:read "*a"
      pipe:close()
      return { code = tonumber((temp.read(dir .. "/code"))), out = temp.read(dir .. "/out"), err = temp.read(dir .. "/err") }
    end,
  }
end

return M
