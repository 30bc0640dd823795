-- What lua/crdbcloud/types declares of the Lua interface against what is there when the program runs, both ways: each
-- function has a declaration, each declaration a function, and each class that is named is declared somewhere.

local holders = require "crdbcloud.help.holders"
local reference = require "crdbcloud.reference"

local wrong = 0

local function complain(format, ...)
  wrong = wrong + 1
  io.stderr:write("declarations: ", format:format(...), "\n")
end

local function lines_of(command)
  local pipe = assert(io.popen(command))
  local list = {}
  for line in pipe:lines() do list[#list + 1] = line end
  pipe:close()
  return list
end

-- Functions of each class: class -> name -> "." or ":", as the files under types declare them.
local function declared()
  local classes = {}
  for _, path in ipairs(lines_of "find lua/crdbcloud/types -name '*.lua' | sort") do
    local class, variables = nil, {}
    for line in io.lines(path) do
      class = line:match "^%-%-%-@class ([%w_.]+)" or class
      local variable = line:match "^local ([%w_]+) = {}"
      if variable then
        variables[variable] = class
        classes[class] = classes[class] or {}
      end
      local of, mark, name = line:match "^function ([%w_]+)([.:])([%w_]+)%("
      if of then classes[variables[of]][name] = mark end
    end
  end
  return classes
end

local types = declared()
local seen = {}

for _, chapter in ipairs(reference.chapters()) do
  local class = types[chapter.class]
  if not class then complain("no class %s", chapter.class) end
  local holder = holders.of(chapter, true)
  local internal = {}
  for _, name in ipairs(chapter.internal or {}) do internal[name] = true end
  local is_module = chapter.object:find "^crdbcloud" ~= nil
  seen[chapter.class] = seen[chapter.class] or { holder = holder, internal = {}, all = chapter.object ~= "crdbcloud" and chapter.object ~= "store" }
  for name in pairs(internal) do seen[chapter.class].internal[name] = true end
  for _, entry in ipairs(chapter.entries) do
    if class and class[entry.name] ~= (is_module and "." or ":") then complain("%s has no declaration in %s", entry.path, chapter.class) end
  end
end

for name, known in pairs(seen) do
  for method in pairs(types[name] or {}) do
    local value = known.holder[method]
    local meta = getmetatable(value)
    if type(value) ~= "function" and not (type(meta) == "table" and meta.__call) then complain("%s declares %s, which is not there", name, method) end
  end
  if known.all then
    for method, value in pairs(known.holder) do
      local public = type(value) == "function" and not method:find "^_" and not known.internal[method]
      if public and not (types[name] or {})[method] then complain("%s.%s is not declared", name, method) end
    end
  end
end

-- Every class or alias that a declaration names.
local names = {}
for _, line in ipairs(lines_of "grep -rhoE -- '---@(class|alias) crdbcloud[a-z_.]*' lua") do names[line:match "(crdbcloud[%w_.]*)$"] = true end
for _, line in ipairs(lines_of "grep -rhE -- '---@(field|param|return)' lua/crdbcloud/types") do
  for name in line:gmatch "crdbcloud%.[%w_.]*[%w_]" do
    -- Texts may name functions; types stand before the first blank that follows the name of the field.
    local kind = line:match "^%-%-%-@return (%S+)" or line:match "^%-%-%-@%a+ %S+ (%S+)"
    if kind:find(name, 1, true) and not names[name] then complain("no class or alias %s", name) end
  end
end

os.exit(wrong == 0)
