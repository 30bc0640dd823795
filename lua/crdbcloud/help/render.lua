--- The reference as text of a width.

local printing = require "crdbcloud.base.printing"
local reference = require "crdbcloud.reference"
local topics = require "crdbcloud.reference.topics"

local M = {}

-- Text folded to the width, each line with the same indent.
local function add(lines, text, indent, width)
  for _, line in ipairs(printing.fold(text, width - indent)) do lines[#lines + 1] = (" "):rep(indent) .. line end
end

-- A word and its text beside it, or below it where the width is small.
local function add_item(lines, word, text, column, width)
  if text == "" then
    lines[#lines + 1] = "  " .. word
  elseif width - column < 24 or printing.width(word) + 4 > column then
    lines[#lines + 1] = "  " .. word
    add(lines, text, 6, width)
  else
    for i, line in ipairs(printing.fold(text, width - column)) do
      lines[#lines + 1] = (i == 1 and "  " .. word .. (" "):rep(column - 2 - printing.width(word)) or (" "):rep(column)) .. line
    end
  end
end

-- Where the texts begin beside the words: behind the longest, but within the left half.
local function column_of(items, width, name)
  local longest = 0
  for _, item in ipairs(items) do longest = math.max(longest, printing.width(name(item))) end
  return math.min(longest + 4, math.max(28, math.floor(width * 0.45)))
end

local function first(item) return item[1] end

-- What a duration is, where one is taken.
local function add_units(lines, items, width)
  for _, item in ipairs(items) do
    if item[2]:find("crdbcloud.duration", 1, true) then
      return add(lines, 'A duration is seconds as a number, or text: "500ms", "30s", "5m", "1h", "90d".', 0, width)
    end
  end
end

-- Arguments, options or fields: name, then type, text and default.
local function add_table(lines, items, width)
  local column = column_of(items, width, first)
  for _, item in ipairs(items) do
    local text = reference.type(item[2]) .. (item[3] ~= "" and ": " .. item[3] or "")
    if item[4] then text = text .. "; default " .. item[4] end
    add_item(lines, item[1], text, column, width)
  end
end

local function add_example(lines, text)
  lines[#lines + 1] = "Example"
  for line in (text .. "\n"):gmatch "(.-)\n" do lines[#lines + 1] = "  " .. line end
end

local function results(entry)
  local words = {}
  for _, result in ipairs(entry.returns) do
    words[#words + 1] = reference.type(result[1]) .. (result[2] ~= "" and " (" .. result[2] .. ")" or "")
  end
  local text = table.concat(words, ", ")
  if entry.iterator then return text .. "; an error is raised" end
  return entry.never_fails and text or text .. "; or nil, err"
end

--- Everything about one call.
---@param entry table
---@param width integer
---@return string
function M.entry(entry, width)
  local lines = {}
  add(lines, reference.signature(entry), 0, width)
  add(lines, entry.summary, 0, width)
  if entry.text then add(lines, entry.text, 0, width) end
  if entry.chapter.module then add(lines, "In nginx: require \"" .. entry.chapter.module .. "\"", 0, width) end
  local items = {}
  for _, list in ipairs { entry.args or {}, entry.options or {} } do
    for _, item in ipairs(list) do items[#items + 1] = item end
  end
  if #items > 0 then
    lines[#lines + 1] = ""
    add_table(lines, items, width)
    add_units(lines, items, width)
  end
  lines[#lines + 1] = ""
  if entry.returns then add(lines, "Returns  " .. results(entry), 0, width) end
  if entry.errors then add(lines, "Errors   " .. entry.errors, 0, width) end
  add_example(lines, entry.example)
  return table.concat(lines, "\n")
end

--- A chapter: its calls, a line each.
---@param chapter table
---@param width integer
---@return string
function M.chapter(chapter, width)
  local lines = {}
  add(lines, chapter.title, 0, width)
  if chapter.source then add(lines, ("comes from %s"):format(chapter.source), 0, width) end
  if chapter.text then add(lines, chapter.text, 0, width) end
  lines[#lines + 1] = ""
  if chapter.fields then
    add_table(lines, chapter.fields, width)
    lines[#lines + 1] = ""
  end
  local entries = {}
  if chapter.call then entries[1] = chapter.call end
  for _, entry in ipairs(chapter.entries) do entries[#entries + 1] = entry end
  local column = column_of(entries, width, function(entry) return entry.path end)
  for _, entry in ipairs(entries) do add_item(lines, entry.path, entry.summary, math.max(column, 20), width) end
  return table.concat(lines, "\n")
end

--- What there is, by name.
---@param width integer
---@return string
function M.overview(width)
  local lines = { "crdbcloud " .. require "crdbcloud.version" }
  add(lines, 'help "rotate_passwords" explains a call, help(cluster) an object, help "access" a topic, help(5) an exit code.', 0, width)
  for _, chapter in ipairs(reference.chapters()) do
    local words = {}
    if chapter.call then words[1] = chapter.call.name end
    for _, entry in ipairs(chapter.entries) do words[#words + 1] = entry.name end
    lines[#lines + 1] = ""
    add(lines, ("%s: %s"):format(chapter.title, chapter.module and ("require %q"):format(chapter.module) or chapter.object), 0, width)
    add(lines, table.concat(words, ", "), 2, width)
  end
  lines[#lines + 1] = ""
  add(lines, "Topics: access, sinks, durations, environment, errors, exit codes, and each option by its name.", 0, width)
  return table.concat(lines, "\n")
end

--- An exit code.
---@param exit table of topics.EXITS
---@param width integer
---@return string
function M.exit(exit, width)
  local lines = {}
  add(lines, ("exit %d: %s"):format(exit[1], exit[2]), 0, width)
  add(lines, "what to do: " .. exit[3], 0, width)
  if exit[3]:find("crdbcloud rotate resume", 1, true) then add(lines, "in a program, or at the prompt: cluster:resume()", 0, width) end
  return table.concat(lines, "\n")
end

--- Where an option is taken.
---@param name string
---@param found { entry: table, option: table }[]
---@param width integer
---@return string
function M.option(name, found, width)
  local lines = { ("option %s"):format(name) }
  local column = column_of(found, width, function(item) return item.entry.path end)
  for _, item in ipairs(found) do
    local option = item.option
    add_item(lines, item.entry.path, ("%s: %s%s"):format(reference.type(option[2]), option[3],
      option[4] and "; default " .. option[4] or ""), column, width)
  end
  return table.concat(lines, "\n")
end

-- Items with a text each, under a title.
local function listed(title, items, width, word, text)
  local lines = {}
  add(lines, title, 0, width)
  local column = column_of(items, width, word)
  for _, item in ipairs(items) do add_item(lines, word(item), text(item), column, width) end
  return table.concat(lines, "\n")
end

local function second(item) return item[2] end
local function third(item) return item[3] end

--- Topics that are no call: name -> text of a width.
M.TOPICS = {
  access = function(width)
    local lines = {}
    add(lines, "access: what a user may do, as one table or a list of them. An access that leads to admin is refused.", 0, width)
    add_table(lines, topics.ACCESS, width)
    add_example(lines, 'access = { database = "shop", tables = { "orders" }, privileges = { "SELECT", "INSERT" } }')
    return table.concat(lines, "\n")
  end,
  sinks = function(width)
    return listed('sinks: where a credential is published, as a list of "KIND:PATH" or tables { "KIND", path = … }. {user}, '
      .. "{USER} and {cluster} stand for names.", topics.SINKS, width, second, third)
  end,
  durations = function(width)
    return table.concat(printing.fold('durations: seconds as a number, or "500ms", "30s", "5m", "1h30m", "90d", "2w". A bare number above 600 '
      .. "for a time limit raises, because it is most likely meant in milliseconds.", width), "\n")
  end,
  errors = function(width)
    return listed("errors: what can happen in operation comes back as nil, err. Misuse raises before anything is sent. Fields of err:",
      topics.ERROR_FIELDS, width, first, third) .. "\n" .. listed("err.kind:", topics.KINDS, width, first, second)
  end,
  ["exit codes"] = function(width)
    return listed("exit codes of the command; err.exit is the same:", topics.EXITS, width, function(exit) return tostring(exit[1]) end,
      function(exit) return exit[2] .. "; to do: " .. exit[3] end)
  end,
  environment = function(width)
    return listed("environment: variables that give what the options do not", topics.ENVIRONMENT, width, first, second)
  end,
}

return M
