--- `help()`: the reference at the prompt. `help "rotate_passwords"`, `help(cluster)`, `help(cluster.rotate_passwords)`.

local errors = require "crdbcloud.errors"
local holders = require "crdbcloud.help.holders"
local options = require "crdbcloud.base.options"
local printing = require "crdbcloud.base.printing"
local reference = require "crdbcloud.reference"
local render = require "crdbcloud.help.render"
local topics = require "crdbcloud.reference.topics"

local M = {}

local WIDTH = 100 -- columns where there is no terminal

-- The metatable's name of an object -> object of its chapters.
local OBJECTS = {
  ["crdbcloud.cloud"] = "cloud", ["crdbcloud.cluster"] = "cluster", ["crdbcloud.sql"] = "sql", ["crdbcloud.store"] = "store",
  ["crdbcloud.credential"] = "credential", ["crdbcloud.credentials"] = "credentials", ["crdbcloud.secret"] = "secret",
}

local function chapters_text(object, width)
  local parts = {}
  for _, chapter in ipairs(reference.chapters(object)) do parts[#parts + 1] = render.chapter(chapter, width) end
  return #parts > 0 and table.concat(parts, "\n\n") or nil
end

local function of_function(fn, width)
  local found
  reference.each(function(entry, chapter)
    local holder = holders.of(chapter)
    if not found and type(holder) == "table" and rawget(holder, entry.name) == fn then found = render.entry(entry, width) end
  end)
  return found or "no help on this function; help() lists what there is", found ~= nil
end

local function exit_text(code, width)
  for _, exit in ipairs(topics.EXITS) do
    if exit[1] == code then return render.exit(exit, width) end
  end
end

-- An error: what it says, and what its words mean.
local function of_error(err, width)
  local parts = { tostring(err) }
  for _, kind in ipairs(topics.KINDS) do
    if kind[1] == err.kind then parts[2] = ("kind %s: %s"):format(kind[1], kind[2]) end
  end
  parts[#parts + 1] = exit_text(err.exit, width)
  return table.concat(parts, "\n")
end

local function of_object(value, width)
  if errors.is(value) then return of_error(value, width), true end
  local meta = debug.getmetatable(value)
  local object = type(meta) == "table" and OBJECTS[meta.__name]
  if object then return chapters_text(object, width), true end
  for _, chapter in ipairs(reference.chapters()) do
    if holders.of(chapter) == value then
      return chapter.object == "crdbcloud" and render.overview(width) or render.chapter(chapter, width), true
    end
  end
  return "no help on this value; help() lists what there is", false
end

-- Every name that help answers to.
local function all_names()
  local names = {}
  reference.each(function(entry)
    names[entry.name] = true
    for _, option in ipairs(entry.options or {}) do names[option[1]] = true end
  end)
  for _, chapter in ipairs(reference.chapters()) do names[chapter.object:match "[^.]+$"] = true end
  for name in pairs(render.TOPICS) do names[name] = true end
  names.nginx = true
  return names
end

-- Calls of that name or path: "rotate_passwords", "cluster:rotate_passwords", "cluster.rotate_passwords".
local function entries_named(name)
  local path, found = name:gsub(":", "."), {}
  reference.each(function(entry)
    local own = entry.path:gsub(":", ".")
    if entry.name == name or own == path or own == "crdbcloud." .. path then found[#found + 1] = entry end
  end)
  -- What is called on a cluster comes before the same on an account or in nginx.
  local order = { cluster = 1, cloud = 2 }
  local ranked = {}
  for i, entry in ipairs(found) do ranked[entry] = (entry.chapter.module and 9 or order[entry.chapter.object] or 3) * 100 + i end
  table.sort(found, function(a, b) return ranked[a] < ranked[b] end)
  return found
end

local function with_option(name)
  local found = {}
  reference.each(function(entry)
    for _, option in ipairs(entry.options or {}) do
      if option[1] == name then found[#found + 1] = { entry = entry, option = option } end
    end
  end)
  return found
end

local function of_kind(name)
  for _, kind in ipairs(topics.KINDS) do
    if kind[1] == name then return ("err.kind = %q: %s"):format(kind[1], kind[2]) end
  end
end

local function of_name(name, width)
  local parts, others = {}, {}
  for i, entry in ipairs(entries_named(name)) do
    if i == 1 then
      parts[1] = render.entry(entry, width)
    else
      others[#others + 1] = ('help "%s"'):format(entry.chapter.module and "nginx" or entry.path)
    end
  end
  if #others > 0 then
    parts[#parts + 1] = table.concat(printing.fold("See also " .. table.concat(others, ", "), width), "\n")
  end
  if render.TOPICS[name] then parts[#parts + 1] = render.TOPICS[name](width) end
  if name == "nginx" or name == "crdbcloud.nginx" then
    for _, chapter in ipairs(reference.chapters()) do
      if chapter.module then parts[#parts + 1] = render.chapter(chapter, width) end
    end
  elseif name == "crdbcloud" then
    return render.overview(width)
  end
  local bare = name:gsub("^crdbcloud%.", "")
  for _, object in ipairs { bare, "crdbcloud." .. bare } do parts[#parts + 1] = chapters_text(object, width) end
  if #parts == 0 then
    local found = with_option(name)
    parts[1] = #found > 0 and render.option(name, found, width) or of_kind(name)
  end
  return #parts > 0 and table.concat(parts, "\n\n") or nil
end

--- The text of help on something.
---@param topic any nil: what there is; a name, an exit code, a function, an object
---@param width integer|nil default the terminal's
---@return string
---@return boolean known false: it is about nothing that there is
function M.text(topic, width)
  width = math.max(width or printing.terminal() or WIDTH, 20)
  if topic == nil then return render.overview(width), true end
  if type(topic) == "function" then return of_function(topic, width) end
  if type(topic) == "number" then
    local text = exit_text(topic, width)
    return text or ("there is no exit code %s"):format(printing.cell(topic)), text ~= nil
  end
  if type(topic) ~= "string" then return of_object(topic, width) end
  local name = topic:match "^%s*(.-)%s*$":gsub("[%(%{].*$", "")
  if name == "" or name == "help" and topic ~= "help" then return render.overview(width), true end
  local text = of_name(name, width) or of_name(name:lower(), width)
  if text then return text, true end
  local near = options.nearest(name:match "[^.:]+$" or name, all_names())
  return ("no help on %s%s; help() lists what there is"):format(errors.shown(name), near and ('; did you mean "%s"?'):format(near) or ""), false
end

return setmetatable(M, {
  __name = "crdbcloud.help",
  __call = function(_, topic) print((M.text(topic))) end,
  -- `help` alone at a prompt.
  __tostring = function() return (M.text()) end,
})
