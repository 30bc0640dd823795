-- What is known of users and of the schedule, as Prometheus reads it. Pure.

local M = {}

local function label(value)
  return (tostring(value):gsub('[\\"\n]', { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }))
end

local function number(value)
  return value == math.floor(value) and ("%d"):format(value) or ("%.3f"):format(value)
end

--- The text of an answer to GET /metrics.
---@param view table as of service.view
---@return string
function M.text(view)
  local lines = {}
  local function metric(name, kind, help)
    lines[#lines + 1] = ("# HELP crdbcloud_%s %s"):format(name, help)
    lines[#lines + 1] = ("# TYPE crdbcloud_%s %s"):format(name, kind)
    return function(value, labels)
      if value == nil then return end
      local parts = { ('cluster="%s"'):format(label(view.cluster)) }
      for _, pair in ipairs(labels or {}) do parts[#parts + 1] = ('%s="%s"'):format(pair[1], label(pair[2])) end
      lines[#lines + 1] = ("crdbcloud_%s{%s} %s"):format(name, table.concat(parts, ","), number(value))
    end
  end

  local age = metric("password_age_seconds", "gauge", "Age of the password that a user logs in with.")
  for _, user in ipairs(view.users) do age(user.age, { { "user", user.name } }) end
  local users = metric("users", "gauge", "Users by whether their password is in the store.")
  users(view.managed, { { "managed", "true" } })
  users(view.unmanaged, { { "managed", "false" } })
  metric("users_due", "gauge", "Managed users whose password is older than the limit.")(view.due)
  metric("changes_open", "gauge", "Users with a change that is not finished.")(view.open)
  metric("changes_unanswered", "gauge", "Users with a change that was sent and not answered: old or new password is live.")(view.unanswered)
  metric("records_unreadable", "gauge", "Records of the store that are torn, foreign or newer.")(view.unreadable)

  local schedule = view.schedule
  if schedule then
    local last = schedule.last
    metric("rotation_running", "gauge", "1 while a rotation runs on this host.")(schedule.running and 1 or 0)
    metric("rotation_failures", "gauge", "Scheduled rotations that failed in a row.")(schedule.failures)
    metric("rotation_last_end_timestamp_seconds", "gauge", "When the last rotation ended.")(last and last.ended)
    metric("rotation_last_success_timestamp_seconds", "gauge", "When the last rotation ended that went well.")(schedule.last_success)
    metric("rotation_next_timestamp_seconds", "gauge", "When the next rotation is due.")(schedule.next_due)
    local results = metric("rotation_last_users", "gauge", "What became of the users in the last rotation.")
    local sums, names = {}, {}
    for _, run in ipairs(last and last.runs or {}) do
      for result, count in pairs(run.counts or {}) do
        if not sums[result] then names[#names + 1] = result end
        sums[result] = (sums[result] or 0) + count
      end
    end
    table.sort(names)
    for _, result in ipairs(names) do results(sums[result], { { "result", result } }) end
  end
  local up = metric("source_up", "gauge", "1 when the source answered: the store, or the Cloud API.")
  up(view.store_error and 0 or 1, { { "source", "store" } })
  up(view.api_error and 0 or 1, { { "source", "api" } })
  return table.concat(lines, "\n") .. "\n"
end

return M
