--- `crdbcloud rotate plan|run|resume|status`.

local confirm = require "crdbcloud.cli.confirm"
local lists = require "crdbcloud.cli.lists"
local session = require "crdbcloud.cli.session"

local M = {}

-- Whose passwords: one of --user, --managed and --all.
local function users_of(args, default)
  local given = {}
  if #args.user > 0 then given[#given + 1] = lists.split(args.user) end
  if given[1] and #given[1] == 0 then return session.usage "--user holds no name" end
  if args.managed then given[#given + 1] = "managed" end
  if args.all then given[#given + 1] = "all" end
  if #given > 1 then return session.usage "--user, --managed and --all exclude each other" end
  if #given == 0 and not default then
    return session.usage("no users were named", "--user U for some, --managed for those with a record, --all for all but protected ones")
  end
  return given[1] or default
end

local function max_age_of(args)
  if args.due and args.max_age then return session.usage "--due and --max-age exclude each other" end
  return args.due and "policy" or args.max_age
end

-- The options that plan and run share.
local function selection(args, default)
  local users, err = users_of(args, default)
  if not users then return nil, err end
  local max_age
  max_age, err = max_age_of(args)
  if err then return nil, err end
  return {
    users = users,
    exclude = lists.split(args.exclude),
    max_age = max_age,
    sinks = #args.sink > 0 and args.sink or nil,
  }
end

-- The command that does what a plan shows.
local function command_of(args, users)
  local words = { "crdbcloud" }
  if args.cluster_name then words[#words + 1] = "--cluster " .. args.cluster_name end
  words[#words + 1] = "rotate run"
  if type(users) == "table" then
    for _, user in ipairs(users) do words[#words + 1] = "--user " .. user end
  else
    words[#words + 1] = "--" .. users
  end
  for _, user in ipairs(lists.split(args.exclude) or {}) do words[#words + 1] = "--exclude " .. user end
  if args.due then words[#words + 1] = "--due" end
  if args.max_age then words[#words + 1] = "--max-age " .. args.max_age end
  return table.concat(words, " ")
end

local function plan(run, args)
  local options, err = selection(args, "managed")
  if not options then return nil, err end
  local cluster
  cluster, err = run:cluster()
  if not cluster then return nil, err end
  local users = options.users
  local result
  result, err = cluster:plan_rotation(options)
  if not result then return nil, err end
  run.out:report(result)
  run:say("To do it: " .. command_of(args, users))
  return true
end

-- Asks as design demands: y for one named user, the cluster's name for several.
local function confirmed(run, args, cluster, options)
  local users = options.users
  if args.yes then return true end
  if type(users) == "table" and #users == 1 and not args.confirm then
    return confirm.yes(run, ("Change the password of %s on cluster %s?"):format(users[1], run.cluster_name))
  end
  local found, err = cluster:resolve()
  if not found then return nil, err end
  local name = args.confirm == found.id and found.id or found.name or found.id
  local what = type(users) == "table" and ("%d users"):format(#users) or users == "all" and "all users"
    or "all users that have a record"
  return confirm.cluster(run, ("Rotate the passwords of %s."):format(what), name)
end

local function rotate(run, args)
  local options, err = selection(args)
  if not options then return nil, err end
  local cluster
  cluster, err = run:cluster()
  if not cluster then return nil, err end
  if not args.dry_run then
    local ok
    ok, err = confirmed(run, args, cluster, options)
    if not ok then return nil, err end
  end
  run:guard()
  options.verify = args.verify
  if args.verify == "off" then options.verify = false end
  options.keep_previous, options.max_failures = args.keep_previous, args.max_failures
  options.dry_run, options.reason = args.dry_run, args.reason
  options.cancel_sessions, options.skip_admins = args.cancel_sessions, args.skip_admins
  options.on_progress = run:progress()
  local report
  report, err = cluster:rotate_passwords(options)
  if not report then return nil, err end
  run:close()
  run.out:report(report)
  return true
end

local function resume(run)
  local cluster, err = run:cluster()
  if not cluster then return nil, err end
  run:guard()
  local report
  report, err = cluster:resume { on_progress = run:progress() }
  if not report then return nil, err end
  run:close()
  run.out:report(report)
  return true
end

local function status(run)
  local cluster, err = run:cluster()
  if not cluster then return nil, err end
  local report
  report, err = cluster:rotation_status()
  if not report then return nil, err end
  run.out:report(report)
  return true
end

local function on(run) return function(args) args.run = run end end

local function selection_options(command)
  command:option "--user":argname "U":count "*":description "This user; may be repeated."
  command:flag "--managed":description "All users that have a record in the store."
  command:flag "--all":description "All but protected and sso_ users."
  command:option "--exclude":argname "U":count "*":description "But not this user."
  command:flag "--due":description "Only passwords older than 90 days."
  command:option "--max-age":argname "AGE":convert(session.duration):description "Only passwords older than this, such as 90d."
  command:option "--sink":argname "KIND:PATH":count "*":convert(lists.sink)
    :description "Publish here instead of the recorded sinks."
  return command
end

function M.register(parser)
  local group = parser:command "rotate":summary "Rotate passwords."
    :description "Rotates passwords so that no crash loses one. Without a subcommand: the plan, as `rotate plan`."
    :require_command(false):action(function(args)
      args.run = args.run or plan -- after the subcommand's own
      args.user, args.exclude, args.sink = args.user or {}, args.exclude or {}, args.sink or {}
    end)
  group:command_target "subcommand"

  selection_options(group:command "plan":action(on(plan))
    :description "Shows what a rotation would do and the command that does it; default --managed.")

  local run_command = selection_options(group:command "run":action(on(rotate))
    :description "Changes the passwords and publishes them.")
  run_command:option "--verify":choices { "auto", "require", "off" }
    :description "auto (default): prove by login where one is possible; require: always; off: never."
  run_command:option "--keep-previous":argname "TIME":convert(session.duration):description "Keep the old password in the store, such as 24h."
  run_command:option "--max-failures":argname "N":convert(session.count):description "Stop after this many failures."
  run_command:flag "--cancel-sessions":description "End the sessions that were opened with the old password."
  run_command:flag "--skip-admins":description "Leave users alone that are admins."
  run_command:flag "--dry-run":description "Print the plan; nothing is sent."
  run_command:option "--reason":argname "TEXT":description "Kept in the record."
  confirm.options(run_command, true)

  group:command "resume":action(on(resume)):description "Finishes whatever an interrupted or failed run left."
  group:command "status":action(on(status)):description "Shows each record: its state, age and what is left to do."
end

return M
