-- Builds for the Lua that luarocks is run for, from the repository root:
--   luarocks --lua-version=5.4 make rockspec/crdbcloud-scm-1.rockspec LUA_INCDIR=/usr/include/lua5.4
-- LuaJIT is Lua 5.1 to luarocks; its command then needs `luarocks --lua-version=5.1 config lua_interpreter luajit`:
--   luarocks --lua-version=5.1 make rockspec/crdbcloud-scm-1.rockspec LUA_INCDIR=/usr/include/luajit-2.1
-- Lua 5.1 itself, 5.2 and 5.3 are refused. libcurl, libssl, libcrypto, utf8proc and libpq are found by pkg-config.
rockspec_format = "3.0"
package = "crdbcloud"
version = "scm-1"
source = {
  url = "git+https://github.com/crdbcloud/crdbcloud.git",
}
description = {
  summary = "SQL users of CockroachDB Cloud clusters: limited users, rotated passwords",
  detailed = [[
Lists, creates and deletes SQL users of CockroachDB Cloud clusters and changes
their passwords; creates application users with limited access and rotates all
application passwords so that no crash loses one.
]],
  homepage = "https://github.com/crdbcloud/crdbcloud",
  license = "MIT",
}
dependencies = {
  "lua >= 5.1, < 5.5, ~= 5.2, ~= 5.3",
  "lua-cjson >= 2.1",
  "argparse >= 0.7",
}
build = {
  type = "make",
  build_target = "rock",
  install_target = "rock-install",
  build_variables = {
    CFLAGS = "$(CFLAGS)",
    LIBFLAG = "$(LIBFLAG)",
    LUA_INCDIR = "$(LUA_INCDIR)",
  },
  install_variables = {
    LIBDIR = "$(LIBDIR)",
    LUADIR = "$(LUADIR)",
    BINDIR = "$(BINDIR)",
  },
}
