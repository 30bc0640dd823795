--- `crdbcloud explain CODE`: what an exit code, a kind of error, a call or an option means.

local printing = require "crdbcloud.base.printing"
local session = require "crdbcloud.cli.session"

local M = {}

local function explain(_, args)
  local topic = tonumber(args.code) or args.code
  local text, known = require("crdbcloud.help").text(topic)
  if not known then return session.usage(text) end
  printing.say(io.stdout, text .. "\n")
  return true
end

function M.register(parser)
  local command = parser:command "explain":summary "Say what an exit code, a kind of error, a call or an option means."
    :description "Says what an exit code or a kind of error means and what to do; also calls, options and topics of the library."
    :action(function(args) args.run = explain end)
  command:argument "code":description "Such as 5, busy, rotate_passwords, max_age, \"exit codes\"."
end

return M
