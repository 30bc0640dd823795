--- `pair_sql`: shows the two sides of a cluster, what the API says and where SQL goes, and records that they are one.

local errors = require "crdbcloud.errors"
local options = require "crdbcloud.base.options"
local same_cluster = require "crdbcloud.run.same_cluster"

local M = {}

local OPTIONS = { confirm = "text" }

--- Looks at both sides. With confirm, the cluster's name or id, the pairing is recorded in the store: from then on the
--- server is this cluster's, by whatever address it is reached. Where the API names the address nothing is recorded.
---@param cluster table
---@param opts? { confirm: string? }
---@return table|nil look prints as a table
---@return crdbcloud.error|nil
function M.pair_sql(cluster, opts)
  opts = options.check(OPTIONS, opts, "pair_sql")
  local look, err = same_cluster.look(cluster, "pair_sql", true)
  if not look then
    err.outcome = err.outcome or "not_sent"
    return nil, err
  end
  if not opts.confirm or look.proof then return look end
  if opts.confirm ~= look.name and opts.confirm ~= look.cluster_id then
    return nil, errors.new {
      kind = "invalid_argument", operation = "pair_sql", outcome = "not_sent",
      message = ("confirm is %s, and the cluster is %s"):format(errors.shown(opts.confirm), look.name),
      hint = "look at cluster:pair_sql() first; confirm names the cluster whose server it is",
    }
  end
  local ok
  ok, err = same_cluster.record(cluster, look)
  if not ok then return nil, err end
  return look
end

return M
