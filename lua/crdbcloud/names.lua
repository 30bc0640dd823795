--- Names of SQL users, by CockroachDB's own rule.
-- CockroachDB folds every name, quoted ones too: lower case, then Unicode NFC.
-- Two names are the same user exactly when their folded forms are equal, so
-- everything here returns or takes folded names.

local core = require "crdbcloud.core"
local errors = require "crdbcloud.errors"

local M = {}

local LONGEST = 63 -- bytes, of the folded name

-- Exist in every cluster, or cannot be created (pkg/security/username of CockroachDB).
local PROTECTED = { root = true, admin = true, public = true, none = true, node = true }
local PROTECTED_PREFIXES = { "pg_", "crdb_internal" }

local function check_text(name, what)
  if type(name) ~= "string" then errors.raise("%s: name must be a string, got %s", what, errors.shown(name)) end
end

-- Lower case and NFC, of which ASCII needs the first only; nil for broken UTF-8.
local function folded_form(name)
  if name:find "[\128-\255]" then return core.fold_name(name) end
  return name:lower()
end

--- The folded form, for comparing. A name that cannot be folded (broken UTF-8) comes back in lower case: it equals no
--- valid name, and comparing never fails.
---@param name string
---@return string
function M.fold(name)
  check_text(name, "names.fold")
  return folded_form(name) or name:lower()
end

--- True for names that no workflow may ever touch: root, admin, public, none, node, pg_*, crdb_internal*.
---@param folded string
function M.is_protected(folded)
  check_text(folded, "names.is_protected")
  if PROTECTED[folded] then return true end
  for _, prefix in ipairs(PROTECTED_PREFIXES) do
    if folded:sub(1, #prefix) == prefix then return true end
  end
  return false
end

--- True for users made by Cluster SSO (sso_<email>); they have no password in use.
---@param folded string
function M.is_sso(folded)
  check_text(folded, "names.is_sso")
  return folded:sub(1, 4) == "sso_"
end

--- What to know about a valid name, or nil: a keyword works, but SQL has to quote it.
---@param folded string
---@return string|nil
function M.note(folded)
  check_text(folded, "names.note")
  if require("crdbcloud.base.keywords")[folded] then
    return ('"%s" is an SQL keyword: allowed as a user name, but SQL must write it in double quotes'):format(folded)
  end
  return nil
end

-- The character that starts at a byte offset, readable in a message.
local function character_at(s, offset)
  local char = s:match("^[%z\1-\127\194-\244][\128-\191]*", offset) or s:sub(offset, offset)
  if char == " " then return "a space" end
  if char:match "^%c" then return ("the control character 0x%02x"):format(char:byte()) end
  return '"' .. char .. '"'
end

local function refused(message, hint)
  return nil, errors.new {
    kind = "invalid_argument", message = message, hint = hint, outcome = "not_sent", reason = "user_name",
  }
end

local RULE = "use letters, digits, _, - and ., starting with a letter, a digit or _; 1 to 63 bytes"

--- Checks the name of a SQL user.
---@param name string
---@return string|nil folded the form that the cluster stores; send and compare this one
---@return crdbcloud.error|nil err kind "invalid_argument"
function M.check(name)
  if type(name) ~= "string" then
    errors.raise("user name must be a string, got %s", errors.shown(name))
  end
  if name == "" then return refused("user name is empty", RULE) end
  local folded = folded_form(name)
  if not folded then
    return refused("user name is not valid UTF-8", RULE)
  end
  local problem, offset = core.name_problem(folded)
  if not problem and not M.is_protected(folded) then return folded end
  local shown = errors.shown(name)
  if problem == "long" then
    return refused(("user name %s is %d bytes long; the limit is %d"):format(shown, #folded, LONGEST), RULE)
  elseif problem == "start" then
    return refused(("user name %s must not start with %s"):format(shown, character_at(folded, 1)), RULE)
  elseif problem == "character" then
    return refused(("user name %s must not contain %s"):format(shown, character_at(folded, offset or 1)), RULE)
  elseif problem then
    return refused(("user name %s is %s"):format(shown, problem), RULE)
  end
  if PROTECTED[folded] then
    return refused(("user name %s is reserved: it belongs to the cluster itself"):format(shown), "choose another name")
  end
  return refused(("user name %s is reserved: names that start with pg_ or crdb_internal belong to the cluster itself")
    :format(shown), "choose another name")
end

return M
