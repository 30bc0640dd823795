local temp = require "spec.support.temp"

local jit = rawget(_G, "jit")
local LUA, ABI, INCLUDE = "lua5.4", "5.4", "/usr/include/lua5.4"
if jit then LUA, ABI, INCLUDE = "luajit", "5.1", "/usr/include/luajit-2.1" end

describe("the build", function()
  local dir

  before_each(function() dir = temp.dir() end)
  after_each(temp.clean)

  local function run(line)
    local out, code = temp.run(line)
    assert.equal(0, code, out)
    return out
  end

  -- Files below a directory, without it in front.
  local function files(where) return run(("cd %s && find . -type f | LC_ALL=C sort"):format(where)) end

  it("exports nothing but the open functions", function()
    for _, module in ipairs { "core", "pq" } do
      local out = run(("nm -D --defined-only build/%s/crdbcloud/%s.so"):format(ABI, module))
      assert.matches("^%x+ T luaopen_crdbcloud_" .. module .. "\n?$", out)
    end
  end)

  it("has every library resolved at load, stays loaded, and links no Lua", function()
    for _, module in ipairs { "core", "pq" } do
      local out = run(("readelf -d build/%s/crdbcloud/%s.so"):format(ABI, module))
      assert.matches("BIND_NOW", out)
      assert.matches("NODELETE", out)
      assert.falsy(out:find "NEEDED[^\n]*liblua")
    end
  end)

  it("has one version", function()
    assert.equal(require "crdbcloud.version", require "crdbcloud.core".version)
    assert.equal("", (run "grep -rnE '[\"v]0\\.[0-9]+\\.[0-9]+' csrc Makefile rockspec lua/crdbcloud | grep -v lua/crdbcloud/version.lua; true"))
  end)

  it("installs what runs, and uninstalls it", function()
    run(("make -s install PREFIX=%s"):format(dir))
    assert.equal("crdbcloud " .. require "crdbcloud.version" .. "\n", run(("cd / && %s %s/bin/crdbcloud --version"):format(LUA, dir)))
    local out = run(([[cd / && LUA_PATH='%s/share/lua/%s/?.lua;%s/share/lua/%s/?/init.lua;;' LUA_CPATH='%s/lib/lua/%s/?.so;;' %s -e '
      local c = require "crdbcloud"
      print(c.version, #c.password.generate(), package.searchpath("crdbcloud.core", package.cpath))']])
      :format(dir, ABI, dir, ABI, dir, ABI, LUA))
    assert.matches("32\t" .. dir:gsub("%p", "%%%0"), out)
    run(("make -s uninstall PREFIX=%s"):format(dir))
    assert.equal("", files(dir))
  end)

  it("installs below DESTDIR without writing that into the command", function()
    run(("make -s install DESTDIR=%s PREFIX=/usr"):format(dir))
    assert.matches("./usr/lib/lua/" .. ABI .. "/crdbcloud/core.so", files(dir))
    assert.falsy(temp.read(dir .. "/usr/bin/crdbcloud"):find(dir, 1, true))
    run(("make -s uninstall DESTDIR=%s PREFIX=/usr"):format(dir))
    assert.equal("", files(dir))
  end)

  -- luarocks on a copy, with settings of its own: what the rock needs is there as Debian packages.
  local function luarocks(abi, include)
    run(("cp -r Makefile csrc lua rockspec LICENSE CHANGELOG.md README.md %s/"):format(dir))
    temp.write(dir .. "/luarocks.lua", 'rocks_provided = { ["lua-cjson"] = "2.1.0-1", argparse = "0.7.1-1" }\n')
    local line = ("cd %s && LUAROCKS_CONFIG=%s/luarocks.lua luarocks --lua-version=%s --tree=%s/tree "):format(dir, dir, abi, dir)
    if jit then run(line .. "config lua_interpreter luajit") end
    return temp.run(line .. "make --deps-mode=one rockspec/crdbcloud-scm-1.rockspec LUA_INCDIR=" .. include .. " 2>&1")
  end

  it("makes a rock whose module and command run where luarocks put them, without the sources", function()
    local out, code = luarocks(ABI, INCLUDE)
    assert.equal(0, code, out)
    run(("cd %s && rm -rf Makefile build csrc lua rockspec"):format(dir))
    local version = require "crdbcloud.version"
    assert.equal(version .. "\n", run(([[cd / && LUA_PATH='%s/tree/share/lua/%s/?.lua;;' LUA_CPATH='%s/tree/lib/lua/%s/?.so;;' %s -e '
      print(require "crdbcloud.core".version)']]):format(dir, ABI, dir, ABI, LUA)))
    assert.equal("crdbcloud " .. version .. "\n", run(("cd / && %s/tree/bin/crdbcloud --version"):format(dir)))
  end)

  it("makes no rock for another Lua, and says why", function()
    temp.run(("mkdir %s/include && touch %s/include/lauxlib.h"):format(dir, dir))
    for version, why in pairs { ["5.1"] = "crdbcloud needs Lua 5.4 or LuaJIT 2.1", ["5.3"] = "depends on lua >= 5.1, < 5.5, ~= 5.2, ~= 5.3" } do
      temp.write(dir .. "/include/lua.h", "#define LUA_VERSION_NUM " .. version:gsub("%.", "0") .. "\n")
      local out, code = luarocks(version, dir .. "/include")
      assert.equal(1, code, out)
      assert.matches(why, out, 1, true)
    end
  end)

  it("says what is missing when a library is not there", function()
    local out, code = temp.run(("PKG_CONFIG_LIBDIR=/nonexistent make BUILD=%s/build modules"):format(dir))
    assert.equal(2, code)
    assert.matches("make deps", out)
  end)
end)
