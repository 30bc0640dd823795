--- Stands between a client and the sandbox's SQL port and breaks connections on order. It passes bytes on and cannot
--- read them (TLS), but it sees which way they go, which is enough to lose a statement or only its answer.
--
-- As a program: lua5.4 spec/support/servers/sql_proxy.lua serve PORT FILE; orders come as lines on standard input, and
-- FILE counts those that are in force.

local M = {}

local function serve(port, path)
  local uv = require "luv"
  local orders, refused, mode = 0, 0, nil
  local open = {}

  local function acknowledge(text)
    local file = assert(io.open(path .. ".new", "w"))
    file:write(text)
    file:close()
    assert(os.rename(path .. ".new", path))
  end

  local function cut(pair)
    for _, side in pairs(pair) do
      if not side:is_closing() then side:close() end
    end
    open[pair] = nil
  end

  local function pump(pair, from, to, seen)
    from:read_start(function(err, data)
      if err or not data then return cut(pair) end
      if seen(data) then to:write(data) end
    end)
  end

  -- Lost statement: the client's next bytes go nowhere. Lost answer: they arrive, and what comes back does not.
  local function connect(pair)
    local asked = false
    pump(pair, pair.client, pair.server, function()
      if mode == "request" then
        mode = nil
        cut(pair)
        return false
      end
      asked = mode == "answer"
      return true
    end)
    pump(pair, pair.server, pair.client, function()
      if mode == "answer" and asked then
        mode = nil
        cut(pair)
        return false
      end
      return true
    end)
  end

  local listener = uv.new_tcp()
  assert(listener:bind("127.0.0.1", 0))
  assert(listener:listen(16, function()
    local pair = { client = uv.new_tcp(), server = uv.new_tcp() }
    listener:accept(pair.client)
    if refused > 0 then
      refused = refused - 1
      return cut(pair)
    end
    open[pair] = true
    pair.server:connect("127.0.0.1", port, function(err)
      if err then return cut(pair) end
      connect(pair)
    end)
  end))
  acknowledge(listener:getsockname().port .. " 0")

  local stdin, pending = uv.new_pipe(false), ""
  assert(stdin:open(0))
  stdin:read_start(function(_, data)
    if not data then return uv.stop() end
    pending = pending .. data
    for line in pending:gmatch "([^\n]*)\n" do
      local word, count = line:match "^(%S+) ?(%d*)$"
      if word == "sever" then
        for pair in pairs(open) do cut(pair) end
        refused = tonumber(count) or 0
      else
        mode = word
      end
      orders = orders + 1
      acknowledge(listener:getsockname().port .. " " .. orders)
    end
    pending = pending:match "[^\n]*$"
  end)
  uv.run()
end

local Proxy = {}
Proxy.__index = Proxy

local function wait_for(path, pattern)
  local core = require "crdbcloud.core"
  local give_up = core.monotonic() + 120
  while core.monotonic() < give_up do
    local file = io.open(path)
    local found = file and file:read "*a":match(pattern)
    if file then file:close() end
    if found then return found end
    core.sleep(0.002)
  end
  error("the proxy does not answer", 3)
end

--- Starts a proxy to a port of this machine.
---@param port integer
---@param dir string for its files
---@return table proxy with port
function M.start(port, dir)
  local path = dir .. "/proxy"
  local pipe = assert(io.popen(("exec lua5.4 spec/support/servers/sql_proxy.lua serve %d %s"):format(port, path), "w"))
  return setmetatable({ pipe = pipe, path = path, orders = 0, port = tonumber(wait_for(path, "^(%d+) ")) }, Proxy)
end

function Proxy:order(line)
  self.pipe:write(line, "\n")
  self.pipe:flush()
  self.orders = self.orders + 1
  wait_for(self.path, " (" .. self.orders .. ")$")
end

--- The next statement reaches the server, and its answer does not come back.
function Proxy:lose_answer() self:order "answer" end

--- The next statement is lost on its way.
function Proxy:lose_request() self:order "request" end

--- All connections break, and so do the next ones, up to this many.
function Proxy:sever(refusals) self:order("sever " .. (refusals or 0)) end

--- The same program ends with its input.
function Proxy:stop() self.pipe:close() end

if (...) == "serve" then return serve(tonumber((select(2, ...))), (select(3, ...))) end

return M
