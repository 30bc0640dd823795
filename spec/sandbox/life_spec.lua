-- The sandbox as a program: starting, stopping, its directory, its processes.

local outside = require "spec.support.servers.outside"
local sandbox = require "spec.support.sandbox"

local quote, run = outside.quote, outside.run

local work

-- Runs a command in an environment without anything of a sandbox.
local function clean(command, directory)
  return run(("cd %s && unset CRDBCLOUD_SANDBOX PGPASSFILE; TMPDIR=%s; export TMPDIR; %s"):format(quote(directory or "."), quote(work), command))
end

local function exists(path) return (select(2, run("test -e " .. quote(path)))) == 0 end

-- Command lines of all processes that name this directory, but for those of the search itself.
local function processes(directory)
  local found = run("for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f 2>/dev/null; echo; done"):gmatch("[^\n]+")
  local list = {}
  for line in found do
    if line:find(directory, 1, true) then list[#list + 1] = line end
  end
  return list
end

local function wait_for(condition)
  for _ = 1, 2400 do
    if condition() then return true end
    run("sleep 0.05")
  end
  return false
end

local function started(output) return output:match("export CRDBCLOUD_SANDBOX='([^']+)'") end

describe("the sandbox command", function()
  setup(function()
    work = run("d=$(mktemp -d) && chmod 755 $d && echo $d"):gsub("%s", "")
  end)

  teardown(function()
    clean("for d in $TMPDIR/crdbcloud-sandbox-*; do examples/sandbox/sandbox stop --dir $d; done")
    run("rm -rf " .. quote(work))
  end)

  it("sets up a shell and leaves nothing behind when it stops", function()
    local script = [[
      set -eu
      eval "$(examples/sandbox/sandbox start --users 12)"
      examples/sandbox/sandbox status >/dev/null
      echo "dir=$CRDBCLOUD_SANDBOX"
      echo "same=$(test "$CRDBCLOUD_SQL" = "$ADMIN_DATABASE_URL" && test "$CRDBCLOUD_CA_FILE" = "$SSL_CERT_FILE" && echo yes)"
      echo "users=$(psql -AtX "$CRDBCLOUD_SQL" -c "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'app_user_%'")"
      echo "who=$(psql -AtX "$ADMIN_DATABASE_URL" -c "SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user")"
      echo "password_in_url=$(grep -c -F -f <(cut -d: -f5 "$PGPASSFILE") <<<"$CRDBCLOUD_SQL")" || true
      echo "header = \"Authorization: Bearer $(cat "$COCKROACH_API_KEY_FILE")\"" >$TMPDIR/curl
      curl -q -s -K $TMPDIR/curl --cacert "$CRDBCLOUD_CA_FILE" "$COCKROACH_SERVER/api/v1/clusters/$CRDBCLOUD_CLUSTER"
      echo "store=${CRDBCLOUD_STORE#file:} $(stat -c %a "${CRDBCLOUD_STORE#file:}")"
      echo "modes=$(stat -c %a "$PGPASSFILE" "$COCKROACH_API_KEY_FILE" "$CRDBCLOUD_SANDBOX/passwords" "$CRDBCLOUD_SANDBOX/settings.json" | sort -u)"
      echo "path=${PATH%%:*}"
      echo "5.4=$(lua5.4 -e 'print(package.cpath)')"
      echo "5.1=$(luajit -e 'print(package.cpath)')"
      echo "exports=$(examples/sandbox/sandbox env | grep -c '^export ')"
      examples/sandbox/sandbox stop
    ]]
    local output, status = clean("bash -c " .. quote(script))
    assert.are.equal(0, status, output)
    local dir = output:match("dir=(%S+)")
    local root = run("pwd"):gsub("%s", "")
    for _, line in ipairs {
      "same=yes", "users=12", "who=sandbox_admin|t", "password_in_url=0", '"name":"sandbox-one"', "store=" .. dir .. "/store 700", "modes=600",
      "path=" .. root .. "/build", "5.4=" .. root .. "/build/5.4/?.so;", "5.1=" .. root .. "/build/5.1/?.so;",
      "exports=16",
    } do
      assert.is_truthy(output:find(line, 1, true), line .. " in " .. output)
    end
    assert.is_false(exists(dir))
    assert.are.same({}, processes(dir))
  end)

  describe("while it runs", function()
    local s

    setup(function() s = sandbox.start { users = 3, rate = 0 } end)

    teardown(function()
      s:stop()
      assert.is_false(exists(s.dir))
    end)

    it("gives the users made at the start passwords that log in, and reading rights only", function()
      local count = 0
      for name, password in pairs(s:passwords()) do
        count = count + 1
        assert.is_true((outside.login(s, name, password, "SELECT count(*) FROM orders")), name)
        assert.is_false((outside.login(s, name, password, "DELETE FROM payments")), name)
        assert.is_false((outside.login(s, name, password .. "x")), name)
      end
      assert.are.equal(4, count)
      assert.are.equal("", s:psql("SELECT rolname FROM pg_authid WHERE rolcanlogin AND rolpassword IS NULL AND rolname <> 'sso_anna'"))
    end)

    it("asks everyone for a password, and for TLS over TCP", function()
      local by_socket = ("psql -X -w -h %s -p %d -U root -d shop -c 'SELECT 1'"):format(s.pg.socket, s.pg.port)
      local output, status = run("unset PGPASSFILE PGPASSWORD; HOME=/nonexistent " .. by_socket)
      assert.are.equal(2, status)
      assert.is_truthy(output:find("no password supplied", 1, true), output)
      output, status = run(("PGPASSFILE=%s psql -X -w 'host=127.0.0.1 port=%d user=sandbox_admin dbname=shop sslmode=disable' -c 'SELECT 1'")
        :format(s.pgpassfile, s.pg.port))
      assert.are.equal(2, status)
      assert.is_truthy(output:find("no encryption", 1, true), output)
      assert.are.equal("scram-sha-256", s:psql("SELECT DISTINCT auth_method FROM pg_hba_file_rules"))
    end)

    it("goes back to its first state on reset", function()
      local users = "/api/v1/clusters/" .. s.cluster_id .. "/sql-users"
      local password = s:passwords().app_user_001
      s:psql("DROP TABLE payments; CREATE ROLE extra LOGIN")
      outside.write(s.store_dir .. "/left", "x")
      local body = { password = "another-password" }
      assert.are.equal(200, outside.request(s, { method = "PUT", path = users .. "/app_user_001/password", body = body }).status)
      s:fault { op = "*", what = "error_before", count = "all" }
      s:set { latency = 5, page_end = "null_next" }
      s:reset()
      assert.are.same({}, s:log())
      assert.is_true((outside.login(s, "app_user_001", password)))
      assert.is_false(exists(s.store_dir .. "/left"))
      assert.are.equal("3|0", s:psql("SELECT (SELECT count(*) FROM payments), (SELECT count(*) FROM pg_roles WHERE rolname = 'extra')"))
      local answer = outside.request(s, { path = users })
      assert.are.equal(200, answer.status)
      assert.is_truthy(answer.body:find('"pagination":{}', 1, true))
    end)
  end)

  it("runs as a normal user from a copy of the sources", function()
    local home = work .. "/home"
    local _, root = run('test "$(id -u)" = 0')
    run(("mkdir -p %s/examples && cp -r examples/sandbox %s/examples/ && chmod -R a+rX %s && mkdir %s/tmp && chmod 1777 %s/tmp"):format(
      home, home, home, home, home))
    local script = [[
      set -eu
      export TMPDIR=$PWD/tmp HOME=$PWD/tmp
      eval "$(examples/sandbox/sandbox start)"
      echo "user=$(id -un) owner=$(stat -c %U "$CRDBCLOUD_SANDBOX/pg/data") dir=$CRDBCLOUD_SANDBOX"
      echo "header = \"Authorization: Bearer $(cat "$COCKROACH_API_KEY_FILE")\"" >$HOME/curl
      curl -q -s -K $HOME/curl --cacert "$CRDBCLOUD_CA_FILE" "$COCKROACH_SERVER/api/v1/clusters/$CRDBCLOUD_CLUSTER/sql-users"
      rm $HOME/curl
      psql -AtX "$CRDBCLOUD_SQL" -c "SELECT 'rows ' || count(*) FROM orders"
      examples/sandbox/sandbox reset
      examples/sandbox/sandbox status
      examples/sandbox/sandbox stop
      ls -A "$TMPDIR"
    ]]
    local runner = root == 0 and "setpriv --reuid=nobody --regid=nogroup --clear-groups -- " or ""
    local output, status = clean(runner .. "bash -c " .. quote(script), home)
    assert.are.equal(0, status, output)
    if root == 0 then assert.is_truthy(output:find("user=nobody owner=nobody", 1, true), output) end
    assert.is_truthy(output:find('{"name":"sso_anna"}', 1, true), output)
    assert.is_truthy(output:find("rows 4", 1, true), output)
    local dir = output:match("dir=(%S+)")
    assert.is_truthy(output:find("running in " .. dir, 1, true), output)
    assert.are.same({}, processes(dir))
    assert.are.equal("", (run("ls -A " .. quote(home .. "/tmp"))))
  end)

  it("starts two at once that know nothing of each other", function()
    local output, status = clean(
      "examples/sandbox/sandbox start >$TMPDIR/a & examples/sandbox/sandbox start >$TMPDIR/b; wait; cat $TMPDIR/a $TMPDIR/b")
    assert.are.equal(0, status, output)
    local servers, dirs = {}, {}
    for server in output:gmatch("COCKROACH_SERVER='([^']+)'") do servers[#servers + 1] = server end
    for dir in output:gmatch("CRDBCLOUD_SANDBOX='([^']+)'") do dirs[#dirs + 1] = dir end
    assert.are.equal(2, #servers)
    assert.are_not.equal(servers[1], servers[2])
    local undecided, refused = clean("examples/sandbox/sandbox status")
    assert.are.equal(1, refused)
    assert.is_truthy(undecided:find("more than one sandbox", 1, true), undecided)
    for _, dir in ipairs(dirs) do
      assert.are.equal(0, select(2, clean("examples/sandbox/sandbox status --dir " .. quote(dir))))
      assert.are.equal(0, select(2, clean("examples/sandbox/sandbox stop --dir " .. quote(dir))))
    end
    assert.are.equal("no sandbox runs", (clean("examples/sandbox/sandbox status"):match("sandbox: (.-)%s*$")))
  end)

  it("leaves nothing behind when it is interrupted while it starts", function()
    -- The directory for keys is made early, long before the servers run.
    local output = clean([[
      examples/sandbox/sandbox start --dir $TMPDIR/early >/dev/null 2>&1 & pid=$!
      until [ -d $TMPDIR/early/keys ]; do sleep 0.01; done
      kill -TERM $pid; wait $pid; echo "status=$?"
    ]])
    assert.is_truthy(output:find("status=143", 1, true), output)
    assert.is_false(exists(work .. "/early"))
    assert.are.same({}, processes(work .. "/early"))
  end)

  it("stops also when a part of it has been killed", function()
    local output = clean("examples/sandbox/sandbox start")
    local dir = started(output)
    run(("kill -KILL $(cat %s/nginx/nginx.pid)"):format(dir))
    local said, status = clean("examples/sandbox/sandbox stop --dir " .. quote(dir))
    assert.are.equal(0, status, said)
    assert.is_false(exists(dir))
    local port = tonumber(output:match("COCKROACH_SERVER='https://127.0.0.1:(%d+)'"))
    local _, open = run(("grep -q ':%04X 00000000:0000 0A' /proc/net/tcp"):format(port))
    assert.are.equal(1, open)
  end)

  it("is gone when the process that runs specs is killed", function()
    -- The program waits for a writer that never comes, so that only the signal ends it.
    local program = [[
      local s = require("spec.support.sandbox").start()
      io.write(s.dir, " ", io.open("/proc/self/stat"):read("*n"), "\n")
      io.flush()
      io.open(arg[1])
    ]]
    outside.write(work .. "/program.lua", program)
    run("mkfifo " .. quote(work .. "/never"))
    for _, interpreter in ipairs { "lua5.4", "luajit" } do
      local pipe = assert(io.popen(("LUA_PATH='./?.lua;;' exec %s %s/program.lua %s/never 2>&1")
        :format(interpreter, work, work), "r"))
      local dir, pid = pipe:read("*l"):match("^(/%S+) (%d+)$")
      assert.is_true(exists(dir))
      run("kill -KILL " .. pid)
      pipe:close()
      assert.is_true(wait_for(function() return not exists(dir) and #processes(dir) == 0 end))
    end
  end)

  it("says what it does not understand, and starts nothing then", function()
    local cases = {
      [""] = { 2, "usage: sandbox start" }, ["begin"] = { 2, "usage: sandbox start" }, ["status"] = { 1, "no sandbox runs" },
      ["start --userz 3"] = { 2, "usage: sandbox start" },
      ["start --users many"] = { 1, "--users takes a whole number" }, ["start --rate -1"] = { 1, "--rate takes a whole number" },
      ["start --users"] = { 1, "--users takes a whole number" }, ["status --dir /nonexistent"] = { 1, "no sandbox in /nonexistent" },
      ["stop --dir " .. work] = { 1, "no sandbox in " .. work }, ["start --dir 'a b'"] = { 1, "may hold no quotes, spaces" },
      ["start --dir " .. ("long"):rep(20)] = { 1, "too long for a socket" }, ["start more"] = { 2, "usage: sandbox start" },
    }
    for words, expected in pairs(cases) do
      local output, status = clean(quote(run("pwd"):gsub("%s", "") .. "/examples/sandbox/sandbox") .. " " .. words, work)
      assert.are.equal(expected[1], status, words .. ": " .. output)
      assert.is_truthy(output:find(expected[2], 1, true), words .. ": " .. output)
    end
    if select(2, run('test "$(id -u)" = 0')) == 0 then
      local output, status = clean("mkdir -m 700 $TMPDIR/closed && examples/sandbox/sandbox start --dir $TMPDIR/closed/box")
      assert.are.equal(1, status)
      assert.is_truthy(output:find("the user postgres cannot reach", 1, true), output)
      assert.is_false(exists(work .. "/closed/box"))
    end
    outside.write(work .. "/file", "x")
    local output, status = clean("examples/sandbox/sandbox start --dir " .. quote(work))
    assert.are.equal(1, status)
    assert.is_truthy(output:find("is not empty", 1, true))
    assert.is_true(exists(work .. "/file"))
    assert.are.equal("", (run(("ls -d %s/crdbcloud-sandbox-* '%s/a b' 2>/dev/null || :"):format(work, work))))
  end)
end)
