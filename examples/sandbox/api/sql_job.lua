-- What runs in nginx's thread pool, where blocking is allowed: statements on the SQL side.
-- Each thread state keeps one connection to each side. Every function returns plain values: a word that says
-- what became of it ("ok", "exists", "missing", "depends", "failed") and a value or text.

local M = {}

local environment
local connections = {} -- by conninfo

local function connect(conninfo)
  environment = environment or require("luasql.postgres").postgres()
  return environment:connect(conninfo)
end

-- A connection that is known to be alive, so that no statement has to be sent twice.
local function alive(conninfo)
  local kept = connections[conninfo]
  if kept then
    local cursor = kept:execute("SELECT 1")
    if cursor then
      cursor:close()
      return kept
    end
    pcall(kept.close, kept)
    connections[conninfo] = nil
  end
  local made, problem = connect(conninfo)
  if not made then return nil, problem end
  -- The statement text of a password change must not be readable in pg_stat_activity.
  made:execute("SET track_activities = off; SET lc_messages = 'C'; SET synchronous_commit = off")
  connections[conninfo] = made
  return made
end

local function identifier(name) return '"' .. name:gsub('"', '""') .. '"' end

local function literal(con, text) return "'" .. con:escape(text) .. "'" end

local function column(con, statement)
  local cursor, problem = con:execute(statement)
  if not cursor then return nil, problem end
  local values = {}
  local value = cursor:fetch()
  while value do
    values[#values + 1] = value
    value = cursor:fetch()
  end
  cursor:close()
  return values
end

-- A SQL user is a role that can log in, or has a password and could before it was disabled.
local IS_USER = "(rolcanlogin OR rolpassword IS NOT NULL)"

-- Changes of one role wait for each other: PostgreSQL fails concurrent ones.
local function lock(con, name) return "SELECT pg_advisory_xact_lock(hashtext(" .. literal(con, name) .. "))" end

local function is_user(con, name)
  local found, problem = column(con, "SELECT 1 FROM pg_authid WHERE rolname = " .. literal(con, name) .. " AND " .. IS_USER)
  if not found then return nil, problem end
  return #found > 0
end

-- Runs statements as one transaction and turns the error text into a word. Statements with a
-- password never appear in it: only what stands before the first line break is kept.
local function change(con, statements)
  local done, problem = con:execute("BEGIN; " .. table.concat(statements, "; ") .. "; COMMIT")
  if done then return "ok" end
  con:execute("ROLLBACK")
  local text = problem:match("ERROR:%s*([^\n]*)") or "the SQL server closed the connection"
  if text:find("already exists", 1, true) then return "exists" end
  if text:find("cannot be dropped because", 1, true) then return "depends", text end
  if text:find("does not exist", 1, true) then return "missing" end
  return "failed", text
end

local jobs = {}

function jobs.ping() return "ok" end

--- Names behind `after`, at most `count`: users without those `hidden`, and those `added`.
function jobs.list(con, job)
  local order = job.descending and "DESC" or "ASC"
  local behind = job.after and (" AND rolname %s %s"):format(job.descending and "<" or ">", literal(con, job.after)) or ""
  local hidden = {}
  for i, name in ipairs(job.hidden) do hidden[i] = " AND rolname <> " .. literal(con, name) end
  -- Names are compared as bytes, and by the index, so that a page costs the same anywhere in the list.
  local found = ("(SELECT rolname FROM pg_authid WHERE %s%s%s ORDER BY rolname %s LIMIT %d)")
    :format(IS_USER, behind, table.concat(hidden), order, job.count)
  for _, name in ipairs(job.added) do
    found = found .. (" UNION (SELECT rolname FROM (SELECT %s::name) AS added (rolname) WHERE true%s)"):format(literal(con, name), behind)
  end
  local names, problem = column(con, ("SELECT rolname FROM (%s) AS users ORDER BY rolname %s LIMIT %d"):format(found, order, job.count))
  if not names then return "failed", problem end
  return "ok", names
end

function jobs.create(con, job)
  local name = identifier(job.name)
  return change(con, {
    lock(con, job.name),
    "CREATE ROLE " .. name .. " LOGIN PASSWORD " .. literal(con, job.password),
    "GRANT admin TO " .. name .. " WITH ADMIN OPTION",
  })
end

function jobs.set_password(con, job)
  local found, problem = is_user(con, job.name)
  if problem then return "failed", problem end
  if not found then return "missing" end
  return change(con, { lock(con, job.name), "ALTER ROLE " .. identifier(job.name) .. " PASSWORD " .. literal(con, job.password) })
end

function jobs.delete(con, job)
  local found, problem = is_user(con, job.name)
  if problem then return "failed", problem end
  if not found then return "missing" end
  return change(con, { lock(con, job.name), "DROP ROLE " .. identifier(job.name) })
end

--- Whether this is the password that the user has, found out by a login.
function jobs.has_password(_, job)
  local value = job.password:gsub("[\\']", "\\%0")
  local made, problem = connect(("%s dbname=postgres user='%s' password='%s'"):format(job.server, job.name, value))
  if made then
    made:close()
    return "ok", true
  end
  return "ok", not problem:find("password authentication failed", 1, true)
end

function jobs.databases(con, job)
  local names, problem = column(con, 'SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname COLLATE "C"')
  if not names then return "failed", problem end
  local counts = {}
  for _, name in ipairs(names) do
    local one = connect(job.conninfo .. " dbname='" .. name:gsub("[\\']", "\\%0") .. "'")
    if one then
      local count = column(one, "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')")
      counts[name] = count and count[1]
      one:close()
    end
  end
  return "ok", { names = names, counts = counts }
end

--- The entry point. An error raised in a thread would lose its text, so none is raised.
function M.run(job)
  local ran, word, value = pcall(function()
    local con, problem = alive(job.conninfo .. " dbname=postgres")
    if not con then return "failed", problem end
    return jobs[job.what](con, job)
  end)
  if ran then return word, value end
  return "failed", tostring(word)
end

return M
