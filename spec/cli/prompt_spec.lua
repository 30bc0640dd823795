-- Tests lua/crdbcloud/cli/explain.lua, lua/crdbcloud/cli/shell.lua.
--
-- The prompt as a person sees it: `crdbcloud shell` on a terminal, expressions typed, what each prints is checked.

local command = require "spec.support.command"
local scans = require "spec.support.secrets_scan"
local temp = require "spec.support.temp"
local terminal = require "spec.support.terminal"

local JIT = rawget(_G, "jit") ~= nil

-- What is typed, words that are printed, and words that are not. A statement begins with "!": LuaJIT shows what follows "=".
local EXPRESSIONS = {
  -- what is at hand
  { "cloud", { "crdbcloud.cloud https://127.0.0.1:", "CCDB1_" } },
  { "cluster", { "crdbcloud.cluster ", "store file:/" } },
  { "crdbcloud", { "crdbcloud 0.", "help() lists" } },
  { "crdbcloud.names", { "crdbcloud.names.check", "Checks a name" } },
  { "crdbcloud.version", { "0." } },
  { "crdbcloud.help == help", { "true" } },
  { "cloud:account()", { "https://127.0.0.1:" } },
  -- lists, pages and documents
  { "cloud:all_clusters()", { "name ", "plan ", "cockroach_version", "sandbox-one", "(5)" } },
  { "cluster:all_sql_users()", { "\napp_user_001\n", "\napp_user_005\n", "(8)" } },
  { "cluster:all_sql_users()[1]", { "app_user_001" }, { "table:" } },
  { "#cluster:all_sql_users()", { "8" } },
  { "cluster:list_sql_users { limit = 2 }", { "name\n", "(2)", "next_page  " } },
  { "cluster:list_sql_users { limit = 2 }.users", { "name\n", "(2)" }, { "next_page" } },
  { "cluster:all_databases()", { "table_count", "shop" } },
  { 'cloud:find_cluster "sandbox-one"', { "sandbox-one ", "BASIC GCP CREATED" } },
  { "cluster:get_cluster()", { "sandbox-one " }, { "table:" } },
  { 'cluster:get_connection_string { os = "LINUX" }', { "connection_string  ", "params\n", "  Host" } },
  { 'cloud:request("GET", "/api/v1/clusters/" .. cluster.name_or_id)', { "name ", "regions\n", "  -\n" } },
  -- iterators
  { "!for user in cluster:sql_users() do print(user) end", { "app_user_001\napp_user_002\n" } },
  { "!for c in cloud:clusters() do print(c.name, c) end", { "sandbox-one\tsandbox-one " } },
  { "cluster:databases()()", { "tables)" } },
  -- errors
  { 'cloud:find_cluster "sandbox-won"', { 'nil', 'find_cluster: no cluster', 'did you mean "sandbox-one"?' } },
  { 'select(2, cloud:find_cluster "nope").kind', { "not_found" } },
  { 'select(2, cloud:find_cluster "nope"):json()', { '{"kind":"not_found",' } },
  { 'cluster:credential "nobody"', { "nil", "the store holds no credential of nobody (not_found)" } },
  { 'cluster:access "nobody"', { "nil", "nobody: no such user on the cluster (not_found)" } },
  { 'cluster:rotate_password "nobody"', { "nil", "rotate_password: nobody: no such user on the cluster (not_found, not sent)" } },
  { 'select(2, cluster:rotate_password "nobody").report', { "rotate_password on sandbox-one, run ", "USER", "nobody", "failed" } },
  { '!error(select(2, cloud:find_cluster "nope"))', { "find_cluster: no cluster that this key may see is named" }, { "table:" } },
  -- workflows
  { 'cluster:plan_rotation { users = "all" }', { "(dry run, nothing sent)", "USER", "app_user_001", "rotate", "store file:" } },
  { 'cluster:rotate_password "app_user_001"', { "1 done", "app_user_001  done    1      accepted  none" } },
  { "cluster:rotation_status()", { "1 user on ", "0 open", "app_user_001  idle" } },
  { "cluster:history()", { "1 change on ", "app_user_001  1 " } },
  { "cluster:resume()", { "nothing to do" } },
  { 'cluster:access "app_user_001"', { "app_user_001: may log in, no admin" } },
  { '!report = assert(cluster:rotate_passwords { users = { "app_user_002", "app_user_003" }, on_progress = print })',
    { "[1/2] app_user_002: done", "[2/2] app_user_003: done" } },
  { "report.rows[2].user", { "app_user_003" } },
  -- what has no text of its own
  { "report.rows[2]", { "user ", "app_user_003", "result ", "done" } },
  { "cluster:rotation_status().rows", { "-\n  user ", "set_at ", "Z)" } },
  { 'cluster:credential "app_user_001".candidates', { "password  <secret 32 bytes>", "source ", "current" } },
  { 'cluster:access "app_user_001".grants', { "name ", "privilege " } },
  { "cluster:get_cluster().regions", { "name ", "us-east1" } },
  { "cloud.config", { "deadline", "base_url" } },
  { '{ user = "x", password = "Typed-By-Hand-1" }', { "user      x\npassword  (not shown)" } },
  -- secrets
  { 'cluster:credential "app_user_001"', { "crdbcloud.credential app_user_001@127.0.0.1:", "epoch 1" } },
  { 'cluster:credential "app_user_001".password', { "<secret 32 bytes>" } },
  { 'cluster:credential "app_user_001":url()', { "<secret " } },
  { "crdbcloud.password.generate { length = 40 }", { "<secret 40 bytes>" } },
  { '"x" .. cluster:credential "app_user_001".password', { ":reveal()" } },
  { 'cloud._account.secret, cloud._account.client', { "<secret ", "crdbcloud.client https://127.0.0.1" } },
  -- SQL, stores, statements
  { 'cluster:open_sql "prompt"', { "crdbcloud.sql sandbox_admin@127.0.0.1:", "/shop (open)" } },
  { 'cluster:open_sql "prompt":query("SELECT 1 AS one, NULL AS none, $1 AS two", "2")', { "one  none  two\n1          2\n(1)" } },
  { 'cluster:open_sql "prompt":query "SELECT nowhere"', { "nil", "SQLSTATE 42703" } },
  { 'crdbcloud.store.open "memory:"', { "crdbcloud.store memory: (lost with this process)" } },
  { 'crdbcloud.privileges.plan({ database = "shop", tables = { "orders" }, privileges = { "SELECT" } }, { user = "app" })',
    { 'GRANT SELECT ON TABLE' }, { "table:" } },
  { 'crdbcloud.sql.connect "postgresql://x:Hidden-Word-1@127.0.0.1:1/d"', { "nil", "sql.connect: " }, { "Hidden-Word-1@" , "(Hidden" } },
  -- calls that are wrong
  { 'cluster.rotate_passwords { users = "all" }', { "cluster:rotate_passwords: call it with a colon, on what cloud:cluster returned" } },
  { 'cluster:rotate_passwords { usres = "all" }', { 'rotate_passwords: unknown option "usres"; did you mean "users"?' } },
  { "cluster:rotate_passwords()", { "rotate_passwords: users is missing" } },
  { 'cluster:rotate_password("app_user_001", "Some-Password-1")', { "takes one table of options, got 2 arguments" } },
  { "cloud:list_sql_users()", { "cluster_id is missing; it is a cluster id" } },
  { 'cluster:create_sql_user "app"', { "cluster:create_sql_user(name, password, options): password is missing" } },
  { "cluster:list_sql_users { timeout = 30000 }", { 'for milliseconds write "30000ms"' } },
  { "crdbcloud:new {}", { "call it with a dot, not with a colon" } },
  { 'cluster:create_sql_user("ad min", crdbcloud.password.generate())', { "nil", 'user name "ad min" must not contain a space' } },
  -- help
  { "!help()", { "Workflows: cluster", "create_app_user, rotate_passwords", "Topics: access, sinks" } },
  { '!help "rotate_passwords"', { "cluster:rotate_passwords{ … }", "max_age", "keep_previous", 'default "24h"', "Returns report", "Errors", "Example",
    'See also help "cloud:rotate_passwords"' } },
  { "!help(cluster.rotate_password)", { "cluster:rotate_password{ user, … } or cluster:rotate_password(user)" } },
  { "!help(cloud)", { "The account", "cloud:find_cluster", "cloud:list_sql_users" } },
  { "!help(crdbcloud.secret)", { "Secrets", "crdbcloud.secret.prompt" } },
  { '!help "max_age"', { "option max_age", "cluster:rotate_passwords" } },
  { "!help(5)", { "exit 5: unknown", "crdbcloud rotate resume" } },
  { '!help(select(2, cloud:find_cluster "nope"))', { "kind not_found:", "exit 1: failed; nothing was changed" } },
  { '!help "access"', { "cluster:access(user)", "preset", '"readonly" or "readwrite" or "ddl"' } },
  { '!help "rotat_passwords"', { 'no help on "rotat_passwords"; did you mean "rotate_passwords"?' } },
  { "help", { "Workflows: cluster" } },
}

describe("the prompt", function()
  local case = command.case()
  local env, home, opened
  local s = case.sandbox

  setup(case.setup)
  before_each(function()
    env, home = case.before()
    opened = {}
  end)
  after_each(function()
    for _, t in ipairs(opened) do t:stop() end
    case.after()
  end)

  local function start(line, columns)
    local t = terminal.start(line, columns or 160)
    opened[#opened + 1] = t
    t:ready()
    return t
  end

  local function shell(args, columns) return start(command.line(args or { "shell" }, env), columns) end

  local function ask(t, expression)
    local statement = expression:match "^!(.*)$"
    return t:ask(statement or (JIT and "= " or "") .. expression)
  end

  local function shows(text, words)
    if not text:find(words, 1, true) then error(("expected %q in:\n%s"):format(words, text), 2) end
  end

  it(("prints well whatever is typed: %d expressions, and no secret in any"):format(#EXPRESSIONS), function()
    s:reset()
    local t = shell()
    for _, expression in ipairs(EXPRESSIONS) do
      local said = "\n" .. ask(t, expression[1]) .. "\n"
      for _, words in ipairs(expression[2]) do
        -- The terminal has blanks where a tab was.
        local found = said:find(words, 1, true) or said:gsub("%s+", " "):find((words:gsub("%s+", " ")), 1, true)
        assert(found, ("%s: expected %q in:%s"):format(expression[1], words, said))
      end
      for _, words in ipairs(expression[3] or {}) do assert(not said:find(words, 1, true), ("%s: found %q in:%s"):format(expression[1], words, said)) end
      assert.falsy(said:find "table: 0x", expression[1])
    end
    local scan = scans.new()
    scan:know("API key", temp.read(s.key_file):match "_([^_%s]+)%s*$")
    for user, password in pairs(s:passwords()) do scan:know("password of " .. user, password) end
    for _, user in ipairs { "app_user_001", "app_user_002", "app_user_003" } do
      local source = assert(require "crdbcloud".credentials { source = env.CRDBCLOUD_STORE, user = user })
      scan:know("new password of " .. user, assert(source:get()).password)
      source:close()
    end
    scan:look("the terminal", t:text())
    scan:assert_clean()
  end)

  it("cuts tables and folds texts on a narrow terminal", function()
    local t = shell({ "shell" }, 40)
    for _, expression in ipairs {
      "cloud:all_clusters()", "cluster:all_sql_users()", "cluster:get_cluster()", 'cluster:plan_rotation { users = { "app_user_001" } }',
      "cluster:rotation_status()", '!help "rotate_passwords"', "!help()",
    } do
      local said = ask(t, expression)
      for line in said:gmatch "[^\n]+" do
        local long = line:gsub("[\128-\191]", "")
        -- Ids, warnings and examples stay whole, to be copied.
        local whole = line:find "run %x+:" or line:find "^store " or line:find "^warning" or line:find "^  print" or line:find " users on "
        assert.is_true(whole ~= nil or #long <= 40, expression .. ": " .. line)
      end
    end
    shows(ask(t, "cloud:all_clusters()"), ">")
    shows(ask(t, "cluster:all_sql_users()"), "app_user_001\n")
    local plan = ask(t, 'cluster:plan_rotation { users = { "app_user_001" } }')
    shows(plan, "app_user_001  rotate")
    shows(plan, "\n    ")
  end)

  it("stops what runs at Ctrl-C, and stays", function()
    local t = shell()
    t:type "print 'it runs' while true do crdbcloud.core.sleep(0.001) end"
    t:wait(function(text) return text:find "\nit runs\n" end, "the loop")
    t:key "C-c"
    t:wait(function(text) return text:find "interrupted!" end, "the interrupt")
    t:ready()
    assert.equal("2", ask(t, "1 + 1"))
  end)

  it("says after Ctrl-C in a rotation how it goes on, and it does", function()
    local t = shell()
    s:fault { op = "update_sql_user_password", what = "delay", seconds = 5, count = 1 }
    t:type(((JIT and "= " or "") .. 'cluster:rotate_password "app_user_004"'))
    t:wait(function() return case.writes() > 0 end, "the change")
    t:key "C-c"
    t:wait(function(text) return text:find "interrupted! What was begun is in the store, .*cluster:resume%(%) finishes it" end, "the interrupt")
    t:ready()
    shows(ask(t, "cluster:resume()"), "app_user_004  done")
  end)

  it("ends at Ctrl-D with 0, and with the code that os.exit is given", function()
    local t = shell()
    t:key "C-d"
    t:wait(function(text) return text:find("[ended 0]", 1, true) end, "the end")
    t = shell()
    t:type "os.exit(9)"
    t:wait(function(text) return text:find("[ended 9]", 1, true) end, "the end")
  end)

  it("keeps a history, and has it on no disk", function()
    local t = shell()
    assert.equal("42", ask(t, "6 * 7"))
    t:key "Up"
    t:wait(function(text) return text:find "6 %* 7\n42\n> [= ]*6 %* 7" end, "the line before")
    t:key "Enter"
    t:wait(function(text) return text:find "6 %* 7\n42\n> [= ]*6 %* 7\n42\n" end, "the same again")
    t:key "C-d"
    t:wait(function(text) return text:find("[ended 0]", 1, true) end, "the end")
    assert.equal("", (temp.run(("grep -rl '6 . 7' %s || :"):format(home)):gsub("%s", "")))
  end)

  it("says what to type where no cluster is named", function()
    env.CRDBCLOUD_CLUSTER = nil
    local t = shell()
    shows(t:text(), 'cluster  is nil; type: cluster = cloud:cluster "NAME"')
    assert.equal("nil", ask(t, "cluster"))
    ask(t, '!cluster = cloud:cluster "sandbox-one"')
    shows(ask(t, "cluster:all_sql_users()"), "app_user_001")
  end)

  it("opens with the clusters of --cluster", function()
    local t = shell { "--cluster", "sandbox-one", "-c", "sandbox-two", "shell" }
    assert.equal("sandbox-one", ask(t, "cluster.name_or_id"))
    shows(ask(t, 'clusters["sandbox-two"]'), "crdbcloud.cluster sandbox-two")
  end)

  it("opens all the same where the account cannot be opened, and says why in a line", function()
    env.COCKROACH_API_KEY_FILE = home .. "/nowhere"
    local t = shell()
    local text = t:text()
    assert.matches("\nerror: cloud: cannot read the API key from [^\n]*nowhere[^\n]*\n", text)
    shows(text, "cloud    is nil; type: cloud = ")
    assert.equal("nil", ask(t, "cloud"))
    shows(ask(t, '!help "new"'), "crdbcloud.new{ … }")
  end)

  it("gives the interpreter no secret and no URL in its arguments", function()
    local t = shell { "--api-key-file", s.key_file, "shell" }
    local pid = ask(t, "crdbcloud.core.pid()"):match "%d+"
    local arguments = temp.read("/proc/" .. pid .. "/cmdline")
    local scan = scans.new()
    scan:know("API key", temp.read(s.key_file):match "_([^_%s]+)%s*$")
    scan:look("arguments", arguments)
    scan:assert_clean()
    assert.truthy(arguments:find "%-i%z%-e%zpackage.path", arguments)
    shows(ask(t, "cloud"), "https://127.0.0.1")
  end)

  it("works in the plain interpreter too", function()
    -- Their names of the search paths are those of the specs' own interpreter.
    local plain = ("env LUA_PATH=%s LUA_CPATH=%s TERM=xterm HOME=%s "):format(temp.quote(package.path), temp.quote(package.cpath), home)
    local t = start(plain .. (JIT and "luajit" or "lua5.4") .. [[ -i -e 'crdbcloud = require "crdbcloud"']])
    shows(ask(t, "!crdbcloud.help 'create_app_user'"), "cluster:create_app_user{ name, … }")
    shows(ask(t, "crdbcloud.help"), "Workflows: cluster")
    shows(ask(t, 'crdbcloud.secret "some bytes"'), "<secret 10 bytes>")
    shows(ask(t, 'crdbcloud.new { api_key = "CCDB1_x_y" }'), "crdbcloud.cloud https://cockroachlabs.cloud CCDB1_x")
    shows(ask(t, 'crdbcloud.nothing'), "nil")
  end)

  describe("where standard input is no terminal", function()
    local function run(text) return command.run({ "shell" }, env, text) end

    it("prints the value of an expression, and nothing else", function()
      assert.same({ code = 0, out = "8\n", err = "" }, run "#cluster:all_sql_users()\n")
      assert.same({ code = 0, out = "1\tnil\t3\n", err = "" }, run "1, nil, 3")
      assert.same({ code = 0, out = "hello\n", err = "" }, run "print 'hello'")
      assert.same({ code = 0, out = "user  x\n", err = "" }, run "{ user = 'x' }")
    end)

    it("runs a program of several lines", function()
      assert.same({ code = 0, out = "8\n", err = "" },
        run "#!/usr/bin/env crdbcloud\nlocal users = cluster:all_sql_users()\nlocal n = #users\nprint(n)\n")
      assert.equal(4, run("os.exit(4)\n").code)
    end)

    it("ends with the code of what became of it", function()
      local r = run 'cloud:find_cluster "nope"'
      assert.equal(1, r.code)
      shows(r.err, 'find_cluster: no cluster that this key may see is named "nope"')
      assert.equal("", r.out)
      assert.equal(1, run('assert(cloud:find_cluster "nope")\nprint "not reached"').code)
      r = run "local = 1"
      assert.equal(2, r.code)
      shows(r.err, "crdbcloud shell: stdin:1: ")
      assert.equal(70, run("local none\nprint(none.x)").code)
    end)

    it("runs nothing where the account cannot be opened", function()
      env.COCKROACH_API_KEY_FILE = home .. "/nowhere"
      local r = run 'print "not reached"'
      assert.equal(4, r.code)
      assert.equal("", r.out)
      shows(r.err, "error: cloud: cannot read the API key from ")
    end)
  end)
end)

describe("crdbcloud explain", function()
  local case = command.case()
  setup(case.setup)
  before_each(function() case.before() end)
  after_each(case.after)

  it("says what a code, a kind and a call mean", function()
    assert.matches("^exit 6: changed but not published.*resume", case.ok("explain", "6").out)
    assert.matches("another run holds the lock", case.ok("explain", "busy").out)
    assert.matches("cluster:resume", case.ok("explain", "resume").out)
    local r = case.run("explain", "77")
    assert.equal(2, r.code)
    assert.matches("there is no exit code 77", r.err)
  end)
end)
