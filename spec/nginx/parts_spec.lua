-- Tests lua/crdbcloud/base/blocking.lua, lua/crdbcloud/nginx/secrets.lua, lua/crdbcloud/nginx/states.lua.
--
-- The small parts of crdbcloud.nginx: what it offers, secrets, the warning of the blocking module.

local nginx = require "spec.support.servers.nginx"
local sandbox = require "spec.support.sandbox"
local temp = require "spec.support.temp"

describe("crdbcloud.nginx", function()
  after_each(function()
    nginx.stop_all()
    temp.clean()
  end)

  it("has the parts that need no network as they are in a script, and no more", function()
    local web = nginx.start { init = "crdbcloud = require 'crdbcloud.nginx'" }
    assert.equal("32 app true SELECT " .. require "crdbcloud.version" .. " nil nil nil", web:run [[
      local plan = crdbcloud.privileges.plan({ database = "shop", tables = { "orders" }, privileges = { "SELECT" } }, { user = "app" })
      say(#crdbcloud.password.generate(), crdbcloud.names.check "App", crdbcloud.errors.is(crdbcloud.errors.new { kind = "sql" }),
        table.concat(plan, "\n"):match "SELECT", crdbcloud.version, crdbcloud.sql, crdbcloud.store, crdbcloud.nothing)
    ]])
    assert.same({}, web:errors())
  end)

  it("is told apart from a script and a thread, where it says what to use", function()
    local crdbcloud = require "crdbcloud.nginx"
    local cloud = crdbcloud.new { base_url = "https://example.com" }
    local _, err = cloud:list_clusters()
    assert.equal("context", err.reason)
    assert.matches('in a script, and in a thread, it is require "crdbcloud"', err.hint, 1, true)
    assert.equal("context", select(2, crdbcloud.connect_with({ get = print }, "app", print)).reason)
    cloud:close()
  end)

  it("reads a secret from a file at the start of a worker only", function()
    local file = temp.dir() .. "/secret"
    temp.write(file, "content\n")
    temp.run("chmod 600 " .. file)
    local read = ("crdbcloud.secret.from_file %q"):format(file)
    local web = nginx.start {
      init = "crdbcloud = require 'crdbcloud.nginx' _, early = " .. read, init_worker = "secret = " .. read, env = { SOME_SECRET = "from-env" },
    }
    assert.equal("invalid_argument secret.from_file: a secret that is made before nginx forks its workers is empty in them "
      .. "(invalid_argument, not sent); read it in init_worker_by_lua, or give api_key_file, which is read in a thread",
      web:run "say(early.kind, early)")
    assert.equal("true <secret 7 bytes>", web:run "say(secret:equals 'content', secret)")
    assert.matches("reading a file in content_by_lua stops the worker", web:run("say((select(2, " .. read .. ")))"), 1, true)
    assert.equal("true true nginx has no terminal to ask on", web:run [[
      say(crdbcloud.secret.from_env "SOME_SECRET":equals "from-env", crdbcloud.secret "text":equals "text", select(2, crdbcloud.secret.prompt()).message)
    ]])
  end)
end)

describe("the module for scripts in a worker", function()
  after_each(function()
    nginx.stop_all()
    temp.clean()
  end)

  it("warns once that it stops the worker, and neither at the start nor in nginx's threads", function()
    local s = sandbox.shared()
    s:clear()
    local options = ("{ base_url = %q, ca_file = %q, api_key_file = %q, rate = 0 }"):format(s.url, s.ca_file, s.keys.admin)
    local web = nginx.start {
      init = "blocking = require 'crdbcloud' crdbcloud = require 'crdbcloud.nginx' options = " .. options,
      init_worker = "early = tostring(blocking.new(options):list_clusters())",
    }
    web:run "assert(crdbcloud.new(options):list_clusters())"
    assert.same({}, web:errors())
    web:run "local cloud = blocking.new(options)" -- no I/O
    assert.same({}, web:errors())
    for _ = 1, 3 do web:run "assert(blocking.new(options):list_clusters())" end
    local lines = web:errors()
    assert.equal(1, #lines)
    assert.matches('%[warn%].*crdbcloud stops this worker for as long as a call takes: use require "crdbcloud.nginx"', lines[1])
    web:stop()
    web = nginx.start { init = "blocking = require 'crdbcloud'" }
    web:run(("blocking.store.open 'file:%s/store'"):format(temp.dir()))
    assert.equal(1, #web:errors())
  end)
end)
