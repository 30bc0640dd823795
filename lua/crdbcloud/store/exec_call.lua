--- One call of the command behind an exec: store: a JSON object on its standard input, one on its standard output.
--
-- The protocol is told in examples/stores/README.md. Values travel as base64 in a
-- member "value", which goes and comes as a secret; all else is plain. What the
-- command prints is never shown, as it may hold passwords: of a failure it may
-- tell one word.

local cjson = require("cjson.safe").new()
local core = require "crdbcloud.core"
local durations = require "crdbcloud.base.durations"
local errors = require "crdbcloud.errors"
local store = require "crdbcloud.store"

local M = {}

M.PROTOCOL = 1

local MAX_ANSWER = 64 * 1024 * 1024 -- bytes; a list of 500,000 keys

-- The words that a command may give as "error", and what they tell a person.
local WORDS = {
  unavailable = "the secret manager cannot be reached",
  denied = "the secret manager refused access",
  full = "the secret manager has no room",
  invalid = "the command did not understand the request",
  failed = "the secret manager reported a failure",
}

---@class crdbcloud.store.exec_call
---@field url string for people
---@field command string[]
---@field timeout number seconds
local Call = {}
Call.__index = Call

---@return crdbcloud.store.exec_call
function M.new(url, command, timeout)
  return setmetatable({ url = url, command = command, timeout = timeout }, Call)
end

local function request_of(fields, value)
  local text = assert(cjson.encode(fields))
  if not value then return core.secret(text .. "\n") end
  return core.secret_join { text:sub(1, -2), ',"value":"', value, '"}\n' }
end

function Call:failed(op, what, fields)
  fields = fields or {}
  fields.hint = fields.hint
    or ("what it prints is not shown, as it may hold passwords; try: echo '{\"op\":\"hello\",\"protocol\":%d}' | %s"):format(M.PROTOCOL, self.command[1])
  return store.failed(("store %s: %s"):format(self.url, op), what, fields)
end

-- How the command ended, when that alone says that it failed.
local function ending(self, result)
  local where = ("(%d bytes on standard error)"):format(#result.stderr)
  if result.timed_out then return ("no answer within %s, stopped %s"):format(durations.format(self.timeout), where), "timeout" end
  if result.truncated then return "its answer is too long " .. where, "large" end
  if result.signal then return ("ended by signal %d %s"):format(result.signal, where), "signal" end
  if result.status and result.status ~= 0 then return ("exit status %d %s"):format(result.status, where), "status" end
  -- Without a status (the host program took it) a whole answer speaks for itself.
  return nil
end

local function read_answer(result)
  local rest, secrets = core.json_take(result.stdout, { "value" })
  result.stdout:close()
  result.stderr:close()
  local answer = rest and cjson.decode(rest)
  if type(answer) ~= "table" or type(answer.ok) ~= "boolean" then return nil end
  for name, value in pairs(answer) do
    if type(value) == "userdata" then answer[name] = nil end -- null
  end
  answer.value = secrets.value
  return answer
end

--- Runs the command once.
---@param fields table op, key, … as of the protocol
---@param value? userdata secret in base64
---@return table|nil answer with ok = true, or error = "conflict"
---@return crdbcloud.error|nil err
function Call:run(fields, value)
  local request = request_of(fields, value)
  local result, why, code = core.run(self.command, {
    stdin = request, inherit = true, timeout = self.timeout, max_output = MAX_ANSWER,
  })
  request:close()
  if not result then return nil, self:failed(fields.op, why, { reason = code }) end
  local problem, reason = ending(self, result)
  local answer = read_answer(result)
  if answer and answer.ok == false then
    if answer.error == "conflict" then return answer end
    local word = WORDS[answer.error or ""] and answer.error or "failed"
    return nil, self:failed(fields.op, WORDS[word], { reason = word, retryable = word == "unavailable" or nil })
  end
  if problem then return nil, self:failed(fields.op, problem, { reason = reason }) end
  if not answer then return nil, self:failed(fields.op, "its answer is not one JSON object with \"ok\"", { reason = "answer" }) end
  return answer
end

--- Asks the command what it is.
---@return table|nil answer
---@return crdbcloud.error|nil
function Call:hello()
  local answer, err = self:run { op = "hello", protocol = M.PROTOCOL }
  if answer and (answer.error or answer.protocol ~= M.PROTOCOL or type(answer.cas) ~= "boolean") then
    answer, err = nil, self:failed("hello", ("it must answer {\"ok\":true,\"protocol\":%d,\"cas\":true|false}"):format(M.PROTOCOL), { reason = "answer" })
  end
  if err then err.outcome = "not_sent" end
  return answer, err
end

-- A version is the command's own text; we only give it back.
local function version_of(answer)
  local version = answer.version
  return type(version) == "string" and version ~= "" and #version <= 256 and version or nil
end

--- The value of a key.
---@return userdata|nil value secret in base64; nil without err: no such key
---@return string|crdbcloud.error|nil version_or_err
function Call:get(key)
  local answer, err = self:run { op = "get", key = key }
  if not answer then
    err.outcome = "not_sent"
    return nil, err
  end
  if answer.found == false then return nil end
  local version = version_of(answer)
  if answer.found ~= true or not answer.value or not version then
    return nil, self:failed("get", "its answer lacks found, value or version", { reason = "answer", outcome = "not_sent" })
  end
  return answer.value, version
end

-- After an answer that was lost, or may be about our own first try: what is there now.
local function look(self, key, value, version, err)
  local there, now = self:get(key)
  if errors.is(now) then
    return nil, self:failed("put", "it is not known whether the record was written: " .. now.message, { cause = err, reason = "unknown" })
  end
  if there and there:equals(value) then return now end
  if (there and now or nil) ~= version then return nil, store.conflict(key) end
  return nil, err
end

--- Writes a value if the version is still the one given (nil: if there is none). No two values are alike, so a lost
--- answer is found out by reading.
---@param value userdata secret in base64
---@return string|nil version
---@return crdbcloud.error|nil
function Call:put(key, value, version)
  local answer, err = self:run({ op = "put", key = key, version = version or cjson.null }, value)
  if answer and answer.error then err = store.conflict(key) end
  local new = answer and answer.ok and version_of(answer)
  if new then return new end
  return look(self, key, value, version, err or self:failed("put", "its answer has no version", { reason = "answer" }))
end

--- Removes a key if its version is still the one given.
---@return true|nil
---@return crdbcloud.error|nil
function Call:remove(key, version)
  local answer, err = self:run { op = "remove", key = key, version = version or cjson.null }
  if answer and answer.ok then return true end
  local there, now = self:get(key)
  if errors.is(now) then return nil, err or now end
  if not there then return true end -- by us: the answer was lost; or by somebody else
  if now ~= version then return nil, store.conflict(key) end
  return nil, err or store.conflict(key)
end

--- The keys that begin with prefix.
---@return string[]|nil
---@return crdbcloud.error|nil
function Call:list(prefix)
  local answer, err = self:run { op = "list", prefix = prefix }
  if not answer then return nil, err end
  local keys = answer.keys
  if type(keys) ~= "table" then return nil, self:failed("list", "its answer has no list of keys", { reason = "answer" }) end
  for i, key in ipairs(keys) do
    if type(key) ~= "string" or key:sub(1, #prefix) ~= prefix then
      return nil, self:failed("list", ("key %d of its answer does not begin with what was asked for"):format(i), { reason = "answer" })
    end
  end
  return keys
end

return M
