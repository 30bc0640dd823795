--- What `crdbcloud shell` does inside the interpreter that it has become: makes crdbcloud, cloud, cluster and help. At a
--- prompt it says what is there; whatever cannot be opened is told in one line, and the prompt is there all the same. Where
--- standard input is no terminal it is a program, which ends as crdbcloud.main does.

local cjson = require "cjson"
local crdbcloud = require "crdbcloud"
local errors = require "crdbcloud.errors"
local printing = require "crdbcloud.base.printing"

local M = {}

--- The variable that holds what the command was given, as JSON; no secret is in it.
M.VARIABLE = "CRDBCLOUD_SHELL"

local function say(text, mark) printing.say(io.stderr, text .. "\n", mark) end

-- A text that the user may have to read twice.
local function complain(what, err)
  say(what .. ": " .. tostring(err), require("crdbcloud.cli.output").mark("error: ", 31))
end

-- fn(...) with what it raises as an error too: a wrong option of the command must not end the prompt.
local function try(what, fn, ...)
  local ok, value, err = pcall(fn, ...)
  if ok and value then return value end
  if not ok then err = errors.new { kind = "invalid_argument", message = errors.bare(value), outcome = "not_sent" } end
  complain(what, err)
  return nil, err
end

local function open_clusters(cloud, given)
  local names = #given.clusters > 0 and given.clusters or { os.getenv "CRDBCLOUD_CLUSTER" }
  local first, by_name, err = nil, {}, nil
  for _, name in ipairs(names) do
    if name ~= "" then
      local handle, problem = try("cluster " .. name, cloud.cluster, cloud, name, given.cluster)
      first, by_name[name], err = first or handle, handle, err or problem
    end
  end
  return first, #names > 1 and by_name or nil, err
end

-- What a value prints as: a part of the library as its help, a plain table as its fields.
local function shown(value)
  if type(value) == "string" and printing.terminal() then return printing.harmless_lines(value) end
  if not printing.is_plain(value) then return value end
  local text, known = crdbcloud.help.text(value)
  if known then return text end
  for _, item in pairs(value) do
    if type(item) == "function" then return value end
  end
  return printing.fields(value)
end

-- The interpreter prints results by the global print.
local function print_tables_too()
  local plain = print
  rawset(_G, "print", function(...)
    local count, values = select("#", ...), { ... }
    for i = 1, count do values[i] = shown(values[i]) end
    return plain((table.unpack or unpack)(values, 1, count))
  end)
end

local function greet(given, globals)
  local jit = rawget(_G, "jit")
  say(("crdbcloud %s: crdbcloud, cloud, cluster and help are at hand; help() lists what there is, Ctrl-D leaves."):format(crdbcloud.version))
  if jit then say "This interpreter prints what follows \"=\", as in: = cloud:all_clusters()" end
  if not given.editing and require("crdbcloud.core").is_terminal(0) then
    say "It edits no lines and keeps no history; with rlwrap installed, crdbcloud shell has both."
  end
  if globals.cloud then say("cloud    " .. tostring(globals.cloud)) end
  if globals.cluster then
    say("cluster  " .. tostring(globals.cluster))
  elseif globals.cloud then
    say('cluster  is nil; type: cluster = cloud:cluster "NAME"     (' .. (jit and "= " or "") .. "cloud:all_clusters() lists them)")
  else
    say 'cloud    is nil; type: cloud = assert(crdbcloud.new { api_key_file = "FILE" })'
  end
end

-- Fills the globals; gives what the command was given, the globals, and why something could not be opened.
local function open()
  local text = os.getenv(M.VARIABLE)
  local given = text and cjson.decode(text) or { options = {}, clusters = {}, cluster = {} }
  local globals = { crdbcloud = crdbcloud, help = crdbcloud.help }
  local cloud, err = try("cloud", crdbcloud.new, given.options)
  globals.cloud = cloud
  if cloud then globals.cluster, globals.clusters, err = open_clusters(cloud, given) end
  -- What is typed sees globals only.
  for name, value in pairs(globals) do rawset(_G, name, value) end
  print_tables_too()
  return given, globals, err
end

--- Opens the prompt: the interpreter reads lines when this returns.
function M.open()
  local given, globals = open()
  if not given.quiet then greet(given, globals) end
end

-- A program, or one expression, whose values are printed; nil and an error are raised.
local function compile(text)
  text = text:gsub("^#![^\n]*", "")
  local load_text = rawget(_G, "loadstring") or load
  local expression = load_text("return " .. text, "=stdin")
  if not expression then return load_text(text, "=stdin") end
  local function finish(...)
    if select("#", ...) == 2 and (...) == nil and errors.is((select(2, ...))) then error((select(2, ...)), 0) end
    if select("#", ...) > 0 then print(...) end
  end
  return function() finish(expression()) end
end

--- Runs standard input and ends the process: the exit code says what became of it.
function M.run()
  local _, _, err = open()
  if err then os.exit(err.exit, true) end
  local program, problem = compile(io.read "*a")
  if not program then
    say("crdbcloud shell: " .. problem)
    os.exit(2, true)
  end
  crdbcloud.main(program)
end

return M
