--- The `crdbcloud` command: reads the arguments, runs one command and turns
-- what became of it into an exit code. Results go to stdout, all else to stderr.

local argparse = require "argparse"
local errors = require "crdbcloud.errors"
local output = require "crdbcloud.cli.output"
local printing = require "crdbcloud.base.printing"
local refuse = require "crdbcloud.cli.refuse"
local session = require "crdbcloud.cli.session"

local M = {}

local INTERNAL, INTERRUPTED = 70, 130
local UNTOLD = 6 -- changed, but the result could not be written

-- One file per group of commands; each adds its commands to the parser.
local GROUPS = {
  "whoami", "doctor", "cluster", "user", "app_user", "rotate", "credential", "store", "shell", "explain",
  "completion",
}

local EPILOG = [[
The API key comes from COCKROACH_API_KEY or COCKROACH_API_KEY_FILE, never from an argument.
Also read: COCKROACH_SERVER, CRDBCLOUD_CA_FILE, CRDBCLOUD_CLUSTER, CRDBCLOUD_STORE, CRDBCLOUD_SQL.

Exit codes:
   0 done                          5 unknown: a change was not answered
   1 failed, nothing changed       6 changed but not published
   2 usage, or not confirmed       7 another run holds the lock
   3 partly done                   8 findings
   4 not allowed, nothing changed 70 internal error
                                  129, 130, 143 interrupted
After 3, 5, 6, 70 and an interruption: crdbcloud rotate resume. More: crdbcloud explain CODE]]

local function build_parser()
  local parser = argparse("crdbcloud", "SQL users of CockroachDB Cloud clusters.", EPILOG)
  parser:command_target "command"
  parser:usage_max_width(100):help_max_width(100)
  parser:option "-c --cluster":target "cluster_names":argname "C":count "*"
    :description "Cluster, by name or id; `rotate plan|run|resume|status` and `shell` take it more than once."
  parser:option "-o --output":argname "FORMAT":choices(output.FORMATS):default "table"
    :description "table, json, jsonl or csv."
  parser:option "--server":argname "URL":convert(session.server):description "API server."
  parser:option "--api-key-file":argname "FILE":description "File that holds the API key, mode 0600."
  parser:option "--ca-file":argname "FILE":description "Certificate authority of API and SQL."
  parser:option "--store":argname "URL":description "Where credentials are kept, such as file:/var/lib/crdbcloud."
  parser:option "--store-key-file":argname "FILE":description "Keys that seal the passwords in the store, mode 0600."
  parser:flag "--store-plaintext":description "Let the store hold passwords in the clear."
  parser:option "--sql":argname "URL":description "SQL connection of the cluster, without a password."
  parser:option "--timeout":argname "TIME":description "Limit of one request, such as 30s."
    :convert(session.limit)
  parser:flag "-q --quiet":description "No progress."
  parser:flag "--no-input":description "Never ask; what would be asked is refused."
  parser:flag "--version":description "Print the version."
    :action(function()
      printing.say(io.stdout, "crdbcloud " .. require "crdbcloud.version" .. "\n")
      os.exit(0)
    end)
  for _, name in ipairs(GROUPS) do require("crdbcloud.cli." .. name).register(parser) end
  return parser
end

local function say_error(args, err)
  local machine = args and (args.output == "json" or args.output == "jsonl")
  if machine then return printing.write_exactly(io.stderr, err:json() .. "\n") end
  printing.say(io.stderr, tostring(err) .. "\n", output.mark("error: ", 31))
end

-- An error that came back. A report in it is the result of what was done, so it is printed as one.
local function failed(run, err)
  if err.report then run.out:report(err.report) end
  say_error(run.args, err)
  local signal = run:interrupted()
  if err.kind == "cancelled" and signal then return 128 + signal end
  return err.exit
end

local function usage(text)
  printing.say(io.stderr, "crdbcloud: " .. text:gsub("\n", ". ") .. "\nSee: crdbcloud --help\n")
  return 2
end

local function main(argv)
  local reason = refuse.reason(argv)
  if reason then return usage(reason) end
  local parser = build_parser()
  local ok, args = parser:pparse(argv)
  if not ok then return usage(tostring(args)) end
  args.cluster_name = args.cluster_names[1]
  if #args.cluster_names > 1 and not args.several then
    return usage "--cluster was given twice; only rotate plan, run, resume, status and shell work on several clusters"
  end
  local run = session.new(args, parser)
  local code, err = args.run(run, args)
  run:close()
  if code == nil then return failed(run, err) end
  return code == true and 0 or code, run
end

--- Runs the command.
---@param argv string[] the arguments, without the program
---@return integer exit code
function M.run(argv)
  local ok, result, run = xpcall(main, errors.located, argv)
  if ok then
    if io.stdout:flush() then return result end
    local changed = result == 0 and run and run.guarded and not run.args.dry_run
    printing.say(io.stderr, "crdbcloud: " .. (changed and "done, but the result cannot be written\n" or "cannot write the result\n"))
    return changed and UNTOLD or result == 0 and 1 or result
  end
  -- An iterator raises the error object that a call would have returned.
  if errors.is(result) then
    say_error(nil, result)
    return result.exit
  end
  -- Only commands that change something hold it back (session.guard).
  if errors.is_interrupt(result) then
    printing.say(io.stderr, "crdbcloud: interrupted\n")
    return INTERRUPTED
  end
  printing.say(io.stderr, "crdbcloud: internal error, so the state is unknown: run `crdbcloud rotate resume`\n" .. result .. "\n")
  return INTERNAL
end

return M
