-- What the page, the lists and the metrics show: the users of the cluster, those of the store and the schedule, put
-- together. `of` is pure; `read` asks.

local M = {}

-- Words for people, and how serious it is: good, wait, bad, none.
local STATES = {
  ok = { "Up to date", "good" }, due = { "Due", "wait" }, rotating = { "Rotating", "busy" },
  open = { "Half done", "bad" }, unanswered = { "Unanswered", "bad" }, unreadable = { "Record unreadable", "bad" },
  creating = { "Being created", "busy" }, unmanaged = { "Not managed", "none" }, partner = { "Partner of a pair", "none" },
}

local CREATING = { planned = true, posting = true, posted = true, demoted = true, granted = true }

-- What the run that is on its way has begun is no fault of anybody.
local function state_of(row, schedule, max_age)
  local progress = schedule and schedule.progress
  if row.state == "refused" then return "unreadable" end
  if row.partner_of then return "partner" end
  if progress and (progress.user == row.user or row.open and row.run_id == progress.run_id) then return "rotating" end
  if row.open then
    if CREATING[row.state] then return "creating" end
    return row.unanswered and "unanswered" or "open"
  end
  if row.age and row.age >= max_age then return "due" end
  return "ok"
end

--- Puts it together.
---@param got { cluster: string, status: table|nil, listed: table[]|nil, schedule: table|nil, store_error: any, api_error: any }
---@param max_age number seconds
---@param now number
---@return table view { cluster, now, users = { { name, owner, managed, age, set_at, epoch, state, label, tone, note } }, managed,
---  unmanaged, due, open, stuck, unanswered, unreadable, oldest, schedule, store_error, api_error }; open: changes that are
---  not finished; stuck: those of them that nobody works on
function M.of(got, max_age, now)
  local view = {
    cluster = got.cluster, now = now, users = {}, managed = 0, unmanaged = 0, due = 0, open = 0, stuck = 0, unanswered = 0, unreadable = 0,
    schedule = got.schedule, store_error = got.store_error, api_error = got.api_error, max_age = max_age,
  }
  local known = {}
  local function add(user)
    user.label, user.tone = STATES[user.state][1], STATES[user.state][2]
    known[user.name] = true
    view.users[#view.users + 1] = user
  end
  for _, row in ipairs(got.status and got.status.rows or {}) do
    local state = state_of(row, got.schedule, max_age)
    add {
      name = row.user, owner = row.owner, managed = true, age = row.age, set_at = row.set_at, epoch = row.epoch, state = state, note = row.note,
    }
    view.managed = view.managed + 1
    if row.open then view.open = view.open + 1 end
    if state == "open" or state == "unanswered" then view.stuck = view.stuck + 1 end
    if row.unanswered then view.unanswered = view.unanswered + 1 end
    if state == "unreadable" then view.unreadable = view.unreadable + 1 end
    if state == "due" then view.due = view.due + 1 end
    if row.age and row.age > (view.oldest or -1) then view.oldest = row.age end
  end
  for _, user in ipairs(got.listed or {}) do
    if not known[user.name] then
      add { name = user.name, managed = false, state = "unmanaged" }
      view.unmanaged = view.unmanaged + 1
    end
  end
  -- Those that need a look come first, those that we do not manage last.
  local ORDER = { bad = 1, wait = 2, busy = 3, good = 3, none = 4 }
  table.sort(view.users, function(a, b)
    local x, y = ORDER[a.tone], ORDER[b.tone]
    if x ~= y then return x < y end
    return a.name < b.name
  end)
  return view
end

--- Asks the API (its answer is good for some seconds), the schedule, and last the store, which changes fastest.
---@param service table
---@return table view
function M.read(service)
  local listed, api_error = service.listed()
  local name = service.shown_name()
  local schedule = service.crdbcloud.schedule_status(service.dict, service.cluster_name)
  local status, store_error = service.cluster:rotation_status()
  return M.of({
    cluster = name, status = status, store_error = store_error, listed = listed, api_error = api_error, schedule = schedule,
  }, service.max_age, ngx.now())
end

return M
