--- What `exact` takes away, and what stands in its way: all of it is told before the first statement. Pure.

local errors = require "crdbcloud.errors"
local grants = require "crdbcloud.privileges.grants"
local plan = require "crdbcloud.privileges.plan"
local printing = require "crdbcloud.base.printing"
local quote = require "crdbcloud.sql.quote"
local roles = require "crdbcloud.privileges.roles"
local versions = require "crdbcloud.privileges.versions"

local M = {}

local function conflict(message, hint)
  return errors.new { kind = "conflict", operation = "privileges.apply", outcome = "not_sent", message = message, hint = hint }
end

-- On CockroachDB "ALL TABLES" takes sequences along: not what was asked for, but nothing to revoke either.
local function came_with_tables(grant, list)
  if grant.on ~= "sequence" or grant.option then return false end
  for _, entry in ipairs(list) do
    if entry.tables == "*" and entry.database == grant.database and entry.schema == grant.schema then
      for _, name in ipairs(entry.privileges or { "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP" }) do
        if name == grant.privilege then return true end
      end
    end
  end
  return false
end

--- What is to be taken away of the grants beyond the wanted ones.
---@param found table inspection
---@param extra table[] of privileges.diff
---@param list table[] normalized access
---@return table[]
function M.extra(found, extra, list)
  local out = {}
  local login = (found.graph.traits[found.user] or {}).login
  for _, grant in ipairs(extra) do
    -- Taken from a user that has the option LOGIN, it would let that user in again: it is a limit, no access.
    local limit = grant.on == "system" and grant.privilege == "NOSQLLOGIN" and login
    if found.dialect == "cockroachdb" and came_with_tables(grant, list) then
      if grant.grantable then out[#out + 1] = grants.option_of(grant) end
    elseif not limit then
      out[#out + 1] = grant
    end
  end
  return out
end

-- "ddl" makes and alters tables, and whoever makes something owns it.
local function owns_by_access(thing, list)
  for _, entry in ipairs(list) do
    if entry.preset == "ddl" and entry.tables == "*" and entry.database == thing.database and entry.schema == thing.schema
      and thing.name then
      return true
    end
  end
  return false
end

--- "table shop.public.orders", for messages.
---@param thing table {on, database, schema, name}
---@return string
function M.called(thing)
  local parts = {}
  for _, field in ipairs { "database", "schema", "name" } do
    if thing[field] then parts[#parts + 1] = thing[field] end
  end
  return ("%s %s"):format(thing.on, table.concat(parts, "."))
end
local called = M.called

local function owner_refused(found, list)
  local owned = {}
  for _, thing in ipairs(found.owns) do
    if not owns_by_access(thing, list) then owned[#owned + 1] = thing end
  end
  if #owned == 0 then return nil end
  return conflict(("%s is the owner of %s%s; an owner has every right on what it owns, and no REVOKE limits it"):format(
    quote.identifier(found.user), called(owned[1]), #owned > 1 and (" and of %s more"):format(printing.count(#owned - 1, "object")) or ""),
    ("in %s: %s; or leave exact out"):format(owned[1].database, plan.hand_over(owned[1], found.dialect)))
end

-- PostgreSQL takes away only what the owner has given; a grant of somebody else needs that role.
local function grantor_refused(found, extra)
  for _, grant in ipairs(extra) do
    if grant.grantor then
      return conflict(("%s was given to %s by %s, which is not the owner: only that role can take it away"):format(
        grants.describe(grant), quote.identifier(found.user), quote.identifier(grant.grantor)),
        ("SET ROLE %s; %s; RESET ROLE"):format(quote.identifier(grant.grantor),
          (plan.revoke({ grant }, { user = found.user, dialect = found.dialect }))[1] or ""))
    end
  end
  return nil
end

--- Why exact access cannot be reached, or nil.
---@param found table inspection of all databases
---@param list table[] normalized access
---@param extra table[] of M.extra
---@return crdbcloud.error|nil
function M.refused(found, list, extra)
  local _, left = plan.revoke(extra, { user = found.user, dialect = found.dialect })
  if #left > 0 then
    return conflict("no statement is known that takes away: " .. grants.summary(left, 5), "revoke it by hand, or leave exact out")
  end
  return owner_refused(found, list) or grantor_refused(found, extra)
end

--- Why the SQL user cannot change default privileges of these makers, or nil. CockroachDB only; PostgreSQL says it itself.
---@param found {dialect: string, graph: crdbcloud.privileges.graph, version: string}
---@param changed table[] single grants to be given or taken
---@param own string the SQL user
---@return crdbcloud.error|nil
function M.maker_refused(found, changed, own)
  if found.dialect ~= "cockroachdb" then return nil end
  local reached = roles.reach(found.graph, own)
  local admin = roles.describe(found.graph, own).admin or own == "root"
  for _, grant in ipairs(changed) do
    local maker = grant.on:find "^future_" and grant.creator
    if maker == "*" and not admin then
      return conflict(("%s is no admin, and only an admin changes default privileges FOR ALL ROLES"):format(quote.identifier(own)),
        "use a member of admin as the SQL user, or name the makers: creators = { … }")
    end
    if maker and maker ~= "*" and maker ~= own and not reached[maker] then
      local newer = versions.since(found.version, versions.ADMIN_FOR_ROLE)
      if not admin or newer == false then
        return conflict(("default privileges of what %s makes can be changed only by a member of it%s"):format(quote.identifier(maker),
          admin and (": to be an admin is enough from %s on, and this server is %s"):format(versions.ADMIN_FOR_ROLE,
            versions.of(found.version) or found.version) or ""),
          ("GRANT %s TO %s, then again; or upgrade the server"):format(quote.identifier(maker), quote.identifier(own)))
      end
    end
  end
  return nil
end

return M
