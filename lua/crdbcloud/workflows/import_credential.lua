--- `import_credential`: puts a known password into the store once a login has proved it. Nothing changes on the cluster.

local context = require "crdbcloud.run.context"
local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local report = require "crdbcloud.run.report"
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

--- Puts a known password into the store. A login proves it; it is not rotated.
---@param cluster table
---@param opts table user, password (required), set_at (seconds or date; unknown counts as due), owner, description, sinks
---@return table|nil report
---@return crdbcloud.error|nil
function M.import_credential(cluster, opts)
  local err
  opts, err = rules.one_user(OPTIONS, opts, "import_credential", "password")
  if not opts then return nil, err end
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
  return report.finish(ctx, { (ctx:user_row(opts.user, import_held, opts)) })
end

return M
