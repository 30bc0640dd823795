--- Starts spec/c/wire_server.c, which answers logins and statements as ordered; see there for the actions.

local native = require "spec.support.native"
local temp = require "spec.support.temp"

local M = {}

local Server = {}
Server.__index = Server

local program

--- Starts a server; stop it by `server:stop()`.
---@param ... string the action and its words
---@return table server host, port
function M.start(...)
  program = program or native.program("wire_server")
  local words = { "exec", temp.quote(program) }
  for _, word in ipairs { ... } do words[#words + 1] = temp.quote(word) end
  local pipe = assert(io.popen(table.concat(words, " ")))
  local port, pid = pipe:read("*l"):match "^(%d+) (%d+)$"
  return setmetatable({ pipe = pipe, pid = pid, host = "127.0.0.1", port = port }, Server)
end

function Server:stop()
  temp.run("kill " .. self.pid)
  self.pipe:close()
end

return M
