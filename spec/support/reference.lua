--- Makes examples/REFERENCE.md and the declarations in lua/crdbcloud/types from lua/crdbcloud/reference. `make reference`
--- writes them; a spec looks whether they are current.

local reference = require "crdbcloud.reference"
local shared = require "crdbcloud.reference.shared"
local topics = require "crdbcloud.reference.topics"

local M = {}

local TYPES = "lua/crdbcloud/types/"

-- File of a class, below lua/crdbcloud/types; what is not here is in parts.lua.
local FILES = {
  ["crdbcloud"] = "module", ["crdbcloud.cloud"] = "cloud", ["crdbcloud.cluster"] = "cluster", ["crdbcloud.nginx"] = "nginx",
  ["crdbcloud.sqls"] = "sql", ["crdbcloud.sql"] = "sql", ["crdbcloud.stores"] = "sql", ["crdbcloud.store"] = "sql",
}

-- The calls of the API are many, and on accounts as on handles: they have a file of their own.
local function file_of(chapter)
  return chapter.title:find "API" and "calls" or FILES[chapter.class] or "parts"
end

-- Chapters of one class and file, in reading order: { file, class, chapters }.
local function classes()
  local order, known = {}, {}
  for _, chapter in ipairs(reference.chapters()) do
    if not chapter.declared_elsewhere then
      local file = file_of(chapter)
      local place = known[file .. chapter.class]
      if not place then
        place = { file = file, class = chapter.class, chapters = {} }
        known[file .. chapter.class], order[#order + 1] = place, place
      end
      place.chapters[#place.chapters + 1] = chapter
    end
  end
  return order
end

-- Options of crdbcloud.reference.shared that come together in many calls.
local GROUPS = { "limits", "paged", "clusters", "rotation" }

local Writer = {}
Writer.__index = Writer

function Writer:add(format, ...)
  self[#self + 1] = select("#", ...) > 0 and format:format(...) or format
end

local function noted(text) return text ~= "" and " " .. text or "" end

-- "string?" is what may be left out; so is each option that is not required.
local function optional(kind) return kind:match "^(.*)%?$" or kind, kind:find "%?$" ~= nil end

-- The declared class with the most options that are all among these.
local function parent_of(declared, options)
  local among, parent = {}, nil
  for _, option in ipairs(options) do among[option] = true end
  for _, known in ipairs(declared) do
    local inside = true
    for _, option in ipairs(known.options) do inside = inside and among[option] end
    if inside and (not parent or #known.options > #parent.options) then parent = known end
  end
  return parent
end

-- Declares a class for the options, unless one has just these; it inherits those that another class declares.
local function add_options(out, declared, class, options)
  local parent = parent_of(declared, options)
  if parent and #parent.options == #options then return parent.class end
  local inherited = {}
  for _, option in ipairs(parent and parent.options or {}) do inherited[option] = true end
  out:add("---@class %s%s", class, parent and ": " .. parent.class or "")
  for _, option in ipairs(options) do
    if not inherited[option] then
      local kind = optional(option[2])
      local required = option[3]:find "^required" ~= nil
      out:add("---@field %s%s %s%s", option[1], required and "" or "?", kind, noted(option[3] .. (option[4] and "; default " .. option[4] or "")))
    end
  end
  out:add ""
  declared[#declared + 1] = { class = class, options = options }
  return class
end

local function add_returns(out, entry)
  for i, result in ipairs(entry.returns or {}) do
    local nothing = i == 1 and not entry.never_fails and not entry.iterator and not result[1]:find "nil"
    out:add("---@return %s%s%s", result[1], nothing and "|nil" or "", noted(result[2]))
  end
  if entry.returns and not entry.never_fails and not entry.iterator then out:add "---@return crdbcloud.error|nil err" end
end

local function add_function(out, declared, variable, mark, chapter, entry)
  local class
  if entry.options and #entry.options > 0 then
    class = entry.same_options_as and ("%s.%s.options"):format(chapter.class, entry.same_options_as)
      or add_options(out, declared, ("%s.%s.options"):format(chapter.class, entry.name), entry.options)
  end
  out:add("--- %s", entry.summary)
  if entry.text then out:add("--- %s", entry.text) end
  if entry.errors then out:add("--- Errors: %s", entry.errors) end
  local words = {}
  for _, arg in ipairs(entry.args or {}) do
    local kind, may_miss = optional(arg[2])
    words[#words + 1] = arg[1]
    out:add("---@param %s%s %s%s", arg[1], may_miss and "?" or "", kind, noted(arg[3]))
  end
  if class then
    local required = false
    for _, option in ipairs(entry.options) do required = required or option[3]:find "^required" ~= nil end
    words[#words + 1] = "options"
    out:add("---@param options%s %s%s", required and "" or "?", entry.short and "string|" or "", class)
  end
  add_returns(out, entry)
  out:add("function %s%s%s(%s) end", variable, mark, entry.name, table.concat(words, ", "))
  out:add ""
end

local function add_class(out, declared, class, chapters)
  local variable = class:match "[^.]+$"
  out:add("---@class %s %s", class, chapters[1].title:lower())
  for _, chapter in ipairs(chapters) do
    for _, field in ipairs(chapter.fields or {}) do
      local kind, may_miss = optional(field[2])
      out:add("---@field %s%s %s%s", field[1], may_miss and "?" or "", kind, noted(field[3]))
    end
    if chapter.call then out:add("---@overload fun(%s: %s): %s", chapter.call.args[1][1], chapter.call.args[1][2], chapter.call.returns[1][1]) end
  end
  out:add("local %s = {}", variable)
  out:add ""
  for _, chapter in ipairs(chapters) do
    local mark = chapter.object:find "^crdbcloud" and "." or ":"
    for _, entry in ipairs(chapter.entries) do add_function(out, declared, variable, mark, chapter, entry) end
  end
end

local HEAD = "---@meta %s\n-- Declarations for editors, made by `make reference` from lua/crdbcloud/reference; never loaded.\n"

--- The declarations: path -> text.
---@return table<string, string>
function M.declarations()
  local files = {}
  local function file(name)
    local out = files[name]
    if not out then
      out = setmetatable({ HEAD:format("crdbcloud.types." .. name) }, Writer)
      files[name] = out
    end
    return out
  end
  local out, declared = file "results", {}
  for _, group in ipairs(GROUPS) do add_options(out, declared, "crdbcloud." .. group .. "_options", shared[group]) end
  for _, place in ipairs(classes()) do add_class(file(place.file), declared, place.class, place.chapters) end
  out:add "---@class crdbcloud.access_spec an entry of `access`"
  for _, field in ipairs(topics.ACCESS) do
    out:add("---@field %s%s %s%s", field[1], field[3] == "required" and "" or "?", field[2], noted(field[3]))
  end
  out:add ""
  for _, result in ipairs(require "crdbcloud.reference.results") do
    out:add("---@class %s %s", result.class, result.text)
    for _, field in ipairs(result.fields) do
      local kind, may_miss = optional(field[2])
      out:add("---@field %s%s %s%s", field[1], may_miss and "?" or "", kind, noted(field[3]))
    end
    for name, kind in pairs(result.methods or {}) do out:add("---@field %s fun(self: %s): %s", name, result.class, kind) end
    out:add ""
  end
  local texts = {}
  for name, lines in pairs(files) do texts[TYPES .. name .. ".lua"] = table.concat(lines, "\n") end
  return texts
end

local function code(text) return "`" .. text .. "`" end

-- A cell of a Markdown table.
local function cell(text) return (text:gsub("|", "\\|")) end

-- A table of names with their types and meanings; a cell under "name" may be followed by a default.
local function add_items(out, word, items)
  out:add("| %s | type | meaning |", word)
  out:add "| --- | --- | --- |"
  for _, item in ipairs(items) do
    local text = item[3] .. (item[4] and ("; default %s"):format(item[4]) or "")
    out:add("| %s | %s | %s |", code(item[1]), code(cell(reference.type(item[2]))), cell(text))
  end
  out:add ""
end

local function anchor(title) return (title:lower():gsub("[^%w%-_ ]", ""):gsub(" ", "-")) end

local function listed_names(items)
  local names = {}
  for i, item in ipairs(items) do names[i] = code(item[1]) end
  return table.concat(names, ", ")
end

local MANY = 4 -- so many options of another call stand there alone

-- The options of an entry: { those to print, those of many calls, the call that has the others, the others }. `shown` knows where an
-- option was printed first.
local function sorted_options(entry, shown)
  local own, common, others, count = {}, {}, {}, {}
  for _, option in ipairs(entry.options or {}) do
    local first = shown[option]
    if first then count[first] = (count[first] or 0) + 1 end
  end
  local like
  for first, n in pairs(count) do
    if n >= MANY and (not like or n > count[like]) then like = first end
  end
  for _, option in ipairs(entry.options or {}) do
    if option.common then
      common[#common + 1] = option
    elseif like and shown[option] == like then
      others[#others + 1] = option
    else
      own[#own + 1] = option
      shown[option] = shown[option] or entry
    end
  end
  return own, common, like, others
end

local function add_entry(out, entry, shown)
  out:add("### `%s`", reference.signature(entry))
  out:add("%s%s\n", entry.summary, entry.text and " " .. entry.text or "")
  local own, common, like, others = sorted_options(entry, shown)
  local items = {}
  for _, list in ipairs { entry.args or {}, own } do
    for _, item in ipairs(list) do items[#items + 1] = item end
  end
  if #items > 0 then add_items(out, #own == 0 and "argument" or #items == #own and "option" or "argument, option", items) end
  if like then
    out:add("Options as of [`%s`](#%s): %s.\n", like.path, anchor(reference.signature(like)), listed_names(others))
  end
  if #common > 0 then out:add("[Common options](#common-options): %s.\n", listed_names(common)) end
  for i, result in ipairs(entry.returns or {}) do
    out:add("%s %s%s%s", i == 1 and "Returns" or "and", code(reference.type(result[1])), result[2] ~= "" and ": " .. result[2] or "",
      i == #entry.returns and (entry.iterator and "; an error is raised." or entry.never_fails and "." or "; or `nil, err`.") or ",")
  end
  if entry.errors then out:add("Errors: %s", entry.errors) end
  out:add("\n```lua\n%s\n```\n", entry.example)
end

-- A chapter that has the calls of another object again: a line each.
local function add_repeated(out, chapter)
  local paths = {}
  for _, other in ipairs(reference.chapters(chapter.repeats)) do
    for _, entry in ipairs(other.entries) do paths[entry.name] = entry end
  end
  out:add "| call | explained at |"
  out:add "| --- | --- |"
  for _, entry in ipairs(chapter.entries) do
    local like = paths[entry.name]
    out:add("| %s | [%s](#%s) |", code(cell(reference.signature(entry))), code(like.path), anchor(reference.signature(like)))
  end
  out:add ""
end

--- examples/REFERENCE.md.
---@return string
function M.markdown()
  local out = setmetatable({}, Writer)
  out:add "# Reference\n"
  out:add "`make reference` makes this page from the texts that `help()` shows at the prompt.\n"
  out:add "- A duration is a number of seconds, or text such as `\"500ms\"`, `\"30s\"`, `\"1h\"`, `\"90d\"`."
  out:add "- An unknown option raises and names the nearest valid one."
  out:add "- What can happen in operation comes back as `nil, err`. Misuse raises at the caller's line, before anything is sent."
  out:add "- `{ … }` in a call stands for options that may be left out.\n"
  local chapters = reference.chapters()
  for _, chapter in ipairs(chapters) do out:add("- [%s](#%s)", chapter.title, anchor(chapter.title)) end
  for _, title in ipairs { "Common options", "Access", "Sinks", "Errors", "Kinds of errors", "Exit codes", "Environment" } do
    out:add("- [%s](#%s)", title, anchor(title))
  end
  out:add ""
  local shown = {}
  for _, chapter in ipairs(chapters) do
    out:add("## %s\n", chapter.title)
    if chapter.text then out:add("%s\n", (chapter.text:gsub("<", "&lt;"))) end
    if chapter.source then out:add("Comes from `%s`.\n", chapter.source) end
    if chapter.fields then add_items(out, "field", chapter.fields) end
    if chapter.call then add_entry(out, chapter.call, shown) end
    if chapter.repeats then
      add_repeated(out, chapter)
    else
      for _, entry in ipairs(chapter.entries) do add_entry(out, entry, shown) end
    end
  end
  local function listed(title, head, items, count)
    out:add("## %s\n", title)
    out:add("| %s |", table.concat(head, " | "))
    out:add("|%s", (" --- |"):rep(count))
    for _, item in ipairs(items) do
      local cells = {}
      for i = 1, count do cells[i] = cell(tostring(item[i])) end
      cells[1] = code(cells[1])
      out:add("| %s |", table.concat(cells, " | "))
    end
    out:add ""
  end
  out:add "## Common options\n\nMany calls take these. Each call says which.\n"
  add_items(out, "option", shared.common)
  out:add "## Access\n\n`access` is one table or a list of them. An access that leads to admin is refused.\n"
  add_items(out, "field", topics.ACCESS)
  listed("Sinks", { "kind", "written as", "what it is" }, topics.SINKS, 3)
  out:add "## Errors\n"
  add_items(out, "field", topics.ERROR_FIELDS)
  listed("Kinds of errors", { "kind", "what happened" }, topics.KINDS, 2)
  listed("Exit codes", { "exit", "what is true", "what to do" }, topics.EXITS, 3)
  listed("Environment", { "variable", "what it holds" }, topics.ENVIRONMENT, 2)
  return table.concat(out, "\n"):gsub("\n\n\n+", "\n\n") .. ""
end

--- All that is made: path -> text.
---@return table<string, string>
function M.files()
  local files = M.declarations()
  files["examples/REFERENCE.md"] = M.markdown()
  return files
end

if arg and arg[0] and arg[0]:find "spec/support/reference%.lua$" then
  for path, text in pairs(M.files()) do
    local file = assert(io.open(path, "wb"))
    assert(file:write(text))
    assert(file:close())
  end
end

return M
