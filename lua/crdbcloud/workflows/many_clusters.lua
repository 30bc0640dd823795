--- Workflows over several clusters, one after the other: one report, one budget, one run id. A cluster that fails does
--- not stop the next; a key that is refused (401) does, as does an interrupt.

local classes = require "crdbcloud.base.classes"
local context = require "crdbcloud.run.context"
local events = require "crdbcloud.run.events"
local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local find = require "crdbcloud.api.find"
local options = require "crdbcloud.base.options"
local printing = require "crdbcloud.base.printing"
local report = require "crdbcloud.run.report"
local resume = require "crdbcloud.workflows.resume"
local rotate = require "crdbcloud.workflows.rotate"
local selection = require "crdbcloud.run.selection"
local store = require "crdbcloud.store"
local urls = require "crdbcloud.base.urls"

local M = {}

local EVERYBODY = "*" -- as the user of a row that speaks of a cluster as a whole

-- Names of clusters, or "all".
local function clusters_rule(value, name)
  if type(value) == "string" then return value == "all" and value or { value } end
  if type(value) ~= "table" or #value == 0 or next(value, #value) ~= nil then
    errors.raise('%s must be a list of names or ids, or "all", got %s', name, errors.shown(value))
  end
  for i, item in ipairs(value) do
    if type(item) ~= "string" or item == "" then
      errors.raise("%s[%d] must be the name or id of a cluster, got %s", name, i, errors.shown(item))
    end
  end
  return value
end

-- A SQL connection belongs to one cluster, so a URL would be wrong for all others.
local function sql_rule(value, name)
  if value == false or type(value) == "function" then return value end
  errors.raise("%s must be a function of the cluster, or false: one connection is not that of several clusters; got %s",
    name, errors.shown(value))
end

-- Options of the handles; the rest is handed on to the workflow.
local OWN = {
  clusters = clusters_rule, store = "text|table|secret", sql = sql_rule, sql_ca_file = "text", store_key_file = "text",
  plaintext = "boolean",
}

local function with_own(rules)
  local all = {}
  for name, rule in pairs(rules) do all[name] = rule end
  for name, rule in pairs(OWN) do all[name] = rule end
  all.plan = nil -- of one cluster
  return all
end

-- Splits checked options into ours and, as they were written, those of the workflow.
local function split(rules, given, what)
  local own = options.check(with_own(rules), given, what)
  if own.clusters == nil then
    errors.raise('%s: clusters is missing: names or ids, or "all"', what)
  end
  local handed = {}
  for name, value in pairs(given) do
    if not OWN[name] then handed[name] = value end
  end
  return own, handed
end

-- The clusters to work on, each a name or what the API says of it.
local function named(cloud, clusters)
  if clusters ~= "all" then return clusters end
  local list, err = cloud:all_clusters()
  if not list then return nil, err end
  local out = {}
  for i, info in ipairs(list) do out[i] = info end
  table.sort(out, function(a, b) return tostring(a.name) .. a.id < tostring(b.name) .. b.id end)
  return out
end

-- What the caller's function says of this cluster's SQL connection.
local function sql_of(own, info)
  if not own.sql then return false end
  local ok, given, why = pcall(own.sql, info)
  if ok and given ~= nil then return given end
  if ok and why == nil then return false end
  if ok and errors.is(why) then return nil, why end
  return nil, errors.new {
    kind = "sql", operation = "sql", outcome = "not_sent",
    message = "the function for sql gave no connection: " .. tostring(ok and why or given),
  }
end

-- Opens a handle of one cluster of the run; neither handle nor error when the run has worked on that cluster already.
-- The third value is what the API says of the cluster, also when there is no handle.
local function open(run, cluster)
  local own, cloud = run.own, run.cloud
  local info = type(cluster) == "table" and cluster or nil
  if not info then
    local err
    info, err = cloud:find_cluster(cluster)
    if not info then return nil, err end
  end
  local err
  info, err = find.checked(info)
  if not info then return nil, err end
  if run.seen[info.id] then return nil, nil, info end
  run.seen[info.id] = true
  local sql
  sql, err = sql_of(own, info)
  if sql == nil then return nil, err, info end
  local handle
  handle, err = cloud:cluster(info.id, {
    store = own.store, sql = sql, sql_ca_file = own.sql_ca_file, store_key_file = own.store_key_file,
    plaintext = own.plaintext,
  })
  if not handle then return nil, err, info end
  handle:knows { info = info }
  handle.run_id = run.id
  return handle, nil, info
end

local function name_of(cluster)
  return type(cluster) == "table" and tostring(cluster.name or cluster.id) or cluster
end

local function progress_for(run, name)
  local listener = run.on_progress
  return listener and function(event)
    event.cluster = name
    return listener(event)
  end
end

-- Why a run stops: a key that one cluster refuses is refused by all.
local function stops(err)
  if not err then return nil end
  if err.kind == "unauthenticated" then return err.message end
  for _, row in ipairs(err.report and err.report.rows or {}) do
    if row.kind == "unauthenticated" then return row.error end
  end
end

-- One cluster: its rows go to the run's, its own figures to the report's list of clusters.
local function work_on(run, cluster, method, handed)
  local began = core.monotonic()
  local handle, err, info = open(run, cluster)
  if not handle and not err then return end
  local done
  local name = name_of(info or cluster)
  if handle then
    local opts = {}
    for k, v in pairs(handed) do opts[k] = v end
    opts.on_progress = progress_for(run, name)
    done, err = handle[method](handle, opts)
    done = done or err.report
    handle:close()
  end
  local shown = { name = name, id = info and info.id, seconds = core.monotonic() - began, exit = err and err.exit or 0 }
  run.clusters[#run.clusters + 1] = shown
  if done then
    shown.hooks, shown.window, shown.unmanaged, shown.users = done.hooks, done.window, done.unmanaged, #done.rows
    run.unmanaged = run.unmanaged + (done.unmanaged or 0)
    for _, row in ipairs(done.rows) do
      row.cluster = name
      run.rows[#run.rows + 1] = row
    end
    for _, text in ipairs(done.warnings or {}) do run:warn(name .. ": " .. text) end
    if err and err.kind == "hook" then
      run.hook_err = run.hook_err or err
      shown.error = err.message
    end
  else
    shown.error = err.message
    local row = report.row(EVERYBODY, nil, err, {})
    row.cluster = name
    run.rows[#run.rows + 1] = row
  end
  return err
end

local function untouched(run, cluster, why)
  local name = name_of(cluster)
  run.clusters[#run.clusters + 1] = { name = name, exit = 1, error = why }
  run.rows[#run.rows + 1] = { cluster = name, user = EVERYBODY, result = "untouched", note = why, sinks = {} }
end

local function warn(run, text)
  run.warnings[#run.warnings + 1] = text
end

local function new_run(cloud, own, handed)
  local run = {
    cloud = cloud, own = own, id = core.random_hex(8), on_progress = handed.on_progress, seen = {}, rows = {}, clusters = {},
    warnings = {}, unmanaged = 0, started = core.monotonic(), warn = warn,
  }
  if own.sql == nil and os.getenv "CRDBCLOUD_SQL" then
    run:warn "CRDBCLOUD_SQL is one cluster's address and is not used for several; sql = function(cluster) … end names each"
  end
  return run
end

-- Runs the workflow on each; returns the run, or the error of a list that could not be read.
local function each(cloud, own, method, handed)
  local list, err = named(cloud, own.clusters)
  if not list then return nil, err end
  local run = new_run(cloud, own, handed)
  local stop
  for i, cluster in ipairs(list) do
    if core.interrupted() then stop = stop or "interrupted" end
    if stop then
      untouched(run, cluster, stop)
    else
      events.tell(run.on_progress, {
        step = "cluster", cluster = name_of(cluster), text = ("cluster %d of %d"):format(i, #list), run_id = run.id,
      })
      stop = stops(work_on(run, cluster, method, handed))
      stop = stop and "stopped: " .. stop
    end
  end
  return run
end

-- True for a name without a record that is not on the cluster.
local function is_absent(row)
  return not row.epoch and (row.note == selection.ABSENT or row.error == row.user .. ": " .. selection.ABSENT)
end

-- A user that one cluster has may be absent on the others.
local function forgive_absent(rows, planned)
  local known = {}
  for _, row in ipairs(rows) do known[row.user] = known[row.user] or not is_absent(row) end
  for _, row in ipairs(rows) do
    if is_absent(row) and known[row.user] then
      row.result, row.note = planned and "skip" or "skipped", selection.ABSENT
      row.error, row.kind, row.outcome, row.hint, row.exit = nil, nil, nil, nil, nil
    end
  end
end

local function finish(run, operation, planned)
  local url = type(run.own.store) == "table" and run.own.store.url or run.own.store or os.getenv "CRDBCLOUD_STORE"
  if type(url) == "userdata" then url = urls.text(url) end
  url = type(url) == "string" and urls.shown(url) or url
  return report.finish({
    operation = operation, run_id = run.id, name = ("%d clusters"):format(#run.clusters), store = { url = url },
    warnings = run.warnings, started = run.started, interrupted = context.interrupted,
  }, run.rows, { clusters = run.clusters, unmanaged = run.unmanaged, dry_run = planned or nil }, planned, run.hook_err)
end

local function has_store(own, operation)
  local url = own.store or os.getenv "CRDBCLOUD_STORE"
  if url and url ~= "" then return true end
  return nil, store.not_named(operation)
end

local function rotation(cloud, given, operation, dry)
  local what = "cloud:" .. operation
  local own, handed = split(rotate.MANY, given, what)
  rotate.check_many(handed, what)
  local ok, err = has_store(own, operation)
  if not ok then return nil, err end
  local run
  run, err = each(cloud, own, operation, handed)
  if not run then return nil, err end
  dry = dry or handed.dry_run
  forgive_absent(run.rows, dry)
  return finish(run, operation, dry)
end

--- Rotates passwords on several clusters, one cluster after the other. In the report each row names its cluster; a row
--- whose user is "*" speaks of a cluster that failed as a whole, or was not begun. `before` and `after` run once for
--- each cluster, `max_failures` counts anew on each.
---@param cloud crdbcloud.cloud
---@param opts table clusters (names or ids, or "all"), store, store_key_file, plaintext, sql_ca_file, sql (a function of
---  the cluster that gives its SQL connection, as for cloud:cluster; without it logins are proved at the address that
---  the API gives, and CRDBCLOUD_SQL is not used); and those of cluster:rotate_passwords but plan
---@return table|nil report
---@return crdbcloud.error|nil err.report
function M.rotate_passwords(cloud, opts)
  return rotation(cloud, opts, "rotate_passwords")
end

--- What rotate_passwords with the same options would do; reads only.
function M.plan_rotation(cloud, opts)
  return rotation(cloud, opts, "plan_rotation", true)
end

--- Finishes what crashes left, on several clusters.
---@param cloud crdbcloud.cloud
---@param opts table clusters, store, …; and those of cluster:resume
---@return table|nil report
---@return crdbcloud.error|nil
function M.resume(cloud, opts)
  local own, handed = split(resume.OPTIONS, opts, "cloud:resume")
  local ok, err = has_store(own, "resume")
  if not ok then return nil, err end
  local run
  run, err = each(cloud, own, "resume", handed)
  if not run then return nil, err end
  return finish(run, "resume", handed.dry_run)
end

local Status = classes.register("workflows.many_clusters", { __name = "crdbcloud.status" })
Status.__index = Status

function Status:__tostring()
  local parts = {}
  for i, status in ipairs(self.parts) do parts[i] = tostring(status) end
  return printing.harmless_lines(table.concat(parts, "\n\n"))
end

function Status:json()
  return require("crdbcloud.base.json").encode {
    operation = self.operation, clusters = self.clusters, rows = self.rows, open = self.open,
  }
end

--- What the store says of the users of several clusters.
---@param cloud crdbcloud.cloud
---@param opts table clusters, store, store_key_file, plaintext
---@return table|nil report rows as of cluster:rotation_status, each with its cluster
---@return crdbcloud.error|nil
function M.rotation_status(cloud, opts)
  local own, handed = split({}, opts, "cloud:rotation_status")
  local ok, err = has_store(own, "rotation_status")
  if not ok then return nil, err end
  local list
  list, err = named(cloud, own.clusters)
  if not list then return nil, err end
  local run, parts, all = new_run(cloud, own, handed), {}, { operation = "rotation_status", clusters = {}, rows = {}, open = 0 }
  for _, cluster in ipairs(list) do
    local handle, open_err = open(run, cluster)
    if not handle and open_err then return nil, open_err end
    local status, why
    if handle then
      status, why = handle:rotation_status {}
      handle:close()
      if not status then return nil, why end
      status.cluster = handle.info.name or handle.info.id
      parts[#parts + 1] = status
      all.clusters[#all.clusters + 1] = { name = status.cluster, id = handle.info.id, open = status.open }
      all.open = all.open + status.open
      for _, row in ipairs(status.rows) do
        row.cluster = status.cluster
        all.rows[#all.rows + 1] = row
      end
    end
  end
  all.parts = parts
  return setmetatable(all, Status)
end

return M
