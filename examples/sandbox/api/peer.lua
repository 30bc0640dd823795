-- Ends the TCP connection of the current request. nginx's own "close" (444) ends only the stream
-- when the request came by HTTP/2, so the socket is looked up by the peer's port and shut down.

local ffi = require "ffi"

ffi.cdef [[
struct sandbox_address { uint16_t family; uint8_t port[2]; uint8_t rest[124]; };
int getpeername(int fd, struct sandbox_address *address, uint32_t *length);
int getsockname(int fd, struct sandbox_address *address, uint32_t *length);
int shutdown(int fd, int how);
int connect(int fd, const struct sandbox_address *address, uint32_t length);
]]

local AF_UNSPEC, AF_INET, AF_INET6 = 0, 2, 10
local SHUT_RDWR = 2
local MAX_FD = 4096

local M = {}

local function port_of(call, fd)
  local address = ffi.new("struct sandbox_address")
  local length = ffi.new("uint32_t[1]", ffi.sizeof(address))
  if call(fd, address, length) ~= 0 then return nil end
  if address.family ~= AF_INET and address.family ~= AF_INET6 then return nil end
  return address.port[0] * 256 + address.port[1]
end

local function descriptor()
  local remote, mine = tonumber(ngx.var.remote_port), tonumber(ngx.var.server_port)
  for fd = 3, MAX_FD do
    if port_of(ffi.C.getpeername, fd) == remote and port_of(ffi.C.getsockname, fd) == mine then return fd end
  end
  return nil
end

--- Closes the connection; the client sees its end after whatever was sent before.
function M.close()
  local fd = descriptor()
  if fd then ffi.C.shutdown(fd, SHUT_RDWR) end
end

--- Resets the connection; the client sees ECONNRESET.
function M.reset()
  local fd = descriptor()
  -- Connecting to no address dissolves a connection, with a reset to the peer.
  if fd then ffi.C.connect(fd, ffi.new("struct sandbox_address", { family = AF_UNSPEC }), 16) end
end

return M
