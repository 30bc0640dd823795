--- Where the functions of a chapter of the reference really are.

local M = {}

-- Object of a chapter -> module of crdbcloud, and what of it holds the functions.
local HOLDERS = {
  cloud = { "cloud", "CLASS" }, cluster = { "cluster", "CLASS" }, sql = { "sql", "CLASS" }, credential = { "credential", "CLASS" },
  credentials = { "credentials", "SOURCE" }, ["crdbcloud.secret"] = { "secrets" }, ["crdbcloud.password"] = { "passwords" },
  ["crdbcloud.names"] = { "names" }, ["crdbcloud.privileges"] = { "privileges" }, ["crdbcloud.sql"] = { "sql" },
  ["crdbcloud.store"] = { "store" }, ["crdbcloud.errors"] = { "errors" }, store = { "store.memory" }, secret = { "core" },
}

--- The table that has the functions of a chapter.
---@param chapter table
---@param load boolean|nil load what is not loaded yet
---@return table|nil
function M.of(chapter, load)
  local place = HOLDERS[chapter.object]
  local name = chapter.module or place and "crdbcloud." .. place[1] or chapter.object
  local module = package.loaded[name]
  if not module and load then module = require(name) end
  if not module then return nil end
  if chapter.object == "store" then return getmetatable(module.open "memory:") end
  if chapter.object == "secret" then return debug.getmetatable(module.secret "x").__index end
  return place and place[2] and module[place[2]] or module
end

return M
