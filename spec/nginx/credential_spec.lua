local nginx = require "spec.support.servers.nginx"
local temp = require "spec.support.temp"

local INIT = [[
  crdbcloud = require "crdbcloud.nginx"
  core, dict = require "crdbcloud.core", require "crdbcloud.nginx.dict"
  function put(epoch, ...)
    local candidates = {}
    for i, password in ipairs { ... } do candidates[i] = { epoch = epoch, source = "current", password = core.secret(password) } end
    assert(dict.put(ngx.shared.creds, { user = "app", cluster = "prod", cluster_id = "11111111-1111-4111-8111-111111111111", epoch = epoch,
      set_at = epoch, pool_name = "p/app/" .. epoch, password = candidates[1].password, candidates = candidates }))
  end
  -- As pgmoon tells it: no SQLSTATE.
  function pgmoon(right)
    return function(credential)
      tried = (tried or "") .. credential.password:reveal() .. " "
      if credential.password:equals(right) then return { name = credential.pool_name } end
      return nil, 'FATAL: password authentication failed for user "app" (28P01)'
    end
  end
]]

describe("credentials in requests", function()
  local web
  before_each(function()
    web = nginx.start {
      http = "lua_shared_dict creds 100k;", init = INIT,
      locations = { ["/phases"] = {
        content = "ngx.print('')",
        header_filter = "seen = tostring(crdbcloud.credential('creds', 'app')) _, refused = crdbcloud.connect_with('creds', 'app', print)",
      } },
    }
  end)
  after_each(function()
    nginx.stop_all()
    temp.clean()
  end)

  it("are read in every phase; connecting needs one that can wait", function()
    web:run "put(1, 'one')"
    web:get "/phases"
    assert.equal("crdbcloud.credential app@?:? epoch 1 invalid_argument context", web:run "say(seen, refused.kind, refused.reason)")
  end)

  it("are missing with a word on who fills the dictionary", function()
    assert.equal('not_found credential: the shared dictionary holds no credential of app (not_found); crdbcloud.keep_credentials{...} in '
      .. 'init_worker_by_lua fills it from the store, a sink "shared:DICT" with each rotation',
      web:run "local _, err = crdbcloud.credential('creds', 'app') say(err.kind, err)")
    assert.matches("^invalid_argument 500 credential: nginx has no shared dictionary other",
      web:run "local _, err = crdbcloud.credential('other', 'app') say(err.kind, crdbcloud.http_status(err), err)")
    assert.equal("invalid_argument", web:run "local _, err = crdbcloud.credential('creds', 'not a name') say(err.kind)")
  end)

  it("are tried one after the other when a password is wrong", function()
    assert.equal("p/app/2 current staged ", web:run [[
      put(2, "current", "staged", "previous")
      tried = nil
      say(assert(crdbcloud.connect_with("creds", "app", pgmoon "staged")).name, tried)
    ]])
  end)

  it("are read again until the deadline, while other requests go on", function()
    local request = web:begin("/-/run", { body = [[
      put(1, "old")
      tried = nil
      local conn = assert(crdbcloud.connect_with("creds", "app", pgmoon "new", { deadline = "20s" }))
      say(conn.name, (tried:find "^old old .*new $") ~= nil)
    ]] })
    web:wait(function() return web:run "say(tried)":find "old old" ~= nil end, "a second try")
    web:run "put(2, 'new')"
    assert.equal("p/app/2 true", (select(2, request.wait())))
  end)

  it("are given up at the deadline, with the connection's own error", function()
    assert.equal('FATAL: password authentication failed for user "app" (28P01) true', web:run [[
      put(1, "old")
      local before = core.monotonic()
      local conn, err = crdbcloud.connect_with("creds", "app", pgmoon "never", { deadline = "300ms" })
      say(err, core.monotonic() - before >= 0.15)
    ]])
  end)

  it("are not tried further after any other failure", function()
    assert.equal("connection refused 1", web:run [[
      put(1, "one", "two")
      local count = 0
      local _, err = crdbcloud.connect_with("creds", "app", function() count = count + 1 return nil, "connection refused" end)
      say(err, count)
    ]])
  end)

  it("raise for what is none of their arguments, at the caller's line", function()
    for call, message in pairs {
      ["crdbcloud.credential(nil, 'app')"] = "spec:1: credential: dict must be the name of a lua_shared_dict, got nothing",
      ["crdbcloud.credential('creds', 7)"] = "spec:1: credential: user must be the name of a SQL user, got 7",
      ["crdbcloud.credential('creds', 'app', { cluser = 'x' })"] = 'spec:1: credential: unknown option "cluser"; did you mean "cluster"?',
      ["crdbcloud.connect_with('creds', 'app')"] = "spec:1: connect_with: expected a function that takes a credential, got nothing",
      ["crdbcloud.connect_with('creds', 'app', print, { deadline = 6000 })"] = "deadline = 6000 is in seconds",
      ["crdbcloud.connect_with('creds', 'app', print, { dedline = 1 })"] = 'unknown option "dedline"; did you mean "deadline"?',
    } do
      assert.matches(message, web:run(("say(select(2, pcall(function() return %s end)))"):format(call)), 1, true)
    end
    assert.same({}, web:errors())
  end)
end)
