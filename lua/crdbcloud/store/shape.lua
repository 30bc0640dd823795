--- What the fields of a record must be. A record comes from outside as much as an answer does: what does not fit is refused
--- as a whole, which ends the work on this user and on no other. Pure.

local address = require "crdbcloud.base.address"
local ids = require "crdbcloud.api.ids"
local names = require "crdbcloud.names"

local M = {}

local function is_whole(value) return type(value) == "number" and value == math.floor(value) and value >= 0 and value < 2 ^ 53 end
local function is_time(value) return type(value) == "number" and value >= 0 and value < 1e11 end

-- Each rule: true for what fits.
local RULES = {
  text = function(value) return type(value) == "string" end,
  whole = is_whole, time = is_time,
  flag = function(value) return type(value) == "boolean" end,
  user = function(value) return type(value) == "string" and names.check(value) == value end,
  table = function(value) return type(value) == "table" end,
}

local function all(value, fits)
  if type(value) ~= "table" then return false end
  for key, item in pairs(value) do
    if type(key) ~= "number" or not fits(item) then return false end
  end
  return true
end

function RULES.texts(value) return all(value, RULES.text) end
function RULES.tables(value) return all(value, RULES.table) end
function RULES.sinks(value)
  return all(value, function(spec) return type(spec) == "table" and type(spec.kind) == "string" end)
end
function RULES.access(value)
  return all(value, function(item) return type(item) == "table" and (item.database == nil or type(item.database) == "string") end)
end
function RULES.hook(value)
  return type(value) == "table" and RULES.texts(value.command) and #value.command > 0
end

local function fields_of(rules)
  return function(value)
    if type(value) ~= "table" then return false end
    for name, rule in pairs(rules) do
      local optional = rule:sub(1, 1) == "?"
      local fits = RULES[optional and rule:sub(2) or rule]
      if not (value[name] == nil and optional) and not fits(value[name]) then return false, name end
    end
    return true
  end
end

RULES.send = fields_of { n = "whole", op = "text", epoch = "whole", at = "time", deadline = "?time", outcome = "?text", reason = "?text" }
RULES.holder = fields_of { epoch = "?whole", set_at = "?time", created_at = "?time" }
RULES.current = fields_of { epoch = "whole", set_at = "?time", created_at = "?time" }
RULES.previous = fields_of { epoch = "whole", keep_until = "time" }
RULES.asked = fields_of { sinks = "?sinks", cancel_sessions = "?flag", hook = "?hook" }
RULES.pair = fields_of { active = "user", epoch = "whole", switched_at = "?time", switching = "?table" }
function RULES.sends(value) return all(value, RULES.send) end
function RULES.holders(value) return all(value, RULES.holder) end

-- Field -> rule, in the order in which they are looked at; a "?" in front: it may be absent.
local FIELDS = {
  { "user", "user" }, { "epoch", "whole" }, { "state", "text" }, { "cluster_name", "?text" }, { "flags", "?table" },
  { "sends", "?sends" }, { "published", "?table" }, { "bootstrap", "?holder" }, { "current", "?current" },
  { "previous", "?previous" }, { "staged", "?current" }, { "candidates", "?holders" }, { "sinks", "?sinks" },
  { "asked", "?asked" }, { "hook", "?hook" }, { "access", "?access" }, { "roles", "?texts" }, { "pair", "?pair" },
  { "pair_of", "?user" }, { "resend_at", "?time" }, { "created_at", "?time" }, { "updated_at", "?time" },
  { "run_id", "?text" }, { "by", "?text" }, { "reason", "?text" }, { "owner", "?text" }, { "description", "?text" },
  { "labels", "?table" }, { "history", "?tables" },
}

--- What does not fit in the metadata of a record.
---@param meta table as crdbcloud.record joins it
---@return string|nil problem
function M.problem(meta)
  -- A word in the place of an id: records of our own, as the pairing of a cluster.
  local id = type(meta.cluster_id) == "string" and meta.cluster_id or ""
  if ids.look(id) ~= "id" and not id:find "^%l+$" then return "its cluster_id is none" end
  for _, field in ipairs(FIELDS) do
    local name, rule = field[1], field[2]
    local value, optional = meta[name], rule:sub(1, 1) == "?"
    if not (value == nil and optional) then
      local fits, inner = RULES[optional and rule:sub(2) or rule](value)
      if not fits then return ("its field %s is not what it should be"):format(inner and name .. "." .. inner or name) end
    end
  end
  return nil
end

--- Takes away an address that is none: it is looked up again when a run needs it.
---@param meta table
---@return string|nil problem what was wrong with it
function M.mend_address(meta)
  if meta.address == nil then return nil end
  local problem = type(meta.address) ~= "table" and "it is none" or address.problem(meta.address)
  if problem then meta.address = nil end
  return problem
end

return M
