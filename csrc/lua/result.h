/*
 * result.h - the result of an exchange as a Lua table.
 *
 * Making a Lua value may run a finaliser, that is any Lua code: it may close
 * the client whose answer is being handed over, or make a call with it. So the
 * texts are taken out of the exchange first, into a userdata that only this C
 * code knows.
 */
#ifndef CRDB_LUA_RESULT_H
#define CRDB_LUA_RESULT_H

#include "http/exchange.h"
#include "lua/compat.h"

/* Pushes an empty userdata for the texts of one result. May run finalisers, so call it before the
 * exchange; the next function expects it at the top of the stack. */
struct crdb_held *crdb_push_held(lua_State *L);

/* Replaces it by the table. result points into x, whose texts are gone afterwards. */
void crdb_push_result(lua_State *L, struct crdb_held *held, struct crdb_exchange *x,
                      const struct crdb_result *result);

/* Creates the metatable; called by crdb_open_client. */
void crdb_open_held(lua_State *L);

#endif
