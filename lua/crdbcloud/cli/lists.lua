--- Lists in options: repeated, comma-separated, or both.

local session = require "crdbcloud.cli.session"

local M = {}

--- { "a,b", "c" } as { "a", "b", "c" }; nil for an option that was not given.
---@param values string[]|nil
---@return string[]|nil
function M.split(values)
  if not values or #values == 0 then return nil end
  local out = {}
  for _, value in ipairs(values) do
    for part in value:gmatch "[^,]+" do
      part = part:match "^%s*(.-)%s*$"
      if part ~= "" then out[#out + 1] = part end
    end
  end
  return out
end

--- "systemctl reload app" as { "systemctl", "reload", "app" }: no shell, no quotes; nil for nil.
---@param text string|nil
---@return string[]|nil
function M.words(text)
  if not text then return nil end
  local out = {}
  for word in text:gmatch "%S+" do out[#out + 1] = word end
  return out
end

--- { "team=pay" } as { team = "pay" }.
---@param values string[]|nil
---@param option string for the message
---@return table<string, string>|nil
---@return crdbcloud.error|nil
function M.pairs(values, option)
  if not values or #values == 0 then return nil end
  local out = {}
  for _, value in ipairs(values) do
    local key, rest = value:match "^([^=]+)=(.*)$"
    if not key then return session.usage(("%s %s: expected KEY=VALUE"):format(option, value)) end
    out[key] = rest
  end
  return out
end

--- For argparse: checks the spelling of a sink.
---@param text string
function M.sink(text)
  local ok, why = pcall(require "crdbcloud.sinks".parse, { text }, "--sink", 0)
  if not ok then return nil, (tostring(why):gsub("^[^:]+:%d+: ", "")) end
  return text
end

return M
