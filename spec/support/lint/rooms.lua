--- Checks where the source files lie: a room uses only rooms before it in the order below, no files need each other in
--- a circle, only csrc/lua sees Lua, no room holds more than 25 files, and each file is named by a spec. It reads the
--- lines of `require` and `#include`, those inside functions too; nothing is run.
--
--   lua5.4 spec/support/lint/rooms.lua [DIRECTORY]

local M = {}

M.MOST_FILES = 25

-- A name without a slash is a file of lua/crdbcloud or a whole room. What stands on one line may use each other.
local LUA_ORDER = {
  { "base", "errors", "version", "names", "record", "passwords", "secrets", "credential" },
  { "api" },
  { "sql" },
  { "privileges" },
  { "store" },
  { "sinks" },
  { "credentials" },
  { "change" },
  { "run" },
  { "threads" },
  { "workflows" },
  { "cluster", "cloud", "init", "main" },
  { "nginx" },
  { "reference" },
  { "help" },
  { "cli" },
}
local C_ORDER = { { "base" }, { "secrets" }, { "files" }, { "process" }, { "http" }, { "sql" }, { "lua" } }

-- Another Lua state starts here, by name: it may use every room, and no file may require it.
local ENTRY = "threads/worker"

local function levels(order)
  local level = {}
  for n, names in ipairs(order) do
    for _, name in ipairs(names) do level[name] = n end
  end
  return level
end

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local function find(root, directory, test)
  local paths = {}
  local pipe = assert(io.popen(("cd %s && find %s -type f %s 2>/dev/null | LC_ALL=C sort"):format(quote(root), directory, test)))
  for path in pipe:lines() do paths[#paths + 1] = path end
  pipe:close()
  return paths
end

local function read(root, path)
  local file = assert(io.open(root .. "/" .. path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

---@param name string "run/batch"
---@return string
local function room_of(name) return name:match "^([^/]+)/" or name end

--- The Lua files, by name: "run/batch", "sinks/init", "cloud". What they require is read from luac's listing, so that
--- comments and texts do not count. `require("crdbcloud.run." .. name)` uses the whole room.
local function lua_files(root)
  local files, by_module, by_path = {}, {}, {}
  local paths = find(root, "lua/crdbcloud", "-name '*.lua' -not -path '*/types/*'")
  if #paths == 0 then return files end
  for _, path in ipairs(paths) do
    local name = path:match "^lua/crdbcloud/(.+)%.lua$"
    local module = ("crdbcloud." .. name:gsub("/", ".")):gsub("%.init$", "")
    files[name] = { path = path, module = module, text = read(root, path), uses = {}, rooms = {}, longest = 0 }
    by_module[module], by_path[path] = name, files[name]
  end
  local file, after_require
  local pipe = assert(io.popen(("cd %s && for path in %s; do luac5.4 -l -p $path; done"):format(quote(root), table.concat(paths, " "))))
  for line in pipe:lines() do
    local path, first, last = line:match "^%a+ <([^:]+):(%d+),(%d+)>"
    if path then
      file = by_path[path]
      local length = last - first + 1
      if file and length > file.longest then file.longest, file.at = length, first end
    elseif after_require then
      local used = line:match 'LOADK.*; "(crdbcloud[%w_.]*)"'
      local room = used and used:match "^crdbcloud%.([%w_]+)%.$"
      if room then file.rooms[room] = true end
      if by_module[used or ""] then file.uses[by_module[used]] = true end
    end
    after_require = line:find '; _ENV "require"$'
  end
  pipe:close()
  return files
end

--- The C files, by name: "http/pace.c", "http/pace.h".
local function c_files(root)
  local files = {}
  for _, path in ipairs(find(root, "csrc", "-name '*.[ch]'")) do
    local name = path:match "^csrc/(.+)$"
    local file = { path = path, text = read(root, path), uses = {}, rooms = {}, longest = 0 }
    for used in file.text:gmatch '#include%s*"([^"]+%.h)"' do file.uses[used] = true end
    local n, first = 0, nil
    for line in file.text:gmatch "([^\n]*)\n" do
      n = n + 1
      if line:find "^[%a_].*%(" and not line:find ";$" then first = n end
      if line == "}" and first and n - first + 1 > file.longest then file.longest, file.at = n - first + 1, first end
      if line:find "^}" then first = nil end
    end
    files[name] = file
  end
  for _, file in pairs(files) do
    for used in pairs(file.uses) do
      if not files[used] then file.uses[used] = nil end
    end
  end
  return files
end

local function sorted(set)
  local list = {}
  for key in pairs(set) do list[#list + 1] = key end
  table.sort(list)
  return list
end

--- Each group of files that reach each other.
local function circles(files)
  local index, low, stack, on_stack, count, found = {}, {}, {}, {}, 0, {}
  local function visit(name)
    count = count + 1
    index[name], low[name] = count, count
    stack[#stack + 1], on_stack[name] = name, true
    for _, used in ipairs(sorted(files[name].uses)) do
      if not index[used] then visit(used) end
      if on_stack[used] then low[name] = math.min(low[name], low[used]) end
    end
    if low[name] < index[name] then return end
    local group = {}
    repeat
      local member = table.remove(stack)
      on_stack[member] = nil
      table.insert(group, 1, member)
    until member == name
    if #group > 1 or files[name].uses[name] then found[#found + 1] = table.concat(group, ", ") end
  end
  for _, name in ipairs(sorted(files)) do
    if not index[name] then visit(name) end
  end
  return found
end

local function upward(files, level, problems)
  local edges = 0
  local function up(name, used)
    edges = edges + 1
    problems[#problems + 1] = ("%s uses %s, which lies above it"):format(files[name].path, used)
  end
  for _, name in ipairs(sorted(files)) do
    local own = level[room_of(name)]
    if not own then problems[#problems + 1] = ("%s: the order of rooms does not know it"):format(files[name].path) end
    if own and name == ENTRY then own = math.huge end
    for _, used in ipairs(sorted(files[name].uses)) do
      local other = level[room_of(used)]
      if used == ENTRY or (own and other and other > own) then up(name, used) end
    end
    for _, room in ipairs(sorted(files[name].rooms)) do
      if own and level[room] and level[room] > own then up(name, room) end
    end
  end
  return edges
end

--- A file of C is one with its header. Only what lies in the directory itself counts, not in its rooms.
local function crowded(root, problems)
  local rooms = {}
  for _, path in ipairs(find(root, "csrc lua spec", "-not -path '*/corpus/*'")) do
    local room, name = path:match "^(.+)/([^/]+)$"
    rooms[room] = rooms[room] or {}
    rooms[room][name:gsub("%.[ch]$", "")] = true
  end
  local counts = {}
  for _, room in ipairs(sorted(rooms)) do
    counts[room] = #sorted(rooms[room])
    if counts[room] > M.MOST_FILES then
      problems[#problems + 1] = ("%s holds %d files, more than %d"):format(room, counts[room], M.MOST_FILES)
    end
  end
  return counts
end

--- A spec names a source file when it has its room and name (spec/run/batch_spec.lua), requires it, or gives its path in
--- a line that is a comment.
local function unnamed(root, files, problems)
  local specs, named = {}, {}
  for _, path in ipairs(find(root, "spec", "-name '*_spec.lua'")) do
    specs[path:match "^spec/(.+)_spec%.lua$"] = true
    local text = read(root, path)
    for module in text:gmatch "require%s*%(?%s*[\"'](crdbcloud[%w_.]*)[\"']" do named[module] = true end
    for comment in ("\n" .. text):gmatch "\n%s*%-%-([^\n]*)" do
      for source in comment:gmatch "%f[%w]csrc/[%w_/]+%.c%f[^%w]" do named[source] = path end
      for source in comment:gmatch "%f[%w]lua/crdbcloud/[%w_/]+%.lua%f[^%w]" do named[source] = path end
    end
  end
  local count, there = 0, {}
  for _, name in ipairs(sorted(files)) do
    local file = files[name]
    local spec = name:gsub("%.c$", "")
    there[file.path] = true
    if not (file.path:find "%.h$" or specs[spec] or named[file.module or ""] or named[file.path]) then
      count = count + 1
      problems[#problems + 1] = ("%s is named by no spec: add spec/%s_spec.lua, or give its path in the spec that tests it"):format(file.path, spec)
    end
  end
  for _, source in ipairs(sorted(named)) do
    if source:find "/" and not there[source] then
      problems[#problems + 1] = ("%s names %s, which is not there"):format(named[source], source)
    end
  end
  return count
end

---@param root string the directory that holds csrc, lua and spec
---@return string[] problems
---@return table figures circles, upward, unnamed (counts), rooms (files by directory)
function M.check(root)
  local problems, figures = {}, { circles = 0 }
  local lua, c = lua_files(root), c_files(root)
  for _, files in ipairs { lua, c } do
    for _, circle in ipairs(circles(files)) do
      figures.circles = figures.circles + 1
      problems[#problems + 1] = "a circle: " .. circle
    end
  end
  figures.upward = upward(lua, levels(LUA_ORDER), problems) + upward(c, levels(C_ORDER), problems)
  for _, name in ipairs(sorted(c)) do
    if room_of(name) ~= "lua" and c[name].text:find "#include%s*[<\"]l[ua][ua]x?[^\n]*%.h[>\"]" then
      figures.upward = figures.upward + 1
      problems[#problems + 1] = c[name].path .. " includes Lua's headers; only csrc/lua may"
    end
  end
  figures.rooms = crowded(root, problems)
  local all = {}
  for _, files in ipairs { lua, c } do
    for name, file in pairs(files) do all[name] = file end
  end
  figures.unnamed = unnamed(root, all, problems)
  figures.files = { lua = lua, csrc = c }
  return problems, figures
end

--- Prints the figures.
---@param figures table
function M.report(figures)
  local rooms = {}
  for _, room in ipairs(sorted(figures.rooms)) do rooms[#rooms + 1] = ("%s %d"):format(room, figures.rooms[room]) end
  print(("circles %d, upward edges %d, source files without a spec %d"):format(figures.circles, figures.upward, figures.unnamed))
  print("files per room: " .. table.concat(rooms, ", "))
  for _, kind in ipairs { "lua", "csrc" } do
    local long, deep = { lines = 0 }, { longest = 0 }
    for _, file in pairs(figures.files[kind]) do
      file.lines = select(2, file.text:gsub("\n", ""))
      if file.lines > long.lines then long = file end
      if file.longest > deep.longest then deep = file end
    end
    print(("%s: longest file %s (%d lines), longest function %s:%d (%d lines)"):format(kind, long.path, long.lines, deep.path, deep.at, deep.longest))
  end
end

if arg and arg[0] and arg[0]:find "lint/rooms%.lua$" then
  local root = arg[1] or "."
  local problems, figures = M.check(root)
  for _, problem in ipairs(problems) do io.stderr:write("rooms: ", problem, "\n") end
  M.report(figures)
  os.exit(#problems == 0)
end

return M
