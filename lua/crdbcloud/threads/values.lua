--- Values on their way from one Lua state to another: those of nginx.
--
-- nginx copies strings, numbers, booleans and plain tables; of a table it drops the metatable, it refuses a cycle and
-- what is nested too deep, and a secret must not become a string. So a list of values is packed flat: every table is
-- an entry of one list and refers to others by number, which keeps cycles and shared tables; objects of this library
-- carry the name of their class; secrets are kept apart and cross as tickets (core.lend, core.take).

local classes = require "crdbcloud.base.classes"
local core = require "crdbcloud.core"

local M = {}

---@class crdbcloud.threads.wire
---@field n integer how many values
---@field tables { p: table?, t: table<any, integer>?, s: table<any, integer>?, c: string? }[] plain fields, fields that are
---  tables or secrets by number, class; the first holds the values
---@field secrets crdbcloud.secret[]|nil on this side
---@field tickets string[]|nil on the way

local null -- JSON null as a light userdata, which nginx hands over

local function is_null(value)
  null = null or require("cjson").null
  return value == null
end

local KEYS = { string = true, number = true, boolean = true }
local PLAIN = { string = true, number = true, boolean = true }
local WHY = {
  ["function"] = "a function belongs to one Lua state, and the call runs in a thread that has its own",
  thread = "a coroutine belongs to one Lua state, and the call runs in a thread that has its own",
  userdata = "an object belongs to one Lua state, and the call runs in a thread that has its own",
  cdata = "it is C data of LuaJIT; give a number or a string",
}

local Packer = {}
Packer.__index = Packer

-- Where a value stands among the values: "[1].users[3].name".
local function path_of(self, index, key)
  local steps, from = {}, { index, key }
  while from[2] ~= nil do
    table.insert(steps, 1, (type(from[2]) == "number" and "[%s]" or ".%s"):format(tostring(from[2])))
    from = self.from[from[1]]
  end
  return table.concat(steps)
end

local function class_of(self, value, index, key)
  local meta = getmetatable(value)
  if meta == nil then return nil end
  local name = classes.name(meta)
  if name or not self.strict then return name end
  local kind = type(meta) == "table" and type(meta.__name) == "string" and meta.__name .. ": " or ""
  return nil, { path = path_of(self, index, key), what = kind .. "an object", why = WHY.userdata }
end

-- The number of a table, which is packed later if it is new.
local function number_of(self, value, index, key)
  local number = self.numbers[value]
  if number then return number end
  local class, problem = class_of(self, value, index, key)
  if problem then return nil, problem end
  number = #self.sources + 1
  self.sources[number], self.numbers[value], self.from[number] = value, number, { index, key }
  self.wire.tables[number] = { c = class }
  return number
end

-- Each place gets a secret of its own, so that whoever is done with one may close it.
local function secret_number(self, secret)
  local number = #self.wire.secrets + 1
  self.wire.secrets[number] = secret
  return number
end

local function put(entry, part, key, value)
  local fields = entry[part]
  if not fields then
    fields = {}
    entry[part] = fields
  end
  fields[key] = value
end

local function pack_field(self, entry, index, key, value)
  local kind = type(value)
  if not KEYS[type(key)] then
    return self.strict and { path = path_of(self, index, type(key)), what = "a key that is a " .. type(key), why = WHY.userdata } or nil
  elseif kind == "string" and self.hidden[key] then
    put(entry, "s", key, secret_number(self, core.secret(value)))
  elseif PLAIN[kind] then
    put(entry, "p", key, value)
  elseif kind == "table" then
    local number, problem = number_of(self, value, index, key)
    if problem then return problem end
    put(entry, "t", key, number)
  elseif kind == "userdata" and core.is_secret(value) then
    put(entry, "s", key, secret_number(self, value))
  elseif is_null(value) then
    put(entry, "p", key, value)
  elseif self.strict then
    return { path = path_of(self, index, key), what = "a " .. kind, why = WHY[kind] or WHY.userdata }
  end
end

--- Packs values. With `strict` whatever cannot cross is refused; without it is left out, as nobody could use it.
---@param n integer
---@param values table with entries 1 to n
---@param opts { strict: boolean?, hidden: table<string, boolean>? }|nil hidden: fields whose text becomes a secret
---@return crdbcloud.threads.wire|nil
---@return { path: string, what: string, why: string }|nil problem path: such as "[1].users[3].name", from the number of the value on
function M.pack(n, values, opts)
  local self = setmetatable({
    wire = { n = n, tables = { {} }, secrets = {} }, sources = { values }, numbers = {}, from = { { 0 } },
    strict = opts and opts.strict, hidden = opts and opts.hidden or {},
  }, Packer)
  local done = 0
  while done < #self.sources do
    done = done + 1
    local entry = self.wire.tables[done]
    for key, value in next, self.sources[done] do
      local problem = pack_field(self, entry, done, key, value)
      if problem then return nil, problem end
    end
  end
  return self.wire
end

--- The values of a packed list; its tables are used up.
---@param wire crdbcloud.threads.wire with secrets
---@return table values
---@return integer n
function M.open(wire)
  local opened = {}
  for i, entry in ipairs(wire.tables) do opened[i] = entry.p or {} end
  for i, entry in ipairs(wire.tables) do
    for key, number in pairs(entry.t or {}) do opened[i][key] = opened[number] end
    for key, number in pairs(entry.s or {}) do opened[i][key] = wire.secrets[number] end
    if entry.c then setmetatable(opened[i], classes.of(entry.c)) end
  end
  return opened[1], wire.n
end

--- Drops what a lent list had lent, when nobody will fetch it.
---@param wire crdbcloud.threads.wire
function M.withdraw(wire)
  for _, ticket in ipairs(wire.tickets or {}) do
    local secret = core.take(ticket)
    if secret then secret:close() end
  end
  wire.tickets = nil
end

--- Exchanges the secrets for tickets, good for a minute and once.
---@param wire crdbcloud.threads.wire
---@return crdbcloud.threads.wire|nil on_its_way a new table that shares the others
---@return string|nil why
---@return "full"|"unusable"|nil code unusable: a secret was closed, or made before this process was forked
function M.lend(wire)
  local out = { n = wire.n, tables = wire.tables, tickets = {} }
  for i, secret in ipairs(wire.secrets) do
    local ok, ticket, why, code = pcall(core.lend, secret)
    if not ok or not ticket then
      M.withdraw(out)
      return nil, tostring(not ok and ticket or why), ok and code or "unusable"
    end
    out.tickets[i] = ticket
  end
  return out
end

--- Exchanges the tickets for secrets; all of them are taken, also when one is missing.
---@param wire crdbcloud.threads.wire
---@return crdbcloud.threads.wire|nil
---@return string|nil why
function M.take(wire)
  local secrets, missing = {}, nil
  for i, ticket in ipairs(wire.tickets) do
    local secret, why = core.take(ticket)
    secrets[i], missing = secret or false, missing or not secret and why or nil
  end
  wire.tickets = nil
  if not missing then
    wire.secrets = secrets
    return wire
  end
  for _, secret in ipairs(secrets) do
    if secret then secret:close() end
  end
  return nil, missing
end

return M
