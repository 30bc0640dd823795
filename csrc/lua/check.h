/*
 * lua_check.h - argument checks that give the same answer on both ABIs.
 *
 * LuaJIT's luaL_checkinteger cuts 3.7 to 3 in silence and Lua 5.4's accepts
 * "3"; these do neither. what names the argument or field in the message.
 */
#ifndef CRDB_LUA_CHECK_H
#define CRDB_LUA_CHECK_H

#include <stdint.h>

#include "lua/compat.h"

/* A whole number within [lo, hi]; raises otherwise. */
int64_t crdb_check_integer(lua_State *L, int idx, const char *what, int64_t lo, int64_t hi);

/* A number, finite, within [lo, hi]; raises otherwise. */
double crdb_check_number(lua_State *L, int idx, const char *what, double lo, double hi);

/* A string (numbers are not taken for strings); raises otherwise. */
const char *crdb_check_string(lua_State *L, int idx, const char *what, size_t *len);

/* A string that may become part of a header or URL: no CR, LF or NUL. */
const char *crdb_check_line(lua_State *L, int idx, const char *what, size_t *len);

/* Raises if more than max arguments came. */
void crdb_check_count(lua_State *L, int max);

/* Raises unless every key of the table at idx (nil or none is allowed) is in
 * the NULL-terminated list; the message names the nearest one. */
void crdb_check_fields(lua_State *L, int idx, const char *what, const char *const allowed[]);

/* Pushes field name of the table at idx, or nil when idx is nil or none; returns its type. Calls no
 * metamethod. */
int crdb_push_field(lua_State *L, int idx, const char *name);

/* Raises "what: expected ..., got <type>" at the caller's level. */
int crdb_raise_type(lua_State *L, int idx, const char *what, const char *expected);

#endif
