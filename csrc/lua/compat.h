/*
 * compat.h - the few differences between Lua 5.4 and LuaJIT (Lua 5.1 ABI).
 *
 * All tests of the Lua version stand here. LuaJIT has luaL_setfuncs,
 * luaL_newmetatable, luaL_setmetatable, luaL_testudata and lua_copy although it
 * reports version 501; it lacks the functions below.
 */
#ifndef CRDB_LUA_COMPAT_H
#define CRDB_LUA_COMPAT_H

#include <lua.h>

#include <lauxlib.h>

#if LUA_VERSION_NUM == 501 && defined(__has_include)
#if __has_include(<luajit.h>)
#define CRDB_LUAJIT 1
#endif
#endif
#if LUA_VERSION_NUM != 504 && !defined(CRDB_LUAJIT)
#error                                                                                             \
    "crdbcloud needs Lua 5.4 or LuaJIT 2.1; these are the headers of another Lua (set LUA_INCDIR)"
#endif

#if LUA_VERSION_NUM >= 504
#define crdb_rawlen(L, i) ((size_t)lua_rawlen((L), (i)))
#define crdb_newuserdata(L, size) lua_newuserdatauv((L), (size), 0)
#define crdb_absindex(L, i) lua_absindex((L), (i))
#define crdb_push_whole(L, n) lua_pushinteger((L), (lua_Integer)(n))
#else
#define crdb_rawlen(L, i) lua_objlen((L), (i))
#define crdb_newuserdata(L, size) lua_newuserdata((L), (size))
#define crdb_absindex(L, i) ((i) > 0 || (i) <= LUA_REGISTRYINDEX ? (i) : lua_gettop(L) + (i) + 1)
/* An integer of LuaJIT has 32 bits where a pointer has; its numbers hold 53 everywhere. */
#define crdb_push_whole(L, n) lua_pushnumber((L), (lua_Number)(n))
#endif

/* The one symbol that a module exports; the build hides everything else. */
#define CRDB_EXPORT __attribute__((visibility("default")))

#endif
