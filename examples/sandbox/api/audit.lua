-- The audit log: one entry for each change that was tried, oldest first. Never a password.

local answer = require "api.answer"
local json = require "api.json"
local pages = require "api.pages"

local M = {}

local DEFAULT_LIMIT = 200

local entries = {}

-- Times are whole milliseconds here, so that they can be compared exactly.
local function now() return math.floor(ngx.now() * 1000 + 0.5) end

local function time_text(at) return os.date("!%Y-%m-%dT%H:%M:%S", math.floor(at / 1000)) .. (".%03dZ"):format(at % 1000) end

function M.add(action, request, cluster, name, result)
  local at = now()
  -- The time is the position in the log, so no two entries share one.
  local last = entries[#entries]
  if last and at <= last.at then at = last.at + 1 end
  entries[#entries + 1] = {
    at = at,
    entry = {
      id = ("%08x-0000-4000-8000-%012x"):format(#entries + 1, request.number),
      action = "AUDIT_LOG_ACTION_" .. action,
      source = "AUDIT_LOG_SOURCE_CC_API",
      created_at = time_text(at),
      cluster_id = cluster.id,
      cluster_name = cluster.name,
      service_account_name = "sandbox-" .. request.account.name,
      trace_id = ("%032x"):format(request.number),
      payload = json.encode { cluster_id = cluster.id, sql_user_name = name },
      error = result.status ~= 200 and result.body.message or nil,
    },
  }
end

function M.list(request)
  local query = request.query
  local order = query.sort_order or "ASC"
  if order ~= "ASC" and order ~= "DESC" then return answer.invalid("sort_order must be ASC or DESC") end
  local limit = DEFAULT_LIMIT
  if query.limit then
    limit = tonumber(query.limit:match("^%-?%d+$"))
    if not limit or limit < 1 then return answer.invalid("limit must be 1 or more") end
  end
  local from = query.starting_from
  if from and from ~= "" then
    from = pages.parse_time(from)
    if not from then return answer.invalid("starting_from is not an RFC 3339 time") end
    from = math.floor(from * 1000 + 0.5)
  else
    from = nil
  end
  local ascending = order == "ASC"
  local first, last, step = 1, #entries, 1
  if not ascending then first, last, step = #entries, 1, -1 end
  local found = json.array()
  local next_from, more
  for i = first, last, step do
    local one = entries[i]
    local behind = from == nil or (ascending and one.at > from) or (not ascending and one.at < from)
    if behind then
      if #found == limit then
        more = true
        break
      end
      found[#found + 1] = one.entry
      next_from = one.entry.created_at
    end
  end
  -- In ascending order there is always a place to go on from; in descending order the end has none.
  if ascending then
    next_from = next_from or query.starting_from or time_text(now())
  elseif not more then
    next_from = nil
  end
  return answer.ok { entries = found, next_starting_from = next_from }
end

function M.reset() entries = {} end

return M
