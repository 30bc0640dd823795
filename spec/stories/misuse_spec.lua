-- Tests lua/crdbcloud/base/guard.lua, lua/crdbcloud/run/rules.lua.
--
-- Every public call, called wrongly: a dot in place of a colon, arguments forgotten, of a wrong type, or too many. Each
-- says what is wrong, at the caller's line, shows no password, and sends nothing.

local crdbcloud = require "crdbcloud"

local ID = "35c4abb2-bb66-46d7-afed-25ebef5ed2aa"
local PASSWORD = "gX7mZp0QeR2tW9"

-- Nobody listens there: a call that was sent would come back as an error, not raise.
local cloud = assert(crdbcloud.new { api_key = "CCDB1_x_y", base_url = "http://127.0.0.1:1", rate = 0, max_attempts = 1 })
local cluster = assert(cloud:cluster("prod-eu", { store = "memory:" }))
local store = assert(crdbcloud.store.open "memory:")
local source = assert(crdbcloud.credentials { source = "memory:", user = "app" })
local sql = require("crdbcloud.sql").wrap({ query = function() return {} end, is_open = function() return true end, close = print },
  { info = {} })
local secret = crdbcloud.secret(PASSWORD)
local credential = require("crdbcloud.credential").make({ user = "app", cluster_id = ID, sends = {} }, { epoch = 1, password = secret })

local OBJECTS = {
  cloud = { cloud, require("crdbcloud.cloud").CLASS }, cluster = { cluster, require("crdbcloud.cluster").CLASS },
  sql = { sql, require("crdbcloud.sql").CLASS }, store = { store, getmetatable(store) },
  credentials = { source, require("crdbcloud.credentials").SOURCE }, credential = { credential, getmetatable(credential) },
}

-- Object, method, arguments, what the error says.
local CASES = {
  { "cloud", "list_sql_users", {}, "cluster_id is missing" },
  { "cloud", "list_sql_users", { ID, 7 }, "options must be a table, got 7" },
  { "cloud", "list_sql_users", { ID, {}, 1 }, "takes at most 2 arguments, got 3" },
  { "cloud", "create_sql_user", { ID, "app" }, "password is missing" },
  { "cloud", "create_sql_user", { ID, "app", PASSWORD, PASSWORD }, "options must be a table, got a string" },
  { "cloud", "delete_sql_user", { ID }, "name is missing" },
  { "cloud", "update_sql_user_password", { ID, "app", 123456789012 }, "password must be a string or a secret" },
  { "cloud", "list_clusters", { "all" }, "options must be a table, got a string" },
  { "cloud", "get_cluster", {}, "cluster_id is missing" },
  { "cloud", "get_connection_string", { ID, { os = "BEOS" } }, "os must be one of MAC, LINUX, WINDOWS" },
  { "cloud", "list_databases", { 7 }, "cluster_id must be a cluster id" },
  { "cloud", "list_audit_logs", { { limt = 1 } }, 'did you mean "limit"?' },
  { "cloud", "all_sql_users", {}, "cloud:all_sql_users(cluster_id, options): cluster_id is missing" },
  { "cloud", "all_clusters", { 1 }, "options must be a table, got 1" },
  { "cloud", "all_databases", {}, "cluster_id is missing" },
  { "cloud", "sql_users", {}, "cloud:sql_users(cluster_id, options): cluster_id is missing" },
  { "cloud", "clusters", { { limit = 0 } }, "limit must be a whole number from 1" },
  { "cloud", "databases", { true }, "cluster_id must be a cluster id" },
  { "cloud", "find_cluster", {}, "name_or_id must be a cluster's name or id, got nothing" },
  { "cloud", "cluster", { 7 }, "expected the name or id of a cluster, got 7" },
  { "cloud", "cluster", { "prod", { stor = "memory:" } }, 'did you mean "store"?' },
  { "cloud", "request", {}, "method must be GET" },
  { "cloud", "rotate_passwords", {}, "clusters is missing" },
  { "cloud", "plan_rotation", { { clusters = "all" } }, "users is missing" },
  { "cloud", "resume", { { clusters = {} } }, "clusters must be a list of names or ids" },
  { "cloud", "rotation_status", { { cluster = "all" } }, 'did you mean "clusters"?' },

  { "cluster", "list_sql_users", { ID }, "cluster:list_sql_users(options): options must be a table, got a string" },
  { "cluster", "all_sql_users", { {}, 1 }, "takes at most 1 argument, got 2" },
  { "cluster", "sql_users", { 7 }, "cluster:sql_users(options): options must be a table" },
  { "cluster", "create_sql_user", { "app" }, "cluster:create_sql_user(name, password, options): password is missing" },
  { "cluster", "create_sql_user", { ID, "app", PASSWORD }, "options must be a table, got a string" },
  { "cluster", "delete_sql_user", {}, "cluster:delete_sql_user(name, options): name is missing" },
  { "cluster", "delete_sql_user", { { name = "app" } }, "name must be the name of a SQL user, got a table" },
  { "cluster", "update_sql_user_password", { "app" }, "password is missing" },
  { "cluster", "get_cluster", { ID }, "cluster:get_cluster(options): options must be a table" },
  { "cluster", "get_connection_string", { { user = "app" } }, 'did you mean "sql_user"?' },
  { "cluster", "list_databases", { { page = 7 } }, "page must be a string, got 7" },
  { "cluster", "all_databases", { "x" }, "options must be a table" },
  { "cluster", "databases", { "x" }, "options must be a table" },
  { "cluster", "create_app_user", {}, "create_app_user: name is missing" },
  { "cluster", "create_app_user", { { name = "app" } }, "access is missing, e.g." },
  { "cluster", "create_app_user", { "app" }, "options must be a table" },
  { "cluster", "create_app_user", { { nmae = "app" } }, 'did you mean "name"?' },
  { "cluster", "create_app_user", { { name = "app", roles = "x", access = 7 } }, "access must be a table, got 7" },
  { "cluster", "rotate_passwords", {}, "users is missing" },
  { "cluster", "rotate_passwords", { "managed" }, "options must be a table" },
  { "cluster", "rotate_passwords", { { users = 7 } }, "users must be a name" },
  { "cluster", "rotate_passwords", { { users = "all", max_age = 90, parallel = 0 } }, "parallel must be a whole number from 1" },
  { "cluster", "rotate_password", {}, "user is missing" },
  { "cluster", "rotate_password", { "app", PASSWORD }, "cluster:rotate_password takes one table of options, got 2 arguments" },
  { "cluster", "plan_rotation", { { users = "all", verify = true } }, 'verify must be "auto", "require" or false, got true' },
  { "cluster", "rollback_password", {}, "user is missing" },
  { "cluster", "resume", { "app" }, "options must be a table" },
  { "cluster", "resume", { { user = "app" } }, 'unknown option "user"' },
  { "cluster", "rotation_status", { { user = "app" } }, "it takes none" },
  { "cluster", "history", { { since = "yesterday" } }, "since must be seconds since 1970 or a date" },
  { "cluster", "import_credential", { { user = "app" } }, "password is missing" },
  { "cluster", "import_credential", { { user = "app", pasword = PASSWORD } }, 'did you mean "password"?' },
  { "cluster", "access", {}, "access: user must be a name, got nothing" },
  { "cluster", "set_access", { { user = "app" } }, "nothing to set" },
  { "cluster", "disable_user", {}, "user is missing" },
  { "cluster", "enable_user", { 7 }, "options must be a table, got 7" },
  { "cluster", "remove_app_user", {}, "user is missing" },
  { "cluster", "pair_sql", { { confrm = "sandbox-one" } }, 'did you mean "confirm"?' },
  { "cluster", "probe", { { timout = 3 } }, "unknown option" },
  { "cluster", "credential", {}, "cluster:credential: user must be a name, got nothing" },
  { "cluster", "credential", { { name = "app" } }, "unknown option \"name\"" },
  { "cluster", "connect_with", { print }, "cluster:connect_with: user must be a name, got a function" },
  { "cluster", "connect_with", { "app" }, "expected a function that takes a credential, got nothing" },

  { "sql", "query", {}, "statement must be a string, got nothing" },
  { "sql", "query", { "SELECT $1", {} }, "parameter $1 must be a string, secret, number, boolean or nil, got a table" },
  { "sql", "database", {}, "name must be a string that is not empty, got nothing" },
  { "store", "get", {}, 'key must be "CLUSTER_ID/USER", got nothing' },
  { "store", "put", { "c/u" }, "record must be a table, got nothing" },
  { "store", "list", {}, 'prefix must be a string ("" for all), got nothing' },
  { "store", "remove", { "u" }, 'key must be "CLUSTER_ID/USER", got "u"' },
  { "store", "lock", { 7 }, 'key must be "CLUSTER_ID/USER", got 7' },
  { "credentials", "connect_with", {}, "expected a function that takes a credential, got nothing" },
  { "credentials", "connect_with", { print, "10s" }, "options must be a table" },
}

-- Function of crdbcloud by its path, arguments, what the error says.
local FUNCTIONS = {
  { "new", { "key" }, "crdbcloud.new: options must be a table, got a string" },
  { "new", { crdbcloud }, "crdbcloud.new: call it with a dot, not with a colon" },
  { "new", { {}, {} }, "crdbcloud.new takes one table of options, got 2 arguments" },
  { "new", { { api_key = {} } }, "api_key must be a string, a secret or a function" },
  { "secret", {}, "text must be a string, got nothing" },
  { "secret.from_file", {}, "path must be a string that is not empty, got nothing" },
  { "secret.from_env", { 7 }, "name must be a string that is not empty, got 7" },
  { "secret.prompt", { 7 }, "text must be a string that is not empty, got 7" },
  { "secret.of", {}, "value must be a string or a secret, got nothing" },
  { "password.generate", { 40 }, "options must be a table, got 40" },
  { "password.generate", { { length = 8 } }, "length must be a whole number from 12 to 500, got 8" },
  { "password.check", {}, "password must be a string or a secret, got nothing" },
  { "password.check", { PASSWORD, "app" }, "options must be a table, got a string" },
  { "names.check", {}, "user name must be a string, got nothing" },
  { "names.fold", {}, "names.fold: name must be a string, got nothing" },
  { "names.note", { 7 }, "names.note: name must be a string, got 7" },
  { "names.is_protected", {}, "names.is_protected: name must be a string, got nothing" },
  { "names.is_sso", { {} }, "names.is_sso: name must be a string, got a table" },
  { "privileges.plan", { {} }, "privileges.plan: user must be a name, got nothing" },
  { "privileges.plan", { {}, { usr = "app" } }, 'did you mean "user"?' },
  { "privileges.apply", { "postgresql://h/d" }, "sql must be a connection of crdbcloud.sql" },
  { "privileges.inspect", {}, "sql must be a connection of crdbcloud.sql, got nothing" },
  { "privileges.diff", {}, "must be a table, got nothing" },
  { "privileges.diff", { { database = "shop", preset = "readonly" }, { grants = {} } }, "actual must be what privileges.inspect gave" },
  { "privileges.describe", { {} }, "grant must be one of what inspect and diff give" },
  { "privileges.demote", {}, "sql must be a connection" },
  { "privileges.refused", {}, "sql must be a connection" },
  { "privileges.cancel_sessions", {}, "sql must be a connection" },
  { "privileges.cancel_statement", {}, "user must be a name, got nothing" },
  { "privileges.set_login", { sql, "app" }, "allowed must be true or false, got nothing" },
  { "sql.connect", {}, "expected a URL (string or secret) or a table of fields, got nothing" },
  { "sql.connect", { { hots = "h" } }, 'did you mean "host"?' },
  { "sql.options", { 7 }, "options must be a table, got 7" },
  { "store.open", {}, 'expected a URL such as "file:/var/lib/crdbcloud", got nothing' },
  { "store.open", { "memory:", { key_file = "x" } }, 'did you mean "store_key_file"?' },
  { "store.init", { 7 }, "expected a URL" },
  { "credentials", {}, "source is missing: a store's URL or json:PATH" },
  { "credentials", { { source = "memory:" } }, "user is missing" },
  { "credentials", { { source = "memory:", user = "app" }, 1 }, "crdbcloud.credentials takes one table of options, got 2 arguments" },
  { "credentials", { { source = "memory:", usr = "app" } }, 'did you mean "user"?' },
  { "main", {}, "expected a function, got nothing" },
}

-- What a spec's own line says when fn(...) is called wrongly there.
local function refused(words, fn, ...)
  local args, n = { ... }, select("#", ...)
  local here = debug.getinfo(1, "l").currentline + 1
  local ok, message = pcall(function() local value = fn((table.unpack or unpack)(args, 1, n)) return value end)
  assert.is_false(ok, "it was taken")
  assert.is_string(message)
  assert.truthy(message:find(words, 1, true), message)
  assert.equal(("spec/stories/misuse_spec.lua:%d:"):format(here), message:match "^[^:]+:%d+:", message)
  assert.is_nil(message:find(PASSWORD, 1, true), message)
end

describe("a call that is wrong", function()
  for name, object in pairs(OBJECTS) do
    for method, fn in pairs(object[2]) do
      if type(fn) == "function" and not method:find "^_" then
        it(("with a dot in place of a colon says so: %s.%s"):format(name, method), function()
          for _, first in ipairs { "app", 7, {}, ID } do refused("call it with a colon", fn, first) end
          refused("call it with a colon", fn)
        end)
      end
    end
  end

  for _, case in ipairs(CASES) do
    it(("says %q: %s:%s"):format(case[4], case[1], case[2]), function()
      local object = OBJECTS[case[1]][1]
      refused(case[4], object[case[2]], object, (table.unpack or unpack)(case[3]))
    end)
  end

  for _, case in ipairs(FUNCTIONS) do
    it(("says %q: crdbcloud.%s"):format(case[3], case[1]), function()
      local fn = crdbcloud
      for part in case[1]:gmatch "[^.]+" do fn = fn[part] end
      refused(case[3], fn, (table.unpack or unpack)(case[2]))
    end)
  end

  it("of a secret says what was expected", function()
    refused("expected a secret, got nothing", secret.reveal)
    refused("expected a secret, got string", secret.reveal, PASSWORD)
    refused("expected a string or a secret, got nothing", secret.equals, secret)
    refused("form: expected a string, got nothing", secret.encode, secret)
  end)

  it("is here for every method that takes arguments", function()
    local seen = {}
    for _, case in ipairs(CASES) do seen[case[1] .. ":" .. case[2]] = true end
    for _, name in ipairs { "cloud", "cluster" } do
      for _, chapter in ipairs(require("crdbcloud.reference").chapters(name)) do
        for _, entry in ipairs(chapter.entries) do
          if entry.args or entry.options then
            assert.is_true(seen[name .. ":" .. entry.name], ("no case for %s:%s"):format(name, entry.name))
          end
        end
      end
    end
  end)
end)
