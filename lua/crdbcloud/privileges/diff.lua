--- Compares single grants. Pure.

local grants = require "crdbcloud.privileges.grants"

local M = {}

-- A grant with another privilege: the thing itself.
local function thing(grant, privilege)
  return grants.key(grants.copy(grant, { privilege = privilege }))
end

--- What is wanted and not there, and what is there and not wanted. CockroachDB reports all privileges on a thing as
--- "ALL", which satisfies whatever is wanted on it and is itself more than that. The owner of a thing has everything on
--- it, and so has the maker of future tables. The right to pass on what is wanted is more than what is wanted.
---@param wanted table[] single grants
---@param actual table[] single grants
---@param user string|nil whose grants these are
---@param owns table[]|nil things {on, database, schema, name} that the user owns
---@return {missing: table[], extra: table[]}
function M.diff(wanted, actual, user, owns)
  local have, want = {}, {}
  for _, owned in ipairs(owns or {}) do have[thing(owned, "ALL")] = true end
  for _, grant in ipairs(actual) do have[grants.key(grant)] = true end
  for _, grant in ipairs(wanted) do want[grants.key(grant)] = true end
  local missing, extra = {}, {}
  for _, grant in ipairs(wanted) do
    local own = user ~= nil and grant.creator == user
    if not own and not have[grants.key(grant)] and not have[thing(grant, "ALL")] then missing[#missing + 1] = grant end
  end
  for _, grant in ipairs(actual) do
    if not want[grants.key(grant)] then
      extra[#extra + 1] = grant
    elseif grant.grantable then
      extra[#extra + 1] = grants.option_of(grant)
    end
  end
  return { missing = grants.sorted(missing), extra = grants.sorted(extra) }
end

return M
