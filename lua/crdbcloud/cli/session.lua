--- What one run of the command holds: its arguments, output, and the API account,
-- cluster and progress, each made when first asked for.

local core = require "crdbcloud.core"
local durations = require "crdbcloud.base.durations"
local errors = require "crdbcloud.errors"
local options = require "crdbcloud.base.options"
local output = require "crdbcloud.cli.output"
local printing = require "crdbcloud.base.printing"

local M = {}

local Session = {}
Session.__index = Session

---@param args table parsed arguments
---@param parser table
function M.new(args, parser)
  return setmetatable({ args = args, parser = parser, out = output.new(args.output) }, Session)
end

--- The error of arguments that cannot be meant; exit code 2.
---@return nil
---@return crdbcloud.error
function M.usage(message, hint)
  return nil, errors.new { kind = "invalid_argument", message = message, hint = hint, outcome = "not_sent", exit = 2 }
end

--- For argparse: a time limit as seconds.
function M.limit(text)
  local seconds, expected = durations.read(text)
  if not seconds then return nil, "--timeout " .. expected end
  return seconds
end

--- For argparse: checks a duration and passes it on as written.
function M.duration(text)
  local seconds, expected = durations.read(text)
  if not seconds then return nil, ("'%s' %s"):format(text, expected) end
  return text
end

-- Passes on as written what the library would take.
local function checked(rule)
  return function(text)
    local ok, problem = pcall(options.value, rule, text, "it", 0)
    if not ok then return nil, ("'%s': %s"):format(printing.harmless(text), (errors.bare(problem):gsub(", got .*$", ""))) end
    return text
  end
end

--- For argparse: what is kept in a record.
M.line = checked "line"

--- For argparse: hours of the day.
M.window = checked(function(value, name) return require("crdbcloud.run.batch").window(value, name) end)

--- For argparse: a day, or a time of it, in UTC.
function M.date(text)
  local ok, seconds = pcall(require "crdbcloud.run.rules".time, text, "date", 0)
  if not ok then return nil, ("'%s' is no date such as 2026-05-01"):format(text) end
  return seconds
end

--- For argparse: the URL of an API server.
function M.server(text)
  local ok, client, problem = pcall(core.client, { base_url = text, api_key = "CCDB1_none_none" })
  if not ok or not client then return nil, "--server: " .. errors.bare(ok and problem or client):gsub("^base_url: ", "") end
  client:close()
  return text
end

--- For argparse: a count from 1.
function M.count(text)
  local n = text:match "^%d+$" and tonumber(text)
  if not n or n < 1 or n > 2 ^ 31 then return nil, ("'%s' is no whole number from 1"):format(text) end
  return n
end

--- For argparse: a number of threads.
function M.threads(text)
  local n = text:match "^%d+$" and tonumber(text)
  if not n or n < 1 or n > 64 then return nil, ("'%s' is no whole number from 1 to 64"):format(text) end
  return n
end

--- The API account.
---@return table|nil
---@return crdbcloud.error|nil
function Session:cloud()
  if not self.opened_cloud then
    local args = self.args
    local cloud, err = require "crdbcloud".new {
      base_url = args.server, api_key_file = args.api_key_file, ca_file = args.ca_file, timeout = args.timeout,
    }
    if not cloud then return nil, err end
    self.opened_cloud = cloud
  end
  return self.opened_cloud
end

--- The cluster of --cluster or CRDBCLOUD_CLUSTER.
---@return table|nil
---@return crdbcloud.error|nil
function Session:cluster()
  if not self.opened_cluster then
    local args = self.args
    local name = args.cluster_name or os.getenv "CRDBCLOUD_CLUSTER"
    if not name or name == "" then return M.usage("no cluster was named", "give --cluster NAME or set CRDBCLOUD_CLUSTER") end
    local cloud, err = self:cloud()
    if not cloud then return nil, err end
    self.opened_cluster, err = cloud:cluster(name, {
      store = args.store, store_key_file = args.store_key_file, plaintext = args.store_plaintext, sql = args.sql,
      sql_ca_file = args.ca_file,
    })
    if not self.opened_cluster then return nil, err end
    self.cluster_name = name
  end
  return self.opened_cluster
end

--- What a command works on that takes several clusters: the one cluster, or the account and the options that name them.
---@return table|nil cluster or cloud
---@return table|crdbcloud.error options for its workflows
---@return string|nil several how the clusters are called together; nil for one
function Session:target()
  local args = self.args
  local names = args.cluster_names
  if not args.all_clusters and #names < 2 then
    local cluster, err = self:cluster()
    return cluster, cluster and {} or err
  end
  if args.all_clusters and #names > 0 then return M.usage "--cluster and --all-clusters exclude each other" end
  if args.sql then return M.usage("--sql is the connection of one cluster", "leave it out: logins are proved where the API says") end
  local cloud, err = self:cloud()
  if not cloud then return nil, err end
  return cloud, {
    clusters = args.all_clusters and "all" or names, store = args.store, store_key_file = args.store_key_file,
    plaintext = args.store_plaintext, sql_ca_file = args.ca_file,
  }, args.all_clusters and "all" or table.concat(names, ",")
end

--- The URL of the store of --store or CRDBCLOUD_STORE, and the options to open it with.
---@param operation string for the error when there is none
---@return string|nil url
---@return table|crdbcloud.error
function Session:store_spec(operation)
  local args = self.args
  local url = args.store or os.getenv "CRDBCLOUD_STORE"
  if not url or url == "" then return nil, require "crdbcloud.store".not_named(operation) end
  return url, { store_key_file = args.store_key_file, plaintext = args.store_plaintext, ca_file = args.ca_file }
end

--- Says something to the person at the terminal.
function Session:say(text)
  if not self.args.quiet then printing.say(io.stderr, text .. "\n") end
end

local LAST_WORDS = [[

crdbcloud: stopped at once; `crdbcloud rotate status` shows what is open, `crdbcloud rotate resume` finishes it
]]

--- For commands that change something: the first signal only counts from here on, so
--- that the users in hand are finished before we leave; the second ends us at once.
function Session:guard()
  local store = self.args.store or os.getenv "CRDBCLOUD_STORE"
  if store and store:match "^memory:" and not self.args.dry_run then
    error(select(2, M.usage("a store in memory ends with the command, and every password in it", "give file:DIR or the URL of a database")), 0)
  end
  core.interrupts(true, LAST_WORDS)
  self.guarded = true
end

--- The signal that asked us to stop, or nil.
function Session:interrupted()
  return self.guarded and (core.interrupted()) or nil
end

--- The function for on_progress.
function Session:progress()
  self.shown = self.shown or require "crdbcloud.cli.progress".new(self)
  return self.shown.event
end

--- Gives back what was opened; the result is printed after it.
function Session:close()
  if self.shown then self.shown:finish() end
  if self.opened_cluster and self.opened_cluster.close then self.opened_cluster:close() end
  if self.opened_cloud and self.opened_cloud.close then self.opened_cloud:close() end
end

return M
