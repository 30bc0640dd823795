/*
 * check.h - what every binding needs: checks of arguments, failures, userdata.
 *
 * The checks give the same answer on both ABIs:
 * LuaJIT's luaL_checkinteger cuts 3.7 to 3 in silence and Lua 5.4's accepts
 * "3"; these do neither. what names the argument or field in the message.
 */
#ifndef CRDB_LUA_CHECK_H
#define CRDB_LUA_CHECK_H

#include <stdint.h>

#include "base/failure.h"
#include "lua/compat.h"

/* A whole number within [lo, hi]; raises otherwise. */
int64_t crdb_check_integer(lua_State *L, int idx, const char *what, int64_t lo, int64_t hi);

/* A number, finite, within [lo, hi]; raises otherwise. */
double crdb_check_number(lua_State *L, int idx, const char *what, double lo, double hi);

/* A string, not a number; raises otherwise. */
const char *crdb_check_string(lua_State *L, int idx, const char *what, size_t *len);

/* A string that may become part of a header or URL: no CR, LF or NUL. */
const char *crdb_check_line(lua_State *L, int idx, const char *what, size_t *len);

/* Raises if more than max arguments came. */
void crdb_check_count(lua_State *L, int max);

/* Raises unless every key of the table at idx (nil or none is allowed) is in
 * the NULL-terminated list; the message names them all. */
void crdb_check_fields(lua_State *L, int idx, const char *what, const char *const allowed[]);

/* Pushes field name of the table at idx, or nil when idx is nil or none; returns its type. Calls no
 * metamethod. */
int crdb_push_field(lua_State *L, int idx, const char *name);

/* Raises "what: expected ..., got <type>" at the caller's level. */
int crdb_raise_type(lua_State *L, int idx, const char *what, const char *expected);

/* Seconds in that field of the options at idx, 0.001 to 86400, as milliseconds; else fallback. */
long crdb_check_timeout(lua_State *L, int idx, const char *field, long fallback);

/* A path: a string that is not empty and holds no NUL; raises otherwise. */
const char *crdb_check_path(lua_State *L, int idx, const char *what);

/* Pushes nil, message, code; returns 3. */
int crdb_push_failure(lua_State *L, const struct crdb_failure *f);

int crdb_raise_no_memory(lua_State *L);

/* Pushes a userdata of zeros with the metatable of that type. May run finalisers and may raise, so
 * call it before there is anything to lose. */
void *crdb_new(lua_State *L, size_t size, const char *type);

/* Makes the metatable of a type, or fills it anew. getmetatable(value) shows the name only, so that
 * no script can swap the methods of all values of the type. methods: NULL for none. */
void crdb_open_type(lua_State *L, const char *type, const luaL_Reg metamethods[],
                    const luaL_Reg methods[]);

#endif
