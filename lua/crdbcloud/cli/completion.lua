--- `crdbcloud completion SHELL`: the completion script of a shell.

local printing = require "crdbcloud.base.printing"

local M = {}

local SHELLS = { bash = "get_bash_complete", zsh = "get_zsh_complete", fish = "get_fish_complete" }

local function print_script(run, args)
  printing.write_exactly(io.stdout, (run.parser[SHELLS[args.shell]](run.parser)))
  return true
end

function M.register(parser)
  local command = parser:command "completion":summary "Print a completion script."
    :description "Prints the completion script of a shell, for example: source <(crdbcloud completion bash)"
    :action(function(args) args.run = print_script end)
  command:argument "shell":choices { "bash", "zsh", "fish" }
end

return M
