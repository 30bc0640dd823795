--- What blocks DROP ROLE on CockroachDB: it refuses as long as the role owns something, has a grant or a system privilege,
--- makes or gets default privileges, is named by a row policy, or owns a schedule, in any database.

local exact = require "crdbcloud.privileges.exact"
local grants = require "crdbcloud.privileges.grants"
local inspection = require "crdbcloud.privileges.inspect"
local plan = require "crdbcloud.privileges.plan"
local quote = require "crdbcloud.sql.quote"
local dialects = require "crdbcloud.sql.dialect"
local roles = require "crdbcloud.privileges.roles"
local run = require "crdbcloud.privileges.run"
local is_true = require "crdbcloud.privileges.read_roles".is_true

local M = {}

-- One statement for each thing: REASSIGN OWNED leaves schema public out on servers that are still in use.
local function hand_over(builder, found, to)
  for _, thing in ipairs(found.owns) do
    local view = thing.on == "table" and (found.objects[thing.database].views[thing.schema] or {})[thing.name] or nil
    local text = plan.hand_over(thing, "cockroachdb", to, view)
    -- A routine is found in the current database only.
    if thing.on == "function" or thing.on == "procedure" then builder:add_in(thing.database, text) else builder:add(text) end
  end
end

-- A new owner needs CREATE where the thing is; an admin has it.
local function owner_obstacles(sql, deadline, found, to, obstacles)
  if to == "root" or roles.describe(found.graph, to).admin or to == "admin" then return true end
  local asked = {}
  for _, thing in ipairs(found.owns) do
    local place = thing.database .. "\1" .. (thing.name and thing.schema or "")
    if thing.on ~= "database" and not asked[place] then
      asked[place] = true
      local rows, err = inspection.within(sql, deadline, "cockroachdb", thing.database, function(conn)
        if not thing.name then
          return run.query(conn, deadline, "SELECT has_database_privilege($1, $2, 'CREATE') AS may", to, thing.database)
        end
        return run.query(conn, deadline, "SELECT has_schema_privilege($1, $2, 'CREATE') AS may", to, thing.schema)
      end)
      if not rows then return nil, err end
      if not is_true(rows[1].may) then
        local on = thing.name and "SCHEMA " .. quote.qualified(thing.database, thing.schema) or "DATABASE " .. quote.identifier(thing.database)
        obstacles[#obstacles + 1] = {
          what = ("%s, as %s may not create there"):format(exact.called(thing), quote.identifier(to)),
          run = ("GRANT CREATE ON %s TO %s"):format(on, quote.identifier(to)),
        }
      end
    end
  end
  return true
end

local function schedules(sql, deadline, user, obstacles)
  local rows, err = run.query(sql, deadline, "SELECT id::STRING AS id, label FROM [SHOW SCHEDULES] WHERE owner = $1", user)
  if not rows then return nil, err end
  for _, row in ipairs(rows) do
    obstacles[#obstacles + 1] = { what = ("its schedule %s (%s)"):format(row.id, row.label or "no label"), run = "DROP SCHEDULE " .. row.id }
  end
  return true
end

-- A policy is for roles; the one without any other is dropped with its role, as the others go on to hold.
local function policies(conn, deadline, database, user, builder)
  local rows, err = run.query(conn, deadline, [[
    SELECT p.schemaname AS schema_name, p.tablename AS table_name, p.policyname AS name, r.role AS role
      FROM pg_catalog.pg_policies p, unnest(p.roles) AS r(role)]])
  -- Servers that do not know the view have no policies.
  if not rows then return err.sqlstate == "42P01" or nil, err end
  local list, by_name = {}, {}
  for _, row in ipairs(rows) do
    local key = table.concat({ row.schema_name, row.table_name, row.name }, "\1")
    local policy = by_name[key]
    if not policy then
      policy = { row = row, others = {} }
      list[#list + 1], by_name[key] = policy, policy
    end
    if row.role == user then policy.named = true else table.insert(policy.others, quote.identifier(row.role)) end
  end
  for _, policy in ipairs(list) do
    local row = policy.row
    local place = ("%s ON %s"):format(quote.identifier(row.name), quote.qualified(database, row.schema_name, row.table_name))
    if policy.named and #policy.others > 0 then
      builder:add(("ALTER POLICY %s TO %s"):format(place, table.concat(policy.others, ", ")))
    elseif policy.named then
      builder:add("DROP POLICY IF EXISTS " .. place)
    end
  end
  return true
end

local KINDS = { "tables", "sequences", "types", "schemas", "routines" }

-- A maker that lost what it has by default on its own things keeps an entry in the database, which no statement removes.
local function lost_defaults(conn, deadline, database, user, obstacles)
  local rows, err = run.query(conn, deadline, ("SELECT * FROM [SHOW DEFAULT PRIVILEGES FOR ROLE %s]"):format(quote.identifier(user)))
  if not rows then return nil, err end
  local has = {}
  for _, row in ipairs(rows) do
    if row.grantee == user and row.privilege_type == "ALL" then has[row.object_type == "functions" and "routines" or row.object_type] = true end
  end
  for _, kind in ipairs(KINDS) do
    if not has[kind] then
      obstacles[#obstacles + 1] = { what = ("the default privileges on %s that were taken from it in database %s"):format(kind, database) }
    end
  end
  return true
end

--- Reads what blocks DROP ROLE and makes the statements that end it.
---@param sql crdbcloud.sql
---@param deadline number
---@param user string
---@param to string|nil role that gets what the user owns
---@return {statements: crdbcloud.privileges.statements, owns: string[], obstacles: crdbcloud.privileges.obstacle[]}|nil
---@return crdbcloud.error|nil
function M.look(sql, deadline, user, to)
  local found, err = inspection.inspect(sql, deadline, user, { databases = "all" })
  if not found then return nil, err end
  local builder, out = plan.new(dialects.traits.cockroachdb), { owns = {}, obstacles = {} }
  for i, thing in ipairs(found.owns) do out.owns[i] = exact.called(thing) end
  local ok
  if to then
    hand_over(builder, found, to)
    ok, err = owner_obstacles(sql, deadline, found, to, out.obstacles)
    if not ok then return nil, err end
  end
  ok, err = schedules(sql, deadline, user, out.obstacles)
  if not ok then return nil, err end
  -- Memberships go with the role.
  local taken = {}
  for _, list in ipairs { found.grants, found.gives } do
    for _, grant in ipairs(list) do
      if grant.on ~= "role" then taken[#taken + 1] = grant end
    end
  end
  for _, database in ipairs(grants.members(found.objects)) do
    ok, err = inspection.within(sql, deadline, "cockroachdb", database, function(conn)
      local done, why = policies(conn, deadline, database, user, builder)
      if done then done, why = lost_defaults(conn, deadline, database, user, out.obstacles) end
      return done, why
    end)
    if not ok then return nil, err end
  end
  local _, left = plan.revoke(taken, { user = user, dialect = "cockroachdb", plan = builder })
  for _, grant in ipairs(left) do out.obstacles[#out.obstacles + 1] = { what = grants.describe(grant) } end
  local own
  own, err = sql:user()
  if not own then return nil, err end
  err = exact.maker_refused(found, taken, own)
  if err then return nil, err end
  out.statements = builder.list
  return out
end

return M
