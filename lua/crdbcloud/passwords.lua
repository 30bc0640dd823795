--- Passwords: made at random, or checked when a person chose them.

local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"
local options = require "crdbcloud.base.options"

local M = {}

--- Character classes for `generate{classes = {...}}`.
M.LOWER = "abcdefghijklmnopqrstuvwxyz"
M.UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
M.DIGITS = "0123456789"

-- Bytes; what the service takes.
M.SHORTEST, M.LONGEST = 12, 500

-- 32 of 62 characters are 190 bits, and none of them needs escaping in a URL, a
-- shell, YAML, JSON or an SQL literal.
local DEFAULT_LENGTH = 32
local BASE62 = M.LOWER .. M.UPPER .. M.DIGITS

local function refused(operation, message, hint, reason)
  return nil, errors.new {
    kind = "invalid_argument", operation = operation, message = message, hint = hint, reason = reason,
    outcome = "not_sent",
  }
end

-- Printable ASCII without space, each character once.
local function check_characters(value, name)
  if type(value) ~= "string" or #value < 2 then
    errors.raise("%s must be a string of at least 2 characters, got %s", name, errors.shown(value))
  end
  local odd = value:match "[^\33-\126]"
  if odd then
    errors.raise("%s must hold printable ASCII characters other than space, got byte 0x%02x", name,
      odd:byte())
  end
  local seen = {}
  for c in value:gmatch "." do
    if seen[c] then errors.raise('%s holds "%s" twice', name, c) end
    seen[c] = true
  end
  return value
end

local function check_classes(value, name)
  if type(value) ~= "table" then
    errors.raise("%s must be a list of strings, got %s", name, errors.shown(value))
  end
  local copy = {}
  for i, class in ipairs(value) do
    if type(class) ~= "string" or class == "" then
      errors.raise("%s[%d] must be a string of characters, got %s", name, i, errors.shown(class))
    end
    copy[i] = class
  end
  for key in pairs(value) do
    if copy[key] == nil then
      errors.raise("%s must be a list of strings, got the key %s", name, tostring(key))
    end
  end
  return copy
end

local function check_length(value, name)
  if not options.is_integer(value) or value < M.SHORTEST or value > M.LONGEST then
    errors.raise("%s must be a whole number from %d to %d, got %s", name, M.SHORTEST, M.LONGEST,
      errors.shown(value))
  end
  return value
end

local GENERATE = { length = check_length, alphabet = check_characters, classes = check_classes }

--- Makes a password with the kernel's random numbers; it never becomes a Lua string.
---@param opts {length: integer?, alphabet: string?, classes: string[]?}|nil length in bytes, default 32; alphabet
---  default letters and digits (the first character is a letter); classes: at least one character of each string
---@return crdbcloud.secret|nil
---@return crdbcloud.error|nil err kind "invalid_argument": the classes cannot be met
function M.generate(opts)
  local o = options.check(GENERATE, opts, "password.generate")
  local secret, message = core.password(o.length or DEFAULT_LENGTH, o.alphabet or BASE62, o.classes)
  if secret then return secret end
  return refused("password.generate", message, "drop a class, or make the password longer", "impossible")
end

local CHECK = { user = "text", words = "table" }

local function bad(reason, message)
  return refused("password.check", message, "use crdbcloud.password.generate()", reason)
end

local PROBLEMS = {
  utf8 = "password is not valid UTF-8",
  control = "password holds a control character, such as a newline at its end",
  hash = "password has the form of a stored hash, and the database would take it for one",
  name = "password is the user's name",
  common = "password is made of common words, names, years or sequences and is easy to guess",
}

--- Checks a password that somebody chose: 12 to 500 bytes, not the user's name, not a common one, not a hash form.
--- A secret is judged in C and does not become a Lua string.
---@param password string|crdbcloud.secret
---@param opts {user: string?, words: string[]?}|nil words: more that are easy to guess, such as the cluster's name
---@return true|nil
---@return crdbcloud.error|nil err kind "invalid_argument"; never shows the password
function M.check(password, opts)
  local o = options.check(CHECK, opts, "password.check")
  if type(password) ~= "string" and not (type(password) == "userdata" and core.is_secret(password)) then
    errors.raise("password must be a string or a secret, got %s",
      type(password) == "number" and "a number" or errors.shown(password))
  end
  local length = #password
  if length == 0 then return bad("empty", "password is empty") end
  if length < M.SHORTEST then
    return bad("short", ("password is %d byte%s long; at least %d are needed"):format(length, length == 1 and "" or "s", M.SHORTEST))
  elseif length > M.LONGEST then
    return bad("long", ("password is %d bytes long; at most %d are allowed"):format(length, M.LONGEST))
  end
  local problem = core.password_problem(password, o.user, o.words)
  if problem then return bad(problem, PROBLEMS[problem]) end
  return true
end

return M
