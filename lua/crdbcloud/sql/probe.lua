--- A login as proof of a password: one attempt, in which nothing but the password can let us in.
-- Every parameter of libpq is passed explicitly (crdbcloud.pq), so that no PG* variable, password file, client
-- certificate or Kerberos ticket counts, and the server must have asked for the password: under `trust` a wrong one
-- logs in.

local errors = require "crdbcloud.errors"
local options = require "crdbcloud.base.options"
local params = require "crdbcloud.sql.params"
local failure = require "crdbcloud.sql.failure"

local M = {}

---@alias crdbcloud.verdict
---| "accepted" the server asked for the password and took it
---| "wrong_password" the only answer that speaks against the password
---| "no_login" the role may not log in
---| "expired" VALID UNTIL has passed; PostgreSQL does not tell this from a wrong password
---| "too_many_connections"
---| "paused" the cluster is
---| "network" no answer: unreachable, lost, timed out, starting
---| "tls"
---| "not_asked" let in without a password: proves nothing
---| "other"

local FIELDS = { timeout = "limit" }
for name, rule in pairs(params.FIELDS) do FIELDS[name] = rule end
FIELDS.connect_timeout, FIELDS.deadline, FIELDS.passfile = nil, nil, nil
FIELDS.sslcert, FIELDS.sslkey, FIELDS.application_name = nil, nil, nil

-- Phrases of both servers for SQLSTATE 28000, which is all kinds of "not like this". User names hold no spaces, so
-- none can imitate a phrase.
local PHRASES = {
  { "is not permitted to log in", "no_login" },        -- PostgreSQL: NOLOGIN
  { "not have login privilege", "no_login" },          -- CockroachDB: NOLOGIN
  { "not have SQL login privilege", "no_login" },      -- CockroachDB: NOSQLLOGIN
  { "password is expired", "expired" },                -- CockroachDB: VALID UNTIL
  { "password authentication failed for", "wrong_password" },
}

local STATES = {
  ["28P01"] = "wrong_password", ["53300"] = "too_many_connections",
  ["57P01"] = "network", ["57P02"] = "network", ["57P03"] = "network",
}

--- What a failed login says about the password.
---@param problem crdbcloud.sql.problem
---@return crdbcloud.verdict
function M.classify(problem)
  if problem.reason == "tls" then return "tls" end
  if problem.reason == "network" or problem.reason == "timeout" then return "network" end
  if problem.reason ~= "server" then return "other" end
  local message, state = problem.message or "", problem.sqlstate or ""
  if message:find("password is expired", 1, true) then return "expired" end
  if message:find("cluster is paused", 1, true) or message:find("cluster has been paused", 1, true) then return "paused" end
  if STATES[state] then return STATES[state] end
  if state == "28000" then
    for _, pair in ipairs(PHRASES) do
      if message:find(pair[1], 1, true) then return pair[2] end
    end
    return "other"
  end
  -- 08004, 08C00: the proxy in front of a cluster refuses (throttled, unknown or unreachable cluster).
  if state:sub(1, 2) == "08" then return "network" end
  return "other"
end

--- Tries to log in once.
---@param given {host: string, port: integer?, dbname: string?, user: string, password: userdata|string, sslmode: string?,
---  sslrootcert: string?, ca_file: string?, options: string?, insecure: boolean?, timeout: crdbcloud.duration?}
---@return crdbcloud.verdict
---@return crdbcloud.error|nil err for every verdict but "accepted"
function M.login(given)
  if type(given) ~= "table" then
    errors.raise("probe.login: expected a table of fields, got %s", errors.shown(given))
  end
  local fields = options.check(FIELDS, given, "probe.login")
  if fields.password == nil then errors.raise("probe.login: password is missing") end
  local timeout = fields.timeout or 10
  fields.timeout = nil
  local resolved, err = params.resolve(fields)
  if not resolved then return err.kind == "tls" and "tls" or "other", err end
  resolved.timeout, resolved.ambient_password = timeout, false
  local conn, problem = require("crdbcloud.pq").connect(resolved)
  if not conn then
    return M.classify(problem), failure.error(problem)
  end
  local asked = conn:used_password()
  conn:close()
  if asked then return "accepted" end
  return "not_asked", errors.new {
    kind = "sql", operation = "probe.login", outcome = "not_sent",
    message = "the server let the user in without asking for a password, so the login proves nothing",
    hint = "the server's authentication rules (hba) for this user say trust, or a certificate",
  }
end

return M
