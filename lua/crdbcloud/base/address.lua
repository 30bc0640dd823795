--- What can be the SQL address of a cluster. It comes from the API or from a record, so it is checked where it comes in. Pure.

local printing = require "crdbcloud.base.printing"

local M = {}

local LONGEST_HOST, LONGEST_DATABASE = 253, 255 -- bytes

-- A name, an IPv4 address, or an IPv6 address, of which all forms are made of these.
local function is_host(text)
  return text:find "^%w[%w._-]*$" ~= nil and not text:find("..", 1, true) or text:find "^[%x:.]*:[%x:.]*%%?[%w._-]*$" ~= nil
end

--- What is wrong with an address.
---@param address { host: any, port: any, database: any, sslmode: any }
---@return string|nil problem
function M.problem(address)
  local host, port, database = address.host, address.port, address.database
  if type(host) ~= "string" or #host > LONGEST_HOST then return "its host is none" end
  -- A directory of sockets stands in records of a cluster that is reached through one.
  if not is_host(host) and (host:sub(1, 1) ~= "/" or printing.harmless(host) ~= host) then
    return ('its host is none: "%s"'):format(printing.harmless(host))
  end
  if type(port) ~= "number" or port ~= math.floor(port) or port < 1 or port > 65535 then return "its port is none" end
  if database ~= nil and (type(database) ~= "string" or database == "" or #database > LONGEST_DATABASE
    or printing.harmless(database) ~= database) then
    return "its database is none"
  end
  if address.sslmode ~= nil and (type(address.sslmode) ~= "string" or not address.sslmode:find "^[%l-]+$") then
    return "its sslmode is none"
  end
  return nil
end

--- The address in the parameters of a connection string.
---@param params table { Host, Port, Database }
---@return table|nil address { host, port, database, sslmode }
---@return string|nil problem
function M.of_params(params)
  local port = params.Port == nil and 26257 or params.Port
  if type(port) == "string" and #port <= 5 and port:find "^%d+$" then port = tonumber(port) end
  if type(port) == "number" and math.tointeger then port = math.tointeger(port) or port end
  local address = { host = params.Host, port = port, database = params.Database or "defaultdb", sslmode = "verify-full" }
  local problem = M.problem(address)
  if not problem and address.host:sub(1, 1) == "/" then problem = "its host is none" end
  if problem then return nil, problem end
  return address
end

return M
