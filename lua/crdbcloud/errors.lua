--- Errors: one type for expected failures (`nil, err`), one way to raise misuse.
-- An error keeps what a program needs to act on (`kind`, `outcome`, `exit`) and
-- what a person needs to read (`message`, `hint`). It never holds a request body
-- or a secret.

local classes = require "crdbcloud.base.classes"
local printing = require "crdbcloud.base.printing"

local M = {}

---@alias crdbcloud.kind
---| "invalid_argument" | "unauthenticated" | "permission_denied" | "not_found" | "already_exists"
---| "conflict" | "rate_limited" | "unavailable" | "timeout" | "network" | "tls" | "protocol"
---| "server" | "sql" | "store" | "sink" | "hook" | "busy" | "pending" | "cancelled"

---@alias crdbcloud.outcome "not_sent" | "rejected" | "applied" | "unknown"

---@class crdbcloud.error
---@field kind crdbcloud.kind what happened, for programs
---@field message string what happened, for people
---@field operation string? the call, e.g. "create_sql_user"
---@field status integer? HTTP status
---@field code integer? gRPC code of the answer
---@field sqlstate string? five characters
---@field retry_after number? seconds
---@field attempts integer? exchanges made
---@field outcome crdbcloud.outcome? what became of a change; nil when a read got no answer
---@field reason string? finer than kind; may gain values
---@field retryable boolean calling again may help and does no harm
---@field hint string? what to do
---@field exit integer exit code for a command
---@field report table? of a workflow
---@field cause any the error below this one
---@field json fun(self: crdbcloud.error): string
local Error = classes.register("errors", { __name = "crdbcloud.error" })
Error.__index = Error

local KINDS = {
  invalid_argument = true, unauthenticated = true, permission_denied = true, not_found = true,
  already_exists = true, conflict = true, rate_limited = true, unavailable = true, timeout = true,
  network = true, tls = true, protocol = true, server = true, sql = true, store = true, sink = true,
  hook = true, busy = true, pending = true, cancelled = true,
}
local OUTCOMES = { not_sent = true, rejected = true, applied = true, unknown = true }

-- In the order in which json() writes them.
local FIELDS = {
  "kind", "message", "operation", "status", "code", "sqlstate", "retry_after", "attempts", "outcome",
  "reason", "retryable", "hint", "exit", "report", "cause",
}
local ALLOWED = {}
for _, name in ipairs(FIELDS) do ALLOWED[name] = true end

local TRANSIENT = { rate_limited = true, unavailable = true, timeout = true, network = true, busy = true, pending = true }

local EXIT_OF_KIND = {
  unauthenticated = 4, permission_denied = 4, busy = 7, invalid_argument = 2, pending = 3, hook = 6,
}

-- Exit codes have an order (an interrupted run is 130 whatever else is true;
-- an unanswered write is 5 before it is anything else).
local function exit_code(e)
  if e.kind == "cancelled" then return 130 end
  if e.outcome == "unknown" then return 5 end
  if e.kind == "sink" and e.outcome == "applied" then return 6 end
  return EXIT_OF_KIND[e.kind] or 1
end

-- One line that can be pasted into a ticket, whatever a server sent.
local function one_line(s)
  return printing.harmless((tostring(s):gsub("%c+", " ")))
end

--- Makes an error from the fields of crdbcloud.error; `exit` and `retryable` are worked out unless given.
---@param fields table
---@return crdbcloud.error
function M.new(fields)
  local e = {}
  for name, value in pairs(fields) do
    if not ALLOWED[name] then error("errors.new: unknown field " .. tostring(name), 2) end
    e[name] = value
  end
  if not KINDS[e.kind] then error("errors.new: unknown kind " .. tostring(e.kind), 2) end
  if e.outcome ~= nil and not OUTCOMES[e.outcome] then
    error("errors.new: unknown outcome " .. tostring(e.outcome), 2)
  end
  e.message = e.message and tostring(e.message) or (e.kind:gsub("_", " "))
  if e.retryable == nil then e.retryable = TRANSIENT[e.kind] == true and e.outcome ~= "unknown" end
  if e.exit == nil then e.exit = exit_code(e) end
  return setmetatable(e, Error)
end

--- The error of something that failed after it had changed a part: applied, exit 3; where it is not known how much, exit 5.
---@param err crdbcloud.error
---@return crdbcloud.error
function M.partly(err)
  if err.outcome == "unknown" then
    err.exit = 5
  else
    err.outcome, err.exit = "applied", 3
  end
  return err
end

--- True for what the stand-alone interpreter raises on Ctrl-C, also with its stack.
function M.is_interrupt(problem)
  return type(problem) == "string" and problem:find("interrupted!", 1, true) ~= nil
end

--- For xpcall: a raised text with its place in the code; an error object and a person's Ctrl-C stay as they are.
function M.located(problem)
  if M.is(problem) or M.is_interrupt(problem) then return problem end
  return debug.traceback(tostring(problem), 2)
end

--- The error of work on one thing, as one user, that raised: what comes from outside may be what nobody thought of, and it
--- ends this work, not that on the others. What a person's Ctrl-C raises goes on its way.
---@param what string
---@param problem any
---@return crdbcloud.error
function M.raised(what, problem)
  if M.is_interrupt(problem) then error(problem, 0) end
  if M.is(problem) then return problem end
  return M.new {
    kind = "protocol", outcome = "not_sent", reason = "raised",
    message = ("%s: internal error: %s"):format(what, tostring(problem):match "^[^\n]*"),
    hint = "the store has what was begun; please report this, and run `crdbcloud rotate resume`",
  }
end

--- True for an error made by M.new.
function M.is(v)
  return type(v) == "table" and getmetatable(v) == Error
end

function Error:__tostring()
  local marks = { self.kind }
  if self.status and self.status ~= 0 then marks[#marks + 1] = "HTTP " .. ("%d"):format(self.status) end
  if self.sqlstate then marks[#marks + 1] = "SQLSTATE " .. self.sqlstate end
  if self.outcome then marks[#marks + 1] = (self.outcome:gsub("_", " ")) end
  if self.attempts and self.attempts > 1 then marks[#marks + 1] = ("%d attempts"):format(self.attempts) end
  local text = one_line(self.message) .. " (" .. table.concat(marks, ", ") .. ")"
  -- Messages about what was given may begin with its name, which is the call's too.
  if self.operation and text:sub(1, #self.operation + 1) ~= self.operation .. ":" then
    text = one_line(self.operation) .. ": " .. text
  end
  if self.hint then text = text .. "; " .. one_line(self.hint) end
  return printing.harmless(text)
end

function Error.__concat(a, b)
  return tostring(a) .. tostring(b)
end

-- What json() writes for a field; nil leaves it out. A report or cause that does
-- not fit into JSON is worth less than the rest of the error, so it is dropped.
local function encode_field(encode, name, value)
  if name == "cause" then
    return M.is(value) and value:json() or encode(one_line(value))
  end
  if name == "report" and type(value) == "table" then
    local own = value.json
    local ok, text = pcall(type(own) == "function" and own or encode, value)
    return ok and text or nil
  end
  return encode(value)
end

--- The error as one JSON object; field order is fixed.
---@return string
function Error:json()
  local cjson, escaped = require "cjson", require("crdbcloud.base.json").escaped
  local function encode(value) return escaped(cjson.encode(value)) end
  local parts = {}
  for _, name in ipairs(FIELDS) do
    local value = self[name]
    if value ~= nil and ALLOWED[name] then
      local text = encode_field(encode, name, value)
      if text then parts[#parts + 1] = encode(name) .. ":" .. text end
    end
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- Where this library's files are: "@/usr/share/lua/5.4/crdbcloud/".
local LIBRARY = debug.getinfo(1, "S").source:match("^(@.*[/\\])errors%.lua$")

-- The level, as error() counts it for the caller of this function, of the
-- nearest Lua code that is no part of the library; 0, no position, when there is none:
-- `return call()`, as a prompt makes it of an expression, leaves nothing of the caller.
local function caller_level()
  local level = 2
  while LIBRARY do
    local info = debug.getinfo(level, "S")
    if not info then break end
    if info.what ~= "C" and info.source:sub(1, #LIBRARY) ~= LIBRARY then return level - 1 end
    level = level + 1
  end
  return 0
end

--- Raises misuse at the line of the one who made the mistake: the nearest code outside the library, however deep we are.
---@param fmt string for string.format when more arguments follow
function M.raise(fmt, ...)
  error(select("#", ...) > 0 and fmt:format(...) or fmt, caller_level())
end

--- A raised text without the position in front of it, so that it can be raised again at another.
---@param problem any
---@return string
function M.bare(problem)
  return (tostring(problem):gsub("^[^\n]-:%d+: ", "", 1))
end

local NOUNS = { ["nil"] = "nothing", table = "a table", ["function"] = "a function" }

--- Says what came in place of what was expected, for messages; never shows a userdata's content.
---@return string
function M.shown(v)
  if type(v) == "string" then
    local cut = #v > 40 and v:sub(1, 37) .. "..." or v
    return '"' .. one_line(cut) .. '"'
  end
  if type(v) == "number" or type(v) == "boolean" then return tostring(v) end
  if type(v) == "userdata" then
    local mt = debug.getmetatable(v)
    return "a " .. (type(mt) == "table" and type(mt.__name) == "string" and mt.__name or "userdata")
  end
  return NOUNS[type(v)] or ("a " .. type(v))
end

return M
