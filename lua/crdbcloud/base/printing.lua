--- How values print at a prompt: tables of rows and lists of fields, cut or folded to the terminal's width.
-- What is printed elsewhere than on a terminal is never cut.

local classes = require "crdbcloud.base.classes"
local unseen = require "crdbcloud.base.unseen"

local M = {}

local DEEPEST = 6 -- levels of a nested value
local NARROWEST = 24 -- columns that a folded text needs beside its row

--- Columns of the terminal that standard output is, or nil when it is none.
---@return integer|nil
function M.terminal()
  local core = require "crdbcloud.core"
  if not core.is_terminal(1) then return nil end
  local columns = core.terminal_width(1) or tonumber(os.getenv "COLUMNS")
  return columns and columns > 0 and math.floor(columns) or nil
end

--- Columns that a terminal shows for text: UTF-8 continuation bytes add none.
---@param text string
---@return integer
function M.width(text)
  return select(2, text:gsub("[^\128-\191]", ""))
end

--- A line cut to a width; ">" says that it was.
---@param line string
---@param limit integer|nil
---@return string
function M.fit(line, limit)
  if not limit or M.width(line) <= limit then return line end
  local kept, count = {}, 0
  for char in line:gmatch "[%z\1-\127\194-\244][\128-\191]*" do
    count = count + 1
    if count == limit then break end
    kept[count] = char
  end
  return table.concat(kept) .. ">"
end

local function question_mark() return "?" end

--- A foreign text without what could say anything to a terminal: controls, marks of direction, zero widths, bytes that are
--- no UTF-8. The result is one line.
---@param text string
---@return string
function M.harmless(text)
  return unseen.replace((text:gsub("[%c\127]", "?")), question_mark)
end

--- The same for a text of several lines: line feeds stay.
---@param text string
---@return string
function M.harmless_lines(text)
  return unseen.replace((text:gsub("[%c\127]", function(c) return c == "\n" and c or "?" end)), question_mark)
end

--- Writes lines for people. All that the library prints goes through here, so that no foreign text reaches a terminal as it
--- came (`make lint` looks for what does not); bytes for a machine go through M.write_exactly.
---@param file file*
---@param text string
---@param mark? string stands in front, our own: a colour, "\r"
---@return boolean|nil ok
---@return string|nil problem
function M.say(file, text, mark)
  if mark then file:write(mark) end
  return file:write((M.harmless_lines(text)))
end

--- Writes bytes that a program reads and that must not change: a manifest, a password that was asked for.
---@param file file*
---@param bytes string
---@return boolean|nil ok
---@return string|nil problem
function M.write_exactly(file, bytes)
  return file:write(bytes)
end

--- A value within one line, and harmless.
---@param value any
---@return string
function M.cell(value)
  if value == nil then return "" end
  if type(value) == "number" and value == math.floor(value) and math.abs(value) < 2 ^ 53 then return ("%d"):format(value) end
  return M.harmless(tostring(value))
end

--- A number of things in words: "1 user", "2 users".
---@param count integer
---@param noun string
---@return string
function M.count(count, noun)
  return ("%d %s%s"):format(count, noun, count == 1 and "" or "s")
end

--- Text folded at blanks into lines of a width; a longer word has a line of its own.
---@param text string
---@param limit integer
---@return string[]
function M.fold(text, limit)
  local lines, line = {}, nil
  for word in text:gmatch "%S+" do
    local longer = line and line .. " " .. word or word
    if line and M.width(longer) > limit then
      lines[#lines + 1], line = line, word
    else
      line = longer
    end
  end
  lines[#lines + 1] = line or ""
  return lines
end

local function padded(text, columns)
  return text .. (" "):rep(columns - M.width(text))
end

local function widths_of(columns, rows)
  local widths = {}
  for i, name in ipairs(columns) do widths[i] = M.width(name) end
  for _, row in ipairs(rows) do
    for i = 1, #columns do widths[i] = math.max(widths[i], M.width(row[i] or "")) end
  end
  return widths
end

-- A row whose last text is folded: beside the others where there is room for it, else below them.
local function add_folded(lines, cells, last, indent, limit)
  local head = table.concat(cells, "  ")
  if #cells == 0 then indent = 0 end
  local beside = limit - indent >= NARROWEST
  if not beside then
    lines[#lines + 1] = M.fit((head:gsub("%s+$", "")), limit)
    if last == "" then return end
    head, indent = "", 4
  elseif head ~= "" then
    head = head .. "  "
  end
  for i, part in ipairs(M.fold(last, limit - indent)) do
    lines[#lines + 1] = ((i == 1 and beside and head or (" "):rep(indent)) .. part):gsub("%s+$", "")
  end
end

local function harmless_rows(rows, width)
  local out = {}
  for r, row in ipairs(rows) do
    out[r] = {}
    for c = 1, width do out[r][c] = row[c] and M.harmless(row[c]) end
  end
  return out
end

--- Lays rows out as text under a heading of column names.
---@param columns string[]
---@param rows string[][]
---@param limit integer|nil columns of a terminal: what does not fit of the last column is folded; nil: nothing is
---@return string
function M.layout(columns, rows, limit)
  rows = harmless_rows(rows, #columns)
  local widths, lines, indent = widths_of(columns, rows), {}, 0
  for i = 1, #columns - 1 do indent = indent + widths[i] + 2 end
  local function add(row)
    local cells = {}
    for i = 1, #columns - 1 do cells[i] = padded(row[i] or "", widths[i]) end
    local last = row[#columns] or ""
    if limit and indent + M.width(last) > limit then return add_folded(lines, cells, last, indent, limit) end
    cells[#columns] = last
    lines[#lines + 1] = (table.concat(cells, "  "):gsub("%s+$", ""))
  end
  -- A heading that would stand alone below the others, over nothing, is left out.
  local heading, empty = {}, limit ~= nil
  for _, row in ipairs(rows) do empty = empty and (row[#columns] or "") == "" end
  for i, name in ipairs(columns) do heading[i] = name end
  if empty and indent + M.width(columns[#columns]) > limit then heading[#columns] = "" end
  add(heading)
  for _, row in ipairs(rows) do add(row) end
  return table.concat(lines, "\n")
end

--- Rows of named fields as a table that is cut to the terminal's width.
---@param columns string[] names of fields, as they head the columns
---@param items table[]
---@return string
function M.rows(columns, items)
  local cells, limit, lines = {}, M.terminal(), {}
  for i, item in ipairs(items) do
    cells[i] = {}
    for c, column in ipairs(columns) do cells[i][c] = M.cell(item[column]) end
  end
  for line in (M.layout(columns, cells) .. "\n"):gmatch "(.-)\n" do lines[#lines + 1] = M.fit(line, limit) end
  return table.concat(lines, "\n")
end

--- True for a table that has no text of its own.
---@param value any
---@return boolean
function M.is_plain(value)
  local meta = type(value) == "table" and getmetatable(value)
  return type(value) == "table" and not (type(meta) == "table" and meta.__tostring)
end

local is_plain = M.is_plain

-- A list of things that each have one line.
local function is_short_list(value)
  if #value == 0 then return next(value) == nil end
  for key, item in pairs(value) do
    if type(key) ~= "number" or is_plain(item) then return false end
  end
  return true
end

-- Names of fields: what has one line before what has several; of those name and id first, then in order.
local function sorted(value)
  local names, rank = {}, {}
  local first = { name = "\1", id = "\2", user = "\3" }
  for name, item in pairs(value) do
    if type(item) ~= "function" then names[#names + 1] = name end
    local several = is_plain(item) and not is_short_list(item)
    rank[name] = (several and "2" or "1") .. (first[name] or type(name) == "number" and ("\4%09d"):format(name) or tostring(name))
  end
  table.sort(names, function(a, b) return rank[a] < rank[b] end)
  return names
end

local MOMENTS = { at = true, deadline = true, keep_until = true }
local HIDDEN = { password = true, api_key = true, api_jwt = true }

-- A field's value within one line: seconds since 1970 with what they mean, and no text of a field that is there for a secret.
local function field_text(name, value)
  if type(value) == "string" and HIDDEN[name] then return "(not shown)" end
  local is_moment = type(value) == "number" and value > 1e9 and value < 1e11 and (MOMENTS[name] or tostring(name):find "_at$")
  return M.cell(value) .. (is_moment and os.date("! (%Y-%m-%d %H:%M:%SZ)", math.floor(value)) or "")
end

local function add_fields(lines, value, indent, depth)
  local longest = 0
  local names = sorted(value)
  for _, name in ipairs(names) do
    if not is_plain(value[name]) or is_short_list(value[name]) then longest = math.max(longest, M.width(M.cell(name))) end
  end
  for _, name in ipairs(names) do
    local item = value[name]
    local title = type(name) == "number" and "-" or M.cell(name)
    if is_plain(item) and not is_short_list(item) then
      lines[#lines + 1] = indent .. title .. (depth >= DEEPEST and " …" or "")
      if depth < DEEPEST then add_fields(lines, item, indent .. "  ", depth + 1) end
    else
      local text
      if is_plain(item) then
        local parts = {}
        for i, part in ipairs(item) do parts[i] = M.cell(part) end
        text = #parts > 0 and table.concat(parts, ", ") or "none"
      else
        text = field_text(name, item)
      end
      lines[#lines + 1] = indent .. (type(name) == "number" and "- " or padded(title, longest) .. "  ") .. text
    end
  end
end

--- A table of named fields, one a line, nested ones indented; cut to the terminal's width.
---@param value table
---@return string
function M.fields(value)
  local lines, limit = {}, M.terminal()
  add_fields(lines, value, "", 1)
  if #lines == 0 then return "(empty)" end
  for i, line in ipairs(lines) do lines[i] = M.fit((line:gsub("%s+$", "")), limit) end
  return table.concat(lines, "\n")
end

local Fields = classes.register("base.printing:fields", { __name = "crdbcloud.result", __tostring = M.fields })

--- Makes a plain result print as its fields; nothing else about it changes.
---@generic T: table
---@param value T
---@return T
function M.printed(value)
  return setmetatable(value, Fields)
end

--- The items of a list, one a line, whole: what may be copied is not cut.
---@param list any[]
---@return string
function M.joined(list)
  local lines = {}
  for i, item in ipairs(list) do lines[i] = M.cell(item) end
  return #lines > 0 and table.concat(lines, "\n") or "(none)"
end

local Lines = classes.register("base.printing:lines", { __name = "crdbcloud.lines", __tostring = M.joined })

--- Makes a list print one item a line; nothing else about it changes.
---@generic T: table
---@param list T
---@return T
function M.lines(list)
  return setmetatable(list, Lines)
end

return M
