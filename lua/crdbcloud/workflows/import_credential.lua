--- `import_credential`: takes a password that somebody knows into the store,
--- once a login has proved it. Nothing is changed on the cluster.

local context = require "crdbcloud.run.context"
local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local names = require "crdbcloud.names"
local options = require "crdbcloud.base.options"
local outcome = require "crdbcloud.run.outcome"
local record = require "crdbcloud.record"
local rules = require "crdbcloud.run.rules"

local M = {}

local OPTIONS = {
  user = "text", password = "text|secret", set_at = rules.time, owner = "line", description = "line",
  sinks = rules.sinks,
  reason = "line", on_progress = "function", dry_run = "boolean",
}

-- Logs in and writes the record of a held user that has none.
local function import_held(ctx, entry, opts)
  if entry.rec then
    return nil, errors.new {
      kind = "conflict", outcome = "not_sent", operation = "import_credential",
      message = entry.user .. " has a record already", hint = "cluster:rotate_password changes its password",
    }
  end
  local rec = record.new {
    cluster_id = ctx.id, cluster_name = ctx.name, user = entry.user, state = "idle", origin = "import",
    owner = opts.owner, description = opts.description, sinks = opts.sinks, created_at = ctx:now(), epoch = 1,
    current = { epoch = 1, password = opts.password, set_at = opts.set_at, verified = true },
  }
  local verdict, err = ctx:probe(rec, opts.password)
  if verdict ~= "accepted" then
    return nil, errors.new {
      kind = "sql", outcome = "rejected", operation = "import_credential", reason = verdict, cause = err,
      message = ("%s: the password is not proved by a login (%s), so it is not taken"):format(entry.user,
        (verdict:gsub("_", " "))),
    }
  end
  if opts.dry_run then return { result = "import", verified = "accepted" } end
  local ok, store_err = entry:save(rec)
  if not ok then return nil, store_err end
  return { verified = "accepted", note = "imported" }
end

--- Takes a known password into the store. It is proved by a login, not rotated.
---@param cluster table
---@param opts table user, password (required), set_at (seconds or date; unknown counts as due), owner, description, sinks
---@return table|nil report
---@return crdbcloud.error|nil
function M.import_credential(cluster, opts)
  opts = options.check(OPTIONS, opts, "import_credential", "caller")
  if not opts.user then errors.raise("caller", "import_credential: user is missing") end
  if not opts.password then errors.raise("caller", "import_credential: password is missing") end
  local user, err = names.check(opts.user)
  if not user then return nil, err end
  if opts.set_at and opts.set_at > core.time() + 300 then
    return nil, errors.new {
      kind = "invalid_argument", outcome = "not_sent", operation = "import_credential",
      message = "set_at lies in the future; it is seconds since 1970, or a date",
    }
  end
  if type(opts.password) == "string" then opts.password = core.secret(opts.password) end
  local ctx
  ctx, err = context.new(cluster, "import_credential", opts)
  if not ctx then return nil, err end
  ctx.call_sinks = nil
  local row = ctx:user_row(user, import_held, opts)
  return outcome.finish(ctx, { row })
end

return M
