-- Tests lua/crdbcloud/sinks/file.lua, lua/crdbcloud/sinks/programs.lua.

local core = require "crdbcloud.core"
local managers = require "spec.support.servers.secret_managers"
local sinks = require "crdbcloud.sinks"
local temp = require "spec.support.temp"

local CLUSTER = "1b6fee85-c1ae-42da-bb4f-e3f8a89fdd25"
local PASSWORD = "it's a\n\"password\" \\ "

local function credential(fields)
  local c = {
    user = "app", cluster = "prod", cluster_id = CLUSTER, host = "db.example.com", port = 26257, database = "shop",
    sslmode = "verify-full", epoch = 5, password = core.secret(PASSWORD),
  }
  for k, v in pairs(fields or {}) do c[k] = v end
  return c
end

local function open(spec, user) return sinks.open(sinks.parse({ spec }, "sinks"), user or "app", "prod")[1] end

-- A shell script as a command sink.
local function script(text, timeout) return open { "command", command = managers.command("sh", "-c", text), timeout = timeout } end

describe("a command sink", function()
  local dir
  before_each(function() dir = temp.dir() end)
  after_each(temp.clean)

  it("gives the password on standard input, exactly, and the rest in the environment", function()
    local sink = script(([[cat >%s/in; env | grep ^CRDBCLOUD_ | sort >%s/env; cat /proc/$$/cmdline >%s/arguments]]):format(dir, dir, dir))
    assert(sink:check(credential()))
    assert(sink:publish(credential()))
    assert.equal(PASSWORD, temp.read(dir .. "/in"))
    assert.equal("CRDBCLOUD_CLUSTER=prod\nCRDBCLOUD_CLUSTER_ID=" .. CLUSTER .. "\nCRDBCLOUD_DATABASE=shop\nCRDBCLOUD_EPOCH=5\n"
      .. "CRDBCLOUD_HOST=db.example.com\nCRDBCLOUD_PORT=26257\nCRDBCLOUD_SSLMODE=verify-full\nCRDBCLOUD_USER=app\n", temp.read(dir .. "/env"))
    assert.falsy(temp.read(dir .. "/arguments"):find("password\" ", 1, true))
  end)

  it("leaves variables out that are not known", function()
    local bare = credential()
    bare.host, bare.port, bare.database = nil, nil, nil
    assert(script(("cat >/dev/null; env | grep -c '^CRDBCLOUD_' >%s/count"):format(dir)):publish(bare))
    assert.equal("5\n", temp.read(dir .. "/count"))
  end)

  it("is written as one string, split at blanks: no shell reads it", function()
    local sink = open("command:" .. table.concat(managers.PLAIN, " ") .. " tee  " .. dir .. "/{user}$HOME;id")
    assert(sink:publish(credential()))
    assert.equal(PASSWORD, temp.read(dir .. "/app$HOME;id"))
    assert.equal("command:" .. table.concat(managers.PLAIN, " ") .. " tee " .. dir .. "/app$HOME;id", sink.name)
  end)

  it("may leave its input unread", function()
    assert(script("exit 0"):publish(credential { password = core.secret(("x"):rep(500000)) }))
  end)

  it("says how it failed, and shows nothing of what it printed", function()
    local function failure(text, timeout)
      local ok, err = script(text, timeout):publish(credential())
      assert.is_nil(ok)
      assert.equal("sink", err.kind)
      assert.falsy((tostring(err) .. err:json()):find('a\\n\\"pass', 1, true))
      assert.falsy(tostring(err):find("password\" ", 1, true))
      return err.message:gsub("^command:.-: env ", "env ")
    end
    local hidden = "; its output, %d bytes and %d on standard error, is not shown as it may hold the password"
    assert.equal("env ended with exit status 7" .. hidden:format(#PASSWORD, 3), (failure "cat; echo no >&2; exit 7"))
    assert.equal("env was ended by signal 9" .. hidden:format(0, 0), (failure "kill -9 $$"))
    local late = "env took longer than 2s and was stopped; its output, " .. #PASSWORD .. " bytes and "
    assert.equal(late, (failure("cat; while :; do sleep 1; done", "2s"):sub(1, #late)))
    assert.equal(late, (failure("trap 'exit 0' TERM; cat; while :; do sleep 0.05; done", "2s"):sub(1, #late)))
  end)

  it("keeps our own secrets from the program, and passes on what it is configured by", function()
    local code = ([[
      local sinks = require "crdbcloud.sinks"
      local sink = sinks.open(sinks.parse({ { "command", command = { "sh", "-c", "env >%s/env" } } }, "sinks"), "app", "prod")[1]
      assert(sink:publish { user = "app", epoch = 1, password = core.secret "p" })]]):format(dir)
    local out, status = temp.run("env COCKROACH_API_KEY=swordfish CRDBCLOUD_SQL=swordfish PGPASSWORD=swordfish VAULT_ADDR=there " .. temp.lua(code))
    assert.equal(0, status, out)
    local env = temp.read(dir .. "/env")
    assert.falsy(env:find("swordfish", 1, true))
    assert.truthy(env:find("VAULT_ADDR=there", 1, true))
    assert.truthy(env:find("CRDBCLOUD_USER=app", 1, true))
  end)

  it("finds out before staging that its program is not there", function()
    temp.write(dir .. "/text", "x")
    for program, what in pairs {
      ["no-such-program"] = "there is no program no-such-program in PATH",
      [dir .. "/none"] = "No such file or directory",
      [dir .. "/text"] = dir .. "/text is no program that may be run",
      [dir] = dir .. " is no program that may be run",
    } do
      local ok, err = open({ "command", command = { program } }):check(credential())
      assert.is_nil(ok)
      assert.equal("sink", err.kind)
      assert.truthy(err.message:find(what, 1, true), err.message)
    end
    temp.run(("chmod 700 %s/text; ln -s text %s/link"):format(dir, dir))
    assert(open({ "command", command = { dir .. "/text" } }):check(credential()))
    assert(open({ "command", command = { dir .. "/link" } }):check(credential()))
  end)

  it("serves many users, who are told apart by the environment", function()
    local specs = sinks.parse({ { "command", command = { "true" } } }, "sinks")
    assert.is_nil(sinks.clash { a = sinks.open(specs, "a", "c"), b = sinks.open(specs, "b", "c") })
  end)

  it("is refused when it is written wrongly", function()
    local function message(spec)
      local ok, why = pcall(sinks.parse, { spec }, "sinks")
      assert.is_false(ok)
      return (why:gsub("^.-:%d+: ", ""))
    end
    assert.equal("sinks[1]: command needs a command", message { "command" })
    assert.equal('sinks[1]: command: expected a list { "PROGRAM", "ARGUMENT", … }, got "ls"', message { "command", command = "ls" })
    assert.equal('sinks[1]: command: expected a list { "PROGRAM", "ARGUMENT", … }, got a table', message { "command", command = {} })
    assert.equal("sinks[1]: command: expected strings, got 7 as number 2", message { "command", command = { "ls", 7 } })
    assert.equal("sinks[1]: timeout must be a time limit above 0, got 0", message { "command", command = { "ls" }, timeout = 0 })
    assert.equal("sinks[1]: unknown placeholder {usr}; valid: {user}, {USER}, {cluster}", message { "command", command = { "ls", "{usr}" } })
    assert.same({ "ls", "{.data}", "{0}" }, sinks.parse({ { "command", command = { "ls", "{.data}", "{0}" } } }, "sinks")[1].command)
  end)
end)

describe("a file sink", function()
  local dir
  before_each(function() dir = temp.dir() end)
  after_each(temp.clean)

  it("writes the password alone, 0600, and again", function()
    local sink = open("file:" .. dir .. "/{user}")
    assert.equal("file:" .. dir .. "/app", sink.name)
    assert(sink:check(credential()))
    for _ = 1, 2 do
      assert(sink:publish(credential()))
      assert.equal(PASSWORD, temp.read(dir .. "/app"))
    end
    assert(sink:publish(credential { epoch = 6, password = core.secret "next" }))
    assert.equal("next", temp.read(dir .. "/app"))
    assert.same({ "app" }, core.list_dir(dir))
    assert.equal(384, core.stat(dir .. "/app").mode % 512)
  end)

  it("refuses before staging a file that holds something else, and one that others may read", function()
    local function refused(what, path)
      local sink = open("file:" .. (path or dir .. "/app"))
      for _, call in ipairs { "check", "publish" } do
        local ok, err = sink[call](sink, credential())
        assert.is_nil(ok)
        assert.equal("sink", err.kind)
        assert.truthy(err.message:find(what, 1, true), err.message)
      end
    end
    temp.write(dir .. "/app", ("x"):rep(1025))
    temp.run("chmod 600 " .. dir .. "/app")
    refused "it has more than 1024 bytes, so it holds something else than a password; it is not overwritten"
    temp.write(dir .. "/app", "old")
    temp.run("chmod 640 " .. dir .. "/app")
    refused "600"
    temp.run(("rm %s/app; ln -s /dev/null %s/app"):format(dir, dir))
    refused "symbolic link"
    refused("No such file or directory", dir .. "/no/app")
  end)

  it("removes what a crash left beside it", function()
    temp.write(dir .. "/.app.tmp.0123456789abcdef", "ha")
    assert(open("file:" .. dir .. "/app"):publish(credential()))
    assert.is_nil(temp.read(dir .. "/.app.tmp.0123456789abcdef"))
  end)
end)
