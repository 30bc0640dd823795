--- The two dialects and what each can do. Found by asking the server, never by its address.

local M = {}

---@alias crdbcloud.dialect "cockroachdb"|"postgresql"

---@class crdbcloud.dialect.traits
---@field name crdbcloud.dialect
---@field cross_database boolean one session can name objects of every database
---@field name_limit integer? bytes; the server cuts longer names off without a word
---@field folds_users boolean user names are folded even in quotes
---@field server_id string asks for what names a server for as long as it lives, wherever it is reached

---@type table<string, crdbcloud.dialect.traits>
M.traits = {
  cockroachdb = {
    name = "cockroachdb", cross_database = true, folds_users = true,
    server_id = "SELECT crdb_internal.cluster_id()::STRING AS answer",
  },
  postgresql = {
    name = "postgresql", cross_database = false, name_limit = 63, folds_users = false,
    server_id = "SELECT system_identifier::text AS answer FROM pg_catalog.pg_control_system()",
  },
}

--- Reads the answer to `SELECT version()`.
---@param version string "CockroachDB CCL v25.2.1 (...)", "PostgreSQL 15.4 on ..."
---@return crdbcloud.dialect|nil
function M.detect(version)
  if type(version) ~= "string" then return nil end
  if version:find("CockroachDB", 1, true) then return "cockroachdb" end
  if version:find("^PostgreSQL") then return "postgresql" end
  return nil
end

--- What names a server for as long as it lives.
---@param name crdbcloud.dialect
---@param query fun(text: string): table|nil runs a statement
---@param ask fun(text: string): string|nil, crdbcloud.error|nil gives the one value of a statement's answer
---@return string|nil
---@return crdbcloud.error|nil
function M.server_id(name, query, ask)
  local question = M.traits[name].server_id
  local id, err = ask(question)
  -- CockroachDB from 26.1 on keeps crdb_internal from sessions that did not ask for it; before, it does not know the word.
  if not id and name == "cockroachdb" and query "SET allow_unsafe_internals = true" then
    id, err = ask(question)
    query "RESET allow_unsafe_internals"
  end
  return id, err
end

--- True for the name of a dialect.
function M.is(name)
  return M.traits[name] ~= nil
end

return M
