-- What cloud_spec.lua and clients_spec.lua run in nginx's threads.

local M = {}

function M.echo(_, ...) return ... end

function M.raise(_, text) error(text) end

function M.throw(_, kind) error(require("crdbcloud.errors").new { kind = kind }) end

function M.refuse(_, kind) return nil, require("crdbcloud.errors").new { kind = kind } end

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
