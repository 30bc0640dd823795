--- From the result of an exchange to an error that says what happened and what to do. Pure.

local errors = require "crdbcloud.errors"
local ids = require "crdbcloud.api.ids"

local M = {}

-- reason -> function(call, result, context) -> message, hint
local TEXT = {}

function TEXT.unauthenticated(call)
  return "the service does not accept the API key",
    ("check the key (%s); keys belong to a service account and are made in the Console under Access Management")
      :format(call.key_from or "api_key")
end

function TEXT.permission_denied(call)
  local where = call.operation == "list_audit_logs" and "the organization"
    or call.cluster_id and "cluster " .. call.cluster_id or "the cluster"
  if not call.role then return "the API key may not do this", "its service account lacks the role that this endpoint needs" end
  return ("the API key may not do this; it needs the role %s on %s"):format(call.role, where),
    "give the role to the key's service account in the Console under Access Management"
end

local SQL_ID_HINT = "the id that SQL shows (crdb_internal.cluster_id()) is another one; "
  .. "cloud:clusters() lists the clusters that this key may see with their Cloud ids"

function TEXT.cluster_not_found(call)
  return ("no cluster %s is visible to this key"):format(tostring(call.cluster_id)), SQL_ID_HINT
end

function TEXT.user_not_found(call)
  return ("the SQL user %s does not exist on cluster %s"):format(errors.shown(call.name), call.cluster_id),
    "cloud:sql_users(cluster_id) lists the users"
end

function TEXT.cluster_not_ready(call, _, context)
  return ("cluster %s exists (state %s), but does not answer this"):format(call.cluster_id, context.state),
    "a cluster that is still being created answers so; try again later"
end

function TEXT.not_found(call)
  if call.name then
    return ("the SQL user %s or the cluster %s does not exist"):format(errors.shown(call.name), call.cluster_id),
      SQL_ID_HINT
  end
  if call.cluster_id then return TEXT.cluster_not_found(call) end
  return "not found", nil
end

function TEXT.already_exists(call)
  return ("the SQL user %s already exists"):format(errors.shown(call.name)),
    "it may belong to somebody else; change its password only if it is yours"
end

function TEXT.must_differ()
  return "the service wants a password that differs from the current one", nil
end

function TEXT.password_refused()
  return "the service refuses the password", "use crdbcloud.password.generate()"
end

function TEXT.locked()
  return "the cluster is locked by another operation", "try again later"
end

function TEXT.not_ready()
  return "the cluster is not ready for this (paused, starting or upgrading)", "try again when it is running"
end

function TEXT.rate_limited(_, result)
  local hint = result.retry_after and ("wait %.0f s before the next call"):format(result.retry_after)
    or "lower the rate, or wait; the limit counts all users of this service account"
  return "the service's rate limit was reached", hint
end

function TEXT.budget(_, result)
  return "this process's own budget of requests has no turn left before the deadline",
    ("raise the deadline or the rate; the next turn is in %.1f s"):format(result.retry_after)
end

function TEXT.interrupted(_, result)
  return ("interrupted while the service's rate limit left no turn for %.0f s more"):format(result.retry_after), nil
end

function TEXT.deadline(_, _, context)
  return ("the deadline of %s left no time to send it"):format(context.deadline), "raise the option deadline"
end

function TEXT.redirect(call)
  return "the service answers with a redirect, which is never followed",
    ("check the server: %s"):format(call.server or "base_url")
end

function TEXT.wrong_name(call)
  return ("the answer names another user than %s"):format(errors.shown(call.name)),
    "do not repeat it blindly; something between here and the service mixes up answers"
end

function TEXT.tls()
  return "no trusted TLS connection", "if the server has its own authority, give ca_file or CRDBCLOUD_CA_FILE"
end

function TEXT.resolve(call)
  return "the server's name cannot be resolved", ("check the server: %s"):format(call.server or "base_url")
end

function TEXT.connect(call)
  return "no connection to the server", ("check the server and the network: %s"):format(call.server or "base_url")
end

function TEXT.proxy()
  return "the proxy does not connect us", "check the option proxy"
end

function TEXT.html()
  return "a gateway answered instead of the API", "try again later"
end

function TEXT.bad_content_type(call)
  return "the answer is no JSON", ("check that this is the API: %s"):format(call.server or "base_url")
end

function TEXT.too_large()
  return "the answer is larger than the limit", nil
end

function TEXT.broken_body()
  return "the answer is broken JSON", nil
end

local BY_KIND = {
  timeout = "no answer in time", network = "the connection broke", unavailable = "the service is not available",
  server = "the service failed", invalid_argument = "the service refuses the request",
  conflict = "the service refuses it because of the present state",
}

-- Bodies of 5xx and the like may add what happened; a text that only repeats ours does not.
local function with_server_text(message, result)
  local text = result.message
  if not text or text == "" or message:find(text, 1, true) then return message end
  return ("%s: %s"):format(message, text)
end

local function hint_after_unknown(call)
  if call.effect == "create" and call.name then
    return ("it may have been carried out: list the users to see whether %s exists; do not send it again blindly")
      :format(errors.shown(call.name))
  elseif call.effect == "create" then
    return "it may have been carried out: look before sending it again"
  elseif call.effect == "put" and call.operation == "update_sql_user_password" then
    return "it may have been carried out: sending the same password again settles it, another one does not"
  elseif call.effect ~= "read" then
    return "it may have been carried out: sending the same again settles it"
  end
end

---@class crdbcloud.explain.context
---@field attempts integer
---@field unknown_before boolean an earlier send of this call stayed unanswered
---@field missing "cluster"|"user"|"cluster_state"|nil what a 404 is about, when it was looked up
---@field state string|nil of the cluster, for missing = "cluster_state"
---@field timeout string|nil the limit of the last exchange, for people
---@field deadline string|nil the limit of the whole call, for people

local MISSING = { cluster = "cluster_not_found", user = "user_not_found", cluster_state = "cluster_not_ready" }

--- The error for an exchange that did not end in "applied".
---@param call crdbcloud.call with server and key_from, which say where it was sent and under which key
---@param result table of the last exchange
---@param context crdbcloud.explain.context
---@return crdbcloud.error
function M.error(call, result, context)
  local kind = result.kind
  local reason = MISSING[context.missing] or result.reason
  local by_reason = TEXT[reason] or TEXT[kind]
  local message, hint
  if by_reason then
    message, hint = by_reason(call, result, context)
  else
    message = BY_KIND[kind] or "the call failed"
  end
  if kind == "timeout" and result.status == 0 and result.reason ~= "deadline" and context.timeout then
    message = ("no answer within %s"):format(context.timeout)
  end
  message = with_server_text(message, result)
  if kind == "not_found" and call.cluster_id and ids.look(call.cluster_id) ~= "id" then hint = SQL_ID_HINT end

  -- An unanswered send stays unanswered whatever came after it: it may have been
  -- carried out, or still will be.
  local outcome = result.outcome
  if context.unknown_before then outcome = "unknown" end
  if outcome == "unknown" then hint = hint_after_unknown(call) or hint end
  -- Nothing is left in doubt by a read.
  if call.effect == "read" and outcome == "unknown" then outcome = nil end

  local retryable
  if outcome == "unknown" then retryable = call.effect ~= "create" end
  if result.reason == "locked" or result.reason == "not_ready" then retryable = true end
  return errors.new {
    kind = kind, operation = call.operation, message = message, hint = hint, outcome = outcome,
    status = result.status ~= 0 and result.status or nil, code = result.code, retry_after = result.retry_after,
    attempts = context.attempts, reason = reason, retryable = retryable,
  }
end

return M
