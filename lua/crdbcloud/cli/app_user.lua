--- `crdbcloud app-user create|grant|remove`: users with limited access that were never handed out as admins.

local confirm = require "crdbcloud.cli.confirm"
local lists = require "crdbcloud.cli.lists"
local password = require "crdbcloud.cli.password"
local session = require "crdbcloud.cli.session"

local M = {}

-- The access that the options describe, or that a file holds.
local function access_of(args)
  local tables, privileges = lists.split(args.table), lists.split(args.privilege)
  if args.access then
    if args.database or tables or privileges or args.preset then
      return session.usage "--access stands for --database, --schema, --table, --privilege and --preset; give one or the other"
    end
    local file, why = io.open(args.access, "rb")
    if not file then return session.usage("--access: " .. why) end
    local text = file:read(1048576) or ""
    file:close()
    local ok, access = pcall(require "cjson".decode, text)
    if not ok or type(access) ~= "table" then
      return session.usage(("--access: %s holds no JSON object or list"):format(args.access))
    end
    return access
  end
  if not args.database then
    if #args.role > 0 then return {} end
    return session.usage("no access was named", "--database D with --preset P or --privilege P --table T, or --access FILE.json")
  end
  if args.preset and privileges then return session.usage "--preset and --privilege exclude each other" end
  if not args.preset and not privileges then
    return session.usage("--database says where, not what", "add --preset readonly|readwrite|ddl or --privilege SELECT,INSERT")
  end
  if tables and #tables == 1 and tables[1] == "*" then tables = "*" end
  return {
    database = args.database,
    schema = args.schema,
    tables = tables or "*",
    privileges = privileges,
    preset = args.preset,
    sequences = args.sequences,
    future = args.future,
  }
end

local function create(run, args)
  local access, err = access_of(args)
  if not access then return nil, err end
  local secret
  secret, err = password.read(run)
  if err then return nil, err end
  local labels
  labels, err = lists.pairs(args.label, "--label")
  if err then return nil, err end
  local cluster
  cluster, err = run:cluster()
  if not cluster then return nil, err end
  run:guard()
  local report
  report, err = cluster:create_app_user {
    name = args.name,
    access = access,
    roles = lists.split(args.role),
    owner = args.owner,
    description = args.description,
    labels = labels,
    sinks = #args.sink > 0 and args.sink or nil,
    password = secret,
    adopt = args.adopt,
    pair = args.pair,
    dry_run = args.dry_run,
    reason = args.reason,
    on_progress = run:progress(),
  }
  if not report then return nil, err end
  run:close()
  run.out:report(report)
  return true
end

-- Calls a workflow and prints its report.
local function call(run, method, options)
  local cluster, err = run:cluster()
  if not cluster then return nil, err end
  run:guard()
  options.on_progress = run:progress()
  local report
  report, err = cluster[method](cluster, options)
  if not report then return nil, err end
  run:close()
  run.out:report(report)
  return true
end

local function grant(run, args)
  local access, err
  if args.no_admin and not args.database and not args.access and #args.role == 0 and not args.exact then
    access = nil
  else
    access, err = access_of(args)
    if not access then return nil, err end
  end
  local options = { user = args.name, access = access, roles = lists.split(args.role), exact = args.exact, reason = args.reason }
  if args.no_admin then options.admin = false end
  return call(run, "set_access", options)
end

local function remove(run, args)
  local cluster, err = run:cluster()
  if not cluster then return nil, err end
  if not args.dry_run then
    local ok
    ok, err = confirm.yes(run, ("Remove the user %s of cluster %s?"):format(args.name, run.cluster_name))
    if not ok then return nil, err end
  end
  return call(run, "remove_app_user", {
    user = args.name, reassign_to = args.reassign_to, clean_sinks = args.clean_sinks, dry_run = args.dry_run, reason = args.reason,
  })
end

local function access_options(command)
  command:option "--database":argname "D"
  command:option "--schema":argname "S":description "Default public."
  command:option "--preset":choices { "readonly", "readwrite", "ddl" }
  command:option "--privilege":argname "P[,P…]":count "*":description "SELECT, INSERT, UPDATE, DELETE, …"
  command:option "--table":argname "T[,T…]":count "*":description "Default all tables."
  command:flag "--sequences":description "Sequences too; with all tables the default."
  command:flag "--future":description "Tables to come too; with all tables the default."
  command:option "--access":argname "FILE.json":description "The access as JSON, instead of the options above."
  command:option "--role":argname "R[,R…]":count "*":description "Roles it becomes a member of."
  command:option "--reason":argname "TEXT":convert(session.line):description "Kept in the record."
end

function M.register(parser)
  local group = parser:command "app-user":summary "Create, grant to and remove application users with limited access."
  group:command_target "subcommand"

  local grant_command = group:command "grant":action(function(args) args.run = grant end)
    :description "Adds access, or with --exact makes it just this; takes admin away with --no-admin."
  grant_command:argument "name"
  access_options(grant_command)
  grant_command:flag "--exact":description "Take everything else away that was granted directly."
  grant_command:flag "--no-admin":description "Take admin away, and memberships that lead to it."
  confirm.options(grant_command)

  local remove_command = group:command "remove":action(function(args) args.run = remove end)
    :description "Ends login, sessions and access, deletes the user, then forgets its record."
  remove_command:argument "name"
  remove_command:option "--reassign-to":argname "ROLE":description "Gets what the user owns."
  remove_command:flag "--clean-sinks":description "Remove what was published, too."
  remove_command:flag "--dry-run":description "Print what would be done, statement by statement; nothing is sent."
  remove_command:option "--reason":argname "TEXT":convert(session.line):description "Kept in the record."
  confirm.options(remove_command)

  local command = group:command "create":action(function(args) args.run = create end)
    :description "Creates a user that may do what is named and nothing else. The same again changes nothing; half-done work is finished."
  command:argument "name"
  command:option "--owner":argname "WHO":convert(session.line):description "Who answers for it, such as a mail address."
  command:option "--description":argname "TEXT":convert(session.line)
  command:option "--label":argname "K=V":count "*":description "Kept in the record."
  access_options(command)
  command:option "--sink":argname "KIND:PATH":count "*":convert(lists.sink)
    :description "Where the credential is published, such as pgpass:/home/app/.pgpass."
  command:flag "--adopt":description "Take over a user of that name that is there already: demoted, new password."
  command:flag "--pair":description "Two users in one role, rotated in turn, so that a published password always logs in."
  command:flag "--dry-run":description "Print what would be done; nothing is sent."
  password.options(command)
  confirm.options(command)
end

return M
