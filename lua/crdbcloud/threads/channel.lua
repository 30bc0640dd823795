--- Messages between two threads: tables as lines of JSON over a descriptor. Blocking, without an event loop.
--- Secrets do not travel here (crdbcloud.core.lend), functions and metatables cannot.

local cjson = require("cjson").new()
local json = require "crdbcloud.base.json"
local uv = require "luv"

local M = {}

local CHUNK = 65536

local Channel = {}
Channel.__index = Channel

--- @param fd integer one end of a stream socket
function M.new(fd)
  return setmetatable({ fd = fd, rest = "" }, Channel)
end

--- Two connected descriptors.
---@return integer|nil one
---@return integer|string other or message
function M.pair()
  local fds, why = uv.socketpair(nil, nil)
  if not fds then return nil, why end
  return fds[1], fds[2]
end

--- A table of plain data as one line of text; raises when it is something else.
---@return string
function M.encode(message)
  return cjson.encode(message)
end

--- Sends a table of plain data; raises when it cannot.
function Channel:send(message)
  local text = M.encode(message) .. "\n"
  while text ~= "" do
    local written = assert(uv.fs_write(self.fd, text))
    text = text:sub(written + 1)
  end
end

--- The table that a line was made of.
---@return table
function M.decode(line)
  return json.clean(cjson.decode(line))
end

--- The next message, if a whole one is here already.
---@return table|nil
function Channel:next()
  local line, rest = self.rest:match "^([^\n]*)\n(.*)$"
  if not line then return nil end
  self.rest = rest
  return M.decode(line)
end

--- Reads what is there, waiting for the first byte.
---@return boolean false when the other end is closed
function Channel:read()
  local bytes = assert(uv.fs_read(self.fd, CHUNK))
  self.rest = self.rest .. bytes
  return bytes ~= ""
end

--- Waits for a message.
---@return table|nil nil when the other end is closed
function Channel:receive()
  while true do
    local message = self:next()
    if message then return message end
    if not self:read() then return nil end
  end
end

function Channel:close()
  uv.fs_close(self.fd)
end

return M
