--- Prints results as a table, JSON, JSON lines or CSV, on stdout.

local core = require "crdbcloud.core"
local json = require "crdbcloud.base.json"
local printing = require "crdbcloud.base.printing"

local M = {}

M.FORMATS = { "table", "json", "jsonl", "csv" }

local Output = {}
Output.__index = Output

function M.new(format)
  return setmetatable({ format = format, file = io.stdout }, Output)
end

--- Text in a colour, on a terminal that wants one.
function M.mark(text, colour)
  if os.getenv "NO_COLOR" or os.getenv "TERM" == "dumb" or not core.is_terminal(2) then return text end
  return ("\27[%dm%s\27[0m"):format(colour, text)
end

-- A list by its items, a set by its names.
local function list(value)
  local items = {}
  for i, item in ipairs(value) do items[i] = type(item) == "table" and json.encode(item) or tostring(item) end
  if #items == 0 then
    for name in pairs(value) do items[#items + 1] = tostring(name) end
    table.sort(items)
  end
  return table.concat(items, ",")
end

-- One line of a terminal; control characters of a foreign text could say anything there.
local function cell(value)
  if value == nil then return "-" end
  if value == true then return "yes" end
  if value == false then return "no" end
  if type(value) == "number" and value == math.floor(value) then return ("%d"):format(value) end
  if type(value) == "table" then return list(value) end
  return printing.harmless(tostring(value))
end

local function print_table(file, columns, rows)
  local head, lines = {}, {}
  for c, column in ipairs(columns) do head[c] = column:upper():gsub("_", " ") end
  for r, row in ipairs(rows) do
    lines[r] = {}
    for c, column in ipairs(columns) do lines[r][c] = cell(row[column]) end
  end
  local limit = printing.terminal()
  for line in (printing.layout(head, lines) .. "\n"):gmatch "(.-)\n" do printing.say(file, printing.fit(line, limit) .. "\n") end
end

local function encode(value, name)
  if value == nil then return "null" end
  -- cjson writes / as \/, which is allowed and helps nobody.
  return (json.encode(value, name):gsub("\\/", "/"))
end

-- cjson writes keys in any order; a person and a diff want one.
local function object(columns, row)
  local parts = {}
  for c, column in ipairs(columns) do parts[c] = encode(column) .. ":" .. encode(row[column], column) end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- A spreadsheet takes such a text for a formula.
local FORMULA = "^[=+@\t\r-]"

local function csv_field(value)
  local text = value == nil and "" or cell(value)
  if type(value) == "string" and value:find(FORMULA) then text = "'" .. text end
  if text:find '[,"\r\n]' then text = '"' .. text:gsub('"', '""') .. '"' end
  return text
end

local function print_csv(file, columns, rows)
  printing.write_exactly(file, table.concat(columns, ",") .. "\r\n")
  for _, row in ipairs(rows) do
    local fields = {}
    for c, column in ipairs(columns) do fields[c] = csv_field(row[column]) end
    printing.write_exactly(file, table.concat(fields, ",") .. "\r\n")
  end
end

--- Whether a text is printed as it is in this format.
---@param text string
---@return boolean
function Output:is_exact(text)
  if self.format == "json" or self.format == "jsonl" then return true end
  return cell(text) == text and not (self.format == "csv" and text:find(FORMULA) ~= nil)
end

--- Prints an array of rows.
---@param columns string[] field names, in order
---@param rows table[]
function Output:rows(columns, rows)
  if self.format == "table" then return print_table(self.file, columns, rows) end
  if self.format == "csv" then return print_csv(self.file, columns, rows) end
  local lines = {}
  for r, row in ipairs(rows) do lines[r] = object(columns, row) end
  if self.format == "json" then
    printing.write_exactly(self.file, "[" .. table.concat(lines, ",") .. "]\n")
  else
    for _, line in ipairs(lines) do printing.write_exactly(self.file, line .. "\n") end
  end
end

--- Prints one thing with named fields.
function Output:record(columns, row)
  if self.format == "csv" then return print_csv(self.file, columns, { row }) end
  if self.format ~= "table" then return printing.write_exactly(self.file, object(columns, row) .. "\n") end
  local longest = 0
  for _, column in ipairs(columns) do longest = math.max(longest, #column) end
  for _, column in ipairs(columns) do
    if row[column] ~= nil and row[column] ~= "" then
      printing.say(self.file, column:gsub("_", " ") .. (" "):rep(longest - #column + 2) .. cell(row[column]) .. "\n")
    end
  end
end

-- Of a report's rows, in this order if they are there.
local ROW_ORDER = { "cluster", "user", "action", "result", "state", "epoch", "verified", "sinks", "note", "kind", "error" }

local function columns_of(rows)
  local present, columns = {}, {}
  for _, row in ipairs(rows) do
    for name in pairs(row) do present[name] = true end
  end
  for _, name in ipairs(ROW_ORDER) do
    if present[name] then
      columns[#columns + 1] = name
      present[name] = nil
    end
  end
  local rest = {}
  for name in pairs(present) do rest[#rest + 1] = name end
  table.sort(rest)
  for _, name in ipairs(rest) do columns[#columns + 1] = name end
  return columns
end

--- Prints the report or plan of a workflow; its rows alone as JSON lines or CSV.
function Output:report(report)
  local rows = report.rows
  if (self.format == "jsonl" or self.format == "csv") and type(rows) == "table" then
    return self:rows(columns_of(rows), rows)
  end
  if self.format == "table" then
    printing.say(self.file, (tostring(report):gsub("\n*$", "\n")))
  else
    printing.write_exactly(self.file, report:json() .. "\n")
  end
end

return M
