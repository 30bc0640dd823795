--- Checks that what the library prints goes through crdbcloud.base.printing, which leaves no control character of a
--- foreign text: nothing else writes to a standard stream, and a __tostring shows no field as it came.
--
--   lua5.4 spec/support/lint/printed.lua [DIRECTORY]

local M = {}

-- The one place that writes, and what is no library code.
local WRITER, APART = "base/printing.lua", { ["types/"] = true, ["reference/"] = true }

-- The person at the prompt prints; what it is handed is clean already.
local ALLOWED = { ["cli/prompt.lua"] = "print", ["help/init.lua"] = "print" }

local AROUND = {
  { "%f[%w_.:]print%s*[%({\"']", "print" }, { "io%.write%s*[%(\"'%[]", "io.write" },
  { "io%.stdout:write", "io.stdout:write" }, { "io%.stderr:write", "io.stderr:write" }, { "[%w_.]*file:write", "a file's write" },
}

-- Without comments and, in long brackets, texts.
local function code_of(text)
  text = text:gsub("%[%[.-%]%]", function(long) return (long:gsub("[^\n]", "")) end)
  return (text:gsub("%-%-[^\n]*", ""))
end

local function quoted(line, at)
  return select(2, line:sub(1, at):gsub('"', "")) % 2 == 1 or select(2, line:sub(1, at):gsub("'", "")) % 2 == 1
end

-- A text of our own, or what another __tostring has made.
local function is_shown(body)
  if body:find "printing%." or body:find "harmless" then return true end
  for expression in body:gmatch "return ([^\n]+)" do
    local rest = expression:gsub('"[^"]*"', ""):gsub("tostring%b()", ""):gsub("M%.text%(%)", ""):gsub("%s+end.*$", "")
    if rest:gsub("%.%.", ""):find "[%w_]" then return false end
  end
  return true
end

---@param name string of the file, below the library's directory
---@param text string
---@return string[] problems
function M.of_file(name, text)
  local problems, n = {}, 0
  local code = code_of(text)
  for line in (code .. "\n"):gmatch "(.-)\n" do
    n = n + 1
    for _, rule in ipairs(AROUND) do
      local at = line:find(rule[1])
      if at and not quoted(line, at) and name ~= WRITER and ALLOWED[name] ~= rule[2] then
        problems[#problems + 1] = ("%s:%d: %s goes around printing.say and printing.write_exactly"):format(name, n, rule[2])
      end
    end
  end
  for body in code:gmatch "\n(function [%w_]+:__tostring%(%).-\nend)" do
    if not is_shown(body) then
      problems[#problems + 1] = ("%s: %s shows fields without printing.harmless"):format(name, body:match "^function ([%w_:]+)")
    end
  end
  return problems
end

---@param root string
---@return string[] problems
function M.check(root)
  local problems = {}
  local pipe = assert(io.popen(("cd '%s/lua/crdbcloud' && find . -name '*.lua' | LC_ALL=C sort"):format(root)))
  for path in pipe:lines() do
    local name = path:gsub("^%./", "")
    if not APART[name:match "^[^/]+/" or ""] then
      local file = assert(io.open(root .. "/lua/crdbcloud/" .. name, "rb"))
      for _, problem in ipairs(M.of_file(name, file:read "*a")) do problems[#problems + 1] = problem end
      file:close()
    end
  end
  pipe:close()
  return problems
end

if arg and arg[0] and arg[0]:find "lint/printed%.lua$" then
  local problems = M.check(arg[1] or ".")
  for _, problem in ipairs(problems) do io.stderr:write("printed: ", problem, "\n") end
  os.exit(#problems == 0)
end

return M
