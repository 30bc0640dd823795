-- Rotates the password of every application user and shows what became of each.
-- Usage: lua5.4 examples/rotate_all.lua [MAX_AGE]      such as 90d; default: all of them
-- Run it again after a crash or an error: it finishes what was begun, with the same passwords.

local crdbcloud = require "crdbcloud"

crdbcloud.main(function()
  local cloud = assert(crdbcloud.new())
  local cluster = assert(cloud:cluster())

  assert(cluster:resume())
  local report, err = cluster:rotate_passwords {
    users = "all", -- all but protected and sso_ users; "managed": those with a record
    max_age = arg[1],
    max_failures = 3,
    on_progress = print,
  }
  if not report then
    -- err.outcome says whether something was changed; err.report which users are done.
    error(err)
  end
  print(report)
end)
