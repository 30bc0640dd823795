--- `crdbcloud user list|show|create|passwd|disable|enable|delete`: SQL users as the API and the cluster know them.

local confirm = require "crdbcloud.cli.confirm"
local names = require "crdbcloud.names"
local password = require "crdbcloud.cli.password"
local session = require "crdbcloud.cli.session"

local M = {}

-- What no workflow touches by itself.
local function kind_of(name)
  local folded = names.fold(name)
  return names.is_protected(folded) and "protected" or names.is_sso(folded) and "sso" or "ordinary"
end

-- What is not as it should be of the application users in the store, by name, and "?" for all others where nobody could look.
local function findings(run, cluster)
  if not cluster:has_store() then return {}, "?" end
  local status, err = cluster:rotation_status()
  if not status then
    run:say("warning: what the store says of these users is not known: " .. err.message)
    return {}, "?"
  end
  local found = {}
  for _, row in ipairs(status.rows) do found[row.user] = row.finding == "not-checked" and "?" or row.finding end
  return found, nil
end

local function list(run)
  local cluster, err = run:cluster()
  if not cluster then return nil, err end
  local users
  users, err = cluster:all_sql_users()
  if not users then return nil, err end
  local rows = {}
  local found, unknown = findings(run, cluster)
  for i, user in ipairs(users) do
    rows[i] = { name = user.name, kind = kind_of(user.name), finding = found[names.fold(user.name)] or unknown }
  end
  run.out:rows({ "name", "kind", "finding" }, rows)
  return true
end

local function create(run, args)
  if not args.admin then
    return session.usage("a user made by the API is an admin of the whole cluster",
      "for a limited one: crdbcloud app-user create " .. args.name .. " …; for an admin add --admin")
  end
  local folded, err = names.check(args.name)
  if not folded then return nil, err end
  local secret
  secret, err = password.read(run, ("Password of the new admin %s: "):format(folded))
  if not secret then return nil, err end
  local cluster
  cluster, err = run:cluster()
  if not cluster then return nil, err end
  local ok
  ok, err = confirm.yes(run, ("Create %s as an admin of cluster %s?"):format(folded, run.cluster_name))
  if not ok then return nil, err end
  run:guard()
  local user
  user, err = cluster:create_sql_user(folded, secret)
  if not user then return nil, err end
  run.out:record({ "name", "admin" }, { name = user.name, admin = true })
  return true
end

local function passwd(run, args)
  local secret, err = password.read(run)
  if err then return nil, err end
  local cluster
  cluster, err = run:cluster()
  if not cluster then return nil, err end
  local ok
  ok, err = confirm.yes(run, ("Change the password of %s on cluster %s?"):format(args.name, run.cluster_name))
  if not ok then return nil, err end
  run:guard()
  local report
  report, err = cluster:rotate_password { user = args.name, password = secret, allow_admin = args.allow_admin, on_progress = run:progress() }
  if not report then return nil, err end
  run:close()
  run.out:report(report)
  return true
end

local function delete(run, args)
  local cluster, err = run:cluster()
  if not cluster then return nil, err end
  local ok
  ok, err = confirm.yes(run, ("Delete the user %s of cluster %s?"):format(args.name, run.cluster_name))
  if not ok then return nil, err end
  run:guard()
  local user
  user, err = cluster:delete_sql_user(args.name)
  if not user then return nil, err end
  run.out:record({ "name", "deleted" }, { name = user.name, deleted = true })
  return true
end

local function show(run, args)
  local cluster, err = run:cluster()
  if not cluster then return nil, err end
  local access
  access, err = cluster:access(args.name)
  if not access then return nil, err end
  run.out:report(access)
  return true
end

-- disable and enable differ in the method and the question.
local function login(method, question)
  return function(run, args)
    local cluster, err = run:cluster()
    if not cluster then return nil, err end
    local ok
    ok, err = confirm.yes(run, question:format(args.name, run.cluster_name))
    if not ok then return nil, err end
    run:guard()
    local report
    report, err = cluster[method](cluster, { user = args.name, reason = args.reason, on_progress = run:progress() })
    if not report then return nil, err end
    run:close()
    run.out:report(report)
    return true
  end
end

local disable = login("disable_user", "Take the login of %s on cluster %s away and end its sessions?")
local enable = login("enable_user", "Let %s on cluster %s log in again?")

local function on(run) return function(args) args.run = run end end

function M.register(parser)
  local group = parser:command "user":summary "List, show, create, disable and delete SQL users, change a password."
  group:command_target "subcommand"
  group:command "list":description "Lists the SQL users of the cluster, and application users that are no longer what they were made.":action(on(list))

  local create_command = group:command "create":action(on(create))
    :description "Creates a SQL user. The API makes every user an admin, so --admin must say so; for a limited one see app-user create."
  create_command:argument "name"
  create_command:flag "--admin":description "Yes, an admin of the whole cluster."
  confirm.options(password.options(create_command))

  local passwd_command = group:command "passwd":action(on(passwd))
    :description "Changes a password through the store: the new one is generated, unless one is given, and is durable before it is sent."
  passwd_command:argument "name"
  passwd_command:flag "--allow-admin":description "An application user too that has become an admin since; it is refused otherwise."
  confirm.options(password.options(passwd_command))

  local show_command = group:command "show":description "Shows what a user really has, by asking the cluster.":action(on(show))
  show_command:argument "name"

  for name, entry in pairs {
    disable = { disable, "Takes the login away and ends the user's sessions; password and access stay." },
    enable = { enable, "Gives the login back." },
  } do
    local command = group:command(name):description(entry[2]):action(on(entry[1]))
    command:argument "name"
    command:option "--reason":argname "TEXT":convert(session.line):description "Kept in the record."
    confirm.options(command)
  end

  local delete_command = group:command "delete":description "Deletes a SQL user.":action(on(delete))
  delete_command:argument "name"
  confirm.options(delete_command)
end

return M
