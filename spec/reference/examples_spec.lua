-- Every example of the reference runs: as the program of `crdbcloud shell`, against the sandbox, in reading order.

local command = require "spec.support.command"
local reference = require "crdbcloud.reference"

-- What the examples take for granted: users, and names that stand for the reader's own.
local AT_HAND = [[
local PASSWORD = "gX7mZp0QeR2tW9"
local URL = os.getenv "CRDBCLOUD_SQL"
cluster_id = cluster:get_cluster().id
assert(cluster:create_app_user { name = "payment_service", access = { database = "shop", preset = "readwrite" } })
assert(cluster:create_sql_user("app", PASSWORD))
crdbcloud.secret.prompt = function() return crdbcloud.secret(PASSWORD) end

function connect(credential)
  return crdbcloud.sql.connect { host = credential.host, port = credential.port, dbname = credential.database,
    user = credential.user, password = credential.password }
end

-- Anew for each example: some close or change what they are shown with.
function prepare()
  cloud = assert(crdbcloud.new { rate = 0 })
  cluster = assert(cloud:cluster "sandbox-one")
  sql = assert(crdbcloud.sql.connect(URL))
  assert(sql:query "CREATE TEMPORARY TABLE t (pw text)")
  source = assert(crdbcloud.credentials { source = os.getenv "CRDBCLOUD_STORE", user = "payment_service" })
  store = assert(crdbcloud.store.open(os.getenv "CRDBCLOUD_STORE"))
  key = cluster_id .. "/payment_service"
  record, version = store:get(key)
  secret, other, value, file = crdbcloud.secret "6869", "6869", crdbcloud.secret "x", io.tmpfile()
  text, name, password, url = PASSWORD, "App", PASSWORD, "file:" .. os.tmpname() .. ".store"
  access = { database = "shop", preset = "readonly" }
  found = crdbcloud.privileges.inspect(sql, "payment_service", { databases = { "shop" } })
  luasql_connection = sql
  problem = select(2, cloud:find_cluster "nowhere")
end

failed = {}
function try(path, example)
  prepare()
  local ok, why = xpcall((loadstring or load)(example, "=" .. path), function(e) return tostring(e) end)
  if not ok then failed[#failed + 1] = path .. ": " .. why end
end
]]

describe("the reference", function()
  local case = command.case()
  local env

  setup(case.setup)
  before_each(function() env = case.before() end)
  after_each(case.after)

  it("has examples that run, each of them", function()
    local s = case.sandbox
    s:reset()
    -- The account that reads the audit log too.
    env.COCKROACH_API_KEY_FILE = s.key_file:gsub("[^/]+$", "org_admin")
    env.KEY = "a-key-of-some-kind"
    local stand_ins = {
      { "/etc/crdbcloud/key", env.COCKROACH_API_KEY_FILE }, { "file:/var/lib/crdbcloud", env.CRDBCLOUD_STORE }, { "prod%-eu", "sandbox-one" },
      { "postgresql://admin@localhost:26257/defaultdb", env.CRDBCLOUD_SQL }, { 'clusters = "all"', 'clusters = { "sandbox-one" }' },
    }
    local program, last, count = { AT_HAND }, nil, 0
    reference.each(function(entry, chapter)
      if chapter.module then return end -- spec/nginx runs those
      local example = entry.example
      for _, pair in ipairs(stand_ins) do example = example:gsub(pair[1], (pair[2]:gsub("%%", "%%%%"))) end
      if entry.path == "crdbcloud.main" then
        last = example -- ends the process
      else
        program[#program + 1], count = ("try(%q, %q)"):format(entry.path, example), count + 1
      end
    end)
    program[#program + 1] = "io.stderr:write(table.concat(failed, '\\n')) if #failed > 0 then os.exit(1, true) end prepare()"
    program[#program + 1] = last
    local r = command.run({ "--quiet", "shell" }, env, table.concat(program, "\n"))
    assert.equal("", r.err)
    assert.equal(0, r.code)
    assert.is_true(count > 80)
  end)
end)
