-- What call_spec.lua, cloud_spec.lua and clients_spec.lua run in nginx's threads.

local M = {}

function M.echo(_, ...) return ... end

function M.raise(_, text) error(text) end

function M.throw(_, kind) error(require("crdbcloud.errors").new { kind = kind }) end

function M.refuse(_, kind) return nil, require("crdbcloud.errors").new { kind = kind } end

--- Loses the SQL connection at work on another database, which on PostgreSQL is as it would be on CockroachDB.
function M.lose_sql(cluster)
  local sql = assert(cluster:open_sql "lose_sql")
  sql._using = "elsewhere"
  local _, err = sql:query "SELECT pg_terminate_backend(pg_backend_pid())"
  return err
end

--- A secret, with no ticket left to hand it over.
function M.secret_without_ticket()
  local core = require "crdbcloud.core"
  local secret = core.secret "x"
  while core.lend(secret) do end
  return secret
end

--- Open accounts and clusters of this thread, once those are closed that were idle for `idle` seconds.
function M.count(_, idle)
  local clients = require "crdbcloud.nginx.clients"
  local before = clients.IDLE
  clients.IDLE = idle or before
  clients.sweep()
  clients.IDLE = before
  return clients.count()
end

return M
