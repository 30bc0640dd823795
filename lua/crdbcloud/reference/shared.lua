--- Reference: options that several calls take: { name, type, text, default }.

local M = {
  timeout = { "timeout", "crdbcloud.duration", "time limit of one attempt", "the account's" },
  deadline = { "deadline", "crdbcloud.duration", "time limit of the call with its retries", "the account's" },
  store_key_file = { "store_key_file", "string", "file of keys that seal the passwords in the store" },
  plaintext = { "plaintext", "boolean", "allow a shared store to hold passwords that are not sealed", "false" },
  sinks = { "sinks", "string|table", "where to publish, in place of all other sinks of the user; help \"sinks\"" },
  verify = { "verify", '"auto"|"require"|false', "log in after each change: where a login is possible, always, or never", '"auto"' },
  keep_previous = { "keep_previous", "crdbcloud.duration", "how long the store keeps the old password for a rollback", '"24h"' },
  cancel_sessions = { "cancel_sessions", "boolean", "end the sessions that began before the new password was live", "false" },
  allow_admin = { "allow_admin", "boolean", "rotate an application user too that has become an admin; it is refused otherwise", "false" },
  dry_run = { "dry_run", "boolean", "report what the call would do; send nothing", "false" },
  reason = { "reason", "string", "why; the record keeps it" },
  on_progress = { "on_progress", "fun(event: table)", "called at each step; an event prints as a line" },
  user = { "user", "string", "required; name of the user" },
  roles = { "roles", "string|string[]", "roles that the user becomes a member of" },
  access = { "access", "crdbcloud.access_spec|crdbcloud.access_spec[]", "what the user may do; help \"access\"" },
}

M.limits = { M.timeout, M.deadline }

--- Options of a listing that comes in pages.
M.paged = {
  { "page", "string", "token of the page, from next_page of the one before" },
  { "limit", "integer", "items on one page, 1 to 500", "500" },
  { "as_of_time", "string|number", "list the state of this moment: RFC 3339 text, or seconds since 1970" },
  { "sort_order", '"ASC"|"DESC"', "order of the items" },
  M.timeout, M.deadline,
}

--- Options of clusters.
M.clusters = { { "show_inactive", "boolean", "list deleted clusters too", "false" },
  { "sort_by", '"NAME"|"CREATED_AT"|"DELETED_AT"', "field that sorts the clusters" } }
for i = #M.paged, 1, -1 do table.insert(M.clusters, 1, M.paged[i]) end

--- Options that many calls take, in reading order.
M.common = {
  M.timeout, M.deadline, M.paged[1], M.paged[2], M.paged[3], M.paged[4], M.verify, M.keep_previous, M.cancel_sessions, M.allow_admin, M.sinks,
  M.dry_run, M.reason, M.on_progress, M.store_key_file, M.plaintext,
}
for _, option in ipairs(M.common) do option.common = true end

--- What all rotations take.
M.rotation = { M.verify, M.keep_previous, M.cancel_sessions, M.allow_admin, M.sinks, M.dry_run, M.reason, M.on_progress }

--- One list made of several.
---@param ... table[]
---@return table[]
function M.join(...)
  local out = {}
  for _, list in ipairs { ... } do
    for _, item in ipairs(list) do out[#out + 1] = item end
  end
  return out
end

--- A list without the entries of these names.
---@param list table[]
---@param ... string
---@return table[]
function M.without(list, ...)
  local left_out, out = {}, {}
  for _, name in ipairs { ... } do left_out[name] = true end
  for _, item in ipairs(list) do
    if not left_out[item[1]] then out[#out + 1] = item end
  end
  return out
end

return M
