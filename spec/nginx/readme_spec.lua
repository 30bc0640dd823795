-- The configuration in README.md is one that works.

local nginx = require "spec.support.servers.nginx"
local sandbox = require "spec.support.sandbox"
local temp = require "spec.support.temp"

describe("the nginx.conf of the README", function()
  after_each(function()
    nginx.stop_all()
    temp.clean()
  end)

  it("serves the users of a cluster", function()
    local s = sandbox.shared()
    s:clear()
    local text = temp.read("README.md"):match "```nginx\n(.-)```"
    local function part(pattern) return assert(text:match(pattern), pattern) end
    local key, store = temp.dir() .. "/key", temp.dir() .. "/store"
    temp.write(key, temp.read(s.keys.admin))
    temp.run("chmod 600 " .. key)
    local function adapted(code)
      return (code:gsub("/etc/crdbcloud/key", key):gsub("/var/lib/crdbcloud", store):gsub("prod%-eu", s.cluster_name))
    end
    local web = nginx.start {
      pool = part "(thread_pool [^;]*;)", http = part "(lua_shared_dict [^;]*;)",
      env = { CRDBCLOUD_CA_FILE = s.ca_file, COCKROACH_SERVER = s.url },
      init = adapted(part "init_by_lua_block {\n(.-)\n  }"), init_worker = part "init_worker_by_lua_block {\n(.-)\n  }",
      locations = { ["/users"] = part "content_by_lua_block {\n(.-)\n      }" },
    }
    assert.matches("env CRDBCLOUD_CA_FILE;", text, 1, true)
    local status, body = web:get "/users"
    assert.equal(200, status)
    assert.matches("^app_user_001\n", body)
    s:fault { op = "*", what = "error_before", status = 401, code = 16, count = "all" }
    status, body = web:get "/users"
    s:clear()
    assert.same({ 502, "unauthenticated" }, { status, body })
    web:stop()
    for _, line in ipairs(web:errors()) do assert.matches("%[error%].*unauthenticated", line) end
  end)
end)
