--- What this library assumes of a cluster, as data: what is assumed, what is expected of each kind of server, and how it
-- is seen on a throwaway user. `cluster:probe` tries them one after another, in this order; each leaves the user as the
-- next one needs it.

local errors = require "crdbcloud.errors"
local privileges = require "crdbcloud.privileges"
local quote = require "crdbcloud.sql.quote"

local M = {}

---@class crdbcloud.probe.world what is tried, and on what; all of it is of the one throwaway user
---@field user string
---@field sql crdbcloud.sql an admin's
---@field passwords {first: userdata, second: userdata}
---@field raw fun(query: table): table one request for the list of users, as the C client answers it: status, code,
---  retry_after, body
---@field page fun(query: table): table the same, again after a refusal for too many requests
---@field create fun(): table|nil, crdbcloud.error|nil makes the user with the first password
---@field create_again fun(): table|nil, crdbcloud.error|nil
---@field set_password fun(password: userdata): table|nil, crdbcloud.error|nil
---@field delete fun(): table|nil, crdbcloud.error|nil
---@field is_listed fun(): boolean|nil, crdbcloud.error|nil
---@field login fun(password: userdata): string, crdbcloud.error|nil
---@field remove fun(): true|nil, crdbcloud.error|nil
---@field now fun(): number seconds
---@field sleep fun(seconds: number): boolean false when a signal ended it

local BURST = 20 -- requests; the documented limit is 10 in a second
local MOST_PAGES = 100

-- An answer of the API in a few words.
local function said(answer)
  local code = answer.code and (" code %d"):format(answer.code) or ""
  return ("%d%s"):format(answer.status or 0, code)
end

-- What became of a change: its answer, or what refused it. Without an answer nothing was seen.
local function answer(word, value, err)
  if value then return word end
  if not err.status or err.status == 0 then return nil, err end
  return said(err), err.message
end

local function see_limit(w)
  for n = 1, BURST do
    local result = w.raw { ["pagination.limit"] = "1" }
    if result.status ~= 200 then
      return said(result) .. (result.retry_after and ", Retry-After" or ""), ("request %d of a burst%s"):format(n,
        result.retry_after and (", Retry-After %g s"):format(result.retry_after) or "")
    end
  end
  return "no refusal", ("%d requests"):format(BURST)
end

local function decode(body)
  local cjson = require("cjson.safe").new()
  local document = cjson.decode(body or "")
  return type(document) == "table" and document or nil, cjson.null
end

-- The form in which the last page says that it is the last.
local function see_end(w)
  local page
  for n = 1, MOST_PAGES do
    local result = w.page { ["pagination.limit"] = "500", ["pagination.page"] = page }
    local document, null = decode(result.status == 200 and result.body)
    if not document then return said(result) .. ", no list" end
    local pagination, detail = document.pagination, ("page %d"):format(n)
    if pagination == nil then return "no pagination", detail end
    if pagination == null then return "pagination null", detail end
    if type(pagination) ~= "table" then return "pagination is a " .. type(pagination), detail end
    page = pagination.next_page
    if page == nil then return "no next_page", detail end
    if page == null then return "next_page null", detail end
    if page == "" then return "next_page empty", detail end
    if type(page) ~= "string" then return "next_page is a " .. type(page), detail end
  end
  return ("no end in %d pages"):format(MOST_PAGES)
end

local function see_big_page(w)
  return said(w.page { ["pagination.limit"] = "501" })
end

local function see_rank(w)
  local found, err = privileges.inspect(w.sql, w.user)
  if not found then return nil, err end
  if not found.exists then return "no such user" end
  if found.admin then return found.admin_option and "admin, with the option" or "admin, without the option" end
  return found.limited and "no admin" or "no admin, with powers of one"
end

local function see_listed(w)
  local listed, err = w.is_listed()
  if listed == nil then return nil, err end
  return listed and "listed" or "not listed"
end

-- What libpq and the servers write; names stand between.
local PHRASES = { "password authentication failed", "is not permitted to log in", "not have login privilege", "password is expired" }

local function see_login(w, password)
  local verdict, err = w.login(password)
  if verdict == "accepted" then return "accepted" end
  if not err.sqlstate then return nil, err end
  for _, phrase in ipairs(PHRASES) do
    if err.message:find(phrase, 1, true) then return err.sqlstate .. " " .. phrase, err.message end
  end
  return err.sqlstate .. " in other words", err.message
end

-- Whether the columns that this library reads are there; "a|b" is either.
local function see_columns(statement, needed)
  return function(w)
    local rows, err = w.sql:query((statement:gsub("<user>", quote.identifier(w.user))))
    if not rows then return nil, err end
    local has, names = {}, {}
    for _, name in ipairs(rows.columns or {}) do has[name] = true end
    -- A connection of another library names columns only in its rows, without those that are NULL.
    for _, one in ipairs(rows) do
      for name in pairs(one) do has[name] = true end
    end
    for name in pairs(has) do names[#names + 1] = name end
    table.sort(names)
    local list = table.concat(names, ", ")
    for _, either in ipairs(needed) do
      local found = false
      for name in either:gmatch "[^|]+" do found = found or has[name] == true end
      if not found then return "no " .. either, list end
    end
    return "all columns", list
  end
end

-- What a maker has on what it will make, although nobody granted it.
local function see_implied(w)
  local rows, err = w.sql:query(("SELECT * FROM [SHOW DEFAULT PRIVILEGES FOR GRANTEE %s]"):format(quote.identifier(w.user)))
  if not rows then
    if err.sqlstate == "42601" then return "the statement is not known" end
    return nil, err
  end
  local words, seen = {}, {}
  for _, row in ipairs(rows) do
    local text = ("%s on %s"):format(row.privilege_type, row.object_type == "functions" and "routines" or row.object_type)
    if row.role ~= w.user then text = text .. " of " .. (row.role or "all roles") end
    if not seen[text] then words[#words + 1] = text end
    seen[text] = true
  end
  table.sort(words)
  return #words > 0 and table.concat(words, ", ") or "none"
end

local function see_demoted(w)
  local done, err = privileges.demote(w.sql, w.user)
  if not done then return nil, err end
  return see_rank(w)
end

local function see_password_set(w)
  local done, err = w.set_password(w.passwords.second)
  return answer("taken", done, err)
end

-- The user's own grants in the database of the connection, in words.
local function grants(w, database)
  local found, err = privileges.inspect(w.sql, w.user, { databases = { database } })
  if not found then return nil, err end
  local words = {}
  for i, grant in ipairs(found.grants) do words[i] = privileges.describe(grant) end
  return #words > 0 and (table.concat(words, ", "):gsub(" on database .*", " on the database")) or "none"
end

local function see_granted(w)
  local database, err = w.sql:current_database()
  if not database then return nil, err end
  local ok
  ok, err = w.sql:query(("GRANT CONNECT ON DATABASE %s TO %s"):format(quote.identifier(database), quote.identifier(w.user)))
  if not ok then return nil, err end
  return grants(w, database)
end

local function see_held(w)
  local done, err = w.delete()
  if done then return "deleted" end
  if not err.status or err.status == 0 then return nil, err end
  return "refused", said(err) .. ": " .. err.message
end

local function see_revoked(w)
  local ok, err = privileges.apply(w.sql, {}, { user = w.user, roles = {}, exact = true })
  if not ok then return nil, err end
  local database
  database, err = w.sql:current_database()
  if not database then return nil, err end
  return grants(w, database)
end

local function see_no_login(w)
  local ok, err = privileges.set_login(w.sql, w.user, false)
  if not ok then return nil, err end
  return see_login(w, w.passwords.second)
end

local function see_login_again(w)
  local ok, err = privileges.set_login(w.sql, w.user, true)
  if not ok then return nil, err end
  return see_login(w, w.passwords.second)
end

local function see_expired(w)
  local ok, err = w.sql:query(("ALTER ROLE %s WITH VALID UNTIL '2000-01-01'"):format(quote.identifier(w.user)))
  if not ok then return nil, err end
  return see_login(w, w.passwords.second)
end

local function see_expiry(w)
  local found, err = privileges.why_no_login(w.sql, w.user)
  if found == nil then return nil, err end
  return found and found.reason or "no obstacle"
end

local function see_removed(w)
  local ok, err = w.remove()
  if not ok then return nil, err end
  local rank
  rank, err = see_rank(w)
  if not rank then return nil, err end
  local listed
  listed, err = see_listed(w)
  if not listed then return nil, err end
  return rank == "no such user" and listed == "not listed" and "gone" or rank .. ", " .. listed
end

local COCKROACH = "cockroachdb"
local WRONG = { cockroachdb = { "28P01 password authentication failed", "28000 password authentication failed" },
  postgresql = { "28P01 password authentication failed" } }

---@class crdbcloud.probe.assumption
---@field id string
---@field what string
---@field expected string[]|table<crdbcloud.dialect, string[]> any of these; a dialect that is not named is not asked
---@field see fun(world: crdbcloud.probe.world): string|nil, any what was seen and a detail, or nil and an error
---@field within number|nil seconds in which it must come true; how long that took is told
---@field required boolean|nil without it there is nothing more to try

local function columns(statement, ...)
  return { what = "columns that are read of " .. statement:gsub("<user>", "a user"), expected = { [COCKROACH] = { "all columns" } },
    see = see_columns("SELECT * FROM [" .. statement .. "]", { ... }) }
end

local function row(id, fields)
  fields.id = id
  return fields
end

---@type crdbcloud.probe.assumption[]
M.TABLE = {
  row("rate_limit", { what = "a burst of requests is refused in a form that is known", see = see_limit,
    expected = { "no refusal", "429 code 8, Retry-After" } }),
  row("list_end", { what = "the last page says so in a form that is known", see = see_end,
    expected = { "no pagination", "pagination null", "no next_page", "next_page null", "next_page empty" } }),
  row("page_limit", { what = "a page of more than 500 is refused", expected = { "400 code 3" }, see = see_big_page }),
  row("created", { what = "the API makes a user", expected = { "made" }, required = true,
    see = function(w) return answer("made", w.create()) end }),
  row("created_again", { what = "the same name is refused", expected = { "409 code 6" },
    see = function(w) return answer("made", w.create_again()) end }),
  row("listed", { what = "a made user is listed at once", expected = { "listed" }, see = see_listed }),
  row("made_admin", { what = "a made user is an admin with the admin option", expected = { "admin, with the option" }, see = see_rank, within = 60 }),
  row("first_login", { what = "its password logs in on SQL", expected = { "accepted" }, within = 60,
    see = function(w) return see_login(w, w.passwords.first) end }),
  row("wrong_password", { what = "SQLSTATE and text of a wrong password", expected = WRONG,
    see = function(w) return see_login(w, w.passwords.second) end }),
  row("columns_users", columns("SHOW USERS", "username", "options")),
  row("columns_members", columns("SHOW GRANTS ON ROLE", "role_name", "member", "is_admin")),
  row("columns_grants", columns("SHOW GRANTS FOR <user>", "database_name", "schema_name", "object_name|relation_name", "grantee", "privilege_type",
    "is_grantable")),
  row("columns_system_grants", columns("SHOW SYSTEM GRANTS", "grantee", "privilege_type|privilege", "is_grantable")),
  row("columns_default_privileges", columns("SHOW DEFAULT PRIVILEGES FOR ROLE <user>", "role", "for_all_roles", "object_type", "grantee",
    "privilege_type", "is_grantable")),
  row("columns_sessions", columns("SHOW CLUSTER SESSIONS", "session_id", "user_name", "session_start", "status")),
  row("implied_defaults", { what = "default privileges that nobody granted", see = see_implied, expected = { [COCKROACH] = {
    "ALL on routines, ALL on schemas, ALL on sequences, ALL on tables, ALL on types", "the statement is not known" } } }),
  row("demoted", { what = "the SQL connection takes admin away", expected = { "no admin" }, see = see_demoted }),
  row("same_password", { what = "the same password again is taken", expected = { "taken" },
    see = function(w) return answer("taken", w.set_password(w.passwords.first)) end }),
  row("password_set", { what = "the API sets a password", expected = { "taken" }, see = see_password_set }),
  row("new_login", { what = "a new password logs in on SQL", expected = { "accepted" }, within = 60,
    see = function(w) return see_login(w, w.passwords.second) end }),
  row("old_login", { what = "the old password is refused", expected = WRONG, within = 60,
    see = function(w) return see_login(w, w.passwords.first) end }),
  row("still_demoted", { what = "a new password makes nobody an admin again", expected = { "no admin" }, see = see_rank }),
  row("granted", { what = "a grant is there and shown", expected = { "CONNECT on the database" }, see = see_granted }),
  row("held", { what = "the API does not delete a user that has grants", expected = { "refused" }, see = see_held }),
  row("revoked", { what = "exact access takes a grant away", expected = { "none" }, see = see_revoked }),
  row("no_login", { what = "SQLSTATE and text of NOLOGIN", see = see_no_login, within = 60, expected = {
    cockroachdb = { "28000 not have login privilege" }, postgresql = { "28000 is not permitted to log in" } } }),
  row("login_again", { what = "LOGIN lets it in again", expected = { "accepted" }, see = see_login_again, within = 60 }),
  row("expired", { what = "SQLSTATE and text of VALID UNTIL in the past", see = see_expired, within = 60, expected = {
    cockroachdb = { "28P01 password authentication failed", "28000 password authentication failed", "28000 password is expired",
      "28P01 password is expired" },
    postgresql = { "28P01 password authentication failed" } } }),
  row("expiry_shown", { what = "an expiry is told from a wrong password by SQL", expected = { "expired" }, see = see_expiry }),
  row("removed", { what = "the user is removed from API and SQL", expected = { "gone" }, see = see_removed }),
  row("removed_again", { what = "the API says that a removed user is not there", expected = { "404 code 5" },
    see = function(w) return answer("deleted", w.delete()) end }),
}

--- What is expected of a kind of server.
---@param assumption crdbcloud.probe.assumption
---@param dialect crdbcloud.dialect
---@return string[]|nil nil: it is not asked
function M.expected(assumption, dialect)
  local expected = assumption.expected
  return expected[1] and expected or expected[dialect]
end

-- A server that answers in a shape nobody thought of may raise an error in what reads it; that is a finding too.
local function see(assumption, w)
  local ok, seen, detail = pcall(assumption.see, w)
  if ok then return seen, detail end
  if errors.is_interrupt(seen) then error(seen, 0) end
  return nil, seen
end

-- Looks until what is expected is seen, as long as the assumption allows.
local function look(w, assumption, wanted)
  local started, pause = w.now(), 0.1
  while true do
    local seen, detail = see(assumption, w)
    local seconds = w.now() - started
    if wanted[seen or ""] or seconds + pause > (assumption.within or 0) or not w.sleep(pause) then return seen, detail, seconds end
    pause = math.min(pause * 2, 2)
  end
end

--- Tries the assumptions.
---@param w crdbcloud.probe.world
---@param dialect crdbcloud.dialect
---@param on_row fun(row: table): crdbcloud.error|nil called after each; its error ends the probe
---@return table[] rows assumption, what, expected, seen, detail, result ("as expected", "unexpected"), seconds
---@return crdbcloud.error|nil err why it ended early
function M.try(w, dialect, on_row)
  local rows = {}
  for _, assumption in ipairs(M.TABLE) do
    local expected = M.expected(assumption, dialect)
    if expected then
      local wanted = {}
      for _, text in ipairs(expected) do wanted[text] = true end
      local seen, detail, seconds = look(w, assumption, wanted)
      rows[#rows + 1] = {
        assumption = assumption.id, what = assumption.what, expected = table.concat(expected, " | "), seen = seen or "?",
        result = wanted[seen or ""] and "as expected" or "unexpected", detail = detail and tostring(detail) or nil,
        seconds = assumption.within and math.floor(seconds * 1000 + 0.5) / 1000 or nil,
      }
      if assumption.required and not wanted[seen or ""] then return rows, detail end
      local err = on_row(rows[#rows])
      if err then return rows, err end
    end
  end
  return rows
end

return M
