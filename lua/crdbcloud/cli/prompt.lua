--- What `crdbcloud shell` does inside the interpreter that it has become: makes crdbcloud, cloud, cluster and help, and
--- says what is there. Whatever cannot be opened is told in one line; the prompt is there all the same.

local cjson = require "cjson"
local crdbcloud = require "crdbcloud"

local M = {}

--- The variable that holds what the command was given, as JSON; no secret is in it.
M.VARIABLE = "CRDBCLOUD_SHELL"

local function say(text) io.stderr:write(text, "\n") end

-- A text that the user may have to read twice.
local function complain(what, err)
  say(require("crdbcloud.cli.output").mark("error: ", 31) .. what .. ": " .. tostring(err))
end

-- fn(...) with what it raises as an error too: a wrong option of the command must not end the prompt.
local function try(what, fn, ...)
  local ok, value, err = pcall(fn, ...)
  if ok and value then return value end
  complain(what, ok and err or require("crdbcloud.errors").bare(value))
end

local function open_clusters(cloud, given)
  local names = #given.clusters > 0 and given.clusters or { os.getenv "CRDBCLOUD_CLUSTER" }
  local first, by_name = nil, {}
  for _, name in ipairs(names) do
    if name ~= "" then
      local handle = try("cluster " .. name, cloud.cluster, cloud, name, given.cluster)
      first, by_name[name] = first or handle, handle
    end
  end
  return first, #names > 1 and by_name or nil
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

--- Fills the globals of the prompt.
function M.open()
  local text = os.getenv(M.VARIABLE)
  local given = text and cjson.decode(text) or { options = {}, clusters = {}, cluster = {} }
  local globals = { crdbcloud = crdbcloud, help = crdbcloud.help }
  globals.cloud = try("cloud", crdbcloud.new, given.options)
  if globals.cloud then globals.cluster, globals.clusters = open_clusters(globals.cloud, given) end
  -- What is typed sees globals only.
  for name, value in pairs(globals) do rawset(_G, name, value) end
  if not given.quiet then greet(given, globals) end
end

return M
