--- What a CockroachDB server can do by its version. Pure.
-- A change that was carried back to older series has one version for each of them.

local M = {}

--- An admin may alter the default privileges of any role; before, only a member of that role.
M.ADMIN_FOR_ROLE = "v23.1.29, v23.2.16, v24.1.7, v24.2.5, v24.3"
--- REASSIGN OWNED takes what is in schema public along.
M.REASSIGN_PUBLIC = M.ADMIN_FOR_ROLE
--- SHOW GRANTS FOR shows what everybody has.
M.SHOWS_PUBLIC = "v24.2"

local function numbers(text)
  local major, minor, patch = text:match "v(%d+)%.(%d+)%.?(%d*)"
  if not major then return nil end
  return { tonumber(major), tonumber(minor), tonumber(patch) or 0 }
end

--- The version in an answer to `SELECT version()`: "v25.2.1".
---@param answer string|nil
---@return string|nil
function M.of(answer)
  return answer and answer:match "^CockroachDB.-(v%d+%.%d+%.?%d*)" or nil
end

--- True when the server has what came with these versions; nil when its version cannot be read.
---@param answer string|nil of `SELECT version()`
---@param list string such as M.ADMIN_FOR_ROLE, ascending
---@return boolean|nil
function M.since(answer, list)
  local text = M.of(answer)
  local own = text and numbers(text)
  if not own then return nil end
  local later = false
  for word in list:gmatch "v[%d.]+" do
    local first = numbers(word)
    if own[1] == first[1] and own[2] == first[2] then return own[3] >= first[3] end
    later = own[1] > first[1] or own[1] == first[1] and own[2] > first[2]
  end
  return later
end

return M
