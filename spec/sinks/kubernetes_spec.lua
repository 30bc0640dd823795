local cjson = require "cjson"
local core = require "crdbcloud.core"
local managers = require "spec.support.servers.secret_managers"
local sinks = require "crdbcloud.sinks"
local temp = require "spec.support.temp"

local CLUSTER = "1b6fee85-c1ae-42da-bb4f-e3f8a89fdd25"

local function credential(fields)
  local c = {
    user = "app", cluster = "prod", cluster_id = CLUSTER, host = "db.example.com", port = 26257, database = "shop",
    sslmode = "verify-full", epoch = 5, password = core.secret "p:a\\ss\"word",
  }
  for k, v in pairs(fields or {}) do c[k] = v end
  return c
end

local function open(spec, user)
  spec[1] = "kubernetes"
  return sinks.open(sinks.parse({ spec }, "sinks"), user or "app", "prod")[1]
end

-- The data of a manifest, decoded by jq: neither the reader nor the decoder is ours.
local function data_of(path)
  local out, status = temp.run(("jq -j '.data | to_entries[] | \"\\(.key)\\u0000\", (.value | @base64d), \"\\u0000\"' %s"):format(path))
  assert(status == 0, out)
  local data = {}
  for key, value in out:gmatch "(%Z*)%z(%Z*)%z" do data[key] = value end
  return data
end

describe("a kubernetes sink", function()
  local dir
  before_each(function() dir = temp.dir() end)
  after_each(temp.clean)

  it("writes the manifest of a Secret, 0600", function()
    local sink = open { name = "db-{user}", namespace = "shop", path = dir .. "/{user}.json" }
    assert.equal("kubernetes:" .. dir .. "/app.json", sink.name)
    assert(sink:check(credential()))
    assert.is_nil(temp.read(dir .. "/app.json"))
    assert(sink:publish(credential()))
    local manifest = cjson.decode(temp.read(dir .. "/app.json"))
    assert.equal("v1", manifest.apiVersion)
    assert.equal("Secret", manifest.kind)
    assert.equal("Opaque", manifest.type)
    assert.same({
      name = "db-app", namespace = "shop",
      labels = { ["app.kubernetes.io/managed-by"] = "crdbcloud", ["crdbcloud/epoch"] = "5" },
      annotations = { ["crdbcloud/user"] = "app", ["crdbcloud/cluster-id"] = CLUSTER },
    }, manifest.metadata)
    assert.same({
      username = "app", password = 'p:a\\ss"word', host = "db.example.com", port = "26257", database = "shop", sslmode = "verify-full",
    }, data_of(dir .. "/app.json"))
    assert.equal(384, core.stat(dir .. "/app.json").mode % 512)
  end)

  it("gives back any password, by a reader of JSON and one of YAML", function()
    local sink = open { name = "db", path = dir .. "/app.json" }
    local bytes = {}
    for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end
    local all = table.concat(bytes)
    for epoch, password in ipairs { "x", "xy", "xyz", "a\nb", '"', "ü日本", all, all:reverse(), "\0", "\255\254" } do
      assert(sink:publish(credential { epoch = epoch, password = core.secret(password) }))
      local value = cjson.decode(temp.read(dir .. "/app.json")).data.password
      temp.write(dir .. "/base64", value)
      temp.run(("base64 -d %s/base64 >%s/bytes"):format(dir, dir))
      assert.equal(password, temp.read(dir .. "/bytes"))
      local yaml = temp.run(([[/usr/bin/python3 -c 'import sys, yaml; print(yaml.safe_load(open(sys.argv[1]))["data"]["password"])' %s/app.json]]):format(dir))
      assert.equal(value .. "\n", yaml)
    end
  end)

  it("makes equal manifests of equal credentials, and leaves out what is not known", function()
    local sink = open { name = "db", path = dir .. "/app.json" }
    local bare = credential()
    bare.host, bare.port, bare.database = nil, nil, nil
    assert(sink:publish(bare))
    local first = temp.read(dir .. "/app.json")
    assert(sink:publish(bare))
    assert.equal(first, temp.read(dir .. "/app.json"))
    assert.same({ username = "app", password = 'p:a\\ss"word', sslmode = "verify-full" }, data_of(dir .. "/app.json"))
    assert.is_nil(cjson.decode(first).metadata.namespace)
  end)

  it("never goes back to an older epoch, nor over another user's Secret, nor over a file that is not its own", function()
    local sink = open { name = "db", path = dir .. "/app.json" }
    local function refused(what, fields)
      local before = temp.read(dir .. "/app.json")
      for _, call in ipairs { "check", "publish" } do
        local ok, err = sink[call](sink, credential(fields))
        assert.is_nil(ok)
        assert.equal("sink", err.kind)
        assert.truthy(err.message:find(what, 1, true), err.message)
      end
      assert.equal(before, temp.read(dir .. "/app.json"))
    end
    assert(sink:publish(credential { epoch = 6 }))
    refused("it holds epoch 6, which is newer than 5", { epoch = 5 })
    refused("it holds the credential of another user (app)", { user = "other", epoch = 7 })
    refused("it holds the credential of another user (app)", { cluster_id = CLUSTER:gsub("^1", "2"), epoch = 7 })
    for _, text in ipairs { "", "no JSON", "{}", '{"metadata":{"labels":{}}}', '{"metadata":"x"}', "apiVersion: v1\nkind: Secret\n" } do
      temp.write(dir .. "/app.json", text)
      refused("is no Secret written by this sink; it is not overwritten")
    end
  end)

  it("hands the manifest to a command", function()
    local sink = open { name = "db", namespace = "shop", command = managers.command("sh", "-c", "cat >" .. dir .. "/{user}.out") }
    assert.equal("kubernetes:shop/db | env -u LD_PRELOAD -u ASAN_OPTIONS -u LSAN_OPTIONS -u UBSAN_OPTIONS sh -c \"cat >" .. dir .. "/app.out\"", sink.name)
    assert(sink:check(credential()))
    assert(sink:publish(credential()))
    assert.equal('p:a\\ss"word', data_of(dir .. "/app.out").password)
  end)

  it("writes the manifest to standard output, one after the other", function()
    local code = [[
      local sinks = require "crdbcloud.sinks"
      for i, spec in ipairs { "kubernetes:shop/db-{user}", "kubernetes:plain" } do
        local sink = sinks.open(sinks.parse({ spec }, "sinks"), "app", "prod")[1]
        local credential = { user = "app", cluster_id = "x", epoch = i, password = core.secret("password" .. i) }
        assert(sink:check(credential))
        assert(sink:publish(credential))
        io.stderr:write(sink.name, "\n")
      end]]
    local out, status = temp.run(temp.lua(code) .. (" >%s/out"):format(dir))
    assert.equal(0, status, out)
    assert.equal("kubernetes:shop/db-app\nkubernetes:plain\n", out)
    local read = temp.run(([[jq -c '[.metadata.namespace, .metadata.name, (.data.password | @base64d)]' %s/out]]):format(dir))
    assert.equal('["shop","db-app","password1"]\n[null,"plain","password2"]\n', read)
  end)

  it("fails when standard output cannot be written", function()
    local out = temp.run(temp.lua [[
      local sinks = require "crdbcloud.sinks"
      local sink = sinks.open(sinks.parse({ "kubernetes:db" }, "sinks"), "app", "prod")[1]
      local ok, err = sink:publish { user = "app", cluster_id = "x", epoch = 1, password = core.secret "p" }
      io.stderr:write(tostring(ok), " ", err.kind, " ", err.message)]] .. " 2>&1 >/dev/full")
    assert.equal("nil sink kubernetes:db: No space left on device", out)
  end)

  it("says how the command failed, and shows nothing of what it printed", function()
    local sink = open { name = "db", command = managers.command("sh", "-c", "cat; cat >&2 <<END\nsecret\nEND\nexit 3") }
    local ok, err = sink:publish(credential())
    assert.is_nil(ok)
    assert.truthy(err.message:find("env ended with exit status 3; its output, ", 1, true), err.message)
    assert.truthy(err.message:find("7 on standard error, is not shown", 1, true), err.message)
    assert.falsy(tostring(err):find(credential().password:encode("base64"):reveal(), 1, true))
  end)

  it("refuses before staging a name that Kubernetes would refuse, and a program that is not there", function()
    local function refused(what, spec, user)
      local ok, err = open(spec, user):check(credential())
      assert.is_nil(ok)
      assert.equal("sink", err.kind)
      assert.truthy(err.message:find(what, 1, true), err.message)
    end
    refused('"my_app" is no name of a Secret', { name = "{user}", path = dir .. "/x" }, "my_app")
    for _, name in ipairs { "-x", "x-", "X", "a..b", ".a", "a.", "ü", ("x"):rep(254) } do
      refused("is no name of a Secret", { name = name, path = dir .. "/x" })
    end
    for _, name in ipairs { "a.b", "-", ("x"):rep(64), "Shop" } do
      refused("is no namespace", { name = "db", namespace = name, path = dir .. "/x" })
    end
    for _, name in ipairs { "x", "a-b.c0", ("x"):rep(253) } do assert(open({ name = name, path = dir .. "/x" }):check(credential())) end
    refused("there is no program no-such-kubectl in PATH", { name = "db", command = { "no-such-kubectl" } })
    refused("No such file or directory", { name = "db", path = dir .. "/no/x.json" })
  end)

  it("is refused when it is written wrongly", function()
    local function message(spec)
      local ok, why = pcall(sinks.parse, { spec }, "sinks")
      assert.is_false(ok)
      return (why:gsub("^.-:%d+: ", ""))
    end
    assert.equal("sinks[1]: kubernetes needs a name", message { "kubernetes", path = "/x" })
    assert.matches("^sinks%[1%]: kubernetes needs a path or a command", message { "kubernetes", name = "x" })
    assert.matches("^sinks%[1%]: kubernetes needs a path or a command", message { "kubernetes", name = "x", path = "/x", command = { "y" } })
    assert.equal("sinks[1]: kubernetes: timeout belongs to a command", message { "kubernetes", name = "x", path = "/x", timeout = "3s" })
    assert.equal('sinks[1]: unknown field "labels"; valid: command, name, namespace, path, timeout',
      message { "kubernetes", name = "x", path = "/x", labels = {} })
  end)
end)
