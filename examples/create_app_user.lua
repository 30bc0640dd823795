-- Creates a user that may read and write two tables and do nothing else.
-- Usage: lua5.4 examples/create_app_user.lua [NAME [OWNER]]
-- Server, key, cluster, store and SQL connection come from the environment (README).

local crdbcloud = require "crdbcloud"

crdbcloud.main(function()
  local cloud = assert(crdbcloud.new())
  local cluster = assert(cloud:cluster())

  local report = assert(cluster:create_app_user {
    name = arg[1] or "payment_service",
    owner = arg[2] or "payments@example.com",
    access = {
      database = "shop",
      tables = { "orders", "customers" },
      privileges = { "SELECT", "INSERT", "UPDATE" },
    },
    on_progress = print,
  })
  print(report)

  -- The password stays in the store; programs read it from there, without an API key.
  print(assert(cluster:credential(arg[1] or "payment_service")))
end)
