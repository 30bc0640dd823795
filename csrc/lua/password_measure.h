/*
 * lua_password_measure.h - core.password_traits: judging a password that a
 * person chose without making a Lua string of it.
 */
#ifndef CRDB_LUA_PASSWORD_MEASURE_H
#define CRDB_LUA_PASSWORD_MEASURE_H

#include "lua/compat.h"

/* password_traits(password string|secret, words string[]) ->
 * {length = bytes, utf8 = bool, control = bool, hash = bool, cost = integer} */
extern const luaL_Reg crdb_password_measure_functions[];

#endif
