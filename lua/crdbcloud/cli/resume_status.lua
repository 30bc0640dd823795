--- `crdbcloud rotate resume|status|rollback|report`: what runs have left.

local confirm = require "crdbcloud.cli.confirm"
local lists = require "crdbcloud.cli.lists"
local session = require "crdbcloud.cli.session"

local M = {}

local ALLOW_ADMIN = "An application user too that has become an admin since; it is refused otherwise."

-- A subcommand that calls one workflow of the cluster, or of several, and prints what it returns.
local function call(method, writes, options_of, check)
  return function(run, args)
    local target, more = run:target()
    if not target then return nil, more end
    if check then
      local ok, refused = check(run, args)
      if not ok then return nil, refused end
    end
    local options = options_of and options_of(args) or {}
    for name, value in pairs(more) do options[name] = value end
    if writes then
      run:guard()
      options.on_progress = run:progress()
    end
    local report, err = target[method](target, options)
    if not report then return nil, err end
    if writes then run:close() end
    run.out:report(report)
    return true
  end
end

local resume = call("resume", true, function(args)
  return { after = lists.words(args.after), allow_admin = args.allow_admin }
end)
local status = call("rotation_status", false)

local rollback = call("rollback_password", true, function(args)
  return { user = args.name, allow_admin = args.allow_admin, reason = args.reason }
end, function(run, args)
  return confirm.yes(run, ("Make the previous password of %s on cluster %s live again?"):format(args.name, run.cluster_name))
end)

local history = call("history", false, function(args)
  local user = type(args.user) == "string" and args.user or nil -- a list where none was given
  return { user = user, run = args.run_id, since = args.since, audit_log = args.audit_log }
end)

local function on(run, several) return function(args) args.run, args.several = run, several end end

--- Adds the subcommands to `rotate`.
function M.register(group)
  local resume_command = group:command "resume":action(on(resume, true))
    :description "Finishes whatever an interrupted or failed run left."
  resume_command:flag "--all-clusters":description "On all clusters of the account."
  resume_command:option "--after":argname "COMMAND":description "Run once after the last publication, as in `rotate run`."
  resume_command:flag "--allow-admin":description(ALLOW_ADMIN)
  group:command "status":action(on(status, true)):description "Shows each record: its state, age and what is left to do."
    :flag "--all-clusters":description "On all clusters of the account."

  local rollback_command = group:command "rollback":action(on(rollback))
    :description "Sends the previous password again, as a new change, where it is still kept."
  rollback_command:argument "name"
  rollback_command:flag "--allow-admin":description(ALLOW_ADMIN)
  rollback_command:option "--reason":argname "TEXT":convert(session.line):description "Kept in the record."
  confirm.options(rollback_command)

  local report_command = group:command "report":action(on(history))
    :description "Per run and user: what was sent, answered, proved, published, by whom and why."
  report_command:option "--user":argname "U":description "Of this user."
  report_command:option "--run":target "run_id":argname "ID":description "Of this run."
  report_command:option "--since":argname "DATE":convert(session.date):description "Since a day, such as 2026-05-01 (UTC)."
  report_command:flag "--audit-log":description "With the service's trace ids, where the key may read its audit log."
end

return M
