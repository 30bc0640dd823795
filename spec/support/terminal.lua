--- A terminal for specs: tmux runs a program on a screen of a given width; keys are typed, and what the screen shows is
--- waited for. One tmux server for each terminal, on a socket of its own, gone with it.

local core = require "crdbcloud.core"
local temp = require "spec.support.temp"

local M = {}

local PATIENCE = 120 -- seconds for anything to be shown

local Terminal = {}
Terminal.__index = Terminal

function Terminal:_tmux(words)
  return temp.run(("env -u TMUX LC_ALL=C.UTF-8 tmux -f /dev/null -S %s/tmux %s"):format(self.dir, words))
end

--- Starts a program.
---@param line string a shell command line
---@param columns integer
---@return table terminal
function M.start(line, columns)
  local dir = temp.dir()
  local self = setmetatable({ dir = dir }, Terminal)
  temp.write(dir .. "/line", ("%s\necho \"[ended $?]\"\nexec sleep 1000\n"):format(line))
  local out, code = self:_tmux(([[new-session -d -x %d -y 50 "exec sh %s/line" \; set-option -g history-limit 20000]]):format(columns, dir))
  assert(code == 0, out)
  return self
end

--- All that was shown, lines joined where the terminal broke them.
---@param whole boolean|nil false: as the screen has it
---@return string
function Terminal:text(whole)
  return (self:_tmux(("capture-pane -p %s -S -"):format(whole == false and "" or "-J")):gsub(" +\n", "\n"):gsub("\n+$", "\n"))
end

--- Waits until the text fits; fails the case otherwise.
---@param fits fun(text: string): any
---@param what string
---@return any what fits returned
function Terminal:wait(fits, what)
  local give_up = core.monotonic() + PATIENCE
  local text
  repeat
    text = self:text()
    local found = fits(text)
    if found then return found end
    core.sleep(0.02)
  until core.monotonic() > give_up
  error(("waited in vain for %s; the terminal shows:\n%s"):format(what, text), 2)
end

--- Types a line.
function Terminal:type(line)
  temp.write(self.dir .. "/keys", line)
  self:_tmux(([[load-buffer %s/keys \; paste-buffer -d \; send-keys Enter]]):format(self.dir))
end

--- Presses a key, as tmux calls it: "C-c", "C-d", "Up".
function Terminal:key(name) self:_tmux("send-keys " .. name) end

-- How often a prompt was shown; a secondary one is ">> ".
local function prompts(text)
  return select(2, ("\n" .. text):gsub("\n> ?", ""))
end

--- Waits for the first prompt.
function Terminal:ready()
  self.shown = self:wait(function(text) return text:find "\n>$" and prompts(text) or ("\n" .. text):find "\n> ?\n?$" and prompts(text) end, "a prompt")
end

--- Types an expression and waits for the next prompt.
---@param line string
---@return string what was printed between the two
function Terminal:ask(line)
  self:type(line)
  local before = self.shown
  local text = self:wait(function(shown) return prompts(shown) > before and ("\n" .. shown):find "\n> ?\n?$" and shown end,
    "a prompt after " .. line)
  self.shown = prompts(text)
  local start = 1
  text = "\n" .. text
  for _ = 1, before do start = select(2, text:find("\n> ?", start)) end
  local said = text:sub(start + 1):gsub("\n> ?\n?$", "\n")
  return (said:gsub("^[^\n]*\n", "", 1):gsub("\n$", ""))
end

--- Ends the program by its terminal, and the terminal.
function Terminal:stop() self:_tmux "kill-server" end

return M
