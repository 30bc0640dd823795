--- The documents of the project: their fenced blocks, their headings and their links.

local temp = require "spec.support.temp"

local M = {}

--- Every Markdown file, by its path from the root of the checkout.
---@return string[]
function M.all()
  local found = {}
  for path in temp.run "find . -name '*.md' -not -path './build*' -not -path './.git/*' | LC_ALL=C sort":gmatch "%./([^\n]+)" do
    found[#found + 1] = path
  end
  return found
end

--- The fenced blocks of a document in order, and its text without them.
---@param path string
---@return { language: string, text: string, line: integer }[]
---@return string prose
function M.blocks(path)
  local found, prose, block, number = {}, {}, nil, 0
  for line in io.lines(path) do
    number = number + 1
    if block and line == "```" then
      block.text, block = table.concat(block, "\n") .. "\n", nil
    elseif block then
      block[#block + 1] = line
    elseif line:find "^```" then
      block = { language = line:match "^```(.*)$", line = number }
      found[#found + 1] = block
    else
      prose[#prose + 1] = line
    end
  end
  return found, table.concat(prose, "\n") .. "\n"
end

-- As GitHub makes it of a heading.
local function anchor(heading) return (heading:lower():gsub("`", ""):gsub("[^%w%-_ ]", ""):gsub(" ", "-")) end

--- The names of a document's headings, as links write them behind "#".
---@param path string
---@return table<string, true>
function M.anchors(path)
  local _, prose = M.blocks(path)
  local found = {}
  for heading in ("\n" .. prose):gmatch "\n#+ ([^\n]+)" do found[anchor(heading)] = true end
  return found
end

--- The links of a document that stay in the checkout: { path from the root, anchor or "" }.
---@param path string
---@return { [1]: string, [2]: string }[]
function M.links(path)
  local _, prose = M.blocks(path)
  local folder, found = path:match "^(.*/)[^/]*$" or "", {}
  for target in prose:gsub("`[^`\n]*`", ""):gmatch "%]%(([^)%s]+)%)" do
    if not target:find "^%a+:" then
      local file, name = target:match "^([^#]*)#?(.*)$"
      found[#found + 1] = { file == "" and path or folder .. file, name }
    end
  end
  return found
end

return M
