--- A stage that is older than a day may come from a record that was restored from a
--- backup or copied from another host. It is sent only after a login has shown that
--- the record still fits the cluster.

local errors = require "crdbcloud.errors"

local M = {}

M.AGE = 86400 -- seconds

--- Pure: what two logins say of an old stage.
---@param staged string verdict of the login with the staged password
---@param current string|nil verdict of the login with the current one; nil when there is none
---@return "live"|"fits"|"stale"|"unknown"
function M.judge(staged, current)
  if staged == "accepted" then return "live" end
  if current == "accepted" then return "fits" end
  if staged == "wrong_password" and current == "wrong_password" then return "stale" end
  if current == nil then return "fits" end -- nothing to compare with: the first password of a user
  return "unknown"
end

--- Whether the stage of a held record may be sent.
---@param ctx table
---@param entry crdbcloud.entry
---@return true|nil
---@return crdbcloud.error|nil err nothing was sent
function M.check(ctx, entry)
  local rec = entry.rec
  local staged = rec.staged
  if not staged or not staged.created_at or ctx:now() - staged.created_at <= M.AGE then return true end
  local current = rec.current and rec.current.epoch ~= staged.epoch and ctx:probe(rec, rec.current.password) or nil
  local verdict = M.judge(ctx:probe(rec, staged.password), current)
  if verdict == "live" or verdict == "fits" then return true end
  return nil, errors.new {
    kind = verdict == "stale" and "conflict" or "pending", reason = "stale_stage", outcome = "not_sent", exit = 3,
    operation = "update_sql_user_password",
    message = ("%s: a password was staged more than a day ago and %s"):format(entry.user, verdict == "stale"
      and "neither it nor the current one logs in: the record does not fit the cluster"
      or "no login is possible to see whether the record still fits the cluster"),
    hint = verdict == "stale" and "was the store restored or copied? remove the record and import or rotate the user anew"
      or "make a login possible, then `crdbcloud rotate resume`",
  }
end

return M
