--- `crdbcloud rotate plan|run`; what is left of runs is in rotate_state.lua.

local cjson = require("cjson.safe").new()
local confirm = require "crdbcloud.cli.confirm"
local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
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
    allow_admin = args.allow_admin,
    sinks = #args.sink > 0 and args.sink or nil,
  }
end

-- The command that does what a plan shows.
local function command_of(args, users)
  local words = { "crdbcloud" }
  for _, name in ipairs(args.cluster_names) do words[#words + 1] = "--cluster " .. name end
  words[#words + 1] = args.all_clusters and "rotate run --all-clusters" or "rotate run"
  if type(users) == "table" then
    for _, user in ipairs(users) do words[#words + 1] = "--user " .. user end
  else
    words[#words + 1] = "--" .. users
  end
  for _, user in ipairs(lists.split(args.exclude) or {}) do words[#words + 1] = "--exclude " .. user end
  if args.due then words[#words + 1] = "--due" end
  if args.max_age then words[#words + 1] = "--max-age " .. args.max_age end
  if args.allow_admin then words[#words + 1] = "--allow-admin" end
  return table.concat(words, " ")
end

local function plan(run, args)
  local options, err = selection(args, "managed")
  if not options then return nil, err end
  local target, more, several = run:target()
  if not target then return nil, more end
  if several and args.save then return session.usage "a saved plan is of one cluster" end
  for name, value in pairs(more) do options[name] = value end
  local users = options.users
  local result
  result, err = target:plan_rotation(options)
  if not result then return nil, err end
  if args.save then
    local ok, why = core.write_file(args.save, result:json() .. "\n")
    if not ok then return nil, errors.new { kind = "invalid_argument", message = ("--save %s: %s"):format(args.save, why) } end
    run:say("To do it: crdbcloud rotate run " .. args.save)
  end
  run.out:report(result)
  if not args.save then run:say("To do it: " .. command_of(args, users)) end
  return true
end

-- A plan that `rotate plan --save` wrote.
local function read_plan(path)
  local text, why = core.read_file(path, { max = 16 * 1024 * 1024 })
  local found = text and cjson.decode(text:reveal()) -- holds no secret
  if type(found) ~= "table" or type(found.rows) ~= "table" or type(found.run_id) ~= "string" then
    return session.usage(("%s is no plan of `crdbcloud rotate plan --save` (%s)"):format(path, why or "not its format"))
  end
  return found
end

-- The options of `rotate run`, from a plan, an emergency or a selection.
local function run_options(args)
  local options, err
  if args.plan then
    if #args.user > 0 or args.managed or args.all or args.due or args.max_age or args.emergency then
      return session.usage "a plan names its users itself; leave --user, --managed, --all, --due, --max-age, --emergency out"
    end
    local found
    found, err = read_plan(args.plan)
    if not found then return nil, err end
    options = { plan = found, allow_admin = args.allow_admin, sinks = #args.sink > 0 and args.sink or nil }
  else
    options, err = selection(args)
    if not options then return nil, err end
    if args.emergency then
      if options.users == "managed" then return session.usage "--emergency takes --user U or --all" end
      options.emergency, options.users = options.users, nil
    end
  end
  options.before, options.after = lists.words(args.before), lists.words(args.after)
  options.window = args.window
  return options
end

-- Asks for y for one named user, the cluster's name for several.
local function confirmed(run, args, target, options, several)
  local users = options.users or options.emergency
  if options.plan then
    users = {}
    for _, row in ipairs(options.plan.rows) do
      if row.result == "rotate" or row.result == "finish" then users[#users + 1] = row.user end
    end
  end
  if args.yes then return true end
  if type(users) == "table" and #users == 1 and not args.confirm and not several then
    return confirm.yes(run, ("Change the password of %s on cluster %s?"):format(users[1], run.cluster_name))
  end
  local name = several
  if not several then
    local found, err = target:resolve()
    if not found then return nil, err end
    name = args.confirm == found.id and found.id or found.name or found.id
  end
  local what = type(users) == "table" and ("%d users"):format(#users) or users == "all" and "all users"
    or "all users that have a record"
  local where = several and (several == "all" and " on all clusters" or (" on %d clusters"):format(#options.clusters)) or ""
  return confirm.cluster(run, ("Rotate the passwords of %s%s."):format(what, where), name)
end

local function rotate(run, args)
  local options, err = run_options(args)
  if not options then return nil, err end
  local target, more, several = run:target()
  if not target then return nil, more end
  if several and options.plan then return session.usage "a saved plan is of one cluster" end
  for name, value in pairs(more) do options[name] = value end
  if not args.dry_run then
    local ok
    ok, err = confirmed(run, args, target, options, several)
    if not ok then return nil, err end
  end
  run:guard()
  options.verify = args.verify
  if args.verify == "off" then options.verify = false end
  options.keep_previous, options.max_failures = args.keep_previous, args.max_failures
  options.dry_run, options.reason = args.dry_run, args.reason
  options.cancel_sessions, options.skip_admins = args.cancel_sessions, args.skip_admins
  options.parallel = args.parallel
  options.on_progress = run:progress()
  local report
  report, err = target:rotate_passwords(options)
  if not report then return nil, err end
  run:close()
  run.out:report(report)
  return true
end

local function on(run) return function(args) args.run, args.several = run, true end end

local function selection_options(command)
  command:option "--user":argname "U":count "*":description "This user; may be repeated."
  command:flag "--all-clusters":description "On all clusters of the account, one after the other."
  command:flag "--managed":description "All users that have a record in the store."
  command:flag "--all":description "All but protected and sso_ users."
  command:option "--exclude":argname "U":count "*":description "But not this user."
  command:flag "--due":description "Only passwords older than 90 days."
  command:option "--max-age":argname "AGE":convert(session.duration):description "Only passwords older than this, such as 90d."
  command:flag "--allow-admin":description "Application users too that have become admins since; they are refused otherwise."
  command:option "--sink":argname "KIND:PATH":count "*":convert(lists.sink)
    :description "Publish here instead of the recorded sinks."
  return command
end

function M.register(parser)
  local group = parser:command "rotate":summary "Rotate passwords."
    :description "Rotates passwords so that no crash loses one. Without a subcommand: the plan, as `rotate plan`."
    :require_command(false):action(function(args)
      if not args.run then args.run, args.several = plan, true end -- after the subcommand's own
      args.user, args.exclude, args.sink = args.user or {}, args.exclude or {}, args.sink or {}
    end)
  group:command_target "subcommand"

  local plan_command = selection_options(group:command "plan":action(on(plan))
    :description "Shows what a rotation would do and the command that does it; default --managed.")
  plan_command:option "--save":argname "FILE":description "Keep the plan, for `rotate run FILE`."

  local run_command = selection_options(group:command "run":action(on(rotate))
    :description "Changes the passwords and publishes them.")
  run_command:argument "plan":args "?":description "A saved plan; refused (exit 9) when it no longer fits."
  run_command:flag "--emergency":description "Now, whatever the window; sessions are ended; goes on with the store down."
  run_command:option "--window":argname "HH:MM-HH:MM":convert(session.window):description "Start on users only within these hours, local time."
  run_command:option "--before":argname "COMMAND":description "Run before the first change; words without a shell. If it fails, nothing is changed."
  run_command:option "--after":argname "COMMAND":description "Run once after the last publication, such as 'systemctl reload app'."
  run_command:option "--verify":choices { "auto", "require", "off" }
    :description "auto (default): prove by login where one is possible; require: always; off: never."
  run_command:option "--parallel":argname "N":convert(session.threads):description "Work on so many users at once, 1 to 64."
  run_command:option "--keep-previous":argname "TIME":convert(session.duration):description "Keep the old password in the store, such as 24h."
  run_command:option "--max-failures":argname "N":convert(session.count):description "Stop after this many failures."
  run_command:flag "--cancel-sessions":description "End the sessions that were opened with the old password."
  run_command:flag "--skip-admins":description "Leave users alone that are admins."
  run_command:flag "--dry-run":description "Print the plan; nothing is sent."
  run_command:option "--reason":argname "TEXT":convert(session.line):description "Kept in the record."
  confirm.options(run_command, true)

  require("crdbcloud.cli.resume_status").register(group)
end

return M
