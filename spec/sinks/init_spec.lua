-- Tests lua/crdbcloud/sinks/files.lua, lua/crdbcloud/sinks/pgpass.lua.

local core = require "crdbcloud.core"
local cjson = require "cjson"
local hooks = require "crdbcloud.run.hooks"
local sinks = require "crdbcloud.sinks"
local temp = require "spec.support.temp"
local uv = require "luv"

local function credential(fields)
  local c = {
    user = "app", cluster = "prod", cluster_id = "1b6fee85-c1ae-42da-bb4f-e3f8a89fdd25", host = "db.example.com",
    port = 26257, database = "shop", sslmode = "verify-full", epoch = 5, set_at = 1700000000, pool_name = "x/app/5",
    password = core.secret "p:a\\ss\"word",
  }
  for k, v in pairs(fields or {}) do c[k] = v end
  return c
end

describe("a list of sinks", function()
  local function message(list)
    local ok, err = pcall(sinks.parse, list, "sinks")
    assert.is_false(ok)
    return (err:gsub("^.-:%d+: ", ""))
  end

  it("is read from strings and tables alike", function()
    local want = { { kind = "json", path = "/x/{user}" } }
    assert.are.same(want, sinks.parse("json:/x/{user}", "sinks"))
    assert.are.same(want, sinks.parse({ "json:/x/{user}" }, "sinks"))
    assert.are.same(want, sinks.parse({ "json", path = "/x/{user}" }, "sinks"))
    assert.are.same(want, sinks.parse({ { "json", path = "/x/{user}" } }, "sinks"))
    assert.are.same(want, sinks.parse(sinks.parse("json:/x/{user}", "sinks"), "sinks"))
    assert.is_nil(sinks.parse(nil, "sinks"))
  end)

  it("is refused with words that say what was expected", function()
    assert.are.equal('sinks[1]: unknown kind of sink "pgpas"; did you mean "pgpass"?', message { "pgpas:/x" })
    assert.are.equal('sinks[1]: expected "KIND:PATH" '
      .. '(command:PROGRAM, dotenv:PATH, file:PATH, json:PATH, kubernetes:NAMESPACE/NAME, pgpass:PATH, shared:DICT), got "/x"', message { "/x" })
    assert.are.equal("sinks[1]: unknown placeholder {name}; valid: {user}, {USER}, {cluster}", message { "json:/x/{name}" })
    assert.are.equal('sinks[2]: unknown field "mode"; valid: path',
      message { "json:/x", { "json", path = "/y", mode = 1 } })
    assert.are.equal("sinks[1]: json needs a path", message { { "json" } })
    assert.are.equal("sinks: expected a list of sinks, got 7", message(7))
  end)

  it("is refused at the line of the one who wrote it", function()
    local wrong = {
      "/x", 7, "jsn:/x", "kubernetes:a/{b}", "json:/x/{name}", { "json" }, { "json", path = 7 }, { "json", path = "/x", mode = 1 },
      { "dotenv", path = "/x", dialect = "csh" }, { "command", command = "ls" }, { "command", command = { 7 } },
      { "command", command = { "ls", nil, "x" } },
      { "command", command = { "ls" }, timeout = "x" }, { "command", command = { "ls", "{usr}" } }, { "kubernetes", name = "x" },
    }
    for i, entry in ipairs(wrong) do
      local line
      local ok, why = pcall(function()
        line = debug.getinfo(1, "l").currentline + 1
        local specs = sinks.parse({ entry }, "sinks")
        return specs
      end)
      assert.is_false(ok)
      assert.truthy(why:find("init_spec.lua:" .. line .. ": sinks[1]", 1, true), i .. " " .. why)
    end
  end)

  it("is plain data that a record can keep: parsing it again changes nothing", function()
    local specs = sinks.parse({
      "json:/x", "pgpass:/y", "file:/z", "dotenv:/e", "command:env -i true",
      { "dotenv", path = "/d", key = "DB_{USER}", dialect = "docker" },
      { "kubernetes", name = "{user}", namespace = "shop", command = { "kubectl", "apply", "-f", "-" }, timeout = "20m" },
    }, "sinks")
    assert.are.same({ kind = "command", command = { "env", "-i", "true" } }, specs[5])
    local kept = cjson.decode(cjson.encode(specs))
    assert.are.same(specs, kept)
    assert.are.same(specs, sinks.parse(kept, "sinks"))
    assert.are.same({ specs[6] }, sinks.parse({ "dotenv", path = "/d", key = "DB_{USER}", dialect = "docker" }, "sinks"))
  end)

  it("keeps paths from the root on, so that a run of another directory writes the same file", function()
    local here, there = core.cwd(), temp.dir()
    finally(function()
      assert(uv.chdir(here))
      temp.clean()
    end)
    local specs = sinks.parse({
      "json:./{user}.json", "pgpass:pass", "file:../x", "dotenv:e/nv", { "kubernetes", name = "a", path = "m.json" }, "kubernetes:a/b",
      { "kubernetes", name = "a", command = { "./apply", "./m" } }, "command:bin/store ./x", "command:env x",
    }, "sinks")
    assert.are.same({ here .. "/{user}.json", here .. "/pass", here .. "/../x", here .. "/e/nv", here .. "/m.json", "-" },
      { specs[1].path, specs[2].path, specs[3].path, specs[4].path, specs[5].path, specs[6].path })
    assert.are.same({ { here .. "/apply", "./m" }, { here .. "/bin/store", "./x" }, { "env", "x" } },
      { specs[7].command, specs[8].command, specs[9].command })
    assert.are.same({ here .. "/hook", "./x" }, hooks.rule({ "./hook", "./x" }, "after"))
    assert(uv.chdir(there))
    assert.are.equal(there, core.cwd())
    assert.are.same(specs, sinks.parse(specs, "sinks"))
    assert(uv.chdir "/")
    assert.are.same({ { kind = "json", path = "/x" } }, sinks.parse("json:x", "sinks"))
    assert.are.equal("/x/../y/z", sinks.parse("json:/x//.././/./y/./z", "sinks")[1].path)
    assert(core.make_dir(there .. "/{user}"))
    assert(uv.chdir(there .. "/{user}"))
    for sink, path in pairs { ["json:x"] = 'path: give the whole path of "x"', ["command:./x"] = 'command: give the whole path of "./x"' } do
      assert.are.equal("sinks[1]: " .. path .. ": the working directory has braces in its name", message(sink))
    end
    assert.are.same({ { kind = "json", path = "/x" } }, sinks.parse("json:/x", "sinks"))
  end)

  it("tells sinks apart by all that they are", function()
    local specs = sinks.parse({
      "dotenv:/x", { "dotenv", path = "/x", key = "K" }, { "dotenv", path = "/x", key = "L" }, "command:a b", "command:a", "file:/x",
    }, "sinks")
    local seen = {}
    for _, spec in ipairs(specs) do
      assert.is_nil(seen[sinks.id(spec)])
      seen[sinks.id(spec)] = true
      assert.are.equal(sinks.id(spec), sinks.id(cjson.decode(cjson.encode(spec))))
    end
  end)

  it("may name a kind that a newer version knows: that one fails, and says so", function()
    local opened = sinks.open({ { kind = "carrier-pigeon", path = "/x" }, { kind = "file", path = "/x" } }, "app", "prod")
    for _, call in ipairs { "check", "publish" } do
      local ok, err = opened[1][call](opened[1], credential())
      assert.is_nil(ok)
      assert.are.equal("sink", err.kind)
      assert.are.equal("carrier-pigeon:?: this version has no sink of that kind", err.message)
    end
    assert.are.equal("file:/x", opened[2].name)
  end)

  it("puts names into the paths", function()
    local list = sinks.open(sinks.parse({ "json:/x/{cluster}/{user}_{USER}" }, "sinks"), "my-app.1", "prod")
    assert.are.equal("json:/x/prod/my-app.1_MY_APP_1", list[1].name)
  end)

  it("lets many users share a pgpass file but not a json file", function()
    local function opened(spec)
      local specs = sinks.parse(spec, "sinks")
      return { a = sinks.open(specs, "a", "c"), b = sinks.open(specs, "b", "c") }
    end
    assert.is_nil(sinks.clash(opened "pgpass:/x"))
    assert.is_nil(sinks.clash(opened "json:/x/{user}"))
    assert.is_nil(sinks.clash(opened "dotenv:/x"))
    local err = sinks.clash(opened "json:/x")
    assert.are.equal("json:/x would be written for a and for b", err.message)
    assert.are.equal("not_sent", err.outcome)
    assert.are.equal("dotenv:/x#K would be written for a and for b", sinks.clash(opened { "dotenv", path = "/x", key = "K" }).message)
    err = sinks.clash(opened { "json:/x/{user}", "file:/x/{user}" })
    assert.are.equal("a: json:/x/a and file:/x/a would write over each other", err.message)
  end)
end)

describe("a json sink", function()
  local dir, sink
  before_each(function()
    dir = temp.dir()
    sink = sinks.open(sinks.parse("json:" .. dir .. "/{user}.json", "sinks"), "app", "prod")[1]
  end)
  after_each(temp.clean)

  it("writes an object that a JSON reader understands, 0600", function()
    assert(sink:check(credential()))
    assert(sink:publish(credential()))
    local got = cjson.decode(temp.read(dir .. "/app.json"))
    assert.are.equal('p:a\\ss"word', got.password)
    assert.are.equal("db.example.com", got.host)
    assert.are.equal(26257, got.port)
    assert.are.equal(5, got.epoch)
    assert.are.equal(384, core.stat(dir .. "/app.json").mode % 512)
  end)

  it("can be read back, the password as a secret", function()
    sink:publish(credential())
    local got = assert(require("crdbcloud.sinks.json").read(dir .. "/app.json"))
    assert.is_true(got.password:equals 'p:a\\ss"word')
    assert.are.equal("26257", tostring(got.port))
  end)

  it("may be written again with the same epoch and makes the same file", function()
    sink:publish(credential())
    local first = temp.read(dir .. "/app.json")
    assert(sink:publish(credential()))
    assert.are.equal(first, temp.read(dir .. "/app.json"))
  end)

  it("never goes back to an older epoch", function()
    sink:publish(credential { epoch = 6 })
    local ok, err = sink:publish(credential { epoch = 5 })
    assert.is_nil(ok)
    assert.are.equal("sink", err.kind)
    assert.truthy(err.message:find("it holds epoch 6, which is newer than 5", 1, true))
    assert.are.equal(6, cjson.decode(temp.read(dir .. "/app.json")).epoch)
  end)

  it("never overwrites another user's credential, nor a file that is not its own", function()
    sink:publish(credential { user = "other" })
    local ok, err = sink:check(credential())
    assert.is_nil(ok)
    assert.truthy(err.message:find("it holds the credential of another user (other)", 1, true))
    temp.write(dir .. "/app.json", "{}")
    ok = sink:publish(credential())
    assert.is_nil(ok)
    assert.are.equal("{}", temp.read(dir .. "/app.json"))
  end)

  it("removes what a crash left beside its file, and nothing else", function()
    local torn, other = dir .. "/.app.json.tmp.0123456789abcdef", dir .. "/.other.json.tmp.0123456789abcdef"
    temp.write(torn, '{"password":"ha')
    temp.write(other, "another user's")
    assert(sink:publish(credential()))
    assert.is_nil(temp.read(torn))
    assert.are.equal("another user's", temp.read(other))
  end)

  it("says before anything is staged that its directory is missing", function()
    local lost = sinks.open(sinks.parse("json:" .. dir .. "/no/x.json", "sinks"), "app", "prod")[1]
    local ok, err = lost:check(credential())
    assert.is_nil(ok)
    assert.are.equal("sink", err.kind)
  end)
end)

describe("a pgpass sink", function()
  local dir, path, sink
  before_each(function()
    dir = temp.dir()
    path = dir .. "/pgpass"
    sink = sinks.open(sinks.parse("pgpass:" .. path, "sinks"), "app", "prod")[1]
  end)
  after_each(temp.clean)

  it("makes the file 0600 with one line, escaped as libpq reads it", function()
    assert(sink:check(credential()))
    assert(sink:publish(credential()))
    assert.are.equal('db.example.com:26257:*:app:p\\:a\\\\ss"word\n', temp.read(path))
    assert.are.equal(384, core.stat(path).mode % 512)
  end)

  it("keeps other lines byte for byte and replaces its own in place", function()
    local others = "# comment\nh:1:d:u:p\\:w\n\n  odd line\n"
    temp.write(path, others .. "db.example.com:26257:*:app:old\nlast:5432:*:x:y")
    temp.run("chmod 600 " .. path)
    assert(sink:publish(credential { password = core.secret "new" }))
    assert.are.equal(others .. "db.example.com:26257:*:app:new\nlast:5432:*:x:y", temp.read(path))
  end)

  it("refuses a file that others may read, as libpq would", function()
    temp.write(path, "")
    temp.run("chmod 644 " .. path)
    local ok, err = sink:check(credential())
    assert.is_nil(ok)
    assert.are.equal("sink", err.kind)
    assert.truthy(err.message:find("600", 1, true))
  end)

  it("removes what a crash left beside the file", function()
    temp.write(dir .. "/.pgpass.tmp.0123456789abcdef", "db.example.com:2")
    assert(sink:publish(credential()))
    assert.is_nil(temp.read(dir .. "/.pgpass.tmp.0123456789abcdef"))
  end)

  it("says before anything is staged that the password does not fit into a line", function()
    for _, password in ipairs { "a\nb", "a\rb", "a\0b" } do
      local ok, err = sink:check(credential { password = core.secret(password) })
      assert.is_nil(ok)
      assert.truthy(err.message:find("a password with a line break or a NUL byte does not fit", 1, true))
    end
    assert(sink:check(credential { password = core.secret "a\tb" }))
  end)

  it("says when the address is not known", function()
    local ok, err = sink:check(credential { host = false })
    assert.is_nil(ok)
    assert.truthy(err.message:find("the cluster's SQL address is not known", 1, true))
  end)
end)
