--- `crdbcloud credential show|export|import`.

local lists = require "crdbcloud.cli.lists"
local password = require "crdbcloud.cli.password"
local printing = require "crdbcloud.base.printing"
local rules = require "crdbcloud.run.rules"
local session = require "crdbcloud.cli.session"
local sinks = require "crdbcloud.sinks"

local M = {}

local COLUMNS = { "user", "password", "host", "port", "database", "sslmode", "epoch", "set_at", "pool_name" }

-- From the store alone: no API key, and no network, is needed to read it.
local function credential_of(run, args)
  local store, opts = run:store_spec "credential"
  if not store then return nil, opts end
  local cluster = args.cluster_name or os.getenv "CRDBCLOUD_CLUSTER"
  opts.source, opts.user, opts.cluster = store, args.user, cluster ~= "" and cluster or nil
  local source, err = require "crdbcloud.credentials".open(opts)
  if not source then return nil, err end
  local credential
  credential, err = source:get()
  source:close()
  return credential, err
end

local function show(run, args)
  local credential, err = credential_of(run, args)
  if not credential then return nil, err end
  if args.url then
    if not args.reveal then
      return session.usage("the URL holds the password", "add --reveal to print it, or publish it: crdbcloud credential export")
    end
    printing.write_exactly(io.stdout, credential:url():reveal() .. "\n")
    return true
  end
  local row = {}
  for _, column in ipairs(COLUMNS) do row[column] = credential[column] end
  row.password = args.reveal and credential.password:reveal() or tostring(credential.password)
  if args.reveal and not run.out:is_exact(row.password) then
    return session.usage("this format would change the password", "add -o json, which prints it exactly")
  end
  run.out:record(COLUMNS, row)
  return true
end

local function export(run, args)
  local credential, err = credential_of(run, args)
  if not credential then return nil, err end
  local opened = sinks.open(sinks.parse(args.sink, "--sink"), credential.pair or credential.user,
    credential.cluster or credential.cluster_id)
  for _, sink in ipairs(opened) do
    local ok, why = sink:check(credential)
    if not ok then return nil, why end
  end
  local rows, piped = {}, false
  for i, sink in ipairs(opened) do
    local ok, why = sink:publish(credential)
    if not ok then return nil, why end
    rows[i] = { user = credential.user, sink = sink.name, epoch = credential.epoch }
    piped = piped or sink.stdout
  end
  -- What a sink writes to standard output is for another program: nothing of ours goes between.
  if not piped then run.out:rows({ "user", "sink", "epoch" }, rows) end
  return true
end

-- For argparse: a UTC date, or seconds since 1970.
local function time_of(text)
  local ok, time = pcall(rules.time, tonumber(text) or text, "--set-at", 0)
  if not ok then return nil, time end
  return time
end

local function import(run, args)
  local secret, err = password.read(run, ("Password of %s: "):format(args.user))
  if not secret then return nil, err end
  local cluster
  cluster, err = run:cluster()
  if not cluster then return nil, err end
  local report
  report, err = cluster:import_credential { user = args.user, password = secret, set_at = args.set_at }
  if not report then return nil, err end
  run.out:report(report)
  return true
end

local function on(run) return function(args) args.run = run end end

function M.register(parser)
  local group = parser:command "credential":summary "Show, export and import credentials of the store."
  group:command_target "subcommand"

  local show_command = group:command "show":action(on(show)):description "Shows where and how a user connects."
  show_command:argument "user"
  show_command:flag "--reveal":description "Print the password too."
  show_command:flag "--url":description "As a connection URL; needs --reveal."

  local export_command = group:command "export":action(on(export)):description "Writes a credential to sinks."
  export_command:argument "user"
  export_command:option "--sink":argname "KIND:PATH":count "+":convert(lists.sink):description "Such as json:/run/app/db.json."

  local import_command = group:command "import":action(on(import))
    :description "Takes a password into the store that is in use already; it is proved by a login and not changed."
  import_command:argument "user"
  import_command:option "--set-at":argname "DATE":convert(time_of):description "When it was set; UTC."
  password.options(import_command)
end

return M
