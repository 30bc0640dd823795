-- Each name that the C modules offer to Lua has a declaration in lua/crdbcloud/types and a spec.
local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function concat(find)
  local all = {}
  local pipe = assert(io.popen(find))
  for path in pipe:lines() do all[#all + 1] = read(path) end
  pipe:close()
  return table.concat(all, "\n")
end

local declared = concat "find lua/crdbcloud/types -name '*.lua'"
local tested = concat "find spec -name '*_spec.lua'"
local missing = 0

local function complain(name, what)
  missing = missing + 1
  io.stderr:write(("surface: %s has no %s\n"):format(name, what))
end

local function check(name, declaration, use)
  if not declared:find(declaration, 1, true) then complain(name, "declaration: " .. declaration) end
  if not tested:find(use .. "%f[%W]") then complain(name, "spec") end
end

for _, module in ipairs { "core", "pq" } do
  local ok, functions = pcall(require, "crdbcloud." .. module)
  if ok then
    for name, value in pairs(functions) do
      if type(value) == "function" then
        check("crdbcloud." .. module .. "." .. name, ("function %s.%s("):format(module, name), "%f[%w_]" .. module .. "%." .. name)
      end
    end
  else
    io.stderr:write("surface: crdbcloud.", module, " cannot be loaded: ", functions, "\n")
    missing = missing + 1
  end
end

for key, meta in pairs(debug.getregistry()) do
  local class = type(key) == "string" and key:match "^crdbcloud%.(%w+)$"
  if class and type(meta) == "table" and type(meta.__index) == "table" then
    for name in pairs(meta.__index) do
      check("crdbcloud." .. class .. ":" .. name, ("function %s:%s("):format(class, name), "[:.]" .. name)
    end
  end
end
os.exit(missing == 0)
