--- What must be true right after a process was killed, and what after the recovery. Each function adds the problems it
--- finds to a list.

local json_sink = require "crdbcloud.sinks.json"
local privileges = require "crdbcloud.privileges"
local record = require "crdbcloud.record"
local temp = require "spec.support.temp"

local M = {}

M.POST, M.PUT = "create_sql_user", "update_sql_user_password"

local function add(problems, text, ...) problems[#problems + 1] = text:format(...) end
M.add = add

local hashes = {} -- by password; asking for one takes a process

-- The requests of an operation about the case's user, as the log was when the case looked.
local function requests(case, op)
  local found = {}
  for _, entry in ipairs(case.log) do
    if entry.op == op and entry.user == case.user then found[#found + 1] = entry end
  end
  return found
end

M.requests = requests

--- The hash that the log has in the place of a password.
function M.hash(case, password)
  local text = password:reveal()
  hashes[text] = hashes[text] or case.scene.sandbox:hash(text)
  return hashes[text]
end

--- The case's record; one that cannot be read is a problem. Adds its passwords to those that were seen in the store.
function M.record(problems, case)
  local rec, err = case.scene:record(case.user)
  if not rec and err then add(problems, "the record is refused: %s", tostring(err)) end
  for _, name in ipairs { "bootstrap", "current", "staged", "previous" } do
    if rec and rec[name] then case.seen[#case.seen + 1] = rec[name] end
  end
  for _, candidate in ipairs(rec and rec.candidates or {}) do case.seen[#case.seen + 1] = candidate end
  return rec
end

--- Every password that the server was sent is durable: no byte leaves before. The throwaway of a creation is looked
--- for until the user is made, then it is wiped.
function M.sent_is_stored(problems, case, rec)
  local known = {}
  for _, holder in ipairs(case.seen) do known[M.hash(case, holder.password)] = true end
  for _, op in ipairs { M.POST, M.PUT } do
    local wiped = op == M.POST and rec and not record.is_creating(rec)
    for _, entry in ipairs(wiped and {} or requests(case, op)) do
      if entry.password_hash and not known[entry.password_hash] then add(problems, "%s sent a password that the store does not have", op) end
    end
  end
end

--- One of the passwords that consumers are offered logs in.
function M.somebody_logs_in(problems, case, rec)
  for _, candidate in ipairs(record.candidates(rec)) do
    if case.scene:login(case.user, candidate.password) == "accepted" then return end
  end
  add(problems, "none of the %d candidates in the store logs in (state %s)", #record.candidates(rec), rec.state)
end

--- The record is idle, nothing is left open, and its password logs in.
function M.settled(problems, case)
  local rec = M.record(problems, case)
  if not rec then
    add(problems, "there is no record")
    return nil
  end
  if rec.state ~= "idle" or record.is_open(rec) or record.is_creating(rec) then add(problems, "the record is not settled (%s)", rec.state) end
  for _, name in ipairs { "staged", "bootstrap", "candidates" } do
    if rec[name] then add(problems, "the record still has %s", name) end
  end
  if not rec.current then
    add(problems, "no password is current")
    return nil
  end
  local verdict = case.scene:login(case.user, rec.current.password)
  if verdict ~= "accepted" then add(problems, "the stored password does not log in (%s)", verdict) end
  return rec
end

--- No more passwords were sent than epochs began.
function M.one_password_an_epoch(problems, case, op, epochs)
  local n = case.scene.hashes(requests(case, op))
  if n > epochs then add(problems, "%d different passwords were sent by %s for %d epochs", n, op, epochs) end
end

--- No temporary file is left; files are 0600, directories 0700.
function M.tidy(problems, directories)
  local found = temp.run(("find %s \\( -name '*.tmp.*' -o -type f ! -perm 600 -o -type d ! -perm 700 \\) -printf '%%M %%p\\n'")
    :format(table.concat(directories, " ")))
  for line in found:gmatch("[^\n]+") do add(problems, "left behind or too open: %s", line) end
end

--- A json sink holds exactly this.
function M.json_holds(problems, path, user, holder)
  local fields, why = json_sink.read(path)
  if not fields then
    add(problems, "the json sink cannot be read: %s", why)
  elseif fields.user ~= user or fields.epoch ~= holder.epoch or not fields.password:equals(holder.password) then
    add(problems, "the json sink holds epoch %s of %s, not epoch %d", tostring(fields.epoch), tostring(fields.user), holder.epoch)
  end
end

--- A pgpass file has one line of this user, with this password, and the lines of others.
function M.pgpass_holds(problems, path, user, holder, others)
  local text, lines, found = temp.read(path) or "", 0, false
  for line in text:gmatch("[^\n]+") do
    if line:match("^[^:]*:[^:]*:[^:]*:([^:]*):") == user then
      lines = lines + 1
      found = found or line:match("^[^:]*:[^:]*:[^:]*:[^:]*:(.*)$") == holder.password:reveal()
    end
  end
  if lines ~= 1 or not found then add(problems, "the pgpass file has %d lines of %s, %s", lines, user, found and "one right" or "none right") end
  if others and not text:find(others, 1, true) then add(problems, "the pgpass file lost a line of somebody else") end
end

--- While a user may be an admin, or is not there yet, nobody is offered a password of it.
---@return boolean limited the user exists and is no admin
function M.nothing_handed_out(problems, case, rec, files)
  local found, err = privileges.inspect(assert(case.scene.cluster:open_sql "spec"), case.user)
  if not found then
    add(problems, "inspect: %s", tostring(err))
    return false
  end
  if found.exists and not found.admin then return true end
  local who = found.admin and "an admin" or "nobody"
  if case.scene.cluster:credential(case.user) then add(problems, "credential() gives a password of %s", who) end
  if rec and #record.candidates(rec) > 0 then add(problems, "a candidate is offered of %s", who) end
  for _, file in ipairs(files) do
    if (temp.read(file) or ""):find(case.user, 1, true) then add(problems, "%s has a password of %s", file, who) end
  end
  return false
end

--- The user is limited: what was granted, and no admin through any role.
function M.limited(problems, case, granted, refused)
  local sql, user = assert(case.scene.cluster:open_sql "spec"), case.user
  local found = privileges.inspect(sql, user)
  if not found or not found.exists then
    add(problems, "the user does not exist")
    return
  end
  if found.admin or found.createrole or found.superuser then add(problems, "the user is an admin at the end") end
  local may = "SELECT has_table_privilege($1, $2, 'SELECT') AS may"
  for _, name in ipairs(granted) do
    if sql:query(may, user, name)[1].may ~= "t" then add(problems, "%s was not granted", name) end
  end
  for _, name in ipairs(refused) do
    if sql:query(may, user, name)[1].may ~= "f" then add(problems, "%s was granted, and nobody asked for it", name) end
  end
end

--- Whether the user may read a table.
function M.may(case, name)
  local sql = assert(case.scene.cluster:open_sql "spec")
  return sql:query("SELECT has_table_privilege($1, $2, 'SELECT') AS may", case.user, name)[1].may == "t"
end

--- Whether the database has the user.
function M.exists(case) return privileges.inspect(assert(case.scene.cluster:open_sql "spec"), case.user).exists end

--- Nothing was ever sent for the user, and it is there only when it was there before.
function M.never_was(problems, case)
  if #requests(case, M.POST) + #requests(case, M.PUT) > 0 then add(problems, "requests were sent, yet there is no record") end
  if M.exists(case) and not case.exists then add(problems, "the user exists, yet there is no record") end
end

return M
