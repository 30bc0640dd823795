/*
 * pq_connection.h - crdbcloud.pq as Lua sees it.
 *
 * A connection is a userdata of metatable CRDB_CONNECTION_TYPE. It is made
 * closed and owns its session. A result belongs to a userdata of its own while
 * its rows are handed to Lua.
 */
#ifndef CRDB_LUA_PQ_H
#define CRDB_LUA_PQ_H

#include "lua/compat.h"

#include <libpq-fe.h>

#define CRDB_CONNECTION_TYPE "crdbcloud.connection"

struct crdb_pq_error;

/* Creates the metatables; called by luaopen_crdbcloud_pq. */
void crdb_open_connection(lua_State *L);
void crdb_open_conninfo(lua_State *L);

/* pq.connect(params) */
int crdb_pq_lua_connect(lua_State *L);

/* pq.parse(url): see pq_parse.c */
int crdb_pq_lua_parse(lua_State *L);

/* Pushes nil and { reason, message, sqlstate, detail, sent }; returns 2. */
int crdb_push_pq_error(lua_State *L, const struct crdb_pq_error *error);

/* Pushes the rows of a result: an array of { column = string, secret or nil } with n, tag and
 * columns. The names listed in the table at idx (none or nil: no names) become secrets, and their
 * bytes in the result are wiped. Returns NULL, or, with nothing pushed, a listed name that is not
 * among the columns. May raise, so the result must belong to a userdata. */
const char *crdb_push_rows(lua_State *L, PGresult *result, int idx);

#endif
