-- The recipes of examples/sinks. PgBouncer and systemd-creds are the real ones; vault, aws and op are not in Debian, so a stub
-- stands in for each, which records what it got.

local cjson = require "cjson"
local core = require "crdbcloud.core"
local managers = require "spec.support.servers.secret_managers"
local sinks = require "crdbcloud.sinks"
local temp = require "spec.support.temp"
local wait = require "spec.support.wait"

local CLUSTER = "1b6fee85-c1ae-42da-bb4f-e3f8a89fdd25"
local PASSWORDS = { "a1B2c3d4e5f6g7h8", "it's \"quoted\" \\ $HOME `id` #;=&", " blanks ", "ünïcode", "-n", "@file", "{\"a\":1}", "x\\n%s" }

local function credential(password, fields)
  local c = {
    user = "my_app", cluster = "prod", cluster_id = CLUSTER, host = "db.example.com", port = 26257, database = "shop",
    sslmode = "verify-full", epoch = 5, password = core.secret(password),
  }
  for k, v in pairs(fields or {}) do c[k] = v end
  return c
end

describe("the recipe of a sink", function()
  local dir

  -- Every program that a recipe starts is found here first, and its arguments are noted.
  local function watch(...)
    temp.run("mkdir -p " .. dir .. "/bin")
    for _, name in ipairs { ... } do
      temp.write(dir .. "/bin/" .. name, ([[#!/bin/sh
printf '%%s\n' "$0" "$@" >>%s/arguments
exec $(PATH=${PATH#*:} command -v %s) "$@"
]]):format(dir, name))
    end
    temp.run("chmod 755 " .. dir .. "/bin/*")
  end

  -- A stub: notes its arguments and its input, prints what is in DIR/NAME.says.
  local function stub(name)
    temp.run("mkdir -p " .. dir .. "/bin")
    temp.write(dir .. "/bin/" .. name, ([[#!/bin/sh
printf '%%s\n' "$0" "$@" >>%s/arguments
case " $* " in *" get "*) cat %s/%s.says; exit ;; esac
printf '%%s\n' "$@" >%s/%s.arguments
cat "${STUB_READS:--}" >%s/%s.input
[ ! -e %s/%s.fails ]
]]):format(dir, dir, name, dir, name, dir, name, dir, name))
    temp.run("chmod 755 " .. dir .. "/bin/" .. name)
  end

  local function sink(recipe, ...)
    local command = managers.command(("PATH=%s/bin:%s"):format(dir, os.getenv "PATH"), "examples/sinks/" .. recipe, ...)
    return sinks.open(sinks.parse({ { "command", command = command } }, "sinks"), "my_app", "prod")[1]
  end

  -- No argument of any program held the password, in any form.
  local function nothing_seen(password)
    local seen = temp.read(dir .. "/arguments")
    assert.truthy(#seen > 0)
    for _, form in ipairs { "json", "uri", "base64", "hex" } do
      local text = core.secret(password):encode(form):reveal()
      if #text > 3 then assert.falsy(seen:find(text, 1, true), form) end
    end
  end

  before_each(function() dir = temp.dir() end)
  after_each(temp.clean)

  describe("vault", function()
    before_each(function()
      stub "vault"
      watch "jq"
    end)

    it("puts the credential as JSON on standard input", function()
      for epoch, password in ipairs(PASSWORDS) do
        assert(sink("vault"):publish(credential(password, { epoch = epoch })))
        assert.same({
          password = password, username = "my_app", host = "db.example.com", port = "26257", database = "shop", sslmode = "verify-full",
          epoch = tostring(epoch),
        }, cjson.decode(temp.read(dir .. "/vault.input")))
        assert.equal("kv\nput\n-mount=secret\ncrdbcloud/prod/my_app\n-\n", temp.read(dir .. "/vault.arguments"))
        nothing_seen(password)
      end
    end)

    it("takes another path, leaves out what is not known, and fails when vault does", function()
      local bare = credential "secret-password"
      bare.host, bare.port, bare.database = nil, nil, nil
      assert(sink("vault", "apps/db"):publish(bare))
      assert.same({ password = "secret-password", username = "my_app", sslmode = "verify-full", epoch = "5" },
        cjson.decode(temp.read(dir .. "/vault.input")))
      assert.truthy(temp.read(dir .. "/vault.arguments"):find("\napps/db\n", 1, true))
      temp.write(dir .. "/vault.fails", "")
      local ok, err = sink("vault"):publish(credential "secret-password")
      assert.is_nil(ok)
      assert.truthy(err.message:find("exit status 1", 1, true))
    end)
  end)

  describe("aws", function()
    before_each(function()
      stub "aws"
      watch("jq", "sha256sum", "cut")
    end)

    it("puts a version of the secret, one for each epoch", function()
      local tokens = {}
      for epoch, password in ipairs(PASSWORDS) do
        for _ = 1, 2 do
          assert(sink("aws"):publish(credential(password, { epoch = epoch })))
          local got = cjson.decode(temp.read(dir .. "/aws.input"))
          assert.equal(password, got.password)
          assert.equal("my_app", got.username)
          assert.equal("shop", got.dbname)
          local token = temp.read(dir .. "/aws.arguments"):match("^secretsmanager\nput%-secret%-value\n%-%-secret%-id\ncrdbcloud/prod/my_app\n"
            .. "%-%-client%-request%-token\n(%x+)\n%-%-secret%-string\nfile:///dev/stdin\n$")
          assert.equal(64, #token)
          assert.is_true(tokens[token] == nil or tokens[token] == epoch)
          tokens[token] = epoch
          nothing_seen(password)
        end
      end
      local count = 0
      for _ in pairs(tokens) do count = count + 1 end
      assert.equal(#PASSWORDS, count)
    end)
  end)

  describe("1password", function()
    before_each(function()
      stub "op"
      watch "jq"
      temp.write(dir .. "/op.says", cjson.encode {
        id = "x", title = "db", fields = { { id = "username", value = "my_app" }, { id = "password", value = "old" }, { id = "notesPlain" } },
      })
    end)

    it("changes the password field of the item and nothing else", function()
      for _, password in ipairs(PASSWORDS) do
        assert(sink("1password", "Team"):publish(credential(password)))
        assert.same({
          id = "x", title = "db", fields = { { id = "username", value = "my_app" }, { id = "password", value = password }, { id = "notesPlain" } },
        }, cjson.decode(temp.read(dir .. "/op.input")))
        assert.equal("item\nedit\ncrdbcloud prod my_app\n--vault\nTeam\n", temp.read(dir .. "/op.arguments"))
        nothing_seen(password)
      end
    end)

    it("fails when the item has no password field, or is not there", function()
      temp.write(dir .. "/op.says", '{"fields":[]}')
      local ok = sink("1password", "Team", "other"):publish(credential "secret-password")
      assert.is_nil(ok)
      os.remove(dir .. "/op.says")
      ok = sink("1password", "Team", "other"):publish(credential "secret-password")
      assert.is_nil(ok)
    end)
  end)

  describe("systemd-credential", function()
    local function decrypted(name)
      local line = "SYSTEMD_CREDENTIAL_SECRET=%s/host.secret systemd-creds decrypt --name=%s %s/credentials/%s - 2>/dev/null"
      return (temp.run(line:format(dir, name, dir, name)))
    end

    it("writes what systemd-creds decrypts, bound to its name", function()
      watch("systemd-creds", "sync", "mv")
      temp.run("mkdir " .. dir .. "/credentials")
      local command = managers.command(("PATH=%s/bin:%s"):format(dir, os.getenv "PATH"), "SYSTEMD_CREDS_KEY=host",
        ("SYSTEMD_CREDENTIAL_SECRET=%s/host.secret"):format(dir), "examples/sinks/systemd-credential", dir .. "/credentials")
      local opened = sinks.open(sinks.parse({ { "command", command = command } }, "sinks"), "my_app", "prod")[1]
      for epoch, password in ipairs(PASSWORDS) do
        assert(opened:publish(credential(password, { epoch = epoch })))
        assert.equal(password, decrypted "crdbcloud.my_app")
        nothing_seen(password)
      end
      assert.same({ "crdbcloud.my_app" }, core.list_dir(dir .. "/credentials"))
      assert.equal(384, core.stat(dir .. "/credentials/crdbcloud.my_app").mode % 512)
      temp.run(("cp %s/credentials/crdbcloud.my_app %s/credentials/other"):format(dir, dir))
      assert.equal("", decrypted "other")
    end)
  end)

  describe("pgbouncer", function()
    after_each(function()
      local pid = temp.read(dir .. "/run/pid")
      if pid then temp.run("kill " .. pid) end
    end)

    -- A bouncer whose console lets in whoever its auth_file knows. It refuses to run as root.
    local function start()
      temp.run("chmod 755 " .. dir)
      temp.write(dir .. "/users", '"other" "kept ""as"" it is"\n;a comment\n')
      local as = core.euid() == 0 and "setpriv --reuid=postgres --regid=postgres --clear-groups " or ""
      temp.run(("mkdir %s/run; chmod 640 %s/users"):format(dir, dir))
      if as ~= "" then temp.run(("chown postgres %s/run %s/users"):format(dir, dir)) end
      for _ = 1, 10 do
        local port = 20000 + tonumber(core.random_hex(2), 16) % 20000
        temp.write(dir .. "/ini", ([[
[databases]
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %s/users
admin_users = my_app, other
logfile = %s/run/log
pidfile = %s/run/pid
]]):format(port, dir, dir, dir))
        os.remove(dir .. "/run/log")
        temp.run(("%s%s pgbouncer -q -d %s/ini"):format(as, table.concat(managers.PLAIN, " "), dir))
        local up = wait("pgbouncer", function()
          local log = temp.read(dir .. "/run/log") or ""
          return log:find "process up" and "up" or log:find "FATAL" and "fatal"
        end)
        if up == "up" then return port end
      end
      error("pgbouncer did not start: " .. (temp.read(dir .. "/run/log") or ""))
    end

    local function login(port, user, password)
      temp.write(dir .. "/passfile", ("*:*:*:*:%s\n"):format((password:gsub("[\\:]", "\\%0"))))
      temp.run("chmod 600 " .. dir .. "/passfile")
      local target = ("host=127.0.0.1 port=%d user=%s dbname=pgbouncer sslmode=disable"):format(port, user)
      return select(2, temp.run(("PGPASSFILE=%s/passfile psql -X -A -t -w '%s' -c 'SHOW VERSION'"):format(dir, target))) == 0
    end

    it("has the password accepted by PgBouncer, and keeps what else is in its file", function()
      watch("awk", "cp", "mv", "sync", "flock")
      local port = start()
      local opened = sink("pgbouncer", dir .. "/users", dir .. "/run/pid")
      for epoch, password in ipairs(PASSWORDS) do
        assert(opened:publish(credential(password, { epoch = epoch })))
        -- It reads the file again when the signal has reached it.
        wait("a login with the new password", function() return login(port, "my_app", password) end)
        assert.is_false((login(port, "my_app", "wrong")))
        nothing_seen(password)
      end
      assert.is_true((login(port, "other", 'kept "as" it is')))
      assert.equal('"other" "kept ""as"" it is"\n;a comment\n"my_app" "x\\n%s"\n', temp.read(dir .. "/users"))
      assert.equal(416, core.stat(dir .. "/users").mode % 512)
    end)

    it("changes nothing when the file cannot hold the password", function()
      temp.write(dir .. "/users", '"my_app" "old"\n')
      for _, password in ipairs { "a\nb", "\n" } do
        local ok = sink("pgbouncer", dir .. "/users"):publish(credential(password))
        assert.is_nil(ok)
      end
      assert.equal('"my_app" "old"\n', temp.read(dir .. "/users"))
      assert.same({ "users", "users.lock" }, core.list_dir(dir))
    end)
  end)

  it("is a short script that says on top how it is used, as each of them", function()
    local names = {}
    for _, folder in ipairs { "examples/sinks", "examples/stores" } do
      for _, name in ipairs(core.list_dir(folder)) do
        if not name:find "%.md$" then
          local path = folder .. "/" .. name
          local text = temp.read(path)
          names[#names + 1] = name
          assert.matches("^#!/bin/sh\n# [^\n]+\n# Usage: [^\n]*" .. path:gsub("%p", "%%%0"), text)
          assert.is_true(core.stat(path).mode % 512 == 493, path)
          assert.equal("", (temp.run("sh -n " .. path)))
          assert.truthy(temp.read(folder .. "/README.md"):find("(" .. name .. ")", 1, true), name)
        end
      end
    end
    assert.equal(7, #names)
  end)
end)
