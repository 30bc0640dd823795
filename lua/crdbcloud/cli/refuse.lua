--- Arguments that are refused before they are parsed. Secrets are recognised for that: every user
-- of the machine can read arguments in the process list, and the shell keeps them in its history.

local urls = require "crdbcloud.base.urls"

local M = {}

-- Options that people try; none of them exists.
local OPTIONS = {
  ["--password"] = "--password-file FILE, --password-stdin, or the prompt that comes without either",
  ["--api-key"] = "--api-key-file FILE, COCKROACH_API_KEY or COCKROACH_API_KEY_FILE",
  ["--jwt"] = "COCKROACH_API_JWT",
  ["--api-jwt"] = "COCKROACH_API_JWT",
}
OPTIONS["--passwd"], OPTIONS["--pass"], OPTIONS["--pw"] = OPTIONS["--password"], OPTIONS["--password"], OPTIONS["--password"]
OPTIONS["--apikey"], OPTIONS["--key"], OPTIONS["--token"] = OPTIONS["--api-key"], OPTIONS["--api-key"], OPTIONS["--api-key"]

local URL_OPTIONS = { ["--sql"] = true, ["--store"] = true, ["--server"] = true }

local function of_word(word, following, own)
  if word == "" then return "an argument is empty" end
  local name, value = word:match "^(%-%-[%w-]+)=(.*)$"
  name = name or word
  if OPTIONS[name] then
    return ("%s: a secret is never taken from an argument, which every user of this machine can read; use %s"):format(
      name, OPTIONS[name])
  end
  if own and word:find "^%a[%w+.-]*://" and urls.has_password(word) then
    return "an argument is a URL with a password in it, which every user of this machine can read"
  end
  if URL_OPTIONS[name] then
    value = value or following
    if value and urls.has_password(value) then
      return name .. ": a URL with a password in it is not taken from an argument, which every user of this machine can read; "
        .. (name == "--sql" and "use ~/.pgpass, PGPASSFILE or CRDBCLOUD_SQL" or "use the environment")
    end
  end
  if word:find "CCDB1_%w+_%w+" then
    return "an API key is never taken from an argument, which every user of this machine can read; use " .. OPTIONS["--api-key"]
  end
  return nil
end

--- Why these arguments are refused, or nil. The text repeats no value.
---@param argv string[]
---@return string|nil
function M.reason(argv)
  local own = true -- what follows "--" is for another program
  for i, word in ipairs(argv) do
    own = own and word ~= "--"
    local reason = of_word(word, argv[i + 1], own)
    if reason then return reason end
  end
  return nil
end

return M
