local cjson = require "cjson"
local core = require "crdbcloud.core"
local crdbcloud = require "crdbcloud"
local record = require "crdbcloud.record"
local sandbox = require "spec.support.sandbox"
local store = require "crdbcloud.store"
local temp = require "spec.support.temp"
local uv = require "luv"

local PUT = "update_sql_user_password"

describe("many users in threads", function()
  local TOTAL = 60
  local s, store_url
  local users = {}
  for i = 1, TOTAL do users[i] = ("app_user_%03d"):format(i) end
  setup(function() s = sandbox.start { users = TOTAL, latency = 300, rate = 10 } end)
  teardown(function() s:stop() end)
  before_each(function() store_url = "file:" .. temp.dir() .. "/store" end)
  after_each(temp.clean)

  local function sql()
    local password = temp.read(s.pgpassfile):match ":sandbox_admin:([^\n]+)"
    return {
      host = s.pg.host, port = s.pg.port, dbname = "shop", user = "sandbox_admin", password = core.secret(password),
      sslmode = "verify-full", sslrootcert = s.ca_file,
    }
  end

  local function open(rate)
    local cloud = assert(crdbcloud.new { base_url = s.url, ca_file = s.ca_file, api_key_file = s.keys.admin, rate = rate, timeout = 10 })
    return assert(cloud:cluster(s.cluster_id, { store = store_url, sql = sql() })), cloud
  end

  local function assert_all_log_in()
    local at = assert(store.open(store_url))
    for _, user in ipairs(users) do
      local rec = assert(at:get(record.key(s.cluster_id, user)))
      assert.equal("idle", rec.state)
      local verdict = require("crdbcloud.sql.probe").login {
        host = s.pg.host, port = s.pg.port, dbname = "shop", user = user, password = rec.current.password, sslmode = "verify-full",
        sslrootcert = s.ca_file, timeout = 10,
      }
      assert.equal("accepted", verdict, user)
    end
  end

  it("meet the rate limit of the service without one refusal", function()
    s:clear()
    local cluster, cloud = open()
    local report = assert(cluster:rotate_passwords { users = users, parallel = 16 })
    cluster:close()
    cloud:close()
    assert.equal(TOTAL, #report.rows)
    local sent, statuses = 0, {}
    for _, entry in ipairs(s:log()) do
      if entry.op == PUT then sent = sent + 1 end
      statuses[entry.status] = (statuses[entry.status] or 0) + 1
    end
    assert.equal(TOTAL, sent)
    assert.is_nil(statuses[429])
    assert_all_log_in()
  end)

  it("survive that their process is killed in the middle: one password per user and epoch, and all log in", function()
    s:set { rate = 0, latency = 50 }
    s:clear()
    local job = temp.dir() .. "/job"
    temp.write(job, cjson.encode {
      cloud = { rate = 0 }, calls = { { "rotate_passwords", { users = users, parallel = 8 } } },
    })
    local environment = ("COCKROACH_SERVER=%s CRDBCLOUD_CA_FILE=%s COCKROACH_API_KEY_FILE=%s CRDBCLOUD_CLUSTER=%s "):format(
      s.url, s.ca_file, s.keys.admin, s.cluster_id)
      .. ("CRDBCLOUD_STORE=%s CRDBCLOUD_SQL=%s PGPASSFILE=%s "):format(store_url, temp.quote(s.sql_url), s.pgpassfile)
    local command = temp.lua "":gsub(" %-e .*$", "")
    local pipe = assert(io.popen(("%s sh -c 'echo $$; exec \"$@\"' x env %s spec/support/crash/job.lua %s 2>&1"):format(environment, command, job)))
    local pid = assert(pipe:read "*l"):match "^%d+$"
    local done, lines = 0, {}
    while done < 20 do
      local line = assert(pipe:read "*l", table.concat(lines, "\n"))
      lines[#lines + 1] = line
      if line:match "%] app_user_%d+: done" then done = done + 1 end
    end
    assert.equal(0, uv.kill(tonumber(pid), "sigkill"))
    pipe:close()

    local at, open_before = assert(store.open(store_url)), 0
    for _, key in ipairs(at:list(s.cluster_id .. "/")) do
      local rec = assert(at:get(key))
      if record.is_open(rec) then open_before = open_before + 1 end
    end
    assert.is_true(open_before > 0) -- eight threads were in the middle of something

    local cluster, cloud = open(0)
    assert(cluster:resume())
    for _, row in ipairs(cluster:rotation_status().rows) do assert.is_false(row.open) end
    local rest = {}
    for _, user in ipairs(users) do
      if not at:get(record.key(s.cluster_id, user)) then rest[#rest + 1] = user end
    end
    assert.is_true(#rest > 0)
    assert(cluster:rotate_passwords { users = rest, parallel = 8 })
    cluster:close()
    cloud:close()

    local hashes = {}
    for _, entry in ipairs(s:log()) do
      if entry.op == PUT and entry.password_hash then -- without one, the kill cut its body
        hashes[entry.user] = hashes[entry.user] or entry.password_hash
        assert.equal(hashes[entry.user], entry.password_hash, entry.user .. " was sent two passwords")
      end
    end
    for _, user in ipairs(users) do
      local rec = at:get(record.key(s.cluster_id, user))
      assert.same({ 1, s:hash(rec.current.password) }, { rec.epoch, hashes[user] })
    end
    assert_all_log_in()
  end)
end)
