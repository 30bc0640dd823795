--- Reference: options that several calls take: { name, type, text, default }.

local M = {
  timeout = { "timeout", "crdbcloud.duration", "limit of one attempt", "the account's" },
  deadline = { "deadline", "crdbcloud.duration", "limit of the whole call", "the account's" },
  store_key_file = { "store_key_file", "string", "file of keys that seal the passwords in the store" },
  plaintext = { "plaintext", "boolean", "let a shared store hold passwords in the clear", "false" },
  sinks = { "sinks", "string|table", "in place of all other sinks of the user; help \"sinks\"" },
  verify = { "verify", '"auto"|"require"|false', "prove each change by a login, where one is possible, always, or never", '"auto"' },
  keep_previous = { "keep_previous", "crdbcloud.duration", "how long the old password is kept for a rollback", '"24h"' },
  cancel_sessions = { "cancel_sessions", "boolean", "end the user's sessions after the change", "false" },
  dry_run = { "dry_run", "boolean", "say what would be done; nothing is sent", "false" },
  reason = { "reason", "string", "kept in the record" },
  on_progress = { "on_progress", "fun(event: table)", "told of each step; an event prints as a line" },
  user = { "user", "string", "required; name of the user" },
  roles = { "roles", "string|string[]", "roles that it becomes a member of" },
  access = { "access", "crdbcloud.access_spec|crdbcloud.access_spec[]", "what it may do; help \"access\"" },
}

M.limits = { M.timeout, M.deadline }

--- Options of a listing that comes in pages.
M.paged = {
  { "page", "string", "token of a page, from next_page" },
  { "limit", "integer", "items on one page, 1 to 500", "500" },
  { "as_of_time", "string|number", "a moment, RFC 3339 text or seconds since 1970" },
  { "sort_order", '"ASC"|"DESC"', "order of the items" },
  M.timeout, M.deadline,
}

--- Options of clusters.
M.clusters = { { "show_inactive", "boolean", "deleted ones too", "false" },
  { "sort_by", '"NAME"|"CREATED_AT"|"DELETED_AT"', "what they are sorted by" } }
for i = #M.paged, 1, -1 do table.insert(M.clusters, 1, M.paged[i]) end

--- What all rotations take.
M.rotation = { M.verify, M.keep_previous, M.cancel_sessions, M.sinks, M.dry_run, M.reason, M.on_progress }

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
