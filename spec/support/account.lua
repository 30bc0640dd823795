-- An API account at a sandbox, for specs.

local crdbcloud = require "crdbcloud"

local M = {}

--- Opens an account; options are those of crdbcloud.new, `key` names one of the sandbox's keys.
function M.open(s, options)
  local given = { base_url = s.url, ca_file = s.ca_file, rate = 0 }
  for name, value in pairs(options or {}) do given[name] = value end
  if not (given.api_key or given.api_jwt or given.api_key_file) then given.api_key_file = s.keys[given.key or "admin"] end
  given.key = nil
  return assert(crdbcloud.new(given))
end

--- Requests of an operation in the sandbox's log, oldest first.
function M.sent(s, operation)
  local found = {}
  for _, entry in ipairs(s:log()) do
    if operation == nil or entry.op == operation then found[#found + 1] = entry end
  end
  return found
end

--- Runs Lua code in a process of its own, with this interpreter and the environment given.
--- @return string output standard output and error
function M.run(code, environment)
  local file = os.tmpname()
  local handle = assert(io.open(file, "w"))
  handle:write(code)
  handle:close()
  local words = { "env" }
  for name, value in pairs(environment or {}) do words[#words + 1] = ("%s='%s'"):format(name, value) end
  words[#words + 1] = rawget(_G, "jit") and "luajit" or "lua5.4"
  words[#words + 1] = file
  local pipe = assert(io.popen(table.concat(words, " ") .. " 2>&1"))
  local output = pipe:read "*a"
  pipe:close()
  os.remove(file)
  return output
end

return M
