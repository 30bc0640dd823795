local cjson = require "cjson"
local command = require "spec.support.command"
local core = require "crdbcloud.core"
local crdbcloud = require "crdbcloud"
local record = require "crdbcloud.record"
local sandbox = require "spec.support.sandbox"
local scan_of = require "spec.support.secrets_scan"
local scene = require "spec.support.scene"
local temp = require "spec.support.temp"
local wait = require "spec.support.wait"

local POST, PUT = "create_sql_user", "update_sql_user_password"
local HARD = "Pass \"word\"\\ with/ 'quotes': 100% +sign \195\188" -- differs in every form
local ACCESS = { database = "shop", tables = { "orders" }, privileges = { "SELECT" } }

describe("the scan for secrets", function()
  it("finds a planted secret in every form, wherever it stands", function()
    for name, value in pairs { word = "correct-horse-battery", hard = HARD, bytes = "\0\1\2\255\254 and text" } do
      local forms = {
        value, (value:gsub(".", function(c) return ("%02x"):format(c:byte()) end)), (value:gsub(".", function(c) return ("%02X"):format(c:byte()) end)),
        core.secret(value):encode("uri"):reveal(), core.secret(value):encode("json"):reveal(), cjson.encode(value),
      }
      for before = 0, 5 do
        -- As openssl or any other encoder writes a longer text with the secret within.
        local text = (("x"):rep(before) .. value .. ("y"):rep(3))
        forms[#forms + 1] = core.secret(text):encode("base64"):reveal()
        forms[#forms + 1] = forms[#forms]:gsub("%+", "-"):gsub("/", "_")
      end
      for i, form in ipairs(forms) do
        local scan = scan_of.new()
        scan:know(name, value)
        scan:look("a log", "before " .. form .. " after")
        assert(#scan.found > 0, ("%s, form %d was not found"):format(name, i))
        assert.matches("a log: " .. name, scan.found[1], 1, true)
        assert.is_nil(table.concat(scan.found):find(value, 1, true))
      end
    end
  end)

  it("finds one in tables, keys, objects that print themselves, files and processes", function()
    local scan = scan_of.new()
    scan:know("planted", "correct-horse-battery")
    local loop = { inner = {} }
    loop.inner.outer = loop
    loop.inner["correct-horse-battery"] = true
    local object = setmetatable({}, { __tostring = function() return "<correct-horse-battery>" end })
    local dir = temp.dir()
    temp.write(dir .. "/log", "see correct-horse-battery")
    local places = {
      function() scan:look_at("table", loop) end,
      function() scan:look_at("object", object) end,
      function() scan:look_at("json", { json = function() return '{"password":"correct-horse-battery"}' end }) end,
      function() scan:look_in(dir .. "/log") end,
      function()
        -- It reads from us, so it ends when we let go.
        local pipe = io.popen(("exec env SECRET=correct-horse-battery sh -c 'echo $$ >%s/new; mv %s/new %s/pid; read line'"):format(dir, dir, dir), "w")
        temp.run(("while [ ! -e %s/pid ]; do sleep 0.01; done"):format(dir))
        scan:look_process(tonumber((temp.read(dir .. "/pid"))))
        pipe:close()
      end,
    }
    for i, place in ipairs(places) do
      local before = #scan.found
      place()
      assert(#scan.found > before, "place " .. i)
    end
    assert.has_error(function() scan:assert_clean() end)
    temp.clean()
  end)

  it("finds nothing where nothing is, and does not pass when it looked at nothing", function()
    local scan = scan_of.new()
    scan:know("planted", "correct-horse-battery")
    assert.has_error(function() scan:assert_clean() end)
    scan:look("a log", "correct-horse-batterie")
    scan:look_at("a table", { password = core.secret "correct-horse-battery" })
    scan:assert_clean()
  end)
end)

describe("no password and no API key", function()
  local sc, scan, name

  -- Every key and password of the sandbox, and those that the store has now.
  local function know_all()
    local s = sc.sandbox
    for key, path in pairs(s.keys) do
      local text = temp.read(path):gsub("%s+$", "")
      scan:know("API key " .. key, text)
      scan:know("secret part of API key " .. key, text:match "^CCDB1_[^_]*_(.*)$" or text)
    end
    for _, file in ipairs { s.pgpassfile, s.dir .. "/root.pgpass" } do scan:know("password of " .. file, temp.read(file):match ":([^:\n]+)\n") end
    for user, password in pairs(s:passwords()) do scan:know("first password of " .. user, password) end
  end

  local function know_store(store)
    for _, key in ipairs(store:list "") do
      local rec = store:get(key)
      local _, secrets = record.split(rec or {})
      for holder, password in pairs(secrets) do scan:know(("%s of %s"):format(holder, key), password) end
    end
  end

  -- A handle of which every event, report and error is looked at.
  local function watched(options)
    local events = {}
    local given = { max_attempts = 2, timeout = 2, deadline = 10, on_event = function(event) events[#events + 1] = event end }
    for k, v in pairs(options or {}) do given[k] = v end
    local handle = sc:handle(given)
    local store = handle:open_store "spec"
    return handle, function(method, call)
      -- The throwaway of a creation is in the store only while it lasts.
      call.on_progress = function(event)
        events[#events + 1] = event
        if store then know_store(store) end
      end
      local report, err = handle[method](handle, call)
      if store then know_store(store) end
      scan:look_at(method, { report or false, err or false, handle, handle.cloud, store or false })
      scan:look_at("events of " .. method, events)
      assert(#events > 0 or err, method .. " told nothing")
      return report, err
    end
  end

  local function look_at_logs()
    local s = sc.sandbox
    scan:look_in(s.dir .. "/nginx/error.log")
    scan:look_in(s.dir .. "/pg/log")
    -- Locks and whatever else lies about; records and sinks are where passwords belong.
    for path in temp.run("find " .. sc.dir .. " -type f ! -name '*.rec' ! -path '*/sinks/*'"):gmatch "[^\n]+" do scan:look_in(path) end
  end

  before_each(function()
    sc, scan, name = scene.open(), scan_of.new(), "scan_" .. core.random_hex(5)
    temp.run("mkdir -m 700 " .. sc.dir .. "/sinks")
    know_all()
  end)
  after_each(function()
    sc:close()
    temp.clean()
  end)
  teardown(function() sandbox.shared():reset() end) -- of the users made here, some are admins

  it("is in what a rotation and a creation tell", function()
    local _, call = watched()
    assert(call("rotate_password", { user = "app_user_001", sinks = { "json:" .. sc.dir .. "/sinks/one.json" } }))
    assert(call("create_app_user", { name = name, access = ACCESS, sinks = { "pgpass:" .. sc.dir .. "/sinks/pgpass" } }))
    scan:know("a given password", HARD)
    assert(call("rotate_password", { user = name, password = HARD }))
    assert(call("rotate_passwords", { users = "managed", exclude = name }))
    for _, method in ipairs { "plan_rotation", "rotate_passwords" } do assert(call(method, { users = "managed", dry_run = true })) end
    assert(call("resume", {}))
    local handle = sc:handle()
    scan:look_at("status", assert(handle:rotation_status()))
    local credential = assert(handle:credential(name))
    scan:look("a credential as text", tostring(credential))
    scan:look("a URL as text", tostring(credential:url()))
    look_at_logs()
    assert.is_true(scan.secrets > 20)
    scan:assert_clean()
  end)

  it("is in what is told of an answer that went wrong", function()
    local faults = {
      { what = "echo_password" }, { what = "echo_password", status = 200 }, { what = "error_after", status = 500 }, { what = "drop_after" },
      { what = "html_502" }, { what = "broken_body" }, { what = "wrong_name" }, { what = "rate_limited", form = "absurd" }, { what = "redirect" },
      { what = "must_differ" }, { what = "error_before", status = 400, code = 3, message = "invalid argument: password refused" },
    }
    for i, fault in ipairs(faults) do
      local _, call = watched { max_attempts = 1 }
      scan:know("given " .. i, "Given-" .. name .. i)
      for _, op in ipairs { PUT, POST } do
        fault.op, fault.count = op, "all"
        sc.sandbox:fault(fault)
      end
      call("rotate_password", { user = "app_user_00" .. (i % 5 + 1) })
      call("create_app_user", { name = name .. i, access = ACCESS, password = "Given-" .. name .. i })
      sc.sandbox:clear()
    end
    look_at_logs()
    scan:assert_clean()
  end)

  it("is in what is told of keys, passwords and URLs that are refused", function()
    local refused = "short-pass1"
    scan:know("a refused password", refused)
    scan:know("a wrong password", "wrong-" .. HARD)
    local _, call = watched()
    local _, err = call("create_app_user", { name = name, access = ACCESS, password = refused })
    assert.are.equal("invalid_argument", err.kind)
    _, err = call("import_credential", { user = "app_user_001", password = "wrong-" .. HARD })
    assert.are.equal("rejected", err.outcome)
    for _, key in ipairs { "invalid", "readonly" } do
      local _, with_key = watched { api_key_file = sc.sandbox.keys[key] }
      _, err = with_key("rotate_password", { user = "app_user_001" })
      assert.are.equal(4, err.exit)
    end
    for _, given in ipairs { "CCDB1_abc_" .. HARD, "no-key-" .. refused .. "\r\nX: y" } do
      scan:know("a key that was refused", given)
      local cloud, why = pcall(crdbcloud.new, { api_key = given, base_url = sc.sandbox.url, ca_file = sc.sandbox.ca_file })
      scan:look_at("a refused key", { cloud, why })
    end
    local url = ("postgresql://sandbox_admin:%s@127.0.0.1:%d/shop?sslmode=verify-full&sslrootcert=%s"):format(refused, sc.sandbox.pg.port,
      sc.sandbox.ca_file)
    local handle = sc:handle { cluster = { sql = url } }
    scan:look("a handle with a URL", tostring(handle))
    _, err = handle:create_app_user { name = name, access = ACCESS }
    assert.is_table(err)
    scan:look_at("a refused login", err)
    for _, store in ipairs { "file://u:" .. refused .. "@host/x", "postgresql://u:" .. refused .. "@127.0.0.1:1/x" } do
      _, err = sc:handle({ cluster = { store = store } }):rotate_password "app_user_001"
      scan:look_at("a refused store", err)
    end
    look_at_logs()
    scan:assert_clean()
  end)

  it("is printed by the command, or to be seen from outside while it runs", function()
    local s, env = sc.sandbox, { HOME = sc.dir, CRDBCLOUD_STORE = sc.store_url }
    for variable, value in pairs(s.env) do env[variable] = env[variable] or value end
    local store = assert(sc.cluster:open_store "spec")
    local function run(args, stdin)
      local result = command.run(args, env, stdin)
      scan:look(table.concat(args, " "), result.out .. "\n" .. result.err)
      know_store(store)
      return result
    end
    -- Held back by the server, so that there is time to look at the process.
    local function watch(op, args)
      local before = #sc:requests(op)
      s:fault { op = op, what = "delay", seconds = 4 }
      local process = command.start(args, env)
      wait(op, function() return #sc:requests(op) > before end)
      know_store(store)
      scan:look_process(process.pid)
      local result = process.wait()
      scan:look(table.concat(args, " "), result.out .. "\n" .. result.err)
      know_store(store)
      assert.are.equal(0, result.code, result.err)
    end
    local creation = { "app-user", "create", name, "--owner", "t@example.com", "--database", "shop", "--preset", "readonly" }
    creation[#creation + 1], creation[#creation + 2] = "--sink", "json:" .. sc.dir .. "/sinks/x.json"
    watch(POST, creation)
    watch(PUT, { "rotate", "run", "--user", name .. ",app_user_001", "--yes", "-o", "json" })
    temp.write(sc.dir .. "/sinks/password", HARD .. "\n")
    temp.run("chmod 600 " .. sc.dir .. "/sinks/password")
    scan:know("a password from a file", HARD)
    run { "user", "create", name .. "_admin", "--admin", "--yes", "--password-file", sc.dir .. "/sinks/password" }
    for _, args in ipairs {
      { "whoami" }, { "doctor" }, { "user", "list" }, { "rotate", "status" }, { "rotate", "plan", "--managed" }, { "rotate", "resume" },
      { "credential", "show", name }, { "credential", "show", name, "-o", "json" }, { "rotate", "run", "--user", "nobody_here", "--yes" },
      { "user", "passwd", name, "--password", HARD }, { "--sql", "postgresql://u:" .. HARD .. "@h/d", "rotate", "status" },
      { "app-user", "create", name, "--owner", "t@example.com", "--database", "shop", "--preset", "ddl" },
    } do
      run(args)
    end
    s:fault { op = PUT, what = "echo_password", count = "all" }
    assert.are_not.equal(0, run({ "rotate", "run", "--user", name, "--yes" }).code)
    look_at_logs()
    scan:assert_clean()
  end)
end)
