--- Finds the cluster that somebody means by a name, an id, or something that looks like one.

local errors = require "crdbcloud.errors"
local exchange = require "crdbcloud.api.exchange"
local ids = require "crdbcloud.api.ids"
local lists = require "crdbcloud.api.lists"
local operations = require "crdbcloud.api.operations"
local options = require "crdbcloud.base.options"
local printed = require "crdbcloud.api.printed"
local printing = require "crdbcloud.base.printing"

local M = {}

-- States in which a name no longer, or never did, mean a cluster.
local GONE = { DELETED = true, CREATION_FAILED = true }

local function routing_id(cluster)
  local config = type(cluster.config) == "table" and cluster.config or {}
  local serverless = type(config.serverless) == "table" and config.serverless or {}
  return serverless.routing_id
end

local function refused(kind, message, hint, reason)
  return nil, errors.new {
    kind = kind, operation = "find_cluster", message = message, hint = hint, reason = reason,
  }
end

local function listed(clusters)
  local lines = {}
  for i, c in ipairs(clusters) do lines[i] = ("%s (folder %s)"):format(c.id, tostring(c.parent_id or "root")) end
  return table.concat(lines, ", ")
end

--- Picks the cluster with the name from all that the key may see. Pure.
---@param text string
---@param clusters table[]
---@return table|nil cluster
---@return crdbcloud.error|nil
function M.pick(text, clusters)
  local live, matches, all_names = {}, {}, {}
  for _, c in ipairs(clusters) do
    if not GONE[c.state] then
      live[#live + 1] = c
      if type(c.name) == "string" then all_names[#all_names + 1] = c.name end
      if c.name == text then matches[#matches + 1] = c end
    end
  end
  if #matches == 1 then return matches[1] end
  if #matches > 1 then
    return refused("conflict", ("%d clusters are named %s: %s"):format(#matches, errors.shown(text), listed(matches)),
      "use the id", "ambiguous")
  end
  for _, c in ipairs(live) do
    if routing_id(c) == text then
      return refused("invalid_argument", ("%s is the routing id of cluster %s"):format(errors.shown(text),
        errors.shown(c.name)), ('use its name "%s" or its id %s'):format(c.name, c.id), "routing_id")
    end
  end
  if ids.look(text) == "routing_id" then
    return refused("not_found", ("no cluster is named %s, which looks like a routing id"):format(errors.shown(text)),
      "use the cluster's name or id; cloud:clusters() lists them", "routing_id")
  end
  local near = options.nearest(text, all_names)
  return refused("not_found", ("no cluster that this key may see is named %s"):format(errors.shown(text)),
    near and ('did you mean "%s"?'):format(near) or "cloud:clusters() lists the clusters that this key may see",
    "cluster_not_found")
end

--- What the API says of a cluster, checked: it has an id, and a name that is a text or none.
---@param info table
---@return table|nil
---@return crdbcloud.error|nil err kind "protocol"
function M.checked(info)
  if type(info.id) ~= "string" or ids.look(info.id) ~= "id" then
    return refused("protocol", ("the service describes a cluster whose id is none: %s"):format(errors.shown(info.id)), nil, "cluster_id")
  end
  -- It is called by its id then.
  if type(info.name) ~= "string" or info.name == "" or printing.harmless(info.name) ~= info.name then info.name = nil end
  return printed.cluster(info)
end

--- The cluster, as the API describes it.
---@param account crdbcloud.account
---@param text string
---@return table|nil
---@return crdbcloud.error|nil
function M.cluster(account, text)
  local look = ids.look(text)
  if look == "id" then
    local cluster, err = exchange.run(account, operations.make("get_cluster", { cluster_id = text }, {}))
    if not cluster then return nil, err end
    if cluster.id ~= text then
      return refused("protocol", ("the service describes another cluster than was asked for: %s"):format(errors.shown(cluster.id)), nil, "cluster_id")
    end
    return M.checked(cluster)
  elseif look == "upper_case_id" or look == "url" then
    local _, err = ids.check(text, "find_cluster")
    return nil, err
  end
  local clusters, err = lists.all(account, "list_clusters", {}, {}, false)
  if not clusters then return nil, err end
  local cluster, pick_err = M.pick(text, clusters)
  if not cluster then return nil, pick_err end
  return M.checked(cluster)
end

return M
