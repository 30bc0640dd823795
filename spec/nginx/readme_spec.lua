-- The configuration in README.md works as it is printed, with the commands that are printed before it. What a spec cannot have is
-- replaced word for word: directories of the system, the port, and www-data where the spec is not run by root.

local documents = require "spec.support.documents"
local sandbox = require "spec.support.sandbox"
local temp = require "spec.support.temp"

describe("the nginx.conf of the README", function()
  local stop

  after_each(function()
    if stop then temp.run(stop) end
    stop = nil
    temp.clean()
  end)

  local function replaced(text, pairs_of_words)
    for _, pair in ipairs(pairs_of_words) do
      local from, to = text:find(pair[1], 1, true)
      assert.is_truthy(from, pair[1])
      while from do
        text = text:sub(1, from - 1) .. pair[2] .. text:sub(to + 1)
        from, to = text:find(pair[1], from + #pair[2], true)
      end
    end
    return text
  end

  it("serves the users of a cluster, by workers that are not root", function()
    local s = sandbox.shared()
    s:reset()
    local root = temp.run "id -u":match "^0" ~= nil
    local dir = temp.dir()
    temp.run("chmod 755 " .. dir)
    local config, commands
    for _, block in ipairs(documents.blocks "README.md") do
      if block.language == "nginx" then config = block.text end
      if block.text:find("-o www-data", 1, true) then commands = block.text end
    end

    local places = { { "/etc/crdbcloud", dir .. "/etc" }, { "/var/lib/crdbcloud", dir .. "/store" } }
    if not root then places[3] = { " -o www-data", "" } end
    temp.write(dir .. "/commands", replaced(commands, places))
    local key = temp.quote(s.key_file)
    local out, code = temp.run(("COCKROACH_API_KEY_FILE=%s sh -eu %s/commands"):format(key, dir))
    assert.equal(0, code, out)

    -- The checkout stands for what `make install` puts where nginx looks, and dir for what Debian's nginx writes to.
    local checkout = temp.run "pwd":gsub("%s+$", "")
    local own = ('http {\n  access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; '
      .. 'scgi_temp_path scgi;\n  lua_package_path "%s/lua/?.lua;%s/lua/?/init.lua;;";\n  lua_package_cpath "%s/build/5.1/?.so;;";')
      :format(checkout, checkout, checkout)
    temp.write(dir .. "/nginx.conf", replaced(config, {
      places[1], places[2], { "127.0.0.1:8080", ("unix:%s/socket"):format(dir) }, { "http {", own },
      { "load_module ", "load_module /usr/lib/nginx/" },
    }))
    local nginx = ("env -u LD_PRELOAD PATH=\"$PATH:/usr/sbin\" CRDBCLOUD_CA_FILE=%s COCKROACH_SERVER=%s CRDBCLOUD_CLUSTER=%s "
      .. "nginx -p %s -c %s/nginx.conf -e %s/error.log -g 'pid %s/pid; error_log %s/error.log;'")
      :format(temp.quote(s.ca_file), s.url, s.cluster_name, dir, dir, dir, dir, dir)
    out, code = temp.run(nginx)
    assert.equal(0, code, out)
    stop = nginx .. (" -s quit; while test -e %s/pid; do sleep 0.05; done"):format(dir)

    local function get()
      out = temp.run(("env -u LD_PRELOAD curl -sS --noproxy '*' -m 60 --unix-socket %s/socket -w '\\n%%{http_code}' http://nginx/users"):format(dir))
      local body, status = out:match "^(.*)\n(%d+)"
      return tonumber(status), body
    end
    local status, body = get()
    assert.equal(200, status, out .. (temp.read(dir .. "/error.log") or ""))
    assert.matches("^app_user_001\n", body)
    if root then
      local owners = temp.run(("ps -o user= --ppid $(cat %s/pid)"):format(dir))
      assert.equal("www-data\n", (owners:gsub("\n+$", "\n")))
    end

    s:fault { op = "*", what = "error_before", status = 401, code = 16, count = "all" }
    assert.same({ 502, "unauthenticated\n" }, { get() })
    s:clear()
    temp.run(stop)
    stop = nil
    for line in temp.read(dir .. "/error.log"):gmatch "[^\n]+" do
      assert.truthy(line:find "%[notice%]" or line:find "unauthenticated" or line:find '"user" directive makes sense only', line)
    end
  end)
end)
