--- `crdbcloud shell`: the interpreter that runs the command, at its prompt, with the account and the cluster at hand; or
--- with the program on standard input, where that is no terminal.
--
-- This process becomes the interpreter, so that the terminal, signals and the exit code are its own. What was given goes
-- on in one variable of the environment; arguments hold paths only.

local cjson = require "cjson"
local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local prompt = require "crdbcloud.cli.prompt"

local M = {}

-- The interpreter as it was started: the first of all arguments.
local function interpreter()
  local arguments, i = rawget(_G, "arg") or {}, -1
  while arguments[i - 1] do i = i - 1 end
  return arguments[i] or rawget(_G, "jit") and "luajit" or "lua5.4"
end

-- Whether this interpreter edits lines by itself: the library is there from its start.
local function edits_lines()
  local file = io.open("/proc/self/maps", "rb")
  local text = file and file:read "*a" or ""
  if file then file:close() end
  return text:find("libreadline", 1, true) ~= nil or text:find("libedit", 1, true) ~= nil
end

local function find_program(name)
  for directory in (os.getenv "PATH" or ""):gmatch "[^:]+" do
    local st = core.stat(directory .. "/" .. name)
    if st and st.type == "file" then return directory .. "/" .. name end
  end
end

-- Where modules are found, as a line of Lua.
local function paths()
  return ("package.path, package.cpath = %q, %q"):format(package.path, package.cpath)
end

local function shell(run, args)
  local lua, words, editing = interpreter(), {}, edits_lines()
  local wrapper = not editing and core.is_terminal(0) and core.is_terminal(1) and find_program "rlwrap"
  if wrapper then
    -- What is typed may hold a password: no history on disk, as with readline.
    for _, word in ipairs { wrapper, "--history-filename", "/dev/null", "--no-warnings", "--quote-characters", "\"'" } do words[#words + 1] = word end
  end
  words[#words + 1] = lua
  if core.is_terminal(0) then words[#words + 1] = "-i" end
  words[#words + 1] = "-e"
  words[#words + 1] = ("%s require('crdbcloud.cli.prompt').%s()"):format(paths(), core.is_terminal(0) and "open" or "run")
  run:close()
  io.stdout:flush()
  local _, problem = core.exec(words, {
    [prompt.VARIABLE] = cjson.encode {
      options = { base_url = args.server, api_key_file = args.api_key_file, ca_file = args.ca_file, timeout = args.timeout },
      clusters = args.cluster_names, quiet = args.quiet or nil, editing = editing or wrapper and true or false,
      cluster = { store = args.store, store_key_file = args.store_key_file, plaintext = args.store_plaintext, sql = args.sql,
        sql_ca_file = args.ca_file },
    },
  })
  return nil, errors.new { kind = "invalid_argument", message = "the prompt cannot be opened: " .. problem, outcome = "not_sent", exit = 1 }
end

function M.register(parser)
  parser:command "shell":summary "Open a Lua prompt with the account and the cluster at hand."
    :description("Opens the interpreter with crdbcloud, cloud, cluster and help at hand; `help()` lists what there is. "
      .. "Where standard input is no terminal it is run as a program, or printed if it is an expression, and the exit code says what "
      .. "became of it. "
      .. "With several --cluster, clusters holds them by name.")
    :action(function(args) args.run, args.several = shell, true end)
end

return M
