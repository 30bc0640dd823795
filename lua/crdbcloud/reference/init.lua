--- The reference as data: every call with its arguments, options, units, results, errors and an example. `help()` shows
--- it, examples/REFERENCE.md and the declarations for editors are made from it. Loaded when it is first asked for.
--
-- A chapter has title, object (what stands before the name: "cluster", "crdbcloud.sql"), class, text, fields
-- { name, type, text } and entries. An entry has
--   name, summary, text   what it is called and does
--   args                  { { name, type, text } }; a type that ends in "?" may be left out, "..." are all that follow
--   options               { { name, type, text, default } }, in a last table; `common`: many calls take it
--   table_call            the options are the only argument; `short` names the one that may come alone
--   returns               { { type, text } }
--   errors                kinds and when, of the second result; never_fails: there is none
--   iterator              errors are raised; example: a line or two of Lua
-- A chapter's `internal` names functions that are there for other parts of the library; `repeats` names the object whose calls it
-- has again.

local M = {}

-- In reading order: file, number of the chapter in it. Workflows come before the raw calls of the API.
local ORDER = {
  { "account", 1 }, { "account", 2 }, { "workflows", 1 }, { "workflows", 2 }, { "workflows", 3 }, { "handles", 1 }, { "handles", 2 },
  { "handles", 3 }, { "calls", 1 }, { "calls", 2 }, { "secrets", 1 }, { "secrets", 2 }, { "secrets", 3 }, { "secrets", 4 },
  { "secrets", 5 }, { "handles", 4 }, { "handles", 5 }, { "handles", 6 }, { "handles", 7 }, { "secrets", 6 }, { "nginx", 1 },
}

local chapters

local function load()
  local list = {}
  for i, place in ipairs(ORDER) do
    local chapter = require("crdbcloud.reference." .. place[1])[place[2]]
    local mark = (chapter.object:find "^crdbcloud" and "." or ":")
    for _, entry in ipairs(chapter.entries) do
      entry.chapter, entry.path = chapter, chapter.object .. mark .. entry.name
    end
    if chapter.call then chapter.call.chapter, chapter.call.path = chapter, chapter.object end
    list[i] = chapter
  end
  return list
end

--- The chapters in reading order, of one object or all.
---@param object string|nil such as "cluster" or "crdbcloud.sql"
---@return table[]
function M.chapters(object)
  chapters = chapters or load()
  if not object then return chapters end
  local found = {}
  for _, chapter in ipairs(chapters) do
    if chapter.object == object and not chapter.module then found[#found + 1] = chapter end
  end
  return found
end

--- Calls fn with every entry, in reading order.
---@param fn fun(entry: table, chapter: table)
function M.each(fn)
  for _, chapter in ipairs(M.chapters()) do
    if chapter.call then fn(chapter.call, chapter) end
    for _, entry in ipairs(chapter.entries) do fn(entry, chapter) end
  end
end

local function is_required(option)
  return option[3]:find "^required" ~= nil
end

-- What stands between the braces: what is required, and that there is more.
local function braces(options)
  local words, more = {}, false
  for _, option in ipairs(options) do
    if is_required(option) then words[#words + 1] = option[1] else more = true end
  end
  if more then words[#words + 1] = "…" end
  return #words > 0 and "{ " .. table.concat(words, ", ") .. " }" or "{}"
end

--- How an entry is called: `cloud:list_sql_users(cluster_id, { … })`.
---@param entry table
---@return string
function M.signature(entry)
  if entry.table_call then
    if #(entry.options or {}) == 0 then return entry.path .. "()" end
    local call = entry.path .. braces(entry.options)
    return entry.short and ("%s or %s(%s)"):format(call, entry.path, entry.short) or call
  end
  local words = {}
  for _, arg in ipairs(entry.args or {}) do
    words[#words + 1] = arg[2]:find "%?$" and arg[1] .. "?" or arg[1]
  end
  if entry.options and #words == 0 then return entry.path .. braces(entry.options) end
  if entry.options then words[#words + 1] = braces(entry.options) end
  return ("%s(%s)"):format(entry.path, table.concat(words, ", "))
end

--- A type for people: words, and names of this library without what all have in common.
---@param text string
---@return string
function M.type(text)
  return (text:gsub("crdbcloud%.", ""):gsub("fun(%b()):?[^|]*", "function"):gsub("access_spec|access_spec%[%]", "table or list")
    :gsub("|", " or "))
end

return M
