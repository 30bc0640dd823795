/*
 * lua_result.h - the result of an exchange as a Lua table.
 */
#ifndef CRDB_LUA_RESULT_H
#define CRDB_LUA_RESULT_H

#include "exchange.h"
#include "lua_compat.h"

/* Pushes the table. result points into its exchange, which must stay as it is. */
void crdb_push_result(lua_State *L, const struct crdb_result *result);

#endif
